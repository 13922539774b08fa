package sshpool

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

func ecdsaKey(t testing.TB) ssh.Signer {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s, err := ssh.NewSignerFromKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func rsaKey(t testing.TB) ssh.Signer {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	s, err := ssh.NewSignerFromKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func keyLine(hosts string, k ssh.PublicKey) string {
	return hosts + " " + strings.TrimSpace(string(ssh.MarshalAuthorizedKey(k)))
}

func TestKnownHosts(t *testing.T) {
	key, other, rsaHost := newSigner(t).PublicKey(), newSigner(t).PublicKey(), rsaKey(t).PublicKey()
	at := func(host string, port int) *Resolved { return &Resolved{HostName: host, Port: port} }
	hashed := func(name string) string { return knownhosts.HashHostname(name) }
	for _, c := range []struct {
		what  string
		lines []string
		r     *Resolved
		want  string // "" trusted
	}{
		{"plain", []string{keyLine("node1,10.0.0.1", key)}, at("node1", 22), ""},
		{"case", []string{keyLine("Node1", key)}, at("NODE1", 22), ""},
		{"second name", []string{keyLine("node1,10.0.0.1", key)}, at("10.0.0.1", 22), ""},
		{"hashed", []string{keyLine(hashed("node1"), key)}, at("node1", 22), ""},
		{"hashed of another", []string{keyLine(hashed("node2"), key)}, at("node1", 22), "unknown"},
		{"port", []string{keyLine("[node1]:2222", key)}, at("node1", 2222), ""},
		{"hashed port", []string{keyLine(hashed("[node1]:2222"), key)}, at("node1", 2222), ""},
		{"other port only", []string{keyLine("[node1]:2223", key)}, at("node1", 2222), "unknown"},
		{"without port", []string{keyLine("node1", key)}, at("node1", 2222), ""},
		{"without port, hashed", []string{keyLine(hashed("node1"), key)}, at("node1", 2222), ""},
		{"without port, but another with it", []string{keyLine("node1", key), keyLine("[node1]:2222", other)}, at("node1", 2222), "CHANGED"},
		{"wildcard", []string{keyLine("*.cluster,!bad.cluster", key)}, at("n1.cluster", 22), ""},
		{"negated", []string{keyLine("*.cluster,!bad.cluster", key)}, at("bad.cluster", 22), "unknown"},
		{"question mark", []string{keyLine("node?", key)}, at("node1", 22), ""},
		{"wildcard with port", []string{keyLine("[10.0.0.*]:2222", key)}, at("10.0.0.7", 2222), ""},
		{"bare wildcard for a port", []string{keyLine("10.0.0.*", key)}, at("10.0.0.7", 2222), ""},
		{"alias", []string{keyLine("group", key)}, &Resolved{HostName: "node1", Port: 2222, HostKeyAlias: "Group"}, ""},
		{"alias hides the name", []string{keyLine("node1", key)}, &Resolved{HostName: "node1", Port: 22, HostKeyAlias: "group"}, "unknown"},
		{"changed", []string{"", "#", keyLine("node1", other)}, at("node1", 22), "CHANGED"},
		{"changed, hashed", []string{keyLine(hashed("node1"), other)}, at("node1", 22), "CHANGED"},
		{"without port, hashed, but another with it", []string{keyLine(hashed("node1"), key), keyLine(hashed("[node1]:2222"), other)}, at("node1", 2222), "CHANGED"},
		{"key of another host, hashed", []string{keyLine(hashed("node2"), key), keyLine(hashed("node1"), other)}, at("node1", 22), "CHANGED"},
		{"hashed and revoked by a hashed line", []string{keyLine(hashed("node1"), key), "@revoked " + keyLine(hashed("node1"), key)}, at("node1", 22), "REVOKED"},
		{"one of two", []string{keyLine("node1", other), keyLine("node1", key)}, at("node1", 22), ""},
		{"other kind", []string{keyLine("node1", rsaHost)}, at("node1", 22), "unknown kind"},
		{"revoked beats trusted", []string{keyLine("node1", key), "@revoked " + keyLine("*", key)}, at("node1", 22), "REVOKED"},
		{"another revoked", []string{keyLine("node1", key), "@revoked " + keyLine("*", other)}, at("node1", 22), ""},
		{"authority is no host key", []string{"@cert-authority " + keyLine("*", key)}, at("node1", 22), "unknown"},
		{"authority beside a key", []string{"@cert-authority " + keyLine("*", other), keyLine("node1", key)}, at("node1", 22), ""},
		{"broken lines are skipped", []string{"node1", "node1 ssh-ed25519", "node1 ssh-ed25519 !!!", "node1 ssh-mldsa44-ed25519 AAAAEg==", "@what node1 ssh-ed25519 AAAA",
			"|1|x|y ssh-ed25519 AAAA", "\x00\xff", keyLine("node1", key)}, at("node1", 22), ""},
		{"comment and tabs", []string{"\tnode1\t" + keyLine("", key)[1:] + " comment of words"}, at("node1", 22), ""},
		{"empty", nil, at("node1", 22), "unknown"},
	} {
		t.Run(c.what, func(t *testing.T) {
			c.r.UserKnownHosts = []string{"/nonexistent", knownHosts(t), knownHosts(t, c.lines...)}
			for _, whole := range []bool{false, true} {
				err := newTrustFiles().known(c.r, whole).judge(c.r, key, time.Now)
				if c.want == "" {
					if err != nil {
						t.Errorf("whole %v: not trusted: %v", whole, err)
					}
				} else if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("whole %v: got %v, want %q", whole, err, c.want)
				}
			}
		})
	}
}

func TestHostCertificates(t *testing.T) {
	ca, host := newSigner(t), newSigner(t)
	later := time.Now().Add(time.Hour)
	good := newCert(t, ssh.HostCert, host.PublicKey(), ca, "node1", later)
	for _, c := range []struct {
		what string
		cert *ssh.Certificate
		line string
		want string
	}{
		{"valid", good, "@cert-authority " + keyLine("node*", ca.PublicKey()), ""},
		{"authority for others", good, "@cert-authority " + keyLine("gpu*", ca.PublicKey()), "unknown"},
		{"another name", newCert(t, ssh.HostCert, host.PublicKey(), ca, "node2", later), "@cert-authority " + keyLine("node*", ca.PublicKey()), "not valid"},
		{"expired", newCert(t, ssh.HostCert, host.PublicKey(), ca, "node1", time.Now().Add(-time.Hour)), "@cert-authority " + keyLine("node*", ca.PublicKey()), "not valid"},
		{"a user's certificate", newCert(t, ssh.UserCert, host.PublicKey(), ca, "node1", later), "@cert-authority " + keyLine("node*", ca.PublicKey()), "not valid"},
		{"revoked authority", good, "@cert-authority " + keyLine("node*", ca.PublicKey()) + "\n@revoked " + keyLine("*", ca.PublicKey()), "REVOKED"},
		{"known by its key", good, keyLine("node1", host.PublicKey()), ""},
		{"unknown", good, "", "unknown"},
	} {
		t.Run(c.what, func(t *testing.T) {
			r := &Resolved{HostName: "node1", Port: 22, UserKnownHosts: []string{knownHosts(t, c.line)}}
			err := newTrustFiles().known(r, false).judge(r, c.cert, time.Now)
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestHostKeyAlgorithms(t *testing.T) {
	ed, ec, rs := newSigner(t).PublicKey(), ecdsaKey(t).PublicKey(), rsaKey(t).PublicKey()
	for _, c := range []struct {
		what       string
		lines      []string
		configured []string
		want       []string // the first ones
	}{
		{"nothing known", nil, nil, []string{ssh.CertAlgoED25519v01}},
		{"ed25519", []string{keyLine("n", ed)}, nil, []string{ssh.KeyAlgoED25519}},
		{"ecdsa", []string{keyLine("n", ec)}, nil, []string{ssh.KeyAlgoECDSA256}},
		{"rsa", []string{keyLine("n", rs)}, nil, []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}},
		{"rsa and ed25519", []string{keyLine("n", rs), keyLine("n", ed)}, nil, []string{ssh.KeyAlgoED25519, ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}},
		{"authority first", []string{"@cert-authority " + keyLine("*", rs), keyLine("n", ec)}, nil, []string{ssh.CertAlgoED25519v01}},
		{"configured order", nil, []string{"x", ssh.KeyAlgoECDSA256, ssh.KeyAlgoED25519}, []string{ssh.KeyAlgoECDSA256, ssh.KeyAlgoED25519}},
		{"configured, known first", []string{keyLine("n", ed)}, []string{ssh.KeyAlgoECDSA256, ssh.KeyAlgoED25519}, []string{ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256}},
		{"nothing usable configured", nil, []string{"x"}, []string{ssh.CertAlgoED25519v01}},
	} {
		r := &Resolved{HostName: "n", Port: 22, UserKnownHosts: []string{knownHosts(t, c.lines...)}}
		got := newTrustFiles().known(r, false).algorithms(c.configured)
		if len(got) < len(c.want) {
			t.Errorf("%s: %v", c.what, got)
			continue
		}
		if diff := cmp.Diff(c.want, got[:len(c.want)]); diff != "" {
			t.Errorf("%s: %s", c.what, diff)
		}
	}
}

// A server with three keys, known by any one of them, shows that one.
func TestServerWithThreeKeys(t *testing.T) {
	key := newSigner(t)
	s := newServer(t, collect, key.PublicKey())
	ec, rs := ecdsaKey(t), rsaKey(t)
	s.change(func(c *ssh.ServerConfig) {
		c.AddHostKey(ec)
		c.AddHostKey(rs)
	})
	p, rec := newTestPool(t, Config{})
	where := fmt.Sprintf("[127.0.0.1]:%d", s.port())
	// Hashed, the host's key is found after the handshake only; most lines of the file hold keys of another kind.
	elsewhere := keyLine(knownhosts.HashHostname("a"), newSigner(t).PublicKey()) + "\n" + keyLine(knownhosts.HashHostname("b"), newSigner(t).PublicKey())
	for i, k := range []ssh.PublicKey{s.host.PublicKey(), ec.PublicKey(), rs.PublicKey()} {
		for j, lines := range []string{keyLine(where, k), elsewhere + "\n" + keyLine(knownhosts.HashHostname(where), k)} {
			r := s.resolved(key)
			r.HostKeys, r.UserKnownHosts = nil, []string{knownHosts(t, lines)}
			name := fmt.Sprint("n", i, j)
			p.Add(Target{Name: name, Resolved: r})
			rec.reached(name, Live, 0)
		}
	}
}

func TestKnownFileIsReadAgain(t *testing.T) {
	key := newSigner(t).PublicKey()
	path := knownHosts(t)
	r := &Resolved{HostName: "n", Port: 22, UserKnownHosts: []string{path}}
	files := newTrustFiles()
	if files.known(r, false).judge(r, key, time.Now) == nil {
		t.Fatal("an empty file trusts")
	}
	if err := os.WriteFile(path, []byte(keyLine("n", key)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := files.known(r, false).judge(r, key, time.Now); err != nil {
		t.Errorf("a changed file is not read again: %v", err)
	}
}

func TestWild(t *testing.T) {
	for _, c := range []struct {
		pattern, s string
		want       bool
	}{
		{"*", "", true}, {"*", "x", true}, {"a*", "b", false}, {"a*c", "abc", true}, {"a*c", "abcd", false}, {"?", "", false},
		{"a?c", "abc", true}, {"**", "x", true}, {"*a*a*a", "aaa", true}, {"*a*a*a", "aa", false}, {"", "", true}, {"", "x", false},
		{strings.Repeat("*a", 200), strings.Repeat("a", 5000) + "b", false},
	} {
		if got := wild(c.pattern, c.s); got != c.want {
			t.Errorf("wild(%q, %q) = %v", c.pattern, c.s, got)
		}
	}
}

// Our index agrees with x/crypto's own wherever that one can read the file.
func FuzzKnownFile(f *testing.F) {
	key := newSigner(f).PublicKey()
	f.Add(keyLine("n", key))
	f.Add("@revoked " + keyLine("*,!m", key))
	f.Add(keyLine(knownhosts.HashHostname("n"), key))
	f.Add("|1||| a b\n@cert-authority * x y\n# c\n\n\x00")
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 1<<14 {
			return
		}
		file := parseKnown("f", text)
		names := []string{"n", "[n]:2222"}
		for _, lines := range append(file.find(names), file.findHashed(names)...) {
			for _, at := range lines {
				l := &file.lines[at]
				l.publicKey()
				if l.number < 1 || int(l.number) > strings.Count(text, "\n")+1 {
					t.Errorf("line number %d", l.number)
				}
			}
		}
	})
}

// Whatever a known_hosts file holds, a key is trusted only when the file has that very key, and what is written down of a key that was taken is trusted from then on.
func FuzzJudge(f *testing.F) {
	shown, other := fixedKey(f, 1), fixedKey(f, 2)
	f.Add(keyLine("[n]:2222", shown), uint16(2222), "n", "")
	f.Add(keyLine("n", shown)+"\n@revoked "+keyLine("*,!m", shown), uint16(22), "n", "")
	f.Add(keyLine(knownhosts.HashHostname("n"), other)+"\n@cert-authority "+keyLine("*", other), uint16(22), "N", "alias")
	f.Add(keyLine("n", other)+"\nn,* ssh-ed25519 AAAA", uint16(0), "n", "")
	f.Add("|1||| a b\n# c\n\x00", uint16(1), "::1", "")
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text string, port uint16, host, alias string) {
		if len(text) > 1<<13 || host == "" || strings.ContainsFunc(host+alias, badInName) || strings.ContainsAny(host+alias, ",@[]") {
			return
		}
		path := filepath.Join(dir, "known")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		r := &Resolved{HostName: host, Port: int(port), HostKeyAlias: alias, UserKnownHosts: []string{path}}
		for _, whole := range []bool{false, true} {
			trust := newTrustFiles() // a cache would keep the last input's
			k := trust.known(r, whole)
			if len(k.algorithms(nil)) != len(defaultHostKeyAlgorithms()) {
				t.Error("algorithms are lost")
			}
			bad := k.judge(r, shown, time.Now)
			switch {
			case bad == nil && !strings.Contains(text, base64.StdEncoding.EncodeToString(shown.Marshal())):
				t.Errorf("trusted without a line that holds it")
			case bad == nil && k.whyTrusted(r, shown, false) == "":
				t.Error("trusted without a reason")
			case bad == nil || !bad.mayBeTaken():
				continue
			}
			if text := bad.Error(); text != clean(text) && len(text) < 200 {
				t.Errorf("raw text %q", text)
			}
			if err := trust.write(bad); err != nil {
				t.Fatal(err)
			}
			if bad := newTrustFiles().known(r, whole).judge(r, shown, time.Now); bad != nil {
				t.Errorf("what was taken is not trusted: %v", bad)
			}
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// fixedKey is the same key in each process: what fuzzing found stays found.
func fixedKey(t testing.TB, seed byte) ssh.PublicKey {
	t.Helper()
	key, err := ssh.NewPublicKey(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize)).Public())
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestAgreesWithOpenSSHForm(t *testing.T) {
	// What knownhosts.Line and HashHostname of x/crypto write is what OpenSSH writes: both must be found.
	key := newSigner(t).PublicKey()
	for _, name := range []string{"n", "n:2222", "::1", "[::1]:2222", "10.1.2.3:22"} {
		normal := knownhosts.Normalize(name)
		for _, line := range []string{knownhosts.Line([]string{name}, key), keyLine(knownhosts.HashHostname(normal), key)} {
			s, err := parseName(name)
			if err != nil {
				t.Fatal(err)
			}
			r := &Resolved{HostName: s.Host, Port: s.Port, UserKnownHosts: []string{knownHosts(t, line)}}
			if err := newTrustFiles().known(r, false).judge(r, key, time.Now); err != nil {
				t.Errorf("%s in %q: %v", name, line, err)
			}
		}
	}
	var bad *HostKeyError
	if err := error(&HostKeyError{Key: key}); !errors.As(err, &bad) {
		t.Error("not a typed error")
	}
}

// A hashed file of 15,000 lines: 5,000 hosts with three keys each, as HashKnownHosts makes it.
func hashedFile(b *testing.B, hosts int) string {
	var text strings.Builder
	keys := []ssh.PublicKey{newSigner(b).PublicKey(), ecdsaKey(b).PublicKey(), rsaKey(b).PublicKey()}
	for i := range hosts {
		for _, k := range keys {
			text.WriteString(keyLine(knownhosts.HashHostname(fmt.Sprintf("node%04d", i)), k) + "\n")
		}
	}
	return text.String()
}

func BenchmarkKnownHostsHashed(b *testing.B) {
	text := hashedFile(b, 5000)
	b.Run("parse", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			parseKnown("f", text)
		}
	})
	file := parseKnown("f", text)
	r := &Resolved{HostName: "node4999", Port: 22, UserKnownHosts: []string{knownHosts(b, text)}}
	key := file.lines[len(file.lines)-3].publicKey()
	b.Run("judge-cloned-keys", func(b *testing.B) { // what a connect pays at worst: all 5,000 hosts were cloned with one key
		b.ReportAllocs()
		files := newTrustFiles()
		files.known(r, false)
		for b.Loop() {
			if err := files.known(r, false).judge(r, key, time.Now); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("host", func(b *testing.B) {
		i := 0
		for b.Loop() {
			if found := file.findHashed([]string{fmt.Sprintf("node%04d", i%5000)}); len(found[0]) != 3 {
				b.Fatalf("found %v", found)
			}
			i++
		}
	})
	b.Run("host-with-port", func(b *testing.B) {
		for b.Loop() {
			file.findHashed([]string{"[node0007]:2222", "node0007"})
		}
	})
}
