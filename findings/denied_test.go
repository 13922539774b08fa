package findings

import (
	"testing"
	"time"

	"foretop/fleet"
)

// A false alarm is of one rule on one subject: it is told on, asks for nobody, and stays among the incidents, where it can be taken back.
func TestAFalseAlarmIsOnlyANotice(t *testing.T) {
	y := newYard(2)
	j := y.job("8123", 0, 1)
	denied := map[string]bool{}
	rules := Quieted(fleet.Rules{
		Node: func(*fleet.Node, time.Time, *fleet.Memory) []fleet.Problem {
			return []fleet.Problem{{Severity: fleet.Critical, Text: "Xid 79 GPU3: fell off the bus", GPU: 3, Port: -1}, {Severity: fleet.Warning, Text: "/scratch 97 % full", GPU: -1, Port: -1}}
		},
		Job: func(j *fleet.Job, _ func(string) *fleet.Node, _ time.Time, _ *fleet.Memory) fleet.Verdict {
			j.Findings = []fleet.Verdict{{State: fleet.JobSuspect, Severity: fleet.Critical, Text: "no progress 41 s"}, {State: fleet.JobSuspect, Severity: fleet.Warning, Text: "rank 3 slower"}}
			return j.Findings[0]
		},
	}, func(key string) bool { return denied[key] })
	n := y.nodes[0]
	look := func() (fleet.Problem, fleet.Verdict) {
		n.Problems = rules.Node(n, noon, nil)
		v := rules.Job(j, nil, noon, nil)
		return n.Problems[0], v
	}
	if p, v := look(); p.Severity != fleet.Critical || v.Severity != fleet.Critical {
		t.Errorf("with nothing denied: %v, %v", p, v)
	}
	denied["hw.xid 79@GPU-1-3"] = true
	if p, _ := look(); p.Text != "/scratch 97 % full" || n.Problems[1].Severity != fleet.Notice {
		t.Errorf("%v", n.Problems)
	}
	y.fold.Denied = func(key string) bool { return denied[key] }
	list := y.look(time.Minute)
	found := false
	for i := range list {
		if in := &list[i]; in.ID == "hw.xid 79@GPU-1-3" {
			found = in.Mark.Kind == fleet.FalseAlarm && in.Quiet(noon) && in.Root().Text == "Xid 79: fell off the bus"
		}
	}
	if !found {
		t.Errorf("it cannot be taken back:\n%s", titles(list))
	}
	denied["no progress@slurm/8123"] = true
	if _, v := look(); v.Text != "rank 3 slower" || v.Severity != fleet.Warning {
		t.Errorf("the next worst: %+v", v)
	}
	denied["rank slower@slurm/8123"] = true
	if _, v := look(); v.Text != "running" || v.Severity != fleet.Fine || len(j.Findings) != 2 {
		t.Errorf("nothing else: %+v", v)
	}
	denied = map[string]bool{}
	if p, v := look(); p.Severity != fleet.Critical || v.Text != "no progress 41 s" {
		t.Errorf("taken back: %v, %v", p, v)
	}
}
