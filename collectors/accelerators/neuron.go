package accelerators

import (
	"context"
	"fmt"
	"slices"
	"time"

	"foretop/collectors/kernfs"
	"foretop/telemetry"
	"foretop/telemetry/facts"
)

// neuronReader reads AWS Neuron devices (Trainium, Inferentia): inventory, memory, errors and power from the driver's files (neurontree.go), and what only
// the runtime knows from neuron-monitor's reports (neuronmonitor.go). neuron-ls is asked once where the devices sit, for the files do not say.
type neuronReader struct {
	m       Machine
	bus     pciBus
	names   []string // of the devices' folders, as last listed
	devices []neuronDevice
	first   []int // each device's first part; one more at the end
	holders nodeHolders
	reading Reading

	monitor  *neuronMonitor
	reported uint64 // the report that was last taken in; 0: none that holds
	ls       question
	lsAsked  int // of neuronLS

	detected, walked, slow int64
}

// neuronDevice is what the driver's files say of one device.
type neuronDevice struct {
	index  uint32 // N of neuronN
	tree   neuronTree
	memory []*kernfs.File // of each core, in use
	host   []*kernfs.File
}

const (
	neuronFolder = "sys/devices/virtual/neuron_device"
	amazonVendor = 0x1d0f
	maxCores     = 32 // of a device
)

// neuronMemory is the device memory by name, where neither neuron-ls nor neuron-monitor tell it (AWS's pages on the instance types).
var neuronMemory = map[string]uint64{"Inferentia": 8 << 30, "Inferentia2": 32 << 30, "Trainium1": 32 << 30, "Trainium2": 96 << 30}

// neuronPCI are the PCI device numbers that the driver takes (neuron_device.h of aws-neuron-driver).
var neuronPCI = []uint64{0x7064, 0x7065, 0x7066, 0x7067, 0x7164, 0x7264, 0x7364}

func newNeuron(m Machine) Reader {
	r := &neuronReader{m: m, bus: pciBus{root: m.Root, vendor: amazonVendor}, holders: nodeHolders{root: m.Root},
		ls: question{start: m.Start, most: 256 << 10, deadline: 20 * time.Second}}
	r.monitor = newNeuronMonitor(m)
	return r
}

func (r *neuronReader) Reading() *Reading { return &r.reading }

func (r *neuronReader) Close() {
	r.monitor.stream.end()
	r.closeFiles()
}

func (r *neuronReader) closeFiles() {
	for i := range r.devices {
		for _, f := range r.devices[i].memory {
			f.Close()
		}
		for _, f := range r.devices[i].host {
			f.Close()
		}
	}
}

func (r *neuronReader) Read(ctx context.Context, _ bool) error {
	now := max(r.m.Mono(), 1)
	if due(&r.detected, now, detectEvery) {
		r.detect()
	}
	if len(r.devices) == 0 {
		r.monitor.stream.end()
		if n := len(r.reading.Unseen); n > 0 {
			return &Condition{State: facts.SourceState_SOURCE_UNSUPPORTED, Text: fmt.Sprintf("%d Neuron devices on the PCI bus, and no driver", n),
				Remedy: "install aws-neuronx-dkms, or modprobe neuron; the kernel log says why it does not load"}
		}
		return Unsupported("no Neuron device here")
	}
	r.monitor.stream.begin(ctx)
	r.askPlaces(ctx)
	r.readMemory(now)
	if due(&r.slow, now, slowEvery) {
		r.readSlow(now)
	}
	told := r.takeReport(now)
	if !told && due(&r.walked, now, holderEvery) {
		r.walk()
	}
	return r.condition()
}

// detect looks for devices.
func (r *neuronReader) detect() {
	names, _ := r.m.Root.Names(neuronFolder)
	names = slices.DeleteFunc(names, func(n string) bool { _, ok := numbered(n, "neuron"); return !ok })
	slices.SortFunc(names, kernfs.Natural)
	names = names[:min(len(names), maxDevices)]
	if !slices.Equal(names, r.names) {
		r.open(names)
	}
	r.detectOnBus()
}

