//go:build unix

package sshpool

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

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

// byTheSystem is a configuration that only the system's ssh can connect by: x/crypto has no such key exchange.
const byTheSystem = "KexAlgorithms sntrup761x25519-sha512@openssh.com\n"

// Hosts that only the system's ssh reaches share one login at their jump host. When it is cut they come back by one more; nothing is left of any ssh when the pool closes.
func TestSystemSSHSharesJumpHost(t *testing.T) {
	const hosts = 6
	d := startSSHD(t, "MaxStartups 100")
	config := filepath.Join(d.root, "jumping")
	base, err := os.ReadFile(d.config)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(config, []byte("Host gate\n HostName 127.0.0.1\n User ftbash\nHost n*\n User ftsh\n ProxyJump gate\n "+byTheSystem+"Host n1 n2 n3\n HostName 127.0.0.2\nHost n*\n HostName 127.0.0.3\nHost *\n"+string(base)), 0o600); err != nil {
		t.Fatal(err)
	}
	p, rec := newTestPool(t, Config{ConfigFile: config, Payload: fakeSet(t), Timing: quick(), Folders: []string{d.root + "/tmp/foretop-$u"}, Shared: "$HOME/.cache/foretop"})
	for i := range hosts {
		p.Add(Target{Name: fmt.Sprintf("n%d", i)})
	}
	at := 0
	for i := range hosts {
		_, at = rec.reached(fmt.Sprintf("n%d", i), Live, 0)
	}
	logins := func() int { return strings.Count(d.logged(), "Accepted publickey for ftbash") }
	if n := logins(); n != 1 {
		t.Errorf("%d logins at the jump host", n)
	}
	name := fmt.Sprintf("n%d", hosts-1)
	p.masters.mu.Lock()
	shared := p.masters.open["gate"]
	p.masters.mu.Unlock()
	shared.mu.Lock()
	if shared.link == nil || shared.link.used != hosts {
		t.Errorf("%+v", shared.link)
	}
	shared.link.carrier.Close()
	shared.mu.Unlock()
	rec.reached(name, Live, at)
	for i := range hosts {
		p.AwaitLive(t.Context(), fmt.Sprintf("n%d", i), patience)
	}
	if n := logins(); n != 2 {
		t.Errorf("%d logins at the jump host after it was cut", n)
	}
	for i := range hosts {
		p.Remove(fmt.Sprintf("n%d", i))
	}
	for end := time.Now().Add(patience); d.connections() != 0; time.Sleep(20 * time.Millisecond) { // the jump host's too: nobody needs it
		if time.Now().After(end) {
			t.Fatalf("%d connections are left", d.connections())
		}
	}
}

// A jump host that lets nobody in is tried once for all behind it, and named.
func TestSystemSSHJumpHostRefuses(t *testing.T) {
	d := startSSHD(t, "MaxStartups 100")
	config := filepath.Join(d.root, "jumping")
	base, err := os.ReadFile(d.config)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(config, []byte("Host gate\n HostName 127.0.0.1\n User nobodyhere\nHost n*\n HostName 127.0.0.2\n User ftsh\n ProxyJump gate\n "+byTheSystem+"Host *\n"+string(base)), 0o600); err != nil {
		t.Fatal(err)
	}
	p, rec := newTestPool(t, Config{ConfigFile: config, Timing: quick()})
	for i := range 5 {
		p.Add(Target{Name: fmt.Sprintf("n%d", i)})
	}
	for i := range 5 {
		st, _ := rec.reached(fmt.Sprintf("n%d", i), NeedsAuth, 0)
		if !strings.Contains(st.Cause, "jump host gate: ") || !strings.Contains(st.Remedy, "ControlMaster") {
			t.Errorf("%+v", st)
		}
	}
	if n := strings.Count(d.logged(), "Invalid user nobodyhere from"); n != 1 {
		t.Errorf("%d tries at the jump host:\n%s", n, tailOf(d.logged(), 2000))
	}
}

// What the system's ssh asks is put to the person, one host at a time; a wrong answer is asked again, and after a cut nothing begins by itself.
func TestSystemSSHAsks(t *testing.T) {
	d := startSSHDWith(t, "PasswordAuthentication yes\nKbdInteractiveAuthentication no\nMaxStartups 100\n", hashOf(t, "right"), "")
	if err := os.Remove(filepath.Join(d.root, "id")); err != nil {
		t.Fatal(err)
	}
	appendFile(t, d.config, byTheSystem)
	p, rec := d.askPool(t)
	for i := 1; i <= 2; i++ {
		p.Add(Target{Name: d.node(i)})
	}
	q := asked(t, p, "of both", func(q Question) bool { return !q.Busy && len(q.Nodes) == 2 })
	if q.Kind != AskInteractive || len(q.Prompts) != 0 || strings.Contains(d.logged(), "Failed password") {
		t.Errorf("%+v", q)
	}
	typed := func(answer string) {
		t.Helper()
		q := asked(t, p, "password", answerable)
		if !strings.Contains(q.Prompts[0].Text, "'s password:") || q.Prompts[0].Echo {
			t.Errorf("%+v", q)
		}
		reply(t, p, q, answer)
	}
	p.Begin(q.ID)
	typed("wrong")
	typed("right")
	first := ""
	for end := time.Now().Add(patience); first == ""; time.Sleep(10 * time.Millisecond) {
		for i := 1; i <= 2; i++ {
			if p.AwaitLive(t.Context(), d.node(i), 0) {
				first = d.node(i)
			}
		}
		if time.Now().After(end) {
			t.Fatalf("nobody is live:\n%s", d.logged())
		}
	}
	q = asked(t, p, "of the other", func(q Question) bool { return !q.Busy && len(q.Nodes) == 1 && q.Nodes[0] != first })
	if n := strings.Count(d.logged(), "Failed password for ftsh"); n != 1 {
		t.Errorf("%d wrong passwords in the log", n)
	}
	p.Begin(q.ID)
	typed("right")
	_, at := rec.reached(q.Nodes[0], Live, 0)
	unasked(t, p)

	const tries = "by authenticating user ftsh" // logins that were given up
	before := strings.Count(d.logged(), tries)
	if before == 0 {
		t.Errorf("no try is in the log:\n%s", d.logged())
	}
	p.mu.Lock()
	n := p.nodes[q.Nodes[0]]
	p.mu.Unlock()
	n.mu.Lock()
	n.live.carrier.Close()
	n.mu.Unlock()
	rec.reached(q.Nodes[0], NeedsAuth, at)
	asked(t, p, "after a cut", func(q Question) bool { return !q.Busy && len(q.Prompts) == 0 })
	if strings.Count(d.logged(), tries) != before {
		t.Error("it was dialled again before the person was there")
	}
	for _, left := range mustGlob(t, filepath.Join(os.TempDir(), "foretop-*", "answer")) { // of the live ones: nothing of what was typed
		if b, err := os.Stat(left); err == nil && b.Mode().IsRegular() {
			t.Errorf("%s is a file", left)
		}
	}
}

func mustGlob(t *testing.T, pattern string) []string {
	t.Helper()
	list, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	return list
}
