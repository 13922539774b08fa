//go:build unix

package sshpool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
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

// What each configuration comes to, with OpenSSH's own client as the judge: whether it connects, as whom, with which key, what the host key is thought of, what reaches the node.
func TestAsOpenSSH(t *testing.T) {
	l := newLab(t)
	const base = "HostName 127.0.0.1\nPort {port}\nUser ftsh\nIdentityFile {root}/id\nIdentitiesOnly yes\nIdentityAgent none\n"
	const known = "[127.0.0.1]:{port} {key}\n"
	for _, c := range []struct {
		name, config string // of Host h, before base
		known        string // of the user's file; "" the plain line
		end          string // "" connected
		via          string // how, where not by our own client
		more         string // of the configuration, after base
	}{
		{name: "plain"},
		{name: "another user", config: "User ftbash\n"},
		{name: "an unknown user", config: "User nobodyhere\n", end: endAuth},
		{name: "a key that is not let in", config: "IdentityFile {dir}/id-no\n", more: "IdentityFile {dir}/id-no\n"},
		{name: "the second key", config: "IdentityFile {dir}/id-no\nIdentityFile {root}/id\n"},
		{name: "no such key file", config: "IdentityFile {dir}/none\n"},
		{name: "rsa", config: "IdentityFile {dir}/id-rsa\n"},
		{name: "tokens in a file's name", config: "IdentityFile {dir}/%n-%r-%p\n"},
		{name: "a name with a space", config: "IdentityFile \"{dir}/with space\"\n"},
		{name: "agent", config: "IdentityAgent {agent}\nIdentitiesOnly no\nIdentityFile none\n"},
		{name: "agent and identities only", config: "IdentityAgent {agentno}\nIdentitiesOnly yes\n"},
		{name: "agent's key chosen by its public half", config: "IdentityAgent {agent}\nIdentityFile {dir}/id-agent.pub\n"},
		{name: "agent's wrong key first", config: "IdentityAgent {agentno}\nIdentitiesOnly no\n"},
		{name: "certificate beside the key", config: "IdentityFile {dir}/id-cert\n"},
		{name: "certificate by option", config: "CertificateFile {dir}/id-cert-cert.pub\nIdentityFile {dir}/id-cert\n"},
		{name: "certificate in the agent", config: "IdentityAgent {agentcert}\nIdentitiesOnly no\nIdentityFile none\n"},
		{name: "no public key at all", config: "PubkeyAuthentication no\n", end: endAuth},
		{name: "password preferred", config: "PreferredAuthentications password\n", end: endAuth},
		{name: "algorithms of keys", config: "PubkeyAcceptedAlgorithms rsa-sha2-512\nIdentityFile {dir}/id-rsa\n"},
		{name: "algorithms that no key has", config: "PubkeyAcceptedAlgorithms ssh-ed25519\nIdentityFile {dir}/id-rsa\nIdentityFile {dir}/id-no\n", end: ""},
		{name: "rsa too short", config: "RequiredRSASize 3072\nIdentityFile {dir}/id-rsa\n"},

		{name: "match exec", config: "", more: "Match exec \"{dir}/config-match-exec %n\"\n  User ftbash\n"},
		{name: "match final", more: "Match final host 127.0.0.1\n  SetEnv FT_X=final\n"},
		{name: "match user", more: "Match user ftsh\n  SetEnv FT_X=user\n"},
		{name: "include", config: "Include {dir}/included\n"},
		{name: "canonical, falling back", config: "CanonicalizeHostname yes\nCanonicalDomains invalid\n"},
		{name: "canonical, not falling back", config: "CanonicalizeHostname yes\nCanonicalDomains invalid\nCanonicalizeFallbackLocal no\nHostName h\n", end: endLost},

		{name: "hashed", known: "{hashed}\n"},
		{name: "wildcard", known: "[127.0.0.*]:{port} {key}\n"},
		{name: "negated", known: "[127.0.0.*]:{port},![127.0.0.1]:{port} {key}\n", end: endTrust},
		{name: "without the port", known: "127.0.0.1 {key}\n"},
		{name: "a bad line before", known: "nonsense\n[127.0.0.1]:{port} {key}\n"},
		{name: "unknown, and asked", known: "# none\n", end: endTrust},
		{name: "unknown, strict", config: "StrictHostKeyChecking yes\n", known: "# none\n", end: endTrust},
		{name: "unknown, accept-new", config: "StrictHostKeyChecking accept-new\n", known: "# none\n"},
		{name: "unknown, no", config: "StrictHostKeyChecking no\n", known: "# none\n"},
		{name: "unknown, no file", config: "StrictHostKeyChecking no\nUserKnownHostsFile /dev/null\n"},
		{name: "changed", known: "[127.0.0.1]:{port} {other}\n", end: endTrust},
		{name: "changed, accept-new", config: "StrictHostKeyChecking accept-new\n", known: "[127.0.0.1]:{port} {other}\n", end: endTrust},
		{name: "one of two keys", known: "[127.0.0.1]:{port} {other}\n[127.0.0.1]:{port} {key}\n"},
		{name: "revoked", known: known + "@revoked * {key}\n", end: endTrust},
		{name: "another kind known", known: "[127.0.0.1]:{port} {hk2}\n"},
		{name: "authority", config: "Port {certport}\n", known: "@cert-authority [127.0.0.1]:{certport} {ca}\n"},
		{name: "authority for others", config: "Port {certport}\n", known: "@cert-authority *.example {ca}\n", end: endTrust},
		{name: "authority, another name", config: "Port {certport}\nHostKeyAlias lab.example\n", known: "@cert-authority *.example {ca}\n"},
		{name: "authority, a name not certified", config: "Port {certport}\nHostKeyAlias rogue.example\n", known: "@cert-authority *.example {ca}\n", end: endTrust},
		{name: "alias", config: "HostKeyAlias labs\n", known: "labs {key}\n"},
		{name: "alias unknown", config: "HostKeyAlias labs\n", end: endTrust},
		{name: "global file", config: "GlobalKnownHostsFile {dir}/global\n", known: "# none\n"},
		{name: "localhost is not looked at", config: "NoHostAuthenticationForLocalhost yes\n", known: "# none\n"},
		{name: "algorithms of host keys", config: "HostKeyAlgorithms ecdsa-sha2-nistp256\n", known: known, end: endTrust},

		{name: "kex", config: "KexAlgorithms ecdh-sha2-nistp384\n"},
		{name: "kex that only ssh has", config: "KexAlgorithms sntrup761x25519-sha512@openssh.com\n", via: "KexAlgorithms"},
		{name: "cipher", config: "Ciphers aes256-gcm@openssh.com\n"},
		{name: "mac", config: "Ciphers aes128-ctr\nMACs hmac-sha2-512\n"},
		{name: "mac that only ssh has", config: "Ciphers aes128-ctr\nMACs umac-128-etm@openssh.com\n", via: "MACs"},

		{name: "family", config: "AddressFamily inet6\n", end: endLost},
		{name: "from an address", config: "BindAddress 127.0.0.5\n"},
		{name: "from an interface", config: "BindInterface lo\n"},
		{name: "from no interface", config: "BindInterface nosuch0\n", end: endLost},
		{name: "nobody listens", config: "Port 1\n", end: endLost},
		{name: "environment", config: "SetEnv FT_X=\"a b\"\nSendEnv FT_S*\n"},
		{name: "jump", config: "ProxyJump gate\n"},
		{name: "two jumps", config: "ProxyJump gate,ftbash@gate2\n"},
		{name: "jump with a key of its own", config: "ProxyJump gatekey\n"},
		{name: "jump that nobody knows", config: "ProxyJump stranger\n", end: endTrust},
		{name: "jump that lets nobody in", config: "ProxyJump closed\n", end: endAuth},
		{name: "command", config: "ProxyCommand ssh -F {dir}/config -W %h:%p gate\n"},
		{name: "command that ends", config: "ProxyCommand false\n", end: endLost},
		{name: "known hosts command", config: "KnownHostsCommand /bin/cat {dir}/global\n", known: "# none\n", via: "KnownHostsCommand"},
		{name: "revoked keys", config: "RevokedHostKeys {dir}/revoked\n", end: endTrust},
		{name: "no keys revoked", config: "RevokedHostKeys {dir}/revokedno\n", via: "RevokedHostKeys"},
		{name: "dns", config: "VerifyHostKeyDNS yes\n", via: "VerifyHostKeyDNS"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l.t = t
			if c.known == "" {
				c.known = known
			}
			if c.end == "" {
				c.end = endUp
			}
			reset := func() {
				l.write("known", l.words.Replace(c.known), 0o600)
			}
			const gates = "Host gate gate2\n" + base + "UserKnownHostsFile {dir}/gates\nGlobalKnownHostsFile none\n" +
				"Host gatekey\nIdentityFile {dir}/id-rsa\n" + base + "UserKnownHostsFile {dir}/gates\nGlobalKnownHostsFile none\n" +
				"Host stranger\n" + base + "UserKnownHostsFile /dev/null\nGlobalKnownHostsFile none\n" +
				"Host closed\nUser nobodyhere\n" + base + "UserKnownHostsFile {dir}/gates\nGlobalKnownHostsFile none\n"
			l.write("config", l.words.Replace(gates+"Host h\n"+c.config+base+"UserKnownHostsFile {dir}/known\nGlobalKnownHostsFile none\n"+c.more), 0o600)
			l.write("included", "SetEnv FT_X=included\n", 0o600)
			l.write("gates", l.words.Replace(known), 0o600)
			l.write("global", l.words.Replace(known), 0o600)
			l.write("revoked", l.words.Replace("{key}\n{hk2}\n"), 0o600)
			l.write("revokedno", l.words.Replace("{other}\n"), 0o600)
			l.copyKey("h-ftsh-"+fmt.Sprint(l.d.port), "with space")
			t.Setenv("FT_S1", "sent")
			const command = `printf '%s/%s/%s' "$FT_X" "$FT_S1" "$USER"`
			l.identities()
			reset()
			want := l.bySSH(command)
			if want.end != c.end {
				t.Errorf("the case is not what it means to be: ssh is %s: %s", want.end, want.detail)
			}
			written := l.text("known")
			reset()
			got, via := l.byPool(command)
			if got.end != want.end || got.out != want.out || got.identity != want.identity {
				t.Errorf("ours  %+v\nssh's %+v", got, want)
			}
			if (via == "") != (c.via == "") || !strings.Contains(via, c.via) {
				t.Errorf("by %q, want %q", via, c.via)
			}
			if ours := l.text("known"); sortedLines(ours) != sortedLines(written) {
				t.Errorf("known_hosts: ours\n%s\nssh's\n%s", ours, written)
			}
		})
	}
}

