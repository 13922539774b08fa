package sshpool

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"
)

const (
	jumpTargets  = 500             // channels a jump connection carries before another is opened: a soft nofile of 1,024 there ends at 1,018
	jumpSpread   = 2 * time.Second // over which those who were all cut off from a jump host log in there again: of a thousand nodes' waits the shortest is no jitter
	jumpFew      = 32              // with fewer channels than that a jump host that opens no more has another reason
	jumpFailTime = 2 * time.Second // how long a failure stands for all nodes behind the jump host
)

// jumps keeps the connections to jump hosts, which the nodes behind them share.
type jumps struct {
	pool *Pool
	mu   sync.Mutex
	open map[string]*jump
}

// jump is one jump host, reached by one way.
type jump struct {
	dialling chan struct{} // capacity 1: one login at a time
	asks     *asks

	mu     sync.Mutex
	links  []*jumpLink
	not    time.Time // before then nobody logs in
	failed *problem
	when   time.Time
}

type jumpLink struct {
	carrier   *sshCarrier
	used      int // channels; guarded by jump.mu, as is room
	room      int // as many as it takes
	suspected atomic.Bool
}

func newJumps(p *Pool) *jumps { return &jumps{pool: p, open: make(map[string]*jump)} }

// dial opens a channel to r through its ProxyJump hops, within a limit once they are logged in to: each of their steps has its own, and a person may be asked on the way.
// via are the jump hosts that wait for this one.
func (j *jumps) dial(ctx context.Context, r *Resolved, via []string, limit time.Duration) (net.Conn, error) {
	hops := strings.Split(r.ProxyJump, ",")
	if slices.Contains(via, r.ProxyJump) {
		return nil, &problem{state: Lost, again: pauseHold, cause: "jump hosts behind jump hosts without end: " + clean(r.ProxyJump),
			remedy: "look for a ProxyJump that names itself in your ssh configuration"}
	}
	jump := j.get(r.ProxyJump)
	connect := func() (*sshCarrier, error) { return j.connect(ctx, hops, append(slices.Clip(via), r.ProxyJump)) }
	t := traceOf(ctx)
	var full *jumpLink // refused one; nil: none has
	for {
		way := t.step("jump host")
		way.say(r.ProxyJump)
		link, err := jump.link(ctx, full, connect)
		if err != nil {
			return nil, err
		}
		way.end(nil)
		open := t.step("forwarding")
		open.say("from " + hops[len(hops)-1] + " to " + r.addr())
		conn, err := jump.channel(ctx, link, r, limit)
		switch {
		case err == nil && full != nil:
			jump.fill(full)
			fallthrough
		case err == nil:
			open.end(nil)
			return conn, nil
		case full != nil || !jump.mayBeFull(link, err):
			return nil, err
		}
		full = link // of its open files, say: another connection there has others
	}
}

func (j *jumps) get(key string) *jump {
	j.mu.Lock()
	defer j.mu.Unlock()
	one := j.open[key]
	if one == nil {
		one = &jump{dialling: make(chan struct{}, 1), asks: j.pool.asks}
		j.open[key] = one
	}
	return one
}

// connect logs in to the last hop, through those before it. Each hop is resolved by its own name; the way to it is ours, not its own.
func (j *jumps) connect(ctx context.Context, hops, via []string) (*sshCarrier, error) {
	last := strings.TrimPrefix(strings.TrimSpace(hops[len(hops)-1]), "ssh://")
	ctx = atHop(ctx, last)
	r, err := j.pool.resolver.resolve(ctx, last)
	if err == nil {
		way := *r
		if before := hops[:len(hops)-1]; len(before) > 0 {
			way.ProxyJump, way.ProxyCommand = strings.Join(before, ","), ""
		} else if way.ProxyJump == last || way.ProxyJump == r.Alias {
			way.ProxyJump = "" // a jump host under its own "Host *" rule
		}
		var c *sshCarrier
		if c, err = j.pool.connectVia(ctx, &way, via); err == nil {
			return c, nil
		}
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return nil, ctx.Err()
	}
	if ctx.Err() != nil {
		err = networkProblem(ctx.Err(), last)
	}
	p := *asProblem(err)
	p.cause, p.err = "jump host "+last+": "+p.cause, err
	return nil, &p
}

// link gives a connection with room that is not full, and takes a place on it. Failures stand for all nodes behind the host for a while, and those that
// only the user can mend until forget.
func (j *jump) link(ctx context.Context, full *jumpLink, connect func() (*sshCarrier, error)) (*jumpLink, error) {
	if l, p := j.ready(full); l != nil || p != nil {
		return l, asError(p)
	}
	select {
	case j.dialling <- struct{}{}:
		defer func() { <-j.dialling }()
	case <-ctx.Done():
		return nil, networkProblem(ctx.Err(), "the jump host")
	}
	if l, p := j.ready(full); l != nil || p != nil {
		return l, asError(p)
	}
	j.mu.Lock()
	wait := time.Until(j.not)
	j.mu.Unlock()
	if wait > 0 {
		if err := sleep(ctx, wait); err != nil {
			return nil, networkProblem(err, "the jump host")
		}
	}
	c, err := connect()
	j.mu.Lock()
	defer j.mu.Unlock()
	if err != nil {
		if !errors.Is(err, context.Canceled) {
			j.failed, j.when = asProblem(err), time.Now()
		}
		return nil, err
	}
	j.failed = nil
	l := &jumpLink{carrier: c, used: 1, room: jumpTargets}
	j.links = append(j.links, l)
	go func() {
		_ = c.conn.Wait()
		j.drop(l)
	}()
	return l, nil
}

