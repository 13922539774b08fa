package simfleet

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"foretop/schedulers"
	"foretop/telemetry/facts"
)

// acting is a fleet that takes orders, fast.
type acting struct {
	*Fleet
	t *testing.T
}

func openActing(t *testing.T, s *Scenario) *acting {
	return &acting{start(t, Options{Nodes: 64, Seed: 1, Scenario: s, Speed: 50}), t}
}

func (a *acting) now() time.Duration { return a.At(time.Now()) }

func (a *acting) node(name string) schedulers.Node {
	a.t.Helper()
	for _, p := range a.model.Pictures(a.now()) {
		for _, n := range p.Nodes {
			if n.Name == name {
				return n
			}
		}
	}
	a.t.Fatalf("no node %s", name)
	return schedulers.Node{}
}

// job is one in the pictures; its zero value: none tells of it.
func (a *acting) job(key string) schedulers.Job {
	for _, p := range a.model.Pictures(a.now()) {
		for _, j := range p.Jobs {
			if j.Key == key {
				return j
			}
		}
	}
	return schedulers.Job{}
}

func (a *acting) do(act *Actor, o schedulers.Order) string {
	a.t.Helper()
	var said []string
	if err := act.Do(context.Background(), o, func(s string) { said = append(said, s) }); err != nil {
		return "refused: " + err.Error()
	}
	if so, words, err := act.Look(context.Background(), o); err != nil || !so {
		a.t.Errorf("%s %s%s was done, and a look says %v, %s, %v", o.Verb, o.Node, o.Job, so, words, err)
	}
	return strings.Join(said, " | ")
}

