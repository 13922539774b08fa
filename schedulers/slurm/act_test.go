package slurm

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"foretop/schedulers"
)

func TestDrainReason(t *testing.T) {
	drained, down, free := []string{"IDLE", "DRAIN"}, []string{"DOWN"}, []string{"IDLE"}
	for _, c := range []struct {
		name    string
		now     nodeNow
		add     bool
		text    string
		send    bool
		mention string
	}{
		{"free", nodeNow{flags: free}, false, "new", true, "drained"},
		{"free, added", nodeNow{flags: free}, true, "new", true, "drained"},
		{"drained", nodeNow{flags: drained, reason: "fan", by: "bob"}, false, "", false, "stays: fan [bob]"},
		{"drained, added", nodeNow{flags: drained, reason: "fan", by: "bob"}, true, "fan; new", true, "added to: fan [bob]"},
		{"drained, added twice", nodeNow{flags: drained, reason: "fan; new", by: "ann"}, true, "", false, "says so"},
		{"drained without a reason", nodeNow{flags: drained}, false, "new", true, "drained"},
		{"down", nodeNow{flags: down, reason: "power", by: "root"}, false, "power", true, "that it had: power [root]"},
		{"down, added", nodeNow{flags: down, reason: "power\nsupply 2", by: "root"}, true, "power supply 2; new", true, "added to"},
		{"down, says so", nodeNow{flags: down, reason: "new"}, true, "new", true, "that it had"},
	} {
		text, send, note := drainReason(c.now, "new", c.add)
		if text != c.text || send != c.send || !strings.Contains(note, c.mention) {
			t.Errorf("%s: %q, %v, %q", c.name, text, send, note)
		}
	}
}

func TestStill(t *testing.T) {
	ours := schedulers.NodeMark{Reason: "fan", By: "ann"}
	for _, c := range []struct {
		now  nodeNow
		says string // "": it is
	}{
		{nodeNow{[]string{"IDLE", "DRAIN"}, "fan", "ann", at(0)}, ""},
		{nodeNow{[]string{"IDLE", "DRAIN"}, "fan", "bob", at(0)}, "bob changed it since: fan"},
		{nodeNow{[]string{"IDLE", "DRAIN"}, "fan; ECC", "bob", at(0)}, "bob changed it since: fan; ECC"},
		{nodeNow{[]string{"IDLE", "DRAIN"}, "fan ", "", at(0)}, "somebody changed it since"},
		{nodeNow{[]string{"IDLE"}, "", "", at(0)}, "nothing to undo: it is IDLE"},
	} {
		err := still(c.now, ours)
		var refused *schedulers.RefusedError
		if c.says == "" && err != nil || c.says != "" && (!errors.As(err, &refused) || !strings.Contains(refused.Words, c.says)) {
			t.Errorf("%+v: %v", c.now, err)
		}
	}
	if err := still(nodeNow{[]string{"DRAIN"}, "fan", "ann", at(5)}, schedulers.NodeMark{Reason: "fan", By: "ann", At: at(4)}); err == nil {
		t.Error("set again since, and taken back")
	}
}

