package testbed

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
)

// Process is one process of a node.
type Process struct {
	PID     int    // as the node numbers it
	HostPID int    // as this machine numbers it
	State   string // "S", "R", "T" (stopped), "Z", … as in /proc/PID/stat
	Command string // arguments joined by blanks; the name in brackets where there are none
}

// Processes lists the node's processes whose command matches the regular expression, but for those that keep the node up.
func (n *Node) Processes(pattern string) ([]Process, error) {
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, err
	}
	init, err := n.pid()
	if err != nil {
		return nil, err
	}
	space, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", init))
	if err != nil {
		return nil, fmt.Errorf("list processes of %s: %w", n.Name, err)
	}
	links, err := filepath.Glob("/proc/[0-9]*/ns/pid")
	if err != nil {
		return nil, err
	}
	var out []Process
	for _, link := range links {
		if s, err := os.Readlink(link); err != nil || s != space {
			continue
		}
		p, parent, err := readProcess(filepath.Dir(filepath.Dir(link)))
		if err != nil || p.HostPID == init || parent == init && p.Command == "cat" {
			continue // it ended meanwhile, or it keeps the node up
		}
		if re.MatchString(p.Command) {
			out = append(out, p)
		}
	}
	return out, nil
}

// readProcess reads a process and its parent's number (this machine's) from its folder in /proc.
func readProcess(dir string) (p Process, parent int, err error) {
	status, err1 := os.ReadFile(dir + "/status")
	cmdline, err2 := os.ReadFile(dir + "/cmdline")
	if err := errors.Join(err1, err2); err != nil {
		return p, 0, err
	}
	var name string
	for line := range strings.Lines(string(status)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		words := strings.Fields(value)
		if len(words) == 0 {
			continue
		}
		switch key {
		case "Name":
			name = words[0]
		case "State":
			p.State = words[0]
		case "Pid":
			p.HostPID, _ = strconv.Atoi(words[0])
		case "PPid":
			parent, _ = strconv.Atoi(words[0])
		case "NSpid":
			p.PID, _ = strconv.Atoi(words[len(words)-1])
		}
	}
	p.Command = string(bytes.ReplaceAll(bytes.TrimRight(cmdline, "\x00"), []byte{0}, []byte{' '}))
	if p.Command == "" {
		p.Command = "[" + name + "]"
	}
	return p, parent, nil
}

// Signal sends a signal to every process whose command matches and returns how many there were.
func (n *Node) Signal(pattern string, sig syscall.Signal) (int, error) {
	ps, err := n.Processes(pattern)
	if err != nil {
		return 0, err
	}
	for _, p := range ps {
		if err := syscall.Kill(p.HostPID, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
			return 0, fmt.Errorf("signal process %d of %s: %w", p.PID, n.Name, err)
		}
	}
	return len(ps), nil
}

// Command prepares a command that runs on the node as root, past its server.
func (n *Node) Command(ctx context.Context, argv ...string) (*exec.Cmd, error) {
	return n.enter(ctx, account{name: "root", home: "/root"}, nil, argv)
}

// Exec runs a command on the node as root, past its server, and returns its output without the last newline.
func (n *Node) Exec(argv ...string) (string, error) {
	cmd, err := n.Command(context.Background(), argv...)
	if err != nil {
		return "", err
	}
	return output(cmd)
}

// StartRank starts a process on the node as the login user, in a session of its own, with RANK, WORLD_SIZE and whatever
// env holds. It returns the process id as the node numbers it; the process lives until it ends or the node does.
func (n *Node) StartRank(env map[string]string, argv ...string) (pid int, err error) {
	user, err := n.settings.account()
	if err != nil {
		return 0, err
	}
	// The shell says its child's number; the child becomes the command, and an orphan of process 1 when the shell ends.
	start := []string{"/bin/sh", "-c", `setsid "$@" </dev/null >/dev/null 2>&1 & echo $!`, "sh"}
	cmd, err := n.enter(context.Background(), user, env, append(start, argv...))
	if err != nil {
		return 0, err
	}
	out, err := output(cmd)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(out)
}

// enter prepares a command in all namespaces of the node, as that user and with that environment beside the usual one.
func (n *Node) enter(ctx context.Context, user account, env map[string]string, argv []string) (*exec.Cmd, error) {
	pid, err := n.pid()
	if err != nil {
		return nil, err
	}
	id := strconv.Itoa(user.id)
	args := []string{"--target", strconv.Itoa(pid), "--pid", "--mount", "--uts", "--ipc", "--net",
		"--setuid", id, "--setgid", id, "--"}
	cmd := exec.CommandContext(ctx, "nsenter", append(args, argv...)...)
	cmd.Env = append([]string{"PATH=" + nodePath, "HOME=" + user.home, "USER=" + user.name, "LANG=C.UTF-8"}, sortedEnv(env)...)
	return cmd, nil
}

func output(cmd *exec.Cmd) (string, error) {
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	out := strings.TrimSuffix(stdout.String(), "\n")
	if err != nil {
		return out, fmt.Errorf("run %s: %w: %s", strings.Join(cmd.Args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return out, nil
}
