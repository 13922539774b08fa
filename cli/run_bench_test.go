package cli

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"foretop/simfleet"
	"foretop/sshpool"
)

// BenchmarkRun is one command on 1,000 nodes: over connections that are open, by this program from its start, and by pdsh and clush, which start an ssh for each. The servers are
// the same, in a process of their own, and all four are measured in one run, one after another. CPU counts the clients and all their children.
func BenchmarkRun(b *testing.B) {
	const nodes = 1000
	for _, program := range []string{"pdsh", "clush", "ssh"} {
		if _, err := exec.LookPath(program); err != nil {
			b.Fatalf("%v: run sh scripts/setup.sh bench", err)
		}
	}
	for range b.N {
		benchRun(b, nodes)
	}
}

func benchRun(b *testing.B, nodes int) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	sim, err := simfleet.StartChild(ctx, simfleet.Options{Nodes: nodes, Seed: 1, Scenario: simfleet.Healthy()})
	if err != nil {
		b.Fatal(err)
	}
	defer sim.Close()
	file, err := sim.WriteFiles(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	var names []string
	for _, n := range sim.Nodes() {
		names = append(names, n.Name)
	}
	sink := newReach(names)
	pool := sshpool.New(sshpool.Config{}, sink)
	defer pool.Close()
	for _, t := range simTargets(sim.Nodes(), sim.Signer()) {
		pool.Add(t)
	}
	for _, n := range names {
		if err := sink.await(ctx, n, time.Minute); err != nil {
			b.Fatalf("%s: %v", n, err)
		}
	}
	time.Sleep(2 * time.Second) // all streams run
	rest, began := selfCPU(), time.Now()
	time.Sleep(5 * time.Second)
	idle := float64(selfCPU()-rest) / float64(time.Since(began)) // of the streams themselves

	// Open connections: several rounds, for one is short.
	const rounds = 10
	var wall, cpu time.Duration
	for range rounds {
		var out bytes.Buffer
		r := &runner{names: names, line: "hostname", connect: time.Minute, width: 128, limit: 1 << 10, out: &out, errs: io.Discard, text: asItIs, errText: asItIs}
		began, before := time.Now(), selfCPU()
		if err := r.run(ctx, pool, sink.await); err != nil {
			b.Fatal(err)
		}
		wall, cpu = wall+time.Since(began), cpu+selfCPU()-before
		if n := bytes.Count(out.Bytes(), []byte("\n")); n != nodes {
			b.Fatalf("%d lines", n)
		}
	}
	ours := cpu.Seconds() / rounds
	b.ReportMetric(wall.Seconds()/rounds, "open-s")
	b.ReportMetric(1000*ours, "open-cpu-ms")
	b.ReportMetric(100*idle, "streams-cpu-%")
	pool.Close()

	set := fold(names)
	program := foretopProgram(b)
	dir := filepath.Dir(file)
	for _, c := range []struct {
		name string
		argv []string
	}{
		{"foretop", []string{program, "run", "-F", file, set, "--", "hostname"}},
		{"pdsh", []string{"pdsh", "-R", "ssh", "-f", "64", "-w", strings.Join(names, ","), "hostname"}},
		{"clush", []string{"clush", "-f", "64", "-o", "-F " + file, "-w", strings.Join(names, ","), "hostname"}},
	} {
		cmd := exec.CommandContext(ctx, c.argv[0], c.argv[1:]...)
		cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_CONFIG_HOME=", "PDSH_SSH_ARGS=-F "+file+" -a -x %h")
		var out, errs bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &errs
		began, before := time.Now(), usedCPU(syscall.RUSAGE_CHILDREN)
		err := cmd.Run()
		if n := bytes.Count(out.Bytes(), []byte("\n")); err != nil || n != nodes {
			b.Fatalf("%s: %v, %d lines\n%.2000s", c.name, err, n, errs.String())
		}
		used := (usedCPU(syscall.RUSAGE_CHILDREN) - before).Seconds()
		b.ReportMetric(time.Since(began).Seconds(), c.name+"-s")
		b.ReportMetric(1000*used, c.name+"-cpu-ms")
		if c.name != "foretop" {
			b.ReportMetric(used/ours, c.name+"-cpu/open")
		}
	}
}