// sortedLines leaves out blank lines and, of several keys that ssh learns from a host it is already connected to (UpdateHostKeys), all but that there are some.
func sortedLines(s string) string {
	var list []string
	for line := range strings.Lines(s) {
		if line = strings.TrimSpace(line); line != "" {
			list = append(list, strings.Join(strings.Fields(line)[:min(2, len(strings.Fields(line)))], " "))
		}
	}
	return strings.Join(list, "\n")
}

// copyKey gives the authorized key other names.
func (l *lab) copyKey(names ...string) {
	b, err := os.ReadFile(l.d.root + "/id")
	if err != nil {
		l.t.Fatal(err)
	}
	for _, name := range names {
		l.write(name, string(b), 0o600)
	}
}

// A master that the user has open is used: no second login. One that died is passed over.
func TestOpenMaster(t *testing.T) {
	l := newLab(t)
	l.write("known", l.words.Replace("[127.0.0.1]:{port} {key}\n"), 0o600)
	l.write("config", l.words.Replace("Host h\nHostName 127.0.0.1\nPort {port}\nUser ftsh\nIdentityFile {root}/id\nIdentitiesOnly yes\nIdentityAgent none\nUserKnownHostsFile {dir}/known\nGlobalKnownHostsFile none\nControlMaster auto\nControlPath {dir}/m-%r\n"), 0o600)
	cmd := exec.Command("ssh", "-F", l.path("config"), "-N", "h")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	for end := time.Now().Add(patience); exec.Command("ssh", "-F", l.path("config"), "-O", "check", "h").Run() != nil; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("no master")
		}
	}
	l.identities()
	got, via := l.byPool("echo there")
	if got.end != endUp || got.out != "there\n" || got.identity != "" || !strings.Contains(via, "open master") {
		t.Errorf("%+v by %q", got, via)
	}
	if err := exec.Command("ssh", "-F", l.path("config"), "-O", "check", "h").Run(); err != nil {
		t.Error("the user's master did not outlive our use of it")
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	dead, err := net.Listen("unix", l.path("m-ftsh2"))
	if err == nil {
		dead.Close()
	}
	got, via = l.byPool("echo there")
	if got.end != endUp || got.identity == "" || via != "" {
		t.Errorf("after the master's end: %+v by %q", got, via)
	}
}

