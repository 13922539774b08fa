package cli

import (
	"context"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"foretop/config"
	"foretop/fleet"
	"foretop/scripts/testbed"
	"foretop/simfleet"
	"foretop/sshpool"
)

// childVar tells this test binary, started again by a test on a terminal of its own, what to be.
const childVar = "FORETOP_TERM_CHILD"

// onTerminal starts this test binary again as the child of that name.
func onTerminal(t *testing.T, bytesPerSecond int, name string) *testbed.SlowTerm {
	t.Helper()
	self, err := os.Executable()
	must(t, err)
	return testbed.SlowPTY(t, bytesPerSecond, "env", childVar+"="+name, "HOME="+t.TempDir(), self, "-test.run=^TestTermChild$", "-test.v=false")
}

// fast is the rate of a terminal on the same machine.
const fast = 4 << 20

// TestTermChild is what such a child runs; in a run of all tests it does nothing.
func TestTermChild(t *testing.T) {
	name, arg, _ := strings.Cut(os.Getenv(childVar), " ")
	switch name {
	case "rule":
		childWithBadRule()
	case "ages":
		childWithAges(arg)
	}
}

// childWithBadRule is the whole screen on a simulated fleet, with a rule that panics after a while, as one with a fault on rare input would.
func childWithBadRule() {
	after := time.Now().Add(5 * time.Second)
	opt := fleet.Options{}
	opt.Rules.Node = func(n *fleet.Node, at time.Time, _ *fleet.Memory) []fleet.Problem {
		if at.After(after) && n.State == fleet.Live {
			var none []fleet.Problem
			return none[:1]
		}
		return nil
	}
	sim, err := simfleet.Start(context.Background(), simfleet.Options{Nodes: 4, Seed: 1})
	if err != nil {
		fmt.Println(err)
		os.Exit(4)
	}
	s := &station{Fleet: fleet.New(opt)}
	s.pool = sshpool.New(sshpool.Config{}, s)
	for _, target := range simTargets(sim.Nodes(), sim.Signer()) {
		s.Add(target.Name)
		s.pool.Add(target)
	}
	err = show(context.Background(), s, config.Default(), "child", func(*fleet.Snapshot) {}, nil)
	s.Close()
	if err != nil {
		fmt.Println("foretop:", err)
		os.Exit(codeError)
	}
	os.Exit(codeOK)
}

// The terminal is as it was, settings and modes, however the program ends.
func TestTermRestored(t *testing.T) {
	t.Parallel()
	program := foretopProgram(t)
	for _, end := range []struct {
		what string
		code int
		do   func(*testbed.SlowTerm)
	}{
		{"q", 0, func(s *testbed.SlowTerm) { s.Type("q") }},
		{"Ctrl-C", 0, func(s *testbed.SlowTerm) { s.Type("\x03") }},
		{"Ctrl-C at the filter", 0, func(s *testbed.SlowTerm) { s.Type("/gp"); time.Sleep(300 * time.Millisecond); s.Type("\x03") }},
		{"SIGTERM", 0, func(s *testbed.SlowTerm) { s.Signal(syscall.SIGTERM) }},
		{"SIGINT", 0, func(s *testbed.SlowTerm) { s.Signal(syscall.SIGINT) }},
		{"SIGHUP", 0, func(s *testbed.SlowTerm) { s.Signal(syscall.SIGHUP) }},
	} {
		t.Run(end.what, func(t *testing.T) {
			s := testbed.SlowPTY(t, fast, "env", "HOME="+t.TempDir(), program, "demo", "--nodes", "8", "--mouse")
			s.WaitFor("8 live", 20*time.Second)
			time.Sleep(300 * time.Millisecond)
			end.do(s)
			if code := s.WaitExit(10 * time.Second); code != end.code {
				t.Errorf("exit code %d, want %d", code, end.code)
			}
			if err := s.Restored(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestTermRestoredAfterPanic(t *testing.T) {
	t.Parallel()
	s := onTerminal(t, fast, "rule")
	s.WaitFor("4 live", 30*time.Second)
	if code := s.WaitExit(20 * time.Second); code != codeError {
		t.Errorf("exit code %d, want %d", code, codeError)
	}
	if err := s.Restored(); err != nil {
		t.Error(err)
	}
	out := string(s.Output())
	end := out[max(0, strings.LastIndex(out, "\x1b[?1049l")):]
	if !strings.Contains(end, "slice bounds out of range") {
		t.Errorf("the fault is not told behind the screen: %q", end[max(0, len(end)-600):])
	}
}

// childWithAges is the demo, with a note each 100 ms in a file: the oldest sample of any live node, in milliseconds.
func childWithAges(file string) {
	sim, stop, err := openDemo(context.Background(), simfleet.Options{Nodes: 32, Seed: 1})
	if err != nil {
		fmt.Println(err)
		os.Exit(4)
	}
	defer stop()
	notes, err := os.Create(file)
	if err != nil {
		fmt.Println(err)
		os.Exit(4)
	}
	go func() {
		for range time.Tick(100 * time.Millisecond) {
			s := sim.Snapshot()
			oldest, live := time.Duration(0), 0
			for _, n := range s.Nodes {
				if n.State == fleet.Live {
					live++
					oldest = max(oldest, time.Since(n.LastData))
				}
			}
			fmt.Fprintln(notes, live, oldest.Milliseconds(), time.Since(s.At).Milliseconds())
		}
	}()
	if err := show(context.Background(), sim.station, config.Default(), "child", func(*fleet.Snapshot) {}, nil); err != nil {
		fmt.Println("foretop:", err)
		os.Exit(codeError)
	}
}
