package accelerators

import (
	"context"
	"fmt"
	"slices"
	"time"

	"foretop/telemetry"
	"foretop/telemetry/facts"
)

// tpuReader reads Google's TPUs: what there is from the PCI bus, who holds a chip from /proc, and how busy it is from the metric service that the
// runtime opens while a workload runs (tpuruntime.go). Nothing is dialled on a machine without a TPU.
type tpuReader struct {
	m       Machine
	bus     pciBus
	chips   []tpuChip
	cores   int               // of a chip; all chips of a machine are alike
	nodes   map[string]uint32 // device node to chip
	holders nodeHolders
	runtime tpuRuntime
	reading Reading

	detected, walked, linked int64 // when last done; 0: never
	walkErr                  error
}

// tpuChip is a chip on the PCI bus.
type tpuChip struct {
	pci  pciDevice
	kind *tpuKind
}

// tpuKind is what the number of a device says about a chip.
type tpuKind struct {
	device, subsystem uint64 // subsystem 0: any
	name              string
	arch              string
	hbmGiB            uint64 // of the whole chip
	cores             int    // devices that the runtime makes of a chip
}

const googleVendor = 0x1ae0

// tpuKinds: the numbers are those of tpu_info/device.py (github.com/AI-Hypercomputer/cloud-accelerator-diagnostics), which gives v2's and v3's memory by
// core. Other Google devices, such as its network card, are none.
var tpuKinds = [...]tpuKind{
	{0x0027, 0x004e, "TPU v2", "v2", 16, 2},
	{0x0027, 0x004f, "TPU v3", "v3", 32, 2},
	{0x005e, 0, "TPU v4", "v4", 32, 1},
	{0x0063, 0, "TPU v5e", "v5e", 16, 1},
	{0x0062, 0, "TPU v5p", "v5p", 95, 1},
	{0x006f, 0, "TPU v6e", "v6e", 32, 1},
	{0x0076, 0, "TPU7x", "7x", 192, 2},
}

const (
	detectEvery = 30_000 // ms between two looks whether there are such devices
	slowEvery   = 60_000 // ms between two readings of what hardly changes
)

func newTPU(m Machine) Reader {
	r := &tpuReader{m: m, bus: pciBus{root: m.Root, vendor: googleVendor}, holders: nodeHolders{root: m.Root}}
	if m.Root.Real() {
		r.runtime.firstPort = tpuFirstPort
	}
	return r
}

func (r *tpuReader) Reading() *Reading { return &r.reading }

func (r *tpuReader) Close() { r.runtime.close() }

func (r *tpuReader) Read(_ context.Context, detail bool) error {
	now := max(r.m.Mono(), 1)
	if due(&r.detected, now, detectEvery) {
		r.detect()
	}
	if len(r.chips) == 0 {
		if len(r.reading.Unseen) > 0 {
			return &Condition{State: facts.SourceState_SOURCE_UNSUPPORTED, Text: fmt.Sprintf("%d TPU chips on the PCI bus, none with a driver", len(r.reading.Unseen)),
				Remedy: "load the driver (vfio-pci, or Google's accel), then start the runtime"}
		}
		return Unsupported("no TPU here")
	}
	if due(&r.linked, now, slowEvery) {
		for i := range r.chips {
			pciLink(r.m.Root, r.chips[i].pci.address, &r.reading.State, i)
			if r.chips[i].pci.gone {
				r.reading.State.Set(telemetry.GPUStatus, i, telemetry.GPULost)
			}
		}
		r.reading.SlowMS = now
	}
	if due(&r.walked, now, holderEvery) {
		r.walk()
	}
	if r.runtime.poll(now, detail, len(r.chips), r.cores, r.reading.Holders) {
		r.runtime.write(&r.reading.State, r.chips, r.cores)
		r.reading.FastMS = now
	}
	return r.condition()
}

// due says whether something is to be done again, and notes that it is.
func due(last *int64, now, every int64) bool {
	if *last != 0 && now-*last < every {
		return false
	}
	*last = now
	return true
}

// detect looks for chips.
func (r *tpuReader) detect() {
	if changed, err := r.bus.scan(); err != nil || !changed {
		return
	}
	r.chips, r.nodes, r.reading.Unseen = nil, map[string]uint32{}, nil
	var list []tpuChip
	for _, d := range r.bus.found {
		if k := tpuKindOf(d); k != nil {
			list = append(list, tpuChip{d, k})
		}
	}
	nodes := make([][]string, len(list))
	anyNode := false
	for i := range list {
		nodes[i] = r.nodesOf(list[i].pci, i)
		anyNode = anyNode || r.isHere(nodes[i])
	}
	for i, c := range list {
		why := ""
		switch {
		case c.pci.gone: // and known
		case c.pci.driver == "":
			why = "no driver"
		case anyNode && !r.isHere(nodes[i]):
			why = "not visible to this user"
		}
		switch {
		case why != "":
			r.reading.Unseen = append(r.reading.Unseen, &facts.UnseenGPU{Pci: c.pci.address, Vendor: "google", Why: why})
		default:
			for _, n := range nodes[i] {
				r.nodes[n] = uint32(len(r.chips))
			}
			r.chips = append(r.chips, c)
		}
	}
	r.describe()
}

func tpuKindOf(d pciDevice) *tpuKind {
	i := slices.IndexFunc(tpuKinds[:], func(k tpuKind) bool { return k.device == d.device && (k.subsystem == 0 || k.subsystem == d.subsystem) })
	if i < 0 {
		return nil
	}
	return &tpuKinds[i]
}

