package accelerators

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"foretop/collectors/kernfs"
	"foretop/telemetry"
	"foretop/telemetry/facts"
)

// gaudiReader reads Intel Gaudi (Habana) accelerators: presence, state, resets and clocks from the driver's files
// (Documentation/ABI/testing/sysfs-driver-habanalabs), and the rest from hl-smi, whose rows are streamed (gaudismi.go).
type gaudiReader struct {
	m       Machine
	bus     pciBus
	devices []gaudiDevice
	nodes   map[string]uint32 // device node to device
	holders nodeHolders
	smi     *gaudiSMI
	reading Reading

	detected, walked, slow int64
}

// gaudiDevice is one accelerator.
type gaudiDevice struct {
	pci    pciDevice
	folder string // of the driver's files; "" where it shows none
	status *kernfs.File
	row    gaudiRow // the last one taken in
	note   string   // as the inventory has it
}

const habanaVendor = 0x1da3

// gaudiKinds: the PCI numbers of the habanalabs driver and of Intel's pages.
var gaudiKinds = []struct {
	device     uint64
	name, arch string
}{
	{0x0001, "Habana Goya", "Goya"},
	{0x1000, "Intel Gaudi", "Gaudi"},
	{0x1010, "Intel Gaudi", "Gaudi"},
	{0x1020, "Intel Gaudi 2", "Gaudi2"},
	{0x1021, "Intel Gaudi 2", "Gaudi2"},
	{0x1030, "Intel Gaudi 2", "Gaudi2"},
	{0x1060, "Intel Gaudi 3", "Gaudi3"},
	{0x1063, "Intel Gaudi 3", "Gaudi3"},
}

const gaudiSlow = 10_000 // ms between two readings of what the driver asks the device's firmware for

func newGaudi(m Machine) Reader {
	return &gaudiReader{m: m, bus: pciBus{root: m.Root, vendor: habanaVendor}, holders: nodeHolders{root: m.Root}, smi: newGaudiSMI(m)}
}

func (r *gaudiReader) Reading() *Reading { return &r.reading }

func (r *gaudiReader) Close() {
	r.smi.stream.end()
	r.closeFiles()
}

func (r *gaudiReader) closeFiles() {
	for i := range r.devices {
		if f := r.devices[i].status; f != nil {
			f.Close()
		}
	}
}

func (r *gaudiReader) Read(ctx context.Context, _ bool) error {
	now := max(r.m.Mono(), 1)
	if due(&r.detected, now, detectEvery) {
		r.detect()
	}
	if len(r.devices) == 0 {
		r.smi.stream.end()
		if n := len(r.reading.Unseen); n > 0 {
			return &Condition{State: facts.SourceState_SOURCE_UNSUPPORTED, Text: fmt.Sprintf("%d Gaudi accelerators on the PCI bus, and no driver", n),
				Remedy: "modprobe habanalabs; the kernel log says why it does not load"}
		}
		return Unsupported("no Gaudi here")
	}
	r.smi.stream.begin(ctx)
	changed := r.takeRows()
	changed = r.readStatus() || changed
	if changed {
		r.describe()
	}
	if due(&r.slow, now, gaudiSlow) {
		r.readSlow()
		r.reading.SlowMS = now
	}
	if due(&r.walked, now, holderEvery) {
		r.walk()
	}
	r.reading.FastMS = now
	return r.condition()
}

// detect looks for accelerators.
func (r *gaudiReader) detect() {
	changed, err := r.bus.scan()
	if err != nil || !changed {
		return
	}
	old := r.devices
	r.closeFiles()
	r.devices, r.reading.Unseen = nil, nil
	for _, d := range r.bus.found {
		if d.driver == "" && !d.gone {
			r.reading.Unseen = append(r.reading.Unseen, &facts.UnseenGPU{Pci: d.address, Vendor: "habana", Why: "no driver"})
			continue
		}
		g := gaudiDevice{pci: d}
		if i := slices.IndexFunc(old, func(o gaudiDevice) bool { return o.pci.address == d.address }); i >= 0 {
			g.row = old[i].row
		}
		r.devices = append(r.devices, g)
	}
	r.findFiles()
	s := &r.reading.State
	s.Resize(telemetry.ScopeGPU, 0) // what was read may be of another device
	s.Resize(telemetry.ScopeGPU, len(r.devices))
	r.reading.Holders, r.walked, r.slow = nil, 0, 0
	r.describe()
}

// findFiles finds the driver's files and device nodes: /sys/class/accel since Linux 6.3, where they hang at the PCI device, /sys/class/habanalabs before.
func (r *gaudiReader) findFiles() {
	r.nodes = map[string]uint32{}
	for _, class := range [...]struct{ folder, prefix, dev string }{
		{"sys/class/accel", "accel", "/dev/accel/"}, {"sys/class/habanalabs", "hl", "/dev/"},
	} {
		names, _ := r.m.Root.Names(class.folder)
		for _, name := range names {
			if _, ok := numbered(name, class.prefix); !ok {
				continue // hl_controlD0
			}
			folder := class.folder + "/" + name
			address := strings.ToLower(r.m.Root.Word(folder + "/pci_addr"))
			if class.prefix == "accel" {
				address = r.m.Root.Target(folder + "/device")
				folder += "/device"
			}
			i := slices.IndexFunc(r.devices, func(d gaudiDevice) bool { return d.pci.address == address })
			if i < 0 {
				continue
			}
			r.nodes[class.dev+name] = uint32(i)
			if d := &r.devices[i]; d.folder == "" {
				d.folder = folder
				d.status = r.m.Root.Hold(folder + "/status")
			}
		}
	}
}

