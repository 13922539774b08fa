package export

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"foretop/fleet"
	"foretop/schedulers"
	"foretop/telemetry/facts"

	"github.com/charmbracelet/x/ansi"
	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("-%s +got:\n%s", name, diff)
	}
}

// absent makes all readings of a struct absent: what a test does not set, the node did not say.
func absent[T any](v T) T {
	unsay(reflect.ValueOf(&v).Elem())
	return v
}

func unsay(v reflect.Value) {
	switch {
	case v.Type() == reflect.TypeFor[fleet.Reading]():
		v.SetFloat(math.NaN())
	case v.Kind() == reflect.Pointer && !v.IsNil():
		unsay(v.Elem())
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				unsay(v.Field(i))
			}
		}
	}
}

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func gpu(i int, util, power fleet.Reading) fleet.GPU {
	g := absent(fleet.GPU{Index: i, ThrottleBits: 0x44})
	slow := absent(fleet.GPUSlow{RecoveryAction: -1, FabricState: -1, FabricStatus: -1, FabricHealthBits: -1})
	g.Info = &facts.GPU{Uuid: fmt.Sprintf("GPU-%d", i), Name: "NVIDIA H100 80GB HBM3", Pci: fmt.Sprintf("0000:%02x:00.0", 0x1b+i), Vendor: "nvidia", NumaNode: -1, ModuleId: -1}
	g.Slow = &slow
	g.UtilPct, g.PowerW, g.PowerLimitW, g.MemUsedBytes, g.MemTotalBytes, g.TempC = util, power, 700, 71<<30, 80<<30, 60+fleet.Reading(i)
	slow.RemapPending, slow.RemapFailure = 0, 1
	return g
}

