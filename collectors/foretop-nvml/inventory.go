//go:build linux && cgo

package main

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/NVIDIA/go-nvml/pkg/nvml"

	"foretop/collectors/nvml/pipe"
	"foretop/telemetry"
)

// enumerate takes handles of all GPUs that the driver shows and asks what does not change. A GPU known from before keeps its slot, whatever its number is
// now; one that is not shown any more is lost, unless this user may not see it any more. Handles are kept: fetching them anew each tick is costly.
func (r *reader) enumerate() pipe.Status {
	defer r.watch.leave()
	r.inv.Driver = r.word(callDriverVersion, -1, r.lib.SystemGetDriverVersion)
	r.inv.NVML = r.word(callNVMLVersion, -1, r.lib.SystemGetNVMLVersion)
	if r.mayOnce(callCUDAVersion, -1) {
		if v, ret := r.lib.SystemGetCudaDriverVersion(); ret == nvml.SUCCESS {
			r.inv.CUDA = strconv.Itoa(v/1000) + "." + strconv.Itoa(v%1000/10)
		}
	}
	r.watch.enter(callCount, -1)
	n, ret := r.lib.DeviceGetCount()
	if ret != nvml.SUCCESS {
		return pipe.Status{Health: pipe.Failing, GPU: -1, Text: callCount.String() + ": " + r.lib.ErrorString(ret)}
	}
	seen := map[*slot]bool{}
	r.refused = 0
	for i := range min(n, pipe.MaxGPUs) {
		r.watch.enter(callHandle, i)
		dev, ret := r.lib.DeviceGetHandleByIndex(i)
		if ret == nvml.ERROR_NO_PERMISSION { // NVML counts those of others as well
			r.refused++
			continue
		}
		if ret != nvml.SUCCESS {
			if len(r.slots) <= i { // never seen well: it has a place, and nothing else
				s := r.addSlot(pipe.GPU{Minor: -1, NUMANode: -1, ModuleID: -1})
				r.fail(s, ret, time.Now())
				seen[s] = true
			}
			continue
		}
		g := r.identity(dev, i)
		if s := r.slotOf(g, i); s != nil {
			seen[s] = true
			r.found(s, dev, g)
		}
	}
	r.relist = true
	r.look()
	for _, s := range r.slots {
		if !seen[s] {
			r.vanished(s)
		}
	}
	r.list()
	if len(r.slots) == 0 {
		return r.noGPU()
	}
	return pipe.Status{Health: pipe.OK}
}

// found puts a GPU into its slot, with nothing known of it yet.
func (r *reader) found(s *slot, dev nvml.Device, g pipe.GPU) {
	*s = slot{index: s.index, dev: dev, slowDue: true}
	known := r.inv.GPUs[s.index]
	g.FabricCluster, g.FabricClique = known.FabricCluster, known.FabricClique
	r.inv.GPUs[s.index] = g
	r.state.Set(telemetry.GPUStatus, s.index, telemetry.GPUOK)
	s.links.count = r.countLinks(s)
	r.checkMIG(s)
}

// vanished is for a GPU that was shown before and is not now.
func (r *reader) vanished(s *slot) {
	s.dev = nil
	g := &r.inv.GPUs[s.index]
	if why, unseen := r.unseen[g.PCI]; unseen && strings.HasPrefix(why, pipe.NotVisible+": ") {
		r.forget(s)
		s.hidden, g.Note = true, why
		return
	}
	r.fail(s, nvml.ERROR_GPU_IS_LOST, time.Now())
}

