package testbed

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// slurmInit is the first process of a Slurm that is alone: it has the bed's accounts and a /proc of its own, reaps orphans, and ends with its standard input.
const slurmInit = `set -e
mount --make-rprivate /
mount -t proc proc /proc
mount --bind "$1/passwd" /etc/passwd
mount --bind "$1/group" /etc/group
echo slurmctl >/proc/sys/kernel/hostname
echo ready
exec >/dev/null 2>&1
cat`

// alone makes the namespace of a bed that is alone, and the configuration of its Slurm.
func (b *SlurmBed) alone() (conf string, err error) {
	if b.Dir, err = os.MkdirTemp("", ownerPrefix()+"*"); err != nil {
		return "", err
	}
	b.Conf = filepath.Join(b.Dir, "slurm.conf")
	b.Env = []string{"SLURM_CONF=" + b.Conf}
	if err := b.writeUsers(); err != nil {
		return "", err
	}
	if b.first, err = bootSlurm(b.Dir); err != nil {
		return "", err
	}
	pid := b.first.pid
	b.head = &slurmPlace{dir: b.Dir, conf: b.Conf, command: func(ctx context.Context, user account, argv ...string) (*exec.Cmd, error) {
		id, home := strconv.Itoa(user.id), user.home
		if user.id != 0 {
			home = filepath.Join(b.Dir, user.home)
		}
		args := []string{"--target", strconv.Itoa(pid), "--pid", "--mount", "--uts", "--setuid", id, "--setgid", id, "--"}
		cmd := exec.CommandContext(ctx, "nsenter", append(args, argv...)...)
		cmd.Env = []string{"PATH=" + nodePath, "HOME=" + home, "USER=" + user.name, "LANG=C.UTF-8", "SLURM_CONF=" + b.Conf}
		return cmd, nil
	}}
	port, err := freePorts(b.options.Nodes + 1)
	if err != nil {
		return "", err
	}
	for i := 1; i <= b.options.Nodes; i++ {
		b.Nodes = append(b.Nodes, nodeName(i))
		b.at[nodeName(i)] = b.head
	}
	var nodes []string
	for i, name := range b.Nodes {
		nodes = append(nodes, fmt.Sprintf("NodeName=%s NodeHostname=localhost NodeAddr=127.0.0.1 Port=%d", name, port+1+i))
	}
	return b.slurmConf("slurmctl(127.0.0.1)", port, nodes), nil
}

// writeUsers writes passwd and group, and the homes of the bed's accounts.
func (b *SlurmBed) writeUsers() error {
	n := &Node{Name: "slurmctl", settings: settingsFor("slurmctl", nil)}
	passwd, group, _, err := n.userFiles()
	if err != nil {
		return err
	}
	text := string(passwd)
	errs := []error{os.Chmod(b.Dir, 0o711)}
	for _, a := range accounts[1:] {
		home := filepath.Join(b.Dir, a.home)
		text = strings.Replace(text, ":"+a.home+":", ":"+home+":", 1)
		errs = append(errs, os.MkdirAll(home, 0o755), os.Chown(home, a.id, a.id))
	}
	return errors.Join(append(errs,
		os.WriteFile(filepath.Join(b.Dir, "passwd"), []byte(text), 0o644),
		os.WriteFile(filepath.Join(b.Dir, "group"), group, 0o644))...)
}

// bootSlurm starts the first process and returns when its namespace is ready.
func bootSlurm(dir string) (*boot, error) {
	stdin, hold, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer stdin.Close()
	ready, said, err := os.Pipe()
	if err != nil {
		hold.Close()
		return nil, err
	}
	defer ready.Close()
	cmd := inHostNetwork("/bin/sh", "-c", slurmInit, "sh", dir)
	cmd.Env = []string{"PATH=" + nodePath}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, said, said
	err = cmd.Start()
	said.Close()
	if err != nil {
		hold.Close()
		return nil, fmt.Errorf("start first process: %w", err)
	}
	b := &boot{pid: cmd.Process.Pid, stdin: hold, ended: make(chan struct{})}
	go func() {
		// How it ended does not matter: it is always killed.
		_ = cmd.Wait()
		close(b.ended)
	}()
	if line, err := bufio.NewReader(ready).ReadString('\n'); line != "ready\n" {
		return b, fmt.Errorf("the first process says %q: %w", line, errors.Join(err, b.end()))
	}
	return b, nil
}

// end kills the first process, and with it all others of its namespace.
func (b *boot) end() error {
	err := syscall.Kill(b.pid, syscall.SIGKILL)
	if errors.Is(err, syscall.ESRCH) {
		err = nil
	}
	<-b.ended
	return errors.Join(err, b.stdin.Close())
}

// freePorts finds so many free TCP ports in a row, below those that the kernel gives out by itself.
func freePorts(n int) (first int, err error) {
	for range 100 {
		first = 15000 + rand.N(15000)
		var open []net.Listener
		for p := first; p < first+n; p++ {
			l, err := net.Listen("tcp", fmt.Sprintf(":%d", p))
			if err != nil {
				break
			}
			open = append(open, l)
		}
		for _, l := range open {
			l.Close()
		}
		if len(open) == n {
			return first, nil
		}
	}
	return 0, fmt.Errorf("no %d free ports in a row", n)
}

// onNodes lays the Slurm of a bed over its nodes: the last one is the controller.
func (b *SlurmBed) onNodes() (conf string, err error) {
	all := b.options.On.Nodes
	if len(all) < 2 {
		return "", errors.New("Slurm on nodes takes two at least: a controller and a node")
	}
	b.Conf = "/etc/slurm/slurm.conf"
	const dir = "/run/slurm-bed"
	place := func(n *Node) *slurmPlace {
		return &slurmPlace{dir: dir, conf: b.Conf, command: func(ctx context.Context, user account, argv ...string) (*exec.Cmd, error) {
			return n.enter(ctx, user, nil, argv)
		}}
	}
	head := all[len(all)-1]
	b.head = place(head)
	var nodes []string
	for _, n := range all[:len(all)-1] {
		b.Nodes = append(b.Nodes, n.Name)
		b.at[n.Name] = place(n)
		nodes = append(nodes, fmt.Sprintf("NodeName=%s NodeHostname=%s NodeAddr=%s Port=6818", n.Name, n.Name, n.Addr))
	}
	return b.slurmConf(fmt.Sprintf("%s(%s)", head.Name, head.Addr), 6817, nodes), nil
}
