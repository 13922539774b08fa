package jobs

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"
)

// BenchmarkRegroup10000 is what a change among 10,000 ranks costs when identities are kept: to be within 5 ms. cpu-ms/op is the processor's time, the collector of
// garbage included, which other programs on the machine lengthen less; best-ms is the
// fastest of all. A tenth of the ranks fits between two turns of other programs on a busy machine: ten times its best is what the whole costs.
func BenchmarkRegroup10000(b *testing.B) {
	listed := func(nodes []NodeFacts, jobNodes int) []NodeFacts {
		for i := range nodes {
			first := i / jobNodes * jobNodes
			for _, p := range nodes[i].Processes {
				p.Env["SLURM_JOB_NODELIST"] = fmt.Sprintf("gpu[%04d-%04d]", first, first+jobNodes-1)
			}
		}
		return nodes
	}
	one := fleet(1250)
	for i := range one {
		for l, p := range one[i].Processes {
			p.Env["SLURM_JOB_ID"], p.Env["MASTER_ADDR"] = "8000", "gpu0"
			p.Cgroup = "/system.slice/slurmstepd.scope/job_8000/step_0/user/task_0"
			if l >= 2 {
				p.Env["RANK"], p.Env["WORLD_SIZE"] = fmt.Sprint(8*i+l-2), "10000"
			}
		}
	}
	pods, known := fleet(1250), &Known{Pods: map[string]KnownPod{}, Jobs: map[string]KnownJob{}, Whole: map[string]int64{"kubernetes": 1 << 50}}
	for i := range pods {
		uid := fmt.Sprintf("0c5a6b0e-1f2a-4b3c-8d9e-%012d", i)
		job := fmt.Sprintf("kubernetes/team/PyTorchJob/llama-%d", i/32)
		known.Pods[uid] = KnownPod{Job: job, Name: fmt.Sprintf("llama-%d-worker-%d", i/32, i%32)}
		known.Jobs[job] = KnownJob{ID: job[len("kubernetes/"):], User: "ann"}
		for _, p := range pods[i].Processes {
			p.Cgroup = "/kubepods.slice/kubepods-pod" + strings.ReplaceAll(uid, "-", "_") + ".slice/cri-containerd-" + strings.Repeat("ab", 32) + ".scope"
			for k := range p.Env {
				if strings.HasPrefix(k, "SLURM_") {
					delete(p.Env, k)
				}
			}
		}
	}
	for _, c := range []struct {
		name  string
		nodes []NodeFacts
		known *Known
		ranks int
	}{{"4 jobs, 1000 ranks", listed(fleet(125), 32), nil, 1000}, {"40 jobs", listed(fleet(1250), 32), nil, 10000}, {"1 job", listed(one, 1250), nil, 10000}, {"40 jobs of pods", pods, known, 10000}} {
		for i := range c.nodes {
			c.nodes[i].Identities = IdentifyAll(c.nodes[i].Processes)
		}
		ranks := 0
		for _, j := range AssembleWith(c.nodes, c.known) {
			ranks += len(j.Ranks)
		}
		if ranks != c.ranks {
			b.Fatalf("%s: %d ranks", c.name, ranks)
		}
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			before, best := cpuTime(b), time.Hour
			for b.Loop() {
				began := time.Now()
				AssembleWith(c.nodes, c.known)
				best = min(best, time.Since(began))
			}
			b.ReportMetric(best.Seconds()*1000, "best-ms")
			b.ReportMetric((cpuTime(b)-before).Seconds()*1000/float64(b.N), "cpu-ms/op")
		})
	}
}

// cpuTime is what the process has used of the processors.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func BenchmarkAssemble5000(b *testing.B) {
	nodes := fleet(5000)
	b.Run("whole", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			Assemble(nodes)
		}
	})
	for i := range nodes {
		nodes[i].Identities = IdentifyAll(nodes[i].Processes)
	}
	b.Run("kept", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			Assemble(nodes)
		}
	})
}
