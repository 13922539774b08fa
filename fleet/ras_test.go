package fleet

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"foretop/telemetry"
	"foretop/telemetry/facts"
)

// rasJob is a job of nodes with ranks each: pid says which number a rank has on its node, inner which in its container.
func rasJob(nodes, each int, pid, inner func(rank int) int32) *Job {
	j := &Job{Key: "j", World: nodes * each}
	for i := range nodes * each {
		r := Rank{Rank: i, LocalRank: i % each, Node: fmt.Sprintf("gpu%d", i/each+1), PID: pid(i), StartTicks: 7, GPUs: []int{i % each}}
		if inner != nil {
			r.InnerPID = inner(i)
		}
		j.Ranks = append(j.Ranks, r)
	}
	return j
}

func own(rank int) int32 { return int32(4000 + 13*rank) }

// rasSaid is a report in JSON on such a job, in which one rank has launched less than the others.
func rasSaid(j *Job, self func(*Rank) int32, behind int, most uint64) *facts.RAS {
	said := &facts.RAS{Nccl: "2.29.7", Form: "json", CommsTotal: 1}
	hosts := map[string]*facts.RASHost{}
	for i := range j.Ranks {
		r := &j.Ranks[i]
		h := hosts[r.Node]
		if h == nil {
			h = &facts.RASHost{Host: "10.0.0." + strings.TrimPrefix(r.Node, "gpu")}
			hosts[r.Node] = h
			said.Hosts = append(said.Hosts, h)
		}
		h.Pids, h.Ranks = append(h.Pids, self(r)), append(h.Ranks, int32(r.Rank))
	}
	c := &facts.RASComm{Hash: "b62a", Alike: 1, Size: uint32(len(j.Ranks)), Nodes: uint32(len(said.Hosts)), Status: "RUNNING", First: rasMember(j, self, 0)}
	op := &facts.RASOperation{Name: "AllReduce", Most: most, Ranks: uint32(len(j.Ranks))}
	if behind >= 0 {
		m := rasMember(j, self, behind)
		m.Count = most - 1
		op.Behind, op.Lagging, c.Errors = 1, []*facts.RASRank{m}, "MISMATCH"
	}
	c.Operations = []*facts.RASOperation{op}
	said.Comms = []*facts.RASComm{c}
	return said
}

func rasMember(j *Job, self func(*Rank) int32, rank int) *facts.RASRank {
	r := &j.Ranks[rank]
	return &facts.RASRank{Rank: int32(rank), Host: "10.0.0." + strings.TrimPrefix(r.Node, "gpu"), Pid: self(r), Gpu: int32(r.GPUs[0])}
}

func pidOf(r *Rank) int32 { return r.innerPID() }

func TestRASFindsTheRank(t *testing.T) {
	now := newClock().now()
	for name, c := range map[string]struct {
		job *Job
		cut func(*facts.RAS)
	}{
		"on bare metal":                        {rasJob(4, 8, own, nil), nil},
		"in containers, the same pids in each": {rasJob(4, 8, own, func(i int) int32 { return int32(30 + i%8) }), nil},
		"in containers, of text":               {rasJob(4, 8, own, func(i int) int32 { return int32(30 + i%8) }), func(a *facts.RAS) { a.Hosts, a.Form = nil, "text" }},
		"on bare metal, of text":               {rasJob(4, 8, own, nil), func(a *facts.RAS) { a.Hosts, a.Form = nil, "text" }},
		"of a host that is left out":           {rasJob(4, 8, own, nil), func(a *facts.RAS) { a.Hosts = a.Hosts[:1] }},
	} {
		t.Run(name, func(t *testing.T) {
			said := rasSaid(c.job, pidOf, 21, 8812)
			if c.cut != nil {
				c.cut(said)
			}
			r := joinRAS(said, "gpu1", now, c.job, nil)
			if len(r.Lagging) != 1 || r.Error != "" {
				t.Fatalf("%+v", r)
			}
			l := r.Lagging[0]
			if l.Rank != 21 || l.Node != "gpu3" || l.GPU != 5 || l.PID != own(21) || l.Says() != "lags in AllReduce #8812" || r.Comms[0].First != 0 {
				t.Errorf("it is %+v, first %d", l, r.Comms[0].First)
			}
		})
	}
}