// snapshot is a small fleet with something of everything: a live node with two GPUs and a job, a lost one, one that never came, one that is stale.
func snapshot() *fleet.Snapshot {
	live := &fleet.Node{
		Name: "gpu001", State: fleet.Live, Since: noon.Add(-time.Hour), LastFrame: noon, LastData: noon.Add(-400 * time.Millisecond), Boot: noon.Add(-41 * 24 * time.Hour),
		Hello:     &facts.Hello{Hostname: "gpu001", BootId: "b0", MachineId: "m0", Os: "Debian GNU/Linux 12", Kernel: "6.1.0", Arch: "amd64", User: "ann", Build: "dev"},
		Inventory: &facts.Inventory{Cpu: &facts.CPU{Model: "Xeon 8480C", Sockets: 2, Cores: 112, Threads: 224, NumaNodes: 2}, MemoryTotalBytes: 2 << 40, GpuDriverVersion: "570.86", CudaVersion: "12.8", Product: "DGX"},
		Host:      absent(fleet.Host{}), Jobs: []string{"slurm/8123"},
		GPUs:  []fleet.GPU{gpu(0, 99, 694.25), gpu(1, 100, 140)},
		Ports: []fleet.Port{absent(fleet.Port{Name: "mlx5_0", LinkLayer: "InfiniBand", Rate: "400 Gb/sec (4X NDR)", Netdev: "ib0", State: 4, PhysState: 5, GPU: 0, Counters: []fleet.Counter{absent(fleet.Counter{Name: "rx_icrc"})}, PortTotals: &fleet.PortTotals{}})},
		Nets:  []fleet.Net{absent(fleet.Net{Name: "eth0", Driver: "ixgbe", Physical: true, NetCounts: &fleet.NetCounts{}}), absent(fleet.Net{Name: "ib0", Physical: true, NetCounts: &fleet.NetCounts{}})},
		Disks: []fleet.Disk{absent(fleet.Disk{Name: "nvme0n1", Model: "PM9A3"})},
		FS:    []fleet.Filesystem{{Mount: "/", Device: "/dev/nvme0n1p1", Type: "ext4", SizeBytes: 1e12, AvailableBytes: 4e11}},
		Cores: []fleet.Core{absent(fleet.Core{BusyPct: 3})},
		Sources: []fleet.Source{
			{Name: "nvml", State: facts.SourceState_SOURCE_OK, EveryMS: 1000, CallUS: 812, StuckS: fleet.None()},
			absent(fleet.Source{Name: "kernel_log", State: facts.SourceState_SOURCE_DENIED, Text: "permission denied", Remedy: "needs CAP_SYSLOG, or group adm"}),
		},
		Processes: []*fleet.Process{{
			Process: &facts.Process{
				Pid: 41235, StartTicks: 99, Ppid: 41200, Uid: 1000, User: "ann", Comm: "python", Command: "python <train>.py & co", Cgroup: "/job_8123", EnvState: facts.EnvState_ENV_READ,
				Env: map[string]string{"RANK": "0"}, StartWallMs: noon.Add(-time.Hour).UnixMilli(), Held: []*facts.Held{{Gpu: 0, MemoryBytes: 70 << 30, MemoryKnown: true}, {Gpu: 1}},
			},
			CPUPct: fleet.None(), RSS: 3 << 30, Threads: fleet.None(), Job: "slurm/8123", Rank: 0,
		}},
		Kernel: []fleet.KernelLine{
			{Sequence: 7, At: noon.Add(-time.Minute), Level: 3, Text: "NVRM: Xid (PCI:0000:1c:00): 79", Class: fleet.KernelClass{Severity: fleet.Critical, Kind: "xid", Xid: 79, PCI: "0000:1c:00.0", Text: "Xid 79: fell off the bus"}, GPU: 1},
			{Sequence: 9, At: noon, First: noon.Add(-3 * time.Minute), WallUS: noon.UnixMicro(), Count: 412, Text: "newest", Oldest: "oldest", More: []string{"more"}, NVML: true, GPU: -1, Class: fleet.KernelClass{
				Severity: fleet.Warning, Cause: fleet.Hardware, Kind: "xid", Text: "words", Detail: "detail", Action: "reset it", Xid: 149, SXid: 12028, Unit: "NETIR_LINK_EVT", Subcode: 4, MIG: 2, MIGPart: 1,
				PCI: "0000:1c:00.0", Device: "nvme0", Process: "python3", PID: 77, Cgroup: "/job_1"}},
			{Sequence: 8, At: noon, Level: 6, Text: "usb 1-1: new device", GPU: -1},
		},
		Problems: []fleet.Problem{{Severity: fleet.Critical, Text: "Xid 79 GPU1: fell off the bus", GPU: 1, Port: -1, Since: noon.Add(-time.Minute)}, {Severity: fleet.Notice, Text: "kernel log: not checked, no permission", GPU: -1, Port: -1}},
		Self:     fleet.Self{CPUPct: 0.2004, RSSBytes: 14 << 20, SentBytesPerS: 640},
	}
	live.Host.CPUBusyPct, live.Host.MemTotalBytes, live.Host.MemUsedBytes = 22.6, 2<<40, 412<<30
	live.Ports[0].RcvBytesPerS, live.Ports[0].XmitBytesPerS = 20.5e9, 20e9
	live.Nets[0].RxBytesPerS, live.Nets[0].TxBytesPerS = 1e6, 0
	live.Nets[1].RxBytesPerS, live.Nets[1].TxBytesPerS = 5e9, 5e9 // the port's own, not counted twice
	live.GPUs[0].Holders = []fleet.Holder{{PID: 41235, Part: -1, MemBytes: 70 << 30, Rank: 0, Job: "slurm/8123"}}
	look(live)

	cpu := &fleet.Node{Name: "login", State: fleet.Stale, Cause: "collector silent 4 s; ssh answers", LastData: noon.Add(-4 * time.Second), Inventory: &facts.Inventory{}, Host: absent(fleet.Host{}), Self: absent(fleet.Self{})}
	lost := &fleet.Node{Name: "gpu002", State: fleet.Lost, Cause: "no route to host", LastData: noon.Add(-3 * time.Minute), Attempt: 4, NextTry: noon.Add(time.Minute), Host: absent(fleet.Host{}), Self: absent(fleet.Self{})}
	never := &fleet.Node{Name: "gpu003", State: fleet.NeedsTrust, Cause: "host key not known", Remedy: "ssh gpu003 once", Host: absent(fleet.Host{}), Self: absent(fleet.Self{})}
	job := absent(fleet.Job{
		Key: "slurm/8123", ID: "8123", Name: "llama3", User: "ann", Framework: "torchrun", Scheduler: "slurm", World: 4, MissingN: 3, Missing: []int{1, 2, 3},
		Start: noon.Add(-time.Hour), Ranks: []fleet.Rank{{Rank: 0, LocalRank: 0, Node: "gpu001", PID: 41235, StartTicks: 99, GPUs: []int{0, 1}}}, Nodes: []string{"gpu001", "gpu002"},
		GPUs:  []fleet.GPURef{{Node: "gpu001", Index: 0, Rank: 0, GPU: &live.GPUs[0], State: fleet.Live}, {Node: "gpu002", Index: 1, Rank: -1, State: fleet.Lost}},
		State: fleet.JobSuspect, StateText: "1 of 2 nodes lost: gpu002", Severity: fleet.Critical,
	})
	job.PowerPct, job.UtilPct, job.MemUsedBytes, job.MemTotalBytes, job.NetBytesPerS = 59.6, 99.5, 142<<30, 160<<30, 40.5e9
	plain := absent(fleet.Job{Key: "process/x@login", ID: "pid 7", GPUs: []fleet.GPURef{}, StateText: "running"})
	s := &fleet.Snapshot{Sequence: 9, At: noon, Nodes: []*fleet.Node{live, lost, never, cpu}, Jobs: []*fleet.Job{&job, &plain}}
	s.Totals = fleet.Totals{Nodes: 4, GPUs: 2, GPUsHeld: 1, Jobs: 2, Critical: 2}
	schedule(s, &job)
	s.Incidents = incidents()
	s.Totals.ByState[fleet.Live], s.Totals.ByState[fleet.Lost], s.Totals.ByState[fleet.NeedsTrust], s.Totals.ByState[fleet.Stale] = 1, 1, 1, 1
	return s
}

