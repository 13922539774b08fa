//go:build unix

package sshpool

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// kerberos starts a KDC of its own, with a user and a keytab for hosts named localhost, and has this process and its children use it. ticket gets the user a ticket; before
// there is none.
func kerberos(t *testing.T, user string) (ticket func()) {
	t.Helper()
	for _, program := range []string{"krb5kdc", "kdb5_util", "kadmin.local", "kinit"} {
		if _, err := exec.LookPath(program); err != nil {
			if _, err := os.Stat("/usr/sbin/" + program); err != nil {
				needs(t, false, "no "+program+": install krb5-kdc, krb5-admin-server and krb5-user")
			}
		}
	}
	t.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin")
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	t.Setenv("KRB5_CONFIG", write("krb5.conf", fmt.Sprintf(`[libdefaults]
 default_realm = LAB.TEST
 dns_lookup_kdc = false
 dns_lookup_realm = false
 dns_canonicalize_hostname = false
 rdns = false
 udp_preference_limit = 1
[realms]
 LAB.TEST = {
  kdc = 127.0.0.1:%d
 }
[domain_realm]
 localhost = LAB.TEST
`, port)))
	t.Setenv("KRB5_KDC_PROFILE", write("kdc.conf", fmt.Sprintf(`[kdcdefaults]
 kdc_listen = 127.0.0.1:%[1]d
 kdc_tcp_listen = 127.0.0.1:%[1]d
[realms]
 LAB.TEST = {
  database_name = %[2]s/principal
  key_stash_file = %[2]s/stash
  acl_file = %[2]s/acl
 }
`, port, dir)))
	t.Setenv("KRB5CCNAME", "")
	t.Setenv("KRB5_KTNAME", "FILE:"+filepath.Join(dir, "keytab"))
	run := func(in string, argv ...string) {
		t.Helper()
		cmd := exec.Command(argv[0], argv[1:]...)
		cmd.Stdin = strings.NewReader(in)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%q: %v %s", argv, err, out)
		}
	}
	run("", "kdb5_util", "create", "-s", "-P", "master")
	run("", "kadmin.local", "-q", "addprinc -pw ticket "+user)
	run("", "kadmin.local", "-q", "addprinc -randkey host/localhost")
	run("", "kadmin.local", "-q", "ktadd -k "+filepath.Join(dir, "keytab")+" host/localhost")
	kdc := exec.Command("krb5kdc", "-n", "-P", filepath.Join(dir, "pid"))
	if err := kdc.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = kdc.Process.Kill(); _ = kdc.Wait() })
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			c.Close()
			break
		}
		if time.Now().After(end) {
			t.Fatal("the KDC does not start")
		}
	}
	return func() {
		t.Setenv("KRB5CCNAME", "FILE:"+filepath.Join(dir, "cache"))
		run("ticket\n", "kinit", user)
	}
}

// A host that lets in by a Kerberos ticket only: with one ssh and we get in, we by the system's ssh; without one neither does, and no login is wasted on it.
func TestGSSAPI(t *testing.T) {
	ticket := kerberos(t, "ftsh")
	d := startSSHD(t, "GSSAPIAuthentication yes\nGSSAPIStrictAcceptorCheck no\nPubkeyAuthentication no\nPasswordAuthentication no\nKbdInteractiveAuthentication no")
	l := &lab{t: t, d: d, certified: d, dir: t.TempDir()}
	l.write("known", strings.ReplaceAll(d.known, "[127.0.0.*]", "[localhost]"), 0o600)
	l.write("config", fmt.Sprintf("Host h\nHostName localhost\nAddressFamily inet\nPort %d\nUser ftsh\nIdentityFile none\nIdentityAgent none\nUserKnownHostsFile %s\nGlobalKnownHostsFile none\nGSSAPIAuthentication yes\n",
		d.port, l.path("known")), 0o600)
	if want := l.bySSH("id -un"); want.end != endAuth {
		t.Errorf("ssh without a ticket: %+v", want)
	}
	if got, _ := l.byPool("id -un"); got.end != endAuth {
		t.Errorf("without a ticket: %+v", got)
	}
	ticket()
	want := l.bySSH("id -un")
	if want.end != endUp || want.out != "ftsh\n" {
		t.Fatalf("ssh itself: %+v\n%s", want, tailOf(d.logged(), 2000))
	}
	got, via := l.byPool("id -un")
	if got.end != endUp || got.out != want.out || !strings.Contains(via, "GSSAPIAuthentication") {
		t.Errorf("%+v by %q", got, via)
	}
	if n := strings.Count(d.logged(), "Accepted gssapi-with-mic for ftsh"); n != 2 {
		t.Errorf("%d logins by a ticket:\n%s", n, tailOf(d.logged(), 2000))
	}
}
