package ui

import (
	"fmt"
	"math"
	"reflect"
	"time"

	"foretop/fleet"
	"foretop/telemetry"
	"foretop/telemetry/facts"
)

// unsay makes everything of a struct that can be absent so.
func unsay[T any](v *T) *T {
	var walk func(reflect.Value)
	walk = func(v reflect.Value) {
		switch {
		case v.Type() == reflect.TypeFor[fleet.Reading]():
			v.SetFloat(math.NaN())
		case v.Kind() == reflect.Struct:
			for i := range v.NumField() {
				if v.Type().Field(i).IsExported() {
					walk(v.Field(i))
				}
			}
		}
	}
	walk(reflect.ValueOf(v).Elem())
	return v
}

// look fills in what an NVIDIA node says only while somebody looks: detail, links, driver calls.
func (f *fixture) look(n *fleet.Node) {
	for i := range n.GPUs {
		g := &n.GPUs[i]
		d := fleet.NoDetail()
		d.GraphicsActivityPct, d.SMOccupancyPct, d.FP64ActivityPct, d.FP32ActivityPct, d.FP16ActivityPct = 92, 38, 0, 9, 4
		d.EncoderPct, d.DecoderPct, d.MemReservedBytes, d.BAR1UsedBytes, d.BAR1TotalBytes = 0, 0, 611<<20, 5<<20, 128*gib
		d.PowerAvgW, d.PowerDefaultLimitW, d.PowerMinLimitW, d.PowerMaxLimitW, d.EnergyJ = g.PowerW, 700, 200, 700, 3.1e9
		d.TempMarginC, d.MemMaxTempC, d.PState, d.Persistence, d.ComputeMode = 26, 95, 0, 1, 0
		g.NVLinkTXBytesPerS, g.NVLinkRXBytesPerS, d.PCIeTXBytesPerS, d.PCIeRXBytesPerS = 206e9, 205e9, 1.2e9, 3.4e9
		for _, r := range []*fleet.Reading{&d.PCIeReplayRollovers, &d.PCIeL0ToRecovery, &d.PCIeCorrectableErrors, &d.PCIeNonFatalErrors, &d.PCIeFatalErrors,
			&d.PCIeNAKsReceived, &d.PCIeNAKsSent, &d.PCIeBadTLPs, &d.PCIeBadDLLPs, &d.PCIeLCRCErrors} {
			*r = 0
		}
		for c := range d.Throttle {
			d.Throttle[c] = fleet.Throttle{}
		}
		d.Throttle[fleet.ThrottlePower] = fleet.Throttle{Total: 12_000, Pct: 31}
		g.Detail = d
		for l := range 18 {
			link := unsay(&fleet.Link{GPU: g.Index, Info: &facts.GPULink{Gpu: uint32(i), Link: uint32(l), Kind: "NVLink", Remote: "switch", RemotePci: fmt.Sprintf("0000:%02x:00.0", 5+l/5), Version: 4}})
			link.State, link.SpeedBytesPerS, link.TXBytesPerS, link.RXBytesPerS = telemetry.LinkUp, 26.562e9, 11.4e9, 11.4e9
			link.Replays, link.Recoveries, link.RecoveryFailures, link.CRCErrors, link.ECCErrors, link.RxErrors, link.TxDiscards, link.EffectiveErrors = 0, 0, 0, 0, 0, 0, 0, 0
			n.Links = append(n.Links, *link)
		}
	}
	n.Calls = []fleet.Call{
		{Name: "nvmlDeviceGetFieldValues", Source: 1, PerS: 8, MeanUS: 412, LastUS: 398, MaxUS: 2210, Count: 1e6},
		{Name: "nvmlDeviceGetComputeRunningProcesses_v3", Source: 1, PerS: 1.6, MeanUS: 880, LastUS: 1104, MaxUS: 13_400, Count: 2e5},
		{Name: "nvmlDeviceGetGpuFabricInfoV", Source: 1, PerS: 0, MeanUS: 71, LastUS: 66, MaxUS: fleet.None(), Count: 400},
	}
}

