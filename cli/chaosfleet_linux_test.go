package cli

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"foretop/fleet"
	"foretop/simfleet"
	"foretop/sshpool"
	"foretop/ui"

	tea "charm.land/bubbletea/v2"
	"golang.org/x/sys/unix"
)

// chaosPlan is how much of it there is. In each round three nodes in ten are in trouble: killed, frozen, cut from the world without a word, or flapping.
type chaosPlan struct {
	nodes, rounds int
	begins        time.Duration // all are live by then, with the race detector too
	round         time.Duration
	within        time.Duration // of a round's begin troubles begin
	longest       time.Duration // of a trouble; the shortest is five seconds
}

const chaosShare = 0.3

// wholeChaos is ten minutes of a thousand nodes, sampleChaos half a minute of a few.
func wholeChaos() chaosPlan {
	return chaosPlan{nodes: 1000, rounds: 20, begins: 80 * time.Second, round: 30 * time.Second, within: 5 * time.Second, longest: 14 * time.Second}
}

func sampleChaos() chaosPlan {
	return chaosPlan{nodes: 60, rounds: 1, begins: 12 * time.Second, round: 20 * time.Second, within: 2 * time.Second, longest: 7 * time.Second}
}

func (p chaosPlan) length() time.Duration { return p.begins + time.Duration(p.rounds)*p.round }

// scenario is such a day.
func (p chaosPlan) scenario(dice *rand.Rand) *simfleet.Scenario {
	s := &simfleet.Scenario{Name: "chaos"}
	add := func(kind simfleet.Kind, node int, at, long time.Duration) {
		s.Faults = append(s.Faults, simfleet.Fault{At: at, For: long, Kind: kind, Node: strconv.Itoa(node), GPU: -1})
	}
	between := func(low, high time.Duration) time.Duration { return low + time.Duration(dice.Int64N(int64(high-low))) }
	for round := range p.rounds {
		begin := p.begins + time.Duration(round)*p.round
		for _, node := range dice.Perm(p.nodes)[:int(float64(p.nodes)*chaosShare)] {
			at := begin + time.Duration(dice.Int64N(int64(p.within)))
			switch dice.IntN(4) {
			case 0:
				add(simfleet.NodeDies, node, at, between(5*time.Second, p.longest))
			case 1:
				add(simfleet.NodeFreezes, node, at, between(5*time.Second, p.longest))
			case 2:
				add(simfleet.HalfOpen, node, at, between(5*time.Second, p.longest))
			case 3: // three times
				for i := range 3 {
					add(simfleet.NodeDies, node, at+time.Duration(i)*4*time.Second, 2*time.Second)
				}
			}
		}
	}
	return s
}

// trial is what a run of chaos shows.
type trial struct {
	troubles, returns        int
	detected, returned, draw []time.Duration // sorted; a trouble's, a return's, a picture's
	drawCPU                  []time.Duration // of the thread: what others on this machine do does not count
	failures, late, slow     []string        // late: returns beyond 10 s; slow: detections beyond 3 s
	goroutines, heapMB       [2]int          // before and after
}

