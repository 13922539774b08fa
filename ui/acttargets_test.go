package ui

import (
	"strings"
	"testing"

	"foretop/fleet"
	"foretop/jobs"
)

// acted waits until what was started is over, and shows it.
func (d *driver) acted(t *testing.T) {
	t.Helper()
	if d.acting.job == nil {
		t.Fatalf("nothing was started:\n%s", d.text())
	}
	<-d.acting.job.Done()
	d.send(actNewsMsg{d.acting.job, true})
}

// TestFindingKind shows what counts as the same finding: where and how much makes no difference, a driver's code does.
func TestFindingKind(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"Xid 79 GPU3: fell off the bus", "Xid 79 GPU0: fell off the bus", true},
		{"Xid 79 GPU3: fell off the bus", "Xid 48 GPU3: double-bit ECC error", false},
		{"Xid 7 GPU3: x", "Xid 79 GPU3: x", false},
		{"SXid 12 GPU3: x", "Xid 12 GPU3: x", false},
		{"GPU3 throttled by heat for 3 min", "GPU7 throttled by heat for 12 s", true},
		{"mlx5_0 down", "mlx5_11 down", true},
		{"mlx5_0 down", "mlx5_0 runs at 200 Gb/s, its peers at 400", false},
		{"mlx5_0 runs at 200 Gb/s, its peers at 400", "mlx5_3 runs at 100 Gb/s, its peers at 200", true},
		{"mlx5_0 link went down ×3, 5 min ago", "mlx5_2 link went down ×1", true},
		{"/scratch 97 % full", "/scratch 99.5% full", true},
		{"2 GPUs held by eve with no job of slurm", "8 GPUs held by eve with no job of slurm", true},
		{"2 GPUs held by eve with no job of slurm", "2 GPUs held by bob with no job of slurm", false},
		{"", "", true},
	} {
		if got := findingKind(c.a) == findingKind(c.b); got != c.same {
			t.Errorf("%q and %q: %q, %q", c.a, c.b, findingKind(c.a), findingKind(c.b))
		}
	}
}

// withFindings is the night with a finding on four nodes of the big job.
func withFindings() *fleet.Snapshot {
	s := proven()
	for i, text := range map[int]string{2: "Xid 79 GPU1: fell off the bus", 8: "Xid 79 GPU7: fell off the bus", 30: "mlx5_0 down"} {
		n := *s.Nodes[i]
		n.Problems = []fleet.Problem{{Severity: fleet.Critical, Text: text, GPU: -1, Port: -1}}
		s.Nodes[i] = &n
	}
	return s
}

// TestAllOfAFinding drains all nodes that have a finding: F on one of them tags them all, those that are filtered out too, which are named.
func TestAllOfAFinding(t *testing.T) {
	h := newHands(t)
	d := drive(withFindings(), 120, 40, Options{Actor: h})
	d.keys("2", "/").write("gpu017").keys("enter", "F")
	d.shows(t, "3 nodes tagged, 2 of them not on screen: Xid 79 GPU3: fell off the bus")
	d.keys("D", "enter")
	d.shows(t, "drain 3 nodes: gpu[003,009,017]", "2 targets not on screen: gpu[003,009]", "type 3, the number of targets", " on gpu0")
	d.keys("esc", "U", "\\", "/").write("gpu001").keys("enter", "F")
	d.shows(t, "nothing is wrong with gpu001")
	if len(d.nodes.tagged) != 0 {
		t.Error("tagged all the same")
	}
	d.keys("\\", "/").write("state=lost").keys("enter", "F") // that it is not reached is a finding as well
	if n := d.snap.Totals.ByState[fleet.Lost]; n == 0 || len(d.nodes.tagged) != n {
		t.Errorf("%d of %d lost nodes are tagged", len(d.nodes.tagged), n)
	}
}