// kinds are machines that are not like the others: AMD's, one cut into MIG instances, one of which half is not shown, Google's, and one whose driver complains.
func kinds() *fleet.Snapshot {
	f := &fixture{seed: 9}
	f.addNodes("amd%02d", 1, 1, 8)
	f.addNodes("hid%02d", 1, 1, 4)
	f.addNodes("mig%02d", 1, 1, 4)
	f.addNodes("sick%02d", 1, 1, 8)
	f.addNodes("tpu%02d", 1, 1, 8)
	f.addJob("1", "sdxl", "ines", "torchrun", 1, 1, 8, load{90, 97, 0, 148, 0})
	f.amd(f.nodes[0])
	few := f.nodes[1]
	f.look(few)
	for i := range 4 {
		few.Inventory.UnseenGpus = append(few.Inventory.UnseenGpus, &facts.UnseenGPU{Pci: fmt.Sprintf("0000:%02x:00.0", 0x9d+i), Vendor: "nvidia", Why: "not visible to this user"})
	}
	few.Problems = []fleet.Problem{{Severity: fleet.Notice, Text: "4 more GPUs on the bus: not checked, not visible to this user", GPU: -1, Port: -1}}
	f.cut(f.nodes[2])
	f.sick(f.nodes[3])
	f.tpu(f.nodes[4])
	return f.snapshot()
}

func (f *fixture) amd(n *fleet.Node) {
	n.Sources[1].Name = "amd"
	n.Inventory.Product, n.Inventory.GpuDriverVersion = "AS-8125GS", ""
	for i := range n.GPUs {
		g := &n.GPUs[i]
		g.Info = &facts.GPU{Uuid: fmt.Sprintf("0x%016x", 0xabc0+i), Name: "AMD Instinct MI300X", Vendor: "amd", Pci: g.Info.Pci, Architecture: "CDNA3", ComputeCapability: "gfx942",
			Vbios: "113-M3000100-102", Driver: "6.12.12", NumaNode: int32(i / 4), ModuleId: -1}
		g.SMActivityPct, g.TensorActivityPct, g.DRAMActivityPct = fleet.None(), fleet.None(), fleet.None()
		g.MemUsedBytes, g.MemTotalBytes, g.PowerLimitW, g.SMClockMHz, g.SMClockMaxMHz, g.MemClockMHz, g.MemClockMaxMHz = 148*gib, 192*gib, 750, 2055, 2100, 1300, 1300
		s := unsay(&fleet.GPUSlow{RecoveryAction: -1, FabricState: -1, FabricStatus: -1, FabricHealthBits: -1})
		s.ECCVolatileCorrected, s.ECCVolatileUncorrected, s.PCIeGen, s.PCIeGenMax, s.PCIeWidth, s.PCIeWidthMax, s.PCIeReplays, s.Links, s.LinksUp = 2, 0, 5, 5, 16, 16, 1, 7, 7
		g.Slow = s
		d := fleet.NoDetail()
		d.VRTempC, d.HostMemUsedBytes, d.HostMemTotalBytes, g.NVLinkTXBytesPerS, g.NVLinkRXBytesPerS = 66, 18<<20, 1024*gib, 104e9, 103e9
		d.Throttle[fleet.ThrottlePower] = fleet.Throttle{Total: 72, Pct: 2}
		g.Detail = d
		for k, l := 0, uint32(0); k < 8; k++ {
			if k == i {
				continue
			}
			link := unsay(&fleet.Link{GPU: i, State: telemetry.LinkUp, Info: &facts.GPULink{Gpu: uint32(i), Link: l, Kind: "xGMI", Remote: "gpu", RemotePci: fmt.Sprintf("0000:%02x:00.0", 0x1b+k)}})
			link.SpeedBytesPerS, link.TXBytesPerS, link.RXBytesPerS = 64e9, 14.8e9, 14.7e9
			n.Links = append(n.Links, *link)
			l++
		}
	}
}

// cut puts the first two GPUs into MIG mode.
func (f *fixture) cut(n *fleet.Node) {
	f.look(n)
	none := fleet.None()
	add := func(gpu, instance int, name string, total, used, active fleet.Reading, user string) {
		info := &facts.GPUPart{Gpu: uint32(gpu), Kind: "MIG", Name: name, Instance: uint32(instance), Uuid: fmt.Sprintf("MIG-%08x-0000", 0xfa0+gpu*16+instance)}
		p := fleet.Part{Info: info, GPU: gpu, UtilPct: none, MemUsedBytes: used * gib, MemTotalBytes: total * gib, SMActivityPct: active, TensorActivityPct: active / 3, DRAMActivityPct: active / 2, ECCUncorrected: none}
		if user != "" {
			pid := int32(61200 + 16*gpu + instance)
			h := fleet.Holder{PID: pid, Part: len(n.Parts), MemBytes: used * gib, Rank: -1}
			p.Holders = []fleet.Holder{h}
			n.GPUs[gpu].Holders = append(n.GPUs[gpu].Holders, h)
			n.Processes = append(n.Processes, &fleet.Process{Process: &facts.Process{Pid: pid, User: user, Command: "python -m ipykernel_launcher"}, CPUPct: 4, RSS: 3 * gib, Threads: 20, Status: "S", Rank: -1})
		}
		n.Parts = append(n.Parts, p)
	}
	for i := range 2 {
		g := &n.GPUs[i]
		g.Info.Mig, g.UtilPct, g.MemUtilPct, g.SMActivityPct, g.TensorActivityPct, g.DRAMActivityPct = true, none, none, none, none, none
		g.Slow.LinksUp, g.Slow.Processes = 0, 4
	}
	add(0, 1, "3g.40gb", 40, 35, 57, "finn")
	add(0, 3, "2g.20gb", 20, 12, 34, "dana")
	add(0, 9, "1g.10gb", 10, 0, 0, "")
	for i := range 7 {
		add(1, 7+i, "1g.10gb", 10, fleet.Reading(i), fleet.Reading(i*9), []string{"", "ann", "bob", "", "eve", "", "ines"}[i])
	}
}

