package simfleet

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"golang.org/x/crypto/ssh"
)

// childVar marks the environment of a process that is to be a fleet and nothing else.
const childVar = "FORETOP_SIMFLEET_CHILD"

// Child is a fleet in a process of its own, so that what the front end costs can be measured alone.
type Child struct {
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stdout *bufio.Reader
	nodes  []NodeInfo
	signer ssh.Signer
	key    []byte // PEM
	began  time.Time
}

// childNode and childReady are what a child says when its nodes accept, childCost what it has cost: a line of JSON each.
type childNode struct {
	Name, Addr string
	Port       int
	HostKey    []byte
}

type childReady struct {
	Error string
	Nodes []childNode
	Key   []byte // the client's private key, PEM
	Began time.Time
}

type childCost struct {
	CPU time.Duration
	RSS int64 // the most it ever had
}

// StartChild runs this very executable again as a fleet: its main, or TestMain, must begin with [ChildMain]. The child ends with ctx, with Close, or with us. By is the beginning of a
// command line that starts it elsewhere, in another network say; none: it is started as it is.
func StartChild(ctx context.Context, o Options, by ...string) (*Child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("start fleet process: %w", err)
	}
	argv := append(by, self)
	c := &Child{cmd: exec.CommandContext(ctx, argv[0], argv[1:]...)}
	c.cmd.Env = append(os.Environ(), childVar+"=1")
	c.cmd.Stderr = os.Stderr
	if c.stdin, err = c.cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("start fleet process: %w", err)
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start fleet process: %w", err)
	}
	c.stdout = bufio.NewReader(out)
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start fleet process: %w", err)
	}
	var ready childReady
	if err := c.ask(o, &ready); err != nil {
		c.Close()
		return nil, fmt.Errorf("start fleet process: %w", err)
	}
	if err := c.take(ready); err != nil {
		c.Close()
		return nil, fmt.Errorf("start fleet process: %w", err)
	}
	return c, nil
}

func (c *Child) ask(question, answer any) error {
	if err := json.NewEncoder(c.stdin).Encode(question); err != nil {
		return err
	}
	line, err := c.stdout.ReadBytes('\n')
	if err != nil {
		return err
	}
	return json.Unmarshal(line, answer)
}

func (c *Child) take(r childReady) (err error) {
	if r.Error != "" {
		return errors.New(r.Error)
	}
	c.key = r.Key
	if c.signer, err = ssh.ParsePrivateKey(r.Key); err != nil {
		return err
	}
	c.began = r.Began
	for _, n := range r.Nodes {
		key, err := ssh.ParsePublicKey(n.HostKey)
		if err != nil {
			return err
		}
		c.nodes = append(c.nodes, NodeInfo{Name: n.Name, Addr: n.Addr, Port: n.Port, User: User, HostKey: key})
	}
	return nil
}

// Nodes says how to reach each node.
func (c *Child) Nodes() []NodeInfo { return c.nodes }

// Began is when the fleet's virtual time began.
func (c *Child) Began() time.Time { return c.began }

// Signer is the one key that every node accepts.
func (c *Child) Signer() ssh.Signer { return c.signer }

// Cost is what the fleet's process has cost so far: CPU time, and the most memory that it ever had resident, in bytes (0: not known here).
func (c *Child) Cost() (cpu time.Duration, rss int64, err error) {
	var cost childCost
	if err := c.ask("cost", &cost); err != nil {
		return 0, 0, fmt.Errorf("ask fleet process for its cost: %w", err)
	}
	return cost.CPU, cost.RSS, nil
}

// Close ends the process and waits for it.
func (c *Child) Close() error {
	_ = c.stdin.Close()
	limit := time.AfterFunc(5*time.Second, func() { _ = c.cmd.Process.Kill() })
	defer limit.Stop()
	if err := c.cmd.Wait(); err != nil {
		return fmt.Errorf("end fleet process: %w", err)
	}
	return nil
}

// ChildMain is the whole of a fleet's own process: where [StartChild] started this one, it serves and never returns. Anywhere else it returns at once.
func ChildMain() {
	if os.Getenv(childVar) == "" {
		return
	}
	if err := serveChild(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "simulated fleet:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func serveChild(in io.Reader, out io.Writer) error {
	questions, answers := bufio.NewReader(in), json.NewEncoder(out)
	line, err := questions.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("read options: %w", err)
	}
	var o Options
	if err := json.Unmarshal(line, &o); err != nil {
		return fmt.Errorf("read options: %w", err)
	}
	f, err := Start(context.Background(), o)
	if err != nil {
		return answers.Encode(childReady{Error: err.Error()})
	}
	defer f.Close()
	ready, err := f.ready()
	if err != nil {
		return err
	}
	if err := answers.Encode(ready); err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	for {
		if _, err := questions.ReadBytes('\n'); err != nil {
			return nil // whoever started us is gone
		}
		cpu, rss := processCost()
		if err := answers.Encode(childCost{cpu, rss}); err != nil {
			return fmt.Errorf("answer: %w", err)
		}
	}
}

func (f *Fleet) ready() (childReady, error) {
	block, err := ssh.MarshalPrivateKey(ed25519.PrivateKey(f.private), "")
	if err != nil {
		return childReady{}, fmt.Errorf("write client key: %w", err)
	}
	r := childReady{Key: pem.EncodeToMemory(block), Began: f.start}
	for _, n := range f.Nodes() {
		r.Nodes = append(r.Nodes, childNode{n.Name, n.Addr, n.Port, n.HostKey.Marshal()})
	}
	return r, nil
}
