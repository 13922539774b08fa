package report

import (
	"cmp"
	"slices"
	"time"

	"foretop/fleet"
)

const (
	maxIncidents = 100
	maxMembers   = 24 // of one
)

// incidents are those of all snapshots, each as it was told last.
type incidents struct {
	byID map[string]fleet.Incident
}

// take adds those of a snapshot; of says which belong to the report.
func (b *incidents) take(s *fleet.Snapshot, of func(*fleet.Incident) bool) {
	if b.byID == nil {
		b.byID = map[string]fleet.Incident{}
	}
	for i := range s.Incidents {
		in := &s.Incidents[i]
		if len(in.Members) == 0 || !of(in) {
			continue
		}
		now := *in
		if old, known := b.byID[in.ID]; known && old.Severity > now.Severity {
			now.Severity = old.Severity
		}
		b.byID[in.ID] = now
	}
}

// within are the incidents of a time, by severity, then as they began.
func (b *incidents) within(from, to time.Time) (list []fleet.Incident, left int) {
	for _, in := range b.byID {
		if in.Since.After(to) || !in.Until.IsZero() && in.Until.Before(from) {
			continue
		}
		list = append(list, in)
	}
	slices.SortFunc(list, func(a, b fleet.Incident) int {
		return cmp.Or(-cmp.Compare(a.Severity, b.Severity), a.Since.Compare(b.Since), cmp.Compare(a.ID, b.ID))
	})
	if left = len(list) - maxIncidents; left > 0 {
		list = list[:maxIncidents]
	}
	return list, max(left, 0)
}

// incidentView is one incident in words: its root first, then what followed.
type incidentView struct {
	Class, Sign, Severity, Title, From, To, Fold, Mark, ID string
	Members                                                []memberView
	More                                                   int
}

type memberView struct{ At, Later, Subject, Text string }

func (s *story) incident(in *fleet.Incident) incidentView {
	v := incidentView{
		Class: in.Severity.String(), Sign: sign(in.Severity), Severity: in.Severity.String(), Title: plain(in.Title), From: s.moment(in.Since), To: "stood at the end", Fold: plain(in.Fold),
		ID: plain(in.ID), More: in.Cut + max(0, len(in.Members)-maxMembers),
	}
	if !in.Until.IsZero() {
		v.To = "over at " + s.moment(in.Until)
	}
	if in.Mark.Kind != fleet.Unmarked {
		v.Mark = in.Mark.Kind.String()
		if in.Mark.By != "" {
			v.Mark += " by " + plain(in.Mark.By)
		}
		if !in.Mark.At.IsZero() {
			v.Mark += " at " + s.moment(in.Mark.At)
		}
	}
	root := in.Members[0].Since
	for i := range in.Members[:min(len(in.Members), maxMembers)] {
		f := &in.Members[i]
		m := memberView{At: "", Subject: plain(f.Where()), Text: plain(f.Text)}
		if !f.Since.IsZero() {
			m.At = s.moment(f.Since)
		}
		if d := f.Since.Sub(root).Round(time.Second); i > 0 && d > 0 && !root.IsZero() {
			m.Later = d.String() + " later"
		}
		v.Members = append(v.Members, m)
	}
	return v
}
