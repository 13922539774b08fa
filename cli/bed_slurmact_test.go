package cli

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"foretop/config"
	"foretop/fleet"
	"foretop/schedulers"
	"foretop/schedulers/slurm"
	"foretop/scripts/testbed"
	"foretop/sshpool"
)

// Orders go through a login node: whatever shell its user has, a reason arrives as it was written; who may not give orders is told what it takes; and one that
// a network held back does nothing when it comes at last.
func TestBedSlurmOrders(t *testing.T) {
	t.Parallel()
	testbed.Need(t, "tcsh")
	bed := testbed.Nodes(t, 4, testbed.On("node003", testbed.User("ann")), testbed.On("node004", testbed.User("root"), testbed.Shell("/bin/tcsh")))
	ctl := testbed.Slurm(t, testbed.SlurmOptions{On: bed, GPUs: -1})
	login := func(name string) *followed {
		cfg := config.Default()
		cfg.Slurm.Login = name
		f := follow(t, cfg, sshpool.Config{ConfigFile: bed.SSHConfig}, choice{user: "ann"})
		f.await("word of Slurm", func(s *fleet.Snapshot) bool { return len(s.Schedulers) == 1 && !s.Schedulers[0].At.IsZero() })
		return f
	}
	ann, root := login("node003"), login("node004")
	if ann.follower.actor("slurm", "other") != nil || ann.follower.actor("kubernetes", "bed") != nil {
		t.Error("an actor of a scheduler that is not there")
	}
	o := schedulers.Order{Verb: schedulers.Drain, Node: "node001", Reason: `it's "hot" $(id) !! %s \n [x], * ~ 漢`}
	quiet := func(string) {}
	var refused *schedulers.RefusedError
	if err := ann.follower.actor("slurm", "bed").Do(t.Context(), o, quiet); !errors.As(err, &refused) || !strings.Contains(refused.Words, "Invalid user id") || !strings.Contains(refused.Remedy, "slurm.sudo") {
		t.Errorf("ann: %v", err)
	}
	act := root.follower.actor("slurm", "bed")
	must(t, act.Do(t.Context(), o, quiet))
	said, err := ctl.Run("ann", "sinfo", "-h", "-R", "-p", "train", "-o", "%n|%u|%E")
	must(t, err)
	if said != "node001|root|"+o.Reason {
		t.Errorf("sinfo -R: %s", said)
	}

	// The network goes away with the order on its way, for longer than an order may wait.
	via := held{onLogin{root.pool, "node004"}, func() { must(t, bed.Node("node004").Blackhole(true)) }}
	s, err := slurm.Find(t.Context(), via, slurm.Options{})
	must(t, err)
	o = schedulers.Order{Verb: schedulers.Drain, Node: "node002", Reason: "ECC"}
	done := make(chan error, 1)
	go func() { done <- s.Actor(false).Do(t.Context(), o, quiet) }()
	time.Sleep(15 * time.Second)
	must(t, bed.Node("node004").Blackhole(false))
	if err := <-done; !errors.Is(err, schedulers.ErrUnsure) && !errors.Is(err, schedulers.ErrNotSent) {
		t.Errorf("held back: %v", err)
	} else {
		t.Logf("held back: %v", err)
	}
	time.Sleep(5 * time.Second)
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Second) {
		so, words, err := act.Look(t.Context(), o)
		if err == nil {
			if so {
				t.Errorf("it was carried out late: %s", words)
			}
			break
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

// held does something right before an order is sent.
type held struct {
	schedulers.Runner
	before func()
}

func (h held) Run(ctx context.Context, limit int, argv ...string) ([]byte, error) {
	if slices.ContainsFunc(argv, func(a string) bool { return strings.HasPrefix(a, "State=") }) {
		h.before()
	}
	return h.Runner.Run(ctx, limit, argv...)
}
