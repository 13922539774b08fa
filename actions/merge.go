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

// Merge puts equal answers together: those that ended alike beside each other, the smallest exit status first, of these the largest group first, as clush -b does. Line breaks
// at the end of an output make no difference.
func Merge(answers []Answer) []Group {
	type key struct {
		output, why string
		code        int
		cut         bool
	}
	at := map[key]int{}
	var groups []Group
	for _, a := range answers {
		k := key{strings.TrimRight(a.Output, "\r\n"), a.Why, a.Code, a.Cut}
		i, known := at[k]
		if !known {
			i = len(groups)
			at[k] = i
			groups = append(groups, Group{Output: k.output, Code: a.Code, Why: a.Why, Cut: a.Cut})
		}
		groups[i].Names = append(groups[i].Names, a.Name)
	}
	slices.SortStableFunc(groups, func(a, b Group) int {
		return cmp.Or(cmp.Compare(statusOrder(a.Code), statusOrder(b.Code)), cmp.Compare(len(b.Names), len(a.Names)))
	})
	return groups
}

// statusOrder orders exit statuses: none comes last.
func statusOrder(code int) int {
	if code < 0 {
		return 256
	}
	return code
}

// OddFirst orders groups for a person who looks for what is wrong: those that failed first, then the smallest.
func OddFirst(groups []Group) {
	slices.SortStableFunc(groups, func(a, b Group) int {
		return cmp.Or(cmp.Compare(b2i(a.Code == 0), b2i(b.Code == 0)), cmp.Compare(len(a.Names), len(b.Names)))
	})
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Answers are what a job's steps came to so far; those that have not ended are left out.
func Answers(results []Result) (list []Answer) {
	for _, r := range results {
		if r.State == Waiting || r.State == Running {
			continue
		}
		a := Answer{Name: r.Target, Output: r.Output.Text, Code: r.Output.Code, Cut: r.Output.Cut}
		if r.State != Done && a.Code <= 0 { // else its exit status says it
			a.Code, a.Why = -1, or(r.Words, r.State.String())
		}
		list = append(list, a)
	}
	return list
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
