package cli

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"foretop/actions"
	"foretop/config"
	"foretop/fleet"
	"foretop/schedulers"
	"foretop/sshpool"
)

// A name that one scheduler has is that node, without a connection; a name that several have is asked about; one that none has is connected to.
func TestActedOn(t *testing.T) {
	s := openStation(fleet.Options{}, sshpool.Config{Home: t.TempDir(), ConfigFile: os.DevNull}, nil)
	defer s.Close()
	a := &actedOn{chosen: &chosen{s, newFollower(s, choice{}, false), ""}, dialled: map[string]bool{}}
	running := schedulers.Job{Key: "slurm/7", ID: "7", User: "ann", Phase: schedulers.Running, Nodes: []string{"gpu001", "gpu009"}}
	pictures := []*schedulers.Picture{
		{Kind: "slurm", Cluster: "bay", Nodes: []schedulers.Node{{Name: "gpu001", GPUsUsed: 8}, {Name: "both"}}, Jobs: []schedulers.Job{running}},
		{Kind: "kubernetes", Cluster: "prod", Nodes: []schedulers.Node{{Name: "both"}, {Name: "k1"}}, At: time.Now(), Problem: &schedulers.Problem{Text: "forbidden", Remedy: "log in"}},
	}
	for _, p := range pictures {
		s.Scheduled(p)
	}
	a.follower.pictures = pictures
	err := a.enter([]string{"gpu001", "both"}, "")
	if err == nil || err.Error() != "both is a node of Kubernetes prod and of Slurm bay: say which is meant with --scheduler slurm or --scheduler kubernetes" {
		t.Error(err)
	}
	must(t, a.enter([]string{"gpu001", "k1", "127.0.0.1:1"}, ""))
	if !slices.Contains(a.silent, "Kubernetes prod does not answer: forbidden (log in)") {
		t.Errorf("%q", a.silent)
	}
	if len(a.dialled) != 1 || !a.dialled["127.0.0.1:1"] {
		t.Errorf("connected to: %v", a.dialled)
	}
	h := newHands(t.Context(), config.Config{Actions: config.Actions{Audit: filepath.Join(t.TempDir(), "audit")}}, a.chosen)
	defer h.Close()
	act := noActor{}
	h.planner.Actor = func(kind, cluster string) schedulers.Actor { return act }
	p := h.Preview(s.Publish(), actions.Intent{Kind: actions.Drain, Nodes: []string{"gpu001", "k1", "127.0.0.1:1"}, Reason: "fan"})
	var told strings.Builder
	tell(&told, p)
	for _, want := range []string{"affected: 1 job of 1 user, 8 GPUs in use\n", "work of others: ann", "gpu001  slurm bay\n    drain gpu001\n    it is played", "k1  kubernetes prod\n", "127.0.0.1:1 not: no scheduler has it"} {
		if !strings.Contains(told.String(), want) {
			t.Errorf("no %q in\n%s", want, told.String())
		}
	}
}

// While a scheduler says nothing, a name that no other has is nobody's: it is not looked for by other ways.
func TestActedOnSilence(t *testing.T) {
	s := openStation(fleet.Options{}, sshpool.Config{Home: t.TempDir(), ConfigFile: os.DevNull}, nil)
	defer s.Close()
	a := &actedOn{chosen: &chosen{s, newFollower(s, choice{}, false), ""}, dialled: map[string]bool{}}
	a.follower.pictures = []*schedulers.Picture{{Kind: "slurm", Problem: &schedulers.Problem{Text: "no controller"}}, {Kind: "kubernetes", At: time.Now(), Nodes: []schedulers.Node{{Name: "k1"}}}}
	must(t, a.enter([]string{"k1"}, ""))
	if err := a.enter([]string{"k1", "gpu001"}, ""); err == nil || !strings.Contains(err.Error(), "whose node gpu001 is cannot be known: Slurm does not answer: no controller") || len(a.dialled) > 0 {
		t.Errorf("%v, %v", err, a.dialled)
	}
}

// noActor gives no order.
type noActor struct{ schedulers.Actor }

func (noActor) Commands(o schedulers.Order) []string {
	return []string{string(o.Verb) + " " + o.Node, "# it is played"}
}

func TestOnlyScheduler(t *testing.T) {
	for word, want := range map[string]string{"": "", "slurm": "slurm", "kubernetes": "kubernetes", "kubernetes/arn:aws:eks/x": "kubernetes arn:aws:eks/x", "slurm/bay": "!", "kubernetes/": "!", "pbs": "!", "/": "!"} {
		c, err := onlyScheduler(word)
		got := strings.TrimSpace(c.only + " " + strings.Join(c.kube, ","))
		if err != nil {
			got = "!"
		}
		if got != want {
			t.Errorf("%q: %q, %v", word, got, err)
		}
	}
	if _, err := findSchedulers(t.Context(), config.Config{}, &choice{only: kubeWord, kube: []string{"nowhere"}}, nil); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}
