package fleet

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"foretop/telemetry"
	"foretop/telemetry/facts"

	"github.com/google/go-cmp/cmp"
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

func TestRASEvidence(t *testing.T) {
	c := newClock()
	job := rasJob(64, 8, own, nil)
	began := c.now()
	first := joinRAS(rasSaid(job, pidOf, 317, 8812), "gpu1", c.now(), job, nil)
	if got := first.Evidence(began); got != nil || first.Suspects() != nil {
		t.Errorf("of one report: %q, %v", got, first.Suspects())
	}
	c.tick(30 * time.Second)
	second := joinRAS(rasSaid(job, pidOf, 317, 8812), "gpu1", c.now(), job, first)
	want := []string{"NCCL RAS: rank 317 lags in AllReduce #8812, 511 of 511 others are further", "NCCL RAS: no rank has launched a collective for 30 s"}
	if d := cmp.Diff(want, second.Evidence(began)); d != "" || fmt.Sprint(second.Suspects()) != "[317]" {
		t.Errorf("of two: %s, %v", d, second.Suspects())
	}
	if got := second.Evidence(c.now().Add(time.Second)); got != nil {
		t.Errorf("of a finding that is newer: %q", got)
	}
	c.tick(30 * time.Second)
	moved := joinRAS(rasSaid(job, pidOf, 12, 9000), "gpu1", c.now(), job, second)
	if got := moved.Evidence(began); got != nil || moved.Suspects() != nil || !moved.StillSince.IsZero() {
		t.Errorf("of a job that goes on: %q, %v", got, moved.Suspects())
	}
	dead := rasSaid(job, pidOf, -1, 9000)
	m := rasMember(job, pidOf, 21)
	m.State = "unresponsive"
	gone := rasMember(job, pidOf, 21)
	gone.Rank, gone.State = -1, "dead"
	dead.Comms[0].Members, dead.Gone = []*facts.RASRank{m}, []*facts.RASRank{gone}
	r := joinRAS(dead, "gpu1", c.now(), job, nil)
	if d := cmp.Diff([]string{"NCCL RAS: rank 21 is dead (gpu3)"}, r.Evidence(began)); d != "" || fmt.Sprint(r.Suspects()) != "[21]" {
		t.Errorf("of one that is dead: %s, %v", d, r.Suspects())
	}
	var none *RAS
	if none.Evidence(began) != nil || none.Suspects() != nil {
		t.Error("no report says something")
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
	want := []string{"NCCL RAS: 15 of 16 ranks lag in AllReduce #50", "NCCL RAS: no rank has launched a collective for 60 s"}
	if d := cmp.Diff(want, r.Evidence(time.Time{})); d != "" || r.Suspects() != nil {
		t.Errorf("%s, %v", d, r.Suspects())
	}
}

// rasFleet is jobs of one node each, which a rule suspects while suspect says so.
func rasFleet(t *testing.T, c *clock, jobs int, suspect func(key string) bool) *Fleet {
	t.Helper()
	f := New(Options{Now: c.now, StaleAfter: 24 * time.Hour, Rules: Rules{Job: func(j *Job, _ func(string) *Node, _ time.Time, _ Memory) Verdict {
		j.Findings = nil
		if suspect(j.Key) {
			j.Findings = []Verdict{{Severity: Warning, Rule: "job.hang"}}
		}
		return Verdict{}
	}}})
	for i := range jobs {
		name := fmt.Sprintf("n%d", i)
		join(t, f, name, newFakeNode(2), c.now())
		var set []*facts.Process
		for k := range 2 {
			p := rankOf(int32(100+k), fmt.Sprint(k), "2", uint32(k))
			p.Env["MASTER_ADDR"], p.Env["TORCHELASTIC_RUN_ID"] = name, name
			set = append(set, p)
		}
		apply(t, f, name, telemetry.KindProcesses, encode(t, &facts.Processes{Whole: true, Set: set}), c.now())
	}
	return f
}

// TestRASIsAskedSeldom goes through hours: nobody is asked but where somebody looks or a rule suspects, and then never often.
func TestRASIsAskedSeldom(t *testing.T) {
	c := newClock()
	suspects := false
	f := rasFleet(t, c, 40, func(string) bool { return suspects })
	f.ras.off = true // publications ask nothing: the test does
	s := f.Publish()
	if len(s.Jobs) != 40 {
		t.Fatalf("%d jobs", len(s.Jobs))
	}
	questions := func(d time.Duration, answer func(node string, sequence uint64)) (n int) {
		for end := c.now().Add(d); c.now().Before(end); c.tick(time.Second) {
			s = f.Publish()
			for _, o := range f.ras.due(s, s.At, func(string) bool { return true }) {
				n++
				answer(o.node, o.ask.Sequence)
			}
		}
		return n
	}
	silence := func(string, uint64) {}
	if n := questions(10*time.Minute, silence); n != 0 {
		t.Errorf("%d questions, though nobody looks", n)
	}
	said := func(absent bool) func(string, uint64) {
		return func(node string, sequence uint64) {
			a := &facts.RAS{Sequence: sequence, Pid: 100, StartTicks: 7, Nccl: "2.27.5", Form: "text", Absent: absent}
			if absent {
				a.Trouble = "nothing listens"
			}
			apply(t, f, node, telemetry.KindRAS, encode(t, a), c.now())
		}
	}
	// The answers come without a session, so the question is closed by hand.
	closed := func(absent bool) func(string, uint64) {
		tell := said(absent)
		return func(node string, sequence uint64) {
			tell(node, sequence)
			for _, q := range f.ras.asked {
				if q.sequence == sequence {
					q.open = false
				}
			}
		}
	}
	f.FollowJob(s.Jobs[3].Key)
	if n := questions(10*time.Minute, closed(false)); n < 19 || n > 21 {
		t.Errorf("%d questions in 10 min about the job on screen, want one each 30 s", n)
	}
	f.FollowJob(s.Jobs[4].Key)
	if n := questions(time.Hour, closed(true)); n < 11 || n > 13 {
		t.Errorf("%d questions in an hour where nothing is offered, want one each 5 min", n)
	}
	f.FollowJob(s.Jobs[5].Key)
	if n := questions(10*time.Minute, silence); n < 14 || n > 16 {
		t.Errorf("%d questions in 10 min to who never answers, want one each 40 s", n)
	}
	if r := s.Job(s.Jobs[5].Key).RAS; s.Job(f.ras.follow).RAS == nil || !strings.Contains(s.Job(f.ras.follow).RAS.Error, "no answer from") {
		t.Errorf("%+v", r)
	}
	f.FollowJob("")
	suspects = true
	at := map[string]time.Time{}
	if n := questions(10*time.Minute, func(node string, sequence uint64) {
		if was, again := at[node]; again && c.now().Sub(was) < 30*time.Second {
			t.Fatalf("%s is asked after %v", node, c.now().Sub(was))
		}
		at[node] = c.now()
		closed(false)(node, sequence)
	}); n > 600 || len(at) != 40 {
		t.Errorf("%d questions to %d nodes of 40 jobs under suspicion", n, len(at))
	}
}

// TestRASSwitchedOff holds that it is said.
func TestRASSwitchedOff(t *testing.T) {
	c := newClock()
	f := New(Options{Now: c.now, NoRAS: true})
	join(t, f, "a", newFakeNode(2), c.now())
	s := tells(t, f, c, "a", rankOf(100, "0", "2", 0), rankOf(101, "1", "2", 1))
	if s.Jobs[0].RAS != nil {
		t.Errorf("%+v", s.Jobs[0].RAS)
	}
	f.FollowJob(s.Jobs[0].Key)
	if r := f.Publish().Jobs[0].RAS; r.Told() || !strings.Contains(r.Error, "nccl_ras: false") || len(f.ras.asked) != 0 {
		t.Errorf("%+v", r)
	}
}

func TestRASIsNotAskedOfOldNCCL(t *testing.T) {
	j := rasJob(1, 2, own, nil)
	for version, want := range map[string]bool{"2.23.4": false, "2.24.3": true, "2.21.5+cuda12": false, "3.0": true, "": true, "x": true} {
		j.Libraries = []Library{{Name: "torch", Version: "2.7"}, {Name: "nccl", Version: version}}
		if got := asksRAS(j); got != want || (j.NoRAS() == "") != want {
			t.Errorf("%q: %v, %q", version, got, j.NoRAS())
		}
	}
}

// TestRASConversation has a question go to a node's stream and its answer come from there; who was not asked is not heard.
func TestRASConversation(t *testing.T) {
	c := newClock()
	f := New(Options{Now: c.now})
	f.Add("a")
	f.SetStatus("a", Status{State: Live})
	n := newFakeNode(2)
	toFront, fromNode := io.Pipe()
	toNode, fromFront := io.Pipe()
	go f.Serve(context.Background(), "a", toFront, fromFront)
	defer fromNode.Close()
	controls := make(chan *facts.Control, 10)
	go func() {
		frames := telemetry.NewFrameReader(toNode, telemetry.MaxControlBytes)
		for {
			_, payload, err := frames.Read()
			if err != nil {
				return
			}
			ctl := new(facts.Control)
			if facts.Decode(payload, ctl) == nil {
				controls <- ctl
			}
		}
	}()
	w := telemetry.NewFrameWriter(fromNode, telemetry.MaxFrameBytes)
	send := func(k telemetry.Kind, b []byte) {
		t.Helper()
		if _, err := w.Write(k, b); err != nil {
			t.Fatal(err)
		}
	}
	next := func() *facts.Control {
		t.Helper()
		select {
		case ctl := <-controls:
			return ctl
		case <-time.After(30 * time.Second):
			t.Fatal("no control")
			return nil
		}
	}
	send(telemetry.KindHello, encode(t, n.hello()))
	if next().GetStart() == nil {
		t.Fatal("no start")
	}
	send(telemetry.KindInventory, encode(t, n.inv))
	send(telemetry.KindSample, n.sample())
	send(telemetry.KindProcesses, encode(t, &facts.Processes{Whole: true, Set: []*facts.Process{rankOf(100, "0", "2", 0), rankOf(101, "1", "2", 1)}}))
	forged := &facts.RAS{Sequence: 1, Pid: 100, StartTicks: 7, Nccl: "6.6.6", Form: "text"}
	send(telemetry.KindRAS, encode(t, forged))
	send(telemetry.KindSample, n.sample()) // all before it was taken in
	s := f.Publish()
	if len(s.Jobs) != 1 || s.Jobs[0].RAS != nil {
		t.Fatalf("%+v", s.Jobs)
	}
	f.FollowJob(s.Jobs[0].Key)
	f.Publish()
	ask := next().GetRas()
	if ask == nil || len(ask.Processes) != 2 || ask.Processes[0].Pid != 100 {
		t.Fatalf("the question is %v", ask)
	}
	forged.Sequence = ask.Sequence + 1
	send(telemetry.KindRAS, encode(t, forged))
	send(telemetry.KindRAS, encode(t, &facts.RAS{Sequence: ask.Sequence, Pid: 100, StartTicks: 7, Nccl: "2.27.5", Form: "text", Comms: []*facts.RASComm{{Size: 2, Alike: 1, Status: "RUNNING"}}}))
	send(telemetry.KindRAS, encode(t, forged))
	send(telemetry.KindSample, n.sample())
	r := f.Publish().Jobs[0].RAS
	if !r.Told() || r.NCCL != "2.27.5" || r.Node != "a" || len(r.Comms) != 1 {
		t.Fatalf("%+v", r)
	}
}

// TestRASOfARecording has what was recorded shown, and asks nobody: whoever could be asked is not there.
func TestRASOfARecording(t *testing.T) {
	c := newClock()
	f := New(Options{Now: c.now, StaleAfter: time.Hour})
	join(t, f, "a", newFakeNode(2), c.now())
	s := tells(t, f, c, "a", rankOf(100, "0", "2", 0), rankOf(101, "1", "2", 1))
	apply(t, f, "a", telemetry.KindRAS, encode(t, &facts.RAS{Sequence: 9, Pid: 101, StartTicks: 7, Nccl: "2.27.5", Form: "text"}), c.now())
	f.FollowJob(s.Jobs[0].Key)
	for range 120 {
		c.tick(time.Second)
		s = f.Publish()
	}
	if r := s.Jobs[0].RAS; !r.Told() || r.NCCL != "2.27.5" || len(f.ras.asked) != 0 {
		t.Errorf("%+v, %d questions", r, len(f.ras.asked))
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
			if len(r.Lagging) > maxRASRanks || len(r.Gone) > maxRASRanks || len(r.Evidence(now)) > maxRASEvidence {
				t.Fatalf("%+v", r)
			}
			for _, l := range append(r.Evidence(now), r.Error, r.Remedy, r.NCCL) {
				if l != telemetry.Clean(l, len(l)+8) {
					t.Errorf("raw text %q", l)
				}
			}
			r.Suspects()
		}
	})
}
