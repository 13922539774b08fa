package findings

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"foretop/fleet"
	"foretop/telemetry"
	"foretop/telemetry/facts"
)

// film is a world that goes on second by second.
type film struct {
	*world
	t  *testing.T
	m  *fleet.Memory
	at time.Time
}

func newFilm(t *testing.T) *film {
	f := &film{world: newWorld(), t: t, m: new(fleet.Memory), at: noon}
	for _, n := range f.nodes {
		n.Host = unknown(n.Host)
	}
	return f
}

// play lets so many seconds pass, all GPUs at work but for what change does to them, and returns what the rule says at the end.
func (f *film) play(seconds int, rule string, change func(s int)) (last []fleet.Verdict) {
	for s := range seconds {
		f.at = f.at.Add(time.Second)
		f.each(func(g *fleet.GPU) { *g = fineGPU(g.Index) })
		if change != nil {
			change(s)
		}
		f.judge(f.at, f.m)
		last = last[:0]
		for _, v := range f.job.Findings {
			if v.Rule == rule {
				last = append(last, v)
			}
		}
	}
	return slices.Clone(last)
}

// silent asserts that a rule says nothing in any second.
func (f *film) silent(seconds int, rule string, change func(s int)) {
	f.t.Helper()
	for s := range seconds {
		if got := f.play(1, rule, func(int) {
			if change != nil {
				change(s)
			}
		}); len(got) > 0 {
			f.t.Fatalf("after %d s: %s says %q", s, rule, got[0].Text)
		}
	}
}

// unchecked says whether a rule could not look.
func (f *film) unchecked(rule string) bool {
	return slices.ContainsFunc(f.job.Unchecked, func(s string) bool { return strings.HasPrefix(s, rule+": ") })
}

func (f *film) spin() { f.each(spin) }

func TestJobRulesAreNamed(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range jobRules {
		if known := LookupRule(r.id); seen[r.id] || known == nil || !known.OfJobs() || r.ask == nil {
			t.Errorf("rule %+v", r.id)
		}
		seen[r.id] = true
	}
}

func TestARuleThatIsOffIsNotAsked(t *testing.T) {
	f := newFilm(t)
	set, err := Without("job.hang")
	if err != nil {
		t.Fatal(err)
	}
	f.rules = newWatches(set)
	f.play(60, "", nil)
	f.silent(60, "job.hang", func(int) { f.spin() })
	if f.unchecked("job.hang") { // it is said by who asks for answers: it is off
		t.Errorf("unchecked: %v", f.job.Unchecked)
	}
}

func TestHangKnowsTheJobsPauses(t *testing.T) {
	f := newFilm(t)
	f.silent(600, "job.hang", func(s int) { // in each minute all wait for 25 s; the first times nobody can know
		if s >= 100 && s%60 < 15+s/60 && s%60 < 25 {
			f.spin()
		}
	})
	f.silent(50, "job.hang", func(int) { f.spin() })
	if got := f.play(20, "job.hang", func(int) { f.spin() }); len(got) != 1 || got[0].Severity != fleet.Warning || len(got[0].Suspects) > 0 {
		t.Errorf("after 70 s: %+v", got)
	}
}

func TestHangOutlastsABlip(t *testing.T) {
	f := newFilm(t)
	f.play(60, "", nil)
	got := f.play(40, "job.hang", func(s int) {
		f.spin()
		if s%9 == 8 { // somebody measures a GPU
			*f.job.GPUs[5].GPU = fineGPU(5)
		}
	})
	if len(got) != 1 {
		t.Error("not told")
	}
}