// TestRASClaimsNothing is of reports that do not say for certain who is meant.
func TestRASClaimsNothing(t *testing.T) {
	now := newClock().now()
	job := rasJob(4, 8, own, func(i int) int32 { return int32(30 + i%8) })
	small := rasSaid(job, pidOf, 21, 8812) // a communicator of a few, in containers that are all alike, hosts unknown
	small.Hosts, small.Form, small.Comms[0].Size = nil, "text", 8
	if l := joinRAS(small, "gpu1", now, job, nil).Lagging[0]; l.Rank != -1 || l.Who() != "pid 35 on 10.0.0.3" {
		t.Errorf("it is %+v, %s", l, l.Who())
	}
	swapped := rasSaid(job, pidOf, 21, 8812) // the rank's number is another process's
	swapped.Hosts, swapped.Form = nil, "text"
	swapped.Comms[0].Operations[0].Lagging[0].Pid = 99
	if l := joinRAS(swapped, "gpu1", now, job, nil).Lagging[0]; l.Rank != -1 {
		t.Errorf("it is %+v", l)
	}
	if r := joinRAS(rasSaid(rasJob(1, 8, func(i int) int32 { return int32(9 + i) }, nil), pidOf, 1, 5), "gpu1", now, job, nil); !strings.Contains(r.Error, "another job") || r.Told() {
		t.Errorf("%+v", r)
	}
}

// TestRASOverReports is of what one report says for the moment, the next says still, and a third takes back.
func TestRASOverReports(t *testing.T) {
	c := newClock()
	job := rasJob(64, 8, own, nil)
	began := c.now()
	first := joinRAS(rasSaid(job, pidOf, 317, 8812), "gpu1", c.now(), job, nil)
	if len(first.Gone) != 0 || len(first.Lagging) != 1 || first.Lagging[0].Lasts(first.At) != 0 || !first.StillSince.IsZero() {
		t.Errorf("of one report: %+v", first)
	}
	c.tick(30 * time.Second)
	second := joinRAS(rasSaid(job, pidOf, 317, 8812), "gpu1", c.now(), job, first)
	if l := &second.Lagging[0]; l.Rank != 317 || l.Says() != "lags in AllReduce #8812" || !l.Few() || l.Of-l.Behind != 511 || l.Lasts(second.At) != 30*time.Second || !second.StillSince.Equal(began) {
		t.Errorf("of two: %+v, still since %v", l, second.StillSince)
	}
	c.tick(30 * time.Second)
	moved := joinRAS(rasSaid(job, pidOf, 12, 9000), "gpu1", c.now(), job, second)
	if l := &moved.Lagging[0]; l.Rank != 12 || l.Lasts(moved.At) != 0 || !moved.StillSince.IsZero() {
		t.Errorf("of a job that goes on: %+v, still since %v", l, moved.StillSince)
	}
	dead := rasSaid(job, pidOf, -1, 9000)
	m := rasMember(job, pidOf, 21)
	m.State = "unresponsive"
	gone := rasMember(job, pidOf, 21)
	gone.Rank, gone.State = -1, "dead"
	dead.Comms[0].Members, dead.Gone = []*facts.RASRank{m}, []*facts.RASRank{gone}
	r := joinRAS(dead, "gpu1", c.now(), job, nil)
	if len(r.Gone) != 1 || r.Gone[0].Rank != 21 || r.Gone[0].Node != "gpu3" || r.Gone[0].Says() != "is called dead, though its process is there" {
		t.Errorf("of one that is dead: %+v", r.Gone)
	}
	var none *RAS
	if none.Told() {
		t.Error("no report says something")
	}
}

// goneRAS is a report in which a rank is gone, in the communicator of all and among the processes.
func goneRAS(j *Job, rank int, m *facts.RASRank, state string, most uint64) *facts.RAS {
	said := rasSaid(j, pidOf, -1, most)
	member, gone := *m, *m
	member.State, gone.State, gone.Rank = state, state, -1
	said.Comms[0].Members, said.Comms[0].Missing, said.Gone, said.GoneTotal = []*facts.RASRank{&member}, 1, []*facts.RASRank{&gone}, 1
	return said
}

