package ui

import (
	"strings"
	"testing"
	"time"

	"foretop/fleet"
)

// unreached is a fleet whose nodes were never seen: a host key that nobody knows, one that has changed, and one that says no.
func unreached() *fleet.Snapshot {
	f := &fixture{seed: 5}
	const print = "SHA256:2vq8Jr9m4gkO0cQq3cYxwSXTpvFGkq1zDlmZ0wU7hNM"
	add := func(name string, s fleet.State, cause, remedy string) *fleet.Node {
		n := &fleet.Node{Name: name, State: s, Since: noon.Add(-time.Minute), Cause: cause, Remedy: remedy, Attempt: 1}
		f.nodes = append(f.nodes, n)
		return n
	}
	add("gpu001", fleet.NeedsTrust, "host key of gpu001 is unknown: ED25519 "+print,
		"compare the fingerprint with the admin's, then take the key: ssh -p 22 ann@gpu001 (it goes to /home/ann/.ssh/known_hosts)")
	add("gpu002", fleet.NeedsTrust, "HOST KEY OF gpu002 HAS CHANGED: now ED25519 "+print+", known is another (ED25519 /home/ann/.ssh/known_hosts:7); someone may be listening in",
		"ask the node's admin whether it was reinstalled; only then: ssh-keygen -f /home/ann/.ssh/known_hosts -R gpu002, and ssh gpu002 to take the new key")
	n := add("gpu003", fleet.Refused, "Access denied by pam_slurm_adopt: you have no active jobs on this node", "no job of yours runs here")
	n.Attempt, n.NextTry, n.Banner = 4, noon.Add(50*time.Second), "Authorized users only.\nAll activity is logged."
	return f.snapshot()
}

// squeeze is text as one line without what wrapping adds.
func squeeze(s string) string { return strings.Join(strings.Fields(s), " ") }

// TestWhyIsReadable shows that cause, remedy and fingerprint of a node that was never seen can be read whole, on screens small and large.
func TestWhyIsReadable(t *testing.T) {
	for _, size := range sizes[:3] {
		for _, n := range unreached().Nodes {
			d := drive(unreached(), size.w, size.h, Options{})
			d.keys("2")
			for d.nodes.selected() != n.Name {
				d.keys("down")
			}
			d.keys("enter")
			d.must(t)
			text := squeeze(d.text())
			for _, want := range []string{n.Cause, n.Remedy, squeeze(n.Banner), "what to do"} {
				if !strings.Contains(text, want) {
					t.Errorf("%s of %s: no %q in\n%s", size.name, n.Name, want, d.text())
				}
			}
			for _, box := range []string{"CPU and memory", "GPUs ─", "of GPU"} {
				if strings.Contains(d.text(), box) {
					t.Errorf("%s of %s: an empty box %q in\n%s", size.name, n.Name, box, d.text())
				}
			}
		}
	}
}

// TestWhyScrolls shows that on a screen too small for it the page can be moved, to its last word.
func TestWhyScrolls(t *testing.T) {
	d := drive(unreached(), 30, 8, Options{})
	d.keys("2", "G", "enter", "G")
	d.must(t)
	seen := d.text()
	d.keys("g")
	if d.text() == seen || d.Model.node.top != 0 {
		t.Fatalf("g does not lead to the top: line %d", d.Model.node.top)
	}
	d.keys("down", "down")
	if d.Model.node.top != 2 {
		t.Errorf("the arrows do not scroll: line %d", d.Model.node.top)
	}
}

// TestWhyInTheList shows that the lines under the nodes hold more than one line of a cause.
func TestWhyInTheList(t *testing.T) {
	d := drive(unreached(), 120, 40, Options{})
	d.keys("2")
	for d.nodes.selected() != "gpu001" {
		d.keys("down")
	}
	lines := strings.Split(d.text(), "\n")
	got := squeeze(lines[len(lines)-3] + " " + lines[len(lines)-2])
	if want := "SHA256:2vq8Jr9m4gkO0cQq3cYxwSXTpvFGkq1zDlmZ0wU7hNM → compare the fingerprint with the admin's, then take the key:"; !strings.Contains(got, want) {
		t.Errorf("no %q in\n%s", want, d.text())
	}
}

// TestCopyWhy shows that what is copied of such a node is its cause and remedy, and nothing that a terminal obeys.
func TestCopyWhy(t *testing.T) {
	n := &fleet.Node{Name: "a", State: fleet.NeedsTrust, Cause: "host key\nis \x1b[31munknown\x07", Remedy: "ssh\ta"}
	if got, want := copyWhy(n), "host key is [31munknown\nssh a"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	d := drive(unreached(), 80, 24, Options{})
	d.keys("2", "enter", "y")
	d.shows(t, "copied why gpu00")
}

// TestChangedKeyIsAnAlarm shows that a host key which has changed stands with the lost nodes, above one that is not known.
func TestChangedKeyIsAnAlarm(t *testing.T) {
	snap := unreached()
	d := drive(snap, 120, 40, Options{})
	d.shows(t, "✖ 2 critical ▲ 1 warning")
	d.keys("2")
	d.shows(t, "gpu002   ✖ needs-trust", "gpu001   ▲ needs-trust")
	if got, want := strings.Join(d.nodes.keys, " "), "gpu002 gpu003 gpu001"; got != want {
		t.Errorf("the rows are %s, want %s", got, want)
	}
	revoked := &fleet.Node{State: fleet.NeedsTrust, Cause: "HOST KEY OF a IS REVOKED: ED25519 SHA256:x"}
	if got := nodeSeverity(revoked); got != fleet.Critical {
		t.Errorf("a revoked key is %s", got)
	}
}
