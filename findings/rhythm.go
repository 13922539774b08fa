package findings

import (
	"math/bits"
	"time"
)

// When a rhythm counts as learned, and for how long a pause is remembered.
const (
	learnFor   = 30 * time.Second // of work must have been seen
	pauseKept  = 6 * time.Hour
	maxDoubles = 16 // pauses of up to 2^15 s are told apart
)

// rhythm is what a job's own past teaches of its pauses: how long it stands still from time to time though all is well. Pauses are kept by their magnitude, so that
// those of every step do not push out the seldom ones of checkpoints and evaluations.
type rhythm struct {
	worked time.Duration // seen at work since it last started
	since  time.Time     // it pauses since; zero: it works
	told   bool          // this pause was told as a hang
	most   [maxDoubles]time.Duration
	when   [maxDoubles]time.Time
	alarms [maxDoubles]int // of pauses of this magnitude, those that were told
}

// note takes in whether the job pauses now, and whether it works; passed is the time since the last look.
func (r *rhythm) note(pauses, works bool, passed time.Duration, at time.Time) {
	switch {
	case pauses && r.since.IsZero():
		r.since, r.told = at, false
	case !pauses && !r.since.IsZero():
		r.learn(at.Sub(r.since), at)
		r.since = time.Time{}
	}
	if works {
		r.worked += passed
	}
}

// learn remembers a pause that ended by itself. One that was told as a hang was perhaps one: it teaches only when it comes again and again.
func (r *rhythm) learn(pause time.Duration, at time.Time) {
	i := min(bits.Len64(uint64(max(0, pause/time.Second))), maxDoubles-1)
	if at.Sub(r.when[i]) > pauseKept {
		r.most[i], r.alarms[i] = 0, 0
	}
	if r.told {
		if r.alarms[i]++; r.alarms[i] < 3 {
			return
		}
	}
	r.most[i], r.when[i] = max(r.most[i], pause), at
}

// longest is the longest pause that is known to be harmless.
func (r *rhythm) longest(at time.Time) time.Duration {
	for i := maxDoubles - 1; i >= 0; i-- {
		if r.most[i] > 0 && at.Sub(r.when[i]) <= pauseKept {
			return r.most[i]
		}
	}
	return 0
}

// learned says that enough was seen to know how long a pause may be.
func (r *rhythm) learned() bool { return r.worked >= learnFor }

// lasts is for how long it has paused.
func (r *rhythm) lasts(at time.Time) time.Duration {
	if r.since.IsZero() {
		return 0
	}
	return at.Sub(r.since)
}

// anew forgets that work was seen: the job started again, and compiles and loads before it works. What pauses it has stays known.
func (r *rhythm) anew() { r.worked, r.since = 0, time.Time{} }
