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
)

// rasFleet is jobs of one node each, which a rule suspects while suspect says so.
func rasFleet(t *testing.T, c *clock, jobs int, suspect func(key string) bool) *Fleet {
	t.Helper()
	f := New(Options{Now: c.now, StaleAfter: 24 * time.Hour, Rules: Rules{Job: func(j *Job, _ func(string) *Node, _ time.Time, _ *Memory) Verdict {
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
// TestRASIsAskedAnew is of a job on screen that begins to hang just after it was asked: what was said before says nothing of that.
func TestRASIsAskedAnew(t *testing.T) {
	for name, tt := range map[string]struct {
		since time.Duration // of the suspicion, after the report
		want  time.Duration // after the question
	}{"a new suspicion": {time.Second, rasNodePause}, "one that it knew of": {-time.Second, rasEvery}} {
		t.Run(name, func(t *testing.T) {
			c := newClock()
			f := rasFleet(t, c, 1, func(string) bool { return false })
			f.ras.off = true
			j := f.Publish().Jobs[0]
			asked := c.now()
			f.ras.asked = map[string]*rasQuestion{j.Key: {node: "n0", at: asked}}
			f.ras.reports, f.ras.nodes = map[string]*RAS{j.Key: {At: asked}}, map[string]time.Time{"n0": asked}
			f.ras.follow = j.Key
			for ; c.now().Sub(asked) < 2*rasEvery; c.tick(time.Second) {
				s := f.Publish()
				s.Jobs[0].Findings = []Verdict{{Severity: Warning, Rule: "job.hang", Since: asked.Add(tt.since)}}
				if len(f.ras.due(s, s.At, func(string) bool { return true })) > 0 {
					break
				}
			}
			if got := c.now().Sub(asked); got != tt.want {
				t.Errorf("asked after %v, want %v", got, tt.want)
			}
		})
	}
}

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
