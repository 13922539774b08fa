package findings

import (
	"time"

	"foretop/fleet"
)

// rising are the names under which a counter that should stand still is remembered. A Memory holds times only: the counter's values are kept as times of that many seconds.
type rising struct{ from, to, at string }

var (
	memoryUncorrected = rising{"memory uncorrected from", "memory uncorrected to", "memory uncorrected at"}
	memoryCorrected   = rising{"memory corrected from", "memory corrected to", "memory corrected at"}
)

// grown says by how much a counter grew since it was first seen, or since it last was quiet for an hour, and when it last did.
func (r remembered) grown(c rising, now fleet.Reading, at time.Time) (n int64, last time.Time) {
	m, v := r.Memory, int64(now)
	base, known := m[c.from]
	if !known || v < base.Unix() { // first seen, or reset
		m[c.from], m[c.to] = time.Unix(v, 0), time.Unix(v, 0)
		delete(m, c.at)
		return 0, time.Time{}
	}
	if v > m[c.to].Unix() {
		m[c.to], m[c.at] = time.Unix(v, 0), at
	}
	last = m[c.at]
	if !last.IsZero() && at.Sub(last) >= fleet.RiseKept {
		m[c.from] = time.Unix(v, 0)
		delete(m, c.at)
		return 0, time.Time{}
	}
	return v - base.Unix(), last
}
