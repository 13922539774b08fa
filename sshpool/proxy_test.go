package sshpool

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

// writeConfig writes an ssh configuration and a private key, and gives the configuration's path and the key.
func writeConfig(t testing.TB, text string) (config, keyFile string, key ssh.Signer) {
	t.Helper()
	dir := t.TempDir()
	keyFile = filepath.Join(dir, "id_test")
	private, signer := newPrivate(t)
	if err := os.WriteFile(keyFile, private, 0o600); err != nil {
		t.Fatal(err)
	}
	config = filepath.Join(dir, "config")
	text = "IdentityFile " + keyFile + "\nIdentitiesOnly yes\nIdentityAgent none\nGlobalKnownHostsFile none\n" + text
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return config, keyFile, signer
}

func appendFile(t testing.TB, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

func TestProxyJump(t *testing.T) {
	config, _, key := writeConfig(t, "User u\n")
	near, far, node := newServer(t, nil, key.PublicKey()), newServer(t, nil, key.PublicKey()), newServer(t, collect, key.PublicKey())
	known := knownHosts(t, hostLine(near), hostLine(far), hostLine(node))
	appendFile(t, config, "UserKnownHostsFile "+known+"\n")
	appendFile(t, config, fmt.Sprintf("Host near\n HostName 127.0.0.1\n Port %d\nHost far\n HostName 127.0.0.1\n Port %d\n", near.port(), far.port()))
	for i := range 20 {
		appendFile(t, config, fmt.Sprintf("Host n%d\n HostName 127.0.0.1\n Port %d\n ProxyJump near,far\n", i, node.port()))
	}
	p, rec := newTestPool(t, Config{ConfigFile: config})
	for i := range 20 {
		p.Add(Target{Name: "n" + strconv.Itoa(i)})
	}
	for i := range 20 {
		rec.reached("n"+strconv.Itoa(i), Live, 0)
	}
	if near.count() != 1 || far.count() != 1 || node.count() != 20 {
		t.Errorf("logins: near %d, far %d, node %d", near.count(), far.count(), node.count())
	}
	// The jump host goes away and comes back: so do all nodes behind it.
	addr := near.listener.Addr().String()
	near.stop()
	for i := range 20 {
		rec.reached("n"+strconv.Itoa(i), Lost, 0)
	}
	rec.until("a cause with the jump host's name", func() bool {
		for _, s := range rec.statuses["n3"] {
			if strings.Contains(s.Cause, "jump host") && strings.Contains(s.Cause, "connection refused") {
				return true
			}
		}
		return false
	})
	rec.mu.Lock()
	var at [20]int
	for i := range at {
		at[i] = len(rec.statuses["n"+strconv.Itoa(i)])
	}
	rec.mu.Unlock()
	near.listen(addr)
	for i := range at {
		rec.reached("n"+strconv.Itoa(i), Live, at[i])
	}
}

func TestProxyJumpTroubles(t *testing.T) {
	config, _, key := writeConfig(t, "User u\n")
	jump := newServer(t, nil, key.PublicKey())
	closed := newServer(t, collect, key.PublicKey())
	closed.stop()
	unknown := newServer(t, nil, key.PublicKey())
	known := knownHosts(t, hostLine(jump))
	appendFile(t, config, "UserKnownHostsFile "+known+"\n")
	appendFile(t, config, fmt.Sprintf("Host jump\n HostName 127.0.0.1\n Port %d\nHost unknown\n HostName 127.0.0.1\n Port %d\n", jump.port(), unknown.port()))
	appendFile(t, config, fmt.Sprintf("Host down\n HostName 127.0.0.1\n Port %d\n ProxyJump jump\n", closed.port()))
	appendFile(t, config, "Host untrusted\n HostName 127.0.0.1\n ProxyJump unknown\n")
	appendFile(t, config, "Host circle\n HostName 127.0.0.1\n ProxyJump circle2\nHost circle2\n ProxyJump circle\n")
	p, rec := newTestPool(t, Config{ConfigFile: config})
	for _, c := range []struct {
		name  string
		state State
		cause string
	}{
		{"down", Lost, "jump host jump cannot reach 127.0.0.1:"},
		{"untrusted", NeedsTrust, "jump host unknown: host key of [127.0.0.1]:"},
		{"circle", Lost, "without end"},
	} {
		p.Add(Target{Name: c.name})
		s, _ := rec.reached(c.name, c.state, 0)
		if !strings.Contains(s.Cause, c.cause) || s.Remedy == "" {
			t.Errorf("%s: %+v", c.name, s)
		}
	}
}

func TestProxyCommand(t *testing.T) {
	config, _, key := writeConfig(t, "User u\n")
	jump, node := newServer(t, nil, key.PublicKey()), newServer(t, collect, key.PublicKey())
	known := knownHosts(t, hostLine(jump), hostLine(node))
	appendFile(t, config, "UserKnownHostsFile "+known+"\n")
	appendFile(t, config, fmt.Sprintf("Host jump\n HostName 127.0.0.1\n Port %d\n", jump.port()))
	appendFile(t, config, fmt.Sprintf("Host node\n HostName 127.0.0.1\n Port %d\n ProxyCommand ssh -F %s -W %%h:%%p jump\n", node.port(), config))
	appendFile(t, config, "Host broken\n ProxyCommand sh -c \"echo no such gateway >&2; exit 7\"\n")
	p, rec := newTestPool(t, Config{ConfigFile: config})
	p.Add(Target{Name: "node"})
	rec.reached("node", Live, 0)
	p.Add(Target{Name: "broken"})
	s, _ := rec.reached("broken", Lost, 0)
	if !strings.Contains(s.Cause, "ProxyCommand: exit 7: no such gateway") {
		t.Errorf("cause %q", s.Cause)
	}
}