// TestCutOffRank is of a rank that was stopped for a minute, as on a real machine: RAS calls it dead ever after, though it takes part again.
func TestCutOffRank(t *testing.T) {
	c := newClock()
	job := rasJob(2, 2, own, nil)
	m := rasMember(job, pidOf, 2)
	var r *RAS
	for i, step := range []struct {
		state  string
		most   uint64
		says   string
		goesOn bool
	}{
		{"unresponsive", 730, "rank 2 does not answer", false},
		{"dead", 730, "rank 2 is called dead, though its process is there", false},
		{"dead", 894, "rank 2 is cut off from RAS, but takes part", true},
		{"dead", 894, "rank 2 is called dead, though its process is there", false}, // it stands still again
	} {
		r = joinRAS(goneRAS(job, 2, m, step.state, step.most), "gpu1", c.now(), job, r)
		if len(r.Gone) != 1 || r.Gone[0].Who()+" "+r.Gone[0].Says() != step.says || r.Gone[0].GoesOn != step.goesOn || !r.Gone[0].Seen {
			t.Fatalf("report %d: %+v", i, r.Gone)
		}
		c.tick(30 * time.Second)
	}
}

// TestGoneProcessHasARank is of a rank whose process is gone: its place in the communicator of all says which it was, where the places of the others are their ranks.
func TestGoneProcessHasARank(t *testing.T) {
	now := newClock().now()
	for name, c := range map[string]struct {
		change func(*Job, *facts.RAS)
		want   string
	}{
		"as it was":               {func(*Job, *facts.RAS) {}, "rank 3 does not answer"},
		"it is not missing":       {func(j *Job, _ *facts.RAS) { j.Missing, j.MissingN = nil, 0 }, "pid 4039 on 10.0.0.2 does not answer"},
		"others stand elsewhere":  {func(_ *Job, a *facts.RAS) { a.Hosts[0].Ranks[0], a.Hosts[0].Ranks[1] = 1, 0 }, "pid 4039 on 10.0.0.2 does not answer"},
		"of another communicator": {func(_ *Job, a *facts.RAS) { a.Comms[0].Size = 2 }, "pid 4039 on 10.0.0.2 does not answer"},
	} {
		t.Run(name, func(t *testing.T) {
			job := rasJob(2, 2, own, nil)
			said := goneRAS(job, 3, rasMember(job, pidOf, 3), "unresponsive", 269)
			job.Ranks, job.Missing, job.MissingN = job.Ranks[:3], []int{3}, 1
			c.change(job, said)
			r := joinRAS(said, "gpu1", now, job, nil)
			if len(r.Gone) != 1 || r.Gone[0].Who()+" "+r.Gone[0].Says() != c.want || r.Gone[0].Seen || r.Gone[0].Node != "gpu2" {
				t.Errorf("%+v, want %s", r.Gone, c.want)
			}
		})
	}
}

// TestMostLag is of a report in which most are behind: nobody is named.
func TestMostLag(t *testing.T) {
	c := newClock()
	job := rasJob(2, 8, own, nil)
	said := func() *facts.RAS {
		a := rasSaid(job, pidOf, 3, 50)
		a.Comms[0].Operations[0].Behind = 15
		return a
	}
	first := joinRAS(said(), "gpu1", c.now(), job, nil)
	c.tick(time.Minute)
	r := joinRAS(said(), "gpu1", c.now(), job, first)
	if l := &r.Lagging[0]; l.Few() || l.Behind != 15 || l.Of != 16 || l.Lasts(r.At) != time.Minute || !r.StillSince.Equal(first.At) {
		t.Errorf("%+v, still since %v", l, r.StillSince)
	}
}

// FuzzJoinRAS joins whatever a node says.
func FuzzJoinRAS(f *testing.F) {
	job := rasJob(4, 8, own, func(i int) int32 { return int32(30 + i%8) })
	f.Add(encode(f, rasSaid(job, pidOf, 21, 8812)), encode(f, rasSaid(job, pidOf, 3, 8812)))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		x, y := new(facts.RAS), new(facts.RAS)
		if facts.Decode(a, x) != nil || facts.Decode(b, y) != nil {
			return
		}
		now := newClock().now()
		first := joinRAS(x, "gpu1", now, job, nil)
		second := joinRAS(y, "gpu1", now.Add(time.Minute), job, first)
		for _, r := range []*RAS{first, second} {
			if len(r.Lagging) > maxRASRanks || len(r.Gone) > maxRASRanks {
				t.Fatalf("%+v", r)
			}
			words := []string{r.Error, r.Remedy, r.NCCL}
			for _, ranks := range [][]RASRank{r.Gone, r.Lagging} {
				for i := range ranks {
					words = append(words, ranks[i].Who(), ranks[i].Says())
				}
			}
			for _, l := range words {
				if l != telemetry.Clean(l, len(l)+8) {
					t.Errorf("raw text %q", l)
				}
			}
		}
	})
}