func TestHangIsSilentUntilItIsLearned(t *testing.T) {
	f := newFilm(t)
	f.silent(4*60, "job.hang", func(int) { f.spin(); f.each(func(g *fleet.GPU) { g.TensorActivityPct = 0 }) })
	if !f.unchecked("job.hang") {
		t.Errorf("not said to be unchecked: %v", f.job.Unchecked)
	}
	stuck := func(int) { f.spin(); f.each(func(g *fleet.GPU) { g.TensorActivityPct = 0 }) }
	if got := f.play(70, "job.hang", stuck); len(got) != 1 || got[0].Severity != fleet.Warning {
		t.Errorf("a job that was seen to stand still from the first look on: %+v", got)
	}

	f = newFilm(t)
	lost := func(int) { f.spin(); f.job.GPUs[11].GPU.Status = telemetry.GPULost }
	if got := f.play(15, "job.hang", lost); len(got) != 1 || got[0].Severity != fleet.Critical || got[0].Suspects[0] != f.job.GPUs[11].Suspect() {
		t.Errorf("with a GPU lost: %+v", got)
	}

	f = newFilm(t) // it starts anew: it compiles, then waits for all to connect
	f.play(120, "", nil)
	f.job.Start = f.at
	f.silent(240, "job.hang", func(s int) {
		f.each(func(g *fleet.GPU) { g.UtilPct, g.PowerW = 0, 100 })
		if s > 60 {
			f.spin()
		}
	})
}

func TestHangIsNoRankThatSavesOrEvaluates(t *testing.T) {
	f := newFilm(t)
	f.nodes["a"].Disks = []fleet.Disk{{Name: "nvme0n1"}}
	f.play(60, "", nil)
	f.silent(100, "job.hang", func(int) {
		f.spin()
		f.job.GPUs[0].GPU.UtilPct, f.job.GPUs[0].GPU.PowerW = 0, 100
		f.nodes["a"].Disks[0].WriteBytesPerS = 900e6
	})
	f.nodes["a"].Disks[0].WriteBytesPerS = 0
	f.play(60, "", nil)
	f.silent(200, "job.hang", func(int) {
		f.spin()
		*f.job.GPUs[0].GPU = fineGPU(0)
	})
	if got := f.play(600, "job.hang", func(int) { f.spin(); *f.job.GPUs[0].GPU = fineGPU(0) }); len(got) != 1 || !strings.Contains(got[0].Text, "works alone") || got[0].Suspects[0].Rank != 0 {
		t.Errorf("for a quarter of an hour: %+v", got)
	}
}

func TestHangForARankThatIsGone(t *testing.T) {
	f := newFilm(t)
	f.play(60, "", nil)
	f.job.Missing, f.job.MissingN, f.job.Start = []int{0}, 1, f.job.Start.Add(3*time.Second) // it was the oldest
	f.job.Ranks = f.job.Ranks[1:]
	if got := f.play(14, "job.hang", func(int) { f.spin() }); len(got) != 1 || got[0].Severity != fleet.Critical || got[0].Suspects[0] != fleet.SuspectRank("a", 0) {
		t.Errorf("%+v", got)
	}

	f = newFilm(t) // half of it is not watched, and never was
	f.job.World, f.job.Missing, f.job.MissingN, f.job.Unwatched = 32, []int{16, 17}, 16, []string{"c", "d"}
	f.play(60, "", nil)
	f.silent(20, "job.hang", func(int) { f.spin() })
	if got := f.play(5, "job.hang", func(int) { f.spin() }); len(got) != 1 || got[0].Severity != fleet.Warning {
		t.Errorf("%+v", got)
	}
}

// rank is a process of a rank, as its node shows it.
func (f *film) rank(node string, rank int, status string, cpu float64) {
	n := f.nodes[node]
	pid := int32(1000 + rank)
	n.Processes = slices.DeleteFunc(n.Processes, func(p *fleet.Process) bool { return p.Pid == pid })
	n.Processes = append(n.Processes, &fleet.Process{Process: &facts.Process{Pid: pid}, Rank: rank, Job: "job", Status: status, CPUPct: fleet.Reading(cpu), RSS: fleet.None(), Threads: fleet.None()})
}