// open takes over another list of devices.
func (r *neuronReader) open(names []string) {
	r.names = names
	r.closeFiles()
	r.devices = make([]neuronDevice, len(names))
	for i, name := range names {
		d := &r.devices[i]
		d.index, _ = numbered(name, "neuron")
		d.tree = walkNeuron(r.m.Root, neuronFolder+"/"+name)
		for _, core := range d.tree.cores {
			d.memory = append(d.memory, holdAll(r.m.Root, core.memory)...)
		}
		d.host = holdAll(r.m.Root, d.tree.hostMemory)
	}
	r.lsAsked = 0
	r.describe()
}

func holdAll(root kernfs.Root, names []string) (files []*kernfs.File) {
	for _, n := range names {
		files = append(files, root.Hold(n))
	}
	return files
}

// detectOnBus tells of devices on the PCI bus that the driver does not show: all of them where there is no driver, and those that it could not start
// where neuron-ls says which the others are.
func (r *neuronReader) detectOnBus() {
	if _, err := r.bus.scan(); err != nil {
		return
	}
	var unseen []*facts.UnseenGPU
	placed := !slices.ContainsFunc(r.reading.GPUs, func(g *facts.GPU) bool { return g.Pci == "" })
	for _, d := range r.bus.found {
		switch {
		case !slices.Contains(neuronPCI, d.device) || !placed || d.gone:
		case len(r.reading.GPUs) == 0:
			unseen = append(unseen, &facts.UnseenGPU{Pci: d.address, Vendor: "aws", Why: "no driver"})
		case !slices.ContainsFunc(r.reading.GPUs, func(g *facts.GPU) bool { return g.Pci == d.address }):
			unseen = append(unseen, &facts.UnseenGPU{Pci: d.address, Vendor: "aws", Why: "not shown by the driver"})
		}
	}
	if !slices.EqualFunc(unseen, r.reading.Unseen, func(a, b *facts.UnseenGPU) bool { return a.Pci == b.Pci && a.Why == b.Why }) {
		r.reading.Unseen = unseen
		r.reading.Generation++
	}
}

// describe makes the inventory anew.
func (r *neuronReader) describe() {
	gpus, parts := make([]*facts.GPU, len(r.devices)), []*facts.GPUPart(nil)
	driver := telemetry.Clean(r.m.Root.Word("sys/module/neuron/version"), 64)
	r.first = r.first[:0]
	for i := range r.devices {
		d := &r.devices[i]
		g := &facts.GPU{Vendor: "aws", Minor: int32(d.index), NumaNode: -1, ModuleId: -1, Driver: driver, Name: "Neuron device"}
		if name := neuronWord(r.m.Root, d.tree.name); name != "" {
			g.Name, g.MemoryTotalBytes = "AWS "+name, neuronMemory[name]
		}
		g.Architecture = neuronWord(r.m.Root, d.tree.arch)
		g.BoardPart = neuronWord(r.m.Root, d.tree.instance)
		if g.Serial = neuronWord(r.m.Root, d.tree.serial); g.Serial != "" {
			g.Uuid = "neuron-" + g.Serial
		}
		gpus[i] = g
		r.first = append(r.first, len(parts))
		for core := range d.tree.cores {
			parts = append(parts, &facts.GPUPart{Gpu: uint32(i), Kind: "NeuronCore", Name: fmt.Sprintf("core %d", core), Instance: d.tree.cores[core].index})
		}
	}
	r.first = append(r.first, len(parts))
	r.reading.Generation++
	r.reading.GPUs, r.reading.Parts = gpus, parts
	s := &r.reading.State
	for _, scope := range []struct {
		sc telemetry.Scope
		n  int
	}{{telemetry.ScopeGPU, len(gpus)}, {telemetry.ScopeGPUPart, len(parts)}} {
		s.Resize(scope.sc, 0)
		s.Resize(scope.sc, scope.n)
	}
	r.reading.Holders, r.walked, r.slow = nil, 0, 0
	r.setTotals()
}

