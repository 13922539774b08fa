package telemetry

import "math"

// Absent is the value of a reading that is not there: the hardware or the driver does not give it. It is never zero.
const Absent int64 = math.MinInt64

// numMetrics is the length of the metric table.
const maxMetrics = 160

// State holds the latest reading of every metric of one node: per metric one column with a value an entity. A State is made for no
// particular node; columns come into being when first written. The zero State has no entities. Not safe for concurrent use.
type State struct {
	count [NumScopes]int
	cols  [maxMetrics][]int64
}

var _ = [1]struct{}{}[max(0, len(defs)-maxMetrics)] // the table fits

// Resize says how many entities a scope has (at most [MaxEntities]; more are ignored). Its readings become absent when the number changes.
func (s *State) Resize(sc Scope, n int) {
	n = max(0, min(n, MaxEntities(sc)))
	if s.count[sc] == n {
		return
	}
	s.count[sc] = n
	for i := range defs {
		if defs[i].ID.Scope() == sc {
			s.cols[i] = nil
		}
	}
}

// Count is the number of entities of a scope.
func (s *State) Count(sc Scope) int { return s.count[sc] }

// Set writes a reading, in the unit that the metric's name says. Entities beyond Count are ignored.
func (s *State) Set(m Metric, entity int, v int64) {
	if entity < 0 || entity >= s.count[m.Scope()] {
		return
	}
	i := slot(m)
	if s.cols[i] == nil {
		s.cols[i] = absentColumn(s.count[m.Scope()])
	}
	s.cols[i][entity] = v
}

// SetUint writes an unsigned reading; what does not fit an int64 is written as the largest one.
func (s *State) SetUint(m Metric, entity int, v uint64) {
	s.Set(m, entity, int64(min(v, math.MaxInt64)))
}

// Clear makes a reading absent.
func (s *State) Clear(m Metric, entity int) {
	if c := s.cols[slot(m)]; entity >= 0 && entity < len(c) {
		c[entity] = Absent
	}
}

// ClearEntity makes all readings of one entity absent.
func (s *State) ClearEntity(sc Scope, entity int) {
	for i := range defs {
		if c := s.cols[i]; defs[i].ID.Scope() == sc && entity < len(c) {
			c[entity] = Absent
		}
	}
}

// Get is a reading, [Absent] when there is none.
func (s *State) Get(m Metric, entity int) int64 {
	if c := s.cols[slot(m)]; entity >= 0 && entity < len(c) {
		return c[entity]
	}
	return Absent
}

// Column is the readings of all entities, or nil when none was ever written. It is the State's own memory: read it, do not keep it.
func (s *State) Column(m Metric) []int64 { return s.cols[slot(m)] }

// CopyFrom makes s equal to o and reuses memory where it can.
func (s *State) CopyFrom(o *State) {
	s.count = o.count
	for i := range o.cols {
		if o.cols[i] == nil {
			s.cols[i] = nil
			continue
		}
		s.cols[i] = append(s.cols[i][:0], o.cols[i]...)
	}
}

// CopyScope takes over one scope, its entities and readings, from o.
func (s *State) CopyScope(sc Scope, o *State) {
	s.count[sc] = o.count[sc]
	for i := range defs {
		if defs[i].ID.Scope() != sc {
			continue
		}
		if o.cols[i] == nil {
			s.cols[i] = nil
			continue
		}
		s.cols[i] = append(s.cols[i][:0], o.cols[i]...)
	}
}

func (s *State) reset() {
	for i := range s.cols {
		s.cols[i] = nil
	}
}

func absentColumn(n int) []int64 {
	c := make([]int64, n)
	for i := range c {
		c[i] = Absent
	}
	return c
}
