package findings

import (
	"fmt"
	"math"
	"reflect"
	"testing"
	"time"

	"foretop/fleet"
	"foretop/telemetry"
	"foretop/telemetry/facts"

	"github.com/google/go-cmp/cmp"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func fineGPU(i int) fleet.GPU {
	none := fleet.None()
	return fleet.GPU{
		Index: i, UtilPct: 98, PowerW: 650, PowerLimitW: 700, SMClockMHz: 1755, SMClockMaxMHz: 1980, TempC: 60, TensorActivityPct: none, SMActivityPct: none,
		NetRxBytesPerS: none, NetTxBytesPerS: none,
		ThrottleBits: 4, Info: &facts.GPU{Vendor: "nvidia"}, Slow: fineSlow(),
	}
}

// unknown makes everything of a struct that can be absent so.
func unknown[T any](v T) T {
	unsay(reflect.ValueOf(&v).Elem())
	return v
}

func unsay(v reflect.Value) {
	switch {
	case v.Type() == reflect.TypeFor[fleet.Reading]():
		v.SetFloat(math.NaN())
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				unsay(v.Field(i))
			}
		}
	case v.Kind() == reflect.Array:
		for i := range v.Len() {
			unsay(v.Index(i))
		}
	}
}

// fineSlow is the health of an H100 among eight behind NVSwitches.
func fineSlow() *fleet.GPUSlow {
	s := unknown(fleet.GPUSlow{RecoveryAction: telemetry.RecoveryNone, FabricState: telemetry.FabricCompleted, FabricSince: noon.Add(-time.Hour), FabricHealthBits: 0x51AA})
	s.ECCMode, s.ECCVolatileUncorrected, s.RemapPending, s.RemapFailure, s.SRAMThresholdExceeded = 1, 0, 0, 0, 0
	s.PCIeWidth, s.PCIeWidthMax, s.PCIeGen, s.PCIeGenMax = 16, 16, 5, 5
	s.Links, s.LinksUp, s.LinksMost = 18, 18, 18
	for _, c := range []*fleet.Rise{&s.NVLinkReplays, &s.NVLinkRecoveries, &s.NVLinkCRCErrors} {
		*c = fleet.Rise{Total: 3}
	}
	return &s
}

// noSlow is the health of a GPU that tells nothing.
func noSlow() *fleet.GPUSlow {
	s := unknown(fleet.GPUSlow{RecoveryAction: -1, FabricState: -1, FabricStatus: -1, FabricHealthBits: -1})
	return &s
}

// fineNode is a node with nothing wrong: one GPU, one port, one file system.
func fineNode() *fleet.Node {
	return &fleet.Node{
		Name: "n1", State: fleet.Live,
		GPUs:    []fleet.GPU{fineGPU(0)},
		Ports:   []fleet.Port{{Name: "mlx5_0", LinkLayer: "InfiniBand", State: portActive, PhysState: 5, PortTotals: &fleet.PortTotals{LinkDowned: 3}}},
		FS:      []fleet.Filesystem{{Mount: "/", Type: "ext4", SizeBytes: 1e12, AvailableBytes: 4e11}},
		Sources: []fleet.Source{{Name: fleet.KernelLogSource, State: facts.SourceState_SOURCE_OK}},
		Host:    fleet.Host{MemTotalBytes: 1e12, MemUsedBytes: 5e11},
	}
}

func line(ago time.Duration, gpu int, text string) fleet.KernelLine {
	return fleet.KernelLine{At: noon.Add(-ago), Text: text, Class: ClassifyKernel(text), GPU: gpu}
}

func say1(ps []fleet.Problem) []string {
	out := []string{}
	for _, p := range ps {
		out = append(out, fmt.Sprintf("%s gpu%d port%d %s", p.Severity, p.GPU, p.Port, p.Text))
	}
	return out
}

