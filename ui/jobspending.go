package ui

import (
	"strings"

	"foretop/fleet"
)

// pendingColumns are those of the jobs that wait, w cells wide.
func pendingColumns(w int) []column {
	name := 10
	if w >= 120 {
		name = 12
	}
	return []column{
		{id: "job", title: "JOB", width: 6, ideal: 10},
		{id: "name", title: "NAME", width: name, ideal: 28, drop: 3},
		{id: "user", title: "USER", width: 6, ideal: 10, drop: 4},
		{id: "partition", title: "PARTITION", width: 9, ideal: 14, drop: 8},
		{id: "nodes", title: "NODES", width: 5, right: true, drop: 7, down: true},
		{id: "gpu", title: "GPU", width: 5, right: true, drop: 5, down: true},
		{id: "waited", title: "WAITED", width: 6, right: true, drop: 6, down: true},
		{id: "starts", title: "STARTS", width: 8, right: true, drop: 2},
		{id: "state", title: "WHY", width: 20, ideal: 48, rest: true},
	}
}

// togglePending shows the jobs that wait, or again those that run.
func (m *Model) togglePending() {
	s := &m.jobs
	s.pending = !s.pending
	s.first()
	s.sort, s.reverse, s.rangeAt = "state", false, ""
	m.rearrange()
}

// waited is since when a job waits.
func (m *Model) waited(j *fleet.Job) string {
	if j.Told == nil || j.Told.SubmitAt.IsZero() {
		return absent
	}
	return formatAge(max(0, m.snap.At.Sub(j.Told.SubmitAt)))
}

// starts is when its scheduler expects a job to start: "in 1h10m".
func (m *Model) starts(j *fleet.Job) string {
	if j.Told == nil || j.Told.StartAt.IsZero() {
		return absent
	}
	d := j.Told.StartAt.Sub(m.snap.At)
	if d <= 0 {
		return "now"
	}
	return "in " + formatAge(d)
}

// emptyPending says why there is no job that waits to be seen.
func (m *Model) emptyPending(a area) {
	switch {
	case len(m.snap.Schedulers) == 0:
		say(a, "not known: no scheduler is asked", "p shows the jobs that run")
	case m.jobs.active() && len(m.snap.Pending) > 0:
		say(a, "no job that waits is chosen by "+strings.TrimSpace(m.jobs.words()), `\ shows all `+count(len(m.snap.Pending), "job")+" that wait")
	default:
		for i := range m.snap.Schedulers {
			if p := m.snap.Schedulers[i].Problem; p != nil {
				say(a, m.snap.Schedulers[i].Kind+" does not answer: "+p.Text, strings.TrimSpace(p.Remedy+" · p shows the jobs that run"))
				return
			}
		}
		say(a, "no job waits", "p shows the jobs that run")
	}
}
