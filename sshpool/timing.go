package sshpool

import (
	"math/rand/v2"
	"time"
)

// Timing holds every wait of the pool. A zero field takes the default named beside it.
type Timing struct {
	Resolve   time.Duration // one `ssh -G`: 15 s (Match exec and canonicalisation may ask DNS)
	Dial      time.Duration // TCP connect, jump hosts' channel included: 10 s
	Handshake time.Duration // from TCP to authenticated: 20 s
	Start     time.Duration // from the exec request to the start line: 30 s
	Home      time.Duration // a node's look into its shared folder, which may hang: 10 s (whole seconds)
	Upload    time.Duration // putting one file on a node: 5 min
	Share     time.Duration // waiting for another node's upload into a shared folder: 15 s from its begin
	Still     time.Duration // an upload of which the node takes nothing for so long no longer counts among those in flight: 5 s
	Quiet     time.Duration // silence of a stream until it is stale: 2.75 s (reported within 3 s)
	Gone      time.Duration // silence without an answer to a keepalive until it is lost: 10 s
	Reprobe   time.Duration // between keepalives to a stale but answering node: 5 s
	TrustLook time.Duration // between looks whether the user took a host key that was not trusted: 2 s
	Sweep     time.Duration // between looks at all streams: 200 ms

	BackoffMin time.Duration // first wait after a loss: 1 s
	// BackoffNear is the longest wait while nobody listens there (a bare SYN costs the node nothing): 6 s. A dial that was begun too early for
	// the node's return lasts up to 3 s more (the kernel's last SYN goes out after 7 s of 10): with both, it is live within 10 s.
	BackoffNear time.Duration

	BackoffMax  time.Duration // longest wait else: 60 s, but for ShortOutage no more than BackoffNear
	BackoffLong time.Duration // first wait of a node that misbehaves or cannot take the collector: 60 s, growing tenfold
	ShortOutage time.Duration // for so long after a node was live its return is awaited, however it fails: 1 min
	LongOutage  time.Duration // after this, BackoffNear no longer holds: 10 min
}

func (t Timing) withDefaults() Timing {
	set := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	set(&t.Resolve, 15*time.Second)
	set(&t.Dial, 10*time.Second)
	set(&t.Handshake, 20*time.Second)
	set(&t.Start, 30*time.Second)
	set(&t.Home, 10*time.Second)
	set(&t.Upload, 5*time.Minute)
	set(&t.Share, 15*time.Second)
	set(&t.Still, 5*time.Second)
	set(&t.Quiet, 2750*time.Millisecond)
	set(&t.Gone, 10*time.Second)
	set(&t.Reprobe, 5*time.Second)
	set(&t.TrustLook, 2*time.Second)
	set(&t.Sweep, 200*time.Millisecond)
	set(&t.BackoffMin, time.Second)
	set(&t.BackoffNear, 6*time.Second)
	set(&t.BackoffMax, time.Minute)
	set(&t.BackoffLong, time.Minute)
	set(&t.ShortOutage, time.Minute)
	set(&t.LongOutage, 10*time.Minute)
	return t
}

// backoff gives the wait before try number attempt+1: full jitter under a ceiling that doubles from BackoffMin.
// The jitter spreads a thousand nodes that were lost in the same second.
func (t Timing) backoff(attempt int, again pause, outage time.Duration) time.Duration {
	first, ceiling := t.BackoffMin, t.BackoffMax
	switch again {
	case pauseBack:
		if outage < t.ShortOutage {
			ceiling = t.BackoffNear
		}
	case pauseNear:
		if outage < t.LongOutage {
			ceiling = t.BackoffNear
		}
	case pauseLong:
		first, ceiling = t.BackoffLong, 10*t.BackoffLong
	}
	d := first
	for i := 1; i < attempt && d < ceiling; i++ {
		d *= 2
	}
	d = min(d, ceiling)
	if again == pauseLong {
		return d + rand.N(d/4+1)
	}
	return d/8 + rand.N(d-d/8+1)
}