// What Slurm's programs say to an order, in the words of several releases, and what it means.
func TestSent(t *testing.T) {
	exit := func(status int, words string) error { return &schedulers.ExitError{Status: status, Words: words} }
	for _, c := range []struct {
		err    error
		verb   schedulers.Verb
		is     error // nil: refused
		remedy string
	}{
		{exit(1, "slurm_update error: Invalid user id"), schedulers.Drain, nil, operator},
		{exit(1, "slurm_update error: Access/permission denied"), schedulers.Resume, nil, operator},
		{exit(210, "scancel: error: Kill job error on job id 4: Access/permission denied"), schedulers.Cancel, nil, owner},
		{exit(1, "exit 1: Access/permission denied for job 4"), schedulers.Requeue, nil, owner},
		{exit(1, "sudo: a password is required"), schedulers.Drain, nil, sudoRemedy},
		{exit(1, "slurm_update error: Invalid node state specified"), schedulers.Resume, nil, "try again in a minute"},
		{exit(127, "timeout: failed to run command '/usr/bin/scontrol': No such file or directory"), schedulers.Drain, nil, ""},
		{exit(124, "scancel: error: Kill job error on job id 4: something new"), schedulers.Cancel, nil, ""},
		{exit(1, "slurm_update error: Unable to contact slurm controller (connect failure)"), schedulers.Drain, schedulers.ErrNotSent, "scontrol ping"},
		{exit(75, tooLate), schedulers.Drain, schedulers.ErrNotSent, ""},
		{exit(1, "slurm_update error: Unable to contact slurm controller (receive failure)"), schedulers.Drain, schedulers.ErrUnsure, ""},
		{exit(1, "slurm_update error: Zero Bytes were transmitted or received"), schedulers.Drain, schedulers.ErrUnsure, ""},
		{exit(1, "slurm_update error: Socket timed out on send/recv operation"), schedulers.Drain, schedulers.ErrUnsure, ""},
		{exit(1, "Unexpected message received for job 4"), schedulers.Requeue, schedulers.ErrUnsure, ""},
		{exit(124, ""), schedulers.Drain, schedulers.ErrUnsure, ""},
		{exit(137, "exit 137"), schedulers.Drain, schedulers.ErrUnsure, ""},
		{exit(124, "sudo: unable to resolve host slurmctl: Name or service not known"), schedulers.Drain, schedulers.ErrUnsure, ""},
		{exit(1, "sudo: unable to resolve host slurmctl slurm_update error: Invalid user id"), schedulers.Drain, nil, operator},
		{exit(-1, ""), schedulers.Drain, schedulers.ErrUnsure, ""},
		{context.DeadlineExceeded, schedulers.Drain, schedulers.ErrUnsure, ""},
		{errors.New("run on login1: connection lost"), schedulers.Drain, schedulers.ErrUnsure, ""},
	} {
		err := refusal(sent(map[bool]string{true: "scancel", false: "scontrol"}[c.verb == schedulers.Cancel], c.err), c.verb)
		var refused *schedulers.RefusedError
		if c.is == nil && (!errors.As(err, &refused) || !strings.Contains(refused.Remedy, c.remedy) || errors.Is(err, schedulers.ErrUnsure)) ||
			c.is != nil && (!errors.Is(err, c.is) || errors.As(err, &refused) || !strings.Contains(err.Error(), c.remedy)) {
			t.Errorf("%v: %v", c.err, err)
		}
	}
}

func TestOrderNames(t *testing.T) {
	a := (&Slurm{scontrol: "/opt/slurm/bin/scontrol"}).Actor(false)
	for _, name := range []string{"", "a,b", "n[1-3]", "n1 n2", "ALL", "all", "Default", "-M", "n1\n", "$(id)", "a'b", "n1\x1b[31m", "/etc/hosts", "x=y", "é", strings.Repeat("n", 300)} {
		for _, verb := range []schedulers.Verb{schedulers.Drain, schedulers.Resume} {
			var refused *schedulers.RefusedError
			if err := a.Do(t.Context(), schedulers.Order{Verb: verb, Node: name, Reason: "x"}, nil); !errors.As(err, &refused) || strings.ContainsAny(err.Error(), "\x1b\n") {
				t.Errorf("%s %q: %v", verb, name, err)
			}
		}
		if _, err := a.Mark(t.Context(), name); err == nil {
			t.Errorf("mark of %q", name)
		}
	}
	for _, key := range []string{"", "8", "slurm/", "slurm/0", "slurm/-1", "slurm/08", "slurm/8 9", "slurm/8_1", "slurm/99999999999", "kubernetes/8", "slurm/8;id"} {
		if err := a.Do(t.Context(), schedulers.Order{Verb: schedulers.Cancel, Job: key}, nil); err == nil {
			t.Errorf("cancel of %q", key)
		}
		if _, _, err := a.Look(t.Context(), schedulers.Order{Verb: schedulers.Requeue, Job: key}); err == nil {
			t.Errorf("look at %q", key)
		}
	}
	for _, reason := range []string{"", " \n\t "} {
		if err := a.Do(t.Context(), schedulers.Order{Verb: schedulers.Drain, Node: "n1", Reason: reason}, nil); err == nil {
			t.Errorf("a drain because of %q", reason)
		}
	}
	if err := a.Do(t.Context(), schedulers.Order{Verb: "reboot", Node: "n1"}, nil); err == nil {
		t.Error("a verb of its own")
	}
	a.slurm.last.Store(&schedulers.Picture{At: at(0), Nodes: []schedulers.Node{{Name: "n1"}}})
	if err := a.checkNode("n2"); err == nil {
		t.Error("a node that Slurm does not have")
	}
	if err := a.checkNode("n1"); err != nil {
		t.Error(err)
	}
	if a.scancel() != "/opt/slurm/bin/scancel" {
		t.Error(a.scancel())
	}
}

