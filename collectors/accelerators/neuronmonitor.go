package accelerators

import (
	"bytes"
	"slices"
	"sync"
	"time"

	"foretop/telemetry"
)

// neuronMonitor takes the reports of neuron-monitor, one JSON document a line each five seconds (Neuron Monitor User Guide).
type neuronMonitor struct {
	stream *stream
	mu     sync.Mutex
	report *neuronReport // the last one; never changed once it is here
	err    error         // why the last line was none
}

// neuronReport is what is taken out of a report.
type neuronReport struct {
	runtimes []neuronRuntime
	devices  []neuronErrors
	complain string // what an "error" says

	memory  int64 // of a device, in bytes; 0: not told
	perUnit int64 // NeuronCores of a device, as the runtime numbers them; 0: not told
	seq     uint64
	at      time.Time
}

// neuronRuntime is a process that uses NeuronCores.
type neuronRuntime struct {
	pid      int32
	cores    []neuronUse
	host     int64 // bytes of the machine's memory; -1: not told
	failures int64 // runs that failed since the report before
}

// neuronUse is what a process uses of one NeuronCore, by the runtime's number of it: the n-th of the instance.
type neuronUse struct {
	core   int64
	util   float64 // per cent; -1: not told
	memory int64   // bytes; -1: not told
	halves []neuronHalf
}

// neuronHalf is one of the physical cores that a NeuronCore of Trainium2 is made of.
type neuronHalf struct {
	core int64 // the n-th of the instance
	util float64
}

// neuronErrors are the ECC counters of a device; -1: not told.
type neuronErrors struct {
	device                 int64
	corrected, uncorrected int64
}

const (
	neuronMaxReport = 1 << 20
	neuronSilence   = 45 * time.Second // nine reports
	neuronMaxRun    = 1024             // processes, cores of one, devices
)

func newNeuronMonitor(m Machine) *neuronMonitor {
	n := &neuronMonitor{}
	n.stream = &stream{start: m.Start, name: "neuron-monitor", take: n.line,
		commands: func() [][]string { return [][]string{{"/opt/aws/neuron/bin/neuron-monitor"}, {"neuron-monitor"}} },
		maxLine:  neuronMaxReport, patience: usualPatience(neuronSilence)}
	return n
}

func (n *neuronMonitor) line(b []byte) {
	r, err := parseNeuronReport(b)
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.err = err; err != nil {
		return
	}
	if n.report != nil {
		r.seq = n.report.seq
	}
	r.seq++
	r.at = time.Now()
	n.report = r
}

// last is the newest report, nil when there is none.
func (n *neuronMonitor) last() *neuronReport {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.report
}

// complaint is what the monitor says to be wrong.
func (n *neuronMonitor) complaint() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case n.err != nil:
		return n.err.Error()
	case n.report != nil:
		return n.report.complain
	}
	return ""
}

// parseNeuronReport reads one report.
func parseNeuronReport(b []byte) (*neuronReport, error) {
	r := &neuronReport{}
	err := scanJSON(b, r.take)
	r.runtimes = slices.DeleteFunc(r.runtimes, func(t neuronRuntime) bool { return t.pid <= 0 })
	return r, err
}

// take takes one value in.
func (r *neuronReport) take(path []jsonStep, v jsonValue) {
	if len(path) < 2 {
		return
	}
	last := path[len(path)-1]
	if last.is("error") && len(v.text) > 0 && v.quoted && r.complain == "" {
		r.complain = telemetry.Clean(v.plain(), 200)
	}
	n, isNumber := v.integer()
	switch {
	case path[0].is("neuron_runtime_data") && len(path) >= 3 && path[1].index < neuronMaxRun && path[1].key == nil:
		for len(r.runtimes) <= path[1].index {
			r.runtimes = append(r.runtimes, neuronRuntime{host: -1})
		}
		r.runtimes[path[1].index].take(path[2:], v)
	case path[0].is("neuron_hardware_info") && isNumber:
		switch {
		case last.is("neuron_device_memory_size"):
			r.memory = n
		case last.is("neuroncore_per_device_count"):
			r.perUnit = n
		}
	case len(path) == 5 && path[1].is("neuron_hw_counters") && path[2].is("neuron_devices") && isNumber && path[3].index < neuronMaxRun:
		for len(r.devices) <= path[3].index {
			r.devices = append(r.devices, neuronErrors{-1, -1, -1})
		}
		r.devices[path[3].index].take(last, n)
	}
}

func (e *neuronErrors) take(key jsonStep, n int64) {
	add := func(to *int64) { *to = max(*to, 0) + n }
	switch {
	case key.is("neuron_device_index"):
		e.device = n
	case key.is("mem_ecc_corrected"), key.is("sram_ecc_corrected"):
		add(&e.corrected)
	case key.is("mem_ecc_uncorrected"), key.is("sram_ecc_uncorrected"):
		add(&e.uncorrected)
	}
}

// take takes a value of one process in; the path begins within its entry.
func (t *neuronRuntime) take(path []jsonStep, v jsonValue) {
	n, whole := v.integer()
	if path[0].is("pid") && whole && n < 1<<31 {
		t.pid = int32(n)
	}
	if len(path) < 4 || !path[0].is("report") {
		return
	}
	switch group, path := path[1], path[2:]; {
	case group.is("neuroncore_counters") && path[0].is("neuroncores_in_use"): // CORE neuroncore_utilization, CORE v3d nc_v3.N neuroncore_utilization
		if u := t.core(path[1]); u != nil && len(path) >= 3 && path[len(path)-1].is("neuroncore_utilization") {
			f, ok := v.number()
			switch at := bytes.LastIndexByte(path[len(path)-2].key, '.'); {
			case !ok || f > 1e4:
			case len(path) == 3:
				u.util = f
			case at > 0 && len(u.halves) < 8:
				if half, ok := (jsonValue{text: path[len(path)-2].key[at+1:]}).integer(); ok {
					u.halves = append(u.halves, neuronHalf{half, f})
				}
			}
		}
	case !whole:
	case group.is("execution_stats") && path[0].is("error_summary"):
		t.failures += n
	case group.is("memory_used") && path[0].is("neuron_runtime_used_bytes"): // host; usage_breakdown neuroncore_memory_usage CORE KIND
		switch {
		case len(path) == 2 && path[1].is("host"):
			t.host = n
		case len(path) == 5 && path[2].is("neuroncore_memory_usage"):
			if u := t.core(path[3]); u != nil {
				u.memory = max(u.memory, 0) + n
			}
		}
	}
}

// core is the entry of a NeuronCore, by its number as a key.
func (t *neuronRuntime) core(key jsonStep) *neuronUse {
	n, ok := jsonValue{text: key.key}.integer()
	if !ok {
		return nil
	}
	i := slices.IndexFunc(t.cores, func(u neuronUse) bool { return u.core == n })
	if i < 0 {
		if len(t.cores) >= neuronMaxRun {
			return nil
		}
		i = len(t.cores)
		t.cores = append(t.cores, neuronUse{core: n, util: -1, memory: -1})
	}
	return &t.cores[i]
}
