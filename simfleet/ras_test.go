package simfleet

import (
	"testing"
	"time"

	"foretop/telemetry/facts"
)

// rasOf asks the NCCL of a job's first process on a node.
func (w *world) rasOf(t *testing.T, n *Node, role string) *facts.RAS {
	t.Helper()
	list := n.ranksOf(w.role(t, role), w.at)
	if len(list) == 0 {
		t.Fatal("no rank is there")
	}
	return n.RAS(&facts.AskRAS{Sequence: 3, Processes: []*facts.ProcessKey{{Pid: list[0].Pid, StartTicks: list[0].StartTicks}}}, w.at)
}

func TestRAS(t *testing.T) {
	w := newWorld(t, "  - {at: 60s, for: 100s, fault: hang, job: jax, member: 1, gpu: 6}\n  - {at: 60s, for: 100s, fault: hang, job: pretrain}\n  - {at: 60s, for: 100s, fault: node-dies, job: srun, member: 2}\n")
	jax, big := w.member(t, "jax", 0), w.member(t, "pretrain", 0)
	w.until(50*time.Second, jax, big)
	if a := w.rasOf(t, big, "pretrain"); a.Trouble != "" || a.Nccl != "2.26.2" || len(a.Comms) != 2 || a.Comms[0].Size != 256 || a.Comms[0].Errors != "" || a.Sequence != 3 {
		t.Errorf("of a job that runs: %v", a)
	}
	w.until(90*time.Second, jax, big)
	first := w.rasOf(t, big, "pretrain")
	if len(first.Comms) != 3 || first.Comms[1].Errors != "MISMATCH" {
		t.Fatalf("of a job that hangs: %v", first)
	}
	op := first.Comms[1].Operations[0]
	if op.Behind != 1 || op.Ranks != 256 || len(op.Lagging) != 1 || op.Lagging[0].Count+1 != op.Most || op.Lagging[0].Pid == 0 {
		t.Errorf("it says %v", op)
	}
	place := int(op.Lagging[0].Rank)
	if got := w.role(t, "pretrain").standing(place/8, place%8, w.at); got == inCollective {
		t.Errorf("rank %d lags, and waits for the others", place)
	}
	if op := w.rasOf(t, jax, "jax").Comms[1].Operations[0]; op.Lagging[0].Rank != 8 || op.Behind != 8 || op.Ranks != 32 {
		t.Errorf("of processes with eight GPUs each: %v", op)
	}
	w.until(120*time.Second, jax, big)
	if again := w.rasOf(t, big, "pretrain").Comms[1].Operations[0]; again.Most != op.Most || again.Lagging[0].Rank != op.Lagging[0].Rank {
		t.Errorf("half a minute later %v, before %v", again, op)
	}
	gone := big.RAS(&facts.AskRAS{Processes: []*facts.ProcessKey{{Pid: 5}}}, w.at)
	if gone.Trouble == "" {
		t.Errorf("of no process: %v", gone)
	}
}
