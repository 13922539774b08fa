// Package simfleet plays a fleet of GPU servers: a pure model with a virtual clock of what the nodes run and read ([Model]), and real SSH servers on loopback around it
// ([Fleet]), one a node, that answer as sshd with a collector behind it would. `foretop demo` and the load tests connect to it with the same pool, stream and
// decoder as to real nodes.
//
// It writes no file unless asked ([Fleet.WriteFiles]), runs no program, and listens on loopback addresses only. What goes wrong, and when, comes from a [Scenario].
package simfleet

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// User is the account that logs in on every node.
const User = "foretop"

// Options says which fleet to stand up.
type Options struct {
	Nodes    int // 0: 64
	Seed     uint64
	Scenario *Scenario // nil: Demo()
	Speed    float64   // virtual seconds a second; 0: 1. Samples come once a virtual second, at most 50 a second

	OneAddress   bool // one port a node on 127.0.0.1, as where the system has no other loopback address
	AnyAlgorithm bool // negotiate as OpenSSH would, post-quantum key exchange included; else the cheapest sound one
	RawBytes     int  // more than 0: every stream carries that many meaningless bytes a second instead, the floor of benchmarks

	silence time.Duration // without a word from the front end a collector ends; 0: silenceLimit
}

// Fleet is a running fleet. Close ends it.
type Fleet struct {
	model *Model
	opts  Options
	start time.Time
	hosts []*host

	signer    ssh.Signer
	private   ed25519.PrivateKey
	publicKey []byte // of the client, in wire form

	ctx    context.Context
	cancel context.CancelFunc
	tasks  sync.WaitGroup
}

// NodeInfo is how to reach one node.
type NodeInfo struct {
	Name    string
	Addr    string // an IP address
	Port    int
	User    string
	HostKey ssh.PublicKey
}

// Start stands up a fleet and returns when all its nodes accept connections. It ends when ctx does, or by Close.
func Start(ctx context.Context, o Options) (*Fleet, error) {
	if o.Nodes == 0 {
		o.Nodes = 64
	}
	if o.Speed == 0 {
		o.Speed = 1
	}
	if !(o.Speed > 0 && o.Speed <= 1000) {
		return nil, fmt.Errorf("start fleet: speed %g: from 0 to 1000 is possible", o.Speed)
	}
	if o.Scenario == nil {
		o.Scenario = Demo()
	}
	if o.silence == 0 {
		o.silence = silenceLimit
	}
	now := time.Now()
	model, err := NewModel(ModelOptions{Nodes: o.Nodes, Seed: o.Seed, Scenario: o.Scenario, Epoch: now})
	if err != nil {
		return nil, err
	}
	f := &Fleet{model: model, opts: o, start: now}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make client key: %w", err)
	}
	if f.signer, err = ssh.NewSignerFromKey(private); err != nil {
		return nil, fmt.Errorf("make client key: %w", err)
	}
	f.private = private
	sshPublic, err := ssh.NewPublicKey(public)
	if err != nil {
		return nil, fmt.Errorf("make client key: %w", err)
	}
	f.publicKey = sshPublic.Marshal()
	if err := f.makeHosts(); err != nil {
		return nil, err
	}
	f.ctx, f.cancel = context.WithCancel(ctx)
	if err := f.listen(); err != nil {
		f.cancel()
		return nil, err
	}
	for _, h := range f.hosts {
		f.tasks.Add(1)
		go h.accept(h.listener)
	}
	f.tasks.Add(1)
	go f.conduct()
	return f, nil
}

// Nodes says how to reach each node, in order of their names.
func (f *Fleet) Nodes() []NodeInfo {
	out := make([]NodeInfo, len(f.hosts))
	for i, h := range f.hosts {
		out[i] = NodeInfo{Name: h.node.name, Addr: h.addr, Port: h.port, User: User, HostKey: h.signer.PublicKey()}
	}
	return out
}

// Signer is the one key that every node accepts.
func (f *Fleet) Signer() ssh.Signer { return f.signer }

// Model is the fleet behind the servers.
func (f *Fleet) Model() *Model { return f.model }

// At is the virtual time at a moment.
func (f *Fleet) At(now time.Time) time.Duration {
	return time.Duration(float64(now.Sub(f.start)) * f.opts.Speed)
}

// Close ends every connection and waits until nothing of the fleet runs any more.
func (f *Fleet) Close() error {
	f.cancel()
	f.tasks.Wait()
	return nil
}

// conduct carries out what the scenario does to connections, and ends them all at the end.
func (f *Fleet) conduct() {
	defer f.tasks.Done()
	var troubled []*host
	for _, h := range f.hosts {
		if h.node.troubled() {
			troubled = append(troubled, h)
		}
	}
	tick := time.NewTicker(40 * time.Millisecond)
	defer tick.Stop()
	for {
		for _, h := range troubled {
			h.become(h.node.Condition(f.At(time.Now())))
		}
		select {
		case <-f.ctx.Done():
			for _, h := range f.hosts {
				h.close()
			}
			return
		case <-tick.C:
		}
	}
}

func (f *Fleet) accepts(user string, key ssh.PublicKey) bool {
	return user == User && bytes.Equal(key.Marshal(), f.publicKey)
}
