package testbed

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Node is one machine of a bed. Its methods are safe for concurrent use.
type Node struct {
	Name string // alias, and the node's own host name
	Addr string // IPv4 address
	Port int

	index    int
	network  *network
	dir      string // the node's folder in the bed: its disk, its server's configuration and log
	settings settings

	mu   sync.Mutex
	boot *boot // nil while the node is off
}

// boot is one life of a node, from Start to Kill.
type boot struct {
	pid   int           // the first process, as this machine numbers it
	stdin *os.File      // its end is the node's end
	ended chan struct{} // closed when the first process is gone, and with it all others
}

// Start boots the node: same address, same keys, same home; new boot id, empty /tmp. It returns when the server greets.
func (n *Node) Start() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.boot != nil {
		return nil
	}
	if err := n.start(); err != nil {
		err = fmt.Errorf("start %s: %w\n%s", n.Name, err, n.logTail(2000))
		return errors.Join(err, n.stop())
	}
	return nil
}

func (n *Node) start() error {
	if err := n.writeBootID(); err != nil {
		return err
	}
	log, err := os.OpenFile(n.logPath(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	stdin, hold, err := os.Pipe()
	if err != nil {
		return err
	}
	defer stdin.Close()
	cmd := inNamespaces("/bin/sh", filepath.Join(n.dir, "boot.sh"))
	cmd.Env = []string{"PATH=" + nodePath, "NODE_DIR=" + n.dir}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, log, log
	if err := cmd.Start(); err != nil {
		hold.Close()
		return fmt.Errorf("start first process: %w", err)
	}
	b := &boot{pid: cmd.Process.Pid, stdin: hold, ended: make(chan struct{})}
	n.boot = b
	go func() {
		// How it ended does not matter: a node is always killed.
		_ = cmd.Wait()
		close(b.ended)
	}()
	if err := n.network.plug(n.index, b.pid); err != nil {
		return err
	}
	if _, err := hold.WriteString("plugged\n"); err != nil {
		return fmt.Errorf("tell first process: %w", err)
	}
	return n.waitForGreeting(b)
}

// waitForGreeting returns when the node's server says its version.
func (n *Node) waitForGreeting(b *boot) error {
	deadline := time.Now().Add(startTimeout)
	for {
		err := n.greeting(deadline)
		if err == nil {
			return nil
		}
		select {
		case <-b.ended:
			return errors.New("first process ended")
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("wait for the server: %w", err)
		}
	}
}

func (n *Node) greeting(deadline time.Time) error {
	// Short: a SYN sent before the node has its address is lost, and the kernel would repeat it after a second.
	c, err := net.DialTimeout("tcp", net.JoinHostPort(n.Addr, fmt.Sprint(n.Port)), 100*time.Millisecond)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetDeadline(deadline); err != nil {
		return err
	}
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		return err
	}
	if !strings.HasPrefix(line, "SSH-2.0-") {
		return fmt.Errorf("greeting %q", line)
	}
	return nil
}

// Kill ends every process of the node with SIGKILL. The kernel closes their connections, so peers are told; see PowerOff.
func (n *Node) Kill() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.stop()
}

// PowerOff is Kill without a word to any peer: the cable is pulled first.
func (n *Node) PowerOff() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.boot == nil {
		return nil
	}
	if err := n.network.connect(n.index, false); err != nil {
		return err
	}
	return n.stop()
}

// stop ends the node's life; the caller holds the lock.
func (n *Node) stop() error {
	b := n.boot
	if b == nil {
		return nil
	}
	n.boot = nil
	err := syscall.Kill(b.pid, syscall.SIGKILL)
	if errors.Is(err, syscall.ESRCH) {
		err = nil
	}
	<-b.ended
	return errors.Join(err, b.stdin.Close(), n.network.unplug(n.index))
}

// Running says whether the node is on.
func (n *Node) Running() bool {
	_, err := n.pid()
	return err == nil
}

// pid is the node's first process as this machine numbers it.
func (n *Node) pid() (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.boot != nil {
		select {
		case <-n.boot.ended:
		default:
			return n.boot.pid, nil
		}
	}
	return 0, fmt.Errorf("%s is off", n.Name)
}

// Blackhole drops every packet to and from the node, silently, until it is called with false.
func (n *Node) Blackhole(on bool) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.boot == nil {
		return fmt.Errorf("blackhole %s: it is off", n.Name)
	}
	return n.network.connect(n.index, !on)
}

// Freeze stops (and with false continues) all processes of the node. Its kernel goes on answering: connections are
// accepted and acknowledged, but nothing is said.
func (n *Node) Freeze(on bool) error {
	sig := syscall.SIGCONT
	if on {
		sig = syscall.SIGSTOP
	}
	_, err := n.Signal(".", sig)
	return err
}

// FreezeHome stops (and with false continues) the daemon behind a FreezableHome: calls on the home then wait.
func (n *Node) FreezeHome(on bool) error {
	sig := syscall.SIGCONT
	if on {
		sig = syscall.SIGSTOP
	}
	hit, err := n.Signal(`^bindfs `, sig)
	if err == nil && hit == 0 {
		err = fmt.Errorf("freeze home of %s: no daemon serves it (FreezableHome)", n.Name)
	}
	return err
}

// SetProfile replaces the played driver's profile, whole: nobody reads half of it.
func (n *Node) SetProfile(content string) error {
	path := n.profilePath()
	if err := os.WriteFile(path+".new", []byte(content), 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// profilePath is in a folder that the node shows at playedDir.
func (n *Node) profilePath() string { return filepath.Join(n.dir, "played/nvidia.profile") }

func (n *Node) logPath() string { return filepath.Join(n.dir, "log") }

// logTail is the end of what the node's first process and its server wrote.
func (n *Node) logTail(bytes int) string {
	b, err := os.ReadFile(n.logPath())
	if err != nil {
		return ""
	}
	return string(b[max(0, len(b)-bytes):])
}
