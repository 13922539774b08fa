package cli

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"foretop/fleet"
	"foretop/scripts/testbed"
	"foretop/simfleet"
	"foretop/sshpool"
)

// wireTo strings a wire to a node and gives an ssh configuration in which the node is reached over it, by another name.
func wireTo(t *testing.T, bed *testbed.Bed, n *testbed.Node, name string, w testbed.Weather) (*testbed.Wire, string) {
	t.Helper()
	wire, err := n.Wire(w)
	must(t, err)
	t.Cleanup(func() { wire.Close() })
	config := filepath.Join(t.TempDir(), "ssh_config")
	must(t, os.WriteFile(config, fmt.Appendf(nil, "Host %s\n  HostName %s\n  HostKeyAlias %s\nInclude %s\n", name, wire.Addr, n.Addr, bed.SSHConfig), 0o600))
	return wire, config
}

// Bad weather on the way to a node: packets that are late, overtake each other and get lost cost nothing but time, and a way that swallows everything is told as what it is, within 3 s, and over
// when it is.
func TestBedWeather(t *testing.T) {
	t.Parallel()
	bed := testbed.Nodes(t, 1)
	wire, config := wireTo(t, bed, bed.Nodes[0], "far", testbed.Weather{Delay: 100 * time.Millisecond})
	timing := sshpool.Timing{Gone: 4 * time.Second} // by way of trial; and of the weathers one
	if soak() {
		timing = sshpool.Timing{}
	}
	o := observe(t, sshpool.Config{ConfigFile: config, Timing: timing}, named("far")...)
	o.allLive(30*time.Second, "far")
	weathers := []struct {
		what string
		testbed.Weather
	}{
		{"late", testbed.Weather{Delay: 300 * time.Millisecond}},
		{"out of order", testbed.Weather{Delay: 50 * time.Millisecond, Jitter: 200 * time.Millisecond}},
		{"lossy", testbed.Weather{Delay: 20 * time.Millisecond, Loss: 0.05}},
		{"thin", testbed.Weather{Delay: 40 * time.Millisecond, Rate: 20 << 10}},
	}
	if !soak() {
		i := rand.IntN(len(weathers))
		weathers = weathers[i : i+1]
	}
	for _, w := range weathers {
		began := time.Now()
		wire.Set(w.Weather)
		time.Sleep(6 * time.Second)
		o.mu.Lock()
		samples := 0
		for _, at := range o.samples["far"] {
			if at.After(began) {
				samples++
			}
		}
		for _, m := range o.moments["far"] {
			if m.at.After(began) && m.State != fleet.Live && m.State != fleet.Stale {
				t.Errorf("%s: %v", w.what, m)
			}
		}
		o.mu.Unlock()
		if samples < 3 {
			t.Errorf("%s: %d samples in 6 s", w.what, samples)
		}
	}
	hole := time.Now()
	wire.Set(testbed.Weather{Hole: true})
	m := o.reaches("far", fleet.Stale, "", hole, 20*time.Second)
	if took := m.at.Sub(hole); took > 3*time.Second+slack {
		t.Errorf("seen after %v", took)
	}
	o.reaches("far", fleet.Lost, "no answer for|connection lost|time", hole, 40*time.Second)
	back := time.Now()
	wire.Set(testbed.Weather{Delay: 20 * time.Millisecond})
	m = o.reaches("far", fleet.Live, "", back, 40*time.Second)
	if took := m.at.Sub(back); took > 10*time.Second+2*slack {
		t.Errorf("live %v after the way was back", took)
	}
}

// Many nodes behind one jump host, and one line of 20 Mbit/s and 80 ms (there and back) to it: all are live, and stay so. Then the line gets far too thin for what they send at the usual pace:
// they are asked for less and say so, and are live all the same. By way of trial 40 nodes and a part of the line; with FORETOP_SOAK 1,000 and the whole of it, until they are asked for more again
// on a wide line.
func TestBedThinLine(t *testing.T) {
	t.Parallel()
	nodes, rate, wait, still := 40, 100_000, 60*time.Second, 3*time.Second
	if soak() {
		nodes, rate, wait, still = 1000, 2_500_000, 3*time.Minute, 6*time.Second
	}
	bed := testbed.Nodes(t, 1)
	line := testbed.Weather{Delay: 40 * time.Millisecond, Rate: rate}
	wire, config := wireTo(t, bed, bed.Nodes[0], "jump", line)
	by, err := bed.Nodes[0].InNetwork()
	must(t, err)
	sim, err := simfleet.StartChild(t.Context(), simfleet.Options{Nodes: nodes, Seed: 1, Scenario: simfleet.Healthy()}, by...)
	must(t, err)
	t.Cleanup(func() { sim.Close() })
	targets := simTargets(sim.Nodes(), sim.Signer())
	for i := range targets {
		targets[i].Resolved.ProxyJump = "jump"
	}
	o := observe(t, sshpool.Config{ConfigFile: config}, targets...)
	count := func(ok func(*fleet.Node) bool) (n int) {
		for _, node := range o.Snapshot().Nodes {
			if ok(node) {
				n++
			}
		}
		return n
	}
	live := func(n *fleet.Node) bool { return n.State == fleet.Live }
	until := func(what string, within time.Duration, holds func() bool) {
		t.Helper()
		for limit := time.Now().Add(within); !holds(); time.Sleep(100 * time.Millisecond) {
			if time.Now().After(limit) {
				slow, late := count(func(n *fleet.Node) bool { return n.Self.Every > time.Second }), time.Duration(0)
				for _, n := range o.Snapshot().Nodes {
					late = max(late, n.Self.Late)
				}
				t.Fatalf("not %s within %v: %d of %d live, %d slowed down, %v late, %d packets lost", what, within, count(live), nodes, slow, late, wire.Lost())
			}
		}
	}
	until("all live", wait, func() bool { return count(live) == nodes })
	began := time.Now()
	time.Sleep(still)
	o.mu.Lock()
	for name, list := range o.moments {
		for _, m := range list {
			if m.at.After(began.Add(time.Second)) && m.State != fleet.Live {
				t.Errorf("on a line that is wide enough %s was %v", name, m)
			}
		}
	}
	o.mu.Unlock()
	line.Rate = nodes * 150
	wire.Set(line)
	until("slowed down", wait, func() bool {
		return count(func(n *fleet.Node) bool { return n.Self.Every >= 2*time.Second }) > nodes/2
	})
	until("all live on a thin line", wait, func() bool { return count(live) > nodes*95/100 })
	if !soak() {
		return
	}
	line.Rate = rate * 4
	wire.Set(line)
	until("all live at the usual pace", wait+90*time.Second, func() bool {
		return count(func(n *fleet.Node) bool { return live(n) && n.Self.Every <= time.Second }) == nodes
	})
}
