package fleet

import (
	"time"

	"foretop/telemetry"
)

// clockSight is how far a node's wall clock is from ours. A sample tells by how much the wall clock is ahead of the monotonic one, which does not depend on how long the sample was on its
// way; the sample that took least ([linkPace]) tells what our clock says when the monotonic one says something.
type clockSight struct {
	wallOffsetMS int64
	told         bool
	way          Reading   // the most that a frame takes to come here, in seconds: what the node needed to answer when the stream began; absent: not known
	askedAt      time.Time // when it was told to start; zero: it has answered
}

// restart forgets: another stream may go another way.
func (c *clockSight) restart() { *c = clockSight{way: None()} }

// ask notes that the node was told to start; heard, that something came of it since.
func (c *clockSight) ask(at time.Time) { c.askedAt = at }

func (c *clockSight) heard(at time.Time) {
	if !c.askedAt.IsZero() {
		c.way, c.askedAt = Reading(max(0, at.Sub(c.askedAt).Seconds())), time.Time{}
	}
}

func (c *clockSight) sample(wallOffsetMS int64) {
	c.wallOffsetMS, c.told = wallOffsetMS, wallOffsetMS != telemetry.Absent
}

// clockOffset is by how much the node's wall clock is ahead of ours, in seconds. What even the quickest sample took to come here makes it seem less.
func (n *node) clockOffset() Reading {
	if !n.clock.told || !n.pace.told {
		return None()
	}
	ours := n.boot.Add(n.pace.least) // when its monotonic clock began, by ours
	return Reading(float64(n.clock.wallOffsetMS-ours.UnixMilli()) / 1000)
}