func asError(p *problem) error {
	if p == nil {
		return nil
	}
	return p
}

func (j *jump) ready(full *jumpLink) (*jumpLink, *problem) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, l := range j.links {
		if l != full && l.used < l.room {
			l.used++
			return l, nil
		}
	}
	if j.failed != nil && j.failed.ask != "" && !j.asks.stands(j.failed.ask) {
		return nil, nil // there is an answer by now
	}
	if j.failed != nil && (j.failed.again == pauseHold || time.Since(j.when) < jumpFailTime) {
		return nil, j.failed
	}
	return nil, nil
}

// mayBeFull says that a channel was refused over a connection that carries many, and not for what it leads to: sshd tells a lack of files by no word of its own.
func (j *jump) mayBeFull(l *jumpLink, err error) bool {
	var open *ssh.OpenChannelError
	if !errors.As(err, &open) || open.Reason != ssh.ResourceShortage && (open.Reason != ssh.ConnectionFailed || open.Message != "open failed") {
		return false
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	return l.used >= jumpFew
}

// fill notes that a connection carries as many channels as it can, for another took the one that it refused.
func (j *jump) fill(l *jumpLink) {
	j.mu.Lock()
	defer j.mu.Unlock()
	l.room = max(1, min(l.room, l.used))
}

func (j *jump) drop(l *jumpLink) {
	j.mu.Lock()
	defer j.mu.Unlock()
	before := len(j.links)
	if j.links = slices.DeleteFunc(j.links, func(x *jumpLink) bool { return x == l }); len(j.links) < before && len(j.links) == 0 {
		j.not = time.Now().Add(rand.N(jumpSpread))
	}
}

func (j *jump) leave(l *jumpLink) {
	j.mu.Lock()
	defer j.mu.Unlock()
	l.used--
}

// channel opens direct-tcpip to r within a limit. x/crypto's open cannot be cancelled: one that comes too late is closed when it comes.
func (j *jump) channel(ctx context.Context, l *jumpLink, r *Resolved, limit time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	type opened struct {
		channel ssh.Channel
		err     error
	}
	done := make(chan opened, 1)
	go func() {
		port := r.Port
		if port == 0 {
			port = 22
		}
		channel, requests, err := l.carrier.openChannel("direct-tcpip", ssh.Marshal(struct {
			Host     string
			Port     uint32
			From     string
			FromPort uint32
		}{r.HostName, uint32(port), "127.0.0.1", 0}))
		if err == nil {
			go ssh.DiscardRequests(requests)
		}
		done <- opened{channel, err}
	}()
	select {
	case got := <-done:
		if got.err == nil {
			return newChannelConn(got.channel, func() { j.leave(l) }, func() { j.suspect(l) }), nil
		}
		j.leave(l)
		var open *ssh.OpenChannelError
		if errors.As(got.err, &open) && open.Reason == ssh.Prohibited {
			return nil, &problem{state: Refused, again: pauseLong, cause: "jump host " + r.ProxyJump + " forbids forwarding: " + clean(open.Message),
				remedy: "ask its admin for AllowTcpForwarding, or use another jump host", err: got.err}
		}
		return nil, &problem{state: Lost, again: pauseNear, cause: "jump host " + r.ProxyJump + " cannot reach " + r.addr() + ": " + clean(openWords(got.err)),
			remedy: "check that the node is up and reachable from the jump host", err: got.err}
	case <-ctx.Done():
		go func() {
			if got := <-done; got.err == nil {
				got.channel.Close()
			}
			j.leave(l)
		}()
		if !errors.Is(ctx.Err(), context.Canceled) {
			go j.suspect(l)
		}
		return nil, networkProblem(ctx.Err(), r.addr())
	}
}

func openWords(err error) string {
	var open *ssh.OpenChannelError
	if errors.As(err, &open) {
		return open.Message
	}
	return err.Error()
}

// suspect asks a jump host that did not answer for a sign of life, and gives a connection up that shows none: new channels go through another.
func (j *jump) suspect(l *jumpLink) {
	if l.suspected.Swap(true) { // by another node already
		return
	}
	defer l.suspected.Store(false)
	answered := make(chan error, 1)
	go func() { answered <- l.carrier.probe() }()
	limit := time.NewTimer(5 * time.Second)
	defer limit.Stop()
	select {
	case err := <-answered:
		if err == nil {
			return
		}
	case <-limit.C:
	}
	j.drop(l)
	l.carrier.Close()
}

// back asks every jump host for a sign of life, after an absence of ours: one that has gone must not be waited for by all nodes behind it.
func (j *jumps) back() {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, one := range j.open {
		one.mu.Lock()
		one.failed = nil
		for _, l := range one.links {
			go one.suspect(l)
		}
		one.mu.Unlock()
	}
}

// forget lets failures that only the user can mend be tried again.
func (j *jumps) forget() {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, one := range j.open {
		one.mu.Lock()
		one.failed = nil
		one.mu.Unlock()
	}
}

func (j *jumps) close() {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, one := range j.open {
		one.mu.Lock()
		for _, l := range one.links {
			l.carrier.Close()
		}
		one.mu.Unlock()
	}
}