func neuronWord(root kernfs.Root, file string) string {
	if file == "" {
		return ""
	}
	return telemetry.Clean(root.Word(file), 64)
}

// setTotals sets the memory that each device has.
func (r *neuronReader) setTotals() {
	for i, g := range r.reading.GPUs {
		if g.MemoryTotalBytes > 0 {
			r.reading.State.SetUint(telemetry.GPUMemTotalBytes, i, g.MemoryTotalBytes)
		}
	}
}

// askPlaces asks neuron-ls, once for an inventory, and takes the answer in when it has come.
func (r *neuronReader) askPlaces(ctx context.Context) {
	if out, err, ok := r.ls.fetch(); ok && err == nil {
		if places := parseNeuronLS(out); len(places) > 0 {
			r.placeDevices(places)
			r.lsAsked = len(neuronLS)
		}
	}
	if r.lsAsked < len(neuronLS) && r.ls.ask(ctx, neuronLS[r.lsAsked][0], neuronLS[r.lsAsked][1:]...) {
		r.lsAsked++
	}
}

// neuronLS are the ways to ask, in turn: profile scripts alone put the folder on PATH, and the flag for JSON changes with Neuron 2.34.
var neuronLS = [][]string{
	{"/opt/aws/neuron/bin/neuron-ls", "--json-output"},
	{"/opt/aws/neuron/bin/neuron-ls", "--output-format", "json"},
	{"neuron-ls", "--json-output"},
}

// placeDevices takes over where the devices sit. The inventory's messages are never changed once they were given out.
func (r *neuronReader) placeDevices(places map[uint32]neuronPlace) {
	gpus := make([]*facts.GPU, len(r.reading.GPUs))
	for i, old := range r.reading.GPUs {
		p := places[r.devices[i].index]
		g := &facts.GPU{Vendor: old.Vendor, Minor: old.Minor, NumaNode: old.NumaNode, ModuleId: old.ModuleId, Driver: old.Driver, Name: old.Name,
			MemoryTotalBytes: old.MemoryTotalBytes, Architecture: old.Architecture, BoardPart: old.BoardPart, Serial: old.Serial, Uuid: old.Uuid}
		if p.pci != "" {
			pciPlace(r.m.Root, p.pci, g)
		}
		if p.memory > 0 {
			g.MemoryTotalBytes = p.memory
		}
		gpus[i] = g
	}
	r.reading.GPUs = gpus
	r.reading.Generation++
	r.setTotals()
	r.slow = 0
}

// walk looks who holds the devices, where neuron-monitor does not tell.
func (r *neuronReader) walk() {
	list, err := r.holders.find(func(target string) (uint32, bool) {
		n, ok := numbered(target, "/dev/neuron")
		i := slices.IndexFunc(r.devices, func(d neuronDevice) bool { return ok && d.index == n })
		return uint32(i), i >= 0
	})
	if err != nil {
		return
	}
	if !slices.Equal(list, r.reading.Holders) {
		r.reading.Holders = list
	}
	countHolders(&r.reading, r.holders.foreign > 0)
}

// condition says how it goes.
func (r *neuronReader) condition() error {
	const without = ": utilisation and who runs what are known from it alone"
	c := r.monitor.stream.trouble()
	switch {
	case c == nil:
		if said := r.monitor.complaint(); said != "" {
			return &Condition{State: facts.SourceState_SOURCE_OK, Text: "neuron-monitor: " + said}
		}
		return nil
	case c.State == facts.SourceState_SOURCE_UNSUPPORTED:
		// The driver's files are read all the same.
		return &Condition{State: facts.SourceState_SOURCE_OK, Text: c.Text + without, Remedy: "install aws-neuronx-tools"}
	}
	c.Text += without
	return c
}
