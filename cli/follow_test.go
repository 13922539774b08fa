package cli

import (
	"context"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"foretop/fleet"
	"foretop/schedulers"
	"foretop/sshpool"
)

// idle is a follower of played pictures, whose nodes are all behind a door that opens for nobody.
func idle(t *testing.T, c choice, kinds ...string) *follower {
	t.Helper()
	s := openStation(fleet.Options{}, sshpool.Config{}, nil)
	t.Cleanup(s.Close)
	f := newFollower(s, c, true)
	for _, k := range kinds {
		f.schedulers = append(f.schedulers, asked{Scheduler: quietly(k), door: &sshpool.Door{Name: "played", Run: shut}})
	}
	f.pictures = make([]*schedulers.Picture, len(kinds))
	return f
}

func (f *follower) names() string { return strings.Join(slices.Sorted(maps.Keys(f.watched)), " ") }

// Two schedulers together, one of which goes away: what it said holds on.
func TestFollowTwo(t *testing.T) {
	f := idle(t, choice{user: "ann"}, "slurm", "kubernetes")
	slurm, kube := cluster(), cluster()
	slurm.At, kube.At = now, now
	kube.Kind, kube.Jobs = "kubernetes", kube.Jobs[:0]
	kube.Jobs = append(kube.Jobs, schedulers.Job{Key: "kubernetes/ann/Job/x", ID: "ann/x", User: "ann@sail", Partition: "ann", Phase: schedulers.Running, Nodes: []string{"k1"}})
	f.told(0, slurm)
	if f.names() != "n1 n2 n3" {
		t.Errorf("Slurm alone: %s", f.names())
	}
	f.told(1, kube)
	if f.names() != "k1 n1 n2 n3" {
		t.Errorf("both: %s", f.names())
	}
	silent := *slurm
	silent.Problem = &schedulers.Problem{Text: "timed out"}
	f.told(0, &silent)
	if f.names() != "k1 n1 n2 n3" {
		t.Errorf("a silent controller: %s", f.names())
	}
	over := *slurm
	over.Jobs = nil
	f.told(0, &over)
	if f.names() != "k1" {
		t.Errorf("all over: %s", f.names())
	}
}

// Schedulers that never answered are as good as none: this machine is watched, until one answers.
func TestFollowUnanswered(t *testing.T) {
	f := idle(t, choice{user: "ann"}, "slurm", "kubernetes")
	local := targetsOf(nil)[0].Name
	f.told(0, &schedulers.Picture{Kind: "slurm", Problem: &schedulers.Problem{Text: "no configuration source"}})
	if f.names() != "" {
		t.Errorf("before the other was heard: %s", f.names())
	}
	f.told(1, &schedulers.Picture{Kind: "kubernetes", Problem: &schedulers.Problem{Text: "no route to host"}})
	if f.names() != local {
		t.Errorf("nobody answers: %s", f.names())
	}
	p := cluster()
	p.At = now
	f.told(0, p)
	if f.names() != "n1 n2 n3" {
		t.Errorf("one answers: %s", f.names())
	}
	given := idle(t, choice{all: true}, "slurm")
	given.told(0, &schedulers.Picture{Kind: "slurm", Problem: &schedulers.Problem{Text: "no configuration source"}})
	if given.names() != "" {
		t.Errorf("--all of a scheduler that does not answer: %s", given.names())
	}
	if s := given.station.Publish(); !strings.Contains(s.Empty, "slurm does not answer: no configuration source") {
		t.Errorf("why: %q", s.Empty)
	}
}

// A job that is seen no more makes its scheduler be asked.
func TestFollowHurries(t *testing.T) {
	f := idle(t, choice{}, "slurm")
	hurried := 0
	f.schedulers[0].Scheduler = hurrying{&hurried}
	f.looked(&fleet.Snapshot{Jobs: []*fleet.Job{{Key: "slurm/7", Scheduler: "slurm"}, {Key: "torchrun/x"}}})
	f.looked(&fleet.Snapshot{Jobs: []*fleet.Job{{Key: "slurm/7", Scheduler: "slurm"}}})
	if hurried != 0 {
		t.Error("asked for a job that is none of its own")
	}
	f.looked(&fleet.Snapshot{Jobs: []*fleet.Job{{Key: "slurm/7", Scheduler: "slurm", Ended: now}}})
	if hurried != 1 {
		t.Errorf("asked %d times", hurried)
	}
}

var now = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

// quietly is a scheduler of that kind that says nothing by itself.
type quietly string

func (p quietly) Kind() string                                   { return string(p) }
func (quietly) Watch(context.Context, func(*schedulers.Picture)) {}
func (quietly) Hurry()                                           {}

type hurrying struct{ n *int }

func (hurrying) Kind() string                                     { return "slurm" }
func (hurrying) Watch(context.Context, func(*schedulers.Picture)) {}
func (h hurrying) Hurry()                                         { *h.n++ }

func shut(context.Context, string, string, io.Reader, io.Writer, io.Writer) (int, error) {
	return -1, &sshpool.DoorError{Cause: "shut", Refused: true}
}