// look compares what the driver shows with what is on the PCI bus.
func (r *reader) look() {
	r.bound = pipe.BoundGPUs(r.root)
	r.onPCI = pipe.PCIGPUs(r.root)
	r.unseen = map[string]string{}
	nameless := 0
	shown := map[string]bool{}
	for i, s := range r.slots {
		if s.dev != nil {
			shown[r.inv.GPUs[i].PCI] = true
		} else if r.inv.GPUs[i].PCI == "" {
			nameless++
		}
	}
	r.inv.Unseen = nil
	for _, pci := range r.onPCI {
		if shown[pci] {
			continue
		}
		why := pipe.WhyUnseen(r.root, pci)
		if r.refused > 0 && strings.HasPrefix(why, pipe.NotStarted) {
			why = pipe.NotVisible + ": the driver refuses it"
		}
		r.unseen[pci] = why
		known := slices.ContainsFunc(r.inv.GPUs, func(g pipe.GPU) bool { return g.PCI == pci })
		if nameless > 0 && !known && !strings.HasPrefix(why, pipe.NotVisible) && slices.Contains(r.bound, pci) {
			nameless-- // that is the one which the driver counts and gives no handle of
			continue
		}
		if !known && len(r.inv.Unseen) < pipe.MaxGPUs {
			r.inv.Unseen = append(r.inv.Unseen, pipe.Unseen{PCI: pci, Why: why})
		}
	}
	for len(r.inv.Unseen) < min(r.refused, pipe.MaxGPUs) { // without a PCI bus to see them on
		r.inv.Unseen = append(r.inv.Unseen, pipe.Unseen{Why: pipe.NotVisible + ": the driver refuses it"})
	}
}

// total is how many GPUs there are, shown or not.
func (r *reader) total() int { return max(len(r.onPCI), len(r.slots)+len(r.inv.Unseen)) }

// hidden says in words which GPUs of the PCI bus are not shown, and why; "" when all are.
func (r *reader) hidden() string {
	if len(r.inv.Unseen) == 0 {
		return ""
	}
	count := map[string]int{}
	var order []string
	for _, u := range r.inv.Unseen {
		why, _, _ := strings.Cut(u.Why, ":")
		if count[why]++; count[why] == 1 {
			order = append(order, why)
		}
	}
	var words []string
	for _, why := range order {
		words = append(words, strconv.Itoa(count[why])+" "+why)
	}
	return strings.Join(words, ", ")
}

func (r *reader) noGPU() pipe.Status {
	if r.total() == 0 {
		return pipe.Status{Health: pipe.Unsupported, GPU: -1, Text: "the NVIDIA driver runs, but there is no GPU"}
	}
	st := pipe.Status{Health: pipe.Failing, GPU: -1, Text: "the driver shows none of the " + strconv.Itoa(r.total()) + " NVIDIA GPUs: " + r.hidden(),
		Remedy: "this user may not be allowed to open /dev/nvidia* (a cgroup of a job?), or the driver could not start them: see the kernel log"}
	if !slices.ContainsFunc(r.inv.Unseen, func(u pipe.Unseen) bool { return !strings.HasPrefix(u.Why, pipe.NotVisible+": ") }) {
		st.Health = pipe.Denied
		st.Remedy = "they are not this user's: the scheduler gives a job its GPUs by the cgroup, or by the rights of /dev/nvidia*"
	}
	return st
}

// slotOf finds the GPU's slot by its UUID, or gives it one: the nameless one at its index, or a new one.
func (r *reader) slotOf(g pipe.GPU, index int) *slot {
	for i, known := range r.inv.GPUs {
		if known.UUID != "" && known.UUID == g.UUID {
			return r.slots[i]
		}
	}
	if index < len(r.slots) && r.inv.GPUs[index].UUID == "" {
		return r.slots[index]
	}
	if len(r.slots) == pipe.MaxGPUs {
		return nil
	}
	return r.addSlot(g)
}

func (r *reader) addSlot(g pipe.GPU) *slot {
	s := &slot{index: len(r.slots)}
	r.slots = append(r.slots, s)
	r.inv.GPUs = append(r.inv.GPUs, g)
	var before telemetry.State
	before.CopyScope(telemetry.ScopeGPU, &r.state)
	r.state.Resize(telemetry.ScopeGPU, len(r.slots)) // drops the readings of the others: put them back
	r.state.CopyScopeTo(telemetry.ScopeGPU, &before, 0)
	return s
}

