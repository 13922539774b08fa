//go:build unix

package sshpool

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// ends that a connection may come to.
const (
	endUp    = "connected"
	endTrust = "host key not trusted"
	endAuth  = "not let in"
	endLost  = "not reached"
)

// lab is a real sshd and all that configurations may name: keys, certificates, an agent, known_hosts files.
type lab struct {
	t         *testing.T
	d         *sshd
	certified *sshd // another, whose host key an authority signed
	dir       string
	words     *strings.Replacer
	read      [2]int // bytes of the servers' logs
}

func newLab(t *testing.T) *lab {
	t.Helper()
	dir, err := os.MkdirTemp("", "ftlab")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	l := &lab{t: t, dir: dir}
	for _, name := range []string{"id-no", "id-cert", "id-agent", "id-agentcert", "userca", "hostca", "hk2"} {
		l.keygen("-q", "-t", map[bool]string{true: "ecdsa", false: "ed25519"}[name == "hk2"], "-N", "", "-C", name, "-f", l.path(name))
	}
	l.keygen("-q", "-t", "rsa", "-b", "2048", "-N", "", "-C", "id-rsa", "-f", l.path("id-rsa"))
	for _, name := range []string{"id-cert", "id-agentcert"} {
		l.keygen("-q", "-s", l.path("userca"), "-I", name, "-n", "ftsh", l.path(name+".pub"))
	}
	l.keygen("-q", "-s", l.path("hostca"), "-h", "-I", "host", "-n", "127.0.0.1,lab.example", l.path("hk2.pub"))
	l.d = startSSHD(t, fmt.Sprintf("HostKey %s\nTrustedUserCAKeys %s\nAcceptEnv FT_*\nMaxStartups 100\n", l.path("hk2"), l.path("userca.pub")))
	l.certified = startSSHD(t, fmt.Sprintf("HostKey %s\nHostCertificate %s\nTrustedUserCAKeys %s\nAcceptEnv FT_*\nMaxStartups 100\n", l.path("hk2"), l.path("hk2-cert.pub"), l.path("userca.pub")))
	l.authorize("id-rsa", "id-agent")
	l.copy(l.d.root+"/authorized", l.certified.root+"/authorized")
	l.write("config-match-exec", "#!/bin/sh\ntest \"$1\" = h\n", 0o755)
	plain, err := os.ReadFile(l.d.root + "/host")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(err)
	host, err := ssh.ParsePrivateKey(plain)
	must(err)
	hostLine := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(host.PublicKey())))
	other := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(newSigner(t).PublicKey())))
	port := fmt.Sprint(l.d.port)
	_ = os.WriteFile(l.path("hashed"), []byte("[127.0.0.1]:"+port+" "+hostLine+"\n"), 0o600)
	l.keygen("-q", "-H", "-f", l.path("hashed"))
	hashed, err := os.ReadFile(l.path("hashed"))
	must(err)
	l.words = strings.NewReplacer("{port}", port, "{certport}", fmt.Sprint(l.certified.port), "{dir}", dir, "{root}", l.d.root, "{key}", hostLine, "{other}", other, "{hashed}", strings.TrimSpace(string(hashed)),
		"{ca}", l.text("hostca.pub"), "{hk2}", l.text("hk2.pub"), "{agent}", l.agent("id-agent"), "{agentcert}", l.agent("id-agentcert"), "{agentno}", l.agent("id-no"))
	return l
}

func (l *lab) copy(from, to string) {
	l.t.Helper()
	b, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, b, 0o644)
	}
	if err != nil {
		l.t.Fatal(err)
	}
}

func (l *lab) path(name string) string { return filepath.Join(l.dir, name) }

