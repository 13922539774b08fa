package accelerators

import (
	"slices"
	"time"

	"foretop/telemetry"
)

// neuronPlace is where neuron-ls says that a device is.
type neuronPlace struct {
	pci    string
	memory uint64
}

// parseNeuronLS reads the answer of neuron-ls: the objects in it that have a neuron_device, wherever they are.
func parseNeuronLS(b []byte) map[uint32]neuronPlace {
	places := map[uint32]neuronPlace{}
	depth, index := 0, 0 // of the object at hand; the first that is in a list says how deep they are
	var p neuronPlace
	device := int64(-1)
	put := func() {
		if device >= 0 && len(places) < maxDevices {
			places[uint32(device)] = p
		}
		p, device = neuronPlace{}, -1
	}
	scanJSON(b, func(path []jsonStep, v jsonValue) {
		if len(path) < 2 || path[len(path)-2].key != nil || depth != 0 && len(path) != depth {
			return
		}
		if at := path[len(path)-2].index; depth == 0 || at != index {
			put()
			depth, index = len(path), at
		}
		switch key := path[len(path)-1]; {
		case key.is("neuron_device"):
			if n, ok := v.integer(); ok && n < 1<<16 {
				device = n
			}
		case key.is("bdf") && v.quoted:
			p.pci = fullAddress(string(v.text))
		case key.is("memory_size"):
			n, _ := v.integer()
			p.memory = uint64(n)
		}
	})
	put()
	return places
}