func TestNode(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*fleet.Node)
		want   []string // after ten seconds of the same
	}{
		{"well", func(*fleet.Node) {}, []string{}},
		{"GPU lost, and the line that says so", func(n *fleet.Node) {
			n.GPUs[0].Status = telemetry.GPULost
			n.Kernel = []fleet.KernelLine{line(time.Minute, 0, "NVRM: Xid (PCI:0000:3b:00): 79, pid=1, name=x, GPU has fallen off the bus.")}
		}, []string{"critical gpu0 port-1 GPU0 lost: fell off the bus", "critical gpu0 port-1 Xid 79 GPU0: fell off the bus"}},
		{"GPU not answering", func(n *fleet.Node) { n.GPUs[0].Status = telemetry.GPUUnanswered }, []string{"critical gpu0 port-1 GPU0 not answering 10 s"}},
		{"an application's Xid", func(n *fleet.Node) {
			n.Kernel = []fleet.KernelLine{line(time.Minute, 0, "NVRM: Xid (PCI:0000:3b:00): 31, x"), line(30*time.Second, 0, "NVRM: Xid (PCI:0000:3b:00): 31, y")}
		}, []string{"notice gpu0 port-1 Xid 31 GPU0: memory page fault ×2"}},
		{"a warning that is past", func(n *fleet.Node) {
			n.Kernel = []fleet.KernelLine{line(7*time.Minute, -1, "Out of memory: Killed process 1 (x) total-vm:1kB")}
		}, []string{"notice gpu-1 port-1 OOM kill: x (node out of memory), 7 min ago"}},
		{"a warning that would be taken back", func(n *fleet.Node) {
			n.Kernel = []fleet.KernelLine{line(7*time.Minute, -1, "nfs: server a not responding, still trying")}
		}, []string{"warning gpu-1 port-1 NFS server a: does not answer"}},
		{"a warning that was repeated", func(n *fleet.Node) {
			n.Kernel = []fleet.KernelLine{line(40*time.Minute, -1, "Out of memory: Killed process 1 (x) total-vm:1kB"), line(4*time.Minute, -1, "Out of memory: Killed process 2 (x) total-vm:1kB")}
		}, []string{"warning gpu-1 port-1 OOM kill: x (node out of memory) ×2"}},
		{"a critical line is never past", func(n *fleet.Node) {
			n.Kernel = []fleet.KernelLine{line(5*time.Hour, 0, "NVRM: Xid (PCI:0000:3b:00): 79, x")}
		}, []string{"critical gpu0 port-1 Xid 79 GPU0: fell off the bus"}},
		{"old lines are no problem any more", func(n *fleet.Node) {
			n.Kernel = []fleet.KernelLine{line(time.Hour, 0, "NVRM: Xid (PCI:0000:3b:00): 31, x"), line(2*time.Hour, -1, "Out of memory: Killed process 1 (x) total-vm:1kB"), line(48*time.Hour, 0, "NVRM: Xid (PCI:0000:3b:00): 79, x")}
		}, []string{}},
		{"a device that the inventory does not have", func(n *fleet.Node) {
			n.Kernel = []fleet.KernelLine{line(time.Minute, -1, "mlx5_core 0000:41:00.0: poll_health:852:(pid 0): device's health compromised - reached miss count")}
		}, []string{"critical gpu-1 port-1 mlx5 0000:41:00.0: device health compromised"}},
		{"taken back", func(n *fleet.Node) {
			n.Kernel = []fleet.KernelLine{
				line(5*time.Minute, -1, "nfs: server a not responding, still trying"), line(4*time.Minute, -1, "nfs: server b not responding, still trying"),
				line(3*time.Minute, -1, "nfs: server a OK"),
			}
		}, []string{"warning gpu-1 port-1 NFS server b: does not answer"}},
		{"taken back and again", func(n *fleet.Node) {
			n.Kernel = []fleet.KernelLine{line(5*time.Minute, -1, "nfs: server a not responding, still trying"), line(3*time.Minute, -1, "nfs: server a OK"), line(2*time.Minute, -1, "nfs: server a not responding, still trying")}
		}, []string{"warning gpu-1 port-1 NFS server a: does not answer"}},
		{"OOM", func(n *fleet.Node) {
			n.Kernel = []fleet.KernelLine{line(time.Minute, -1, "python invoked oom-killer: gfp_mask=0"), line(time.Minute, -1, "Out of memory: Killed process 1 (python) total-vm:1kB")}
		}, []string{"warning gpu-1 port-1 OOM kill: python (node out of memory)"}},
		{"slowed", func(n *fleet.Node) { n.GPUs[0].ThrottleBits = hwThermal | 4 }, []string{"warning gpu0 port-1 GPU0 slowed: too hot (hardware)"}},
		{"power cap is normal", func(n *fleet.Node) { n.GPUs[0].ThrottleBits = 4 }, []string{}},
		{"memory damage", func(n *fleet.Node) { n.GPUs[0].Slow.ECCVolatileUncorrected, n.GPUs[0].Slow.RemapPending = 2, 1 }, []string{"warning gpu0 port-1 GPU0 ECC: 2 uncorrected", "notice gpu0 port-1 GPU0 row remap pending: done by the next reset"}},
		{"remap failed", func(n *fleet.Node) { n.GPUs[0].Slow.RemapPending, n.GPUs[0].Slow.RemapFailure = 1, 1 }, []string{"critical gpu0 port-1 GPU0 row remap failed: replace it"}},
		{"narrow PCIe", func(n *fleet.Node) { n.GPUs[0].Slow.PCIeWidth = 8 }, []string{"warning gpu0 port-1 GPU0 PCIe ×8 of ×16"}},
		{"absent is not zero", func(n *fleet.Node) {
			g := &n.GPUs[0]
			*g = unknown(fleet.GPU{ThrottleBits: -1})
			g.Info, g.Slow = &facts.GPU{}, noSlow()
			g.Slow.PCIeWidthMax = 16
			n.FS[0].AvailableBytes = fleet.None()
			n.Ports[0].State, n.Ports[0].LinkDowned = -1, fleet.None()
		}, []string{}},
		{"port INIT", func(n *fleet.Node) { n.Ports[0].State = portInit }, []string{"warning gpu-1 port0 mlx5_0 INIT: no subnet manager?"}},
		{"port that was never up", func(n *fleet.Node) { n.Ports[0].State = portDown }, []string{"notice gpu-1 port0 mlx5_0 down"}},
		{"port disabled by somebody", func(n *fleet.Node) { n.Ports[0].State, n.Ports[0].PhysState = portDown, physDisabled }, []string{}},
		{"disk full", func(n *fleet.Node) { n.FS[0].AvailableBytes = 1e10 }, []string{"warning gpu-1 port-1 / 99 % full"}},
		{"disk full to the last byte", func(n *fleet.Node) { n.FS[0].AvailableBytes = 0 }, []string{"critical gpu-1 port-1 / 100 % full"}},
		{"image", func(n *fleet.Node) { n.FS[0].AvailableBytes, n.FS[0].Type = 0, "squashfs" }, []string{}},
		{"memory full", func(n *fleet.Node) { n.Host.MemUsedBytes = 9.9e11 }, []string{"warning gpu-1 port-1 memory 99 % used"}},
		{"kernel log denied", func(n *fleet.Node) { n.Sources[0].State = facts.SourceState_SOURCE_DENIED }, []string{"notice gpu-1 port-1 kernel log: not checked, no permission"}},
		{"NVML stuck", func(n *fleet.Node) {
			n.Sources[0] = fleet.Source{Name: "nvml", State: facts.SourceState_SOURCE_STUCK, StuckS: 41}
		}, []string{"warning gpu-1 port-1 nvml: stuck 41 s"}},
		{"lost: only what the kernel said last", func(n *fleet.Node) {
			n.State = fleet.Lost
			n.GPUs[0].Status = telemetry.GPUFailing
			n.Kernel = []fleet.KernelLine{line(time.Minute, -1, "Kernel panic - not syncing: x")}
		}, []string{"critical gpu-1 port-1 kernel: panic"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := fineNode()
			tt.change(n)
			m := new(fleet.Memory)
			Node(n, noon.Add(-10*time.Second), m)
			if diff := cmp.Diff(tt.want, say1(Node(n, noon, m))); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestThrottleForAMomentIsNothing(t *testing.T) {
	n, m := fineNode(), new(fleet.Memory)
	for s := range 20 {
		n.GPUs[0].ThrottleBits = hwSlowdown * int64(s%2)
		if got := Node(n, noon.Add(time.Duration(s)*time.Second), m); len(got) > 0 {
			t.Fatal(say1(got))
		}
	}
}

func TestPortGoesDownAndComesBack(t *testing.T) {
	n, m := fineNode(), new(fleet.Memory)
	step := func(at time.Duration, state int, downed fleet.Reading, want ...string) {
		t.Helper()
		n.Ports[0].State, n.Ports[0].LinkDowned = state, downed
		if want == nil {
			want = []string{}
		}
		if diff := cmp.Diff(want, say1(Node(n, noon.Add(at), m))); diff != "" {
			t.Errorf("at %s: -want +got:\n%s", at, diff)
		}
	}
	step(0, portActive, 3)
	step(time.Second, portDown, 3, "critical gpu-1 port0 mlx5_0 down")
	step(2*time.Second, portDown, 4, "critical gpu-1 port0 mlx5_0 down", "warning gpu-1 port0 mlx5_0 link went down ×1")
	step(3*time.Second, portActive, 4, "warning gpu-1 port0 mlx5_0 link went down ×1")
	step(time.Minute, portActive, 6, "warning gpu-1 port0 mlx5_0 link went down ×3")
	step(5*time.Minute, portActive, 6, "warning gpu-1 port0 mlx5_0 link went down ×3")
	step(6*time.Minute, portActive, 6, "notice gpu-1 port0 mlx5_0 link went down ×3, 5 min ago")
	step(60*time.Minute, portActive, 6, "notice gpu-1 port0 mlx5_0 link went down ×3, 59 min ago")
	step(61*time.Minute, portActive, 6)
	step(62*time.Minute, portActive, 6)
	step(63*time.Minute, portActive, 0) // reset
	step(64*time.Minute, portActive, 1, "warning gpu-1 port0 mlx5_0 link went down ×1")
}

func BenchmarkNode(b *testing.B) {
	n, m := fineNode(), new(fleet.Memory)
	for i := 1; i < 8; i++ {
		n.GPUs = append(n.GPUs, fineGPU(i))
		n.Ports = append(n.Ports, n.Ports[0])
	}
	for range 100 {
		n.Kernel = append(n.Kernel, line(time.Minute, -1, "usb 1-1: new device"))
	}
	b.ReportAllocs()
	for b.Loop() {
		Node(n, noon, m)
	}
}
