package fleet

import (
	"math"
	"time"

	"foretop/telemetry"
)

// clockWindow is over which the sample that took least to come here is looked for: that one says most of the node's clock.
const clockWindow = 30 * time.Second

// clockSight is how far a node's wall clock is from ours, as its samples tell it: what a sample took to come here makes the clock seem to be behind, so the
// highest of some samples is the nearest to the truth. The zero value knows nothing.
type clockSight struct {
	best, before float64 // seconds, of this window and the last one; NaN: none
	told         bool
	from         time.Time // of this window
	way          Reading   // the most that a frame takes to come here, in seconds: what the node needed to answer when the stream began; absent: not known
	askedAt      time.Time // when it was told to start; zero: it has answered
}

// restart forgets: another stream may go another way, and the clock may have been set.
func (c *clockSight) restart() { *c = clockSight{way: None()} }

// ask notes that the node was told to start; heard, that something came of it since.
func (c *clockSight) ask(at time.Time) { c.askedAt = at }

func (c *clockSight) heard(at time.Time) {
	if !c.askedAt.IsZero() {
		c.way, c.askedAt = Reading(max(0, at.Sub(c.askedAt).Seconds())), time.Time{}
	}
}

// sample takes in when a sample was made by the node's monotonic clock, by how much its wall clock is ahead of that one, and when the sample came.
func (c *clockSight) sample(monoMS, wallOffsetMS int64, at time.Time) {
	if wallOffsetMS == telemetry.Absent {
		c.told = false
		return
	}
	seconds := float64(monoMS+wallOffsetMS-at.UnixMilli()) / 1000
	switch {
	case !c.told:
		c.best, c.before, c.told, c.from = seconds, math.NaN(), true, at
	case at.Sub(c.from) >= clockWindow || at.Before(c.from):
		c.best, c.before, c.from = seconds, c.best, at
	default:
		c.best = max(c.best, seconds)
	}
}

// offset is by how much the node's clock is ahead of ours, at least.
func (c *clockSight) offset() Reading {
	switch {
	case !c.told:
		return None()
	case math.IsNaN(c.before):
		return Reading(c.best)
	}
	return Reading(max(c.best, c.before))
}
