package sshpool

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"
)

// masters keeps a system ssh to each jump host for those hosts behind it that only a system ssh can log in to: they go over its one connection, as others go over ours. It is
// started when the first needs it, and ends with the last.
type masters struct {
	pool *Pool
	mu   sync.Mutex
	open map[string]*sharedMaster
}

// sharedMaster is one jump host, reached by one way.
type sharedMaster struct {
	dialling chan struct{} // capacity 1: one login at a time

	mu     sync.Mutex
	link   *masterLink // nil: not connected
	failed *problem
	when   time.Time
}

// masterLink is a connection to a jump host.
type masterLink struct {
	carrier       *sshCarrier
	socket, alias string
	used          int // by so many logins; guarded by sharedMaster.mu
}

func newMasters(p *Pool) *masters { return &masters{pool: p, open: make(map[string]*sharedMaster)} }

// through is the way to a host through its jump hosts: the last of them is logged in to where it is not.
func (j *masters) through(ctx context.Context, r *Resolved, via []string) (sshWay, error) {
	for _, hop := range via {
		if hop == r.ProxyJump {
			return sshWay{}, &problem{state: Lost, again: pauseHold, cause: "jump hosts behind jump hosts without end: " + clean(r.ProxyJump), remedy: "look for a ProxyJump that names itself in your ssh configuration"}
		}
	}
	j.mu.Lock()
	one := j.open[r.ProxyJump]
	if one == nil {
		one = &sharedMaster{dialling: make(chan struct{}, 1)}
		j.open[r.ProxyJump] = one
	}
	j.mu.Unlock()
	way := traceOf(ctx).step("jump host")
	way.say(r.ProxyJump + ", by a connection of the system's ssh that all behind it share")
	l, err := one.take(ctx, func() (*masterLink, error) { return j.connect(ctx, r.ProxyJump, via) })
	way.end(err)
	if err != nil {
		return sshWay{}, err
	}
	var left sync.Once
	return sshWay{args: []string{"-o", "ProxyCommand=" + j.command(l.socket, l.alias)}, done: func() { left.Do(func() { one.leave(l) }) }}, nil
}

// command is what ssh has the shell exec to get to its host over the connection at a socket.
func (j *masters) command(socket, alias string) string {
	words := []string{j.pool.resolver.program}
	if j.pool.cfg.ConfigFile != "" {
		words = append(words, "-F", j.pool.cfg.ConfigFile)
	}
	words = append(words, "-o", "ControlMaster=no", "-o", "ControlPath="+strings.ReplaceAll(socket, "%", "%%"), "-o", "BatchMode=yes", "-o", "LogLevel=ERROR")
	return strings.ReplaceAll(Quote(words...), "%", "%%") + " -W '[%h]:%p' -- " + strings.ReplaceAll(Quote(alias), "%", "%%")
}

// connect logs in to the last hop, through those before it.
func (j *masters) connect(ctx context.Context, hops string, via []string) (*masterLink, error) {
	list := strings.Split(hops, ",")
	last := strings.TrimPrefix(strings.TrimSpace(list[len(list)-1]), "ssh://")
	ctx = atHop(ctx, last)
	r, err := j.pool.resolver.resolve(ctx, last)
	if err == nil {
		way := *r
		if before := list[:len(list)-1]; len(before) > 0 {
			way.ProxyJump, way.ProxyCommand = strings.Join(before, ","), ""
		} else if way.ProxyJump == last || way.ProxyJump == r.Alias {
			way.ProxyJump = "" // a jump host under its own "Host *" rule
		}
		if c := j.pool.openMaster(ctx, &way); c != nil { // the user's own
			return &masterLink{carrier: c, socket: way.ControlPath, alias: way.Alias}, nil
		}
		to := directly()
		switch {
		case way.ProxyJump != "":
			to, err = j.through(ctx, &way, append(via[:len(via):len(via)], hops))
		case r.ProxyJump != "":
			to.args = []string{"-o", "ProxyJump=none"}
		}
		if err == nil {
			var c *sshCarrier
			if c, err = j.pool.loginBy(ctx, &way, "a jump host", to, nil); err == nil {
				return &masterLink{carrier: c, socket: c.socket, alias: way.Alias}, nil
			}
		}
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return nil, ctx.Err()
	}
	p := *asProblem(err)
	p.cause, p.err = "jump host "+last+": "+p.cause, err
	if p.state == NeedsAuth {
		p.remedy = "log in to it by hand with ControlMaster, whose open connection is used, or have ssh-agent hold the key: ssh " + last
	}
	return nil, &p
}

// take gives a place on the connection, and makes that where there is none. A failure stands for all behind the host for a while, and one that only the user can mend until forget.
func (s *sharedMaster) take(ctx context.Context, connect func() (*masterLink, error)) (*masterLink, error) {
	if l, p := s.ready(); l != nil || p != nil {
		return l, asError(p)
	}
	select {
	case s.dialling <- struct{}{}:
		defer func() { <-s.dialling }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if l, p := s.ready(); l != nil || p != nil {
		return l, asError(p)
	}
	l, err := connect()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		if !errors.Is(err, context.Canceled) {
			s.failed, s.when = asProblem(err), time.Now()
		}
		return nil, err
	}
	l.used = 1
	s.link, s.failed = l, nil
	go func() {
		_ = l.carrier.conn.Wait()
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.link == l {
			s.link = nil
		}
	}()
	return l, nil
}

// ready takes a place on the connection that there is, or gives the failure that stands.
func (s *sharedMaster) ready() (*masterLink, *problem) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.link != nil:
		s.link.used++
		return s.link, nil
	case s.failed != nil && (s.failed.again == pauseHold || time.Since(s.when) < jumpFailTime):
		return nil, s.failed
	}
	return nil, nil
}

// leave gives a place back. The connection ends with the last.
func (s *sharedMaster) leave(l *masterLink) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.used--; l.used <= 0 {
		l.carrier.Close()
		if s.link == l {
			s.link = nil
		}
	}
}

// forget lets failures that only the user can mend be tried again.
func (j *masters) forget() {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, one := range j.open {
		one.mu.Lock()
		one.failed = nil
		one.mu.Unlock()
	}
}

func (j *masters) close() {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, one := range j.open {
		one.mu.Lock()
		if one.link != nil {
			one.link.carrier.Close()
			one.link = nil
		}
		one.mu.Unlock()
	}
}
