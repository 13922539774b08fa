package findings

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"foretop/fleet"
)

// deniedWords end what a person called a false alarm.
const deniedWords = " (called a false alarm)"

// Quieted are rules whose findings that a person called false alarms, by their keys, are still told, but ask for nobody: they are notices.
func Quieted(rules fleet.Rules, denied func(key string) bool) fleet.Rules {
	node, job := rules.Node, rules.Job
	rules.Node = func(n *fleet.Node, at time.Time, m *fleet.Memory) []fleet.Problem {
		list := node(n, at, m)
		quieted := false
		for i := range list {
			if p := &list[i]; p.Severity >= fleet.Warning {
				if f := ofNode(n, p); denied(f.Key()) {
					p.Severity, p.Text, quieted = fleet.Notice, p.Text+deniedWords, true
				}
			}
		}
		if quieted {
			slices.SortStableFunc(list, func(a, b fleet.Problem) int { return -cmp.Compare(a.Severity, b.Severity) })
		}
		return list
	}
	rules.Job = func(j *fleet.Job, nodes func(string) *fleet.Node, at time.Time, m *fleet.Memory) fleet.Verdict {
		v := job(j, nodes, at, m)
		of := ofJob(j)
		if !j.Ended.IsZero() {
			if v.Severity >= fleet.Warning && denied(ruleEnded+"@"+of.Key()) {
				v.Severity, v.Text = fleet.Notice, v.Text+deniedWords
			}
			return v
		}
		quieted := false
		for i := range j.Findings {
			f := &j.Findings[i]
			if f.Severity < fleet.Warning || !denied(ruleOf(f.Rule, f.Text, false)+"@"+of.Key()) {
				continue
			}
			quieted = quieted || f.Text == v.Text && f.Severity == v.Severity
			f.Severity, f.Text = fleet.Notice, f.Text+deniedWords
		}
		if !quieted {
			return v
		}
		worst := fleet.Verdict{State: fleet.JobRunning, Text: "running"}
		for i := range j.Findings {
			if f := &j.Findings[i]; !strings.HasSuffix(f.Text, deniedWords) && (f.Severity > worst.Severity || worst.State == fleet.JobRunning) {
				worst = *f
			}
		}
		return worst
	}
	return rules
}