func TestOrderID(t *testing.T) {
	for want, r := range map[string]jobRecord{
		"8":            {id: 8, task: -1},
		"8_3":          {id: 9, arrayID: 8, task: 3},
		"8_0":          {id: 8, arrayID: 8, task: 0},
		"8_[4-9]":      {id: 8, arrayID: 8, task: -1, tasks: "4-9%2"},
		"8_[4,6-20:2]": {id: 8, arrayID: 8, task: -1, tasks: "4,6-20:2"},
		"8+1":          {id: 9, hetID: 8, hetOffset: 1, task: -1},
	} {
		if got, err := orderID(&r); err != nil || got != want {
			t.Errorf("%+v: %q, %v", r, got, err)
		}
	}
	for _, tasks := range []string{"1,2,...", "0x1f", "1;id", "$(id)", "1-", strings.Repeat("1,", maxTasks) + "2"} {
		if got, err := orderID(&jobRecord{id: 8, arrayID: 8, task: -1, tasks: tasks}); err == nil {
			t.Errorf("%.20q: %.20q", tasks, got)
		}
	}
}

func TestCommands(t *testing.T) {
	a := (&Slurm{}).Actor(true)
	a.slurm.last.Store(&schedulers.Picture{At: at(0), Nodes: []schedulers.Node{
		{Name: "n1"}, {Name: "n2", Flags: []string{"IDLE", "DRAIN"}, Reason: "fan", ReasonBy: "bob"}},
		Jobs: []schedulers.Job{{Key: "slurm/9", ID: "8_3"}, {Key: "slurm/8", ID: "8_[4-9%2]"}, {Key: "slurm/11", ID: "10+1"}, {Key: "slurm/13", ID: "12+1", Phase: schedulers.Pending}}})
	for _, c := range []struct {
		order schedulers.Order
		want  string
	}{
		{schedulers.Order{Verb: schedulers.Drain, Node: "n1", Reason: "it's $(id)\n\x1b[2Jx"}, `sudo -n scontrol update NodeName=n1 State=DRAIN 'Reason=it'\''s $(id) ` + "\ufffd[2Jx'"},
		{schedulers.Order{Verb: schedulers.Drain, Node: "n1", Reason: `it is "hot"`}, `sudo -n scontrol update NodeName=n1 State=DRAIN 'Reason="it is "hot""'`},
		{schedulers.Order{Verb: schedulers.Drain, Node: "n1", Reason: "x", Evict: true}, "sudo -n scontrol update NodeName=n1 State=DRAIN Reason=x|# Slurm lets what runs there go on to its end"},
		{schedulers.Order{Verb: schedulers.Drain, Node: "n2", Reason: "x"}, "# nothing: it is drained already, and its reason stays: fan [bob]"},
		{schedulers.Order{Verb: schedulers.Drain, Node: "n2", Reason: "x", Append: true}, "sudo -n scontrol update NodeName=n2 State=DRAIN 'Reason=fan; x'"},
		{schedulers.Order{Verb: schedulers.Resume, Node: "n2"}, "sudo -n scontrol update NodeName=n2 State=RESUME"},
		{schedulers.Order{Verb: schedulers.Cancel, Job: "slurm/9"}, "scancel 8_3"},
		{schedulers.Order{Verb: schedulers.Cancel, Job: "slurm/8"}, "scancel '8_[4-9]'"},
		{schedulers.Order{Verb: schedulers.Cancel, Job: "slurm/11"}, "scancel 10+1"},
		{schedulers.Order{Verb: schedulers.Cancel, Job: "slurm/13"}, "scancel 12"},
		{schedulers.Order{Verb: schedulers.Requeue, Job: "slurm/11"}, "sudo -n scontrol requeue 10"},
		{schedulers.Order{Verb: schedulers.Cancel, Job: "slurm/77"}, "scancel 77"},
	} {
		if got := strings.Join(a.Commands(c.order), "|"); got != c.want {
			t.Errorf("%+v:\n%s\n%s", c.order, got, c.want)
		}
	}
}