// incidents are one that goes on, and one that somebody snoozed and that is over.
func incidents() []fleet.Incident {
	gone := fleet.Finding{Rule: "hw.xid 79", Subject: fleet.Subject{Node: "gpu001", GPU: 1, UUID: "GPU-1", Port: -1}, Severity: fleet.Critical, Text: "Xid 79: fell off the bus", Cause: fleet.Hardware,
		Since: noon.Add(-time.Minute), Evidence: []string{"NVRM: Xid (PCI:0000:1c:00): 79"}, Remedy: "drain it", Past: []time.Time{noon.Add(-50 * time.Hour)}}
	hung := fleet.Finding{Rule: "job.hang", Subject: fleet.Subject{Job: "slurm/8123", ID: "8123", GPU: -1, Port: -1}, Severity: fleet.Warning, Text: "no progress 41 s", Since: noon.Add(-19 * time.Second)}
	lost := fleet.Finding{Rule: "node.lost", Subject: fleet.Subject{Many: "leaf leaf03", GPU: -1, Port: -1}, Severity: fleet.Critical, Text: "16 of 16 nodes lost within 4 s", Cause: fleet.Environment,
		Since: noon.Add(-time.Hour), Until: noon.Add(-50 * time.Minute)}
	return []fleet.Incident{
		{ID: gone.Key(), Title: "gpu001 GPU1 fell off the bus → job 8123 no progress 41 s later", Severity: fleet.Critical, Since: gone.Since, Members: []fleet.Finding{gone, hung}, Nodes: []string{"gpu001"}, Jobs: []string{"slurm/8123"}, New: true},
		{ID: lost.Key(), Title: "leaf leaf03: 16 of 16 nodes lost within 4 s", Severity: fleet.Critical, Since: lost.Since, Until: lost.Until, Members: []fleet.Finding{lost}, Cut: 3, Fold: "leaf leaf03", Of: 16, Nodes: []string{"gpu002"},
			KnownBad: true, Mark: fleet.Mark{Kind: fleet.Snoozed, By: "ann", At: noon.Add(-time.Hour), Until: noon.Add(time.Hour)}},
	}
}