func TestStoppedRank(t *testing.T) {
	f := newFilm(t)
	f.play(60, "", nil)
	f.rank("b", 12, "T", 0)
	wait := func(int) { f.spin(); f.job.GPUs[12].GPU.UtilPct, f.job.GPUs[12].GPU.PowerW = 0, 100 }
	if got := f.play(4, "job.stopped", wait); len(got) > 0 {
		t.Errorf("after 4 s: %v", got)
	}
	got := f.play(10, "job.stopped", wait)
	if want := fleet.SuspectRank("b", 12); len(got) != 1 || got[0].Suspects[0] != want || got[0].Text != "rank 12 on b is stopped" {
		t.Fatalf("%+v", got)
	}
	if got := f.play(1, "job.hang", wait); len(got) != 1 || got[0].Severity != fleet.Critical || got[0].Suspects[0].Rank != 12 {
		t.Errorf("hang: %+v", got)
	}
	f.rank("b", 12, "R", 100)
	f.silent(30, "job.stopped", nil)
}

func TestHangWithoutGPUs(t *testing.T) {
	f := newFilm(t)
	f.job.GPUs = nil
	for r := range 16 {
		f.rank(f.job.Nodes[r/8], r, "R", 80)
	}
	f.silent(60, "job.hang", nil)
	for r := range 16 {
		f.rank(f.job.Nodes[r/8], r, "S", 0)
	}
	f.silent(19, "job.hang", nil)
	if got := f.play(5, "job.hang", nil); len(got) != 1 || got[0].Severity != fleet.Warning || !strings.HasSuffix(got[0].Text, ", no rank differs") {
		t.Errorf("all sleep: %+v", got)
	}
	f.rank("a", 3, "T", 0)
	if got := f.play(10, "job.hang", nil); len(got) != 1 || got[0].Severity != fleet.Critical || got[0].Suspects[0] != fleet.SuspectRank("a", 3) {
		t.Errorf("one is stopped: %+v", got)
	}
}

func TestMemoryThatFills(t *testing.T) {
	for _, tt := range []struct {
		name string
		used func(s int) float64 // GiB of 80
		want string
	}{
		{"steadily", func(s int) float64 { return 40 + float64(s)*0.05 }, "memory of b GPU3 fills: full in 10 min"},
		{"slowly", func(s int) float64 { return 40 + float64(s)*0.01 }, "memory of b GPU3 fills: full in 63 min"},
		{"and comes to rest", func(s int) float64 { return 40 + min(float64(s)*0.3, 20) }, ""},
		{"up and down", func(s int) float64 { return 40 + float64(s%40)*0.5 }, ""},
		{"in steps", func(s int) float64 { return 40 + float64(s/30)*1.5 }, ""},
		{"not at all", func(int) float64 { return 79 }, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFilm(t)
			got := f.play(240, "job.memory-creep", func(s int) {
				f.each(func(g *fleet.GPU) { g.MemUsedBytes, g.MemTotalBytes = 40<<30, 80<<30 })
				f.job.GPUs[11].GPU.MemUsedBytes = fleet.Reading(tt.used(s) * (1 << 30))
			})
			said := ""
			if len(got) > 0 {
				said = got[0].Text
				if got[0].Suspects[0] != f.job.GPUs[11].Suspect() {
					t.Errorf("suspects %v", got[0].Suspects)
				}
			}
			if said != tt.want {
				t.Errorf("%q, want %q", said, tt.want)
			}
		})
	}
}

func TestUnequalMemory(t *testing.T) {
	f := newFilm(t)
	f.job.MemPct = 60
	used := func(share float64) func(int) {
		return func(int) {
			f.each(func(g *fleet.GPU) { g.MemUsedBytes, g.MemTotalBytes = 48<<30, 80<<30 })
			f.job.GPUs[2].GPU.MemUsedBytes = fleet.Reading(share * 80 * (1 << 30))
		}
	}
	if got := f.play(60, "job.memory-imbalance", used(0.94)); len(got) != 1 || got[0].Severity != fleet.Notice || got[0].Suspects[0].Rank != 2 {
		t.Errorf("%+v", got)
	}
	if got := f.play(60, "job.memory-imbalance", used(0.98)); len(got) != 1 || got[0].Severity != fleet.Warning {
		t.Errorf("%+v", got)
	}
	f.silent(60, "job.memory-imbalance", used(0.7))
}

