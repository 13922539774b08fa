//go:build unix

package sshpool

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// hashOf is a password as crypt(3) keeps it.
func hashOf(t *testing.T, password string) string {
	t.Helper()
	out, err := exec.Command("openssl", "passwd", "-6", password).Output()
	needs(t, err == nil, "no openssl")
	return strings.TrimSpace(string(out))
}

// codeModule compiles a PAM module that asks for a code, which is good once: it takes what its file says and empties it.
func codeModule(t *testing.T, dir string) string {
	t.Helper()
	source := filepath.Join(dir, "code.c")
	module := filepath.Join(dir, "pam_code.so")
	if err := os.WriteFile(source, []byte(`
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
struct message { int style; const char *text; };
struct response { char *text; int code; };
struct conversation { int (*ask)(int, const struct message **, struct response **, void *); void *data; };
extern int pam_get_item(const void *, int, const void **);
int pam_sm_authenticate(void *pam, int flags, int argc, const char **argv) {
	const void *item;
	struct message m = { 2 /* echo on */, "Verification code: " };
	const struct message *list = &m;
	struct response *answer = 0;
	char want[64] = "";
	if (argc < 1 || pam_get_item(pam, 5 /* PAM_CONV */, &item) || !item) return 7;
	const struct conversation *c = item;
	if (c->ask(1, &list, &answer, c->data) || !answer || !answer->text) return 7;
	FILE *f = fopen(argv[0], "r");
	if (!f || !fgets(want, sizeof want, f)) return 7;
	fclose(f);
	if (*want == 0 || strcmp(want, answer->text)) return 7;
	if ((f = fopen(argv[0], "w"))) fclose(f);
	return 0;
}
int pam_sm_setcred(void *pam, int flags, int argc, const char **argv) { return 0; }
`), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("gcc", "-shared", "-fPIC", "-o", module, source).CombinedOutput(); err != nil {
		needs(t, false, fmt.Sprintf("no C compiler: %v %s", err, out))
	}
	return module
}

func (d *sshd) askPool(t *testing.T) (*Pool, *recorder) {
	return newTestPool(t, Config{ConfigFile: d.config, Payload: fakeSet(t), Ask: true, Folders: []string{d.root + "/tmp/foretop-$u"}, Shared: "$HOME/.cache/foretop"})
}

func (d *sshd) node(i int) string { return fmt.Sprintf("ftsh@127.0.0.%d:%d", i, d.port) }

// withPAM starts a server whose accounts have a password, and PAM to check it.
func withPAM(t *testing.T, options, more string) *sshd {
	t.Helper()
	if _, err := os.Stat("/etc/pam.d/sshd"); err != nil {
		needs(t, false, "no PAM file of sshd")
	}
	return startSSHDWith(t, "KbdInteractiveAuthentication yes\nPasswordAuthentication no\n"+options, hashOf(t, "right"), "auth required pam_unix.so\n"+more+"account required pam_permit.so\nsession required pam_permit.so\n")
}

func TestSSHDPassphrase(t *testing.T) {
	d := startSSHD(t, "")
	id := filepath.Join(d.root, "id")
	if out, err := exec.Command("ssh-keygen", "-q", "-p", "-P", "", "-N", "open sesame", "-f", id).CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	p, rec := d.askPool(t)
	for i := 1; i <= 3; i++ {
		p.Add(Target{Name: d.node(i)})
	}
	all := func(q Question) bool { return answerable(q) && len(q.Nodes) == 3 }
	q := asked(t, p, "of the key", all)
	if q.Kind != AskPassphrase || q.File != id {
		t.Errorf("%+v", q)
	}
	reply(t, p, q, "wrong")
	reply(t, p, asked(t, p, "again", func(q Question) bool { return all(q) && q.Tries == 1 }), "open sesame")
	for i := 1; i <= 3; i++ {
		rec.reached(d.node(i), Live, 0)
	}
	if strings.Contains(d.logged(), "Failed") {
		t.Errorf("a wrong passphrase cost an attempt:\n%s", d.logged())
	}
}

// A wrong password is one line in sshd's log, however many nodes wait for it.
func TestSSHDPassword(t *testing.T) {
	d := startSSHDWith(t, "PasswordAuthentication yes\nKbdInteractiveAuthentication no\nMaxStartups 100\n", hashOf(t, "right"), "")
	if err := os.Remove(filepath.Join(d.root, "id")); err != nil {
		t.Fatal(err)
	}
	p, rec := d.askPool(t)
	const nodes = 12
	for i := 1; i <= nodes; i++ {
		p.Add(Target{Name: d.node(i)})
	}
	all := func(q Question) bool { return answerable(q) && len(q.Nodes) == nodes }
	q := asked(t, p, "of all", all)
	if q.Kind != AskPassword || q.User != "ftsh" {
		t.Errorf("%+v", q)
	}
	reply(t, p, q, "wrong")
	q = asked(t, p, "again", func(q Question) bool { return all(q) && q.Tries == 1 })
	if n := strings.Count(d.logged(), "Failed password for ftsh"); n != 1 {
		t.Errorf("%d wrong passwords in the log:\n%s", n, tailOf(d.logged(), 2000))
	}
	reply(t, p, q, "right")
	for i := 1; i <= nodes; i++ {
		rec.reached(d.node(i), Live, 0)
	}
	if bad, good := strings.Count(d.logged(), "Failed password"), strings.Count(d.logged(), "Accepted password for ftsh"); bad != 1 || good != nodes {
		t.Errorf("%d wrong and %d right passwords in the log", bad, good)
	}
}

// PAM asks for a password by keyboard-interactive.
func TestSSHDInteractivePassword(t *testing.T) {
	d := withPAM(t, "AuthenticationMethods keyboard-interactive\nMaxStartups 100\n", "")
	p, rec := d.askPool(t)
	for i := 1; i <= 4; i++ {
		p.Add(Target{Name: d.node(i)})
	}
	q := asked(t, p, "of all", func(q Question) bool { return len(q.Nodes) == 4 && !q.Busy })
	p.Begin(q.ID)
	q = asked(t, p, "password", answerable)
	if len(q.Prompts) != 1 || strings.TrimSpace(q.Prompts[0].Text) != "Password:" && !strings.HasSuffix(strings.TrimSpace(q.Prompts[0].Text), "Password:") || q.Prompts[0].Echo {
		t.Errorf("%+v", q.Prompts)
	}
	reply(t, p, q, "wrong")
	q = asked(t, p, "again", func(q Question) bool { return answerable(q) && q.Tries == 1 })
	reply(t, p, q, "right")
	for i := 1; i <= 4; i++ {
		rec.reached(d.node(i), Live, 0)
	}
	if n := strings.Count(d.logged(), "PAM: Authentication failure for ftsh"); n != 1 {
		t.Errorf("%d wrong ones in the log:\n%s", n, tailOf(d.logged(), 3000))
	}
	unasked(t, p)
}

// Two factors: a key, then PAM's password and a code that is good once.
func TestSSHDTwoFactors(t *testing.T) {
	dir := t.TempDir()
	code := filepath.Join(dir, "code")
	set := func(s string) {
		if err := os.WriteFile(code, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d := withPAM(t, "AuthenticationMethods publickey,keyboard-interactive\n", "auth required "+codeModule(t, dir)+" "+code+"\n")
	p, rec := d.askPool(t)
	p.Add(Target{Name: d.node(1)})
	q := asked(t, p, "after the key", func(q Question) bool { return !q.Busy })
	st, _ := rec.reached(d.node(1), NeedsAuth, 0)
	if !strings.Contains(st.Cause, "after the key") {
		t.Errorf("%+v", st)
	}
	set("424242")
	p.Begin(q.ID)
	reply(t, p, asked(t, p, "password", answerable), "right")
	q = asked(t, p, "code", func(q Question) bool {
		return answerable(q) && strings.Contains(q.Prompts[0].Text, "Verification code")
	})
	if !q.Prompts[0].Echo {
		t.Errorf("%+v", q.Prompts)
	}
	reply(t, p, q, "424242")
	_, at := rec.reached(d.node(1), Live, 0)
	if !strings.Contains(d.logged(), "Partial publickey") && !strings.Contains(d.logged(), "Accepted keyboard-interactive/pam for ftsh") {
		t.Errorf("log:\n%s", tailOf(d.logged(), 2000))
	}

	// Cut: the password is known, the code is asked for once the person is there.
	_ = exec.Command("kill", fmt.Sprint(pid(t, rec, d.node(1)))).Run()
	rec.reached(d.node(1), NeedsAuth, at)
	q = asked(t, p, "after a cut", func(q Question) bool { return !q.Busy })
	set("777777")
	p.Begin(q.ID)
	q = asked(t, p, "code again", answerable)
	if !strings.Contains(q.Prompts[0].Text, "Verification code") {
		t.Errorf("%+v", q.Prompts)
	}
	reply(t, p, q, "777777")
	rec.reached(d.node(1), Live, at+1)
}

// A jump host that asks first, with nodes behind it that let the key in.
func TestSSHDJumpHostAsks(t *testing.T) {
	jump := withPAM(t, "AuthenticationMethods keyboard-interactive\n", "")
	d := startSSHD(t, "MaxStartups 100")
	if f, err := os.OpenFile(filepath.Join(d.root, "known"), os.O_APPEND|os.O_WRONLY, 0); err != nil {
		t.Fatal(err)
	} else {
		fmt.Fprint(f, jump.known)
		f.Close()
	}
	b, err := os.ReadFile(d.config)
	if err != nil {
		t.Fatal(err)
	}
	config := fmt.Sprintf("Host jump\n User ftsh\n HostName 127.0.0.1\n Port %d\nHost node*\n User ftsh\n HostName 127.0.0.1\n ProxyJump jump\n", jump.port) + "Host *\n" + string(b)
	if err := os.WriteFile(d.config, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	p, rec := d.askPool(t)
	for i := range 5 {
		p.Add(Target{Name: fmt.Sprintf("node%d", i)})
	}
	q := asked(t, p, "of the jump host", func(q Question) bool { return q.Jump && len(q.Nodes) == 5 && !q.Busy })
	p.Begin(q.ID)
	reply(t, p, asked(t, p, "password", answerable), "right")
	for i := range 5 {
		rec.reached(fmt.Sprintf("node%d", i), Live, 0)
	}
	if n := strings.Count(jump.logged(), "Accepted keyboard-interactive/pam"); n != 1 {
		t.Errorf("%d logins at the jump host", n)
	}
}