// The played Slurm drains and resumes as the real one: a reason stays or is added to, an undo touches nobody else's, and its picture says what was ordered.
func TestSlurmOrders(t *testing.T) {
	a := openActing(t, Healthy())
	told := 0
	act := a.Actor("slurm", "bay", "zoe", func() { told++ })
	if a.Actor("slurm", "other", "zoe", nil) != nil || a.Actor("pbs", "bay", "zoe", nil) != nil {
		t.Error("an actor of a scheduler that is not there")
	}
	free, busy := "gpu060", "gpu001"
	drain := func(node, reason string, add bool) schedulers.Order {
		return schedulers.Order{Verb: schedulers.Drain, Node: node, Reason: reason, Append: add}
	}
	undo := func(node, reason string) schedulers.Order {
		return schedulers.Order{Verb: schedulers.Resume, Node: node, UnlessSeen: &schedulers.NodeMark{Reason: reason}}
	}
	for _, c := range []struct {
		order schedulers.Order
		says  string
		state string // of the node then
	}{
		{drain(free, "fan", false), "drained", "IDLE+DRAIN fan zoe drained"},
		{drain(free, "ECC", false), "it is drained already, and its reason stays: fan [zoe]: nothing was sent", "IDLE+DRAIN fan zoe drained"},
		{drain(free, "ECC", true), "drained, its reason added to: fan [zoe]", "IDLE+DRAIN fan; ECC zoe drained"},
		{undo(free, "fan"), "refused: zoe changed it since: fan; ECC (to bring it back all the same, resume it)", "IDLE+DRAIN fan; ECC zoe drained"},
		{undo(free, "fan; ECC"), "resumed; it was IDLE+DRAIN: fan; ECC [zoe]", "IDLE   usable"},
		{undo(free, "fan; ECC"), "refused: there is nothing to undo: it is IDLE", "IDLE   usable"},
		{schedulers.Order{Verb: schedulers.Resume, Node: free}, "it takes work already: nothing was sent", "IDLE   usable"},
		{drain(busy, "Xid 79", false), "drained; running there to their end: 8123", "ALLOCATED+DRAIN Xid 79 zoe draining"},
		{undo("gpu062", "fan 3 failed, RMA 4711"), "refused: ann changed it since: fan 3 failed, RMA 4711 (to bring it back all the same, resume it)", "IDLE+DRAIN fan 3 failed, RMA 4711 ann drained"},
		{schedulers.Order{Verb: schedulers.Resume, Node: "gpu062"}, "resumed; it was IDLE+DRAIN: fan 3 failed, RMA 4711 [ann]", "IDLE   usable"},
	} {
		if got := a.do(act, c.order); got != c.says {
			t.Errorf("%+v: %s", c.order, got)
		}
		n := a.node(c.order.Node)
		if got := fmt.Sprint(n.State, " ", n.Reason, " ", n.ReasonBy, " ", n.Condition); got != c.state {
			t.Errorf("after %+v: %s", c.order, got)
		}
	}
	if told < 10 {
		t.Errorf("told %d times", told)
	}
	for _, bad := range []schedulers.Order{drain("gpu053", "fan", false), drain("nobody", "fan", false), drain(free, " ", false), {Verb: "reboot", Node: free}} {
		var refused *schedulers.RefusedError
		if err := act.Do(t.Context(), bad, nil); !errors.As(err, &refused) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	if got := act.Commands(drain(free, "it's $(id)", false)); got[0] != `scontrol update NodeName=gpu060 State=DRAIN 'Reason=it'\''s $(id)'` {
		t.Errorf("%q", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := act.Do(ctx, drain(free, "fan", false), nil); !errors.Is(err, schedulers.ErrNotSent) {
		t.Errorf("cancelled: %v", err)
	}
}

// A job that is cancelled has no processes any more and holds no GPU; one that is queued again starts anew, as another start of it, once its nodes take work.
func TestJobOrders(t *testing.T) {
	a := openActing(t, Healthy())
	act := a.Actor("slurm", "bay", "zoe", nil)
	j := a.model.jobs[0]
	key := j.slurmKey()
	n := a.model.nodes[j.member[0]]
	pids := func() (list []int32) {
		_, ps := n.Processes(a.now())
		for _, p := range ps {
			list = append(list, p.Pid)
		}
		return list
	}
	before, was := a.job(key), pids()
	if got := a.do(act, schedulers.Order{Verb: schedulers.Drain, Node: n.name, Reason: "fan"}); !strings.HasPrefix(got, "drained") {
		t.Fatal(got)
	}
	if got := a.do(act, schedulers.Order{Verb: schedulers.Requeue, Job: key}); got != "queued again; it was RUNNING" {
		t.Error(got)
	}
	if now := a.job(key); now.Phase != schedulers.Pending || len(pids()) != 0 || a.node(n.name).State != "IDLE+DRAIN" {
		t.Errorf("%+v, %v", now, pids())
	}
	time.Sleep(2 * requeueWait / 50)
	if now := a.job(key); now.Phase != schedulers.Pending {
		t.Errorf("it runs on a drained node: %+v", now)
	}
	a.do(act, schedulers.Order{Verb: schedulers.Resume, Node: n.name})
	for a.job(key).Phase != schedulers.Running {
		time.Sleep(10 * time.Millisecond)
	}
	if now := a.job(key); now.Restarts != before.Restarts+1 || !now.StartAt.After(before.StartAt) || len(pids()) != len(was) || slices.Equal(pids(), was) {
		t.Errorf("%+v, %v, %v", now, pids(), was)
	}
	if got := a.do(act, schedulers.Order{Verb: schedulers.Cancel, Job: key}); got != "cancelled; it was RUNNING" {
		t.Error(got)
	}
	if now := a.job(key); now.Phase != schedulers.Ended || now.State != "CANCELLED" || now.EndAt.IsZero() || len(pids()) != 0 || a.node(n.name).GPUsUsed != 0 {
		t.Errorf("%+v", now)
	}
	if got := a.do(act, schedulers.Order{Verb: schedulers.Cancel, Job: key}); !strings.HasPrefix(got, "it had ended already") {
		t.Error(got)
	}
	if got := a.do(act, schedulers.Order{Verb: schedulers.Cancel, Job: "slurm/9400"}); got != "cancelled; it was PENDING" || a.job("slurm/9400").State != "CANCELLED" {
		t.Error(got)
	}
}

// Kubernetes' node is cordoned, and its pod goes with progress; the job waits until the node is back.
func TestKubeOrders(t *testing.T) {
	a := openActing(t, Healthy())
	act := a.Actor("kubernetes", "prod", "zoe", nil)
	node, key := "gpu053.prod.internal", "kubernetes/rlhf/PyTorchJob/qwen-rlhf"
	o := schedulers.Order{Verb: schedulers.Drain, Node: node, Reason: "fan"}
	if got := a.do(act, o); got != "drained; running there to their end: rlhf/qwen-rlhf-worker-0" || a.job(key).Phase != schedulers.Running || a.node(node).State != "Ready,SchedulingDisabled" {
		t.Errorf("%s, %s", got, a.node(node).State)
	}
	o.Evict = true
	if got := act.Commands(o); len(got) != 2 || got[1] != "POST pods/rlhf/qwen-rlhf-worker-0/eviction" {
		t.Errorf("%q", got)
	}
	if got := a.do(act, o); got != "cordoned; 0 of 1 pods gone, rlhf/qwen-rlhf-worker-0 ends | cordoned; all 1 pods gone, none is left" || a.job(key).Phase != schedulers.Pending {
		t.Errorf("%s, %+v", got, a.job(key))
	}
	if m, err := act.Mark(t.Context(), node); err != nil || !m.Draining || m.Reason != "fan" || m.By != "zoe" || len(m.Left) > 0 {
		t.Errorf("%+v, %v", m, err)
	}
	a.do(act, schedulers.Order{Verb: schedulers.Resume, Node: node})
	for a.job(key).Phase != schedulers.Running {
		time.Sleep(10 * time.Millisecond)
	}
	if got := a.do(act, schedulers.Order{Verb: schedulers.Cancel, Job: key}); got != "cancelled; it was Running" || a.job(key).Key != "" {
		t.Errorf("%s, %+v", got, a.job(key))
	}
}

// A played collector answers for its processes: signals reach those that are meant, and end their job; stacks say where ranks are, the odd one of a hung job too.
func TestTools(t *testing.T) {
	hung, err := Parse("hung", []byte("name: hung\nfaults:\n  - {at: 0s, fault: hang, job: pretrain}\n"))
	if err != nil {
		t.Fatal(err)
	}
	a := openActing(t, hung)
	time.Sleep(time.Second / 50)
	j := a.model.jobs[0]
	at := func(member int) *host { return a.hosts[j.member[member]] }
	run := func(h *host, args ...string) (string, int) {
		var out, errs bytes.Buffer
		code := h.tool(&out, &errs, args)
		return out.String() + errs.String(), code
	}
	where := map[string]int{}
	for m := range j.member {
		h := at(m)
		_, list := h.node.Processes(a.now())
		args := []string{"stacks"}
		for _, p := range list {
			if p.Rank {
				args = append(args, fmt.Sprintf("%d:%d", p.Pid, p.StartTicks))
			}
		}
		out, code := run(h, args...)
		if code != 0 || strings.Count(out, "\n") != j.ranks {
			t.Fatalf("%d: %s", code, out)
		}
		for line := range strings.Lines(out) {
			var l stackLine
			if err := json.Unmarshal([]byte(line), &l); err != nil || l.Source != "py-spy" || len(l.Threads) != 1 {
				t.Fatalf("%v: %s", err, line)
			}
			where[l.Threads[0].Frames[0]]++
		}
	}
	if where[torchFrames[inCollective][0]] != j.world()-1 || where[torchFrames[inLoader][0]] != 1 {
		t.Errorf("a hung job's ranks: %v", where)
	}
	h := at(1)
	_, list := h.node.Processes(a.now())
	rank := list[slices.IndexFunc(list, func(p *facts.Process) bool { return p.Rank })]
	key := fmt.Sprintf("%d:%d", rank.Pid, rank.StartTicks)
	for _, c := range []struct {
		args []string
		says string
		code int
	}{
		{[]string{"signal", "0", key}, "there", 0},
		{[]string{"signal", "TERM", key + "0"}, "another process now", 1},
		{[]string{"signal", "TERM", "4:5"}, "not seen in /proc", 1},
		{[]string{"signal", "USR1", key}, "the demo's processes take TERM, INT and KILL only", 1},
		{[]string{"stacks", "4:5"}, "not seen in /proc", 1},
		{[]string{"signal", "TERM"}, `has no "signal TERM"`, 2},
		{[]string{"dance"}, `has no "dance"`, 2},
		{[]string{"signal", "KILL", key}, "sent KILL; its job ends with it", 0},
		{[]string{"signal", "0", key}, "not seen in /proc", 1},
	} {
		if out, code := run(h, c.args...); code != c.code || !strings.Contains(out, c.says) {
			t.Errorf("%v: %d, %s", c.args, code, out)
		}
	}
	if now := a.job(j.slurmKey()); now.State != "FAILED" || now.ExitCode != "0:9" {
		t.Errorf("%+v", now)
	}
	// Queued again it does not hang any more.
	a.do(a.Actor("slurm", "bay", "zoe", nil), schedulers.Order{Verb: schedulers.Requeue, Job: j.slurmKey()})
	for a.job(j.slurmKey()).Phase != schedulers.Running {
		time.Sleep(10 * time.Millisecond)
	}
	_, since, _ := j.run(a.now())
	if d := j.during(since+j.pattern.load+time.Second, since+j.pattern.load+2*time.Second); d.all.stall > 0 || d.all.compute+d.all.comm == 0 {
		t.Errorf("%+v", d)
	}
}

// A played node has a few commands, and says of all others that it is played.
func TestCommandsOfNodes(t *testing.T) {
	a := openActing(t, Healthy())
	for _, c := range []struct {
		node int
		line string
		says string
		code int
	}{
		{0, "hostname", "gpu001\n", 0},
		{0, "sh -c 'nvidia-smi -L'", "GPU 7: NVIDIA H100 80GB HBM3 (UUID: GPU-", 0},
		{0, "sh -c uptime", " days, ", 0},
		{58, "nvidia-smi -L", "not found", 127},
		{0, "sh -c 'rm -rf /'", "this node is simulated: it runs no commands but hostname", 127},
	} {
		var out bytes.Buffer
		if code := a.hosts[c.node].command(&out, &out, c.line); code != c.code || !strings.Contains(out.String(), c.says) {
			t.Errorf("%s: %d, %q", c.line, code, out.String())
		}
	}
}

// Whatever a node is asked, it answers something, and ends.
func FuzzCommandOfNode(f *testing.F) {
	fleet := start(f, Options{Nodes: 4, Seed: 1, Scenario: Healthy()})
	f.Add(`exec /bin/sh -c 'for d in x;do ok "$d"&&exec "$d/c-$c" $a stacks --blocking 21000:5;done;say FAIL'`)
	f.Add(`x/c-$c" $a signal TERM 21000:5 ::;done`)
	f.Add("sh -c 'uptime'")
	f.Fuzz(func(t *testing.T, line string) {
		var out bytes.Buffer
		h := fleet.hosts[0]
		if args, ok := asksTool(line); ok {
			h.tool(&out, &out, args)
		} else {
			h.command(&out, &out, line)
		}
		if out.Len() > 1<<20 {
			t.Errorf("%d bytes to %q", out.Len(), line)
		}
	})
}