func (l *lab) text(name string) string {
	b, err := os.ReadFile(l.path(name))
	if err != nil {
		l.t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}

func (l *lab) write(name, text string, mode os.FileMode) {
	l.t.Helper()
	if err := os.WriteFile(l.path(name), []byte(text), mode); err != nil {
		l.t.Fatal(err)
	}
}

func (l *lab) keygen(args ...string) {
	l.t.Helper()
	if out, err := exec.Command("ssh-keygen", args...).CombinedOutput(); err != nil {
		l.t.Fatalf("ssh-keygen %q: %v %s", args, err, out)
	}
}

// authorize lets more keys in.
func (l *lab) authorize(names ...string) {
	l.t.Helper()
	f, err := os.OpenFile(l.d.root+"/authorized", os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		l.t.Fatal(err)
	}
	defer f.Close()
	for _, name := range names {
		fmt.Fprintln(f, l.text(name+".pub"))
	}
}

// agent starts an ssh-agent that holds a key, and its certificate where it has one.
func (l *lab) agent(key string) (socket string) {
	l.t.Helper()
	socket = l.path("agent-" + key)
	cmd := exec.Command("ssh-agent", "-D", "-a", socket)
	if err := cmd.Start(); err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		add := exec.Command("ssh-add", "-q", l.path(key))
		add.Env = append(os.Environ(), "SSH_AUTH_SOCK="+socket)
		out, err := add.CombinedOutput()
		if err == nil {
			return socket
		}
		if time.Now().After(end) {
			l.t.Fatalf("ssh-add: %v %s", err, out)
		}
	}
}

var acceptedKey = regexp.MustCompile(`Accepted publickey for (\S+) .* (SHA256:\S+)`)

// identities are the users and keys that the server let in since the last look, each once.
func (l *lab) identities() string {
	fresh := ""
	for i, d := range []*sshd{l.d, l.certified} {
		text := d.logged()
		fresh += text[min(l.read[i], len(text)):]
		l.read[i] = len(text)
	}
	var list []string
	for _, m := range acceptedKey.FindAllStringSubmatch(fresh, -1) {
		list = append(list, m[1]+" "+m[2])
	}
	return strings.Join(list, ", ")
}

// outcome is how one client fared.
type outcome struct {
	end, out, identity, detail string
}

// bySSH is the oracle.
func (l *lab) bySSH(command string) outcome {
	ctx, cancel := context.WithTimeout(l.t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "ssh", "-F", l.path("config"), "-o", "BatchMode=yes", "-o", "LogLevel=ERROR", "h", command)
	cmd.WaitDelay = time.Second
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	o := outcome{end: endUp, out: out.String(), detail: strings.TrimSpace(errs.String())}
	switch {
	case err == nil:
	case strings.Contains(o.detail, "Host key verification failed"):
		o.end = endTrust
	case strings.Contains(o.detail, "Permission denied"), strings.Contains(o.detail, "Too many authentication"):
		o.end = endAuth
	default:
		o.end = endLost
	}
	o.identity = l.identities()
	return o
}

// byPool is ours.
func (l *lab) byPool(command string) (o outcome, via string) {
	p, _ := newTestPool(l.t, Config{ConfigFile: l.path("config")})
	defer p.Close()
	r, err := p.resolver.resolve(l.t.Context(), "h")
	if err != nil {
		return outcome{end: endLost, detail: err.Error()}, ""
	}
	c, err := p.connect(l.t.Context(), r)
	if err != nil {
		o = outcome{end: endLost, detail: err.Error()}
		switch asProblem(err).state {
		case NeedsTrust:
			o.end = endTrust
		case NeedsAuth:
			o.end = endAuth
		}
		o.identity = l.identities()
		return o, ""
	}
	defer c.Close()
	var out bytes.Buffer
	exit, err := execOn(l.t.Context(), c, Command{Line: command, Stdout: &out})
	if err != nil || exit.Code != 0 {
		l.t.Errorf("command: %+v %v", exit, err)
	}
	if err := c.probe(); err != nil {
		l.t.Errorf("probe: %v", err)
	}
	return outcome{end: endUp, out: out.String(), identity: l.identities(), detail: c.via}, c.via
}