// TestNodesOfAJob asks which nodes of a job are meant: those with a finding stand first, and F chooses all of it.
func TestNodesOfAJob(t *testing.T) {
	h := newHands(t)
	d := drive(withFindings(), 80, 24, Options{Actor: h})
	d.keys("D")
	d.shows(t, "✖ [ ] gpu003  Xid 79", "✖ [ ] gpu009  Xid 79", "✖ [ ] gpu017  Xid 79", "✖ [ ] gpu031  mlx5_0 down", "  [ ] gpu001", "drain: which nodes of job 8123? 0 of 32 chosen")
	if text := d.text(); strings.Index(text, "gpu031  mlx5_0") > strings.Index(text, "[ ] gpu001") {
		t.Errorf("those with a finding do not stand first:\n%s", text)
	}
	d.keys("F")
	d.shows(t, "3 nodes chosen", "3 of 32 chosen", "[x] gpu017")
	d.keys("enter", "enter")
	d.shows(t, "drain 3 nodes: gpu[003,009,017]", "type 3")
	d.keys("3", "enter")
	d.acted(t)
	if got := h.given(); got != "drain gpu003, drain gpu009, drain gpu017" {
		t.Error(got)
	}
}

// TestTaggedJobs acts on the tagged jobs and not on the row under the cursor; those that a filter hides are named.
func TestTaggedJobs(t *testing.T) {
	tagged := func(h *hands) *driver {
		d := drive(proven(), 120, 40, Options{Actor: h})
		for _, id := range []string{"8127", "8131"} {
			d.jobs.tag("slurm/"+id, true)
		}
		d.keys("/").write("gemma").keys("enter", "g")
		return d
	}
	t.Run("cancel", func(t *testing.T) {
		h := newHands(t)
		d := tagged(h)
		d.keys("C")
		d.shows(t, "cancel 2 jobs", "cancel them")
		d.keys("enter")
		d.shows(t, "cancel 2 jobs: 8127, 8131", "1 target not on screen: job 8127", "whose it is: bob [eval]", "whose it is: cy [gemma-9b]", "work of others: bob: 8127; cy: 8131", "type 2")
		d.keys("y", "1", "enter")
		if h.given() != "" {
			t.Fatalf("done: %s", h.given())
		}
		d.keys("2", "enter")
		d.acted(t)
		if got := h.given(); got != "cancel slurm/8127, cancel slurm/8131" {
			t.Error(got)
		}
		if len(d.jobs.tagged) != 0 {
			t.Error("they are still tagged")
		}
	})
	t.Run("queue again", func(t *testing.T) {
		h := newHands(t)
		d := tagged(h).keys("C", "down", "enter", "2", "enter")
		d.acted(t)
		if got := h.given(); got != "requeue slurm/8127, requeue slurm/8131" {
			t.Error(got)
		}
	})
	t.Run("one that is hidden", func(t *testing.T) {
		h := newHands(t)
		d := drive(proven(), 120, 40, Options{Actor: h})
		d.jobs.tag("slurm/8127", true)
		d.keys("/").write("gemma").keys("enter", "C", "enter")
		d.shows(t, "cancel job 8127", "1 target not on screen: job 8127")
	})
	t.Run("one that is gone", func(t *testing.T) {
		h := newHands(t)
		d := drive(proven(), 120, 40, Options{Actor: h})
		d.jobs.tag("slurm/8127", true)
		d.jobs.tag("slurm/777", true)
		d.keys("C", "enter")
		d.shows(t, "job 777 not: it is not seen any more", "type 1")
		d.keys("1", "enter")
		d.acted(t)
		if got := h.given(); got != "cancel slurm/8127" {
			t.Error(got)
		}
	})
	t.Run("nodes", func(t *testing.T) {
		h := newHands(t)
		d := tagged(h).keys("D")
		d.shows(t, "gpu050  job 8127 (not on screen)", "gpu042  job 8131", "drain: which nodes of 2 jobs? 0 of 9 chosen")
		d.keys("*", "enter").write("fan").keys("enter")
		d.shows(t, "drain 9 nodes: gpu[042-050]", "1 target not on screen: gpu050", "type 9")
		if d.keys("9", "enter").acted(t); strings.Count(h.given(), "drain") != 9 {
			t.Error(h.given())
		}
	})
	t.Run("ranks", func(t *testing.T) {
		h := newHands(t)
		d := tagged(h).keys("K")
		d.shows(t, "job 8127  ", "(not on screen)", "job 8131  rank 0, pid", "which processes of 2 jobs? 0 of 72 chosen")
		d.keys("*", "enter", "enter")
		d.shows(t, "TERM to 72 processes of job 8127, 8131", "work of others: bob: 8127; cy: 8131")
	})
	t.Run("a command", func(t *testing.T) {
		h := newHands(t)
		d := tagged(h).keys("!", "*", "enter").write("uptime").keys("enter")
		d.shows(t, "uptime on 9 nodes: gpu[042-050]")
		d = drive(proven(), 120, 40, Options{Actor: h})
		d.keys("p").jobs.tag("slurm/9400", true) // it waits, so it has no node
		d.keys("D")
		d.shows(t, "no node of job 9400 is known")
	})
	t.Run("untagged", func(t *testing.T) {
		h := newHands(t)
		d := tagged(h).keys("U", "C", "enter")
		d.shows(t, "cancel job 8131")
	})
}