// schedule adds what a scheduler says.
func schedule(s *fleet.Snapshot, job *fleet.Job) {
	told := &schedulers.Job{Key: job.Key, ID: job.ID, Name: job.Name, User: job.User, QOS: "normal", Phase: schedulers.Running, State: "RUNNING", SubmitAt: noon.Add(-2 * time.Hour), StartAt: noon.Add(-time.Hour),
		LimitAt: noon.Add(time.Hour), Nodes: []string{"gpu001", "gpu002", "gpu009"}, NodesN: 3, Tasks: 3, GPUs: 24, Restarts: 1, Command: "/home/ann/train.sbatch", WorkDir: "/home/ann", LogFile: "/home/ann/8123.out"}
	job.Told, job.Asked, job.Account, job.Restarts = &fleet.Told{Job: told, Kind: "slurm", Cluster: "bay", Watched: []string{"gpu001", "gpu002"}, Elsewhere: []string{"gpu009"}}, fleet.AskedKnown, "research", 1
	job.Log = &fleet.LogTail{Path: told.LogFile, Node: "gpu001", At: noon, ModTime: noon.Add(-44 * time.Second), Size: 4711, Numbers: []fleet.LogNumber{{Name: "loss", Text: "1.80"}}}
	job.Findings = []fleet.Verdict{{State: fleet.JobSuspect, Severity: fleet.Critical, Text: job.StateText}}
	s.Nodes[0].Scheduled = []fleet.ScheduledNode{{Kind: "slurm", Cluster: "bay", Proof: fleet.ProofHost, Node: &schedulers.Node{Name: "gpu001", Condition: schedulers.Draining, State: "MIXED+DRAIN",
		Reason: "Xid 79", ReasonBy: "root", ReasonAt: noon.Add(-time.Minute), Partitions: []string{"h100"}, GPUs: 8, GPUsUsed: 8}}}
	s.Nodes[1].Scheduled = []fleet.ScheduledNode{{Kind: "slurm", Why: "2 nodes here say that they are slurm's gpu002"}}
	wait := &schedulers.Job{ID: "9400", Phase: schedulers.Pending, State: "PENDING", Reason: "Priority", GPUs: 64, NodesN: 8, Dependency: "afterok:8123"}
	s.Pending = []*fleet.Job{{Key: "slurm/9400", ID: "9400", Name: "next", User: "bob", Told: &fleet.Told{Job: wait, Kind: "slurm"}}}
	s.Users = []*fleet.User{{Name: "ann", Jobs: 1, GPUs: 2, Idle: 1, Nodes: 2, UtilPct: 99.5, PowerPct: fleet.None(), HeldHours: 2, IdleHours: 0.5, IdleNowHours: 0.25, Since: noon.Add(-time.Hour),
		IdleGPUs: []fleet.IdleGPU{{Node: "gpu001", Index: 1, Job: job.Key, ID: "8123", Since: noon.Add(-15 * time.Minute), MemBytes: 2 << 30}}}, {Name: "bob", Pending: 1, Wanted: 64, UtilPct: fleet.None(), PowerPct: fleet.None()}}
	s.Schedulers = []fleet.Scheduler{{Kind: "slurm", Cluster: "bay", Version: "24.11.5", At: noon.Add(-8 * time.Second), Every: 15 * time.Second, Nodes: 3, Joined: 1, Proven: 1, Running: 1, Pending: 1},
		{Kind: "kubernetes", Problem: &schedulers.Problem{Text: "connection refused", Remedy: "is the API server up?", Since: noon.Add(-time.Minute)}}}
	s.Totals.Drained, s.Totals.Pending, s.Totals.KnownBad = 1, 1, 1
}

