package findings

import (
	"strings"
	"testing"
	"time"

	"foretop/fleet"
	"foretop/telemetry"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// world is a job of 16 ranks on two nodes, a GPU each, all well.
type world struct {
	job   *fleet.Job
	nodes map[string]*fleet.Node
	was   bool // its processes were seen before
	rules *watches
}

func (w *world) judge(at time.Time, m *fleet.Memory) fleet.Verdict {
	return w.rules.job(w.job, func(name string) *fleet.Node { return w.nodes[name] }, at, m)
}

func newWorld() *world {
	w := &world{job: &fleet.Job{Key: "job", World: 16, Nodes: []string{"a", "b"}, Start: noon.Add(-time.Hour)}, nodes: map[string]*fleet.Node{}, rules: newWatches(Set{})}
	for i, name := range w.job.Nodes {
		n := &fleet.Node{Name: name, State: fleet.Live, Jobs: []string{"job"}}
		for g := range 8 {
			n.GPUs = append(n.GPUs, fineGPU(g))
		}
		w.nodes[name] = n
		for g := range 8 {
			w.job.GPUs = append(w.job.GPUs, fleet.GPURef{Node: name, Index: g, Rank: 8*i + g, GPU: &n.GPUs[g], State: fleet.Live})
			w.job.Ranks = append(w.job.Ranks, fleet.Rank{Rank: 8*i + g, Node: name, GPUs: []int{g}})
		}
	}
	return w
}

func (w *world) each(f func(g *fleet.GPU)) {
	for i := range w.job.GPUs {
		f(w.job.GPUs[i].GPU)
	}
}

// work lets the job be seen at work for a minute, until a moment.
func (w *world) work(until time.Time, m *fleet.Memory) {
	for s := 60; s > 0; s-- {
		w.judge(until.Add(-time.Duration(s)*time.Second), m)
	}
}

// slow lets a GPU run at a low clock, so that it draws less power.
func (w *world) slow(i int) { w.job.GPUs[i].GPU.SMClockMHz, w.job.GPUs[i].GPU.PowerW = 1005, 430 }

// trouble gives a node a problem.
func (w *world) trouble(node string, s fleet.Severity, gpu, port int, text string) {
	n := w.nodes[node]
	n.Problems = append(n.Problems, fleet.Problem{Severity: s, GPU: gpu, Port: port, Text: text})
}

func spin(g *fleet.GPU) { g.UtilPct, g.PowerW, g.NetRxBytesPerS, g.NetTxBytesPerS = 100, 140, 0, 0 }

// said compares what a verdict says, and not what it says it by.
var said = cmpopts.IgnoreFields(fleet.Verdict{}, "Rule", "Since", "Evidence", "Remedy", "Suspects")

func TestJob(t *testing.T) {
	for _, tt := range []struct {
		name   string
		after  time.Duration // the same for so long
		change func(*world)
		want   fleet.Verdict
	}{
		{"well", time.Hour, func(*world) {}, fleet.Verdict{State: fleet.JobRunning, Text: "running"}},
		{"hung", 41 * time.Second, func(w *world) { w.each(spin) }, fleet.Verdict{State: fleet.JobSuspect, Severity: fleet.Warning, Text: "no progress 41 s, no rank differs"}},
		{"hung for long", 3 * time.Minute, func(w *world) { w.each(spin) }, fleet.Verdict{State: fleet.JobSuspect, Severity: fleet.Warning, Text: "no progress 180 s, no rank differs"}},
		{"waiting for a moment", 15 * time.Second, func(w *world) { w.each(spin) }, fleet.Verdict{State: fleet.JobRunning, Text: "running"}},
		{"little power but traffic", time.Hour, func(w *world) { w.each(func(g *fleet.GPU) { spin(g); g.NetTxBytesPerS = 4e9 }) }, fleet.Verdict{State: fleet.JobRunning, Text: "running"}},
		{"little power but tensor cores at work", time.Hour, func(w *world) { w.each(func(g *fleet.GPU) { spin(g); g.TensorActivityPct = 20 }) }, fleet.Verdict{State: fleet.JobRunning, Text: "running"}},
		{"hung on a lost GPU", 41 * time.Second, func(w *world) {
			w.each(spin)
			w.job.GPUs[11].GPU.Status, w.job.GPUs[11].GPU.UtilPct = telemetry.GPULost, fleet.None()
		}, fleet.Verdict{State: fleet.JobSuspect, Severity: fleet.Critical, Text: "no progress 41 s · suspect rank 11"}},
		{"hung on a rank that does nothing", 41 * time.Second, func(w *world) {
			w.each(spin)
			w.job.GPUs[3].GPU.UtilPct, w.job.GPUs[3].GPU.PowerW = 0, 90
		}, fleet.Verdict{State: fleet.JobSuspect, Severity: fleet.Warning, Text: "no progress 41 s · suspect rank 3"}},
		{"a GPU with a critical problem", 0, func(w *world) { w.job.GPUs[3].GPU.Severity = fleet.Critical }, fleet.Verdict{State: fleet.JobSuspect, Severity: fleet.Critical, Text: "a GPU3 critical (rank 3)"}},
		{"a GPU with a critical Xid", 0, func(w *world) {
			w.job.GPUs[3].GPU.Severity = fleet.Critical
			w.trouble("a", fleet.Critical, 3, -1, "Xid 95 GPU3: uncontained memory error")
		}, fleet.Verdict{State: fleet.JobSuspect, Severity: fleet.Critical, Text: "a Xid 95 GPU3: uncontained memory error (rank 3)"}},
		{"a GPU too hot", 0, func(w *world) { w.trouble("b", fleet.Warning, 5, -1, "GPU5 slowed: too hot (hardware)") },
			fleet.Verdict{State: fleet.JobSuspect, Severity: fleet.Warning, Text: "b GPU5 too hot (rank 13)"}},
		{"a GPU too hot that is another job's", 0, func(w *world) {
			w.trouble("b", fleet.Warning, 5, -1, "GPU5 slowed: too hot (hardware)")
			w.job.GPUs = append(w.job.GPUs[:13:13], w.job.GPUs[14:]...)
		}, fleet.Verdict{State: fleet.JobRunning, Text: "running"}},
		{"a GPU with a notice", 0, func(w *world) { w.trouble("b", fleet.Notice, 5, -1, "Xid 31 GPU5: memory page fault") },
			fleet.Verdict{State: fleet.JobRunning, Text: "running"}},
		{"a port of a node that is the job's", 0, func(w *world) { w.trouble("a", fleet.Critical, -1, 2, "mlx5_2 down") },
			fleet.Verdict{State: fleet.JobSuspect, Severity: fleet.Warning, Text: "a mlx5_2 down"}},
		{"a port of a node that others use too", 0, func(w *world) {
			w.trouble("a", fleet.Critical, -1, 2, "mlx5_2 down")
			w.nodes["a"].Jobs = append(w.nodes["a"].Jobs, "another")
		}, fleet.Verdict{State: fleet.JobRunning, Text: "running"}},
		{"a node's own warning", 0, func(w *world) { w.trouble("a", fleet.Warning, -1, -1, "/ 99 % full") },
			fleet.Verdict{State: fleet.JobRunning, Text: "running"}},
		{"hung, and a GPU too hot", 41 * time.Second, func(w *world) {
			w.each(spin)
			w.trouble("b", fleet.Warning, 5, -1, "GPU5 slowed: too hot (hardware)")
		}, fleet.Verdict{State: fleet.JobSuspect, Severity: fleet.Warning, Text: "no progress 41 s, no rank differs"}},
		{"ranks not seen", 0, func(w *world) { w.job.MissingN, w.job.Missing = 2, []int{4, 5} }, fleet.Verdict{State: fleet.JobPartial, Severity: fleet.Notice, Text: "2 of 16 ranks not seen: 4, 5"}},
		{"many ranks not seen", 0, func(w *world) { w.job.World, w.job.MissingN, w.job.Missing = 80, 66, []int{0, 1, 2, 8, 11, 13, 15} }, fleet.Verdict{State: fleet.JobPartial, Severity: fleet.Notice, Text: "66 of 80 ranks not seen: 0-2, 8, 11, 13, …"}},
		{"nodes still connecting", 0, func(w *world) {
			w.job.MissingN, w.job.Missing, w.job.Ranks, w.job.NodesPending = 8, []int{8}, w.job.Ranks[:8], 3
		}, fleet.Verdict{State: fleet.JobStarting, Text: "8 of 16 ranks so far, 3 nodes still connecting"}},
		{"starting", 0, func(w *world) {
			w.job.MissingN, w.job.Start, w.job.Ranks = 2, noon.Add(-30*time.Second), w.job.Ranks[:14]
		}, fleet.Verdict{State: fleet.JobStarting, Text: "starting: 14 of 16 ranks"}},
		{"one slower", time.Minute, func(w *world) { w.slow(11) }, fleet.Verdict{State: fleet.JobSuspect, Severity: fleet.Warning, Text: "rank 11 slower: clock 1006 MHz, peers 1755 MHz"}},
		{"one works while all wait", time.Minute, func(w *world) {
			w.each(func(g *fleet.GPU) { g.PowerW, g.TensorActivityPct = 420, 20 })
			w.job.GPUs[11].GPU.PowerW, w.job.GPUs[11].GPU.TensorActivityPct = 680, 55
		}, fleet.Verdict{State: fleet.JobSuspect, Severity: fleet.Warning, Text: "rank 11 slower? power 97 %, peers 60 %"}},
		{"one slower, not for long", 10 * time.Second, func(w *world) { w.slow(11) }, fleet.Verdict{State: fleet.JobRunning, Text: "running"}},
		{"two kinds of ranks", time.Hour, func(w *world) {
			for i := range 8 {
				w.job.GPUs[i].GPU.PowerW = 300
			}
		}, fleet.Verdict{State: fleet.JobRunning, Text: "running"}},
		{"idle", time.Hour, func(w *world) { w.job.IdleGPUs = 7 }, fleet.Verdict{State: fleet.JobIdle, Severity: fleet.Notice, Text: "7 of 16 GPUs idle"}},
		{"a node lost", 0, func(w *world) {
			w.nodes["b"].State = fleet.Lost
			for i := range 8 {
				w.job.GPUs[8+i].State = fleet.Lost
			}
		}, fleet.Verdict{State: fleet.JobSuspect, Severity: fleet.Critical, Text: "b lost (1 of 2 nodes)"}},
		{"a node stale", 0, func(w *world) { w.nodes["b"].State = fleet.Stale }, fleet.Verdict{State: fleet.JobSuspect, Severity: fleet.Warning, Text: "b stale (1 of 2 nodes)"}},
		{"all nodes lost", time.Hour, func(w *world) { w.nodes["a"].State, w.nodes["b"].State = fleet.Lost, fleet.Refused }, fleet.Verdict{State: fleet.JobUnchecked, Severity: fleet.Critical, Text: "not checked: all 2 nodes lost"}},
		{"no readings", time.Hour, func(w *world) { w.each(func(g *fleet.GPU) { g.UtilPct, g.PowerW = fleet.None(), fleet.None() }) }, fleet.Verdict{State: fleet.JobUnchecked, Severity: fleet.Notice, Text: "not checked: no GPU readings"}},
		{"a kind that does not tell its power", time.Hour, func(w *world) { w.each(func(g *fleet.GPU) { g.PowerW, g.PowerLimitW = fleet.None(), fleet.None() }) }, fleet.Verdict{State: fleet.JobRunning, Text: "running · progress not checked"}},
		{"parts of GPUs: the whole's use is not told", time.Hour, func(w *world) { w.each(func(g *fleet.GPU) { g.UtilPct = fleet.None() }) }, fleet.Verdict{State: fleet.JobRunning, Text: "running · progress not checked"}},
		{"a CPU job", time.Hour, func(w *world) { w.job.GPUs = nil }, fleet.Verdict{State: fleet.JobRunning, Text: "running"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, m := newWorld(), new(fleet.Memory)
			if tt.after > 0 {
				w.work(noon.Add(-tt.after), m)
			}
			tt.change(w)
			for ago := tt.after; ago > 0; ago -= max(time.Second, tt.after/100) {
				w.judge(noon.Add(-ago), m)
			}
			if diff := cmp.Diff(tt.want, w.judge(noon, m), said); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestJobEnded(t *testing.T) {
	oom := func(ago time.Duration) fleet.KernelLine {
		return line(ago, -1, "Out of memory: Killed process 22 (python3) total-vm:1kB")
	}
	for _, tt := range []struct {
		name  string
		lines []fleet.KernelLine // of node b; the job ended twelve seconds before noon
		want  fleet.Verdict
	}{
		{"of itself", nil, fleet.Verdict{State: fleet.JobEnded, Text: "ended 12 s ago"}},
		{"OOM kill", []fleet.KernelLine{oom(15 * time.Second)}, fleet.Verdict{State: fleet.JobEnded, Severity: fleet.Critical, Text: "ended 12 s ago: OOM kill on b (python3)"}},
		{"OOM kill long before", []fleet.KernelLine{oom(2 * time.Minute)}, fleet.Verdict{State: fleet.JobEnded, Text: "ended 12 s ago"}},
		{"OOM kill after it", []fleet.KernelLine{oom(0)}, fleet.Verdict{State: fleet.JobEnded, Text: "ended 12 s ago"}},
		{"GPU lost", []fleet.KernelLine{line(14*time.Second, 3, "NVRM: Xid (PCI:0000:3b:00): 79, pid=1, name=x, GPU has fallen off the bus.")},
			fleet.Verdict{State: fleet.JobEnded, Severity: fleet.Critical, Text: "ended 12 s ago: b Xid 79 GPU3: fell off the bus"}},
		{"its own fault", []fleet.KernelLine{line(14*time.Second, 3, "NVRM: Xid (PCI:0000:3b:00): 31, x")},
			fleet.Verdict{State: fleet.JobEnded, Severity: fleet.Warning, Text: "ended 12 s ago: b Xid 31 GPU3: memory page fault"}},
		{"what a killed process leaves", []fleet.KernelLine{line(14*time.Second, 3, "NVRM: Xid (PCI:0000:3b:00): 45, x")}, fleet.Verdict{State: fleet.JobEnded, Text: "ended 12 s ago"}},
		{"a GPU of another job", []fleet.KernelLine{line(14*time.Second, 9, "NVRM: Xid (PCI:0000:3b:00): 79, x")}, fleet.Verdict{State: fleet.JobEnded, Text: "ended 12 s ago"}},
		{"something else", []fleet.KernelLine{line(14*time.Second, -1, "nfs: server a not responding, still trying")}, fleet.Verdict{State: fleet.JobEnded, Text: "ended 12 s ago"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld()
			w.job.Ended, w.job.GPUs = noon.Add(-12*time.Second), nil
			w.nodes["b"].Kernel = tt.lines
			if diff := cmp.Diff(tt.want, w.judge(noon, new(fleet.Memory)), said); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestARankThatWentAwayIsAWarning(t *testing.T) {
	w, m := newWorld(), new(fleet.Memory)
	w.judge(noon, m)
	w.job.MissingN, w.job.Missing, w.job.Start = 1, []int{7}, noon
	for s := range 20 { // nodes tell one after another that a job is over
		got := w.judge(noon.Add(time.Duration(1+s)*time.Second), m)
		if want := s >= 12; got.State != fleet.JobPartial || (got.Severity == fleet.Warning) != want {
			t.Fatalf("after %d s: %+v", s, got)
		}
		if s >= 12 && !cmp.Equal(got.Suspects, []fleet.Suspect{fleet.SuspectRank("a", 7)}) {
			t.Fatalf("suspects: %v", got.Suspects)
		}
	}
}

func TestAStragglerIsTheOneThatIsOddMostOfTheTime(t *testing.T) {
	slow := func(w *world) { w.slow(11) }
	for _, tt := range []struct {
		name   string
		second func(s int) func(*world)
		told   bool
	}{
		{"always", func(int) func(*world) { return slow }, true},
		{"but in every fourth second", func(s int) func(*world) {
			if s%4 == 0 {
				return nil
			}
			return slow
		}, true},
		{"in one second of six", func(s int) func(*world) {
			if s%6 == 0 {
				return slow
			}
			return nil
		}, false},
		{"each in turn", func(s int) func(*world) {
			return func(w *world) { w.slow(s % 16) }
		}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, told, rules := new(fleet.Memory), 0, newWatches(Set{})
			for s := range 120 {
				w := newWorld()
				w.rules = rules
				if change := tt.second(s); change != nil {
					change(w)
				}
				v := w.judge(noon.Add(time.Duration(s)*time.Second), m)
				if told > 0 && v.State == fleet.JobRunning {
					t.Fatalf("taken back after %d s", s)
				}
				if strings.HasPrefix(v.Text, "rank 11 slower: clock ") {
					told++
				} else if v.State != fleet.JobRunning {
					t.Fatalf("after %d s: %+v", s, v)
				}
			}
			if (told > 0) != tt.told {
				t.Errorf("told in %d seconds", told)
			}
		})
	}
}

func TestProgressEndsAHang(t *testing.T) {
	w, m := newWorld(), new(fleet.Memory)
	for s := range 300 {
		w.each(func(g *fleet.GPU) {
			*g = fineGPU(g.Index)
			if s%19 != 0 { // a step every 19 s
				spin(g)
			}
		})
		if got := w.judge(noon.Add(time.Duration(s)*time.Second), m); got.State != fleet.JobRunning {
			t.Fatalf("after %d s: %+v", s, got)
		}
	}
}

func BenchmarkJob(b *testing.B) {
	w, m := newWorld(), new(fleet.Memory)
	b.ReportAllocs()
	for b.Loop() {
		w.judge(noon, m)
	}
}
