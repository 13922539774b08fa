package fleet_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"foretop/findings"
	"foretop/fleet"
	"foretop/telemetry"
	"foretop/telemetry/facts"

	"github.com/google/go-cmp/cmp"
)

// logged is a fleet of one node whose kernel speaks, under the real rules.
type logged struct {
	t        *testing.T
	f        *fleet.Fleet
	now      time.Time
	mono     int64 // the node's clock now, µs
	sequence uint64
	events   uint64
	state    facts.SourceState // of its kernel log
	encoder  telemetry.Encoder
	samples  telemetry.State
}

const kernelGPUs = 2

func newLogged(t *testing.T) *logged {
	l := &logged{t: t, now: time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC), mono: 5_000_000_000, sequence: 1000, state: facts.SourceState_SOURCE_OK}
	l.f = fleet.New(fleet.Options{Now: func() time.Time { return l.now }, Rules: findings.Rules()})
	l.f.Add("n")
	l.f.SetStatus("n", fleet.Status{State: fleet.Live})
	return l
}

func (l *logged) apply(k telemetry.Kind, payload []byte) fleet.Reply {
	l.t.Helper()
	r, err := l.f.Apply("n", k, payload, l.now)
	if err != nil {
		l.t.Fatal(err)
	}
	return r
}

// connect begins a stream; it gives what the front end says it has.
func (l *logged) connect() *facts.Start {
	l.t.Helper()
	encode := func(b []byte, err error) []byte {
		if err != nil {
			l.t.Fatal(err)
		}
		return b
	}
	r := l.apply(telemetry.KindHello, encode(facts.Encode(&facts.Hello{ProtocolMajor: telemetry.ProtocolMajor, BootId: "b", MonoMs: l.mono / 1000})))
	inv := &facts.Inventory{Sources: []*facts.Source{{Name: fleet.KernelLogSource}, {Name: "nvidia"}}}
	for i := range kernelGPUs {
		inv.Gpus = append(inv.Gpus, &facts.GPU{Uuid: fmt.Sprint("GPU-", i), Pci: fmt.Sprintf("0000:%02x:00.0", 0x3b+i)})
	}
	l.apply(telemetry.KindInventory, encode(facts.Encode(inv)))
	l.samples = telemetry.State{}
	l.encoder = telemetry.Encoder{}
	l.samples.Resize(telemetry.ScopeNode, 1)
	l.samples.Resize(telemetry.ScopeGroup, int(telemetry.NumGroups))
	l.samples.Resize(telemetry.ScopeGPU, kernelGPUs)
	l.samples.Resize(telemetry.ScopeSource, 2)
	l.events = 0
	l.sample()
	return r.Start
}

func (l *logged) sample() {
	l.t.Helper()
	l.samples.Set(telemetry.SourceStateEnum, 0, int64(l.state))
	l.samples.Set(telemetry.SourceStateEnum, 1, int64(facts.SourceState_SOURCE_OK))
	l.apply(telemetry.KindSample, l.encoder.Encode(nil, &l.samples, 1, l.mono/1000, telemetry.Base, true))
}

func (l *logged) pass(d time.Duration) {
	l.now = l.now.Add(d)
	l.mono += d.Microseconds()
}

func (l *logged) tell(log *facts.KernelLog) {
	l.t.Helper()
	log.Via = "kmsg"
	b, err := facts.Encode(log)
	if err != nil {
		l.t.Fatal(err)
	}
	l.apply(telemetry.KindKernelLog, b)
}

// says tells lines, each now.
func (l *logged) says(lines ...string) {
	l.t.Helper()
	log := &facts.KernelLog{}
	for _, text := range lines {
		l.sequence++
		log.Records = append(log.Records, &facts.KernelRecord{Sequence: l.sequence, Level: 4, MonoUs: l.mono, Text: text, WallUs: 1})
	}
	l.tell(log)
}

func (l *logged) event(gpu uint32, code uint32, mig uint32) {
	l.t.Helper()
	l.tellEvent(&facts.GPUEvent{Gpu: gpu, What: "xid", Code: code, MonoUs: l.mono, Instance: mig})
}

