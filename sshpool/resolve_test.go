package sshpool

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParseName(t *testing.T) {
	for _, c := range []struct {
		name string
		want spec
	}{
		{"gpu001", spec{Host: "gpu001"}},
		{"ann@gpu001", spec{User: "ann", Host: "gpu001"}},
		{"ann@gpu001:2222", spec{User: "ann", Host: "gpu001", Port: 2222}},
		{"ann@corp@gpu001", spec{User: "ann@corp", Host: "gpu001"}},
		{"::1", spec{Host: "::1"}},
		{"[::1]:22", spec{Host: "::1", Port: 22}},
		{"[::1]", spec{Host: "::1"}},
		{"u@fe80::1%eth0", spec{User: "u", Host: "fe80::1%eth0"}},
	} {
		got, err := parseName(c.name)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
	for _, bad := range []string{"", "-oProxyCommand=x", "u@-host", "-u@host", "@host", "a b", "a\nb", "a;b", "$(x)", "`x`", "a|b", "a>b", "host:", "host:0",
		"host:65536", "host:ssh", "a\x1bb", "a'b", `a"b`, "a\\b", "[::1", "ä", "{a,b}", strings.Repeat("a", 600)} {
		if s, err := parseName(bad); err == nil {
			t.Errorf("%q passed as %+v", bad, s)
		}
	}
}

func testEnv() environment {
	return environment{Home: "/home/ann", LocalUser: "ann", UID: 1000, HostName: "laptop.home", Getenv: func(k string) string {
		return map[string]string{"KEYS": "/keys", "SOCK": "/run/sock"}[k]
	}}
}

func TestParseG(t *testing.T) {
	out := `user ann
hostname gpu001.cluster
port 2222
identityfile ~/.ssh/id_%h_%r
identityfile ${KEYS}/%%%n
identityfile none
certificatefile %d/c-%p-%u-%i-%L.pub
identityagent $SOCK
identitiesonly yes
userknownhostsfile ~/.ssh/known_hosts /dev/null
globalknownhostsfile /etc/ssh/ssh_known_hosts
hostkeyalgorithms ssh-ed25519,rsa-sha2-512
proxycommand nc %h %p --as %r
proxyjump none
hostkeyalias gpus
knownhostscommand none
pkcs11provider /usr/lib/p11.so
unknownthing whatever
`
	got, err := parseG([]byte(out), "gpu1", testEnv(), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := &Resolved{
		Alias: "gpu1", HostName: "gpu001.cluster", Port: 2222, User: "ann", HostKeyAlias: "gpus",
		UserKnownHosts: []string{"/home/ann/.ssh/known_hosts", "/dev/null"}, GlobalKnownHosts: []string{"/etc/ssh/ssh_known_hosts"},
		HostKeyAlgorithms: []string{"ssh-ed25519", "rsa-sha2-512"},
		IdentityFiles:     []string{"/home/ann/.ssh/id_gpu001.cluster_ann", "/keys/%gpu1"},
		CertificateFiles:  []string{"/home/ann/c-2222-ann-1000-laptop.pub"},
		IdentitiesOnly:    true, IdentityAgent: "/run/sock", Ways: []string{"publickey", "keyboard-interactive", "password"},
		ProxyCommand: "nc gpu001.cluster 2222 --as ann", MaySSH: []string{"PKCS11Provider"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, bad := range []string{"", "user x\n", "hostname x\n", "user x\nhostname y\nport z\n"} {
		if _, err := parseG([]byte(bad), "x", testEnv(), nil); err == nil {
			t.Errorf("%q passed", bad)
		}
	}
}

func TestIdentityAgentWords(t *testing.T) {
	tk := tokens{r: &Resolved{HostName: "h"}, env: testEnv()}
	for in, want := range map[string]string{"": "", "SSH_AUTH_SOCK": "", "none": "none", "$SOCK": "/run/sock", "$MISSING": "none", "~/a/%h": "/home/ann/a/h", "${SOCK}.2": "/run/sock.2"} {
		if got := tk.agent(in); got != want {
			t.Errorf("agent(%q) = %q, want %q", in, got, want)
		}
	}
}

func newTestResolver(t *testing.T, config string) *resolver {
	t.Helper()
	return newResolver(Config{ConfigFile: config, Home: t.TempDir(), Timing: Timing{}.withDefaults()})
}

func TestResolveBySSH(t *testing.T) {
	dir := t.TempDir()
	config := filepath.Join(dir, "config")
	more := filepath.Join(dir, "more")
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(config, "Include "+more+"\nMatch final all\n  Port 2022\nHost *\n  User everyone\n")
	write(more, "Host gpu*\n  HostName 10.1.2.3\n  ProxyJump ann@login:2200,login2\n  IdentityFile ~/k/%n\n  HostKeyAlias gpus\n")
	r := newTestResolver(t, config)
	got, err := r.resolve(context.Background(), "gpu7")
	if err != nil {
		t.Fatal(err)
	}
	if got.HostName != "10.1.2.3" || got.Port != 2022 || got.User != "everyone" || got.ProxyJump != "ann@login:2200,login2" || got.HostKeyAlias != "gpus" ||
		len(got.IdentityFiles) != 1 || !strings.HasSuffix(got.IdentityFiles[0], "/k/gpu7") {
		t.Errorf("resolved: %+v", got)
	}
	again, err := r.resolve(context.Background(), "gpu7")
	if err != nil || again != got {
		t.Errorf("not from the cache: %v", err)
	}
	named, err := r.resolve(context.Background(), "bob@gpu7:99")
	if err != nil || named.User != "bob" || named.Port != 99 {
		t.Errorf("user and port of the name: %+v %v", named, err)
	}
	write(more, "Host gpu*\n  HostName 10.9.9.99\n") // an included file changes
	got, err = r.resolve(context.Background(), "gpu7")
	if err != nil || got.HostName != "10.9.9.99" {
		t.Errorf("after a change: %+v %v", got, err)
	}
	write(config, "Nonsense yes\n")
	_, err = r.resolve(context.Background(), "gpu7")
	if err == nil || !strings.Contains(err.Error(), "Nonsense") && !strings.Contains(strings.ToLower(err.Error()), "bad configuration option") {
		t.Errorf("a broken configuration: %v", err)
	}
}

func TestResolveParallel(t *testing.T) {
	config := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(config, []byte("Host n*\n HostName 10.0.0.%h\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := newTestResolver(t, config)
	errs := make(chan error)
	for i := range 40 {
		go func() {
			name := fmt.Sprint("n", i)
			got, err := r.resolve(context.Background(), name)
			if err == nil && got.HostName != "10.0.0."+name {
				err = fmt.Errorf("%s: %+v", name, got)
			}
			errs <- err
		}()
	}
	for range 40 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

func TestResolveHangs(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "slow-ssh")
	if err := os.WriteFile(program, []byte("#!/bin/sh\nexec sleep 60\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	timing := Timing{Resolve: 200 * time.Millisecond}.withDefaults()
	r := newResolver(Config{Program: program, Home: dir, Timing: timing})
	begun := time.Now()
	_, err := r.resolve(context.Background(), "n")
	if err == nil || !strings.Contains(err.Error(), "no answer in 200ms") || time.Since(begun) > patience {
		t.Errorf("after %v: %v", time.Since(begun), err)
	}
}
