package findings

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"foretop/fleet"
)

// Rule is one entry of the table of rules: all that is ever said of a node or a job is said under the id of one of these.
type Rule struct {
	ID       string         // "hw.xid": the group, a dot, the thing. It stands in the configuration and in stored incidents: never rename one
	From, To fleet.Severity // between which it speaks
	Subject  string         // node, GPU, port, interface, file system, job: what it is about
	What     string         // what it says, in a line
	Remedy   string         // what to do where the rule itself says nothing better; "" nothing
	Doc      string         // by what it decides: readings, limits, times

	// Why it cannot answer for a subject, in words; "" it can. One of them is nil: a rule is of nodes or of jobs.
	node func(n *fleet.Node) string
	job  func(j *fleet.Job, nodes func(string) *fleet.Node) string
}

// OfJobs says that the rule is asked of jobs, not of nodes.
func (r *Rule) OfJobs() bool { return r.job != nil }

// Table is all rules, by id. It is shared: do not change it.
func Table() []Rule { return table().list }

// LookupRule finds a rule by its id; nil where there is none.
func LookupRule(id string) *Rule {
	if i, ok := table().at[id]; ok {
		return &table().list[i]
	}
	return nil
}

// IDs are the ids of all rules, in the alphabet's order.
func IDs() []string {
	ids := make([]string, 0, len(Table()))
	for _, r := range Table() {
		ids = append(ids, r.ID)
	}
	return ids
}

type ruleTable struct {
	list []Rule
	at   map[string]int
}

var table = sync.OnceValue(func() *ruleTable {
	t := &ruleTable{list: slices.Concat(gpuTable, fabricTable, hostTable, jobTable, wasteTable), at: map[string]int{}}
	slices.SortFunc(t.list, func(a, b Rule) int { return strings.Compare(a.ID, b.ID) })
	for i := range t.list {
		t.at[t.list[i].ID] = i
	}
	return t
})

// Set is which rules are asked. The zero value is all of them.
type Set struct{ off map[string]bool }

// Without is all rules but those that are named; one that is not in the table is an error that names it.
func Without(ids ...string) (Set, error) {
	s := Set{}
	var unknown []error
	for _, id := range ids {
		if LookupRule(id) == nil {
			unknown = append(unknown, fmt.Errorf("no rule is called %q", id))
			continue
		}
		if s.off == nil {
			s.off = map[string]bool{}
		}
		s.off[id] = true
	}
	return s, errors.Join(unknown...)
}

// On says whether a rule is asked. One that is not is never evaluated.
func (s Set) On(id string) bool { return len(s.off) == 0 || !s.off[id] }

// Rules are the rules of the set, for the options of one fleet.
func (s Set) Rules() fleet.Rules {
	return fleet.Rules{Kernel: ClassifyKernel, Node: s.Node, Job: newWatches(s).job, Fleet: s.Fleet, Incidents: Incidents}
}

// State is what a rule answers.
type State uint8

// Answers. What was not checked is never no.
const (
	No State = iota
	Yes
	NotChecked
)

func (s State) String() string { return [...]string{"no", "yes", "not checked"}[min(s, NotChecked)] }

// Answer is what one rule says of one subject.
type Answer struct {
	Rule     *Rule
	State    State
	Why      string         // NotChecked: why
	Severity fleet.Severity // Yes: of the worst that it says
	Text     string         // Yes: that
}

// AnswersOf is what every rule of nodes answers for a node, by id, from what was found when its snapshot was made.
func (s Set) AnswersOf(n *fleet.Node) []Answer {
	var out []Answer
	for i := range Table() {
		r := &Table()[i]
		if r.OfJobs() {
			continue
		}
		a := Answer{Rule: r}
		for k := range n.Problems { // worst first
			if p := &n.Problems[k]; p.Rule == r.ID {
				a.State, a.Severity, a.Text = Yes, p.Severity, p.Text
				break
			}
		}
		s.qualify(&a, func() string { return r.node(n) })
		out = append(out, a)
	}
	return out
}

// AnswersOfJob is what every rule of jobs answers for a job, by id.
func (s Set) AnswersOfJob(j *fleet.Job, nodes func(string) *fleet.Node) []Answer {
	var out []Answer
	for i := range Table() {
		r := &Table()[i]
		if !r.OfJobs() {
			continue
		}
		a := Answer{Rule: r}
		for k := range j.Findings {
			if v := &j.Findings[k]; v.Rule == r.ID && (a.State == No || v.Severity > a.Severity) {
				a.State, a.Severity, a.Text = Yes, v.Severity, v.Text
			}
		}
		s.qualify(&a, func() string {
			for _, u := range j.Unchecked {
				if why, ok := strings.CutPrefix(u, r.ID+": "); ok {
					return why
				}
			}
			return r.job(j, nodes)
		})
		out = append(out, a)
	}
	return out
}

// qualify says of an answer that is no whether it was looked at.
func (s Set) qualify(a *Answer, why func() string) {
	if a.State == Yes {
		return
	}
	if !s.On(a.Rule.ID) {
		a.State, a.Why = NotChecked, "switched off in the configuration"
	} else if w := why(); w != "" {
		a.State, a.Why = NotChecked, w
	}
}

// complete fills in what the table says of each problem's rule where the rule said nothing better.
func complete(found []fleet.Problem) {
	for i := range found {
		p := &found[i]
		if p.Remedy != "" {
			continue
		}
		if r := LookupRule(p.Rule); r != nil {
			p.Remedy = r.Remedy
		}
	}
}

// advise is complete for a verdict.
func advise(v fleet.Verdict) fleet.Verdict {
	if r := LookupRule(v.Rule); r != nil && v.Remedy == "" {
		v.Remedy = r.Remedy
	}
	return v
}

// sinceWords are when something began, as evidence: "for 41 s".
func sinceWords(since time.Duration) string { return "for " + long(since) }
