package findings

import (
	"fmt"
	"slices"
	"time"

	"foretop/fleet"
)

// idle says that a job uses none of the GPUs that it holds.
func idle(j *fleet.Job) fleet.Verdict {
	if j.IdleGPUs == 0 || j.IdleGPUs < len(j.GPUs) {
		return fleet.Verdict{}
	}
	v := idleVerdict(j)
	for i := range j.GPUs { // since the last of them was
		if g := j.GPUs[i].GPU; g != nil && g.IdleSince.After(v.Since) {
			v.Since = g.IdleSince
		}
	}
	return v
}

// partial says how many of the GPUs that it holds a job does not use.
func partial(j *fleet.Job) fleet.Verdict {
	if j.IdleGPUs == 0 || j.IdleGPUs == len(j.GPUs) {
		return fleet.Verdict{}
	}
	return idleVerdict(j)
}

func idleVerdict(j *fleet.Job) fleet.Verdict {
	var names []string
	for i := range j.GPUs {
		ref := &j.GPUs[i]
		switch g := ref.GPU; {
		case g == nil:
		case ref.Empty:
			names = append(names, fmt.Sprintf("%s GPU%d: nobody holds it", ref.Node, ref.Index))
		case !g.IdleSince.IsZero():
			names = append(names, fmt.Sprintf("%s GPU%d since %s", ref.Node, ref.Index, g.IdleSince.UTC().Format("15:04 UTC")))
		}
	}
	return fleet.Verdict{State: fleet.JobIdle, Severity: fleet.Notice, Text: fmt.Sprintf("%d of %d GPUs idle", j.IdleGPUs, len(j.GPUs)), Evidence: []string{list(names)}}
}

// When a job's traffic goes the wrong way. What data loaders read and checkpoints write goes one way: what goes both ways alike is collectives'.
const (
	wrongNICBytes = 200e6 // a second, each way, over what is not its GPUs' own
	quietBytes    = 10e6  // a second, over all of its GPUs' own ports: nothing
	bothWays      = 2     // times as much one way as the other, at most
	wrongNICFor   = time.Minute
	oneRailShare  = 0.9 // of all traffic over one of its ports
	oneRailBytes  = 1e9 // a second
	manyPorts     = 4   // ports of its GPUs, to speak of one of them
)

// wrongNIC says that what a job's ranks say to one another does not go over the ports beside its GPUs. Only nodes that it has to itself tell: traffic does not say whose it is.
func wrongNIC(c *jobCase) fleet.Verdict {
	j, at, past := c.j, c.at, c.past
	var wrong, oneRail way
	if len(j.Nodes) > 1 {
		for i, name := range j.Nodes {
			n := c.w.on[i]
			if n == nil || n.State != fleet.Live || len(n.Jobs) != 1 || n.Jobs[0] != j.Key || len(n.Ports) == 0 {
				continue
			}
			if w := wayOf(n, c.w.held[name]); w.wrong != "" {
				wrong.add(name, w.wrong, w.rate)
			} else if w.only != "" {
				oneRail.add(name, w.only, w.rate)
			}
		}
	}
	if since := past.wrongNIC.note(len(wrong.nodes) > 0, at); len(wrong.nodes) > 0 && since >= wrongNICFor {
		return fleet.Verdict{State: fleet.JobSuspect, Severity: fleet.Warning, Since: at.Add(-since),
			Text:     fmt.Sprintf("traffic goes over %s, not over its GPUs' ports (%s)", wrong.over, list(wrong.nodes)),
			Evidence: []string{fmt.Sprintf("%s: %s GB/s over %s, both ways, less than 0.01 over the ports of its GPUs", wrong.nodes[0], gigabytes(wrong.rate), wrong.over)}}
	}
	if since := past.oneRail.note(len(oneRail.nodes) > 0, at); len(oneRail.nodes) > 0 && since >= wrongNICFor {
		return fleet.Verdict{State: fleet.JobRunning, Severity: fleet.Notice, Since: at.Add(-since),
			Text:     fmt.Sprintf("all traffic goes over %s, its other ports are quiet (%s)", oneRail.over, list(oneRail.nodes)),
			Evidence: []string{fmt.Sprintf("%s: %s GB/s over %s, nine tenths of all", oneRail.nodes[0], gigabytes(oneRail.rate), oneRail.over)}}
	}
	return fleet.Verdict{}
}