func TestStarvedForData(t *testing.T) {
	f := newFilm(t)
	f.job.UtilPct = 95
	f.play(120, "", nil)
	f.job.UtilPct = 45
	f.silent(120, "job.dataloader", nil) // it is used less, and nothing waits for data
	f = newFilm(t)
	f.job.UtilPct = 95
	f.play(120, "", nil)
	f.job.UtilPct = 45
	for _, n := range f.nodes {
		n.Host.PSIIOSomePct = 50
	}
	got := f.play(90, "job.dataloader", nil)
	if len(got) != 1 || !strings.HasPrefix(got[0].Text, "waits for data? GPUs used 45 %") {
		t.Errorf("%+v", got)
	}
}

func TestSavingThatStalls(t *testing.T) {
	f := newFilm(t)
	disk := func(bytes float64) {
		f.nodes["a"].Disks = []fleet.Disk{{Name: "nvme0n1", WriteBytesPerS: fleet.Reading(bytes)}}
		f.each(func(g *fleet.GPU) { g.UtilPct, g.PowerW = 5, 120 })
	}
	f.nodes["a"].Disks = []fleet.Disk{{Name: "nvme0n1"}}
	for range 3 {
		f.silent(60, "job.checkpoint-stall", func(int) { f.nodes["a"].Disks[0].WriteBytesPerS = 0 })
		f.silent(15, "job.checkpoint-stall", func(int) { disk(2e9) })
	}
	f.silent(60, "job.checkpoint-stall", func(int) { f.nodes["a"].Disks[0].WriteBytesPerS = 0 })
	f.silent(120, "job.checkpoint-stall", func(int) { disk(2e9) }) // a large one: it goes on
	f.silent(60, "job.checkpoint-stall", func(int) { f.nodes["a"].Disks[0].WriteBytesPerS = 0 })
	f.silent(60, "job.checkpoint-stall", func(int) { disk(2e9) })
	f.nodes["a"].Host.PSIIOFullPct, f.nodes["b"].Host.PSIIOFullPct = 80, 1
	if got := f.play(300, "job.checkpoint-stall", func(int) { disk(1e3) }); len(got) != 1 || !slices.Contains(got[0].Suspects, fleet.SuspectNode("a")) {
		t.Errorf("%+v", got)
	}
}

func TestSilentLog(t *testing.T) {
	f := newFilm(t)
	write := func(int) {
		f.job.Log = &fleet.LogTail{Path: "/logs/8123.out", At: f.at, ModTime: f.at}
	}
	f.silent(120, "job.no-progress", write)
	last := f.at
	quiet := func(int) { f.job.Log = &fleet.LogTail{Path: "/logs/8123.out", At: f.at, ModTime: last} }
	if got := f.play(400, "job.no-progress", quiet); len(got) != 1 || got[0].Severity != fleet.Notice {
		t.Errorf("GPUs at work: %+v", got)
	}
	f.silent(60, "job.no-progress", write)
	last = f.at
	rest := func(s int) { quiet(s); f.each(func(g *fleet.GPU) { g.UtilPct, g.PowerW = 0, 100 }) }
	if got := f.play(400, "job.no-progress", rest); len(got) != 1 || got[0].Severity != fleet.Warning {
		t.Errorf("GPUs at rest: %+v", got)
	}
	f.silent(60, "job.no-progress", write)
	last = f.at
	if got := f.play(90, "job.hang", func(s int) { quiet(s); f.spin() }); len(got) != 1 || got[0].Severity != fleet.Critical {
		t.Errorf("a hang with a silent log: %+v", got)
	}
}

