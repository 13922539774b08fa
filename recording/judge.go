package recording

import (
	"reflect"
	"slices"
	"time"

	"foretop/fleet"
	"foretop/telemetry"
)

// judge records what was found, as it was worded then: what a replay shows was said at the time, not what its rules would say. It gives the findings that begin.
func (r *Recorder) judge(s *fleet.Snapshot, joined fleet.Join) []Mark {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now = s.At
	us := micros(s.At)
	switch joined {
	case fleet.Assembled:
		r.here(us).record(recAssemble, 0, us)
	case fleet.JoinedAgain:
		r.here(us).record(recJoin, 0, us)
	}
	if d := s.At.Sub(r.judged); d >= 0 && d < judgeEvery {
		return nil
	}
	r.judged = s.At
	for _, v := range s.Nodes {
		n := r.nodes[v.Name]
		if n == nil || len(n.problems)+len(v.Problems) == 0 {
			continue
		}
		for i := range v.Problems {
			p := &v.Problems[i]
			r.marks.see(findingKey{v.Name, p.Rule, shapeOf(p.Rule, p.Text), p.GPU, p.Port}, s.At, p.Severity, v.Name+" "+p.Text)
		}
		if reflect.DeepEqual(n.problems, v.Problems) {
			continue
		}
		n.problems = v.Problems
		r.json(n.seg, recProblems, n.index, us, v.Problems)
	}
	r.count(s, us)
	present := make(map[string]bool, len(s.Jobs))
	for _, j := range s.Jobs {
		present[j.Key] = true
		v := verdict{Key: j.Key, State: j.State, Severity: j.Severity, Text: j.StateText, Findings: j.Findings, Unchecked: j.Unchecked, RAS: j.RAS}
		if j.Severity >= fleet.Warning {
			r.marks.see(findingKey{j.Key, "", uint64(j.State), 0, 0}, s.At, j.Severity, jobName(j)+" "+j.StateText)
		}
		if was, ok := r.verdicts[j.Key]; ok && reflect.DeepEqual(was, v) {
			continue
		}
		r.verdicts[j.Key] = v
		r.json(r.here(us), recJob, 0, us, v)
	}
	for key := range r.verdicts {
		if !present[key] {
			delete(r.verdicts, key)
			r.json(r.here(us), recJob, 0, us, verdict{Key: key, Gone: true})
		}
	}
	r.keepIncidents(s, us)
	return r.marks.fresh(s.At)
}

// countEvery is how often what persons held is recorded while they are the same; between it is counted on.
const countEvery = 10 * time.Second

func (r *Recorder) count(s *fleet.Snapshot, us int64) {
	names := make([]string, len(s.Users))
	for i, u := range s.Users {
		names[i] = u.Name
	}
	slices.Sort(names)
	if slices.Equal(names, r.users) && s.At.Sub(r.counted) < countEvery && !s.At.Before(r.counted) {
		return
	}
	r.users, r.counted = names, s.At
	spent := make(map[string]fleet.KeptSpent, len(s.Users))
	for _, u := range s.Users {
		if !u.Since.IsZero() {
			spent[u.Name] = fleet.KeptSpent{Held: u.HeldHours, Idle: u.IdleHours, Since: u.Since, Seen: s.At}
		}
	}
	r.json(r.here(us), recSpent, 0, us, spent)
}

func jobName(j *fleet.Job) string {
	if j.Name == "" || j.Name == j.ID {
		return j.ID
	}
	return j.ID + " " + j.Name
}

// shapeOf tells findings of one rule apart where the rule has no id.
func shapeOf(rule, text string) uint64 {
	if rule != "" {
		return 0
	}
	return telemetry.Shape(text)
}

// findingKey is one finding, however it is worded by the second.
type findingKey struct {
	subject, rule string
	shape         uint64
	gpu, port     int
}

// A finding that was not there for quietFor begins anew; at most maxMarks beginnings are kept, the latest.
const (
	quietFor = time.Minute
	maxMarks = 10_000
)

// marks are the findings that began.
type marks struct {
	seen map[findingKey]time.Time
	list []Mark
	news []Mark
}

// see takes in that a finding is there.
func (m *marks) see(k findingKey, at time.Time, severity fleet.Severity, text string) {
	if severity < fleet.Warning {
		return
	}
	if m.seen == nil {
		m.seen = map[findingKey]time.Time{}
	}
	last, known := m.seen[k]
	m.seen[k] = at
	if known && at.Sub(last) < quietFor {
		return
	}
	m.news = append(m.news, Mark{at, severity, telemetry.Clean(text, 256)})
}

// fresh gives those that began since it was last asked.
func (m *marks) fresh(now time.Time) []Mark {
	news := m.news
	m.news = nil
	m.list = append(m.list, news...)
	m.list = m.list[max(0, len(m.list)-maxMarks):]
	for k, at := range m.seen {
		if now.Sub(at) >= quietFor {
			delete(m.seen, k)
		}
	}
	return news
}

// forget drops those before a time.
func (m *marks) forget(before time.Time) {
	i := 0
	for i < len(m.list) && m.list[i].At.Before(before) {
		i++
	}
	m.list = slices.Delete(m.list, 0, i)
}