// sick has GPUs of which the driver says that they are not well.
func (f *fixture) sick(n *fleet.Node) {
	f.look(n)
	problem := func(s fleet.Severity, gpu int, text string) {
		n.Problems = append(n.Problems, fleet.Problem{Severity: s, Text: fmt.Sprintf("GPU%d %s", gpu, text), GPU: gpu, Port: -1, Since: noon.Add(-2 * time.Minute)})
		n.GPUs[gpu].Severity = max(n.GPUs[gpu].Severity, s)
	}
	s := n.GPUs[2].Slow
	s.SRAMThresholdExceeded, s.SRAMUncorrected, s.RecoveryAction, s.RemapPending, s.RemappedUncorrected, s.ECCVolatileUncorrected = 1, 12, telemetry.RecoveryGPUReset, 1, 2, 3
	problem(fleet.Critical, 2, "SRAM errors beyond the maker's limit: replace it")
	problem(fleet.Critical, 2, "driver asks: reset it")
	s = n.GPUs[3].Slow
	s.FabricStatus, s.FabricHealthBits, s.LinksUp, s.LinksDown = 999, 0x51AA&^0xF00|5<<8, 16, []int{7, 12}
	s.NVLinkRecoveries, s.NVLinkCRCErrors = fleet.Rise{Total: 3, Grew: 1, At: noon}, fleet.Rise{Total: 41, Grew: 31, At: noon}
	for i := range n.Links {
		if l := &n.Links[i]; l.GPU == 3 && (l.Info.Link == 7 || l.Info.Link == 12) {
			l.State, l.Recoveries, l.CRCErrors, l.TXBytesPerS, l.RXBytesPerS = telemetry.LinkDown, 1, 15, 0, 0
		}
	}
	problem(fleet.Critical, 3, "cannot use NVLink: not registered: unknown error, configuration too few NVLinks")
	problem(fleet.Warning, 3, "NVLink: 2 of 18 links down: 7 12")
	g := &n.GPUs[4]
	g.ThrottleBits = 0x68
	g.Detail.Throttle[fleet.ThrottleHWThermal], g.Detail.TempMarginC, g.TempC = fleet.Throttle{Total: 312, Pct: 64}, 0, 88
	problem(fleet.Warning, 4, "slowed: too hot (hardware)")
}

func (f *fixture) tpu(n *fleet.Node) {
	n.Sources[1].Name = "google"
	for _, other := range []string{"nvidia", "amd", "intel", "aws", "habana", "huawei"} {
		n.Sources = append(n.Sources, fleet.Source{Name: other, State: facts.SourceState_SOURCE_UNSUPPORTED, CallUS: 3, StuckS: fleet.None(), EveryMS: 1000})
	}
	n.Inventory.GpuDriverVersion, n.Ports = "", nil
	n.Sources[2] = fleet.Source{Name: "rdma", State: facts.SourceState_SOURCE_UNSUPPORTED, Text: "no RDMA devices here"}
	for i := range n.GPUs {
		g := fleet.GPU{Index: i, Status: telemetry.GPUOK, ThrottleBits: -1, Info: &facts.GPU{Name: "TPU v5e", Vendor: "google", Pci: fmt.Sprintf("0000:00:%02x.0", 4+i), NumaNode: -1, ModuleId: -1}}
		unsay(&g)
		g.Slow = unsay(&fleet.GPUSlow{RecoveryAction: -1, FabricState: -1, FabricStatus: -1, FabricHealthBits: -1})
		g.Detail = fleet.NoDetail()
		g.Detail.QueueSize, g.UtilPct, g.MemUsedBytes, g.MemTotalBytes = 1, 98, 13*gib, 16*gib
		n.GPUs[i] = g
	}
}