func TestRestartedAgainAndAgain(t *testing.T) {
	f := newFilm(t)
	f.play(60, "", nil)
	for i, want := range []fleet.Severity{fleet.Notice, fleet.Notice, fleet.Notice, fleet.Warning} {
		f.job.Start = f.at
		if got := f.play(120, "job.restarted", nil); len(got) != 1 || got[0].Severity != want {
			t.Errorf("start %d: %+v", i+1, got)
		}
	}
	f.silent(1, "job.restarted", func(int) { f.at = f.at.Add(2 * time.Hour) })
}

func TestOOMKilledRank(t *testing.T) {
	f := newFilm(t)
	for i := range f.job.Ranks {
		f.job.Ranks[i].PID = int32(1000 + i)
	}
	f.play(5, "", nil)
	f.nodes["b"].Kernel = []fleet.KernelLine{{At: f.at, GPU: -1, Text: "Out of memory: Killed process 1013 (python3) total-vm:1kB", Class: ClassifyKernel("Out of memory: Killed process 1013 (python3) total-vm:1kB")}}
	f.job.Ranks = slices.Delete(slices.Clone(f.job.Ranks), 13, 14)
	f.job.Missing, f.job.MissingN = []int{13}, 1
	got := f.play(3, "job.oom", nil)
	if len(got) != 1 || got[0].Severity != fleet.Critical || got[0].Suspects[0] != fleet.SuspectRank("b", 13) || !strings.HasPrefix(got[0].Text, "rank 13 OOM-killed on b") {
		t.Errorf("%+v", got)
	}
	f.nodes["b"].Kernel[0].Class = ClassifyKernel("Out of memory: Killed process 999 (firefox) total-vm:1kB")
	f.silent(5, "job.oom", nil)
}

func TestTwoNodesAreToldApartByACause(t *testing.T) {
	f := newFilm(t)
	slow := func(int) {
		for i := 8; i < 16; i++ {
			f.job.GPUs[i].GPU.UtilPct, f.job.GPUs[i].GPU.PowerW = 70, 400
		}
	}
	f.silent(90, "job.straggler", slow)
	f.nodes["b"].Host.CPUStealPct, f.nodes["a"].Host.CPUStealPct = 30, 0
	if got := f.play(60, "job.straggler", slow); len(got) != 1 || got[0].Suspects[0] != fleet.SuspectNode("b") || !strings.Contains(fmt.Sprint(got[0].Evidence), "steal") {
		t.Errorf("%+v", got)
	}
}

// What NCCL says since the job stands still is a proof; what it said before, or for the first time, is none.
func TestHangHearsNCCL(t *testing.T) {
	for _, tt := range []struct {
		name         string
		asked, since time.Duration // before the end
		proof        bool
	}{{"since then, twice", time.Second, 20 * time.Second, true}, {"before", time.Hour, 2 * time.Hour, false}, {"for the first time", time.Second, time.Second, false}} {
		t.Run(tt.name, func(t *testing.T) {
			w, m := newWorld(), new(fleet.Memory)
			w.work(noon, m)
			w.each(spin)
			end := noon.Add(time.Minute)
			asked := end.Add(-tt.asked)
			w.job.RAS = &fleet.RAS{Node: "a", At: asked, Lagging: []fleet.RASRank{{Rank: 11, Node: "b", Operation: "AllReduce", Launched: 8811, Most: 8812, Behind: 1, Of: 16, Since: end.Add(-tt.since)}}}
			var got fleet.Verdict
			for at := noon; !at.After(end); at = at.Add(time.Second) {
				got = w.judge(at, m)
			}
			if proof := got.Severity == fleet.Critical; got.Rule != "job.hang" || proof != tt.proof {
				t.Fatalf("%+v", got)
			}
			if !tt.proof {
				return
			}
			if !strings.Contains(got.Text, "suspect rank 11") || !slices.ContainsFunc(got.Evidence, func(s string) bool {
				return strings.Contains(s, "NCCL RAS: rank 11 lags in AllReduce #8812, 15 of 15 others are further")
			}) {
				t.Errorf("%+v", got)
			}
		})
	}
}
