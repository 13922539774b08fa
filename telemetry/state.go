package telemetry

import "math"

// Absent is the value of a reading that is not there: the hardware or the driver does not give it. It is never zero.
const Absent int64 = math.MinInt64

// State holds the latest reading of every metric of one node. The zero State has no entities. Not safe for concurrent use.
//
// A scope's readings of one level lie in one block, a column of entities a metric, which comes into being with the first reading: thousands of States
// fit into memory, for of nearly all of them only the base level is ever told.
type State struct {
	count   [NumScopes]int
	block   [NumScopes][numLevels][]int64
	written [(maxMetrics + 63) / 64]uint64 // columns that were ever written since their scope was resized
	quanta  bool                           // readings are held in quanta, as they travel
}

// maxMetrics bounds the length of the metric table.
const maxMetrics = 320

// scopeSpan is where a scope's metrics stand in the table.
type scopeSpan struct{ first, end int }

var spans = func() (s [NumScopes]scopeSpan) {
	for i, d := range defs {
		sc := d.ID.Scope()
		if s[sc].end == 0 {
			s[sc].first = i
		} else if s[sc].end != i {
			panic("metric table: scopes are mixed at " + d.Name)
		}
		s[sc].end = i + 1
	}
	return s
}()

// places says where a metric's column lies in its block, columns how many there are in each.
var places, columns = func() (at [maxMetrics]int, n [NumScopes][numLevels]int) {
	for i, d := range defs {
		at[i] = n[d.ID.Scope()][d.Level]
		n[d.ID.Scope()][d.Level]++
	}
	return at, n
}()

// Resize says how many entities a scope has (at most [MaxEntities]; more are ignored). Its readings become absent when the number changes.
func (s *State) Resize(sc Scope, n int) {
	n = max(0, min(n, MaxEntities(sc)))
	if s.count[sc] != n {
		s.count[sc] = n
		s.drop(sc)
	}
}

// Count is the number of entities of a scope.
func (s *State) Count(sc Scope) int { return s.count[sc] }

// Set writes a reading, in the unit that the metric's name says. Entities beyond Count are ignored.
func (s *State) Set(m Metric, entity int, v int64) {
	if entity >= 0 && entity < s.count[m.Scope()] {
		s.make(slot(m))[entity] = v
	}
}

// SetUint writes an unsigned reading; what does not fit an int64 is written as the largest one.
func (s *State) SetUint(m Metric, entity int, v uint64) {
	s.Set(m, entity, int64(min(v, math.MaxInt64)))
}

// Clear makes a reading absent.
func (s *State) Clear(m Metric, entity int) {
	if c := s.column(slot(m)); entity >= 0 && entity < len(c) {
		c[entity] = Absent
	}
}

// ClearEntity makes all readings of one entity absent.
func (s *State) ClearEntity(sc Scope, entity int) {
	for i := spans[sc].first; i < spans[sc].end; i++ {
		if c := s.column(i); entity >= 0 && entity < len(c) {
			c[entity] = Absent
		}
	}
}

// Get is a reading, [Absent] when there is none.
func (s *State) Get(m Metric, entity int) int64 {
	i := slot(m)
	c := s.column(i)
	if entity < 0 || entity >= len(c) {
		return Absent
	}
	return s.value(i, c[entity])
}

// Has says whether the metric was ever read of any entity.
func (s *State) Has(m Metric) bool { return s.column(slot(m)) != nil }

// Column is the readings of all entities, or nil when none was ever written. It is to be read, not kept: it may be the State's own memory.
func (s *State) Column(m Metric) []int64 {
	i := slot(m)
	c := s.column(i)
	if c == nil || !s.quanta {
		return c
	}
	values := make([]int64, len(c))
	for j, held := range c {
		values[j] = s.value(i, held)
	}
	return values
}

// CopyFrom makes s equal to o and reuses memory where it can.
func (s *State) CopyFrom(o *State) {
	for sc := range NumScopes {
		s.CopyScope(sc, o)
	}
}

// CopyScope takes over one scope, its entities and readings, from o. s must not be a [Decoder]'s.
func (s *State) CopyScope(sc Scope, o *State) {
	s.count[sc] = o.count[sc]
	s.drop(sc)
	for i := spans[sc].first; i < spans[sc].end; i++ {
		if c := o.column(i); c != nil {
			to := s.make(i)
			for j, held := range c {
				to[j] = o.value(i, held)
			}
		}
	}
}

// CopyScopeTo takes over the readings of one scope from o as those of entities from at on; what o has not is absent here. Neither State may be a [Decoder]'s.
// Entities beyond Count are ignored.
func (s *State) CopyScopeTo(sc Scope, o *State, at int) {
	n := min(o.count[sc], s.count[sc]-at)
	for i := spans[sc].first; i < spans[sc].end && n > 0; i++ {
		from := o.column(i)
		if from == nil {
			if to := s.column(i); to != nil {
				absent(to[at : at+n])
			}
			continue
		}
		copy(s.make(i)[at:at+n], from)
	}
}

// column is the readings of all entities as they are held, nil when none was ever written.
func (s *State) column(i int) []int64 {
	if s.written[i>>6]&(1<<(i&63)) == 0 {
		return nil
	}
	sc := defs[i].ID.Scope()
	n := s.count[sc]
	at := places[i] * n
	return s.block[sc][defs[i].Level][at : at+n : at+n]
}

// make is the column, all absent if it was never written.
func (s *State) make(i int) []int64 {
	sc, level := defs[i].ID.Scope(), defs[i].Level
	if b := &s.block[sc][level]; len(*b) == 0 {
		*b = make([]int64, s.count[sc]*columns[sc][level])
	}
	if bit := uint64(1) << (i & 63); s.written[i>>6]&bit == 0 {
		s.written[i>>6] |= bit
		absent(s.column(i))
	}
	return s.column(i)
}

// drop forgets a scope's readings; its memory is kept for the same number of entities.
func (s *State) drop(sc Scope) {
	for i := spans[sc].first; i < spans[sc].end; i++ {
		s.written[i>>6] &^= 1 << (i & 63)
	}
	for level, b := range s.block[sc] {
		if len(b) != s.count[sc]*columns[sc][level] {
			s.block[sc][level] = nil
		}
	}
}

// value is what a held reading stands for.
func (s *State) value(i int, held int64) int64 {
	if s.quanta && held != Absent {
		return held * defs[i].Quantum
	}
	return held
}

func absent(c []int64) {
	for i := range c {
		c[i] = Absent
	}
}