// describe makes the inventory anew.
func (r *gaudiReader) describe() {
	gpus := make([]*facts.GPU, len(r.devices))
	driver := telemetry.Clean(r.m.Root.Word("sys/module/habanalabs/version"), 64)
	for i := range r.devices {
		d := &r.devices[i]
		g := &facts.GPU{Vendor: "habana", Name: "Intel Gaudi", Minor: -1, ModuleId: -1, Driver: driver, Note: d.note}
		if k := slices.IndexFunc(gaudiKinds, func(k struct {
			device     uint64
			name, arch string
		}) bool {
			return k.device == d.pci.device
		}); k >= 0 {
			g.Name, g.Architecture = gaudiKinds[k].name, gaudiKinds[k].arch
		}
		pciPlace(r.m.Root, d.pci.address, g)
		if d.folder != "" {
			g.Firmware = telemetry.Clean(r.m.Root.Word(d.folder+"/cpucp_ver"), 64)
		}
		r.smi.describe(&d.row, g)
		gpus[i] = g
	}
	for node, i := range r.nodes {
		if n, err := strconv.ParseUint(strings.TrimLeft(node, "/abcdefghijklmnopqrstuvwxyz"), 10, 31); err == nil {
			gpus[i].Minor = int32(n)
		}
	}
	r.reading.GPUs = gpus
	r.reading.Generation++
}

// readStatus reads how the driver says that each device is; changed says that the inventory is to be made anew, for it holds the words.
func (r *gaudiReader) readStatus() (changed bool) {
	for i := range r.devices {
		d := &r.devices[i]
		status, note, known := int64(telemetry.GPULost), goneNote, true
		if !d.pci.gone {
			status, note, known = d.state()
		}
		if r.reading.State.Clear(telemetry.GPUStatus, i); known {
			r.reading.State.Set(telemetry.GPUStatus, i, status)
		}
		if note != d.note {
			d.note, changed = note, true
		}
	}
	return changed
}

// state reads the status file: "Operational", "In reset", "Malfunction", "Disabled", "Needs reset", "In device creation", …
func (d *gaudiDevice) state() (status int64, note string, known bool) {
	if d.status == nil {
		return 0, "", false
	}
	b, err := d.status.Read()
	switch word := string(kernfs.Trim(b)); {
	case err != nil && kernfs.Gone(err):
		return telemetry.GPULost, "its driver shows it no more", true
	case err != nil || word == "":
		return 0, "", false
	case strings.EqualFold(word, "operational"):
		return telemetry.GPUOK, "", true
	default:
		return telemetry.GPUFailing, telemetry.Clean(word, 64), true
	}
}

// readSlow reads clocks, resets, the power limit and the PCIe link.
func (r *gaudiReader) readSlow() {
	s := &r.reading.State
	for i := range r.devices {
		d := &r.devices[i]
		if d.folder == "" || d.pci.gone {
			continue
		}
		number := func(file string) (uint64, bool) {
			v, _, err := r.m.Root.Number(d.folder+"/"+file, nil)
			return v, err == nil
		}
		set := func(m telemetry.Metric, v uint64, ok bool) {
			if s.Clear(m, i); ok {
				s.SetUint(m, i, v)
			}
		}
		v, ok := number("clk_cur_freq_mhz")
		set(telemetry.GPUSMClockMHz, v, ok)
		v, ok = number("clk_max_freq_mhz")
		set(telemetry.GPUSMClockMaxMHz, v, ok)
		if v, ok = number("max_power"); ok && !d.row.has(telemetry.GPUPowerLimitMW) { // mW
			set(telemetry.GPUPowerLimitMW, v, ok)
		}
		hard, ok := number("hard_reset_cnt")
		soft, also := number("soft_reset_cnt") // no more in newer drivers
		set(telemetry.GPUResets, hard+soft, ok || also)
		pciLink(r.m.Root, d.pci.address, s, i)
	}
}

func (r *gaudiReader) walk() {
	list, err := r.holders.find(func(target string) (uint32, bool) {
		i, ok := r.nodes[target]
		return i, ok
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
func (r *gaudiReader) condition() error {
	const without = ": utilisation, memory, power and temperature are known from it alone"
	c := r.smi.stream.trouble()
	switch {
	case c == nil && r.smi.complaint() != "":
		return &Condition{State: facts.SourceState_SOURCE_OK, Text: "hl-smi: " + r.smi.complaint()}
	case c == nil && r.holders.foreign > 0 && len(r.reading.Holders) == 0:
		return &Condition{State: facts.SourceState_SOURCE_OK, Text: hiddenHolders, Remedy: hiddenRemedy}
	case c == nil:
		return nil
	case c.State == facts.SourceState_SOURCE_UNSUPPORTED:
		// The driver's files are read all the same.
		return &Condition{State: facts.SourceState_SOURCE_OK, Text: c.Text + without, Remedy: "install habanalabs-firmware-tools"}
	}
	if said := r.smi.complaint(); said != "" {
		c.Text += ": " + said
	}
	c.Text += without
	return c
}

// gaudiSilence is how long rows count that are not followed by others.
const gaudiSilence = 30 * time.Second
