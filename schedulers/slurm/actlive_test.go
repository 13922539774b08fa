package slurm

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"foretop/schedulers"
	"foretop/scripts/testbed"
)

// acting is a real Slurm that orders are given to.
type acting struct {
	*live
	root, ann *Actor
	said      []string // by the last order
}

func act(t *testing.T, options testbed.SlurmOptions) *acting {
	t.Helper()
	bed := testbed.Slurm(t, options)
	as := func(user string) *Slurm {
		s, err := Find(t.Context(), beside{bed, user}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	root := as("root")
	return &acting{live: &live{t, bed, root, &newest{}}, root: root.Actor(false), ann: as("ann").Actor(false)}
}

func (l *acting) do(a *Actor, o schedulers.Order) error {
	l.Helper()
	l.said = nil
	return a.Do(l.Context(), o, func(words string) { l.said = append(l.said, words) })
}

// must carries an order out, and Look agrees.
func (l *acting) must(o schedulers.Order, says string) {
	l.Helper()
	if err := l.do(l.root, o); err != nil || !strings.Contains(strings.Join(l.said, "\n"), says) {
		l.Fatalf("%+v: %v; it said %q", o, err, l.said)
	}
	l.looks(o, true)
}

// looks asks until a question is answered so: jobs take their time.
func (l *acting) looks(o schedulers.Order, want bool) {
	l.Helper()
	deadline := time.Now().Add(60 * time.Second)
	for {
		so, words, err := l.root.Look(l.Context(), o)
		if err == nil && so == want {
			return
		}
		if time.Now().After(deadline) {
			l.Fatalf("look %+v: %v, %q, %v", o, so, words, err)
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// refuses gives an order that is turned down with these words and a remedy, and that changes nothing.
func (l *acting) refuses(a *Actor, o schedulers.Order, words, remedy string) {
	l.Helper()
	before := l.sinfoR()
	err := l.do(a, o)
	var refused *schedulers.RefusedError
	if !errors.As(err, &refused) || !strings.Contains(refused.Words, words) || !strings.Contains(refused.Remedy, remedy) {
		l.Errorf("%+v: %v", o, err)
	}
	if after := l.sinfoR(); !slices.Equal(before, after) {
		l.Errorf("%+v changed %q to %q", o, before, after)
	}
}

// sinfoR is what sinfo -R prints: a line a node that has a reason.
func (l *acting) sinfoR() (out []string) {
	for line := range strings.Lines(l.run("root", "env", "SLURM_TIME_FORMAT=%s", "sinfo", "-h", "-N", "-p", "train", "-R", "-o", "%N|%u|%H|%E")) {
		out = append(out, strings.TrimRight(line, " \n"))
	}
	slices.Sort(out)
	return out
}

// marks is the same, as Mark says it.
func (l *acting) marks() (out []string) {
	l.Helper()
	for _, name := range l.bed.Nodes {
		m, err := l.root.Mark(l.Context(), name)
		if err != nil {
			l.Fatal(err)
		}
		if m.Reason != "" {
			out = append(out, fmt.Sprintf("%s|%s|%d|%s", name, m.By, m.At.Unix(), m.Reason))
		}
	}
	return out
}

func (l *acting) sinfoSaysSo() {
	l.Helper()
	if a, b := l.sinfoR(), l.marks(); !slices.Equal(a, b) {
		l.Errorf("sinfo -R:\n%s\nMark:\n%s", strings.Join(a, "\n"), strings.Join(b, "\n"))
	}
}

func TestLiveActNodes(t *testing.T) {
	l := act(t, testbed.SlurmOptions{Nodes: 8})
	id := l.submit("ann", "-w", "node001", "--gpus=3", "-t", "30", "--wrap", "exec sleep 600")
	l.root.slurm.last.Store(l.until("it runs", func(p *schedulers.Picture) bool { return job(p, id).Phase == schedulers.Running }))
	drain := func(node, reason string) schedulers.Order {
		return schedulers.Order{Verb: schedulers.Drain, Node: node, Reason: reason, Evict: true}
	}
	added := func(o schedulers.Order) schedulers.Order { o.Append = true; return o }
	resume := func(node string) schedulers.Order { return schedulers.Order{Verb: schedulers.Resume, Node: node} }

	// A drain lets what runs go on; an ordinary user may not.
	l.refuses(l.ann, drain("node001", "x"), "Invalid user id", "Slurm operator, or slurm.sudo")
	l.looks(drain("node001", "x"), false)
	l.must(drain("node001", "fan"), "to their end: "+id)
	m, err := l.root.Mark(t.Context(), "node001")
	if err != nil || !m.Draining || m.Reason != "fan" || m.By != "root" || time.Since(m.At) > time.Minute || !slices.Equal(m.Left, []string{id}) {
		t.Errorf("%+v, %v", m, err)
	}
	if state := l.run("root", "squeue", "-h", "-j", id, "-o", "%T"); state != "RUNNING" {
		t.Errorf("the job is %s", state)
	}
	l.refuses(l.ann, resume("node001"), "Invalid user id", "Slurm operator")
	l.sinfoSaysSo()

	// A reason that is there is never overwritten.
	l.must(drain("node001", "ECC"), "its reason stays: fan [root]: nothing was sent")
	l.looks(added(drain("node001", "ECC")), false)
	l.must(added(drain("node001", "ECC")), "added to: fan [root]")
	l.must(added(drain("node001", "ECC")), "says so: fan; ECC [root]: nothing was sent")
	l.run("root", "scontrol", "update", "NodeName=node002", "State=DOWN", "Reason=power supply\n2")
	l.must(drain("node002", "x"), "with the reason that it had: power supply 2 [root]")
	if got := l.sinfoR(); len(got) != 2 || !strings.HasSuffix(got[0], "|fan; ECC") || !strings.HasSuffix(got[1], "|power supply 2") {
		t.Errorf("%q", got)
	}
	l.sinfoSaysSo()

	// Back to work, of a node that is down too.
	l.must(resume("node001"), "MIXED+DRAIN: fan; ECC [root]")
	l.must(resume("node001"), "it takes work already: nothing was sent")
	l.must(resume("node002"), "resumed")
	l.run("root", "scontrol", "update", "NodeName=node003", "State=DOWN", "Reason=power")
	l.must(resume("node003"), "it was DOWN: power [root]")
	if got := l.sinfoR(); len(got) != 0 {
		t.Errorf("%q", got)
	}

	// Undo, and what somebody else did since.
	undo := func(node, reason, by string) schedulers.Order {
		return schedulers.Order{Verb: schedulers.Resume, Node: node, UnlessSeen: &schedulers.NodeMark{Reason: reason, By: by}}
	}
	l.must(drain("node004", "a mistake"), "drained")
	l.refuses(l.root, undo("node004", "a mistake", "bob"), "root changed it since: a mistake", "resume it")
	l.refuses(l.ann, undo("node004", "a mistake", ""), "root changed it since: a mistake", "resume it")
	l.must(undo("node004", "a mistake", ""), "resumed")
	l.refuses(l.root, undo("node004", "a mistake", ""), "nothing to undo", "")
	l.must(drain("node004", "a mistake"), "drained")
	l.run("root", "scontrol", "update", "NodeName=node004", "Reason=on fire: keep out")
	l.refuses(l.root, undo("node004", "a mistake", ""), "root changed it since: on fire: keep out", "resume it")

	l.run("root", "scontrol", "update", "NodeName=node005", "State=DOWN", "Reason=power")
	l.must(added(drain("node005", "a mistake")), "added to")
	l.refuses(l.root, undo("node005", "a mistake", ""), "it had a reason before, which a resume would take away: power; a mistake", "resume it")
	l.must(resume("node005"), "resumed")

	// What is hostile acts on nothing else.
	for _, name := range []string{"node005,node006", "node[005-006]", "ALL", "node00[5]", "node009", "node005 node006", "node005\nnode006", "$(id)", "node005 State=DOWN", ""} {
		l.refuses(l.root, drain(name, "x"), "", "")
		l.refuses(l.root, resume(name), "", "")
	}
	l.root.slurm.last.Store(nil) // nothing is known from before
	l.refuses(l.root, drain("node009", "x"), "Slurm has no node node009", "")
	for i, reason := range hostileReasons {
		node := fmt.Sprintf("node%03d", 5+i%4)
		l.must(drain(node, reason), "drained")
		m, err := l.root.Mark(t.Context(), node)
		if err != nil || m.Reason != oneLine(reason) || strings.ContainsAny(m.Reason, "\n\x1b") {
			t.Errorf("%q arrived as %q, %v", reason, m.Reason, err)
		}
		l.sinfoSaysSo()
		if i%2 == 0 {
			l.must(added(drain(node, "more")), "added to")
		}
		l.must(resume(node), "resumed")
	}
}

// hostileReasons hold what shells, host lists, scontrol's own syntax, terminals and parsers would take for more than text.
var hostileReasons = []string{
	`Xid 79 GPU3 12:03 [foretop/ann]`, `it's "quoted" \"twice\" 'so'`, "$(touch /tmp/x) `id` ${HOME} !!", "a, b; c | d & e > f < g # h", "n[1-3],n4 State=DOWN NodeName=node001 Reason=other",
	"line one\nline two\r\n   Reason=forged [bob@1]", "\x1b[31mred\x1b]0;title\x07\x9b2J", `\\ \n \x1b %s %d %n`, " spaces  inside  ", "[root@1]", "-- -h", "漢 é \u202e gnp", "N/A", "=", "~user *.go ?", strings.Repeat("long ", 100),
}

// between does something the moment an order is given.
type between struct {
	schedulers.Runner
	then func(run func() ([]byte, error)) ([]byte, error)
}

func (b between) Run(ctx context.Context, limit int, argv ...string) ([]byte, error) {
	run := func() ([]byte, error) { return b.Runner.Run(ctx, limit, argv...) }
	if slices.Contains(argv, inTime) {
		return b.then(run)
	}
	return run()
}

// The controller is away, dies or hangs at each moment of an order: what is said is what happened.
func TestLiveActController(t *testing.T) {
	l := act(t, testbed.SlurmOptions{Nodes: 4, Conf: []string{"MessageTimeout=3"}})
	signal := func(name string) {
		t.Helper()
		l.run("root", "sh", "-c", `kill -s "$1" "$(cat "$2")"`, "sh", name, l.bed.Dir+"/slurmctld.pid")
	}
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	order := func(node string, then func(run func() ([]byte, error)) ([]byte, error)) (*Actor, schedulers.Order) {
		s, err := Find(t.Context(), between{beside{l.bed, "root"}, then}, Options{})
		ok(err)
		return s.Actor(false), schedulers.Order{Verb: schedulers.Drain, Node: node, Reason: "ECC"}
	}
	back := func(o schedulers.Order, want bool) {
		t.Helper()
		l.looks(o, want)
		if drained := strings.Contains(l.run("root", "sinfo", "-h", "-N", "-p", "train", "-n", o.Node, "-o", "%T"), "drain"); drained != want {
			t.Errorf("%s: drained is %v", o.Node, drained)
		}
		l.sinfoSaysSo()
	}

	// Away before it is asked: nothing is sent.
	ok(l.bed.StopController())
	o := schedulers.Order{Verb: schedulers.Drain, Node: "node001", Reason: "ECC"}
	if err := l.do(l.root, o); !errors.Is(err, schedulers.ErrNotSent) || errors.Is(err, schedulers.ErrUnsure) || !strings.Contains(err.Error(), "scontrol ping") {
		t.Errorf("stopped: %v", err)
	}
	if _, _, err := l.root.Look(t.Context(), o); err == nil {
		t.Error("a controller that is stopped answers")
	}
	ok(l.bed.StartController())
	back(o, false)

	// It dies between the question and the order.
	a, o := order("node001", func(run func() ([]byte, error)) ([]byte, error) { ok(l.bed.KillController()); return run() })
	if err := l.do(a, o); !errors.Is(err, schedulers.ErrNotSent) {
		t.Errorf("killed before: %v", err)
	}
	ok(l.bed.StartController())
	back(o, false)

	// It dies with the order in its hands.
	a, o = order("node002", func(run func() ([]byte, error)) ([]byte, error) {
		signal("STOP")
		killed := make(chan error)
		go func() {
			time.Sleep(time.Second)
			killed <- l.bed.KillController()
		}()
		defer func() { ok(<-killed) }()
		return run()
	})
	if err := l.do(a, o); !errors.Is(err, schedulers.ErrUnsure) || errors.Is(err, schedulers.ErrNotSent) {
		t.Errorf("killed with it: %v", err)
	}
	ok(l.bed.StartController())
	back(o, false)

	// It hangs until after the answer was given up, and then carries the order out.
	a, o = order("node003", func(run func() ([]byte, error)) ([]byte, error) { signal("STOP"); return run() })
	if err := l.do(a, o); !errors.Is(err, schedulers.ErrUnsure) {
		t.Errorf("hung: %v", err)
	}
	signal("CONT")
	so, words, err := l.root.Look(t.Context(), o)
	if !so || err != nil {
		t.Errorf("look after it hung: %v, %q, %v", so, words, err)
	}
	back(o, true)

	// It was carried out, and the connection was lost with the answer.
	a, o = order("node004", func(run func() ([]byte, error)) ([]byte, error) {
		if _, err := run(); err != nil {
			t.Error(err)
		}
		return nil, errors.New("connection lost")
	})
	if err := l.do(a, o); !errors.Is(err, schedulers.ErrUnsure) {
		t.Errorf("lost: %v", err)
	}
	back(o, true)
	// A node that has not come back to a new controller cannot be resumed yet.
	for deadline := time.Now().Add(60 * time.Second); ; time.Sleep(200 * time.Millisecond) {
		if now, _, err := l.root.readNode(t.Context(), "node004"); err == nil && now.has("IDLE") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("node004 never comes back")
		}
	}
	l.must(schedulers.Order{Verb: schedulers.Resume, Node: "node004"}, "resumed")
}
