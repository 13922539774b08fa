package fleet

import "time"

// A way that is too slow for what a node sends keeps samples in its queues: they arrive later and later by the node's own clock. Nothing can be thrown away there, so the node is asked for fewer:
// what it does not send it does not keep either, for a sample is made when it is sent.

const (
	usualEvery   = time.Second
	slowestEvery = 4 * time.Second
	lateBy       = 1500 * time.Millisecond // beyond the shortest time a sample took
	lateFor      = 4 * time.Second         // so long before the pace is lowered
	timelyFor    = 30 * time.Second        // and before it is raised
	timelyAtMost = 2 * time.Minute         // the same, where raising it made samples late again
	raiseFails   = time.Minute             // late so soon after it was raised: the way is no wider than before
	lateStays    = 90 * time.Second        // late for so long at the slowest pace: no queue, but a clock that jumped
	clockDrift   = time.Millisecond        // a sample: how fast clocks may run apart
)

// linkPace is how often a node is asked for samples, by how late they come. The zero value is a new stream's.
type linkPace struct {
	every  time.Duration // as its way here asks for; 0: the usual
	spared time.Duration // as the fleet's size asks for; 0: the usual
	asked  time.Duration // what the node was told last; 0: nothing yet
	least  time.Duration // the smallest difference of our clock to the node's
	told   bool
	late   time.Duration // the last sample's
	turned time.Time     // since when samples have been late, or timely
	isLate bool
	wait   time.Duration // how long samples must be timely before the pace is raised; 0: timelyFor
	raised time.Time     // when it was, last
}

// sample takes in when the node made one by its clock, and when it came. It says whether another pace is due.
func (p *linkPace) sample(mono time.Duration, at time.Time, boot time.Time) bool {
	took := at.Sub(boot) - mono
	if !p.told {
		p.least, p.told, p.turned = took, true, at
		return false
	}
	p.least = min(p.least+clockDrift, took)
	p.late = took - p.least
	if late := p.late > lateBy; late != p.isLate {
		p.isLate, p.turned = late, at
	}
	held := at.Sub(p.turned)
	now := max(p.every, usualEvery)
	switch {
	case p.isLate && now < slowestEvery && held >= lateFor:
		p.every = min(2*now, slowestEvery)
		if wait := max(p.wait, timelyFor); at.Sub(p.raised) < raiseFails {
			p.wait = min(2*wait, timelyAtMost)
		} else {
			p.wait = timelyFor
		}
	case p.isLate && held >= lateStays:
		p.least += p.late
		p.isLate, p.late = false, 0
		p.turned = at
		return false
	case !p.isLate && now > usualEvery && held >= max(p.wait, timelyFor):
		p.every = max(now/2, usualEvery)
		p.raised = at
	default:
		return false
	}
	p.turned = at
	return true
}

// due is the pace that the node is to be told; 0: it knows.
func (p *linkPace) due() time.Duration {
	now := p.pace()
	if now == max(p.asked, usualEvery) {
		return 0
	}
	p.asked = now
	return now
}

func (p *linkPace) pace() time.Duration { return max(p.every, p.spared, usualEvery) }

// crowdNodes is for how many nodes one sample a second each is taken in; of more, those that nobody looks at send fewer. The charts of so large a fleet have a step of 5 s.
const crowdNodes = 1250

// Sparing is how often nodes of a fleet of a size are asked for samples while nobody looks at them; 0: as usual.
func Sparing(nodes int) time.Duration {
	if nodes <= crowdNodes {
		return 0
	}
	return min(time.Duration((nodes+crowdNodes-1)/crowdNodes)*usualEvery, slowestEvery)
}

// patience is how long a node at this pace may be silent.
func (p *linkPace) patience(usual time.Duration) time.Duration { return usual + p.pace() - usualEvery }