// chaos runs a plan over nodes in a process of their own, with everything on and the screen drawn for every snapshot.
func chaos(t testing.TB, plan chaosPlan) *trial {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	nodes := plan.nodes
	scenario := plan.scenario(rand.New(rand.NewPCG(seed, 3)))
	ctx, cancel := context.WithTimeout(t.Context(), plan.length()+5*time.Minute)
	defer cancel()
	sim, err := simfleet.StartChild(ctx, simfleet.Options{Nodes: nodes, Seed: 1, Scenario: scenario})
	must(t, err)
	defer sim.Close()
	model, err := simfleet.NewModel(simfleet.ModelOptions{Nodes: nodes, Seed: 1, Scenario: scenario, Epoch: sim.Began()})
	must(t, err)

	s := openStation(fleet.Options{}, sshpool.Config{}, simTargets(sim.Nodes(), sim.Signer()))
	defer s.Close()
	var mu sync.Mutex
	seen := map[string][]moment{}
	r := &trial{}
	screen := tea.Model(ui.New(ui.Options{Source: s}))
	screen, _ = screen.Update(tea.WindowSizeMsg{Width: 200, Height: 60})
	s.publish(ctx, 250*time.Millisecond, func(snap *fleet.Snapshot) {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		begun, cpu := time.Now(), usedCPU(unix.RUSAGE_THREAD)
		screen, _ = screen.Update(ui.SnapshotMsg{Snapshot: snap})
		_ = screen.View()
		took, used := time.Since(begun), usedCPU(unix.RUSAGE_THREAD)-cpu
		mu.Lock()
		defer mu.Unlock()
		r.draw, r.drawCPU = append(r.draw, took), append(r.drawCPU, used)
		for _, n := range snap.Nodes {
			list := seen[n.Name]
			if len(list) == 0 || list[len(list)-1].State != n.State || list[len(list)-1].cause != n.Cause {
				seen[n.Name] = append(list, moment{n.State, n.Cause, n.Remedy, n.Since, snap.At})
			}
		}
	}, func(err error) { panic(err) })
	live := func() int { return s.Snapshot().Totals.ByState[fleet.Live] }
	for live() < nodes {
		if time.Since(sim.Began()) > plan.begins {
			t.Fatalf("only %d of %d are live when it begins", live(), nodes)
		}
		time.Sleep(50 * time.Millisecond)
	}
	weigh := func(i int) {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		r.goroutines[i], r.heapMB[i] = runtime.NumGoroutine(), int(m.HeapAlloc>>20)
	}
	time.Sleep(time.Second)
	weigh(0)
	end := sim.Began().Add(plan.length())
	time.Sleep(time.Until(end))
	for limit := time.Now().Add(time.Minute); live() < nodes; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Errorf("%d of %d live in the end", live(), nodes)
			break
		}
	}
	time.Sleep(plan.round / 8) // what was left behind ends
	weigh(1)
	s.Close()
	mu.Lock()
	defer mu.Unlock()
	for _, n := range model.Nodes() {
		r.judge(n, sim.Began(), plan.begins, end.Sub(sim.Began()), seen[n.Name()])
	}
	slices.SortFunc(r.slow, func(a, b string) int {
		x, _ := time.ParseDuration(a[:strings.Index(a, ":")])
		y, _ := time.ParseDuration(b[:strings.Index(b, ":")])
		return int(y - x)
	})
	slices.Sort(r.detected)
	slices.Sort(r.returned)
	slices.Sort(r.draw)
	slices.Sort(r.drawCPU)
	return r
}

// judge compares what was seen of a node with what was true of it.
func (r *trial) judge(n *simfleet.Node, began time.Time, begins, length time.Duration, seen []moment) {
	const step = 20 * time.Millisecond
	bad := func(at time.Duration) bool { c := n.Condition(at); return c.Dead || c.Frozen || c.HalfOpen }
	for at := begins; at < length; at += step {
		if !bad(at) || bad(at-step) {
			continue
		}
		to := at
		for bad(to) {
			to += step
		}
		next := to
		for next < to+20*time.Second && !bad(next) {
			next += step
		}
		r.troubles++
		begin, over := began.Add(at), began.Add(to)
		if stateAt(seen, begin) == fleet.Live {
			r.detect(seen, begin, began.Add(next), fmt.Sprintf("%s: nothing was seen of %+v from %v to %v", n.Name(), n.Condition(at), at, to))
		}
		for _, m := range seen { // it was not back from the last one, or seemed to come back in the middle of this
			if m.State == fleet.Live && m.at.After(begin) && m.at.Before(over) {
				r.detect(seen, m.at, began.Add(next), "")
			}
		}
		back := slices.IndexFunc(seen, func(m moment) bool { return m.State == fleet.Live && m.at.After(over) })
		switch {
		case stateAt(seen, over) == fleet.Live:
			// it never seemed to be away: too short
		case back >= 0 && seen[back].at.Before(began.Add(next)):
			r.returns++
			took := seen[back].at.Sub(over)
			if r.returned = append(r.returned, took); took > 10*time.Second {
				r.late = append(r.late, fmt.Sprintf("%s %+v from %v to %v: %v", n.Name(), n.Condition(at), at, to, seen))
			}
		case next-to < 20*time.Second: // the next trouble came before
		default:
			r.failures = append(r.failures, fmt.Sprintf("%s is not back after %v", n.Name(), to))
		}
	}
}

