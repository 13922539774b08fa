package fleet

import (
	"fmt"
	"testing"
	"time"

	"foretop/schedulers"
	"foretop/telemetry"
	"foretop/telemetry/facts"
)

// busyFleet is n live nodes of 8 GPUs with a rank on each, one job.
func busyFleet(b *testing.B, n int, c *clock) (*Fleet, []*fakeNode) {
	f := New(Options{Now: c.now, Nodes: n})
	nodes := make([]*fakeNode, n)
	for i := range nodes {
		nodes[i] = newFakeNode(8)
		name := fmt.Sprintf("gpu%04d", i)
		join(b, f, name, nodes[i], c.now())
		set := make([]*facts.Process, 8)
		for g := range set {
			set[g] = rankOf(int32(100+g), fmt.Sprint(i*8+g), fmt.Sprint(n*8), uint32(g))
			set[g].Env["LOCAL_RANK"] = fmt.Sprint(g)
		}
		apply(b, f, name, telemetry.KindProcesses, encode(b, &facts.Processes{Whole: true, Set: set}), c.now())
	}
	f.Publish()
	return f, nodes
}

// BenchmarkApply is one sample of one node: decode, rates, history.
func BenchmarkApply(b *testing.B) {
	c := newClock()
	f, nodes := busyFleet(b, 1, c)
	payloads := make([][]byte, 512)
	for i := range payloads {
		for g := range 8 {
			nodes[0].state.Set(telemetry.GPUPowerMW, g, int64(300_000+1000*((i*7+g)%90)))
			nodes[0].state.Set(telemetry.GPUUtilPct, g, int64(90+i%10))
			nodes[0].state.Set(telemetry.PortRcvDataBytes, g, int64(i)<<30)
		}
		if i == 0 { // whole, so that the recording can begin again
			nodes[0].enc = telemetry.Encoder{}
		}
		payloads[i] = nodes[0].sample()
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		c.tick(time.Second)
		if r, err := f.Apply("gpu0000", telemetry.KindSample, payloads[i%len(payloads)], c.now()); err != nil || r.Whole {
			b.Fatal(r, err)
		}
	}
}

// BenchmarkPublish clones and aggregates a fleet of which a quarter changed, as four snapshots a second make it.
func BenchmarkPublish(b *testing.B) {
	for _, n := range []int{64, 1000, 5000} {
		b.Run(fmt.Sprintf("%d_nodes", n), func(b *testing.B) {
			c := newClock()
			f, _ := busyFleet(b, n, c)
			order, _ := f.ordered()
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				for j := i % 4; j < len(order); j += 4 {
					order[j].changed = true
				}
				f.Publish()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/node")
		})
	}
}

// manyJobs is a fleet whose every node runs four jobs of two GPUs, and the picture that a scheduler has of it, with half as many jobs that wait.
func manyJobs(b *testing.B, n int, c *clock) (*Fleet, *schedulers.Picture) {
	b.Helper()
	f := New(Options{Now: c.now, Nodes: n, StaleAfter: time.Hour})
	p := &schedulers.Picture{Kind: "slurm", Cluster: "bay", At: c.now()}
	for i := range n {
		name := fmt.Sprintf("gpu%04d", i)
		node := newFakeNode(8)
		join(b, f, name, node, c.now())
		h := node.hello()
		h.Hostname, h.MachineId = name+".bay.example", fmt.Sprint(i)
		apply(b, f, name, telemetry.KindHello, encode(b, h), c.now())
		apply(b, f, name, telemetry.KindInventory, encode(b, node.inv), c.now())
		node.enc = telemetry.Encoder{}
		apply(b, f, name, telemetry.KindSample, node.sample(), c.now())
		set := make([]*facts.Process, 8)
		for g := range set {
			set[g] = slurmRank(fmt.Sprint(4*i+g/2+1), int32(100+g), fmt.Sprint(g%2), "2", uint32(g))
		}
		apply(b, f, name, telemetry.KindProcesses, encode(b, &facts.Processes{Whole: true, Set: set}), c.now())
		p.Nodes = append(p.Nodes, schedulers.Node{Name: name, Hostname: name, Addresses: []string{name + ".bay.example"}, Condition: schedulers.Usable, State: "ALLOCATED", Partitions: []string{"h100"}, GPUs: 8, GPUsUsed: 8})
		for k := range 6 {
			id := fmt.Sprint(4*i + k + 1)
			j := schedulers.Job{Key: "slurm/" + id, ID: id, Name: "train", User: fmt.Sprint("user", i%300), Phase: schedulers.Running, StartAt: c.now(), Nodes: []string{name}, GPUs: 2, GPUsOn: map[string][]int{name: {2 * k, 2*k + 1}}}
			if k >= 4 {
				id = fmt.Sprint(1_000_000 + 2*i + k)
				j = schedulers.Job{Key: "slurm/" + id, ID: id, Name: "train", User: fmt.Sprint("user", i%300), Phase: schedulers.Pending, Reason: "Priority", GPUs: 8}
			}
			p.Jobs = append(p.Jobs, j)
		}
	}
	f.Scheduled(p)
	f.Publish()
	return f, p
}

// BenchmarkPublishScheduled is BenchmarkPublish with four jobs a node and a scheduler that knows them all: while nothing new is said of them, and when a new
// picture says it all again.
func BenchmarkPublishScheduled(b *testing.B) {
	for _, c := range []struct {
		name   string
		nodes  int
		always bool
	}{{"1000_nodes_4000_jobs", 1000, false}, {"5000_nodes_20000_jobs", 5000, false}, {"5000_nodes_20000_jobs_new_picture", 5000, true}} {
		b.Run(c.name, func(b *testing.B) {
			clock := newClock()
			f, p := manyJobs(b, c.nodes, clock)
			if s := f.Snapshot(); len(s.Jobs) != 4*c.nodes || s.Jobs[0].Told == nil || s.Schedulers[0].Proven != c.nodes || len(s.Pending) != 2*c.nodes {
				b.Fatalf("%d jobs, %+v", len(s.Jobs), s.Schedulers)
			}
			order, _ := f.ordered()
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				clock.tick(250 * time.Millisecond)
				for j := i % 4; j < len(order); j += 4 {
					order[j].changed = true
				}
				if c.always {
					again := *p
					f.Scheduled(&again)
				}
				f.Publish()
			}
		})
	}
}
