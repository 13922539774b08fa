package cli

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"foretop/schedulers"
	"foretop/scripts/testbed"
)

func TestWithInput(t *testing.T) {
	for _, c := range []struct {
		args []string
		in   string
		want string
	}{
		{[]string{"a", "b"}, "x\n", "a b"},
		{[]string{"-"}, "n[1-2],n4\n\n n7 \n", "n[1-2],n4 n7"},
		{[]string{"a", "-", "b", "-"}, "x\ny", "a x y b"},
		{[]string{"-"}, "\n \n", "!"},
	} {
		got, err := withInput(c.args, strings.NewReader(c.in))
		text := strings.Join(got, " ")
		if err != nil {
			text = "!"
		}
		if text != c.want {
			t.Errorf("%q: %q, %v", c.args, text, err)
		}
	}
}

// ofKind stands for one by its kind only.
type ofKind struct {
	schedulers.Scheduler
	kind string
}

func (k ofKind) Kind() string { return k.kind }

// What is chosen is run on as a whole or not at all: a scheduler that says nothing matters where it might have more of it.
func TestChosenTargets(t *testing.T) {
	slurm := &schedulers.Picture{Kind: "slurm", Cluster: "bay", At: time.Now(), Nodes: []schedulers.Node{{Name: "n1", GPUs: 8, Partitions: []string{"h100"}}, {Name: "n2", GPUs: 8}},
		Jobs: []schedulers.Job{{Key: "slurm/7", ID: "7", User: "ann", Phase: schedulers.Running, Nodes: []string{"n2"}}, {Key: "slurm/8", ID: "8", User: "ann", Phase: schedulers.Pending}}}
	kube := &schedulers.Picture{Kind: "kubernetes", Cluster: "prod", At: time.Now(), Nodes: []schedulers.Node{{Name: "n2", GPUs: 8}, {Name: "k1", GPUs: 8}}}
	dead := &schedulers.Picture{Kind: "kubernetes", Cluster: "old", Problem: &schedulers.Problem{Text: "no such host"}}
	list := []asked{{Scheduler: ofKind{kind: "slurm"}}, {Scheduler: ofKind{kind: "kubernetes"}}}
	for _, c := range []struct {
		choice choice
		second *schedulers.Picture
		want   string // "!" and what the error holds
	}{
		{choice{all: true}, kube, "k1 n1 n2"},
		{choice{jobs: []string{"7"}}, kube, "n2"},
		{choice{jobs: []string{"7"}}, dead, "n2"},
		{choice{jobs: []string{"7"}}, nil, "n2"},
		{choice{slurm: []string{"h100"}}, kube, "n1"},
		{choice{user: "ann"}, kube, "n2"},
		{choice{all: true}, dead, "!Kubernetes old does not answer: no such host"},
		{choice{all: true}, nil, "!kubernetes has not answered in time"},
		{choice{jobs: []string{"9"}}, dead, "!Kubernetes old does not answer"},
		{choice{jobs: []string{"7", "9"}}, kube, "!knows no job or partition 9"},
		{choice{jobs: []string{"8"}}, kube, "!none of the nodes"},
		{choice{user: "bob"}, kube, "!no job of bob runs"},
	} {
		targets, err := c.choice.targets(list, []*schedulers.Picture{slurm, c.second})
		var names []string
		for _, x := range targets {
			names = append(names, x.Name)
		}
		slices.Sort(names)
		got := strings.Join(names, " ")
		if err != nil {
			got = "!" + err.Error()
		}
		if what, bad := strings.CutPrefix(c.want, "!"); bad && (err == nil || !strings.Contains(got, what)) || !bad && got != c.want {
			t.Errorf("%+v: %s, want %s", c.choice, got, c.want)
		}
	}
}

// `foretop run` on the nodes of a real Slurm's job, of a partition, and of standard input.
func TestBedRunChosen(t *testing.T) {
	t.Parallel()
	bed := testbed.Nodes(t, 4, testbed.On("node004", testbed.User("root")))
	ctl := testbed.Slurm(t, testbed.SlurmOptions{On: bed, GPUs: -1})
	job, err := ctl.Submit("ann", "-N2", "-w", "node[002-003]", "--output", "/dev/null", "--wrap", "srun sleep 600")
	must(t, err)
	eventually(t, time.Minute, func() string {
		out, err := ctl.Run("ann", "squeue", "-h", "-t", "R", "-o", "%i")
		if err == nil && strings.TrimSpace(out) == job {
			return ""
		}
		return "job " + job + " does not run: " + out
	})
	cfg := t.TempDir() + "/config.yaml"
	must(t, os.WriteFile(cfg, []byte("slurm: {login: node004}\n"), 0o600))
	run := func(in string, args ...string) (string, string, int) {
		t.Helper()
		return foretopFed(t, in, append([]string{"run", "-F", bed.SSHConfig, "--config", cfg, "-b", "--connect", "60s"}, args...)...)
	}
	head := func(set string) string { return "---------------\n" + set + "\n---------------\nx\n" }
	for _, c := range []struct {
		name, in  string
		args      []string
		out, errs string // errs: what it holds
		code      int
	}{
		{"a job", "", []string{"--job", job, "--", "echo", "x"}, head("node[002-003] (2)"), "", 0},
		{"a partition", "", []string{"--slurm", "train", "--", "echo", "x"}, head("node[001-003] (3)"), "", 0},
		{"a user", "", []string{"--user", "ann", "--", "echo", "x"}, head("node[002-003] (2)"), "", 0},
		{"input", "node[001-002]\nnode003\n", []string{"-", "--", "echo", "x"}, head("node[001-003] (3)"), "", 0},
		{"no input", "", []string{"-", "--", "echo", "x"}, "", "standard input is empty", 2},
		{"no such job", "", []string{"--job", "99", "--", "echo", "x"}, "", "knows no job or partition 99", 1},
		{"named and chosen", "", []string{"node001", "--job", job, "--", "echo", "x"}, "", "leave out either", 2},
		{"named, and of a user", "", []string{"node001", "--user", "ann", "--", "echo", "x"}, "", "leave out either", 2},
		{"nothing", "", []string{"--", "echo", "x"}, "", "no node is named", 2},
	} {
		out, errs, code := run(c.in, c.args...)
		if code != c.code || out != c.out || !strings.Contains(errs, c.errs) || c.errs == "" && errs != "" {
			said, _ := ctl.Run("root", "scontrol", "show", "job", job)
			t.Errorf("%s: exit %d, %q, %q\n%s", c.name, code, out, errs, said)
		}
	}
}
