package actions

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Answer is what a command came to on one node.
type Answer struct {
	Name   string
	Output string
	Code   int    // exit status; -1: there is none
	Why    string // why there is none, or how it ended otherwise; ""
	Cut    bool   // there was more output
}

// Group are nodes of which a command came to the same.
type Group struct {
	Names  []string // in the order in which they were given
	Output string   // without the line breaks at its end
	Code   int
	Why    string
	Cut    bool
}

// Merger puts equal answers together, one after another: what was added once is not looked at again.
type Merger struct {
	at     map[mergeKey]int
	groups []Group
}

type mergeKey struct {
	output, why string
	code        int
	cut         bool
}

// Add takes one more answer and gives the index of its group, which stays the same. Line breaks at the end of an output make no difference.
func (m *Merger) Add(a Answer) int {
	k := mergeKey{strings.TrimRight(a.Output, "\r\n"), a.Why, a.Code, a.Cut}
	i, known := m.at[k]
	if !known {
		if m.at == nil {
			m.at = map[mergeKey]int{}
		}
		i = len(m.groups)
		m.at[k] = i
		m.groups = append(m.groups, Group{Output: k.output, Code: a.Code, Why: a.Why, Cut: a.Cut})
	}
	m.groups[i].Names = append(m.groups[i].Names, a.Name)
	return i
}

// Groups are those so far, in the order in which they came up. They may be kept while answers are added: what is in them does not change.
func (m *Merger) Groups() []Group { return slices.Clone(m.groups) }

// Merge puts equal answers together: those that ended alike beside each other, the smallest exit status first, of these the largest group first, as clush -b does.
func Merge(answers []Answer) []Group {
	var m Merger
	for _, a := range answers {
		m.Add(a)
	}
	slices.SortStableFunc(m.groups, func(a, b Group) int {
		return cmp.Or(cmp.Compare(statusOrder(a.Code), statusOrder(b.Code)), cmp.Compare(len(b.Names), len(a.Names)))
	})
	return m.groups
}

// statusOrder orders exit statuses: none comes last.
func statusOrder(code int) int {
	if code < 0 {
		return 256
	}
	return code
}

// OddFirst orders groups for a person who looks for what is wrong: those that failed first, then those of which no end is known, then the others; of each the smallest first.
func OddFirst(groups []Group) {
	slices.SortStableFunc(groups, func(a, b Group) int {
		return cmp.Or(cmp.Compare(a.Trouble(), b.Trouble()), cmp.Compare(len(a.Names), len(b.Names)))
	})
}

// Trouble ranks how a group ended: 0 with an exit status that is not 0, 1 with none, 2 well.
func (g *Group) Trouble() int {
	switch {
	case g.Code > 0:
		return 0
	case g.Code < 0 || g.Why != "":
		return 1
	}
	return 2
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Answers are what a job's steps came to so far; those that have not ended are left out.
func Answers(results []Result) (list []Answer) {
	for i := range results {
		if a, ended := results[i].Answer(); ended {
			list = append(list, a)
		}
	}
	return list
}

// Answer is what a step came to; false while it has not ended.
func (r *Result) Answer() (a Answer, ended bool) {
	if r.State == Waiting || r.State == Running {
		return a, false
	}
	a = Answer{Name: r.Target, Output: r.Output.Text, Code: r.Output.Code, Cut: r.Output.Cut}
	if r.State != Done && a.Code <= 0 { // else its exit status says it
		a.Code, a.Why = -1, or(r.Words, r.State.String())
	}
	return a, true
}

const ruler = "---------------"

// Head is what stands above a group's output, as clush and dshbak write it; fold makes a node set of names.
func (g *Group) Head(fold func([]string) string) string {
	names := fold(g.Names)
	if n := len(g.Names); n > 1 {
		names = fmt.Sprintf("%s (%d)", names, n)
	}
	return ruler + "\n" + names + "\n" + ruler
}

// End is how a group ended, for people: "exited with exit code 2"; "" all is well.
func (g *Group) End() string {
	switch {
	case g.Why != "":
		return g.Why
	case g.Code != 0:
		return fmt.Sprintf("exited with exit code %d", g.Code)
	}
	return ""
}

// WriteGroups writes the groups that printed something, each below its nodes; text makes an output fit for where it is written to.
func WriteGroups(w io.Writer, groups []Group, fold func([]string) string, text func(string) string) error {
	out := bufio.NewWriter(w)
	for i := range groups {
		g := &groups[i]
		if g.Output == "" && !g.Cut {
			continue
		}
		out.WriteString(g.Head(fold) + "\n" + text(g.Output) + "\n")
		if g.Cut {
			out.WriteString("… there was more, which is not kept\n")
		}
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write output: %w", err)
	}
	return nil
}
