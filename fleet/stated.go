package fleet

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Stated is a finding as it is told outside the screens, to programs, reports and hooks: what is wrong, of whom, and by which name it is known again.
type Stated struct {
	// ID names the finding: of its rule and its subject, so that it is the same in every snapshot and after a restart for as long as it stands.
	ID       string
	Rule     string // "" where the rule has no id
	Severity Severity
	Text     string    // short
	Since    time.Time // zero when unknown
	Evidence []string
	Remedy   string // "" none
	Cause    Cause

	Node    string // "" it is a job's
	GPU     int    // index, -1 none
	GPUUUID string // "" none, or not known
	Port    string // name, "" none
	Job     string // key, "" it is a node's
	JobID   string
	JobName string
	User    string // of the job
	// KnownBad: its node is out of service, so that somebody knows of it. It alarms nobody.
	KnownBad bool
	Incident string // id of the incident that it is part of; "" none
	Mark     Mark   // what a person said of that
}

// Subject is what it is about, in words: "gpu017 GPU3", "job 8123".
func (s *Stated) Subject() string {
	switch {
	case s.Job != "":
		return "job " + s.JobID
	case s.GPU >= 0:
		return s.Node + " GPU" + strconv.Itoa(s.GPU)
	case s.Port != "":
		return s.Node + " " + s.Port
	}
	return s.Node
}

// Line is the finding in one line: "gpu017 Xid 79 GPU3: fell off the bus".
func (s *Stated) Line() string {
	if s.Job != "" {
		name := ""
		if s.JobName != "" && s.JobName != s.JobID {
			name = " " + s.JobName
		}
		return "job " + s.JobID + name + ": " + s.Text
	}
	return s.Node + ": " + s.Text
}

// Alarms says that it is critical, that its node is not out of service, and that nobody said that it is not so. What was acknowledged or snoozed is as wrong as before.
func (s *Stated) Alarms() bool {
	return s.Severity >= Critical && !s.KnownBad && s.Mark.Kind != FalseAlarm
}

// Stated lists all findings of nodes and jobs that are at least so severe: worst first, those of nodes out of service last, then the oldest.
func (s *Snapshot) Stated(least Severity) []Stated {
	var out []Stated
	for _, n := range s.Nodes {
		known := n.OutOfService()
		for i := range n.Problems {
			if p := &n.Problems[i]; p.Severity >= max(least, Notice) {
				out = append(out, n.stated(p, known))
			}
		}
	}
	for _, j := range s.Jobs {
		for _, v := range j.verdicts() {
			if v.Severity >= max(least, Notice) {
				out = append(out, j.stated(&v))
			}
		}
	}
	s.join(out)
	slices.SortStableFunc(out, func(a, b Stated) int {
		return cmp.Or(compareBool(a.KnownBad, b.KnownBad), -cmp.Compare(a.Severity, b.Severity), compareSince(a.Since, b.Since), cmp.Compare(a.ID, b.ID), cmp.Compare(a.Text, b.Text))
	})
	used := make(map[string]bool, len(out))
	for i := range out { // a rule that says two things of one subject: they are told apart by their words
		if used[out[i].ID] {
			out[i].ID += "-" + wordsKey(out[i].Text)
		}
		for id, again := out[i].ID, 2; used[out[i].ID]; again++ {
			out[i].ID = fmt.Sprintf("%s-%d", id, again)
		}
		used[out[i].ID] = true
	}
	return out
}

// join says of findings which incident they are part of.
func (s *Snapshot) join(list []Stated) {
	type place struct {
		rule, node, job string
		gpu             int
	}
	in := map[place]*Incident{}
	for i := range s.Incidents {
		incident := &s.Incidents[i]
		for k := range incident.Members {
			f := &incident.Members[k]
			rule, _, _ := strings.Cut(f.Rule, " ") // "hw.xid 79"
			in[place{rule, f.Subject.Node, f.Subject.Job, f.Subject.GPU}] = incident
		}
	}
	for i := range list {
		f := &list[i]
		if incident := in[place{f.Rule, f.Node, f.Job, f.GPU}]; incident != nil && f.Rule != "" {
			f.Incident, f.Mark = incident.ID, incident.Mark
		}
	}
}

