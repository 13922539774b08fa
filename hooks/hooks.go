// Package hooks tells programs elsewhere, by a command or a webhook, what begins to be wrong: each incident, or each finding where none are folded, once.
//
// A [Set] is shown every snapshot ([Set.Look]) and never makes who shows it wait: what is new goes into a short queue of each hook, which a goroutine of its own
// empties, at its rate and with its patience. What is more than a hook may be told comes as one summary. What was told is kept in a file, so that nothing is told
// again after a restart. URLs and headers are secrets: they are in no message of this package.
//
// The command line uses it for `foretop export` and `foretop record`, never for a screen: fifty open screens must not send fifty pages.
package hooks

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"sync"
	"time"

	"foretop/config"
	"foretop/fleet"
)

// Options are a set's settings.
type Options struct {
	Hooks []config.Hook
	Fleet string // what is watched, in words
	Host  string // where this runs
	// Incidents says that the fleet folds findings into incidents: these are told then.
	Incidents bool
	State     string            // the file in which it is kept what was told; "" none
	Say       func(text string) // takes a line about a hook that fails; nil: nobody
	Now       func() time.Time  // nil: time.Now
	Getenv    func(string) string
}

// Set is all hooks. Its methods may be called from any goroutine.
type Set struct {
	opt   Options
	hooks []*hook
	told  *book
	stop  context.CancelFunc
	work  sync.WaitGroup

	mu     sync.Mutex
	closed bool
}

// Open makes hooks ready, and reads what was told before. It fails where one cannot work: a template that is wrong, a secret that is not there. Close ends them.
func Open(ctx context.Context, opt Options) (*Set, error) {
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.Say == nil {
		opt.Say = func(string) {}
	}
	s := &Set{opt: opt}
	for i := range opt.Hooks {
		h, err := newHook(&opt.Hooks[i], opt)
		if err != nil {
			return nil, fmt.Errorf("hooks[%d] (%s): %w", i, opt.Hooks[i].Name, err)
		}
		s.hooks = append(s.hooks, h)
	}
	var err error
	if s.told, err = openBook(opt.State, opt.Now()); err != nil {
		opt.Say("hooks: what was told before is not known: " + err.Error()) // better twice than never
	}
	ctx, s.stop = context.WithCancel(context.WithoutCancel(ctx)) // ended by Close, which lets them say their last
	for _, h := range s.hooks {
		h.book = s.told
		s.work.Go(func() { h.serve(ctx) })
	}
	if opt.State != "" {
		s.work.Go(func() { s.told.serve(ctx, opt.Say) })
	}
	return s, nil
}

// lastWords is how long hooks get to tell what is in their queues when all ends.
const lastWords = 3 * time.Second

// Close tells what is waiting, as far as it can be told at once, and ends all hooks.
func (s *Set) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	ended := make(chan struct{})
	go func() {
		for _, h := range s.hooks {
			<-h.finish()
		}
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(lastWords):
	}
	s.stop()
	s.work.Wait()
}

// Look takes a snapshot: what is new in it is told. It does not wait for anything.
func (s *Set) Look(snap *fleet.Snapshot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || len(s.hooks) == 0 || snap == nil {
		return
	}
	now := s.opt.Now()
	list := candidatesOf(snap, s.opt, now)
	for _, h := range s.hooks {
		h.look(list, now)
	}
}

// hook is one hook at work.
type hook struct {
	conf    *config.Hook
	least   fleet.Severity
	send    sender
	rate    bucket
	book    *book
	say     func(string)
	now     func() time.Time
	tries   int
	timeout time.Duration
	again   time.Duration
	wake    chan struct{}
	done    chan struct{} // closed when its goroutine has told all after finish
	failing int           // tries in a row that failed; its goroutine's own
	saidAt  time.Time
	mu      sync.Mutex
	queue   []Event
	more    summary // what did not fit in the queue, or the rate
	ending  bool
}

// sender brings one event to where it goes. An error that a later try may not have is a [*tryAgain].
type sender interface {
	send(ctx context.Context, e *Event) error
}

// tryAgain is an error that may pass.
type tryAgain struct {
	err   error
	after time.Duration // at least so long; 0: as usual
}

func (e *tryAgain) Error() string { return e.err.Error() }
func (e *tryAgain) Unwrap() error { return e.err }

const (
	maxQueue     = 200
	defaultBurst = 5
	defaultHour  = 20
	defaultAgain = time.Hour
	defaultTime  = 10 * time.Second
	webhookTries = 4
	overAfter    = time.Minute // what is gone for so long is over
)

func newHook(c *config.Hook, opt Options) (*hook, error) {
	h := &hook{
		conf: c, least: fleet.Critical, say: opt.Say, now: opt.Now, tries: c.Tries, timeout: orElse(c.Timeout, defaultTime), again: orElse(c.Again, defaultAgain),
		rate: newBucket(orElse(c.Burst, defaultBurst), orElse(c.PerHour, defaultHour)), wake: make(chan struct{}, 1), done: make(chan struct{}),
	}
	var err error
	if c.MinSeverity != "" {
		if h.least, err = fleet.ParseSeverity(c.MinSeverity); err != nil {
			return nil, err
		}
	}
	if len(c.Command) > 0 {
		h.tries = orElse(c.Tries, 1)
		h.send, err = newCommand(c)
	} else {
		h.tries = orElse(c.Tries, webhookTries)
		h.send, err = newWebhook(c, opt.Getenv)
	}
	return h, err
}

