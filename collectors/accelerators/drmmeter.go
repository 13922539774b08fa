package accelerators

import "foretop/telemetry"

// meter is a counter whose growth over the last interval is wanted.
type meter struct {
	file      gauge
	last      int64
	lastMS    int64
	grown, ms int64 // over the last interval; ms 0: none yet
}

func newMeter(g gauge) meter { return meter{file: g, last: telemetry.Absent} }

// read gives the counter's value. A counter that went back begins anew.
func (m *meter) read(now int64) (int64, error) {
	v, err := m.file.number()
	m.grown, m.ms = 0, 0
	if v != telemetry.Absent && m.last != telemetry.Absent && v >= m.last && now > m.lastMS {
		m.grown, m.ms = v-m.last, now-m.lastMS
	}
	m.last, m.lastMS = v, now
	return v, err
}

// perMS is the growth by a millisecond, absent without an interval.
func (m *meter) perMS(by int64) int64 {
	if m.ms == 0 || m.grown > 1<<56 {
		return telemetry.Absent
	}
	return m.grown * by / m.ms
}
