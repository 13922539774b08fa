// Package sshpool reaches nodes: it resolves names as the user's OpenSSH does, dials, checks host keys, authenticates,
// puts the collector on the node when it is missing, starts it, and hands its stream to a Sink, for as long as the
// target stays in the pool. One goroutine owns one node: dial, deploy, stream, (lost), back off with jitter, dial.
//
// It never asks a question by itself: what only a person can give (a passphrase, a password, a one-time code) is a Question in Pool.Questions, and its node waits in NeedsAuth. A
// passphrase opens its key for as long as the pool is open. A password goes to one host first; only when that took it is it used for the others of the same domain, way and user
// that wait, and it is kept in memory for as long as the pool is open, so that they come back after a cut; a minute after it was last taken, one host tries it first again. A one-time
// code is used once: after a cut its node waits in NeedsAuth until a person is there (Pool.Begin). Where a question was declined, or answered wrongly as often as
// NumberOfPasswordPrompts allows, it is put again only after Retry. Nothing of all that is ever written; Close overwrites it, as far as Go lets.
//
// It never accepts an unknown host key by itself but where the user's configuration says so (Pool.Trust takes one that a person looked at), never retries a refused key by itself, writes no file on
// this machine but a known_hosts line that was accepted (and a local target's collector), and knows nothing of what the streams say. Callers are cli (wiring) and tests.
package sshpool

import (
	"context"
	"os"
	"sync"
	"time"

	"foretop/sshpool/payload"
)

// Config is how a pool reaches its nodes. The zero value is what the user's own ssh would do.
type Config struct {
	ConfigFile string       // another ssh configuration, as ssh's own -F; empty: the user's and the system's
	Program    string       // the ssh program asked for configuration; empty: "ssh" in PATH
	Home       string       // the user's home; empty: os.UserHomeDir
	Payload    *payload.Set // the collectors to put on nodes; nil: payload.Embedded()
	Folders    []string     // folders on the node for the collector, in order; nil: DefaultFolders
	Shared     string       // a folder on the node that several nodes may share; empty: DefaultShared
	Ask        bool         // somebody looks at Pool.Questions and answers; else hosts that want more than keys are NeedsAuth
	Timing     Timing       // waits and deadlines; zero fields take their defaults
	LookOnly   bool         // no known_hosts line is written: a key that the configuration says to take is taken for this run only

	awake func() time.Duration // a clock that goes on while this machine sleeps; nil: the system's
}

// Pool keeps one connection and one stream to each of its targets.
type Pool struct {
	cfg  Config
	sink Sink

	ctx    context.Context
	cancel context.CancelFunc
	start  time.Time
	tasks  sync.WaitGroup

	resolver *resolver
	trust    *trustFiles
	keys     *keyring
	asks     *asks
	pace     *pacer
	bundles  *payload.Set
	uploads  *uploads
	jumps    *jumps
	tickets  tickets
	masters  *masters
	bySSH    sync.Map // way to a host → why a system ssh had to log in there
	sshAsks  sync.Map // way to a host → a system ssh has to be asked there

	mu      sync.Mutex
	nodes   map[string]*node
	leaving map[string]*node // removed, not yet ended
	closed  bool
}

// New makes a pool without nodes. Close ends it.
func New(cfg Config, sink Sink) *Pool {
	cfg.Timing = cfg.Timing.withDefaults()
	if cfg.Home == "" {
		cfg.Home, _ = os.UserHomeDir()
	}
	if cfg.Payload == nil {
		cfg.Payload = payload.Embedded()
	}
	if cfg.Folders == nil {
		cfg.Folders = DefaultFolders()
	}
	if cfg.Shared == "" {
		cfg.Shared = DefaultShared
	}
	if cfg.awake == nil {
		cfg.awake = awake
	}
	ctx, cancel := context.WithCancel(context.Background())
	p := &Pool{
		cfg: cfg, sink: sink, ctx: ctx, cancel: cancel, start: time.Now(),
		resolver: newResolver(cfg),
		trust:    newTrustFiles(),
		keys:     newKeyring(),
		asks:     newAsks(cfg.Ask),
		pace:     newPacer(time.Now),
		bundles:  cfg.Payload,
		uploads:  newUploads(),
		nodes:    make(map[string]*node),
		leaving:  make(map[string]*node),
	}
	p.jumps, p.masters = newJumps(p), newMasters(p)
	p.tasks.Add(1)
	go func() {
		defer p.tasks.Done()
		p.watch()
	}()
	return p
}

