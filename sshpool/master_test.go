//go:build unix

package sshpool

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// What ssh alone can do is tried only where the server takes it, and for GSSAPI where there is a ticket; of many nodes one asks for that.
func TestWaysThatOnlySSHHas(t *testing.T) {
	dir := t.TempDir()
	asked := filepath.Join(dir, "asked")
	if err := os.WriteFile(filepath.Join(dir, "klist"), []byte("#!/bin/sh\necho x >>"+asked+"\nexit 0\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir)
	t.Setenv("KRB5CCNAME", "")
	p, _ := newTestPool(t, Config{})
	all := &Resolved{MaySSH: []string{"GSSAPIAuthentication", "HostbasedAuthentication", "PKCS11Provider"}}
	for _, c := range []struct {
		r    *Resolved
		err  error
		want string
	}{
		{all, nil, ""},
		{all, errors.New("connection refused"), ""},
		{all, &AuthError{Methods: []string{"password"}}, ""},
		{all, &AuthError{Methods: []string{"publickey"}}, "PKCS11Provider"},
		{all, &AuthError{Methods: []string{"publickey", "hostbased"}}, "HostbasedAuthentication, PKCS11Provider"},
		{&Resolved{}, &AuthError{Methods: []string{"gssapi-with-mic"}}, ""},
		{all, &AuthError{Methods: []string{"gssapi-with-mic"}}, "GSSAPIAuthentication"},
		{all, &AuthError{Methods: []string{"gssapi-with-mic"}}, "GSSAPIAuthentication"},
	} {
		if got := p.maySSH(c.r, c.err); got != c.want {
			t.Errorf("%v: %q, want %q", c.err, got, c.want)
		}
	}
	if b, _ := os.ReadFile(asked); strings.Count(string(b), "x") != 1 {
		t.Errorf("klist was asked %d times", strings.Count(string(b), "x"))
	}
	if !p.tickets.has(time.Now().Add(2 * ticketsFor)) {
		t.Error("no ticket later")
	}
	if b, _ := os.ReadFile(asked); strings.Count(string(b), "x") != 2 {
		t.Errorf("later: %d times", strings.Count(string(b), "x"))
	}
}
