//go:build unix

package sshpool

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"foretop/sshpool/payload"

	"golang.org/x/crypto/ssh"
)

// sshd is a real OpenSSH server on a loopback port, in a mount namespace where its own passwd lies over /etc/passwd.
type sshd struct {
	port   int
	known  string // known_hosts line
	root   string
	config string // client configuration
	log    string // a file
	cmd    *exec.Cmd
}

// needs skips on a laptop and fails in CI.
func needs(t testing.TB, ok bool, what string) {
	t.Helper()
	if ok {
		return
	}
	if os.Getenv("CI") != "" {
		t.Fatal(what)
	}
	t.Skip(what)
}

// accounts are the users of the server and their login shells.
var accounts = []struct {
	name, shell string
	uid         int
}{{"ftsh", "/bin/sh", 61001}, {"ftbash", "/bin/bash", 61002}, {"ftfish", "/usr/bin/fish", 61003}, {"fttcsh", "/usr/bin/tcsh", 61004},
	{"ftnone", "/usr/sbin/nologin", 61005}}

func startSSHD(t testing.TB, options string) *sshd { return startSSHDWith(t, options, "*", "") }

// startSSHDWith is startSSHD with a crypt(3) hash for all accounts, and a PAM file for sshd; "" none.
func startSSHDWith(t testing.TB, options, hash, pam string) *sshd {
	t.Helper()
	needs(t, os.Getuid() == 0, "a server with several accounts needs root")
	path, err := exec.LookPath("sshd")
	if err != nil {
		if path = "/usr/sbin/sshd"; exec.Command("test", "-x", path).Run() != nil {
			needs(t, false, "no sshd: install openssh-server")
		}
	}
	root, err := os.MkdirTemp("", "ftsshd")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(root) })
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.Chmod(root, 0o755))
	hostKey, host := newPrivate(t)
	userKey, user := newPrivate(t)
	write := func(name string, b []byte, mode os.FileMode) string {
		p := filepath.Join(root, name)
		must(os.WriteFile(p, b, mode))
		return p
	}
	d := &sshd{root: root, log: filepath.Join(root, "log")}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	d.port = l.Addr().(*net.TCPAddr).Port
	must(l.Close())
	passwd := "root:*:0:0::/root:/bin/sh\nsshd:*:100:65534::/run/sshd:/usr/sbin/nologin\n"
	for _, a := range accounts {
		home := filepath.Join(root, a.name)
		must(os.Mkdir(home, 0o700))
		must(os.Chown(home, a.uid, a.uid))
		passwd += fmt.Sprintf("%s:%s:%d:%d::%s:%s\n", a.name, hash, a.uid, a.uid, home, a.shell)
	}
	must(os.Mkdir(filepath.Join(root, "tmp"), 0o777))
	must(os.Chmod(filepath.Join(root, "tmp"), 0o777|os.ModeSticky))
	keys := write("authorized", ssh.MarshalAuthorizedKey(user.PublicKey()), 0o644)
	config := write("sshd_config", []byte(fmt.Sprintf("ListenAddress 0.0.0.0:%d\nHostKey %s\nAuthorizedKeysFile %s\nStrictModes no\nUsePAM %s\nUseDNS no\nPidFile none\n%s\n",
		d.port, write("host", hostKey, 0o600), keys, map[bool]string{true: "yes", false: "no"}[pam != ""], options)), 0o600)
	must(os.MkdirAll("/run/sshd", 0o755))
	d.cmd = exec.Command("unshare", "-m", "sh", "-c", `mount --bind "$1" /etc/passwd && if [ -s "$4" ]; then mount --bind "$4" /etc/pam.d/sshd; fi && exec "$2" -D -e -f "$3"`, "sh",
		write("passwd", []byte(passwd), 0o644), path, config, write("pam", []byte(pam), 0o644))
	log, err := os.Create(d.log)
	must(err)
	defer log.Close()
	d.cmd.Stderr = log
	must(d.cmd.Start())
	t.Cleanup(func() {
		_ = d.cmd.Process.Kill()
		_ = d.cmd.Wait()
		if t.Failed() {
			t.Logf("sshd:\n%s", tailOf(d.logged(), 4000))
		}
	})
	limit := time.Now().Add(patience)
	for {
		c, err := net.Dial("tcp", "127.0.0.1:"+strconv.Itoa(d.port))
		if err == nil {
			c.Close()
			break
		}
		if time.Now().After(limit) {
			t.Fatalf("sshd does not start: %s", d.logged())
		}
		time.Sleep(20 * time.Millisecond)
	}
	d.known = fmt.Sprintf("[127.0.0.*]:%d %s", d.port, ssh.MarshalAuthorizedKey(host.PublicKey()))
	d.config = write("ssh_config", []byte(fmt.Sprintf("Port %d\nIdentityFile %s\nIdentitiesOnly yes\nIdentityAgent none\nUserKnownHostsFile %s\nGlobalKnownHostsFile none\n",
		d.port, write("id", userKey, 0o600), write("known", []byte(d.known), 0o600))), 0o600)
	return d
}

