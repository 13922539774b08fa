package recording

import (
	"reflect"
	"slices"

	"foretop/fleet"
)

// incident is one incident as it was; Gone: it is over, and shown no more.
type incident struct {
	ID   string
	Gone bool `json:",omitempty"`
	*fleet.Incident
}

// shownIncidents are the incidents of a moment, and in what order they were shown.
type shownIncidents struct {
	byID  map[string]fleet.Incident
	order []string
}

// maxIncidents bounds those of one moment that a recording may tell.
const maxIncidents = 10_000

// keepIncidents records what changed of the incidents.
func (r *Recorder) keepIncidents(s *fleet.Snapshot, us int64) {
	if len(s.Incidents)+len(r.incidents.order) == 0 {
		return
	}
	order := make([]string, len(s.Incidents))
	for i := range s.Incidents {
		in := &s.Incidents[i]
		order[i] = in.ID
		if was, ok := r.incidents.byID[in.ID]; ok && reflect.DeepEqual(was, *in) {
			continue
		}
		if r.incidents.byID == nil {
			r.incidents.byID = map[string]fleet.Incident{}
		}
		r.incidents.byID[in.ID] = *in
		r.json(r.here(us), recIncident, 0, us, incident{ID: in.ID, Incident: in})
	}
	if slices.Equal(order, r.incidents.order) {
		return
	}
	for _, id := range r.incidents.order {
		if !slices.Contains(order, id) {
			delete(r.incidents.byID, id)
			r.json(r.here(us), recIncident, 0, us, incident{ID: id, Gone: true})
		}
	}
	r.incidents.order = order
	r.json(r.here(us), recOrder, 0, us, order)
}

// keyIncidents begins a segment with all incidents that there are.
func (r *Recorder) keyIncidents(next *segment, us int64) {
	for _, id := range r.incidents.order {
		in := r.incidents.byID[id]
		r.json(next, recIncident|keyBit, 0, us, incident{ID: id, Incident: &in})
	}
	if len(r.incidents.order) > 0 {
		r.json(next, recOrder|keyBit, 0, us, r.incidents.order)
	}
}

// heard takes an incident in as a recording tells it, which may be anything.
func (i *shownIncidents) heard(one incident) {
	switch {
	case one.Gone || one.Incident == nil || len(one.Members) == 0 || len(one.Members) > fleet.MaxMembers:
		delete(i.byID, one.ID)
	case len(i.byID) < maxIncidents:
		in := *one.Incident
		in.ID, in.Severity = one.ID, min(in.Severity, fleet.Critical)
		for k := range in.Members {
			m := &in.Members[k]
			m.Severity, m.Cause = min(m.Severity, fleet.Critical), min(m.Cause, fleet.Environment)
			m.Subject.GPU, m.Subject.Port = bounded(m.Subject.GPU), bounded(m.Subject.Port)
		}
		i.byID[one.ID] = in
	}
}

// bounded is a GPU's or a port's number, -1 where it is none that a node may have.
func bounded(number int) int {
	if number < 0 || number >= 4096 {
		return -1
	}
	return number
}

// list is all of them, as they were shown.
func (i *shownIncidents) list() (out []fleet.Incident) {
	for _, id := range i.order {
		if in, ok := i.byID[id]; ok {
			out = append(out, in)
		}
	}
	return out
}