var architectures = map[nvml.DeviceArchitecture]string{nvml.DEVICE_ARCH_KEPLER: "Kepler", nvml.DEVICE_ARCH_MAXWELL: "Maxwell", nvml.DEVICE_ARCH_PASCAL: "Pascal",
	nvml.DEVICE_ARCH_VOLTA: "Volta", nvml.DEVICE_ARCH_TURING: "Turing", nvml.DEVICE_ARCH_AMPERE: "Ampere", nvml.DEVICE_ARCH_ADA: "Ada",
	nvml.DEVICE_ARCH_HOPPER: "Hopper", nvml.DEVICE_ARCH_BLACKWELL: "Blackwell", nvml.DEVICE_ARCH_RUBIN: "Rubin"}

// identity asks what does not change. What the driver does not tell stays empty.
func (r *reader) identity(dev nvml.Device, index int) pipe.GPU {
	g := pipe.GPU{Minor: -1, NUMANode: -1, ModuleID: -1}
	g.UUID = r.word(callUUID, index, dev.GetUUID)
	g.Name = r.word(callName, index, dev.GetName)
	g.Serial = r.word(callSerial, index, dev.GetSerial)
	g.VBIOS = r.word(callVBIOS, index, dev.GetVbiosVersion)
	g.BoardPart = r.word(callBoardPart, index, dev.GetBoardPartNumber)
	g.InfoROM = r.word(callInfoROM, index, dev.GetInforomImageVersion)
	g.Firmware = r.word(callFirmware, index, dev.GetGspFirmwareVersion)
	if r.mayOnce(callMinor, index) {
		if minor, ret := dev.GetMinorNumber(); ret == nvml.SUCCESS {
			g.Minor = minor
		}
	}
	if r.mayOnce(callPCI, index) {
		if p, ret := dev.GetPciInfo(); ret == nvml.SUCCESS {
			g.PCI = pciAddress(&p)
			g.NUMANode, g.CPUs = pipe.NUMANode(r.root, g.PCI), pipe.CPUs(r.root, g.PCI)
		}
	}
	if r.mayOnce(callCapability, index) {
		if major, minor, ret := dev.GetCudaComputeCapability(); ret == nvml.SUCCESS {
			g.ComputeCapability = strconv.Itoa(major) + "." + strconv.Itoa(minor)
		}
	}
	if r.mayOnce(callArchitecture, index) {
		if a, ret := dev.GetArchitecture(); ret == nvml.SUCCESS {
			g.Architecture = architectures[a]
		}
	}
	if r.mayOnce(callModule, index) {
		if id, ret := dev.GetModuleId(); ret == nvml.SUCCESS {
			g.ModuleID = id
		}
	}
	if r.mayOnce(callPlatform, index) {
		if p, ret := dev.GetPlatformInfo(); ret == nvml.SUCCESS {
			g.Chassis = text(p.ChassisSerialNumber[:])
			if g.Chassis != "" {
				g.Slot, g.Tray = uint32(p.SlotNumber), uint32(p.TrayIndex)
			}
		}
	}
	if r.mayOnce(callMemory1, index) {
		if m, ret := dev.GetMemoryInfo(); ret == nvml.SUCCESS {
			g.MemoryBytes = m.Total
		}
	}
	return g
}

// word asks for a text, "" where the driver gives none.
func (r *reader) word(c call, gpu int, ask func() (string, nvml.Return)) string {
	if !r.mayOnce(c, gpu) {
		return ""
	}
	s, ret := ask()
	if ret != nvml.SUCCESS {
		return ""
	}
	return s
}

// text is a C string in an array.
func text(b []uint8) string {
	if end := slices.Index(b, 0); end >= 0 {
		b = b[:end]
	}
	return string(b)
}

// pciAddress is dddd:bb:dd.f.
func pciAddress(p *nvml.PciInfo) string {
	hex := func(v uint32, digits int) string {
		s := strconv.FormatUint(uint64(v), 16)
		return strings.Repeat("0", max(digits-len(s), 0)) + s
	}
	return hex(p.Domain, 4) + ":" + hex(p.Bus, 2) + ":" + hex(p.Device, 2) + ".0"
}
