package findings

import (
	"math"

	"foretop/fleet"
	"foretop/jobs/layout"
)

// accuseAll finds what those that are unlike their peers have in common: a node, a stage of the pipeline, or nothing, and then there may only be few.
func (w *watch) accuseAll(c *jobCase, list []unlike, crowds *[numTraits]crowd, passed float32) {
	if n := len(c.j.Nodes); n >= 2 && n <= 3 && w.accuseOneOfTwo(c, *crowds, passed) || len(list) == 0 {
		return
	}
	nodes := make(map[string][]unlike)
	for _, u := range list {
		nodes[w.gpus[u.gpu].node] = append(nodes[w.gpus[u.gpu].node], u)
	}
	whole, single := 0, 0
	size := w.sizes()
	isWhole := func(name string) bool {
		n := len(nodes[name])
		return n >= 3 && 4*n >= 3*size[name] && len(c.j.Nodes) > 2
	}
	for name, of := range nodes {
		if isWhole(name) {
			whole++
		} else {
			single += len(of)
		}
	}
	if stage, ok := w.oneStage(c.j, list); ok {
		w.count(c, fleet.SuspectStage(stage), list, crowds, passed)
		return
	}
	if most := max(2, int(fewUnlike*float64(len(w.gpus)))); single > most || whole > max(1, len(c.j.Nodes)/8) {
		return
	}
	for name, of := range nodes {
		if isWhole(name) {
			w.count(c, fleet.SuspectNode(name), of, crowds, passed)
			continue
		}
		for _, u := range of {
			w.count(c, c.j.GPUs[u.gpu].Suspect(), []unlike{u}, crowds, passed)
		}
	}
}

func (w *watch) sizes() map[string]int {
	size := make(map[string]int)
	for i := range w.gpus {
		if w.gpus[i].worked {
			size[w.gpus[i].node]++
		}
	}
	return size
}

// oneStage says that all that are unlike the others are of one stage of a pipeline, and are most of it.
func (w *watch) oneStage(j *fleet.Job, list []unlike) (int, bool) {
	l := j.Layout
	if l == nil || l.Size(layout.PP) < 2 || len(list) < 3 {
		return 0, false
	}
	stageOf := func(i int) int {
		if l.PerGPU {
			return l.Coord(i, layout.PP)
		}
		if j.GPUs[i].Rank < 0 {
			return -1
		}
		return l.Coord(j.GPUs[i].Rank, layout.PP)
	}
	stage := stageOf(list[0].gpu)
	for _, u := range list {
		if s := stageOf(u.gpu); s != stage || s < 0 {
			return 0, false
		}
	}
	return stage, 4*len(list) >= 3*len(w.gpus)/l.Size(layout.PP) && len(w.gpus)/l.Size(layout.PP) > 8
}

// accuseOneOfTwo compares the nodes of a job that has only two or three: none is the majority, so that there must be a cause on one of them.
func (w *watch) accuseOneOfTwo(c *jobCase, crowds [numTraits]crowd, passed float32) bool {
	culprit := ""
	for _, name := range c.j.Nodes {
		if w.hostCause(name) == "" {
			continue
		}
		if culprit != "" {
			return false
		}
		culprit = name
	}
	if culprit == "" {
		return false
	}
	mine, others := w.meansOf(culprit)
	u := unlike{gpu: -1}
	for k := range numTraits {
		t := &traits[k]
		crowds[k].middle = others[k]
		if math.Abs(mine[k]-others[k]) > twoNodesShare*max(t.floor, t.share*others[k]) {
			u.traits |= 1 << k
			u.senses |= t.sense
		}
	}
	if u.traits == 0 {
		return false
	}
	w.count(c, fleet.SuspectNode(culprit), []unlike{u}, &crowds, passed)
	return true
}

// meansOf are the means of a node's GPUs, and of all others.
func (w *watch) meansOf(name string) (mine, others [numTraits]float64) {
	var a, b [numTraits]int
	for i := range w.gpus {
		g := &w.gpus[i]
		for k := range numTraits {
			switch v := w.means[k][i]; {
			case v != v || !g.worked:
			case g.node == name:
				mine[k], a[k] = mine[k]+float64(v), a[k]+1
			default:
				others[k], b[k] = others[k]+float64(v), b[k]+1
			}
		}
	}
	for k := range numTraits {
		mine[k], others[k] = mine[k]/float64(a[k]), others[k]/float64(b[k])
	}
	return mine, others
}
