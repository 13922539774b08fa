package sshpool

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

// resolveProblem is what a name comes to with a configuration file.
func resolveProblem(t *testing.T, cfg Config) *problem {
	t.Helper()
	cfg.Timing = cfg.Timing.withDefaults()
	_, err := newResolver(cfg).resolve(context.Background(), "node001")
	var p *problem
	if !errors.As(err, &p) {
		t.Fatalf("error %v", err)
	}
	return p
}

func TestConfigurationProblemsAreNamed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(file, []byte("Bogus yes\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := resolveProblem(t, Config{ConfigFile: file, Program: "no-such-ssh", Home: t.TempDir()})
	if !strings.Contains(p.cause, "no ssh program") || !strings.Contains(p.cause, file) || !strings.Contains(p.remedy, "install") {
		t.Errorf("without ssh: %q, %q", p.cause, p.remedy)
	}
	p = resolveProblem(t, Config{ConfigFile: file, Home: t.TempDir()})
	if !strings.Contains(strings.ToLower(p.cause), "line 1") || !strings.Contains(strings.ToLower(p.cause), "bogus") || !strings.Contains(p.remedy, "-F "+file) {
		t.Errorf("a bad option: %q, %q", p.cause, p.remedy)
	}
}

func TestStrictUsersAreTold(t *testing.T) {
	public, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	r, err := parseG([]byte("hostname h\nuser ann\nport 22\nstricthostkeychecking true\n"), "h", environment{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if p := trustProblem(&HostKeyError{Verdict: KeyUnknown, Key: key}, r, "ssh node003"); !strings.Contains(p.remedy, "ssh -o StrictHostKeyChecking=ask node003") {
		t.Errorf("strict: %q", p.remedy)
	}
	r.Trust = TrustAsk
	if p := trustProblem(&HostKeyError{Verdict: KeyUnknown, Key: key}, r, "ssh node003"); strings.Contains(p.remedy, "StrictHostKeyChecking") {
		t.Errorf("not strict: %q", p.remedy)
	}
}
