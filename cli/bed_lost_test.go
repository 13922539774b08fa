package cli

import (
	"slices"
	"syscall"
	"testing"
	"time"

	"foretop/fleet"
	"foretop/scripts/testbed"
	"foretop/sshpool"
)

// Nodes die in two ways: the kernel tells (a process or machine that ends in order closes its connections), or it does not (power, cable). The screen says so
// in time, the others never notice, and the node is back soon after it is.
func TestBedNodeDies(t *testing.T) {
	t.Parallel()
	bed := testbed.Nodes(t, 4)
	o := observe(t, sshpool.Config{ConfigFile: bed.SSHConfig}, named(bed.Names()...)...)
	o.allLive(30*time.Second, bed.Names()...)
	time.Sleep(2 * time.Second)

	others := []string{"node001", "node002", "node004"}
	for _, die := range []struct {
		what  string
		kill  func(*testbed.Node) error
		stale bool
		cause string
	}{
		{"power off", (*testbed.Node).PowerOff, true, "no answer for 1[0-9] s"},
		{"killed", (*testbed.Node).Kill, false, "connection lost"},
	} {
		n := bed.Node("node003")
		began := time.Now()
		last := o.Snapshot().Node("node003").LastData
		must(t, die.kill(n))
		if die.stale {
			m := o.reaches("node003", fleet.Stale, "no (data|sample) for", began, 10*time.Second)
			if d := m.at.Sub(o.Snapshot().Node("node003").LastData); d > 3*time.Second+look+slack {
				t.Errorf("%s: stale %v after the last sample", die.what, d)
			} else {
				t.Logf("%s: stale %v after the last sample (%v before the end)", die.what, d, began.Sub(last))
			}
		}
		lost := o.reaches("node003", fleet.Lost, die.cause, began, 20*time.Second)
		if lost.remedy == "" {
			t.Errorf("%s: no remedy: %v", die.what, lost)
		}
		if d := lost.since.Sub(began); !die.stale && d > 3*time.Second+slack {
			t.Errorf("%s: lost only after %v", die.what, d)
		}
		time.Sleep(3 * time.Second) // some tries fail
		up := time.Now()
		must(t, n.Start())
		greets := time.Now()
		back := o.reaches("node003", fleet.Live, "", up, 30*time.Second)
		if d := back.at.Sub(greets); d > 10*time.Second+slack {
			t.Errorf("%s: live only %v after its sshd greeted", die.what, d)
		} else {
			t.Logf("%s: live %v after its sshd greeted", die.what, d)
		}
		time.Sleep(2 * time.Second)
		o.steady(began, others...)
	}
}

// A collector that is stopped is not a node that is gone: the words say which, and it is live again when it goes on.
func TestBedCollectorStopped(t *testing.T) {
	t.Parallel()
	bed := testbed.Nodes(t, 2)
	o := observe(t, sshpool.Config{ConfigFile: bed.SSHConfig}, named(bed.Names()...)...)
	o.allLive(30*time.Second, bed.Names()...)

	began := time.Now()
	n := bed.Node("node001")
	hit, err := n.Signal(collectorsOn, syscall.SIGSTOP)
	must(t, err)
	if hit != 1 {
		t.Fatalf("%d collectors on the node: %s", hit, list(processes(t, n, ".")))
	}
	m := o.reaches("node001", fleet.Stale, "", began, 10*time.Second)
	if d := m.at.Sub(o.Snapshot().Node("node001").LastData); d > 3*time.Second+look+slack {
		t.Errorf("stale %v after the last sample", d)
	}
	said := o.reaches("node001", fleet.Stale, `collector silent \d+ s; ssh answers`, began, 10*time.Second)
	if said.remedy == "" {
		t.Errorf("no remedy: %v", said)
	}
	// Past the time after which a node that does not answer would be lost.
	time.Sleep(12 * time.Second)
	if now := o.now("node001"); now.State != fleet.Stale {
		t.Errorf("a stopped collector on a node that answers: %v", now)
	}
	on := time.Now()
	_, err = n.Signal(collectorsOn, syscall.SIGCONT)
	must(t, err)
	back := o.reaches("node001", fleet.Live, "", on, 20*time.Second)
	t.Logf("live %v after it went on", back.at.Sub(on))
	o.steady(began, "node002")
	eventually(t, 5*time.Second, func() string {
		if ps := processes(t, n, collectorsOn); len(ps) != 1 {
			return "not one collector: " + list(ps)
		}
		return ""
	})
	if !slices.Contains([]fleet.State{fleet.Live}, o.now("node001").State) {
		t.Errorf("now %v", o.now("node001"))
	}
}
