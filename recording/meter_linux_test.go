package recording

import (
	"time"

	"foretop/fleet"
	"foretop/schedulers"
	"foretop/telemetry"
)

// meter is a tap that measures what recording takes.
type meter struct {
	r     *Recorder
	spent *time.Duration
}

func (m *meter) took(began time.Time) { *m.spent += time.Since(began) }

func (m *meter) Joined(name string, listed bool, at time.Time) {
	defer m.took(time.Now())
	m.r.Joined(name, listed, at)
}
func (m *meter) Left(name string, at time.Time) {
	defer m.took(time.Now())
	m.r.Left(name, at)
}
func (m *meter) Status(name string, s *fleet.Status, at time.Time) {
	defer m.took(time.Now())
	m.r.Status(name, s, at)
}
func (m *meter) Level(name string, detail bool, at time.Time) {
	defer m.took(time.Now())
	m.r.Level(name, detail, at)
}
func (m *meter) Sample(name string, d *telemetry.Decoder, at time.Time) {
	defer m.took(time.Now())
	m.r.Sample(name, d, at)
}
func (m *meter) Frame(name string, kind telemetry.Kind, payload []byte, at time.Time) {
	defer m.took(time.Now())
	m.r.Frame(name, kind, payload, at)
}
func (m *meter) Scheduled(p *schedulers.Picture, at time.Time) {
	defer m.took(time.Now())
	m.r.Scheduled(p, at)
}
func (m *meter) Logged(job string, l *fleet.LogTail, at time.Time) {
	defer m.took(time.Now())
	m.r.Logged(job, l, at)
}
func (m *meter) Published(s *fleet.Snapshot, joined bool, keep fleet.Keep) {
	defer m.took(time.Now())
	m.r.Published(s, joined, keep)
}
