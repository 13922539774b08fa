package ui

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"foretop/actions"
	"foretop/config"
)

// runGroup are targets of which a command came to the same. It does not change once it is in a [runNews].
type runGroup struct {
	actions.Group
	state actions.State
	names string   // as a node set
	lines string   // how much it printed, in words
	first string   // its first line
	text  *runText // of a small output; else it is made when it is asked for
}

// runTimes are how long a command took, of those that ended.
type runTimes struct {
	ended                    int
	fastest, median, slowest time.Duration
	fast, slow               string // whose
}

// runNews is how far a run has come. It is made beside the screen and taken over as a whole.
type runNews struct {
	results []actions.Result
	groups  []runGroup // in the order in which they came up: a group's place is its name
	order   []int      // the groups as they are shown
	of      []int      // the group of each result; -1 it has not ended
	pending [2]string  // as node sets: those that are running, those that wait
	times   runTimes
	began   time.Time // when the first step did; zero none has
	ended   time.Time // when the last one did so far
	over    bool
}

// runDigest makes news of results, one after another: what has ended is looked at once. One goroutine at a time has it.
type runDigest struct {
	merger actions.Merger
	of     []int
	state  []actions.State
	ends   []actions.State // of the groups: that of their first
	groups []runGroup
}

// take takes over how the steps stand.
func (d *runDigest) take(results []actions.Result, over bool) *runNews {
	if d.of == nil || d.changed(results) {
		*d = runDigest{of: slices.Repeat([]int{-1}, len(results)), state: make([]actions.State, len(results))}
	}
	for i := range results {
		r := &results[i]
		a, ended := r.Answer()
		if !ended || d.of[i] >= 0 {
			continue
		}
		a.Why = withoutName(a.Why, a.Name)
		d.of[i], d.state[i] = d.merger.Add(a), r.State
		if d.of[i] == len(d.ends) {
			d.ends = append(d.ends, r.State)
		}
	}
	for i, g := range d.merger.Groups() {
		switch {
		case i == len(d.groups):
			d.groups = append(d.groups, newRunGroup(g, d.ends[i]))
		case len(g.Names) == len(d.groups[i].Names):
			continue
		}
		d.groups[i].Names, d.groups[i].names = g.Names, foldNames(g.Names)
	}
	n := &runNews{results: results, groups: slices.Clone(d.groups), of: slices.Clone(d.of), over: over}
	n.arrange()
	n.pend()
	n.time()
	return n
}

// changed says that something that had ended stands otherwise now, as what was unknown does when it is found out.
func (d *runDigest) changed(results []actions.Result) bool {
	for i := range results {
		if d.of[i] >= 0 && d.state[i] != results[i].State {
			return true
		}
	}
	return false
}

func newRunGroup(g actions.Group, state actions.State) runGroup {
	out := runGroup{Group: g, state: state, lines: outputWords(&g)}
	line, _, _ := strings.Cut(g.Output, "\n")
	out.first = runLine(line)
	if len(g.Output) <= smallBytes {
		if t := makeRunText(&g); t.small(len(g.Output)) {
			out.text = t
		}
	}
	return out
}

// foldNames writes targets as short as may be: a node set where they are nodes.
func foldNames(names []string) string { return strings.Join(config.Fold(names), ",") }

// withoutName takes a target's own name out of what is said of it, so that those to which the same happened stand together.
func withoutName(words, name string) string {
	if name == "" {
		return words
	}
	var b strings.Builder
	for {
		i := strings.Index(words, name)
		if i < 0 {
			return b.String() + words
		}
		end := i + len(name)
		if i > 0 && isWord(words[i-1]) || end < len(words) && isWord(words[end]) {
			b.WriteString(words[:end])
		} else {
			b.WriteString(words[:i] + "it")
		}
		words = words[end:]
	}
}

func isWord(c byte) bool {
	return c == '-' || c == '_' || c == '.' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}

// arrange puts the groups in order: what failed first, then what has no end. While it goes on they keep their places among these; in the end the odd ones come first.
func (n *runNews) arrange() {
	for i := range n.groups {
		n.order = append(n.order, i)
	}
	slices.SortStableFunc(n.order, func(a, b int) int {
		g, h := &n.groups[a], &n.groups[b]
		if c := cmp.Compare(g.Trouble(), h.Trouble()); c != 0 || !n.over {
			return c
		}
		return cmp.Compare(len(g.Names), len(h.Names))
	})
}

// pend names those that have not ended.
func (n *runNews) pend() {
	var names [2][]string
	for i := range n.results {
		switch n.results[i].State {
		case actions.Running:
			names[0] = append(names[0], n.results[i].Target)
		case actions.Waiting:
			names[1] = append(names[1], n.results[i].Target)
		}
	}
	for i := range names {
		if len(names[i]) > 0 {
			n.pending[i] = strconv.Itoa(len(names[i])) + " " + [...]string{"running", "waiting"}[i] + ": " + foldNames(names[i])
		}
	}
}

// time finds out how long it took.
func (n *runNews) time() {
	var all []int
	for i := range n.results {
		r := &n.results[i]
		if !r.Start.IsZero() && (n.began.IsZero() || r.Start.Before(n.began)) {
			n.began = r.Start
		}
		if r.End.After(n.ended) {
			n.ended = r.End
		}
		if r.State == actions.Done || r.State == actions.Failed && r.Output.Code > 0 { // the time of what was not run tells nothing
			all = append(all, i)
		}
	}
	if len(all) == 0 {
		return
	}
	slices.SortStableFunc(all, func(a, b int) int { return cmp.Compare(took(&n.results[a]), took(&n.results[b])) })
	first, last := &n.results[all[0]], &n.results[all[len(all)-1]]
	n.times = runTimes{len(all), took(first), took(&n.results[all[len(all)/2]]), took(last), first.Target, last.Target}
}

// took is how long a step lasted; less than nothing where it did not begin, or goes on.
func took(r *actions.Result) time.Duration {
	if r.Start.IsZero() || r.End.IsZero() {
		return -1
	}
	return r.End.Sub(r.Start)
}

// formatTook is a time of a command: "34ms", "1.2s", "3m".
func formatTook(d time.Duration) string {
	if d >= 0 && d < time.Second {
		return strconv.Itoa(int(d/time.Millisecond)) + "ms"
	}
	return formatAge(d)
}
