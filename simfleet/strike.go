package simfleet

import (
	"fmt"
	"slices"
	"strconv"
	"time"
)

// strike is a fault that has found its node.
type strike struct {
	Fault
	from, to time.Duration // in the scenario's cycle
	job      *job          // nil: the node runs none, or the fault is the node's own
	member   int
	moments  []time.Duration // when something happens that is counted, or that the kernel says something about
}

func (s *strike) on(local time.Duration) bool { return local >= s.from && local < s.to }

// How faults unfold.
const (
	flapEvery   = 8 * time.Second
	flapFor     = 2500 * time.Millisecond
	oomClimb    = 6 * time.Second // memory runs out before the kill
	eccDown     = 3 * time.Second // from the error until the job's processes are started anew
	afterGPU    = time.Second     // until the ranks notice a lost GPU
	hotAfter    = 3 * time.Second // until an overheating GPU clocks down
	startAfter  = 2 * time.Second // from the end of a fault until a job's processes start anew
	rowsRemapAt = 500 * time.Millisecond
	creepFills  = 12 * time.Minute // memory that fills would be full after so long
	jamsAfter   = 8 * time.Second  // of a checkpoint, until it does not go on
)

// strike finds each fault's node and works out what the jobs do.
func (m *Model) strike() error {
	effects := make(map[*job][]effect)
	for _, f := range m.scenario.Faults {
		s, n, err := m.aim(f)
		if err != nil {
			return err
		}
		if n == nil {
			continue // the fleet is too small to have that job
		}
		s.unfold()
		n.strikes = append(n.strikes, s)
		if f.Kind == GPUsHidden && len(n.slots) == 0 { // who uses a GPU sees it
			n.hidden = gpusPerNode / 2
		}
		for _, slot := range n.slots {
			if e, ok := s.effect(slot); ok {
				effects[slot.job] = append(effects[slot.job], e)
			}
		}
	}
	end := forever
	if m.scenario.Repeat > 0 {
		end = m.scenario.Repeat
	}
	for _, j := range m.jobs {
		j.repeat = m.scenario.Repeat
		j.spans = timeline(effects[j], j.pattern.load, end)
		last := j.spans[len(j.spans)-1]
		j.cycleWork = last.work
		if last.mode == running && last.to != forever {
			j.cycleWork += time.Duration(float64(last.to-last.from) / last.slow)
		}
	}
	return nil
}

// aim finds where a fault goes. No node and no error: nowhere.
func (m *Model) aim(f Fault) (strike, *Node, error) {
	s := strike{Fault: f, from: f.At, to: forever}
	if m.scenario.Repeat > 0 {
		s.to = m.scenario.Repeat
	}
	if f.For > 0 {
		s.to = min(s.to, f.At+f.For)
	}
	if f.Node != "" {
		n, err := m.nodeNamed(f)
		if err != nil {
			return s, nil, err
		}
		for _, slot := range n.slots { // the job that has the GPU, else the first
			if s.job == nil || f.GPU >= 0 && n.owner[f.GPU].slot >= 0 && n.slots[n.owner[f.GPU].slot].job == slot.job {
				s.job, s.member = slot.job, slot.member
			}
		}
		return s, n, nil
	}
	for _, j := range m.jobs {
		if j.name == f.Job || j.role == f.Job && j.round == 0 {
			s.job, s.member = j, f.Member%len(j.member)
			if f.GPU >= 0 { // of the job's own GPUs
				s.GPU = j.device[f.GPU%len(j.device)]
			}
			return s, m.nodes[j.member[s.member]], nil
		}
	}
	for _, shape := range slices.Concat(shapes(), otherShapes()) {
		if shape.role == f.Job || shape.name == f.Job {
			return s, nil, nil
		}
	}
	return s, nil, fmt.Errorf("plan scenario %s: line %d: no job has the role or name %q%s", m.scenario.Name, f.Line, f.Job, nearest(f.Job, jobWords()))
}

func (m *Model) nodeNamed(f Fault) (*Node, error) {
	if i, err := strconv.Atoi(f.Node); err == nil && i >= 0 {
		return m.nodes[i%len(m.nodes)], nil
	}
	for _, n := range m.nodes {
		if n.name == f.Node {
			return n, nil
		}
	}
	return nil, fmt.Errorf("plan scenario %s: line %d: no node %q: they are %s to %s", m.scenario.Name, f.Line, f.Node, m.nodes[0].name, m.nodes[len(m.nodes)-1].name)
}

// unfold works out the moments of a fault.
func (s *strike) unfold() {
	switch s.Kind {
	case LinkFlap:
		for i := range s.Flaps {
			if at := s.from + time.Duration(i)*flapEvery; at < s.to {
				s.moments = append(s.moments, at)
			}
		}
	case MemoryErrors:
		s.wearOut()
	case OOMKill:
		s.moments = []time.Duration{s.from + oomClimb}
	case ECC, RowRemap:
		s.moments = []time.Duration{s.from + rowsRemapAt}
	case ThermalThrottle:
		s.moments = []time.Duration{s.from + hotAfter}
	default:
		s.moments = []time.Duration{s.from}
	}
}

