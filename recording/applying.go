package recording

import (
	"runtime"
	"sync"

	"foretop/telemetry"
)

// applying holds samples that were read and not yet given to their nodes. Nodes do not depend on one another, so that what lies between two other records is given to several at a time;
// each node gets its own in their order.
type applying struct {
	list []sampled
	room []byte // what they are made of
}

// sampled is one of them.
type sampled struct {
	to       *told
	at       int64 // µs
	from, by int   // its bytes in the room
}

// Samples are given on when so many wait, or so many bytes; fewer than alone are not worth another goroutine.
const (
	mostWaiting      = 4096
	mostWaitingBytes = 4 << 20
	alone            = 8
)

// sample takes in what a node's track read, which is valid for a moment only.
func (p *player) sample(n *told, sample []byte, us int64) error {
	a := &p.applying
	from := len(a.room)
	a.room = append(a.room, sample...)
	a.list = append(a.list, sampled{n, us, from, len(a.room)})
	if len(a.list) >= mostWaiting || len(a.room) >= mostWaitingBytes {
		return p.apply()
	}
	return nil
}

// apply gives all samples that wait to their nodes.
func (p *player) apply() error {
	a := &p.applying
	if len(a.list) == 0 {
		return nil
	}
	hands := min(runtime.GOMAXPROCS(0), 8)
	if len(a.list) < alone {
		hands = 1
	}
	errs := make([]error, hands)
	var wg sync.WaitGroup
	for h := 1; h < hands; h++ {
		wg.Go(func() { errs[h] = p.applyShare(h, hands) })
	}
	errs[0] = p.applyShare(0, hands)
	wg.Wait()
	a.list, a.room = a.list[:0], a.room[:0]
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// applyShare gives the samples of those nodes that are one hand's.
func (p *player) applyShare(hand, hands int) error {
	for _, s := range p.applying.list {
		if s.to.hand%hands != hand {
			continue
		}
		reply, err := p.fleet.Apply(s.to.name, telemetry.KindSample, p.applying.room[s.from:s.by], moment(s.at))
		if err == nil && reply.Whole {
			err = damaged("a sample of %s hangs in the air", s.to.name)
		}
		if err != nil {
			return broken(err)
		}
	}
	return nil
}
