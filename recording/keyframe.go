package recording

import (
	"encoding/json"
	"runtime"
	"sync"
	"time"

	"foretop/fleet"
)

// roll begins a segment: each node's records go to the old one until its keyframe is written.
func (r *Recorder) roll(us int64, keep fleet.Keep) {
	r.mu.Lock()
	old := r.cur
	next := newSegment(us)
	r.cur = next
	for _, p := range r.pictures {
		r.json(next, recPicture|keyBit, 0, us, p)
	}
	for job, l := range r.logs {
		if moment(us).Sub(l.At) > time.Hour {
			delete(r.logs, job)
			continue
		}
		r.json(next, recLog|keyBit, 0, us, logged{job, l})
	}
	r.mu.Unlock()
	book := keep(func(k *fleet.KeptNode) {
		r.mu.Lock()
		defer r.mu.Unlock()
		if n := r.nodes[k.Name]; n != nil && n.seg != next {
			n.seg = next
			r.keyNode(n, k, us)
		}
	})
	r.mu.Lock()
	r.json(next, recBook|keyBit, 0, us, book)
	next.record(recAssemble|keyBit, 0, us)
	for name, n := range r.nodes {
		if len(n.problems) > 0 && n.seg == next && name != "" {
			r.json(next, recProblems|keyBit, n.index, us, n.problems)
		}
	}
	for _, v := range r.verdicts {
		r.json(next, recJob|keyBit, 0, us, v)
	}
	r.keyIncidents(next, us)
	next.record(recKeyed|keyBit, 0, us)
	r.mu.Unlock()
	r.close(old)
	r.mu.Lock()
	r.segs = append(r.segs, next)
	r.mu.Unlock()
	r.close(next)
}

// keyNode writes a node's keyframe.
func (r *Recorder) keyNode(n *recorded, k *fleet.KeptNode, us int64) {
	b, err := json.Marshal(k)
	if err != nil {
		r.lost++
		return
	}
	if n.track.known {
		b = append(b, keptSampled)
	} else {
		b = append(b, keptBare)
	}
	s := n.seg.record(recNode|keyBit, n.index, us)
	s.word(b)
	for _, f := range [][]byte{k.Hello, k.Inventory, k.Processes, k.Usage, k.Notes, k.Rates} {
		s.word(f)
	}
	if n.track.known {
		n.track.keyframe(s, &r.x)
	}
}

// keyframe takes over a node as it was kept, or passes over it where the node is there already.
func (p *player) keyframe(index uint64) error {
	s := p.src
	var words [7][]byte
	for i := range words {
		b, err := s.word()
		if err != nil {
			return err
		}
		words[i] = b
	}
	n := p.tracks[index]
	sampled := len(words[0]) > 0 && words[0][len(words[0])-1] == keptSampled
	if p.keying && n != nil {
		if sampled { // none follows where it began a new stream just before
			if _, err := n.track.read(s); err != nil {
				return err
			}
			n.track.sequence--
		}
		return nil
	}
	n = &told{hand: int(index)}
	p.tracks[index] = n
	var sample []byte
	if sampled {
		var err error
		if sample, err = n.track.read(s); err != nil {
			return err
		}
	}
	p.restoring.run(func() error { return p.restore(n, words, sample) })
	return nil
}

// restore puts a node into the fleet as it was kept.
func (p *player) restore(n *told, words [7][]byte, sample []byte) error {
	var is struct {
		fleet.KeptNode
		Kernel json.RawMessage // in the place of the node's own: it is long, and from one keyframe to the next mostly the same
	}
	if err := decode(words[0][:max(0, len(words[0])-1)], &is); err != nil {
		return err
	}
	k := &is.KeptNode
	if is.Kernel != nil {
		kernel, err := p.known.Kernel(is.Kernel, readKernel)
		if err != nil {
			return err
		}
		k.Kernel = *kernel
	}
	for i, to := range []*[]byte{&k.Hello, &k.Inventory, &k.Processes, &k.Usage, &k.Notes, &k.Rates} {
		if len(words[i+1]) > 0 {
			*to = words[i+1]
		}
	}
	if k.Status.HostKey != nil {
		k.Status.HostKey.Verdict = min(k.Status.HostKey.Verdict, fleet.KeyInvalid)
	}
	n.name = k.Name
	return broken(p.fleet.Restore(k, sample))
}

func readKernel(b []byte) (*fleet.KeptKernel, error) {
	k := new(fleet.KeptKernel)
	return k, decode(b, k)
}

// restoring puts nodes into a fleet several at a time: that is most of what a moment costs.
type restoring struct {
	wg   sync.WaitGroup
	busy chan struct{}

	mu  sync.Mutex
	err error
}

func (r *restoring) run(do func() error) {
	if r.busy == nil {
		r.busy = make(chan struct{}, runtime.GOMAXPROCS(0))
	}
	r.busy <- struct{}{}
	r.wg.Go(func() {
		defer func() { <-r.busy }()
		if err := do(); err != nil {
			r.mu.Lock()
			r.err = err
			r.mu.Unlock()
		}
	})
}

// wait returns when all are there, with an error of one that could not be.
func (r *restoring) wait() error {
	if r.busy == nil {
		return nil
	}
	r.wg.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

// broken is a frame that a fleet would not have taken in: the recording is not what was written.
func broken(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := err.(*DamagedError); ok {
		return err
	}
	return damaged("%v", err)
}
