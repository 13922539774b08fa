package testbed

import (
	"crypto/rand"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const (
	sshdPath = "/usr/sbin/sshd"
	nodePath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
)

//go:embed boot.sh
var bootScript string

//go:embed init.sh
var initScript string

// account is a user of the nodes.
type account struct {
	name string
	id   int // user and group
	home string
}

var accounts = []account{{"root", 0, "/root"}, {"ann", 2001, "/home/ann"}, {"bob", 2002, "/home/bob"}}

func (s *settings) account() (account, error) {
	for _, a := range accounts {
		if a.name == s.user {
			return a, nil
		}
	}
	return account{}, fmt.Errorf("no user %q on the nodes: root, ann or bob", s.user)
}

// writeFiles puts the node's disk into its folder: /etc, home, host key, and the script that mounts them.
func (n *Node) writeFiles(bed *Bed, authorized []byte) error {
	user, err := n.settings.account()
	if err != nil {
		return err
	}
	if n.settings.refuseKey {
		authorized = nil
	}
	etc := filepath.Join(n.dir, "etc")
	for _, dir := range []string{"root", "home", "var-tmp", "etc/ssh", "played"} {
		if err := os.MkdirAll(filepath.Join(n.dir, dir), 0o755); err != nil {
			return err
		}
	}
	if _, err := writeKeyPair(filepath.Join(etc, "ssh/ssh_host_ed25519_key")); err != nil {
		return err
	}
	passwd, group, shadow, err := n.userFiles()
	if err != nil {
		return err
	}
	home := n.homeDir(bed)
	return errors.Join(
		os.Chmod(filepath.Join(n.dir, "var-tmp"), 0o777|os.ModeSticky),
		os.WriteFile(filepath.Join(etc, "passwd"), passwd, 0o644),
		os.WriteFile(filepath.Join(etc, "group"), group, 0o644),
		os.WriteFile(filepath.Join(etc, "shadow"), shadow, 0o640),
		os.WriteFile(filepath.Join(etc, "hostname"), []byte(n.Name+"\n"), 0o644),
		os.WriteFile(filepath.Join(etc, "hosts"), bed.hosts(), 0o644),
		os.WriteFile(filepath.Join(etc, "machine-id"), []byte(randomHex(16)+"\n"), 0o444),
		os.WriteFile(filepath.Join(etc, "ssh/authorized_keys"), authorized, 0o644),
		os.WriteFile(filepath.Join(etc, "ssh/sshd_config"), []byte(n.sshdConfig()), 0o644),
		n.SetProfile(n.settings.profile),
		os.WriteFile(filepath.Join(n.dir, "boot.sh"), []byte(bootScript), 0o644),
		os.WriteFile(filepath.Join(n.dir, "init.sh"), []byte(initScript), 0o644),
		os.WriteFile(filepath.Join(n.dir, "plan.sh"), []byte(n.plan(home, user)), 0o644),
		writeHome(home, n.settings.homeFiles, user),
	)
}

// homeDir is the folder of this machine that holds the node's home.
func (n *Node) homeDir(bed *Bed) string {
	if n.settings.sharedHome != "" {
		return filepath.Join(bed.Dir, "home-"+n.settings.sharedHome)
	}
	return filepath.Join(n.dir, "home")
}

// userFiles are passwd, group and shadow: this machine's, with the bed's accounts in front.
func (n *Node) userFiles() (passwd, group, shadow []byte, err error) {
	var p, g, s strings.Builder
	for _, a := range accounts {
		shell := "/bin/bash"
		if a.name == n.settings.user {
			shell = n.settings.shell
		}
		fmt.Fprintf(&p, "%s:x:%d:%d::%s:%s\n", a.name, a.id, a.id, a.home, shell)
		fmt.Fprintf(&g, "%s:x:%d:\n", a.name, a.id)
		fmt.Fprintf(&s, "%s:*:19000:0:99999:7:::\n", a.name)
	}
	err = errors.Join(appendOthers(&p, "/etc/passwd"), appendOthers(&g, "/etc/group"), appendOthers(&s, "/etc/shadow"))
	return []byte(p.String()), []byte(g.String()), []byte(s.String()), err
}

// appendOthers adds the lines of one of this machine's user files that do not speak of the bed's accounts.
func appendOthers(to *strings.Builder, path string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(b)) {
		name, _, _ := strings.Cut(line, ":")
		if !slices.ContainsFunc(accounts, func(a account) bool { return a.name == name }) {
			to.WriteString(line)
		}
	}
	return nil
}

func (b *Bed) hosts() []byte {
	out := "127.0.0.1 localhost\n"
	for _, n := range b.Nodes {
		out += n.Addr + " " + n.Name + "\n"
	}
	return []byte(out)
}

func (n *Node) sshdConfig() string {
	lines := append(slices.Clone(n.settings.sshd),
		fmt.Sprintf("Port %d", n.Port),
		"HostKey /etc/ssh/ssh_host_ed25519_key",
		"AuthorizedKeysFile /etc/ssh/authorized_keys",
		"PasswordAuthentication no",
		"KbdInteractiveAuthentication no",
		"UsePAM no",
		"StrictModes no",
		"UseDNS no",
		"PidFile none",
		"PrintMotd no",
		"PrintLastLog no",
		"Subsystem sftp internal-sftp",
	)
	if len(n.settings.env) > 0 {
		// One line: sshd takes the first SetEnv only.
		set := "SetEnv"
		for _, kv := range sortedEnv(n.settings.env) {
			set += ` "` + kv + `"`
		}
		lines = append(lines, set)
	}
	return strings.Join(lines, "\n") + "\n"
}

// writeHome puts the files into the home folder and gives it to its user.
func writeHome(dir string, files map[string]string, user account) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			return err
		}
	}
	return filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, user.id, user.id)
	})
}

// writeBootID makes a new boot id, as each boot does.
func (n *Node) writeBootID() error {
	h := randomHex(16)
	uuid := fmt.Sprintf("%s-%s-4%s-a%s-%s\n", h[:8], h[8:12], h[13:16], h[17:20], h[20:])
	return os.WriteFile(filepath.Join(n.dir, "boot_id"), []byte(uuid), 0o444)
}

func randomHex(bytes int) string {
	b := make([]byte, bytes)
	rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// noiseCommand prints so many bytes in any shell.
func noiseCommand(line string, bytes int) string {
	return fmt.Sprintf("yes '%s' | head -c %d\n", line, bytes)
}
