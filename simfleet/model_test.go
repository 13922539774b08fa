package simfleet

import (
	"crypto/sha256"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"foretop/telemetry"
	"foretop/telemetry/facts"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the goldens anew")

func demoModel(t testing.TB, nodes int, seed uint64) *Model {
	t.Helper()
	m, err := NewModel(ModelOptions{Nodes: nodes, Seed: seed, Scenario: Demo(), Epoch: epoch})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// replay is everything that a node says in a stretch of time, as one number.
func replay(n *Node, seconds int) string {
	h := sha256.New()
	var e telemetry.Encoder
	var buf []byte
	for s := range seconds {
		at := time.Duration(s) * time.Second
		n.Sample(at, telemetry.Level(s%2), func(st *telemetry.State, mono time.Duration) {
			buf = e.Encode(buf[:0], st, 1, mono.Milliseconds(), telemetry.Level(s%2), false)
		})
		h.Write(buf)
		_, list := n.Processes(at)
		_, notes := n.Notes(at)
		if err := json.NewEncoder(h).Encode([]any{n.Hello(at), n.KernelLog(at, 0), notes, list}); err != nil {
			panic(err)
		}
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

func TestModelIsPure(t *testing.T) {
	a, b, other := demoModel(t, 64, 1), demoModel(t, 64, 1), demoModel(t, 64, 2)
	for _, i := range []int{0, 16, 42, 57, 63} {
		first := replay(a.nodes[i], 200)
		if second := replay(b.nodes[i], 200); first != second {
			t.Errorf("node %d says one thing once and another the second time", i)
		}
		if replay(other.nodes[i], 200) == first {
			t.Errorf("node %d does not know its seed", i)
		}
	}
}

// TestGolden holds a run of the demo: what a person would see of it, every half minute.
func TestGolden(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("other processors round sums of products otherwise, in the last digit")
	}
	m := demoModel(t, 64, 1)
	var out strings.Builder
	for s := 0; s <= 390; s++ {
		at := time.Duration(s) * time.Second
		for _, n := range m.nodes {
			n.Sample(at, telemetry.Base, func(st *telemetry.State, mono time.Duration) {
				if s%30 == 10 && (n.index%8 == 2 || len(n.strikes) > 0) {
					fmt.Fprintf(&out, "%3ds %s %s\n", s, n.name, sketch(n, st, at))
				}
			})
		}
	}
	path := filepath.Join("testdata", "demo.golden")
	if *update {
		if err := os.WriteFile(path, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), out.String()); diff != "" {
		t.Errorf("the demo runs otherwise (-want +got); `go test ./simfleet -update` if that is meant:\n%s", diff)
	}
}

func sketch(n *Node, st *telemetry.State, at time.Duration) string {
	var b strings.Builder
	c := n.Condition(at)
	for g := range n.gpuCount() {
		if st.Get(telemetry.GPUStatus, g) != telemetry.GPUOK {
			b.WriteString("   lost     ")
			continue
		}
		fmt.Fprintf(&b, "%3d%%%4dW%3d° ", st.Get(telemetry.GPUUtilPct, g), st.Get(telemetry.GPUPowerMW, g)/1000, st.Get(telemetry.GPUTempC, g))
	}
	_, list := n.Processes(at)
	fmt.Fprintf(&b, "%2d procs %4d GiB free, port2 %d, rcv %d GiB, kernel %d", len(list), st.Get(telemetry.MemAvailableBytes, 0)/gib, st.Get(telemetry.PortState, 2),
		st.Get(telemetry.PortRcvDataBytes, 2)/gib, len(n.KernelLog(at, bootSequence-1)))
	if c != (Condition{}) {
		fmt.Fprintf(&b, " %+v", c)
	}
	return b.String()
}

// TestReadingsAreConserved: counters never go backward but by a reboot, and no reading leaves its range, over two rounds of the demo.
func TestReadingsAreConserved(t *testing.T) {
	m := demoModel(t, 64, 7)
	type memory struct {
		boot string
		last map[telemetry.Metric][]int64
	}
	seen := make([]memory, len(m.nodes))
	seconds := 740
	if testing.Short() {
		seconds = 200
	}
	for s := range seconds {
		at := time.Duration(s)*time.Second + time.Duration(s%7)*40*time.Millisecond
		for i, n := range m.nodes {
			if n.Condition(at).Dead || len(n.strikes) == 0 && i%8 != 2 {
				continue
			}
			boot := n.BootID(at)
			fresh := seen[i].boot != boot
			if fresh {
				seen[i] = memory{boot, make(map[telemetry.Metric][]int64)}
			}
			n.Sample(at, telemetry.Detail, func(st *telemetry.State, _ time.Duration) {
				for _, d := range telemetry.Defs() {
					column := column(st, d)
					inRange(t, n, d, column)
					if d.Kind != telemetry.Counter {
						continue
					}
					last := seen[i].last[d.ID]
					for e := range last {
						if last[e] != telemetry.Absent && column[e] != telemetry.Absent && column[e] < last[e] {
							t.Fatalf("%s %ds: %s[%d] went from %d to %d", n.name, s, d.Name, e, last[e], column[e])
						}
					}
					seen[i].last[d.ID] = append(last[:0], column...)
				}
			})
		}
	}
}

// column is a metric's readings of all entities.
func column(st *telemetry.State, d telemetry.Def) []int64 {
	out := make([]int64, st.Count(d.ID.Scope()))
	for e := range out {
		out[e] = st.Get(d.ID, e)
	}
	return out
}

func inRange(t *testing.T, n *Node, d telemetry.Def, column []int64) {
	t.Helper()
	high := int64(1) << 60
	switch {
	case strings.HasSuffix(d.Name, "_pct"):
		high = 100
	case strings.HasSuffix(d.Name, "_permille"):
		high = 1000
	case strings.HasSuffix(d.Name, "_temp_c"):
		high = 110
	case d.ID == telemetry.GPUPowerMW:
		high = int64(n.machine.limitW)*1000 + 3000
	case d.ID == telemetry.GPUMemUsedBytes:
		high = n.machine.gpuMemory
	case d.ID == telemetry.MemAvailableBytes:
		high = n.machine.hostMemory
	}
	low := int64(0)
	if strings.HasSuffix(d.Name, "_tlimit_c") {
		low = -20 // of a margin
	}
	for e, v := range column {
		if v != telemetry.Absent && (v < low || v > high) {
			t.Fatalf("%s: %s[%d] is %d", n.name, d.Name, e, v)
		}
	}
}

// TestEveryBaseMetric: a healthy node gives all that a real collector gives, but what InfiniBand ports do not have.
func TestEveryBaseMetric(t *testing.T) {
	m := demoModel(t, 64, 1)
	n := m.nodes[20]
	n.Sample(time.Second, telemetry.Detail, func(*telemetry.State, time.Duration) {})
	n.Sample(2*time.Second, telemetry.Detail, func(st *telemetry.State, _ time.Duration) {
		for _, d := range telemetry.Defs() {
			known := 0
			for _, v := range column(st, d) {
				if v != telemetry.Absent {
					known++
				}
			}
			want := st.Count(d.ID.Scope())
			switch d.ID {
			case telemetry.SourceStuckMS, // nothing is stuck
				telemetry.GPURetiredPagesCorrected, telemetry.GPURetiredPagesUncorrected, telemetry.GPURetiredPending, // before Ampere
				telemetry.GPUC2CLinks, telemetry.GPUC2CLinksUp, telemetry.GPUVRTempC, telemetry.GPUResets, telemetry.GPUExecErrors, telemetry.GPUQueueSize, // of other kinds
				telemetry.GPUHostMemUsedBytes, telemetry.GPUHostMemTotalBytes, telemetry.GPUIdleMS, telemetry.GPUPowerPermille,
				telemetry.PortRetransPackets, telemetry.PortRetransTimeouts, telemetry.PortUnresponsiveRemotes, telemetry.PortImpairedRemotes, // EFA
				telemetry.PortNoCompletionCmds, telemetry.PortRxDrops, telemetry.NetAllowanceExceeded:
				want = 0
			case telemetry.PortRoCESlowRestart, telemetry.PortNPCNPSent, telemetry.PortRPCNPHandled, telemetry.PortNPECNMarked,
				telemetry.NetRxPFCPause, telemetry.NetTxPFCPause, telemetry.NetSymbolErrors, telemetry.NetFECUncorrected:
				want = 1
			case telemetry.NetRxPause, telemetry.NetTxPause, telemetry.NetRxDiscards, telemetry.NetTxDiscards, telemetry.NetRxCRCErrors, telemetry.NetSpeedMaxMbps:
				want = 2
			}
			if known != want {
				t.Errorf("%s is known of %d of %d", d.Name, known, want)
			}
		}
	})
	for _, n := range []*Node{n, m.nodes[58], m.nodes[60], m.nodes[62], m.nodes[63]} {
		n.Sample(2*time.Second, telemetry.Base, func(*telemetry.State, time.Duration) {})
		inv := n.Inventory()
		for sc, count := range map[telemetry.Scope]int{
			telemetry.ScopeGPU: len(inv.Gpus), telemetry.ScopePort: len(inv.Ports), telemetry.ScopeHWCounter: len(inv.HwCounters), telemetry.ScopeNet: len(inv.Nets),
			telemetry.ScopeDisk: len(inv.Disks), telemetry.ScopeFS: len(inv.Filesystems), telemetry.ScopeSource: len(inv.Sources), telemetry.ScopeCore: int(inv.Cpu.Threads),
			telemetry.ScopeGPULink: len(inv.GpuLinks), telemetry.ScopeGPUPart: len(inv.GpuParts), telemetry.ScopeCall: len(inv.Calls),
		} {
			if got := n.vitals.state.Count(sc); got != count {
				t.Errorf("scope %d has %d entities, the inventory %d", sc, got, count)
			}
		}
	}
}

func TestPlan(t *testing.T) {
	for _, nodes := range []int{1, 2, 3, 4, 8, 16, 23, 24, 31, 40, 63, 64, 65, 128, 200, 1000, 5000} {
		m := demoModel(t, nodes, 1)
		taken := make(map[[2]int]string)
		ids := make(map[int]bool)
		for _, j := range m.jobs {
			if ids[j.id] || len(j.member) == 0 {
				t.Fatalf("%d nodes: job %s has id %d, %d nodes", nodes, j.name, j.id, len(j.member))
			}
			ids[j.id] = true
			for _, n := range j.member {
				for _, g := range j.device {
					key := [2]int{n, g}
					if taken[key] != "" || g >= gpusPerNode {
						t.Fatalf("%d nodes: GPU %v is %s's and %s's", nodes, key, taken[key], j.name)
					}
					taken[key] = j.name
				}
			}
		}
		if nodes >= 64 && (len(m.jobs) < 9 || len(taken) < nodes*gpusPerNode*8/10 || len(taken) > nodes*gpusPerNode*97/100) {
			t.Errorf("%d nodes: %d jobs on %d GPUs", nodes, len(m.jobs), len(taken))
		}
		if nodes >= 3 && len(m.jobs) < 3 {
			t.Errorf("%d nodes: %d jobs", nodes, len(m.jobs))
		}
	}
	for _, nodes := range []int{0, -1, MaxNodes + 1} {
		if _, err := NewModel(ModelOptions{Nodes: nodes}); err == nil {
			t.Errorf("a fleet of %d nodes was planned", nodes)
		}
	}
}

// TestRanksAreWhole: the ranks of every job that has them are 0 to its world size, each once, and every variable is one that a collector reads.
func TestRanksAreWhole(t *testing.T) {
	m := demoModel(t, 64, 1)
	ranks := make(map[string][]string)
	pids := make(map[string]bool)
	for _, n := range m.nodes {
		_, list := n.Processes(0)
		for _, p := range list {
			key := fmt.Sprint(n.name, p.Pid)
			if pids[key] {
				t.Fatalf("%s has pid %d twice", n.name, p.Pid)
			}
			pids[key] = true
			for k := range p.Env {
				if !slices.Contains(telemetry.EnvKeys, k) {
					t.Errorf("%s leaves the node", k)
				}
			}
			if !p.Rank {
				continue
			}
			for _, k := range []string{"RANK", "OMPI_COMM_WORLD_RANK", "SLURM_PROCID"} {
				if r, ok := p.Env[k]; ok {
					job := p.Env["SLURM_JOB_ID"] + p.Env["PMIX_NAMESPACE"] + p.Env["TORCHELASTIC_RUN_ID"] + p.Env["MASTER_ADDR"]
					ranks[job] = append(ranks[job], r)
					break
				}
			}
		}
	}
	if len(ranks) < 9 {
		t.Fatalf("%d jobs have ranks", len(ranks))
	}
	for job, list := range ranks {
		for i := range list {
			if !slices.Contains(list, fmt.Sprint(i)) {
				t.Errorf("%s has %d ranks but not %d", job, len(list), i)
			}
		}
	}
}

func TestGenerations(t *testing.T) {
	m := demoModel(t, 64, 1)
	var j *job
	for _, c := range m.jobs {
		if c.role == "pretrain" {
			j = c
		}
	}
	last := -1
	for s := range 1500 {
		g, since, _ := j.run(time.Duration(s) * time.Second)
		if g < last || since > time.Duration(s)*time.Second {
			t.Fatalf("%ds: generation %d after %d, since %v", s, g, last, since)
		}
		last = g
	}
	if last < 4 {
		t.Errorf("in 25 minutes of the demo the big job started anew %d times", last)
	}
	if *m.nodes[0].Hello(0) == (facts.Hello{}) {
		t.Error("no hello")
	}
}

// TestSampleSize: at base level the median sample of a working fleet stays within the budget of the wire.
func TestSampleSize(t *testing.T) {
	m, err := NewModel(ModelOptions{Nodes: 64, Seed: 1, Epoch: epoch})
	if err != nil {
		t.Fatal(err)
	}
	encoders := make([]telemetry.Encoder, len(m.nodes))
	var all, busy []int
	var buf []byte
	for s := range 120 {
		for i, n := range m.nodes {
			n.Sample(time.Duration(s)*time.Second, telemetry.Base, func(st *telemetry.State, mono time.Duration) {
				buf = encoders[i].Encode(buf[:0], st, 1, mono.Milliseconds(), telemetry.Base, s%60 == 0)
			})
			framed := len(telemetry.AppendFrame(nil, telemetry.KindSample, buf))
			all = append(all, framed)
			if len(n.slots) > 0 && s > 0 {
				busy = append(busy, framed)
			}
		}
	}
	slices.Sort(all)
	slices.Sort(busy)
	t.Logf("bytes a node and second: median %d, 99th percentile %d; of busy nodes median %d", all[len(all)/2], all[len(all)*99/100], busy[len(busy)/2])
	if all[len(all)/2] > 700 || busy[len(busy)/2] > 700 {
		t.Errorf("the median is %d bytes, of busy nodes %d, want 700 at most", all[len(all)/2], busy[len(busy)/2])
	}
}