// TestLeftovers sends a signal to what is left over of a job, wherever it is shown, and to nothing else.
func TestLeftovers(t *testing.T) {
	s := proven()
	j := *s.Job("slurm/8127")
	n := *s.Nodes[49]
	left := *n.Processes[0]
	n.Processes = []*fleet.Process{&left}
	other := *n.Processes[0]
	facts := *other.Process
	facts.Pid, facts.StartTicks, facts.User = 777, 4242, "bob"
	other.Process, other.Rank = &facts, -1
	n.Processes = append(n.Processes, &other)
	n.GPUs[1].Holders = []fleet.Holder{{PID: 777, Rank: -1, Job: j.Key, Part: -1}}
	j.Ranks = j.Ranks[:1]
	j.Leftovers = []fleet.Leftover{{Node: n.Name, PID: 777, StartTicks: 4242, GPUs: 1, Why: jobs.LauncherGone}}
	s.Nodes[49] = &n
	for i := range s.Jobs {
		if s.Jobs[i].Key == j.Key {
			s.Jobs[i] = &j
		}
	}
	chosen := func(keys ...string) *driver {
		h := newHands(t)
		d := drive(s, 120, 40, Options{Actor: h})
		d.keys("/").write("eval").keys("enter").keys(keys...)
		return d
	}
	one := func(d *driver) {
		t.Helper()
		got := d.acting.intent.Processes
		if len(got) != 1 || got[0].PID != 777 || got[0].StartTicks != 4242 || got[0].Node != n.Name {
			t.Errorf("%+v\n%s", got, d.text())
		}
	}
	d := chosen("K")
	d.shows(t, "▲ [ ] pid 777 on gpu050  bob", "left over: launcher gone")
	d.keys("space", "enter") // it stands first
	one(d)
	d = chosen("2", "\\", "/")
	d.write("gpu050").keys("enter", "K")
	d.shows(t, "pid 777 on gpu050")
	d.keys("down", "space", "enter")
	one(d)
	d = chosen("2", "\\", "/")
	d.write("gpu050").keys("enter", "enter", "enter")
	for d.node.selected != 1 {
		d.keys("right")
	}
	d.keys("K") // at GPU 1, which it holds, it comes first
	d.keys("space", "enter")
	one(d)
	d = chosen("enter", "tab", "tab")
	for range 12 {
		if r := d.job.ranks.row(d.job.ranks.selected()); r != nil && r.rank == nil && r.index == 1 {
			break
		}
		d.keys("down")
	}
	d.keys("K")
	one(d)
}

// TestHiddenByWhateverFilter names what is tagged and not on screen, whichever way it was put out of sight.
func TestHiddenByWhateverFilter(t *testing.T) {
	for _, keys := range []string{"/ l l a m a enter", "u", "p", "4 enter", "x / g e m m a enter"} {
		d := drive(proven(), 120, 40, Options{Actor: newHands(t)})
		d.jobs.tag("slurm/8140", true) // of dana's
		d.jobs.tag("slurm/8123", true)
		d.keys(strings.Fields(keys)...)
		d.keys("C", "enter")
		d.shows(t, "cancel 2 jobs: 8123, 8140", "not on screen: job ", "8140")
	}
	for _, keys := range []string{"/ g p u 0 1 7 enter", "x", "/ s t a t e = l o s t enter"} {
		d := drive(proven(), 120, 40, Options{Actor: newHands(t)}).tagNodes("gpu001", "gpu017")
		d.keys(strings.Fields(keys)...)
		d.keys("D", "f", "enter")
		d.shows(t, "drain 2 nodes: gpu[001,017]", "not on screen: gpu")
		d.shows(t, "001")
	}
	d := drive(proven(), 120, 40, Options{Actor: newHands(t)}).tagNodes("gpu001", "gpu050") // the nodes of one user
	d.keys("u", "D", "f", "enter")
	d.shows(t, "1 target not on screen: gpu050")
}