// look adds what is known of accelerators only in detail, and of an accelerator in parts: the second GPU has two, one of them held.
func look(n *fleet.Node) {
	g := &n.GPUs[0]
	g.Info.Serial, g.Info.Driver, g.Info.FabricCluster, g.Info.FabricClique, g.Info.NumaNode, g.Info.CpuAffinity = "165", "570.86", "c1", 3, 1, "56-111"
	d := fleet.NoDetail()
	d.SMOccupancyPct, d.PowerMaxLimitW, d.PState, d.ComputeMode, d.Persistence, d.PCIeFatalErrors = 41, 700, 0, 3, 1, 2
	d.Throttle[fleet.ThrottleHWThermal] = fleet.Throttle{Total: 12.5, Pct: 3}
	g.Detail = d
	s := g.Slow
	s.RecoveryAction, s.FabricState, s.FabricStatus, s.FabricHealthBits, s.Links, s.LinksUp, s.LinksDown = 1, 3, 10, 0x51a9, 18, 17, []int{7}
	s.NVLinkReplays = fleet.Rise{Total: 4, Grew: 2}
	link := absent(fleet.Link{GPU: 0, State: 0, Info: &facts.GPULink{Link: 7, Kind: "NVLink", Remote: "switch", Version: 4}})
	link.CRCErrors = 9
	n.Links = []fleet.Link{link}
	n.Calls = []fleet.Call{{Name: "nvmlDeviceGetFieldValues", Source: 0, PerS: 8, MeanUS: 410, LastUS: 395, MaxUS: 20500, Count: 90000}}

	n.GPUs[1].Info.Mig = true
	n.Inventory.Gpus = []*facts.GPU{n.GPUs[0].Info, n.GPUs[1].Info}
	n.Inventory.GpuParts = []*facts.GPUPart{{Gpu: 1, Kind: "MIG", Name: "1g.10gb", Uuid: "MIG-a", Instance: 7}, {Gpu: 1, Kind: "MIG", Name: "2g.20gb", Uuid: "MIG-b", Instance: 3}}
	n.Inventory.UnseenGpus = []*facts.UnseenGPU{{Pci: "0000:9d:00.0", Vendor: "nvidia", Why: "not visible to this user"}}
	held := fleet.Holder{PID: 41235, Part: 1, MemBytes: 9 << 30, Rank: -1}
	n.GPUs[1].Holders = []fleet.Holder{held}
	for _, p := range n.Inventory.GpuParts {
		n.Parts = append(n.Parts, absent(fleet.Part{Info: p, GPU: 1}))
	}
	n.Parts[1].MemUsedBytes, n.Parts[1].MemTotalBytes, n.Parts[1].Holders = 9<<30, 20<<30, []fleet.Holder{held}
	n.Processes[0].Held[1].Part = 2
}

func TestJSON(t *testing.T) {
	var b bytes.Buffer
	if err := JSON(&b, snapshot()); err != nil {
		t.Fatal(err)
	}
	golden(t, "snapshot.json", b.Bytes())
}

func TestJSONOfNothing(t *testing.T) {
	var b bytes.Buffer
	if err := JSON(&b, &fleet.Snapshot{}); err != nil {
		t.Fatal(err)
	}
	var d map[string]any
	if err := json.Unmarshal(b.Bytes(), &d); err != nil {
		t.Fatal(err)
	}
	if d["schema_version"] != 1.0 || d["nodes"] == nil || d["jobs"] == nil || d["time"] != nil {
		t.Errorf("%s", b.String())
	}
}

func TestNumber(t *testing.T) {
	nan := fleet.None()
	for in, want := range map[fleet.Reading]string{0: "0", 41.29999: "41.3", 0.0004: "0", -0.0001: "0", 1 << 41: "2199023255552", 1e18: "1000000000000000000", fleet.Reading(inf()): "null"} {
		if got, _ := json.Marshal(number(in)); string(got) != want {
			t.Errorf("%v: %s, want %s", in, got, want)
		}
	}
	if got, _ := json.Marshal(number(nan)); string(got) != "null" {
		t.Errorf("absent: %s", got)
	}
}

func inf() float64 { var zero float64; return 1 / zero }

func TestTable(t *testing.T) {
	for _, width := range []int{0, 120, 80, 5} {
		var b bytes.Buffer
		if err := Table(&b, snapshot(), width); err != nil {
			t.Fatal(err)
		}
		golden(t, fmt.Sprintf("table-%d.txt", width), b.Bytes())
		for line := range strings.Lines(b.String()) {
			if w := ansi.StringWidth(strings.TrimSuffix(line, "\n")); width > 0 && w > width {
				t.Errorf("%d cells of %d: %q", w, width, line)
			}
		}
	}
}

func TestTableOfNothing(t *testing.T) {
	var b bytes.Buffer
	if err := Table(&b, &fleet.Snapshot{}, 0); err != nil {
		t.Fatal(err)
	}
	golden(t, "table-empty.txt", b.Bytes())
}

func TestTableIsNeverRaw(t *testing.T) {
	s := snapshot()
	s.Nodes[0].Name, s.Nodes[1].Cause, s.Jobs[0].Name = "a\x1b[2Jb", "evil\r\n\x9b31m", "\u202egnp.exe"
	var b bytes.Buffer
	if err := Table(&b, s, 0); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(b.String(), "\x1b\r\u202e\u009b") {
		t.Errorf("%q", b.String())
	}
}

// full fails every write.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func TestWriteErrorsAreTold(t *testing.T) {
	if err := Table(full{}, snapshot(), 0); err == nil {
		t.Error("table: no error")
	}
	if err := JSON(full{}, snapshot()); err == nil {
		t.Error("JSON: no error")
	}
}