const scontrolNode = `NodeName=node007 Arch=x86_64 CoresPerSocket=1 
   CPUAlloc=0 CPUEfctv=16 CPUTot=16 CPULoad=6.23
   NodeAddr=10.0.0.7 NodeHostName=node007 Port=17007 Version=22.05.8
   OS=Linux 6.1 #1 SMP State=DOWN x=y 
   State=IDLE+DRAIN ThreadsPerCore=1 TmpDisk=0 Weight=1 Owner=N/A MCS_label=N/A
   Partitions=train,debug 
   Reason=bad link [x@1] Comment=no a=b [root@1790000100]
          second line
             State=DOWN
   Comment=two
   Reason=forged [bob@1]

`

func TestParseNode(t *testing.T) {
	r, err := parseNode([]byte(scontrolNode), "node007")
	if err != nil {
		t.Fatal(err)
	}
	if now := nowOf(r); now.reason != "bad link [x@1] Comment=no a=b\nsecond line\n   State=DOWN" || now.by != "root" || !now.at.Equal(at(100)) || !slices.Equal(now.flags, []string{"IDLE", "DRAIN"}) {
		t.Errorf("%+v", now)
	}
	if r, err := parseNode([]byte(scontrolNode), "node00"); r != nil || err != nil {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err := parseNode([]byte("NodeName=n \n   State=IDLE* X=1\n   Comment=a\n   Reason=forged [bob@1]\n"), "n"); err != nil || r.Reason != "" || nowOf(r).draining() {
		t.Errorf("%+v, %v", r, err)
	}
	for _, bad := range []string{"", "Segmentation fault\n", "NodeName=n\n"} {
		if _, err := parseNode([]byte(bad), "n"); err == nil {
			t.Errorf("%q is read", bad)
		}
	}
}

func FuzzNode(f *testing.F) {
	f.Add([]byte(scontrolNode))
	f.Add([]byte("NodeName=node007\n   State=MIXED+DRAIN\n   Reason=[@]\n          [a@1]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := parseNode(data, "node007")
		if err != nil || r == nil {
			return
		}
		now := nowOf(r)
		for _, add := range []bool{false, true} {
			text, send, note := drainReason(now, "new", add)
			if send && (text == "" || strings.ContainsAny(text, "\n\r\x00\x1b") || !add && oneLine(now.reason) != "" && text != oneLine(now.reason)) {
				t.Errorf("%q, %q", text, note)
			}
			if send && add && !strings.Contains(text, "new") {
				t.Errorf("%q", text)
			}
		}
	})
}

// deaf stands where Slurm's programs run: it answers the question, and keeps what it is sent.
type deaf struct {
	version string
	node    string
	clock   func() string
	err     error
	sent    []string
}

func (*deaf) Where() string { return "played" }

func (d *deaf) Run(_ context.Context, _ int, argv ...string) ([]byte, error) {
	switch {
	case slices.Contains(argv, withClock):
		return []byte(d.clock() + "\n" + d.node), nil
	case slices.Contains(argv, inTime):
		d.sent = argv
		return nil, d.err
	}
	return []byte("/usr/bin/squeue\n/usr/bin/scontrol\n/usr/bin/sinfo\nslurm " + d.version + "\n"), nil
}

func (d *deaf) actor(t *testing.T, sudo bool) *Actor {
	s, err := Find(t.Context(), d, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s.Actor(sudo)
}

// What newer releases answer in their JSON is read before an order, which is sent word for word.
func TestRecordedMarks(t *testing.T) {
	for _, release := range []string{"22.05", "23.11", "24.05", "24.11", "25.05", "25.11", "26.05"} {
		d := &deaf{version: release + ".1", clock: func() string { return "1790000000" }}
		if release == "22.05" {
			d.node = "NodeName=gpu002 Arch=x86_64\n   State=MIXED+DRAIN ThreadsPerCore=1\n   Reason=ECC on GPU 5, ticket 77 [root@1790000100]\n\n"
		} else {
			b, err := os.ReadFile("../../testdata/slurm/nodes." + release + ".json")
			if err != nil {
				t.Fatal(err)
			}
			d.node = string(b)
		}
		a := d.actor(t, true)
		m, err := a.Mark(t.Context(), "gpu002")
		if err != nil || !m.Draining || m.Reason != "ECC on GPU 5, ticket 77" || m.By != "root" || !m.At.Equal(at(100)) {
			t.Errorf("%s: %+v, %v", release, m, err)
		}
		if _, err := a.Mark(t.Context(), "gpu00"); err == nil {
			t.Errorf("%s: a node that is not there", release)
		}
		if err := a.Do(t.Context(), schedulers.Order{Verb: schedulers.Drain, Node: "gpu002", Reason: "it's $(id), \"x\" [y]", Append: true}, func(string) {}); err != nil {
			t.Fatal(release, err)
		}
		tail := []string{"timeout", "-k", "2", "15", "sudo", "-n", "/usr/bin/scontrol", "update", "NodeName=gpu002", "State=DRAIN", "Reason=ECC on GPU 5, ticket 77; it's $(id), \"x\" [y]"}
		if n := len(d.sent) - len(tail); n < 0 || !slices.Equal(d.sent[n:], tail) {
			t.Errorf("%s: %q", release, d.sent)
		}
		if by := time.Duration(atoi(t, d.sent[4])-1790000000) * time.Second; by < slack || by > slack+patience+time.Second {
			t.Errorf("%s: it may start %s after the question", release, by)
		}
		for _, c := range []struct{ err, is error }{{errors.New("connection lost"), schedulers.ErrUnsure}, {schedulers.ErrNotSent, schedulers.ErrNotSent}} {
			d.err = c.err
			if err := a.Do(t.Context(), schedulers.Order{Verb: schedulers.Resume, Node: "gpu002"}, func(string) {}); !errors.Is(err, c.is) {
				t.Errorf("%s: %v", release, err)
			}
		}
	}
}

// An order that arrives too late does nothing, whatever its shell's clock says of the day.
func TestTooLate(t *testing.T) {
	for deadline, want := range map[string]string{"1": "", "99999999999": "done\n"} {
		out, err := Local{}.Run(t.Context(), 100, "sh", "-c", inTime, "sh", deadline, "echo", "done")
		if string(out) != want || want == "" && !errors.Is(sent("scontrol", err), schedulers.ErrNotSent) || want != "" && err != nil {
			t.Errorf("%s: %q, %v", deadline, out, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := (Local{}).Run(ctx, 100, "true"); !errors.Is(err, schedulers.ErrNotSent) {
		t.Error(err)
	}
}