func (l *logged) tellEvent(e *facts.GPUEvent) {
	l.t.Helper()
	l.events++
	e.Sequence = l.events
	b, err := facts.Encode(&facts.GPUEvents{Events: []*facts.GPUEvent{e}})
	if err != nil {
		l.t.Fatal(err)
	}
	l.apply(telemetry.KindGPUEvents, b)
}

func (l *logged) node() *fleet.Node {
	l.sample()
	return l.f.Publish().Nodes[0]
}

// shown is the log, in short.
func (l *logged) shown() []string {
	out := []string{}
	for _, k := range l.node().Kernel {
		s := fmt.Sprintf("%s %d× %s", k.Class.Severity, k.N(), k.Class.Text)
		if k.Class.Kind == "" {
			s = fmt.Sprintf("%d× %s", k.N(), k.Text)
		}
		if k.NVML {
			s += " NVML"
		}
		if k.GPU >= 0 {
			s += fmt.Sprint(" gpu", k.GPU)
		}
		out = append(out, s)
	}
	return out
}

func (l *logged) want(what string, want ...string) {
	l.t.Helper()
	if diff := cmp.Diff(want, l.shown()); diff != "" {
		l.t.Errorf("%s: -want +got:\n%s", what, diff)
	}
}

func xidLine(bus string, code int) string {
	return fmt.Sprintf("NVRM: Xid (PCI:%s): %d, pid=7, name=python3, words", bus, code)
}

func TestEqualLinesFold(t *testing.T) {
	l := newLogged(t)
	l.connect()
	began := l.now
	for i := range 412 {
		if i == 200 {
			l.says("usb 1-1: something else")
		}
		l.says(fmt.Sprintf("nvme nvme0: I/O tag %d (5142) opcode 0x1 (I/O Cmd) QID 9 timeout, aborting req_op:WRITE(1) size:4096", i))
		l.pass(400 * time.Millisecond)
	}
	l.want("a flood", "1× usb 1-1: something else", "warning 412× nvme0: I/O timeout")
	k := l.node().Kernel[1]
	if !k.Since().Equal(began) || !k.At.Equal(l.now.Add(-400*time.Millisecond)) || !strings.Contains(k.Oldest, "tag 0 ") || !strings.Contains(k.Text, "tag 411 ") {
		t.Errorf("%+v", k)
	}
	if p := l.node().Problems; len(p) != 1 || p[0].Text != "nvme0: I/O timeout ×412" || !p[0].Since.Equal(began) {
		t.Errorf("problems %+v", p)
	}
	l.says("nvme nvme1: I/O tag 1 (5142) opcode 0x1 (I/O Cmd) QID 9 timeout, aborting req_op:WRITE(1) size:4096")
	l.want("another device", "1× usb 1-1: something else", "warning 412× nvme0: I/O timeout", "warning 1× nvme1: I/O timeout")
	l.pass(4 * time.Minute)
	l.says("nvme nvme0: I/O tag 7 (5142) opcode 0x1 (I/O Cmd) QID 9 timeout, aborting req_op:WRITE(1) size:4096")
	l.want("after a silence", "1× usb 1-1: something else", "warning 412× nvme0: I/O timeout", "warning 1× nvme1: I/O timeout", "warning 1× nvme0: I/O timeout")
}

// Lines that name a process stand apart while they are few.
func TestProcessesStandApart(t *testing.T) {
	l := newLogged(t)
	l.connect()
	for pid := range 5 {
		l.says(fmt.Sprintf("Out of memory: Killed process %d (python3) total-vm:1kB, anon-rss:1kB, file-rss:1kB, shmem-rss:1kB, UID:0 pgtables:1kB oom_score_adj:0", 100+pid))
	}
	one := "warning 1× OOM kill: python3 (node out of memory)"
	l.want("five kills", one, one, "warning 3× OOM kill: python3 (node out of memory)")
	if p := l.node().Problems; len(p) != 1 || p[0].Text != "OOM kill: python3 (node out of memory) ×5" {
		t.Errorf("problems %+v", p)
	}
}