func orElse[T comparable](v, other T) T {
	var zero T
	if v == zero {
		return other
	}
	return v
}

// wants says that a hook is told of something.
func (h *hook) wants(c *candidate) bool {
	return c.severity >= h.least && slices.ContainsFunc(c.rules, func(rule string) bool {
		return (len(h.conf.Rules) == 0 || fits(h.conf.Rules, rule)) && !fits(h.conf.Except, rule)
	})
}

func fits(patterns []string, rule string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		ok, _ := path.Match(p, rule) // checked by config
		return ok
	})
}

// look queues what is new of what stands in a snapshot.
func (h *hook) look(list []candidate, now time.Time) {
	var events []Event
	for i := range list {
		c := &list[i]
		if c.silent || !h.wants(c) {
			h.book.keep(h.conf.Name, c.id, now) // it is not over because it is milder by now, or acknowledged
			continue
		}
		if e, tell := h.book.stands(h.conf.Name, c, now, h.again); tell {
			events = append(events, e)
		}
	}
	for _, e := range h.book.gone(h.conf.Name, now, overAfter) {
		if h.conf.Over {
			events = append(events, e)
		}
	}
	h.offer(events)
}

// offer puts the events of one snapshot into the queue, all at once: what is too much of them is one summary. What a full queue has no room for is only counted.
func (h *hook) offer(events []Event) {
	if len(events) == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := range events {
		if len(h.queue) < maxQueue {
			h.queue = append(h.queue, events[i])
		} else {
			h.more.add(&events[i])
		}
	}
	h.nudge()
}

func (h *hook) nudge() {
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// finish asks the hook to tell what it has, and to end; the channel is closed when it did.
func (h *hook) finish() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ending = true
	h.nudge()
	return h.done
}

// idle is how often a hook looks whether it may tell its summary by now.
const idle = time.Second

// serve tells what is queued until ctx ends, or all is told after finish.
func (h *hook) serve(ctx context.Context) {
	defer close(h.done)
	tick := time.NewTicker(idle)
	defer tick.Stop()
	var notBefore time.Time // when a hook that failed is tried again
	for {
		for h.step(ctx, &notBefore) {
		}
		h.mu.Lock()
		over := h.ending && len(h.queue) == 0
		h.mu.Unlock()
		if over || ctx.Err() != nil {
			return
		}
		select {
		case <-h.wake:
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}

// maxWait bounds how long a hook that fails is left alone.
const maxWait = 10 * time.Minute

// step tells one thing; false: there is nothing that may be told now.
func (h *hook) step(ctx context.Context, notBefore *time.Time) bool {
	now := h.now()
	h.mu.Lock()
	if ctx.Err() != nil {
		h.mu.Unlock()
		return false
	}
	// A hook that failed a moment ago, or was told enough, gets the rest as a summary, for which the last of what it may be told is kept.
	room := h.rate.room(now)
	if now.Before(*notBefore) || room == 0 {
		for i := range h.queue {
			h.more.add(&h.queue[i])
		}
		h.queue = nil
		h.mu.Unlock()
		return false
	}
	var e Event
	switch {
	case h.more.Count > 0 && (room == 1 || len(h.queue) == 0), room == 1 && len(h.queue) > 1:
		for i := range h.queue {
			h.more.add(&h.queue[i])
		}
		e, h.queue, h.more = h.more.event(now), nil, summary{}
	case len(h.queue) > 0:
		e = h.queue[0]
		h.queue = h.queue[1:]
	default:
		h.mu.Unlock()
		return false
	}
	h.mu.Unlock()
	h.rate.take(now)
	if err := h.deliver(ctx, &e); err != nil {
		h.failed(&e, err)
		*notBefore = h.now().Add(min(maxWait, time.Second<<min(h.failing, 10)))
		h.mu.Lock()
		h.more.add(&e)
		h.mu.Unlock()
		return false
	}
	h.book.delivered(h.conf.Name, e.ids)
	if h.failing > 0 {
		h.failing = 0
		h.say("hook " + h.conf.Name + " works again")
	}
	return true
}

// deliver tries until it is told, or no try is left.
func (h *hook) deliver(ctx context.Context, e *Event) (err error) {
	for try := range h.tries {
		one, cancel := context.WithTimeout(ctx, h.timeout)
		err = h.send.send(one, e)
		cancel()
		var again *tryAgain
		if err == nil || !errors.As(err, &again) || try == h.tries-1 {
			return err
		}
		select {
		case <-time.After(max(again.after, backoff(try))):
		case <-ctx.Done():
			return err
		}
	}
	return err
}

// backoff is how long to wait after a try.
func backoff(try int) time.Duration { return min(500*time.Millisecond<<try, 30*time.Second) }

// saidEvery is how often it is said that a hook fails.
const saidEvery = 10 * time.Minute

func (h *hook) failed(e *Event, err error) {
	h.failing++
	now := h.now()
	if h.failing > 1 && now.Sub(h.saidAt) < saidEvery {
		return
	}
	h.saidAt = now
	h.say(fmt.Sprintf("hook %s: %s (not told: %s; it comes with the next)", h.conf.Name, err, e.Title))
}