// way is by what a job's traffic goes on some nodes; the name and the rate are the first node's.
type way struct {
	nodes []string
	over  string
	rate  float64
}

func (w *way) add(node, over string, rate float64) {
	if w.nodes = append(w.nodes, node); w.over == "" {
		w.over, w.rate = over, rate
	}
}

// wayTaken is by what the traffic of one node goes, where that is wrong; rate is bytes a second of both directions.
type wayTaken struct {
	wrong, only string
	rate        float64
}

// maxSubjects is beyond the number of GPUs or ports that a node may have.
const maxSubjects = 128

// gpuSet is GPUs of one node, a bit for each index below maxSubjects.
type gpuSet [maxSubjects / 64]uint64

func (s *gpuSet) add(i int)      { s[i/64] |= 1 << (i % 64) }
func (s *gpuSet) has(i int) bool { return i >= 0 && i < maxSubjects && s[i/64]>>(i%64)&1 != 0 }

// gpusByNode are a job's GPUs on each of its nodes, of all nodes in one pass.
func gpusByNode(j *fleet.Job) map[string]gpuSet {
	of := make(map[string]gpuSet, len(j.Nodes))
	for i := 0; i < len(j.GPUs); {
		node := j.GPUs[i].Node
		set := of[node]
		for ; i < len(j.GPUs) && j.GPUs[i].Node == node; i++ { // those of one node stand together
			if k := j.GPUs[i].Index; k >= 0 && k < maxSubjects {
				set.add(k)
			}
		}
		of[node] = set
	}
	return of
}

// wayOf is by what a node's traffic goes, of which the job has those GPUs.
func wayOf(n *fleet.Node, gpus gpuSet) (w wayTaken) {
	own, ownPorts, most, mostName := 0.0, 0, 0.0, ""
	other, otherName := 0.0, ""
	for i := range n.Ports {
		p := &n.Ports[i]
		rx, tx := p.RcvBytesPerS.Or(0), p.XmitBytesPerS.Or(0)
		switch {
		case gpus.has(p.GPU):
			if !p.RcvBytesPerS.Known() || !p.XmitBytesPerS.Known() {
				return w // not checked
			}
			ownPorts++
			if own += rx + tx; rx+tx > most {
				most, mostName = rx+tx, p.Name
			}
		case alike(rx, tx) && rx+tx > other:
			other, otherName = rx+tx, p.Name
		}
	}
	if ownPorts == 0 {
		return w
	}
	if own >= quietBytes { // nearly always
		if ownPorts >= manyPorts && own > oneRailBytes && most >= oneRailShare*own {
			return wayTaken{only: mostName, rate: own}
		}
		return w
	}
	for i := range n.Nets {
		d := &n.Nets[i]
		rx, tx := d.RxBytesPerS.Or(0), d.TxBytesPerS.Or(0)
		if d.Physical && alike(rx, tx) && rx+tx > other && !besides(n, gpus, d.Name) {
			other, otherName = rx+tx, d.Name
		}
	}
	if other > 2*wrongNICBytes {
		return wayTaken{wrong: otherName, rate: other}
	}
	return w
}

// besides says that an interface is that of one of the GPUs' own ports.
func besides(n *fleet.Node, gpus gpuSet, netdev string) bool {
	return slices.ContainsFunc(n.Ports, func(p fleet.Port) bool { return gpus.has(p.GPU) && p.Fact != nil && p.Fact.Netdev == netdev })
}

// alike says that as much comes as goes.
func alike(rx, tx float64) bool {
	return rx > wrongNICBytes && tx > wrongNICBytes && rx < bothWays*tx && tx < bothWays*rx
}

func gigabytes(perS float64) string { return fmt.Sprintf("%.1f", perS/1e9) }