// detect measures how long a node that is in trouble is shown as live, from a moment on. Where it stays so until the end, there is nothing to measure, and a failure to tell.
func (r *trial) detect(seen []moment, from, end time.Time, failure string) {
	found := slices.IndexFunc(seen, func(m moment) bool { return m.State != fleet.Live && !m.at.Before(from) })
	switch {
	case found >= 0 && seen[found].at.Before(end):
		r.detected = append(r.detected, seen[found].at.Sub(from))
		if took := seen[found].at.Sub(from); took > 3*time.Second {
			r.slow = append(r.slow, fmt.Sprintf("%v: %s %v", took, failure, seen[max(0, found-4):found+1]))
		}
	case failure != "":
		r.failures = append(r.failures, failure)
	}
}

// stateAt is the state at a time.
func stateAt(seen []moment, at time.Time) fleet.State {
	state := fleet.Waiting
	for _, m := range seen {
		if !m.at.After(at) {
			state = m.State
		}
	}
	return state
}

func (r *trial) String() string {
	worst := func(d []time.Duration) time.Duration {
		if len(d) == 0 {
			return 0
		}
		return d[len(d)-1].Round(time.Millisecond)
	}
	return fmt.Sprintf("%d troubles: detected within %v (99 %% %v), %d returns within %v (99 %% %v); Update+View p99 %v (its thread %v) of %d; goroutines %d, then %d; heap %d MB, then %d", r.troubles, worst(r.detected),
		percentile(r.detected, 99), r.returns, worst(r.returned), percentile(r.returned, 99), percentile(r.draw, 99), percentile(r.drawCPU, 99), len(r.draw), r.goroutines[0], r.goroutines[1], r.heapMB[0], r.heapMB[1])
}

func percentile(sorted []time.Duration, p int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, len(sorted)*p/100)].Round(10 * time.Microsecond)
}

// hold fails for what is not as promised; slack is what is given for a machine that others use as well.
func (r *trial) hold(t testing.TB, slack time.Duration) {
	t.Helper()
	t.Log(r)
	for _, f := range r.failures {
		t.Error(f)
	}
	if r.troubles == 0 || r.returns == 0 {
		t.Fatal("nothing happened")
	}
	if worst := r.detected[len(r.detected)-1]; worst > 3*time.Second+slack {
		t.Errorf("a trouble was seen after %v: %s", worst, r.slow)
	}
	if worst := r.returned[len(r.returned)-1]; worst > 10*time.Second+slack {
		t.Errorf("a node was live %v after it was back: %s", worst, r.late)
	}
	if was, is := r.goroutines[0], r.goroutines[1]; is > was+was/20+50 {
		t.Errorf("%d goroutines, then %d", was, is)
	}
	if was, is := r.heapMB[0], r.heapMB[1]; is > was+was/2+24 {
		t.Errorf("%d MB of heap, then %d", was, is)
	}
}

// A fleet in chaos: each trouble is seen, each node comes back, nothing grows. With FORETOP_SOAK 1,000 nodes for ten minutes.
//
// It is not parallel to others: it counts goroutines.
func TestChaosFleet(t *testing.T) {
	plan := sampleChaos()
	if soak() {
		plan = wholeChaos()
	}
	r := chaos(t, plan)
	r.hold(t, 2*slack)
	if p99 := percentile(r.drawCPU, 99); p99 > 60*time.Millisecond { // with the race detector
		t.Errorf("Update and View take %v of CPU (99 %%)", p99)
	}
}

// BenchmarkChaos is that for ten minutes with 1,000 nodes, and the promises to the letter: for a quiet machine.
func BenchmarkChaos(b *testing.B) {
	for range b.N {
		r := chaos(b, wholeChaos())
		b.ReportMetric(r.detected[len(r.detected)-1].Seconds(), "detected-max-s")
		b.ReportMetric(r.returned[len(r.returned)-1].Seconds(), "returned-max-s")
		b.ReportMetric(float64(percentile(r.draw, 99).Microseconds())/1000, "draw-p99-ms")
		b.ReportMetric(float64(r.goroutines[1]-r.goroutines[0]), "goroutines-grown")
		b.ReportMetric(float64(r.heapMB[1]-r.heapMB[0]), "heap-MB-grown")
		r.hold(b, 0)
		if p99 := percentile(r.draw, 99); p99 > 4*time.Millisecond {
			b.Errorf("Update and View take %v (99 %%)", p99)
		}
	}
}
