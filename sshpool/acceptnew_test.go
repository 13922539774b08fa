package sshpool

import (
	"crypto/ed25519"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// numberedKey is a public key of its own for each number.
func numberedKey(t testing.TB, i int) ssh.PublicKey {
	t.Helper()
	seed := make([]byte, ed25519.SeedSize)
	binary.BigEndian.PutUint64(seed, uint64(i)+1)
	key, err := ssh.NewPublicKey(ed25519.NewKeyFromSeed(seed).Public())
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// met is how a host's key is judged as in a handshake, and taken where nobody knows it.
func met(files *trustFiles, r *Resolved, key ssh.PublicKey) *HostKeyError {
	bad := files.known(r, false).judge(r, key, time.Now)
	if bad != nil && bad.mayBeTaken() {
		bad = files.take(bad)
	}
	return bad
}

// Keys that are taken are known at once, with the number of their line, and the file is not read again for them; what another program writes is.
func TestTakenKeysAreIndexed(t *testing.T) {
	for _, hash := range []bool{false, true} {
		t.Run(fmt.Sprintf("hashed %v", hash), func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "known_hosts")
			if err := os.WriteFile(file, []byte("# mine\nbroken\n"+keyLine("old", numberedKey(t, 1000))), 0o600); err != nil { // no end of line
				t.Fatal(err)
			}
			at := func(i int) *Resolved {
				return &Resolved{HostName: fmt.Sprintf("N%d", i), Port: 2200, UserKnownHosts: []string{file}, HashKnownHosts: hash, Trust: TrustNew}
			}
			files := newTrustFiles()
			first := files.open(file)
			var all sync.WaitGroup
			for i := range 40 {
				all.Go(func() {
					if bad := met(files, at(i), numberedKey(t, i)); bad != nil {
						t.Error(bad)
					}
				})
			}
			all.Wait()
			if files.open(file) != first {
				t.Error("the file was read again for what we wrote")
			}
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
			if len(lines) != 43 {
				t.Errorf("%d lines", len(lines))
			}
			for i := range 40 {
				bad := files.known(at(i), false).judge(at(i), numberedKey(t, 2000), time.Now)
				if bad == nil || bad.Verdict != KeyChanged || len(bad.Known) != 1 || !strings.Contains(lines[bad.Known[0].Line-1], sshLine(numberedKey(t, i))) {
					t.Fatalf("%d, another key: %+v", i, bad)
				}
			}
			appendFile(t, file, keyLine("[n99]:2200", numberedKey(t, 99))+"\n")
			if bad := files.known(at(99), false).judge(at(99), numberedKey(t, 99), time.Now); bad != nil {
				t.Errorf("of another program: %v", bad)
			}
			again := files.open(file)
			if again == first {
				t.Error("what another program wrote was not read")
			}
			for i := range 40 { // as the file says it
				if bad := files.known(at(i), true).judge(at(i), numberedKey(t, i), time.Now); bad != nil {
					t.Fatal(bad)
				}
			}
			if bad := met(files, at(100), numberedKey(t, 100)); bad != nil || files.open(file) != again {
				t.Errorf("after that: %v", bad)
			}
		})
	}
}

// BenchmarkAcceptNew is what 5,000 hosts cost that nobody knows yet under StrictHostKeyChecking accept-new and HashKnownHosts: each key judged and written down.
func BenchmarkAcceptNew(b *testing.B) {
	const hosts = 5000
	keys := make([]ssh.PublicKey, hosts)
	for i := range keys {
		keys[i] = numberedKey(b, i)
	}
	for b.Loop() {
		file := filepath.Join(b.TempDir(), "known_hosts")
		files := newTrustFiles()
		for i, key := range keys {
			r := &Resolved{HostName: fmt.Sprintf("gpu%04d", i), UserKnownHosts: []string{file}, HashKnownHosts: true, Trust: TrustNew}
			if bad := met(files, r, key); bad != nil {
				b.Fatal(bad)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/hosts, "µs/host")
}