// Add starts reaching a target. A name that is already there is left as it is.
func (p *Pool) Add(t Target) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.nodes[t.Name] != nil {
		return
	}
	n := newNode(p, t)
	before := p.leaving[t.Name]
	p.nodes[t.Name] = n
	p.tasks.Add(1)
	go func() {
		defer p.tasks.Done()
		if before != nil { // the sink serves one stream of a name at a time
			<-before.ended
		}
		n.own()
		close(n.ended)
		p.mu.Lock()
		if p.leaving[t.Name] == n {
			delete(p.leaving, t.Name)
		}
		p.mu.Unlock()
	}()
}

// Remove lets a node go: its stream and connection end, its collector with them. Nothing more is reported of it.
func (p *Pool) Remove(name string) {
	p.mu.Lock()
	n := p.nodes[name]
	if n != nil {
		delete(p.nodes, name)
		p.leaving[name] = n
	}
	p.mu.Unlock()
	if n != nil {
		n.mu.Lock() // a report that is being made ends before Remove does
		n.cancel()
		n.mu.Unlock()
	}
}

// Retry is the user's word: dial this node now, also where the pool would not by itself (NeedsTrust, NeedsAuth,
// Refused). A node that is connected or connecting is left alone.
func (p *Pool) Retry(name string) {
	p.mu.Lock()
	n := p.nodes[name]
	p.mu.Unlock()
	if n == nil {
		return
	}
	p.keys.forget()
	p.asks.forget()
	p.jumps.forget()
	p.masters.forget()
	p.sshAsks.Clear()
	select {
	case n.retry <- struct{}{}:
	default:
	}
}

// Paced says that a node was asked to speak so often, not once a second: its silence is judged by that, until its stream ends.
func (p *Pool) Paced(name string, every time.Duration) {
	p.mu.Lock()
	n := p.nodes[name]
	p.mu.Unlock()
	if n != nil {
		n.slower.Store(int64(max(0, every-time.Second)))
	}
}

// See says which nodes are on screen: of those that wait to be dialled, they go first. Names that are not here do not matter.
func (p *Pool) See(names []string) {
	seen := make(map[string]bool, len(names))
	for _, name := range names {
		seen[name] = true
	}
	p.mu.Lock()
	changed := false
	for name, n := range p.nodes {
		if n.seen.Swap(seen[name]) != seen[name] {
			changed = changed || seen[name]
		}
	}
	p.mu.Unlock()
	if changed {
		p.pace.reorder()
	}
}

// Close ends every stream and connection and waits for their goroutines, at most a second.
func (p *Pool) Close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.cancel()
	done := make(chan struct{})
	go func() {
		p.tasks.Wait()
		close(done)
	}()
	limit := time.NewTimer(900 * time.Millisecond)
	defer limit.Stop()
	select {
	case <-done:
	case <-limit.C:
	}
	p.keys.close()
	p.asks.wipe()
	p.jumps.close()
	p.masters.close()
}

// now is the time since the pool began, in nanoseconds: cheap to keep in an atomic, immune to clock steps.
func (p *Pool) now() int64 { return int64(time.Since(p.start)) }

// scripts gives the bootstrap scripts' maker; the first call hashes the collectors.
func (p *Pool) scripts() (*bootstrap, error) {
	bundles, err := p.bundles.Bundles()
	if err != nil {
		return nil, &problem{state: Refused, again: pauseHold, cause: "no collectors to put on nodes: " + clean(err.Error()),
			remedy: "build foretop with `make`", err: err}
	}
	return &bootstrap{folders: p.cfg.Folders, shared: p.cfg.Shared, bundles: bundles, home: p.cfg.Timing.Home}, nil
}
