package overview

import (
	"slices"

	"foretop/fleet"
	"foretop/telemetry"
	"foretop/telemetry/facts"
)

// absentSlow is the health of all GPUs of which nothing bad is known.
var absentSlow = fleet.AbsentSlow()

// nobody is a GPU that has not told who it is.
var nobody = &facts.GPU{Minor: -1, NumaNode: -1, ModuleId: -1, Vendor: "nvidia"}

// gpu finds the GPU that a series is of; nil where its labels name none.
func (r *round) gpu(labels []label) *fleet.GPU {
	index, ok := gpuIndex(get(labels, "gpu"))
	if !ok {
		r.strange++
		return nil
	}
	n := r.node(labels)
	if n == nil {
		return nil
	}
	if index >= len(n.GPUs) && cap(n.GPUs) <= index {
		n.GPUs = slices.Grow(n.GPUs, max(8, index+1)-len(n.GPUs)) // all of a node's in one piece
	}
	for len(n.GPUs) <= index {
		n.GPUs = append(n.GPUs, fleet.AbsentGPU(len(n.GPUs), nobody, absentSlow))
	}
	return &n.GPUs[index]
}

// gpuIndex reads a GPU's number.
func gpuIndex(text []byte) (int, bool) {
	if len(text) == 0 || len(text) > 2 {
		return 0, false
	}
	n := 0
	for _, c := range text {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, n < telemetry.MaxEntities(telemetry.ScopeGPU)
}

func (r *round) askGPUs() {
	readings := gpuReadings
	if r.static {
		readings = slices.Concat(gpuReadings, gpuFixed)
	}
	var queries []func()
	for _, reading := range readings {
		for _, m := range reading.names {
			queries = append(queries, func() { r.askGPU(m, reading.set) })
		}
	}
	r.together(queries)
	if r.static && !r.has[memoryTotal] {
		r.askGPU(metric{memoryFree, mib}, func(g *fleet.GPU, v fleet.Reading) { g.MemTotalBytes = g.MemUsedBytes + v })
	}
	for _, t := range gpuTrouble {
		r.askRare(t.name, r.by(t.name+" > 0", "gpu"), func(labels []label, _, value float64) {
			g := r.gpu(labels)
			if g == nil || !finite(value) {
				return
			}
			if g.Slow == absentSlow {
				g.Slow = fleet.AbsentSlow()
			}
			t.set(g.Slow, fleet.Reading(value))
		})
	}
}

func (r *round) askGPU(m metric, set func(*fleet.GPU, fleet.Reading)) {
	r.ask(m.name, r.by(m.name, "gpu"), func(labels []label, _, value float64) {
		if g := r.gpu(labels); g != nil && finite(value) && value < 1e18 { // DCGM says "blank" by numbers near 2^63
			set(g, fleet.Reading(value*m.scale))
		}
	})
}

// learnWho learns who the GPUs are.
func (r *round) learnWho() {
	who := map[string]*identity{}
	take := func(labels []label, vendor string) {
		g := r.gpu(labels)
		if g == nil {
			return
		}
		n := r.node(labels)
		id := who[n.Name]
		if id == nil {
			id = &identity{}
			who[n.Name] = id
		}
		for len(id.gpus) <= g.Index {
			id.gpus = append(id.gpus, nobody)
		}
		model := get(labels, "modelName")
		if model == nil { // ours
			model = get(labels, "model")
		}
		if v := get(labels, "vendor"); len(v) > 0 {
			vendor = r.word(v)
		}
		id.gpus[g.Index] = &facts.GPU{Uuid: telemetry.Clean(string(get(labels, "UUID")), 128), Name: r.word(model), Vendor: vendor, Minor: -1, NumaNode: -1, ModuleId: -1}
	}
	r.ask("DCGM_FI_DEV_GPU_UTIL", r.by("DCGM_FI_DEV_GPU_UTIL", "gpu", "UUID", "modelName"), func(labels []label, _, _ float64) { take(labels, "nvidia") })
	r.ask("foretop_gpu_info", r.by("foretop_gpu_info", "gpu", "UUID", "model", "vendor"), func(labels []label, _, _ float64) { take(labels, "") })
	r.Source.who = who
}

// describe puts a node's GPUs' names to them, and what hardly ever changes.
func (r *round) describe(n *seen) {
	id := r.who[n.Name]
	if id == nil || len(id.gpus) < len(n.GPUs) { // new, or grown: all of it is learned with the next static round
		id = &identity{}
		for range n.GPUs {
			id.gpus = append(id.gpus, nobody)
		}
		r.who[n.Name] = id
	}
	if len(id.fixed) < len(n.GPUs) {
		id.fixed = make([]fixed, len(n.GPUs))
	}
	if r.static {
		id.memory = n.Host.MemTotalBytes
	} else if id.memory > 0 {
		n.Host.MemTotalBytes = id.memory
	}
	for i := range n.GPUs {
		g, f := &n.GPUs[i], &id.fixed[i]
		g.Info = id.gpus[i]
		if r.static {
			*f = fixed{float32(g.PowerLimitW), g.MemTotalBytes}
		} else if f.memory > 0 {
			g.PowerLimitW, g.MemTotalBytes = fleet.Reading(f.limit), f.memory
		}
	}
	if id.inventory == nil {
		id.inventory = &facts.Inventory{Gpus: id.gpus[:len(n.GPUs)]}
	}
	n.Inventory = id.inventory
	if len(n.Inventory.Gpus) != len(n.GPUs) {
		n.Inventory = &facts.Inventory{Gpus: id.gpus[:len(n.GPUs)]}
	}
}
