// Package testbed stands up real peers for whole-program tests: sshd nodes that look like machines of their own,
// a terminal (tmux) that a real program runs in, and a terminal that is slow.
//
// A node is an OpenSSH server in its own PID, mount, UTS, IPC and network namespaces, on a copy-on-write view of
// this machine's file system: own /proc, /sys, /tmp, /home, hostname, machine id, boot id, users and host key. Nothing
// that happens on a node reaches the machine's files, and a node's processes die with its first process. That one
// waits for the end of its standard input, so a test that crashes takes its nodes along.
//
// Nodes hang on one bridge in the namespace of the test, in a /24 of 10.213.0.0/16. What a crashed run left (a bridge, a
// folder) is removed by the next run. It needs root on Linux, see Missing. Called by tests and by scripts/testbed/cmd only.
package testbed

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

// MaxNodes is how many nodes one bed can have: its /24 holds no more.
const MaxNodes = 240

// startTimeout bounds the start of one node, from its first process to its server's greeting.
const startTimeout = 30 * time.Second

// Bed is a set of nodes on one bridge, with the files that an ssh client needs to reach them.
type Bed struct {
	Dir        string // temporary folder that holds everything; gone after Close
	SSHConfig  string // ssh_config with an alias for each node: for ssh -F and foretop -F
	KnownHosts string // the nodes' host keys, as SSHConfig names them
	Key        string // private key (ed25519) that the nodes accept
	Nodes      []*Node

	network *network
}

// Nodes starts n nodes named node001, node002, … and closes them when the test ends. Where the machine cannot have
// nodes the test is skipped with the reason; with CI set in the environment it fails.
func Nodes(t testing.TB, n int, opts ...Option) *Bed {
	t.Helper()
	require(t, append(Missing(), missingFor(n, opts)...))
	bed, err := Start(t.Context(), n, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			bed.logTo(t)
		}
		if err := bed.Close(); err != nil {
			t.Errorf("close test nodes: %v", err)
		}
	})
	return bed
}

// Start is Nodes without a test around it: the caller closes the bed. It returns when every node's server greets.
func Start(ctx context.Context, n int, opts ...Option) (*Bed, error) {
	if n < 1 || n > MaxNodes {
		return nil, fmt.Errorf("start %d nodes: a bed has 1 to %d", n, MaxNodes)
	}
	reap()
	bed, err := prepare(n, opts)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("prepare test nodes: %w", err), bed.Close())
	}
	var group errgroup.Group
	group.SetLimit(2 * runtime.NumCPU())
	for _, node := range bed.Nodes {
		group.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			return node.Start()
		})
	}
	if err := group.Wait(); err != nil {
		return nil, errors.Join(err, bed.Close())
	}
	return bed, nil
}

// prepare makes the bed's folder, keys, files and bridge. The bed it returns can be closed even with an error.
func prepare(n int, opts []Option) (*Bed, error) {
	bed := &Bed{}
	dir, err := os.MkdirTemp("", ownerPrefix()+"*")
	if err != nil {
		return bed, err
	}
	bed.Dir = dir
	// Nodes' users reach their files through bind mounts; the private key is for this user alone.
	if err := os.Chmod(dir, 0o711); err != nil {
		return bed, err
	}
	bed.SSHConfig = filepath.Join(dir, "ssh_config")
	bed.KnownHosts = filepath.Join(dir, "known_hosts")
	bed.Key = filepath.Join(dir, "id_ed25519")
	authorized, err := writeKeyPair(bed.Key)
	if err != nil {
		return bed, err
	}
	if bed.network, err = newNetwork(filepath.Base(dir)); err != nil {
		return bed, err
	}
	for i := 1; i <= n; i++ {
		name := nodeName(i)
		node := &Node{
			Name: name, Addr: bed.network.addr(i), Port: 22,
			index: i, network: bed.network, dir: filepath.Join(dir, name), settings: settingsFor(name, opts),
		}
		bed.Nodes = append(bed.Nodes, node)
	}
	for _, node := range bed.Nodes {
		if err := node.writeFiles(bed, authorized); err != nil {
			return bed, fmt.Errorf("write files of %s: %w", node.Name, err)
		}
	}
	return bed, bed.writeClientFiles()
}

func nodeName(i int) string { return fmt.Sprintf("node%03d", i) }

// Node returns the node of that name; asking for one that is not there is a mistake in the test.
func (b *Bed) Node(name string) *Node {
	for _, n := range b.Nodes {
		if n.Name == name {
			return n
		}
	}
	panic("testbed: no node " + name)
}

// Names are the aliases of all nodes, in order.
func (b *Bed) Names() []string {
	var names []string
	for _, n := range b.Nodes {
		names = append(names, n.Name)
	}
	return names
}

// Close kills the nodes and removes everything that belongs to the bed. A second Close does nothing.
func (b *Bed) Close() error {
	kills := make([]error, len(b.Nodes))
	var group errgroup.Group
	group.SetLimit(2 * runtime.NumCPU())
	for i, n := range b.Nodes {
		group.Go(func() error {
			kills[i] = n.Kill()
			return nil // kept in kills: the others are killed all the same
		})
	}
	_ = group.Wait()
	errs := kills
	if b.network != nil {
		errs = append(errs, b.network.close())
		b.network = nil
	}
	if b.Dir != "" {
		errs = append(errs, removeGroups(filepath.Base(b.Dir)), os.RemoveAll(b.Dir))
	}
	return errors.Join(errs...)
}

// logTo shows the last words of the nodes' servers, for a test that failed.
func (b *Bed) logTo(t testing.TB) {
	for _, n := range b.Nodes {
		if tail := n.logTail(2000); tail != "" {
			t.Logf("%s says:\n%s", n.Name, tail)
		}
	}
}
