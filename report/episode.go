package report

import (
	"cmp"
	"slices"
	"time"

	"foretop/fleet"
)

// episode is a finding from its beginning to its end, as far as snapshots show it.
type episode struct {
	fleet.Stated
	Begin time.Time
	End   time.Time // when it was first seen to be gone; zero: it stood at the end
	Again int       // how often it went and came again
	last  int       // number of the snapshot that it was last in
}

// episodes joins findings of successive snapshots by their ids.
type episodes struct {
	byID map[string]*episode
	list []*episode
}

// take adds the findings of the snapshot numbered i, the next after the last one; of says which belong to the report.
func (e *episodes) take(s *fleet.Snapshot, i int, of func(*fleet.Stated) bool) {
	if e.byID == nil {
		e.byID = map[string]*episode{}
	}
	for _, f := range s.Stated(fleet.Notice) {
		if !of(&f) {
			continue
		}
		clean(&f)
		old := e.byID[f.ID]
		if old == nil {
			begin := f.Since
			if begin.IsZero() || begin.After(s.At) {
				begin = s.At
			}
			old = &episode{Stated: f, Begin: begin, last: i}
			e.byID[f.ID] = old
			e.list = append(e.list, old)
			continue
		}
		if !old.End.IsZero() {
			old.End = time.Time{}
			old.Again++
		}
		old.last = i
		old.learn(&f)
	}
	for _, old := range e.list {
		if old.last < i && old.End.IsZero() {
			old.End = s.At
		}
	}
}

// learn keeps the worst that was said of it, and the most evidence.
func (e *episode) learn(f *fleet.Stated) {
	if f.Severity >= e.Severity {
		e.Severity, e.Text = f.Severity, f.Text
	}
	if len(f.Evidence) > len(e.Evidence) {
		e.Evidence = f.Evidence
	}
	e.Remedy, e.Rule = cmp.Or(e.Remedy, f.Remedy), cmp.Or(e.Rule, f.Rule)
	e.KnownBad = e.KnownBad && f.KnownBad
	if !f.Since.IsZero() && f.Since.Before(e.Begin) {
		e.Begin = f.Since
	}
}

// within are the episodes that reach into a time, in the order in which they began; of more than may be told the mildest are left out.
func (e *episodes) within(from, to time.Time) (list []episode, left int) {
	for _, ep := range e.list {
		if ep.Begin.After(to) || !ep.End.IsZero() && ep.End.Before(from) {
			continue
		}
		list = append(list, *ep)
	}
	if len(list) > maxEpisodes {
		slices.SortStableFunc(list, func(a, b episode) int { return -cmp.Compare(a.Severity, b.Severity) })
		left = len(list) - maxEpisodes
		list = list[:maxEpisodes]
	}
	slices.SortStableFunc(list, func(a, b episode) int {
		return cmp.Or(a.Begin.Compare(b.Begin), -cmp.Compare(a.Severity, b.Severity), cmp.Compare(a.ID, b.ID))
	})
	return list, left
}

// clean makes a finding's words fit to be written.
func clean(f *fleet.Stated) {
	for _, s := range []*string{&f.ID, &f.Rule, &f.Text, &f.Remedy, &f.Node, &f.GPUUUID, &f.Port, &f.Job, &f.JobID, &f.JobName, &f.User} {
		*s = plain(*s)
	}
	lines := make([]string, 0, min(len(f.Evidence), maxEvidence))
	for _, l := range f.Evidence[:min(len(f.Evidence), maxEvidence)] {
		lines = append(lines, plain(l))
	}
	f.Evidence = lines
}
