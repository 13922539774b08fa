package cli

import (
	"strings"
	"testing"

	"foretop/schedulers"
)

func cluster() *schedulers.Picture {
	p := &schedulers.Picture{Kind: "slurm", Cluster: "sail"}
	for _, n := range []struct {
		name, partitions string
		condition        schedulers.Condition
	}{{"n1", "h100,all", schedulers.Usable}, {"n2", "h100,all", schedulers.Draining}, {"n3", "a100,all", schedulers.Usable}, {"n4", "all", schedulers.Starting}} {
		p.Nodes = append(p.Nodes, schedulers.Node{Name: n.name, Partitions: strings.Split(n.partitions, ","), Condition: n.condition, GPUs: 8})
	}
	for _, j := range []struct {
		id, user string
		phase    schedulers.Phase
		nodes    string
	}{
		{"7", "ann", schedulers.Running, "n1 n2"}, {"8_1", "ann", schedulers.Running, "n2"}, {"8_2", "ann", schedulers.Completing, "n3"}, {"8_3", "ann", schedulers.Pending, ""},
		{"9", "bob", schedulers.Running, "n3"}, {"10", "ann", schedulers.Ended, "n3"}, {"11+0", "cy", schedulers.Running, "n1"}, {"11+1", "cy", schedulers.Running, "n3"}, {"12", "dee", schedulers.Pending, ""},
	} {
		p.Jobs = append(p.Jobs, schedulers.Job{ID: j.id, Key: "slurm/" + j.id, User: j.user, Phase: j.phase, Nodes: strings.Fields(j.nodes)})
	}
	return p
}

func TestChoice(t *testing.T) {
	for _, tt := range []struct {
		name    string
		c       choice
		nodes   string
		unknown string
		why     string // where no node is chosen
	}{
		{"mine", choice{user: "ann"}, "n1 n2 n3", "", ""},
		{"mine, and a job that ended holds nothing", choice{user: "bob"}, "n3", "", ""},
		{"nothing of mine", choice{user: "eve"}, "", "", "no job of eve runs on Slurm sail; --all watches all nodes"},
		{"mine waits", choice{user: "dee"}, "", "", "no job of dee runs on Slurm sail: 1 waits; --all watches all nodes"},
		{"nobody's name", choice{}, "", "", "it is not known which jobs are yours, for this process's user has no name; --all watches all nodes"},
		{"all but what is powered down", choice{all: true}, "n1 n2 n3", "", ""},
		{"a partition", choice{slurm: []string{"h100"}}, "n1 n2", "", ""},
		{"a job", choice{slurm: []string{"9"}}, "n3", "", ""},
		{"a partition and a job", choice{slurm: []string{"a100", "7"}}, "n1 n2 n3", "", ""},
		{"an array", choice{jobs: []string{"8"}}, "n2 n3", "", ""},
		{"an array's element", choice{jobs: []string{"8_1"}}, "n2", "", ""},
		{"a heterogeneous job", choice{jobs: []string{"11"}}, "n1 n3", "", ""},
		{"by its key", choice{jobs: []string{"slurm/7"}}, "n1 n2", "", ""},
		{"a job that waits", choice{jobs: []string{"8_3"}}, "", "", "none of the nodes of Slurm sail is chosen by job 8_3"},
		{"no such job", choice{jobs: []string{"77", "7"}}, "n1 n2", "77", ""},
		{"no such partition", choice{slurm: []string{"b200"}}, "", "b200", "Slurm sail knows no job or partition b200"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := cluster()
			names, unknown := tt.c.nodes(p)
			if strings.Join(names, " ") != tt.nodes || strings.Join(unknown, " ") != tt.unknown {
				t.Errorf("got %v, unknown %v", names, unknown)
			}
			if why := tt.c.why([]*schedulers.Picture{p}, unknown); len(names) == 0 && why != tt.why {
				t.Errorf("why: %q", why)
			}
		})
	}
	down := &schedulers.Picture{Kind: "slurm", Problem: &schedulers.Problem{Text: "Unable to contact slurm controller"}}
	if why := (&choice{user: "ann"}).why([]*schedulers.Picture{down}, nil); why != "slurm does not answer: Unable to contact slurm controller" {
		t.Errorf("why: %q", why)
	}
}

func TestChoiceChecks(t *testing.T) {
	for words, c := range map[string]choice{"nodes are named": {all: true}, "": {}} {
		if err := c.check([]string{"n1"}); (err == nil) != (words == "") || err != nil && !strings.Contains(err.Error(), words) {
			t.Errorf("%q: %v", words, err)
		}
	}
	for _, c := range []choice{{all: true, jobs: []string{"1"}}, {jobs: []string{""}}} {
		if c.check(nil) == nil {
			t.Errorf("%+v passes", c)
		}
	}
}