// The stream of a node that a system ssh reaches: it lives, is silent, comes back; nothing is left of ssh when the pool closes.
func TestSystemSSHStream(t *testing.T) {
	l := newLab(t)
	l.write("known", l.words.Replace("[127.0.0.1]:{port} {key}\n"), 0o600)
	l.write("config", l.words.Replace("Host h\nHostName 127.0.0.1\nPort {port}\nUser ftsh\nIdentityFile {root}/id\nIdentitiesOnly yes\nIdentityAgent none\nUserKnownHostsFile {dir}/known\nGlobalKnownHostsFile none\nKexAlgorithms sntrup761x25519-sha512@openssh.com\n"), 0o600)
	p, rec := newTestPool(t, Config{ConfigFile: l.path("config"), Payload: fakeSet(t), Timing: quick(), Folders: []string{l.d.root + "/tmp/foretop-$u"}, Shared: "$HOME/.cache/foretop"})
	p.Add(Target{Name: "h"})
	_, at := rec.reached("h", Live, 0)
	p.mu.Lock()
	n := p.nodes["h"]
	p.mu.Unlock()
	n.mu.Lock()
	c := n.live.carrier.(*sshCarrier)
	n.mu.Unlock()
	if !strings.Contains(c.via, "KexAlgorithms") {
		t.Fatalf("by %q", c.via)
	}
	_ = exec.Command("pkill", "-f", "ControlPath=.*foretop-.*-l ftsh").Run()
	_, at = rec.reached("h", Lost, at)
	rec.reached("h", Live, at)
	var out bytes.Buffer
	if exit, err := p.Exec(t.Context(), "h", Command{Line: "id -un", Stdout: &out}); err != nil || exit.Code != 0 || out.String() != "ftsh\n" {
		t.Errorf("%q %+v %v", out.String(), exit, err)
	}
	p.Close()
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		left, err := exec.Command("pgrep", "-f", "ControlPath=.*foretop-.*-l ftsh").Output()
		var none *exec.ExitError
		if errors.As(err, &none) {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("left behind: %s", left)
		}
	}
}
