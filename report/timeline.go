package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"foretop/fleet"
)

// event is one line of the timeline.
type event struct {
	At       time.Time
	Severity fleet.Severity
	What     string // in words
	Kind     eventKind
}

type eventKind uint8

const (
	began  eventKind = iota // a finding
	over                    // of one
	turned                  // a node's or job's state
	acted                   // by a person
)

// changes notes how nodes and jobs change from one snapshot to the next.
type changes struct {
	nodes map[string]fleet.State
	jobs  map[string]jobWas
	list  []event
}

type jobWas struct {
	state    fleet.JobState
	ended    bool
	restarts int
	ranks    int
}

// take compares a snapshot with the one before; of says which nodes and jobs belong to the report.
func (c *changes) take(s *fleet.Snapshot, ofNode func(string) bool, ofJob func(*fleet.Job) bool) {
	first := c.nodes == nil
	if first {
		c.nodes, c.jobs = map[string]fleet.State{}, map[string]jobWas{}
	}
	for _, n := range s.Nodes {
		if !ofNode(n.Name) {
			continue
		}
		was, known := c.nodes[n.Name]
		c.nodes[n.Name] = n.State
		if known && was != n.State && (was.Out() || n.State.Out()) {
			c.node(s, n, was)
		}
	}
	for _, j := range s.Jobs {
		if !ofJob(j) {
			continue
		}
		was, known := c.jobs[j.Key]
		now := jobWas{j.State, !j.Ended.IsZero(), j.Restarts, len(j.Ranks)}
		c.jobs[j.Key] = now
		c.job(s.At, j, was, now, known, first)
	}
}

func (c *changes) node(s *fleet.Snapshot, n *fleet.Node, was fleet.State) {
	at := n.Since
	if at.IsZero() || at.After(s.At) {
		at = s.At
	}
	e := event{At: at, Kind: turned, What: plain(n.Name) + ": " + was.String() + " → " + n.State.String()}
	if n.Cause != "" && n.State.Out() {
		e.What += ": " + plain(n.Cause)
	}
	switch {
	case n.State == fleet.Stale:
		e.Severity = fleet.Warning
	case n.State.Out():
		e.Severity = fleet.Critical
	}
	c.list = append(c.list, e)
}

func (c *changes) job(at time.Time, j *fleet.Job, was, now jobWas, known, first bool) {
	say := func(at time.Time, s fleet.Severity, what string) {
		c.list = append(c.list, event{At: at, Kind: turned, Severity: s, What: jobName(j) + ": " + plain(what)})
	}
	if !known {
		if !j.Start.IsZero() {
			say(j.Start, fleet.Fine, fmt.Sprintf("started: %s, %s", many(len(j.Ranks), "rank"), many(len(j.Nodes), "node")))
		} else if !first {
			say(at, fleet.Fine, "first seen")
		}
	}
	if now.ended && !was.ended {
		say(j.Ended, j.Severity, j.StateText)
		return
	}
	if known && now.restarts > was.restarts {
		say(at, fleet.Warning, "restarted: "+many(now.restarts, "restart")+" so far")
	}
	if known && now.ranks < was.ranks {
		say(at, fleet.Warning, fmt.Sprintf("%s seen, %d before", many(now.ranks, "rank"), was.ranks))
	}
}

// timeline is what happened, oldest first: what began and ended, what changed, what was done. Of more than may be told what is mild is left out.
func timeline(found []episode, changed []event, acts []Act, from, to time.Time) (list []event, left int) {
	add := func(e event) {
		if !e.At.Before(from) && !e.At.After(to) {
			list = append(list, e)
		}
	}
	for i := range found {
		e := &found[i]
		if e.Begin.Before(from) {
			list = append(list, event{At: from, Severity: e.Severity, Kind: began, What: e.Line() + " (since before)"})
		} else {
			add(event{At: e.Begin, Severity: e.Severity, Kind: began, What: e.Line()})
		}
		if !e.End.IsZero() && e.Severity >= fleet.Warning {
			add(event{At: e.End, Kind: over, What: "over: " + e.Line()})
		}
	}
	for _, e := range changed {
		add(e)
	}
	for i := range acts {
		a := &acts[i]
		add(event{At: a.At, Kind: acted, What: strings.Join([]string{a.Who, a.What, a.Target, a.State}, " ")})
	}
	slices.SortStableFunc(list, byMoment)
	if left = len(list) - maxTimeline; left > 0 {
		slices.SortStableFunc(list, func(a, b event) int { return -cmp.Compare(a.weight(), b.weight()) })
		list = list[:maxTimeline]
		slices.SortStableFunc(list, byMoment)
	}
	return list, max(left, 0)
}

func byMoment(a, b event) int { return a.At.Compare(b.At) }

// weight ranks what stays where there is too much: what somebody did counts as a warning.
func (e *event) weight() int {
	if e.Kind == acted {
		return int(fleet.Warning)
	}
	return int(e.Severity)
}

func jobName(j *fleet.Job) string {
	name := "job " + plain(cmp.Or(j.ID, j.Key))
	if j.Name != "" && j.Name != j.ID {
		name += " " + plain(j.Name)
	}
	return name
}

func many(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