func TestIncidentsOfSeveralLines(t *testing.T) {
	l := newLogged(t)
	l.connect()
	l.says("dataloader invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0",
		"CPU: 3 PID: 9 Comm: dataloader Tainted: P OE 6.8.0",
		"oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=x,mems_allowed=0-1,oom_memcg=/slurm/uid_1/job_8123/step_0,task_memcg=/slurm/uid_1/job_8123/step_0/task_1,task=python3,pid=77,uid=1000",
		"Memory cgroup out of memory: Killed process 77 (python3) total-vm:412034092kB, anon-rss:84934656kB, file-rss:91244kB, shmem-rss:8388608kB, UID:1000 pgtables:1kB oom_score_adj:0",
		"oom_reaper: reaped process 77 (python3), now anon-rss:0kB, file-rss:0kB, shmem-rss:0kB")
	l.want("OOM kill", "warning 1× OOM kill: python3 (its cgroup's limit)", "1× CPU: 3 PID: 9 Comm: dataloader Tainted: P OE 6.8.0")
	k := l.node().Kernel[0]
	if c := k.Class; c.PID != 77 || c.Process != "python3" || c.Cgroup != "/slurm/uid_1/job_8123/step_0" ||
		c.Detail != "81 GiB anonymous, 89 MiB of files, 8192 MiB shared, uid 1000, limit of job_8123/step_0, called for by dataloader" || len(k.More) != 3 || !strings.HasPrefix(k.Text, "Memory cgroup out of memory") {
		t.Errorf("%+v", k)
	}
	l.pass(time.Minute)
	l.says("nvidia-nvswitch0: SXid (PCI:0000:05:00.0): 12028, Non-fatal, Link 32 egress non-posted PRIV error (First)",
		"nvidia-nvswitch0: SXid (PCI:0000:05:00.0): 12028, Severity 0 Engine instance 32 Sub-engine instance 00",
		"nvidia-nvswitch0: SXid (PCI:0000:05:00.0): 12028, Data {0x00140004, 0x00100000}",
		"nvidia-nvswitch0: SXid (PCI:0000:05:00.0): 20034, Data {0x1}") // of an error whose first line is not known
	l.says("pcieport 0000:3a:00.0: AER: Multiple Uncorrectable (Fatal) error message received from 0000:3b:00.0",
		"nvidia 0000:3b:00.0: PCIe Bus Error: severity=Uncorrectable (Fatal), type=Transaction Layer, (Requester ID)",
		"nvidia 0000:3b:00.0:   device [10de:2330] error status/mask=00100000/00000000",
		"nvidia 0000:3b:00.0:    [20] UnsupReq               (First)")
	l.says("NVRM: The NVIDIA GPU 0000:3c:00.0", "NVRM: (PCI ID: 10de:2330) installed in this system has", "NVRM: fallen off the bus and is not responding to commands.")
	l.says("{1}[Hardware Error]: Hardware error from APEI Generic Hardware Error Source: 0", "{1}[Hardware Error]: event severity: fatal", "{1}[Hardware Error]:  Error 0, type: fatal")
	l.want("others", "warning 1× OOM kill: python3 (its cgroup's limit)", "1× CPU: 3 PID: 9 Comm: dataloader Tainted: P OE 6.8.0",
		"warning 1× NVSwitch SXid 12028: Link 32 egress non-posted PRIV error (First)", "notice 1× ",
		"critical 1× PCIe: fatal error gpu0", "critical 1× GPU: fell off the bus gpu1", "critical 1× hardware error: fatal, says the firmware")
	want := []string{"GPU1: fell off the bus", "NVSwitch SXid 12028 0000:05:00.0: Link 32 egress non-posted PRIV error (First)", "OOM kill: python3 (its cgroup's limit)", "PCIe GPU0: fatal error", "hardware error: fatal, says the firmware"}
	var got []string
	for _, p := range l.node().Problems {
		got = append(got, p.Text)
	}
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestFaultOfAKernelIsOne is of what the driver prints of one fault of a CUDA kernel: only the last line names the process, and the first says what was wrong.
func TestFaultOfAKernelIsOne(t *testing.T) {
	l := newLogged(t)
	l.connect()
	l.says("NVRM: Xid (PCI:0000:3b:00): 13, Graphics SM Warp Exception on (GPC 2, TPC 1, SM 0): Misaligned Address",
		"NVRM: Xid (PCI:0000:3b:00): 13, Graphics Exception: ESR 0x51a730=0x100000f 0x51a734=0x0 0x51a728=0x1f81fb60 0x51a72c=0x1174",
		"NVRM: Xid (PCI:0000:3b:00): 13, Graphics SM Warp Exception on (GPC 2, TPC 1, SM 1): Misaligned Address",
		"NVRM: Xid (PCI:0000:3b:00): 13, pid=4711, name=python3, Graphics Exception: channel 0x0000000b, Class 0000cbc0, Offset 00000510, Data 001a2b3c",
		"NVRM: Xid (PCI:0000:3c:00): 13, Graphics SM Warp Exception on (GPC 0, TPC 0, SM 0): Out Of Range Address")
	l.want("two faults", "notice 1× Xid 13: graphics engine exception gpu0", "notice 1× Xid 13: graphics engine exception gpu1")
	k := l.node().Kernel[0]
	if c := k.Class; c.PID != 4711 || c.Process != "python3" || c.Detail != "Misaligned Address" || len(k.More) != 3 {
		t.Errorf("%+v", k)
	}
	l.pass(time.Minute)
	l.says("NVRM: Xid (PCI:0000:3b:00): 13, Graphics SM Warp Exception on (GPC 2, TPC 1, SM 0): Misaligned Address")
	if k := l.node().Kernel; len(k) != 3 || k[2].N() != 1 {
		t.Errorf("another fault, a minute later: %+v", k)
	}
}

func TestFoldsFromTheWire(t *testing.T) {
	l := newLogged(t)
	l.connect()
	text := func(i int) string { return fmt.Sprintf("nfs: server 10.0.0.1 not responding, still trying %d", i) }
	began := l.now
	l.says(text(0), text(1))
	l.pass(time.Second)
	fold := func(anchor, count, last uint64, text string) *facts.KernelFold {
		return &facts.KernelFold{Sequence: anchor, Count: count, FirstMonoUs: l.mono - 900_000, LastMonoUs: l.mono, LastSequence: last, LastText: text}
	}
	l.tell(&facts.KernelLog{Folds: []*facts.KernelFold{fold(l.sequence, 400, l.sequence+400, text(401)), fold(0, 77, l.sequence+300, "of many kinds")}})
	l.want("a fold", "warning 402× NFS server 10.0.0.1: does not answer")
	n := l.node()
	if k := n.Kernel[0]; !k.Since().Equal(began) || !k.At.Equal(l.now) || k.Text != text(401) || k.Oldest != text(0) || n.KernelUntold != 77 {
		t.Errorf("%+v, %d untold", k, n.KernelUntold)
	}
	l.sequence += 400
	if start := l.connect(); start.KernelSequence != l.sequence {
		t.Errorf("on coming back it has all up to %d, of %d", start.KernelSequence, l.sequence)
	}
	l.tell(&facts.KernelLog{Folds: []*facts.KernelFold{fold(l.sequence-300, 100, l.sequence, text(401))}}) // told twice
	l.want("told twice", "warning 402× NFS server 10.0.0.1: does not answer")
	l.tell(&facts.KernelLog{Folds: []*facts.KernelFold{fold(l.sequence-7, 5, l.sequence+5, "nvme nvme3: I/O 1 QID 3 timeout, reset controller"), fold(1, 0, l.sequence+9, "none")}})
	l.want("of a line that is not known any more", "warning 402× NFS server 10.0.0.1: does not answer", "warning 5× nvme3: I/O timeout")
	l.sequence += 5
	l.says("nfs: server 10.0.0.1 OK")
	for _, p := range l.node().Problems {
		if strings.HasPrefix(p.Text, "NFS") {
			t.Errorf("taken back, and told: %s", p.Text)
		}
	}
}

// The device that the kernel names beside a line counts where the line names none.
func TestDeviceBesideTheLine(t *testing.T) {
	l := newLogged(t)
	l.connect()
	l.tell(&facts.KernelLog{Records: []*facts.KernelRecord{
		{Sequence: 1, MonoUs: l.mono, Text: "mce: [Hardware Error]: Machine check events logged", Device: "+pci:0000:3c:00.0"},
		{Sequence: 2, MonoUs: l.mono, Text: "ordinary", Device: "+pci:0000:3c:00.0"},
		{Sequence: 3, MonoUs: l.mono, Text: xidLine("0000:3b:00", 79), Facility: 1},
		{Sequence: 4, MonoUs: l.mono, Text: "Kernel panic - not syncing: x", Device: "+pci:what a node may say"}}})
	l.want("told", "warning 1× machine check: events logged gpu1", "1× ordinary", "critical 1× kernel: panic")
	if pci := l.node().Kernel[2].Class.PCI; pci != "" {
		t.Errorf("an address: %q", pci)
	}
}

// What a node keeps of its log is bounded; ordinary lines give way first, then notices, and a recovery no sooner than its fault.
func TestTailGivesWay(t *testing.T) {
	l := newLogged(t)
	l.connect()
	word := func(i int) string { return strings.Repeat("x", i+1) }
	l.says(xidLine("0000:3b:00", 79), "nfs: server a not responding, still trying", "nfs: server a OK")
	for i := range 150 {
		l.says("EXT4-fs warning (device sd" + word(i%30) + "): " + word(i))
	}
	for i := range 300 {
		l.says("ordinary " + word(i))
	}
	k := l.node().Kernel
	if len(k) != 100 || k[0].Class.Xid != 79 || k[1].Class.Kind != "nfs" || k[2].Class.Severity != fleet.Fine {
		t.Fatalf("%d lines: %v", len(k), l.shown()[:4])
	}
	for i := range 300 {
		l.says("EXT4-fs (sda" + fmt.Sprint(i) + "): Remounting filesystem read-only")
	}
	if k := l.node().Kernel; len(k) != 100 || slices.ContainsFunc(k, func(l fleet.KernelLine) bool { return l.Class.Severity < fleet.Critical }) {
		t.Errorf("%v", l.shown())
	}
}

// What a node tells of its log may be anything: it is shown, counted or refused, and never costs the fleet.
func FuzzKernelFrames(f *testing.F) {
	for _, m := range []*facts.KernelLog{
		{Via: "kmsg", Lost: 3, Records: []*facts.KernelRecord{{Sequence: 1, MonoUs: 5, Text: xidLine("0000:3b:00", 79)}, {Sequence: 2, MonoUs: -5, Text: "oom_reaper: reaped process 7 (x), now ", Device: "+pci:0000:3c:00.0"}}},
		{Via: "journal", Folds: []*facts.KernelFold{{Sequence: 1, Count: 1 << 63, FirstMonoUs: 1 << 62, LastMonoUs: -1, LastSequence: 1 << 63, LastText: xidLine("0000:3b:00", 31)}, {Count: 1 << 63}}},
	} {
		b, err := facts.Encode(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, []byte(nil))
	}
	b, err := facts.Encode(&facts.GPUEvents{Events: []*facts.GPUEvent{{Sequence: 1, Gpu: 1, What: "xid", Code: 1 << 31, MonoUs: 1 << 62, Instance: 1 << 31}, {Sequence: 1 << 63, What: "xid", Code: 79, MonoUs: -1 << 63}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(nil), b)
	f.Fuzz(func(t *testing.T, log, events []byte) {
		l := newLogged(t)
		l.connect()
		for range 2 {
			for _, frame := range []struct {
				kind    telemetry.Kind
				payload []byte
			}{{telemetry.KindKernelLog, log}, {telemetry.KindGPUEvents, events}} {
				l.f.Apply("n", frame.kind, frame.payload, l.now)
			}
			l.pass(time.Second)
		}
		n := l.node()
		if len(n.Kernel) > 100 {
			t.Errorf("%d lines", len(n.Kernel))
		}
		for _, k := range n.Kernel {
			if k.N() < 1 || k.Since().After(k.At) || len(k.Text) > 410 || len(k.More) > 6 || k.GPU >= kernelGPUs {
				t.Errorf("%+v", k)
			}
		}
	})
}
