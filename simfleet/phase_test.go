package simfleet

import (
	"strings"
	"testing"
	"time"

	"foretop/telemetry"
)

// readings are what a node says in each second from one moment to another.
func readings(n *Node, from, to time.Duration, see func(st *telemetry.State)) {
	for at := from; at <= to; at += time.Second {
		n.Sample(at, telemetry.Base, func(st *telemetry.State, _ time.Duration) { see(st) })
	}
}

func struckModel(t *testing.T, text string) *Model {
	t.Helper()
	s, err := Parse("x", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	m, err := NewModel(ModelOptions{Nodes: 64, Seed: 5, Scenario: s, Epoch: time.Unix(1_770_000_000, 0)})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// aimed is where the first fault of a model came down.
func aimed(t *testing.T, m *Model) (*Node, Aim) {
	t.Helper()
	list := m.Aims()
	if len(list) == 0 {
		t.Fatal("nothing came down")
	}
	for _, n := range m.Nodes() {
		if n.Name() == list[0].Node {
			return n, list[0]
		}
	}
	t.Fatalf("no node %s", list[0].Node)
	return nil, Aim{}
}

func TestAStoppedRankUsesNothing(t *testing.T) {
	n, a := aimed(t, struckModel(t, "faults:\n  - {at: 20s, for: 20s, fault: rank-stopped, job: fsdp, member: 2, gpu: 5}\n"))
	if a.Rank != 21 || a.GPU != 5 || a.Job != "gemma-9b-sft" || len(a.Nodes) != 8 {
		t.Errorf("it came down on %+v", a)
	}
	for _, c := range []struct {
		at   time.Duration
		want int
	}{{10 * time.Second, 0}, {30 * time.Second, 1}, {50 * time.Second, 0}} {
		stopped := 0
		for _, u := range n.ToldUsage(c.at).Told {
			if u.State == "T" && u.CpuPermille == 0 {
				stopped++
			}
		}
		if stopped != c.want {
			t.Errorf("at %s %d are stopped, want %d", c.at, stopped, c.want)
		}
	}
	idle, spins := 0, 0
	readings(n, 25*time.Second, 35*time.Second, func(st *telemetry.State) {
		if st.Get(telemetry.GPUUtilPct, 5) == 0 {
			idle++
		}
		if st.Get(telemetry.GPUUtilPct, 4) == 100 {
			spins++
		}
	})
	if idle != 11 || spins != 11 {
		t.Errorf("its GPU was idle for %d s of 11, its peer's spun for %d", idle, spins)
	}
}

func TestSlowPartsShow(t *testing.T) {
	mean := func(n *Node, m telemetry.Metric, entity int, from, to time.Duration) float64 {
		sum, k := 0.0, 0.0
		readings(n, from, to, func(st *telemetry.State) { sum, k = sum+float64(st.Get(m, entity)), k+1 })
		return sum / k
	}
	t.Run("steal", func(t *testing.T) {
		n, _ := aimed(t, struckModel(t, "faults:\n  - {at: 30s, for: 30s, fault: cpu-steal, job: fsdp, member: 3, factor: 1.8}\n"))
		var first, last int64 = -1, 0
		readings(n, 0, 29*time.Second, func(st *telemetry.State) { last = st.Get(telemetry.CPUStealMS, 0) })
		if last != 0 {
			t.Errorf("stolen before: %d ms", last)
		}
		use := mean(n, telemetry.GPUUtilPct, 2, 30*time.Second, 35*time.Second)
		readings(n, 36*time.Second, 46*time.Second, func(st *telemetry.State) {
			if last = st.Get(telemetry.CPUStealMS, 0); first < 0 {
				first = last
			}
		})
		if last-first < 100_000 || use > 90 {
			t.Errorf("%d ms stolen in 10 s, GPUs used %.0f %%", last-first, use)
		}
	})
	t.Run("port", func(t *testing.T) {
		n, _ := aimed(t, struckModel(t, "faults:\n  - {at: 30s, for: 30s, fault: nic-slow, job: srun, member: 1, port: 4}\n"))
		if before, then := mean(n, telemetry.PortRateMbps, 4, 0, 20*time.Second), mean(n, telemetry.PortRateMbps, 4, 31*time.Second, 40*time.Second); before != 400_000 || then != 200_000 {
			t.Errorf("rate %.0f, then %.0f", before, then)
		}
	})
	t.Run("node", func(t *testing.T) {
		m := struckModel(t, "faults:\n  - {at: 30s, for: 30s, fault: node-slow, job: fsdp, member: 1, factor: 1.9}\n")
		n, a := aimed(t, m)
		var peer *Node
		for _, o := range m.Nodes() {
			if o.Name() == a.Nodes[4] {
				peer = o
			}
		}
		mine, others := mean(n, telemetry.GPUPowerMW, 2, 35*time.Second, 50*time.Second), mean(peer, telemetry.GPUPowerMW, 2, 35*time.Second, 50*time.Second)
		if mine < 1.2*others {
			t.Errorf("%.0f mW, its peers %.0f", mine, others)
		}
	})
	t.Run("memory", func(t *testing.T) {
		n, _ := aimed(t, struckModel(t, "faults:\n  - {at: 10s, for: 4m, fault: memory-creep, job: fsdp, gpu: 3}\n"))
		last, downs := int64(0), 0
		readings(n, 10*time.Second, 3*time.Minute, func(st *telemetry.State) {
			if now := st.Get(telemetry.GPUMemUsedBytes, 3); now < last {
				downs++
			} else {
				last = now
			}
		})
		if downs > 0 || last < 62*gib {
			t.Errorf("%d GiB, %d times less than before", last/gib, downs)
		}
	})
}

func TestPhasesAreStrict(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"phases:\n  - {at: 3s, for: 9s, phase: hang, job: jax}\n", `no phase is called "hang"`},
		{"faults:\n  - {at: 3s, for: 9s, fault: evaluation, job: jax}\n", `no fault is called "evaluation"`},
		{"phases:\n  - {at: 3s, phase: evaluation, job: jax}\n", `a phase needs the key "for"`},
		{"phases:\n  - {at: 3s, for: 9s, job: jax}\n", `a phase needs the key "phase"`},
		{"phases:\n  - {at: 3s, for: 9s, phase: evaluation, job: jax, gpu: 1}\n", `evaluation takes no "gpu"`},
		{"phases:\n  - {at: 3s, for: 9s, phase: evaluation, node: 3}\n", `evaluation falls upon a "job"`},
		{"phases:\n  - {at: 3s, for: 9s, phase: evaluaton, job: jax}\n", `did you mean "evaluation"?`},
		{"phases: none\n", `phases must be a list`},
	} {
		if _, err := Parse("x.yaml", []byte(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", c.text, err, c.want)
		}
	}
}
