//go:build unix

package sshpool

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"
)

// many says how many nodes a test plays: all of them only where there is time (make soak).
func many(sample, all int) int {
	if os.Getenv("FORETOP_SOAK") != "" {
		return all
	}
	return sample
}

// A jump host whose connections each carry so many channels, as its limit on open files lets them, and then says what sshd says: "open failed". All nodes behind it come by opening a few more
// connections, and once more when it has been rebooted; of those that are not logged in yet there is never more than one at a time.
func TestJumpForMany(t *testing.T) {
	nodes, room := many(150, 1000), many(60, 250)
	key := newSigner(t)
	node := newServer(t, collect, key.PublicKey())
	node.stop()
	node.listen("0.0.0.0:0")
	jump := newServer(t, nil, key.PublicKey())
	var mu sync.Mutex
	carried, most := map[ssh.Conn]int{}, 0
	hook := func(c ssh.Conn, n ssh.NewChannel) {
		mu.Lock()
		if carried[c] >= room {
			mu.Unlock()
			_ = n.Reject(ssh.ConnectionFailed, "open failed")
			return
		}
		carried[c]++
		most = max(most, carried[c])
		mu.Unlock()
		forward(n)
		mu.Lock()
		carried[c]--
		mu.Unlock()
	}
	jump.set(func() { jump.forward = hook })
	config, keyFile, _ := writeConfig(t, "User u\n")
	private, signer := newPrivate(t)
	if err := os.WriteFile(keyFile, private, 0o600); err != nil {
		t.Fatal(err)
	}
	jump.change(func(c *ssh.ServerConfig) {
		c.PublicKeyCallback = func(_ ssh.ConnMetadata, k ssh.PublicKey) (*ssh.Permissions, error) {
			if !sameKey(k, signer.PublicKey()) {
				return nil, fmt.Errorf("no")
			}
			return nil, nil
		}
	})
	appendFile(t, config, fmt.Sprintf("UserKnownHostsFile %s\nHost jump\n HostName 127.0.0.1\n Port %d\n", knownHosts(t, hostLine(jump)), jump.port()))
	p, rec := newTestPool(t, Config{ConfigFile: config})
	name := func(i int) string { return "n" + strconv.Itoa(i) }
	for i := range nodes {
		r := *node.resolved(key)
		r.HostName, r.ProxyJump = benchAddress(i), "jump"
		p.Add(Target{Name: name(i), Resolved: &r})
	}
	all := func(what string) {
		t.Helper()
		rec.until(what, func() bool {
			for i := range nodes {
				l := rec.statuses[name(i)]
				if len(l) == 0 || l[len(l)-1].State != Live && l[len(l)-1].State != Stale { // on a machine that is busy some are late with a sample
					return false
				}
			}
			return true
		})
	}
	all("all live")
	links := (nodes + room - 1) / room
	if n := jump.count(); n > links+1 {
		t.Errorf("%d connections to the jump host for %d nodes, %d each", n, nodes, room)
	}
	before := jump.count()
	addr := jump.listener.Addr().(*net.TCPAddr).String()
	jump.stop()
	rec.until("all lost", func() bool {
		for i := range nodes {
			l := rec.statuses[name(i)]
			if s := l[len(l)-1].State; s == Live || s == Stale {
				return false
			}
		}
		return true
	})
	jump.listen(addr)
	all("all live again")
	if n := jump.count() - before; n > links+1 {
		t.Errorf("%d connections after the reboot", n)
	}
	jump.mu.Lock()
	defer jump.mu.Unlock()
	if jump.mostEntering > 1 {
		t.Errorf("%d connections were logging in to the jump host at once", jump.mostEntering)
	}
	mu.Lock()
	defer mu.Unlock()
	if most > room {
		t.Errorf("%d channels on a connection", most)
	}
	rec.mu.Lock()
	defer rec.mu.Unlock()
	for name, l := range rec.statuses {
		for _, s := range l {
			if strings.Contains(s.Cause, "open failed") {
				t.Errorf("%s was told that the jump host is full: %q", name, s.Cause)
			}
		}
	}
}

// A node that its jump host cannot reach is not taken for a full jump host more than once.
func TestJumpNotFull(t *testing.T) {
	j := &jump{dialling: make(chan struct{}, 1)}
	l := &jumpLink{used: jumpFew, room: jumpTargets}
	for _, c := range []struct {
		used int
		err  error
		full bool
	}{
		{jumpFew, &ssh.OpenChannelError{Reason: ssh.ConnectionFailed, Message: "open failed"}, true},
		{jumpFew, &ssh.OpenChannelError{Reason: ssh.ResourceShortage, Message: "no more"}, true},
		{jumpFew, &ssh.OpenChannelError{Reason: ssh.ConnectionFailed, Message: "Connection refused"}, false},
		{jumpFew, &ssh.OpenChannelError{Reason: ssh.Prohibited, Message: "open failed"}, false},
		{jumpFew - 1, &ssh.OpenChannelError{Reason: ssh.ConnectionFailed, Message: "open failed"}, false},
		{jumpFew, errCarrierClosed, false},
	} {
		l.used = c.used
		if got := j.mayBeFull(l, &problem{err: c.err}); got != c.full {
			t.Errorf("%d channels, %v: %v", c.used, c.err, got)
		}
	}
}