// nodesOf gives the device nodes by which a chip is opened: /dev/accelN up to v4, its VFIO group from v5e on. Where sysfs does not say which, the i-th.
func (r *tpuReader) nodesOf(d pciDevice, i int) (nodes []string) {
	folder := pciDevices + "/" + d.address
	if group := r.m.Root.Target(folder + "/iommu_group"); group != "" {
		nodes = append(nodes, "/dev/vfio/"+group)
	}
	for _, sub := range [...][2]string{{"/accel", "/dev/"}, {"/vfio-dev", "/dev/vfio/devices/"}} {
		names, _ := r.m.Root.Names(folder + sub[0])
		for _, n := range names {
			nodes = append(nodes, sub[1]+n)
		}
	}
	if len(nodes) == 0 {
		nodes = []string{fmt.Sprintf("/dev/accel%d", i), fmt.Sprintf("/dev/vfio/%d", i)}
	}
	return nodes
}

func (r *tpuReader) isHere(nodes []string) bool {
	return slices.ContainsFunc(nodes, func(n string) bool { return r.m.Root.Exists(n[1:]) })
}

// describe makes the inventory anew.
func (r *tpuReader) describe() {
	gpus, parts := make([]*facts.GPU, len(r.chips)), []*facts.GPUPart(nil)
	r.cores = 1
	if len(r.chips) > 0 {
		r.cores = r.chips[0].kind.cores
	}
	for i, c := range r.chips {
		g := &facts.GPU{Vendor: "google", Name: c.kind.name, Architecture: c.kind.arch, MemoryTotalBytes: c.kind.hbmGiB << 30, Minor: -1, ModuleId: -1}
		pciPlace(r.m.Root, c.pci.address, g)
		if c.pci.gone {
			g.Note = goneNote
		}
		gpus[i] = g
		for core := range uint32(r.cores) {
			if r.cores > 1 {
				parts = append(parts, &facts.GPUPart{Gpu: uint32(i), Kind: "TPU core", Name: fmt.Sprintf("core %d", core), Instance: core})
			}
		}
	}
	for node, chip := range r.nodes {
		if n, ok := numbered(node, "/dev/accel"); ok {
			gpus[chip].Minor = int32(n)
		}
	}
	r.reading.Generation++
	r.reading.GPUs, r.reading.Parts = gpus, parts
	r.reading.State.Resize(telemetry.ScopeGPU, 0) // what was read may be of another chip
	r.reading.State.Resize(telemetry.ScopeGPU, len(gpus))
	r.reading.State.Resize(telemetry.ScopeGPUPart, 0)
	r.reading.State.Resize(telemetry.ScopeGPUPart, len(parts))
	r.reading.Holders, r.walked, r.linked = nil, 0, 0
	r.runtime.close()
}

// walk looks who holds the chips. How many processes hold one is known where all could be looked into, or some do.
func (r *tpuReader) walk() {
	var list []Holder
	list, r.walkErr = r.holders.find(func(target string) (uint32, bool) {
		chip, ok := r.nodes[target]
		return chip, ok
	})
	if r.walkErr != nil {
		return
	}
	if !slices.Equal(list, r.reading.Holders) {
		r.reading.Holders = list
	}
	countHolders(&r.reading, r.holders.foreign > 0)
}

// countHolders sets how many processes hold each accelerator: absent where none is seen and some could not be looked into.
func countHolders(r *Reading, blind bool) {
	for i := range r.GPUs {
		n := int64(0)
		for _, h := range r.Holders {
			if int(h.GPU) == i {
				n++
			}
		}
		if r.State.Set(telemetry.GPUProcesses, i, n); n == 0 && blind {
			r.State.Clear(telemetry.GPUProcesses, i)
		}
	}
}

// condition says what is not known, and why.
func (r *tpuReader) condition() error {
	hidden := r.holders.foreign > 0
	switch err := r.runtime.failure(); {
	case err != nil:
		return &Condition{State: facts.SourceState_SOURCE_FAILING, Text: "the TPU runtime's metric service: " + err.Error(),
			Remedy: "see the workload's log; its runtime answers on the ports of TPU_RUNTIME_METRICS_PORTS, from 8431 on"}
	case !r.runtime.answers() && len(r.reading.Holders) > 0:
		return &Condition{State: facts.SourceState_SOURCE_OK, Text: "a workload holds the chips, but its runtime tells no metrics on port 8431",
			Remedy: "start it with TPU_RUNTIME_METRICS_PORTS=8431,8432,… in its environment"}
	case r.walkErr != nil:
		return &Condition{State: facts.SourceState_SOURCE_OK, Text: "who holds the chips is not known: " + r.walkErr.Error()}
	case hidden && !r.runtime.answers():
		return &Condition{State: facts.SourceState_SOURCE_OK, Text: "no workload of this user's runs: utilisation and memory are told only while one does; " + hiddenHolders,
			Remedy: hiddenRemedy}
	case hidden && len(r.reading.Holders) == 0:
		return &Condition{State: facts.SourceState_SOURCE_OK, Text: hiddenHolders, Remedy: hiddenRemedy}
	case !r.runtime.answers():
		return Remark("no workload runs: utilisation and memory are told only while one does")
	}
	return nil
}

const (
	hiddenHolders = "other users' processes may not be looked into, so who holds the accelerators is known for one's own only"
	hiddenRemedy  = "needs CAP_SYS_PTRACE, or root"
)

// spend is the time that one reading may wait for a service on this machine.
const spend = 700 * time.Millisecond