func (n *Node) stated(p *Problem, known bool) Stated {
	st := Stated{Rule: p.Rule, Severity: p.Severity, Text: p.Text, Since: p.Since, Evidence: p.Evidence, Remedy: p.Remedy, Cause: p.Cause, Node: n.Name, GPU: p.GPU, KnownBad: known}
	if i := slices.IndexFunc(n.GPUs, func(g GPU) bool { return g.Index == p.GPU }); i >= 0 && n.GPUs[i].Info != nil {
		st.GPUUUID = n.GPUs[i].Info.Uuid
	}
	if p.Port >= 0 && p.Port < len(n.Ports) {
		st.Port = n.Ports[p.Port].Name
	}
	st.ID = findingID(p.Rule, p.Text, strings.ReplaceAll(st.Subject(), " ", "/"))
	return st
}

// verdicts are all that was found of a job; of one that ended, how it did.
func (j *Job) verdicts() []Verdict {
	if len(j.Findings) == 0 && j.Severity > Fine {
		return []Verdict{{State: j.State, Severity: j.Severity, Text: j.StateText, Since: j.Ended}}
	}
	return j.Findings
}

func (j *Job) stated(v *Verdict) Stated {
	return Stated{
		ID: findingID(v.Rule, v.Text, "job/"+j.Key), Rule: v.Rule, Severity: v.Severity, Text: v.Text, Since: v.Since, Evidence: v.Evidence, Remedy: v.Remedy,
		GPU: -1, Job: j.Key, JobID: cmp.Or(j.ID, j.Key), JobName: j.Name, User: j.User,
	}
}

// findingID is "rule@subject"; of an Xid its number too, and where the rule has no id, a key of the words.
func findingID(rule, text, subject string) string {
	what := rule
	if code := xidCode(text); code != "" {
		what = cmp.Or(rule, "xid") + "-" + code
	} else if what == "" {
		what = wordsKey(text)
	}
	return what + "@" + subject
}

// xidCode is the number of the Xid or SXid that a text begins with; "" for none.
func xidCode(text string) string {
	rest, ok := strings.CutPrefix(strings.TrimPrefix(text, "S"), "Xid ")
	if !ok {
		return ""
	}
	return rest[:len(rest)-len(strings.TrimLeft(rest, "0123456789"))]
}

// wordsKey is a key of a text's words without its numbers, which change while it stands.
func wordsKey(text string) string {
	h := fnv.New32a()
	for i := range len(text) {
		if c := text[i]; (c < '0' || c > '9') && c != '.' {
			h.Write([]byte{c})
		}
	}
	return fmt.Sprintf("%08x", h.Sum32())
}

// compareSince orders by time, unknown ones last.
func compareSince(a, b time.Time) int {
	if a.IsZero() != b.IsZero() {
		return compareBool(a.IsZero(), b.IsZero())
	}
	return a.Compare(b)
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// SeverityWords are the words for severities that a finding may have, mildest first.
func SeverityWords() []string {
	return []string{Notice.String(), Warning.String(), Critical.String()}
}

// ParseSeverity reads one of SeverityWords.
func ParseSeverity(word string) (Severity, error) {
	for s := Notice; s <= Critical; s++ {
		if word == s.String() {
			return s, nil
		}
	}
	return Fine, fmt.Errorf("severity %q is not known: write one of %s", word, strings.Join(SeverityWords(), ", "))
}

// Alarms says that something is critical that is not out of service, and that nobody called a false alarm: a finding, or an incident of nodes that cannot say anything.
func (s *Snapshot) Alarms() bool {
	for i := range s.Incidents {
		if in := &s.Incidents[i]; in.Severity >= Critical && in.Until.IsZero() && !in.KnownBad && in.Mark.Kind != FalseAlarm {
			return true
		}
	}
	return slices.ContainsFunc(s.Stated(Critical), func(f Stated) bool { return f.Alarms() })
}
