//go:build unix

package sshpool

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A key that lives in a token (PKCS#11), held by the agent: ssh's and ours is the same login. The token is SoftHSM's.
func TestTokenInAgent(t *testing.T) {
	_, err := exec.LookPath("softhsm2-util")
	needs(t, err == nil, "no softhsm2-util: install softhsm2")
	_, err = exec.LookPath("openssl")
	needs(t, err == nil, "no openssl")
	library := ""
	for _, pattern := range []string{"/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/*/softhsm/libsofthsm2.so"} {
		if found, _ := filepath.Glob(pattern); len(found) > 0 {
			library = found[0]
		}
	}
	needs(t, library != "", "no libsofthsm2.so")
	l := newLab(t)
	tokens := l.path("tokens")
	if err := os.Mkdir(tokens, 0o700); err != nil {
		t.Fatal(err)
	}
	l.write("softhsm.conf", "directories.tokendir = "+tokens+"\nobjectstore.backend = file\nlog.level = ERROR\n", 0o600)
	t.Setenv("SOFTHSM2_CONF", l.path("softhsm.conf"))
	run := func(env []string, argv ...string) string {
		t.Helper()
		cmd := exec.Command(argv[0], argv[1:]...)
		cmd.Env = append(os.Environ(), env...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%q: %v %s", argv, err, out)
		}
		return string(out)
	}
	run(nil, "softhsm2-util", "--init-token", "--free", "--label", "lab", "--pin", "2468", "--so-pin", "13579")
	run(nil, "openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", l.path("token.pem"))
	run(nil, "softhsm2-util", "--import", l.path("token.pem"), "--token", "lab", "--label", "key", "--id", "A1", "--pin", "2468")
	if err := os.Remove(l.path("token.pem")); err != nil { // it is in the token, and nowhere else
		t.Fatal(err)
	}
	l.keygen("-q", "-t", "ed25519", "-N", "", "-C", "id-other", "-f", l.path("id-other"))
	socket := l.agent("id-other")
	l.write("pin", "#!/bin/sh\necho 2468\n", 0o700)
	env := []string{"SSH_AUTH_SOCK=" + socket, "SSH_ASKPASS=" + l.path("pin"), "SSH_ASKPASS_REQUIRE=force", "DISPLAY=:0"}
	run(env, "setsid", "-w", "ssh-add", "-s", library)
	list := run(env, "ssh-add", "-L")
	_, public, found := strings.Cut(list, "ssh-rsa ")
	if !found {
		t.Fatalf("the agent holds no key of the token: %s", list)
	}
	public, _, _ = strings.Cut("ssh-rsa "+public, "\n")
	l.write("token.pub", public+"\n", 0o600)
	l.authorize("token")
	l.write("known", l.words.Replace(fidelityKnown), 0o600)
	for _, c := range []string{"IdentitiesOnly no\nIdentityFile none\n", "IdentitiesOnly yes\nIdentityFile {dir}/token.pub\n"} {
		l.write("config", l.words.Replace("Host h\nHostName 127.0.0.1\nPort {port}\nUser ftsh\nIdentityAgent "+socket+"\nUserKnownHostsFile {dir}/known\nGlobalKnownHostsFile none\n"+c), 0o600)
		l.identities()
		want := l.bySSH("id -un")
		got, via := l.byPool("id -un")
		if want.end != endUp || got.end != endUp || got.identity != want.identity || !strings.Contains(got.identity, "ftsh SHA256:") || via != "" {
			t.Errorf("%sours  %+v by %q\nssh's %+v", c, got, via, want)
		}
	}
}