// effect says what the fault does to a job on its node.
func (s *strike) effect(sl slot) (effect, bool) {
	mine := s.job == sl.job
	index := -1
	for i, g := range sl.job.device {
		if g == s.GPU {
			index = i
		}
	}
	e := effect{from: s.from, to: s.to, slow: 1, culprit: place{sl.member, index}, guilty: index >= 0}
	end := s.to
	if end == forever {
		end = forever - 2*startAfter
	}
	switch s.Kind {
	case NodeDies: // of every job there
		e.mode, e.restart, e.guilty = stalled, end+startAfter, false
		e.to = e.restart
		if len(sl.job.member) == 1 {
			e.mode = gone
		}
		return e, true
	case GPULost:
		e.mode, e.from, e.restart = stalled, s.from+afterGPU, end+startAfter
		e.to = e.restart
		return e, index >= 0 && sl.job.uses(index)
	case ECC:
		e.mode, e.from, e.to = gone, s.from+afterGPU, s.from+afterGPU+eccDown
		e.restart = e.to
		return e, index >= 0
	case ThermalThrottle:
		e.from, e.slow = s.from+hotAfter, s.Factor
		return e, index >= 0
	case Straggler:
		e.slow = s.Factor
		return e, mine
	case SlowClock:
		e.slow = s.Factor
		return e, index >= 0
	case NodeSlow, CPUSteal:
		e.slow, e.culprit.gpu, e.guilty = s.Factor, -1, true
		if s.Kind == CPUSteal {
			e.way = gaps
		}
		return e, mine
	case NICSlow:
		for i, g := range sl.job.device {
			if g == s.Port {
				e.culprit.gpu, e.guilty = i, true
			}
		}
		e.slow, e.way = s.Factor, communicates
		return e, mine && e.guilty && len(sl.job.member) > 1
	case Dataloader:
		e.slow, e.way, e.guilty = s.Factor, starves, false
		return e, mine
	case CheckpointStall:
		e.mode, e.guilty = jammed, false
		return e, mine
	case RankStopped:
		e.mode = stalled
		return e, mine && e.guilty
	case Evaluation, SoloEvaluation, Compilation, Checkpoint, SoloCheckpoint:
		e.mode = map[Kind]mode{Evaluation: evaluating, SoloEvaluation: evaluatingOne, Compilation: compiling, Checkpoint: savingAll, SoloCheckpoint: savingOne}[s.Kind]
		e.culprit, e.guilty = place{sl.member, 0}, true
		return e, mine
	case Away:
		e.mode, e.restart, e.guilty = gone, end, false
		return e, mine
	case Hang:
		e.mode, e.hang = stalled, true
		if s.Restart {
			e.restart = end + startAfter
			e.to = e.restart
		}
		return e, mine
	case OOMKill:
		e.mode, e.from, e.restart = gone, s.from+oomClimb+time.Second, end
		return e, mine
	case LinkFlap:
		// A short stall at each flap is close enough to one that lasts from the first to the last.
		if len(sl.job.member) == 1 || len(s.moments) == 0 {
			return e, false
		}
		e.slow, e.guilty = 1.6, false
		e.to = min(s.to, s.moments[len(s.moments)-1]+flapFor)
		return e, true
	}
	return e, false
}

// count is how often something happened up to a moment: to one GPU or port, or, with index -1, to any.
func (n *Node) count(kind Kind, index int, at time.Duration) (c int64) {
	k, local := n.model.cycle(at)
	for i := range n.strikes {
		s := &n.strikes[i]
		if s.Kind != kind || index >= 0 && index != s.subject() {
			continue
		}
		c += int64(k) * int64(len(s.moments))
		for _, t := range s.moments {
			if t <= local {
				c++
			}
		}
	}
	return c
}

// filled is how much of the memory that was free is taken at a moment of a creep.
func (s *strike) filled(local time.Duration) float64 {
	return min(0.97, float64(local-s.from)/float64(creepFills))
}

// jams says whether a job's checkpoint does not go on at a moment: for a few seconds it does.
func (n *Node) jams(j *job, local time.Duration) bool {
	span, _, _ := j.span(local)
	return span.mode == jammed && local-span.from > jamsAfter
}

// struckAny says whether a fault of that kind is upon the node.
func (n *Node) struckAny(k Kind, local time.Duration) bool {
	for i := range n.strikes {
		if s := &n.strikes[i]; s.Kind == k && s.on(local) {
			return true
		}
	}
	return false
}

// subject is the index of the GPU or port that a fault is about.
func (s *strike) subject() int {
	if s.Kind == LinkFlap {
		return s.Port
	}
	return s.GPU
}

// portDown says whether a port is in the middle of a flap.
func (n *Node) portDown(port int, local time.Duration) bool {
	for i := range n.strikes {
		s := &n.strikes[i]
		if s.Kind != LinkFlap || s.Port != port {
			continue
		}
		for _, t := range s.moments {
			if local >= t && local < t+flapFor {
				return true
			}
		}
	}
	return false
}

// killed says whether a job's processes here are gone before the rest of the job has noticed: the kernel has killed one, or the node has rebooted.
func (n *Node) killed(s slot, at time.Duration) bool {
	if len(n.strikes) == 0 {
		return false
	}
	_, local := n.model.cycle(at)
	for i := range n.strikes {
		k := &n.strikes[i]
		if k.Kind == OOMKill && k.job == s.job && local >= k.moments[0] && local < k.to {
			return true
		}
	}
	boot, boots := n.booted(at)
	_, since, _ := s.job.run(at)
	return boots > 0 && since < boot
}
