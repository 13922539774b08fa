package cli

import (
	"context"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"foretop/fleet"
	"foretop/scripts/testbed"
	"foretop/sshpool"
)

// slack is what a promise in seconds is given beside its own time here: the tests share two cores with those of other packages, and with the race
// detector. The times themselves come from the program's snapshots, not from when a test got to look.
const slack = 1500 * time.Millisecond

// look is how often a snapshot is published and looked at.
const look = 100 * time.Millisecond

// moment is a state that a node was in.
type moment struct {
	fleet.State
	cause, remedy string
	since         time.Time // of the state, as the snapshot says
	at            time.Time // of the snapshot that showed it first
}

func (m moment) String() string {
	s := m.at.Format("05.000 ") + m.State.String()
	if m.cause != "" {
		s += ": " + m.cause
	}
	if m.remedy != "" {
		s += " (" + m.remedy + ")"
	}
	return s
}

// observed is a station with a test that looks at every snapshot.
type observed struct {
	*station
	t      testing.TB
	opened time.Time

	mu      sync.Mutex
	moments map[string][]moment    // of each node, oldest first; a new one for each change of state or words
	samples map[string][]time.Time // when each node's samples arrived
}

// observe opens a station on a bed's nodes (or other names of its ssh configuration) with the collectors of this source.
func observe(t testing.TB, config sshpool.Config, targets ...sshpool.Target) *observed {
	t.Helper()
	if config.Payload == nil {
		config.Payload = collectorSet(t)
	}
	o := &observed{t: t, moments: map[string][]moment{}, samples: map[string][]time.Time{}, opened: time.Now()}
	o.station = openStation(fleet.Options{}, config, targets)
	o.publish(context.Background(), look, o.see, func(err error) { panic(err) })
	t.Cleanup(func() {
		o.Close()
		if t.Failed() {
			o.tell()
		}
	})
	return o
}

func named(names ...string) []sshpool.Target { return targetsOf(names) }

func (o *observed) see(s *fleet.Snapshot) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, n := range s.Nodes {
		m := moment{n.State, n.Cause, n.Remedy, n.Since, s.At}
		seen := o.moments[n.Name]
		if len(seen) == 0 || seen[len(seen)-1].State != m.State || seen[len(seen)-1].cause != m.cause {
			o.moments[n.Name] = append(seen, m)
		}
		times := o.samples[n.Name]
		if !n.LastData.IsZero() && (len(times) == 0 || n.LastData.After(times[len(times)-1])) {
			o.samples[n.Name] = append(times, n.LastData)
		}
	}
}

// tell shows what happened to every node.
func (o *observed) tell() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(o.moments)) {
		var lines []string
		for _, m := range o.moments[name] {
			lines = append(lines, m.String())
		}
		o.t.Logf("%s: %s", name, strings.Join(lines, "\n\t"))
	}
}

// now is the node's state as last seen.
func (o *observed) now(node string) moment {
	o.mu.Lock()
	defer o.mu.Unlock()
	if seen := o.moments[node]; len(seen) > 0 {
		return seen[len(seen)-1]
	}
	return moment{}
}

// reaches waits until a node is in a state with a cause that matches, seen after a time, and returns that moment.
func (o *observed) reaches(node string, state fleet.State, cause string, after time.Time, within time.Duration) moment {
	o.t.Helper()
	re := regexp.MustCompile(cause)
	for end := time.Now().Add(within); ; time.Sleep(look / 2) {
		o.mu.Lock()
		for _, m := range o.moments[node] {
			if m.State == state && m.at.After(after) && re.MatchString(m.cause) {
				o.mu.Unlock()
				return m
			}
		}
		o.mu.Unlock()
		if time.Now().After(end) {
			o.t.Fatalf("%s is not %v (%q) within %v; now %v", node, state, cause, within, o.now(node))
		}
	}
}

// allLive waits until every node sends samples.
func (o *observed) allLive(within time.Duration, nodes ...string) {
	o.t.Helper()
	for _, n := range nodes {
		o.reaches(n, fleet.Live, "", time.Time{}, within)
	}
}

// gap is the longest time between two samples of a node, from one time to another.
func (o *observed) gap(node string, from, to time.Time) time.Duration {
	var longest time.Duration
	o.mu.Lock()
	defer o.mu.Unlock()
	last := from
	for _, at := range append(o.samples[node], to) {
		if at.Before(from) {
			continue
		}
		if at.After(to) {
			at = to
		}
		if d := at.Sub(last); d > longest {
			longest = d
		}
		last = at
	}
	return longest
}

// steady asserts that the nodes missed no second: samples come at 1 Hz, so with one late by a loaded machine's worth there are at most two seconds between.
func (o *observed) steady(from time.Time, nodes ...string) {
	o.t.Helper()
	for _, n := range nodes {
		o.steadySince(n, from)
	}
}

// steadySince is steady for one node.
func (o *observed) steadySince(node string, from time.Time) {
	o.t.Helper()
	if d := o.gap(node, from, time.Now()); d > 2*time.Second {
		o.t.Errorf("%s was silent for %v while another node had trouble", node, d.Round(time.Millisecond))
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, m := range o.moments[node] {
		if m.at.After(from) && m.State != fleet.Live {
			o.t.Errorf("%s, which had no trouble: %v", node, m)
		}
	}
}

func matches(pattern, text string) bool { return regexp.MustCompile(pattern).MatchString(text) }

// programs matches a collector or its NVML reader on a node, by the content-addressed names under which they run.
const programs = `(^|/)[cn]-[0-9a-f]{64}( |$)`

// collectorsOn matches collectors alone.
const collectorsOn = `(^|/)c-[0-9a-f]{64}( |$)`

func processes(t testing.TB, n *testbed.Node, pattern string) []testbed.Process {
	t.Helper()
	ps, err := n.Processes(pattern)
	if err != nil {
		t.Fatal(err)
	}
	return ps
}

// eventually polls a condition; what it returns is why it does not hold yet.
func eventually(t testing.TB, within time.Duration, condition func() string) time.Time {
	t.Helper()
	for end := time.Now().Add(within); ; time.Sleep(20 * time.Millisecond) {
		why := condition()
		now := time.Now()
		if why == "" {
			return now
		}
		if now.After(end) {
			t.Fatalf("not within %v: %s", within, why)
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// soak says whether the long variants run.
func soak() bool { return os.Getenv("FORETOP_SOAK") != "" }

func list(ps []testbed.Process) string {
	var out []string
	for _, p := range ps {
		out = append(out, fmt.Sprintf("%d %s %s", p.PID, p.State, p.Command))
	}
	return strings.Join(out, "; ")
}
