package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"foretop/config"
	"foretop/fleet"
	"foretop/simfleet"
	"foretop/sshpool"
	"foretop/ui"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"
)

// The budgets of the whole: the fleet runs in a process of its own, this one is the front end with everything on: pool, streams, history, findings, jobs, two
// snapshots a second, and the screen drawn to nowhere at 200×60. The floor is the same bytes through bare x/crypto/ssh clients, in the same run.

func BenchmarkFleet(b *testing.B) {
	for _, nodes := range []int{1000, 5000} {
		b.Run(fmt.Sprintf("%d_nodes", nodes), func(b *testing.B) {
			for range b.N {
				benchFleet(b, nodes)
			}
		})
	}
}

// BenchmarkConnectCold is how long until all nodes are live when nothing is known of them: every name goes through `ssh -G`, and keys and known_hosts are read from
// files. CPU counts the ssh programs.
func BenchmarkConnectCold(b *testing.B) {
	const nodes = 1000
	for range b.N {
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
		sim, err := simfleet.StartChild(ctx, simfleet.Options{Nodes: nodes, Seed: 1, Scenario: simfleet.Healthy()})
		if err != nil {
			b.Fatal(err)
		}
		file, err := sim.WriteFiles(b.TempDir())
		if err != nil {
			b.Fatal(err)
		}
		var names []string
		for _, n := range sim.Nodes() {
			names = append(names, n.Name)
		}
		began, cpu, children := time.Now(), selfCPU(), usedCPU(syscall.RUSAGE_CHILDREN)
		s := openStation(fleet.Options{}, sshpool.Config{ConfigFile: file}, targetsOf(names))
		for s.Publish().Totals.ByState[fleet.Live] < nodes {
			if ctx.Err() != nil {
				b.Fatalf("not all live: %v", s.Snapshot().Totals)
			}
			time.Sleep(config.Default().Refresh)
		}
		cpu, children = selfCPU()-cpu, usedCPU(syscall.RUSAGE_CHILDREN)-children
		b.ReportMetric(time.Since(began).Seconds(), "connect-s")
		b.ReportMetric(float64((cpu+children).Microseconds())/nodes/1000, "connect-cpu-ms/node")
		b.ReportMetric(float64(children.Microseconds())/nodes/1000, "ssh-G-cpu-ms/node")
		s.Close()
		sim.Close()
		cancel()
	}
}

// steadyFor is how long the steady state is measured.
const steadyFor = 20 * time.Second

func benchFleet(b *testing.B, nodes int) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	sim, err := simfleet.StartChild(ctx, simfleet.Options{Nodes: nodes, Seed: 1, Scenario: simfleet.Healthy()})
	if err != nil {
		b.Fatal(err)
	}
	defer sim.Close()

	began, cpu := time.Now(), selfCPU()
	s := openStation(fleet.Options{}, sshpool.Config{}, simTargets(sim.Nodes(), sim.Signer()))
	defer s.Close()
	program := tea.NewProgram(ui.New(ui.Options{Source: s}), tea.WithContext(ctx), tea.WithInput(bytes.NewReader(nil)), tea.WithOutput(io.Discard),
		tea.WithWindowSize(200, 60), tea.WithColorProfile(colorprofile.TrueColor), tea.WithoutSignals())
	done := make(chan struct{})
	go func() { program.Run(); close(done) }()
	complete := make(chan struct{})
	s.publish(ctx, config.Default().Refresh, func(snap *fleet.Snapshot) {
		program.Send(ui.SnapshotMsg{Snapshot: snap})
		if snap.Totals.ByState[fleet.Live] == nodes && complete != nil {
			close(complete)
			complete = nil
		}
	}, func(err error) { panic(err) })
	wait := complete
	select {
	case <-wait:
	case <-ctx.Done():
		b.Fatalf("not all live: %v", s.Snapshot().Totals)
	}
	b.ReportMetric(time.Since(began).Seconds(), "connect-s")
	b.ReportMetric(float64((selfCPU()-cpu).Microseconds())/float64(nodes)/1000, "connect-cpu-ms/node")

	time.Sleep(5 * time.Second)
	steady := measure(steadyFor)
	sent := 0.0
	for _, n := range s.Publish().Nodes {
		sent += n.Self.SentBytesPerS.Or(0)
	}
	perNode := sent / float64(nodes)
	b.ReportMetric(100*steady, "steady-cpu-%")
	b.ReportMetric(float64(residentBytes())/(1<<20), "rss-MB")
	b.ReportMetric(perNode, "B/s/node")
	program.Kill()
	<-done
	s.Close()
	sim.Close()

	raw, err := simfleet.StartChild(ctx, simfleet.Options{Nodes: nodes, Seed: 1, Scenario: simfleet.Healthy(), RawBytes: max(1, int(perNode))})
	if err != nil {
		b.Fatal(err)
	}
	defer raw.Close()
	cpu = selfCPU()
	drain, err := simfleet.StartDrain(ctx, raw.Nodes(), raw.Signer(), 16)
	if err != nil {
		b.Fatal(err)
	}
	defer drain.Close()
	b.ReportMetric(float64((selfCPU()-cpu).Microseconds())/float64(nodes)/1000, "floor-connect-cpu-ms/node")
	time.Sleep(2 * time.Second)
	floor := measure(steadyFor / 2)
	b.ReportMetric(100*floor, "floor-cpu-%")
	b.ReportMetric(steady/floor, "ratio")
}

// measure is the share of one core that this process takes over a time.
func measure(d time.Duration) float64 {
	runtime.GC()
	cpu, at := selfCPU(), time.Now()
	time.Sleep(d)
	return float64(selfCPU()-cpu) / float64(time.Since(at))
}

func selfCPU() time.Duration { return usedCPU(syscall.RUSAGE_SELF) }

func usedCPU(who int) time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(who, &r); err != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

func residentBytes() int64 {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if v, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, _ := strconv.ParseInt(strings.Fields(v)[0], 10, 64)
			return kb << 10
		}
	}
	return 0
}