func (d *sshd) logged() string {
	b, _ := os.ReadFile(d.log)
	return string(b)
}

func tailOf(s string, n int) string { return s[max(0, len(s)-n):] }

func (d *sshd) pool(t testing.TB, timing Timing) (*Pool, *recorder) {
	return newTestPool(t, Config{ConfigFile: d.config, Payload: fakeSet(t), Timing: timing,
		Folders: []string{d.root + "/tmp/foretop-$u"}, Shared: "$HOME/.cache/foretop"})
}

func pid(t *testing.T, rec *recorder, node string) int {
	t.Helper()
	_, after, _ := strings.Cut(rec.line(node, "hello "), "pid=")
	n, err := strconv.Atoi(after)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func gone(pid int, within time.Duration) bool {
	limit := time.Now().Add(within)
	for time.Now().Before(limit) {
		if syscall.Kill(pid, 0) != nil {
			return true
		}
		time.Sleep(10 * time.Millisecond)
	}
	return false
}

func TestSSHDLoginShells(t *testing.T) {
	d := startSSHD(t, "")
	p, rec := d.pool(t, quick())
	for i, a := range accounts {
		if _, err := os.Stat(a.shell); err != nil {
			needs(t, false, "no "+a.shell)
		}
		p.Add(Target{Name: fmt.Sprintf("%s@127.0.0.%d:%d", a.name, i+1, d.port)})
	}
	for i, a := range accounts {
		name := fmt.Sprintf("%s@127.0.0.%d:%d", a.name, i+1, d.port)
		if a.name == "ftnone" {
			s, _ := rec.reached(name, Refused, 0)
			if !strings.Contains(s.Cause, "This account is currently not available") {
				t.Errorf("%s: %+v", a.name, s)
			}
			continue
		}
		rec.reached(name, Live, 0)
		if got := exe(t, rec, name); !strings.HasPrefix(got, d.root+"/tmp/foretop-"+strconv.Itoa(a.uid)+"/c-") {
			t.Errorf("%s runs from %s", a.name, got)
		}
		pid := pid(t, rec, name)
		if prio, err := syscall.Getpriority(syscall.PRIO_PROCESS, pid); err != nil || 20-prio < 10 {
			t.Errorf("%s: nice %d %v", a.name, 20-prio, err)
		}
		if b, err := os.ReadFile(fmt.Sprintf("/proc/%d/oom_score_adj", pid)); err != nil || strings.TrimSpace(string(b)) != "1000" {
			t.Errorf("%s: oom_score_adj %s %v", a.name, b, err)
		}
	}
}

func TestSSHDWrongUser(t *testing.T) {
	d := startSSHD(t, "")
	p, rec := d.pool(t, quick())
	p.Add(Target{Name: "nobodyhere@127.0.0.1"})
	s, _ := rec.reached("nobodyhere@127.0.0.1", NeedsAuth, 0)
	if !strings.Contains(s.Cause, "permission denied (publickey") || !strings.Contains(s.Remedy, "check the user name (nobodyhere)") {
		t.Errorf("%+v", s)
	}
}

func TestSSHDTooManyKeys(t *testing.T) {
	d := startSSHD(t, "")
	p, rec := d.pool(t, quick())
	r := *mustResolve(t, p, "ftsh@127.0.0.1")
	r.IdentityFiles = nil
	for range 8 {
		r.Signers = append(r.Signers, newSigner(t))
	}
	p.Add(Target{Name: "n", Resolved: &r})
	check(t, rec, NeedsAuth, "too many keys offered", "IdentitiesOnly")
}

// Thirty nodes behind one sshd with the default MaxStartups 10:30:100: the gate keeps below it.
func TestSSHDManyLogins(t *testing.T) {
	d := startSSHD(t, "MaxStartups 10:30:100")
	p, rec := d.pool(t, quick())
	for i := range 30 {
		// One sshd, as a login node or jump host is: the same address.
		p.Add(Target{Name: "n" + strconv.Itoa(i), Resolved: mustResolve(t, p, "ftsh@127.0.0.1")})
	}
	for i := range 30 {
		rec.reached("n"+strconv.Itoa(i), Live, 0)
	}
	if strings.Contains(d.logged(), "MaxStartups") {
		t.Error("MaxStartups was reached")
	}
}

func mustResolve(t *testing.T, p *Pool, name string) *Resolved {
	t.Helper()
	r, err := p.resolver.resolve(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestSSHDStoppedCollector(t *testing.T) {
	d := startSSHD(t, "")
	p, rec := d.pool(t, quick())
	p.Add(Target{Name: "ftsh@127.0.0.1"})
	_, at := rec.reached("ftsh@127.0.0.1", Live, 0)
	pid := pid(t, rec, "ftsh@127.0.0.1")
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	stopped := time.Now()
	s, at := rec.reached("ftsh@127.0.0.1", Stale, at)
	if took := s.At.Sub(stopped); took > 3200*time.Millisecond {
		t.Errorf("stale after %v", took)
	}
	s, at = rec.reached("ftsh@127.0.0.1", Stale, at)
	if !strings.Contains(s.Cause, "ssh answers") {
		t.Errorf("%+v", s)
	}
	if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	rec.reached("ftsh@127.0.0.1", Live, at)
}

func TestSSHDLeavesNothingBehind(t *testing.T) {
	d := startSSHD(t, "")
	p, rec := d.pool(t, quick())
	p.Add(Target{Name: "ftsh@127.0.0.1"})
	p.Add(Target{Name: "ftbash@127.0.0.2"})
	var pids []int
	for _, n := range []string{"ftsh@127.0.0.1", "ftbash@127.0.0.2"} {
		rec.reached(n, Live, 0)
		pids = append(pids, pid(t, rec, n))
	}
	p.Remove("ftsh@127.0.0.1")
	if !gone(pids[0], patience) {
		t.Error("the collector of a removed node stayed")
	}
	// A node whose sshd process for us dies: lost, and again live.
	_, at := rec.reached("ftbash@127.0.0.2", Live, 0)
	if err := syscall.Kill(pids[1], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	s, at := rec.reached("ftbash@127.0.0.2", Lost, at)
	if !strings.Contains(s.Cause, "the collector ended: signal KILL") {
		t.Errorf("%+v", s)
	}
	rec.reached("ftbash@127.0.0.2", Live, at)
	p.Close()
	out, _ := exec.Command("pgrep", "-f", d.root+"/tmp/foretop-").Output()
	for _, f := range strings.Fields(string(out)) {
		if n, err := strconv.Atoi(f); err == nil && !gone(n, patience) {
			t.Errorf("process %d stayed after Close", n)
		}
	}
}

// The node freezes whole (here: its sshd and all it started are stopped): stale within 3 s, then lost by the keepalive's silence.
func TestSSHDFrozenNode(t *testing.T) {
	d := startSSHD(t, "")
	timing := quick()
	timing.Gone = 5 * time.Second
	p, rec := d.pool(t, timing)
	p.Add(Target{Name: "ftsh@127.0.0.1"})
	_, at := rec.reached("ftsh@127.0.0.1", Live, 0)
	pid := pid(t, rec, "ftsh@127.0.0.1")
	session := parent(t, pid) // sshd's unprivileged process for this connection
	for _, n := range []int{pid, session} {
		if err := syscall.Kill(n, syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = syscall.Kill(n, syscall.SIGCONT) }()
	}
	_, at = rec.reached("ftsh@127.0.0.1", Stale, at)
	s, at := rec.reached("ftsh@127.0.0.1", Lost, at)
	if !strings.Contains(s.Cause, "no answer for 5 s") {
		t.Errorf("%+v", s)
	}
	rec.reached("ftsh@127.0.0.1", Live, at)
}

// frontEnd is set in the environment of a process that plays a front end: an ssh configuration, the collectors' folder, node names.
const frontEnd = "FORETOP_TEST_FRONT"

// playFront runs a pool until it is killed.
func playFront() {
	words := strings.Split(os.Getenv(frontEnd), " ")
	bundle, err := payload.FromPath("fake", words[2])
	if err != nil {
		panic(err)
	}
	p := New(Config{ConfigFile: words[0], Folders: []string{words[1]}, Payload: payload.Of(&payload.Bundle{Platform: payload.Here(), Collector: bundle})}, &counter{})
	for _, n := range words[3:] {
		p.Add(Target{Name: n})
	}
	select {}
}

// One second after the front end is killed with SIGKILL no collector is left.
func TestSSHDFrontKilled(t *testing.T) {
	d := startSSHD(t, "")
	fake, err := fakeCollector()
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %s %s ftsh@127.0.0.1 ftbash@127.0.0.2 fttcsh@127.0.0.3", frontEnd, d.config, d.root+"/tmp/foretop-$u", fake))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	collectors := func() int {
		out, _ := exec.Command("pgrep", "-f", d.root+"/tmp/foretop-[0-9]*/c-").Output()
		return len(strings.Fields(string(out)))
	}
	for limit := time.Now().Add(patience); collectors() != 3; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(limit) {
			_ = cmd.Process.Kill()
			t.Fatalf("%d collectors run", collectors())
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	time.Sleep(time.Second)
	if n := collectors(); n != 0 {
		t.Errorf("%d collectors are left after a second", n)
	}
}

func parent(t *testing.T, pid int) int {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(b), ") ")
	n, err := strconv.Atoi(strings.Fields(after)[1])
	if err != nil {
		t.Fatal(err)
	}
	return n
}