// fullAddress completes a PCI address that is written without its domain; "" where it is none.
func fullAddress(s string) string {
	if len(s) == len("cc:00.0") {
		s = "0000:" + s
	}
	b := []byte(s)
	if len(b) != len("0000:cc:00.0") || b[4] != ':' || b[7] != ':' || b[10] != '.' {
		return ""
	}
	for i, c := range b {
		if i == 4 || i == 7 || i == 10 {
			continue
		}
		if _, ok := parseHex([]byte{c}); !ok {
			return ""
		}
		if c >= 'A' && c <= 'F' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// takeReport sets what the newest report of neuron-monitor says, and says whether there is one that still holds.
func (r *neuronReader) takeReport(now int64) bool {
	rep := r.monitor.last()
	if rep == nil || time.Since(rep.at) > neuronSilence || r.monitor.stream.state().err != nil {
		if r.reported != 0 {
			r.forget()
		}
		return false
	}
	if rep.seq == r.reported {
		return true
	}
	r.reported = rep.seq
	r.use(rep)
	r.reading.FastMS = now
	return true
}

// forget clears what only reports tell.
func (r *neuronReader) forget() {
	r.reported = 0
	s := &r.reading.State
	for i := range r.reading.GPUs {
		s.Clear(telemetry.GPUUtilPct, i)
		if len(r.devices[i].memory) == 0 {
			s.Clear(telemetry.GPUMemUsedBytes, i)
			s.Clear(telemetry.GPUStatus, i)
		}
	}
	for i := range r.reading.Parts {
		s.Clear(telemetry.PartUtilPct, i)
	}
	r.walked = 0
}

// use takes a report in.
func (r *neuronReader) use(rep *neuronReport) {
	s := &r.reading.State
	r.useMemory(rep)
	util := make([]float64, len(r.reading.Parts)) // a core that no process uses does nothing
	var held []Holder
	failures := make([]int64, len(r.reading.GPUs))
	memory := make([]int64, len(r.reading.GPUs))
	for _, t := range rep.runtimes {
		var devices []int
		for _, u := range t.cores {
			first, n := r.partsOf(u.core, rep.perUnit)
			if n == 0 {
				continue
			}
			gpu := int(r.reading.Parts[first].Gpu)
			if !slices.Contains(devices, gpu) {
				devices = append(devices, gpu)
			}
			for i := range n {
				util[first+i] += r.shareOf(u, first+i)
			}
			if n == 1 && u.memory >= 0 && len(r.devices[gpu].memory) == 0 {
				s.Set(telemetry.PartMemUsedBytes, first, u.memory)
			}
			h := Holder{PID: t.pid, GPU: uint32(gpu), Part: uint32(first) + 1}
			if u.memory >= 0 {
				h.Memory, h.Known = uint64(u.memory), true
				memory[gpu] += u.memory
			}
			held = addHolder(held, h)
		}
		for _, gpu := range devices {
			failures[gpu] += t.failures
			if len(r.devices[gpu].host) == 0 && len(devices) == 1 && t.host >= 0 {
				s.Set(telemetry.GPUHostMemUsedBytes, gpu, t.host)
			}
		}
	}
	for i := range r.reading.GPUs {
		mean, cores := 0.0, r.first[i+1]-r.first[i]
		for part := r.first[i]; part < r.first[i+1]; part++ {
			setFloat(s, telemetry.PartUtilPct, part, min(util[part], 100))
			mean += min(util[part], 100) / float64(cores)
		}
		if cores > 0 {
			setFloat(s, telemetry.GPUUtilPct, i, mean)
		}
		if len(r.devices[i].memory) == 0 {
			s.Set(telemetry.GPUMemUsedBytes, i, memory[i])
			s.Set(telemetry.GPUStatus, i, telemetry.GPUOK)
		}
		if !slices.ContainsFunc(r.devices[i].tree.cores, func(c neuronCore) bool { return len(c.failures) > 0 }) {
			s.Set(telemetry.GPUExecErrors, i, max(s.Get(telemetry.GPUExecErrors, i), 0)+failures[i])
		}
	}
	for _, e := range rep.devices {
		i := slices.IndexFunc(r.devices, func(d neuronDevice) bool { return int64(d.index) == e.device })
		if i < 0 {
			continue
		}
		if e.corrected >= 0 {
			s.Set(telemetry.GPUECCVolatileCorrected, i, e.corrected)
		}
		if e.uncorrected >= 0 && len(r.devices[i].tree.ecc) == 0 { // the files count those as well that were repaired
			s.Set(telemetry.GPUECCVolatileUncorrected, i, e.uncorrected)
		}
	}
	if !slices.Equal(held, r.reading.Holders) {
		r.reading.Holders = held
	}
	r.countRuntimes(rep)
}

// useMemory takes over how much memory a device has.
func (r *neuronReader) useMemory(rep *neuronReport) {
	if rep.memory <= 0 || len(r.reading.GPUs) == 0 || r.reading.GPUs[0].MemoryTotalBytes == uint64(rep.memory) {
		return
	}
	places := map[uint32]neuronPlace{}
	for i, g := range r.reading.GPUs {
		places[r.devices[i].index] = neuronPlace{pci: g.Pci, memory: uint64(rep.memory)}
	}
	r.placeDevices(places)
}

// countRuntimes sets how many processes use each device; one holds several cores.
func (r *neuronReader) countRuntimes(rep *neuronReport) {
	for i := range r.reading.GPUs {
		n := int64(0)
		for _, t := range rep.runtimes {
			if slices.ContainsFunc(r.reading.Holders, func(h Holder) bool { return int(h.GPU) == i && h.PID == t.pid }) {
				n++
			}
		}
		r.reading.State.Set(telemetry.GPUProcesses, i, n)
	}
}

// partsOf says which parts a NeuronCore is, by the runtime's number: on Trainium2 it may be made of two physical cores, and the driver lists those.
func (r *neuronReader) partsOf(core, perDevice int64) (first, n int) {
	if len(r.devices) == 0 {
		return 0, 0
	}
	cores := int64(r.first[1] - r.first[0]) // that the driver lists; all devices of an instance are alike
	if perDevice <= 0 || perDevice > cores {
		perDevice = cores
	}
	if cores == 0 {
		return 0, 0
	}
	device, each := core/perDevice, cores/perDevice
	i := slices.IndexFunc(r.devices, func(d neuronDevice) bool { return int64(d.index) == device })
	if i < 0 {
		return 0, 0
	}
	first = r.first[i] + int(core%perDevice*each)
	if first+int(each) > r.first[i+1] {
		return 0, 0
	}
	return first, int(each)
}

// shareOf is how busy a NeuronCore keeps a part.
func (r *neuronReader) shareOf(u neuronUse, part int) float64 {
	p := r.reading.Parts[part]
	cores := r.first[1] - r.first[0]
	for _, h := range u.halves {
		if h.core == int64(r.devices[p.Gpu].index)*int64(cores)+int64(p.Instance) {
			return h.util
		}
	}
	return max(u.util, 0)
}
