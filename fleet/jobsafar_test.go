package fleet

import (
	"slices"
	"testing"
	"time"
)

// Jobs that only a metrics server knows are there with their ranks and what their GPUs come to, until the server is silent for long; Xids that it tells are lines of their nodes.
func TestJobsAfar(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	var told []string
	f := New(Options{Now: func() time.Time { return now }, Rules: Rules{
		Kernel: func(text string) KernelClass {
			told = append(told, text)
			return KernelClass{Kind: "xid", Xid: 79, Severity: Critical, PCI: "0000:00:00.0", Text: "Xid 79: fell off the bus"}
		},
		Job: func(*Job, func(string) *Node, time.Time, *Memory) Verdict {
			t.Error("a job that is not seen here is judged here")
			return Verdict{}
		},
	}})
	o := overviewOf(now.Add(-5*time.Second), "a", "b")
	o.Nodes[1].Xids, o.Nodes[1].HearsXids = []OverseenXid{{GPU: 0, Code: 79}}, true
	start := now.Add(-time.Hour)
	o.Jobs = []OverseenJob{
		{Key: "slurm/7", ID: "7", Name: "llm", User: "ann", World: 3, MissingN: 1, Start: start, State: JobPartial, Severity: Warning, GPUs: []OverseenGPU{{"a", 0, 0}, {"b", 0, 1}, {"b", 3, -1}}},
		{Key: "slurm/8", ID: "8"},
	}
	f.Overlook(o)
	s := f.Publish()
	j := s.Job("slurm/7")
	if j == nil || s.Totals.Jobs != 2 || s.Jobs[0] != j {
		t.Fatalf("%+v", s.Jobs)
	}
	if j.Name != "llm" || j.User != "ann" || j.World != 3 || j.MissingN != 1 || !j.Start.Equal(start) || j.State != JobPartial || j.Severity != Warning || j.StateText != "some ranks are not seen, says another foretop by way of prometheus" {
		t.Errorf("%+v", j)
	}
	if !slices.Equal(j.Nodes, []string{"a", "b"}) || len(j.Ranks) != 2 || j.Ranks[1].Node != "b" || !slices.Equal(j.Ranks[1].GPUs, []int{0}) || len(j.GPUs) != 3 || j.GPUs[2].Rank != -1 {
		t.Errorf("%+v", j)
	}
	if j.UtilPct != 97 || j.GPUs[0].GPU == nil || j.GPUs[2].GPU != nil { // b has one GPU
		t.Errorf("%+v", j.GPUs)
	}
	b := s.Node("b")
	if len(b.Kernel) != 1 || b.Kernel[0].GPU != 0 || b.Kernel[0].Class.PCI != "" || !b.HearsXids() || s.Node("a").HearsXids() || len(told) != 1 || told[0] != "NVRM: Xid (PCI:0000:00:00): 79" {
		t.Errorf("%+v, %q", b.Kernel, told)
	}
	first := b.Kernel[0].At
	now = now.Add(time.Minute)
	again := *o
	again.Nodes = slices.Clone(o.Nodes)
	for i := range again.Nodes {
		again.Nodes[i].At = now
	}
	f.Overlook(&again)
	if b = f.Publish().Node("b"); len(b.Kernel) != 1 || !b.Kernel[0].At.Equal(first) {
		t.Errorf("it is told since %v, then since %v", first, b.Kernel[0].At)
	}
	now = now.Add(10 * time.Minute)
	if j = f.Publish().Job("slurm/7"); j.State != JobUnchecked || j.StateText != "prometheus has had nothing new of it for a while" {
		t.Errorf("%v %q", j.State, j.StateText)
	}
	none := again
	none.Jobs = nil
	f.Overlook(&none)
	if s = f.Publish(); len(s.Jobs) != 0 {
		t.Errorf("jobs that are over: %+v", s.Jobs)
	}
}

// Of a job of which some nodes are connected the processes there are what is seen, and the rest is the server's word.
func TestJobPartlyAfar(t *testing.T) {
	own := &Job{Key: "slurm/7", Nodes: []string{"a"}, Ranks: []Rank{{Rank: 0, Node: "a", PID: 41, GPUs: []int{0, 1}}}, GPUs: []GPURef{{Node: "a", Index: 0, Rank: 0}, {Node: "a", Index: 1, Rank: 0}}, MissingN: 1, State: JobPartial}
	o := OverseenJob{Key: "slurm/7", World: 2, GPUs: []OverseenGPU{{"a", 0, 0}, {"b", 0, 1}, {"b", 1, 1}}}
	p := o.plan("prometheus", own, false)
	if j := p.job; j.MissingN != 0 || j.State != JobRunning || len(j.Ranks) != 2 || j.Ranks[0].PID != 41 || !slices.Equal(j.Ranks[1].GPUs, []int{0, 1}) || !slices.Equal(j.Nodes, []string{"a", "b"}) || len(p.devices) != 4 {
		t.Errorf("%+v, %v", j, p.devices)
	}
	if len(own.Ranks) != 1 || !slices.Equal(own.Ranks[0].GPUs, []int{0, 1}) {
		t.Errorf("the job itself was changed: %+v", own)
	}
}
