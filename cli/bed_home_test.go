package cli

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"foretop/fleet"
	"foretop/scripts/testbed"
	"foretop/sshpool"
)

// received is how many bytes a node's network card has taken in.
func received(t *testing.T, n *testbed.Node) int {
	t.Helper()
	out, err := n.Exec("cat", "/sys/class/net/eth0/statistics/rx_bytes")
	must(t, err)
	bytes, err := strconv.Atoi(strings.TrimSpace(out))
	must(t, err)
	return bytes
}

// uploaded counts the nodes that were sent a program: a start without one takes some 30 KB.
func uploaded(t *testing.T, bed *testbed.Bed, before []int) (sent []string) {
	t.Helper()
	for i, n := range bed.Nodes {
		if got := received(t, n) - before[i]; got > 1<<20 {
			sent = append(sent, fmt.Sprintf("%s (%d KB)", n.Name, got>>10))
		}
	}
	return sent
}

func card(t *testing.T, bed *testbed.Bed) (bytes []int) {
	t.Helper()
	for _, n := range bed.Nodes {
		bytes = append(bytes, received(t, n))
	}
	return bytes
}

// runsFrom is the folder that a node's collector was started from.
func runsFrom(t *testing.T, n *testbed.Node) string {
	t.Helper()
	ps := processes(t, n, collectorsOn)
	if len(ps) != 1 {
		t.Fatalf("%s runs %s", n.Name, list(ps))
	}
	path, _, _ := strings.Cut(ps[0].Command, " ")
	return path[:strings.LastIndexByte(path, '/')]
}

// Nodes that share one home: one of them is sent the collector, the others find it there and copy it to a folder of their own. The file server then hangs:
// every stream goes on, because nothing runs from there.
func TestBedSharedHome(t *testing.T) {
	nodes := 12
	if soak() {
		nodes = 50 // alone: fifty real nodes are all that two cores carry
	} else {
		t.Parallel()
	}
	bed := testbed.Nodes(t, nodes, testbed.SharedHome("lab"), testbed.FreezableHome())
	before := card(t, bed)
	o := observe(t, sshpool.Config{ConfigFile: bed.SSHConfig}, named(bed.Names()...)...)
	o.allLive(90*time.Second, bed.Names()...)
	t.Logf("%d nodes live after %v", nodes, time.Since(o.opened).Round(time.Second/10))
	if sent := uploaded(t, bed, before); len(sent) != 1 {
		t.Errorf("%d uploads into one home: %v", len(sent), sent)
		o.tell()
	}
	for _, n := range bed.Nodes {
		if dir := runsFrom(t, n); !strings.HasPrefix(dir, "/var/tmp/foretop-") {
			t.Errorf("%s runs from %s", n.Name, dir)
		}
	}
	time.Sleep(2 * time.Second)
	frozen := time.Now()
	for _, n := range bed.Nodes {
		must(t, n.FreezeHome(true))
	}
	time.Sleep(8 * time.Second)
	o.steady(frozen.Add(time.Second), bed.Names()...)
	for _, n := range bed.Nodes {
		must(t, n.FreezeHome(false))
	}
}

// Nodes whose own folders all refuse to execute anything share one home that does: one upload, and all run from it.
func TestBedSharedHomeOnly(t *testing.T) {
	nodes := 8
	if soak() {
		nodes = 50
	} else {
		t.Parallel()
	}
	opts := append(noexec("/tmp", "/var/tmp", "/dev/shm"), testbed.SharedHome("lab"))
	bed := testbed.Nodes(t, nodes, opts...)
	before := card(t, bed)
	o := observe(t, sshpool.Config{ConfigFile: bed.SSHConfig}, named(bed.Names()...)...)
	o.allLive(90*time.Second, bed.Names()...)
	if sent := uploaded(t, bed, before); len(sent) != 1 {
		t.Errorf("%d uploads into one home: %v", len(sent), sent)
		o.tell()
	}
	for _, n := range bed.Nodes {
		if dir := runsFrom(t, n); dir != "/home/ann/.cache/foretop" {
			t.Errorf("%s runs from %s", n.Name, dir)
		}
	}
	t.Logf("%d nodes live after %v", nodes, time.Since(o.opened).Round(time.Second/10))
	// A node that starts anew finds it there.
	n := bed.Nodes[0]
	must(t, n.Kill())
	o.reaches(n.Name, fleet.Lost, "", o.opened, 10*time.Second)
	up := time.Now()
	must(t, n.Start())
	o.reaches(n.Name, fleet.Live, "", up, 30*time.Second)
	if got := received(t, n); got > 1<<20 {
		t.Errorf("%s was sent %d KB when it came back", n.Name, got>>10)
	}
}
