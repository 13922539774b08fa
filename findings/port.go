package findings

import (
	"fmt"
	"time"

	"foretop/fleet"
)

// States of a port (/sys/class/infiniband/*/ports/*/state and phys_state).
const (
	portDown     = 1
	portInit     = 2
	portArmed    = 3
	portActive   = 4
	physDisabled = 3
)

// flapFor is how long a link that went down and came back is told: a warning until it was quiet for calmAfter, then a notice.
const flapFor = time.Hour

// portProblems adds what is wrong with one RDMA port. A port that was down ever since we look may simply have no cable: that is a notice.
func portProblems(found []fleet.Problem, p *fleet.Port, i int, at time.Time, m remembered) []fleet.Problem {
	add := func(s fleet.Severity, text string, since time.Time) {
		found = append(found, fleet.Problem{Severity: s, Text: p.Name + " " + text, GPU: -1, Port: i, Since: since})
	}
	wasActive := m.names.of(portWasActive, i)
	down := m.since(portNotActive, i, p.State == portDown || p.State == portInit || p.State == portArmed, at)
	switch p.State {
	case portActive:
		m.Since(wasActive, true, at)
	case portDown:
		if _, was := m.Memory[wasActive]; was {
			add(fleet.Critical, "down", at.Add(-down))
		} else if p.PhysState != physDisabled {
			add(fleet.Notice, "down", time.Time{})
		}
	case portInit, portArmed:
		text := "not yet active"
		if p.LinkLayer == "InfiniBand" {
			text = "INIT: no subnet manager?"
		}
		add(fleet.Warning, text, at.Add(-down))
	}
	if n, last := m.downed(i, p.LinkDowned, at); n > 0 && at.Sub(last) < flapFor {
		s, text := fleet.Warning, fmt.Sprintf("link went down ×%d", n)
		if quiet := at.Sub(last); quiet >= calmAfter {
			s, text = fleet.Notice, text+", "+ago(quiet)
		}
		add(s, text, last)
	}
	return found
}

// downed counts by how much a port's link_downed rose since it was first seen, or since it last was quiet for flapFor, and says when it last did. A Memory
// holds times only: the counter's values are kept as times of that many seconds.
func (r remembered) downed(port int, now fleet.Reading, at time.Time) (n int64, last time.Time) {
	if !now.Known() {
		return 0, time.Time{}
	}
	m, from, to, when := r.Memory, r.names.of(downedFrom, port), r.names.of(downedTo, port), r.names.of(downedAt, port)
	v := int64(now)
	base, known := m[from]
	if !known || v < base.Unix() { // reset
		m[from], m[to] = time.Unix(v, 0), time.Unix(v, 0)
		delete(m, when)
		return 0, time.Time{}
	}
	if v > m[to].Unix() {
		m[to], m[when] = time.Unix(v, 0), at
	}
	last = m[when]
	if !last.IsZero() && at.Sub(last) >= flapFor {
		m[from] = time.Unix(v, 0)
		delete(m, when)
	}
	return v - base.Unix(), last
}
