package cli

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"foretop/sshpool"
)

const (
	askLook   = 50 * time.Millisecond // between looks whether there is a question
	maxTyped  = 1024                  // bytes of an answer
	maxListed = 3                     // known keys that are named with an unknown one
)

// person is who sits at the terminal. Words that are not a question end with a line's end.
type person interface {
	// Say shows words.
	Say(words string)
	// Answer shows a prompt and reads a line; echo: what is typed may be seen. An error: there is no answer, and no more will come where it is ctx's.
	Answer(ctx context.Context, prompt string, echo bool) ([]byte, error)
}

// asker asks on the terminal what a pool's hosts ask, for commands that open no screen: as ssh does, but one thing at a time, jump hosts' first, and once for all nodes that wait
// for it. A nil asker is of a command that asks nobody.
type asker struct {
	pool   *sshpool.Pool
	who    person
	cancel context.CancelFunc
	ended  chan struct{}
	asking atomic.Bool // a person is being asked
	// declined says that something was not answered.
	declined atomic.Bool

	mu     sync.Mutex
	judged map[string]bool // host keys that were answered, by keyOf: true where one was accepted
	none   bool            // no host key is accepted any more
	begun  map[uint64]bool // conversations that the person began
}

// newAsker asks until ctx ends or it is closed; who nil: nobody.
func newAsker(ctx context.Context, pool *sshpool.Pool, who person) *asker {
	if who == nil {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	a := &asker{pool: pool, who: who, cancel: cancel, ended: make(chan struct{}), judged: map[string]bool{}, begun: map[uint64]bool{}}
	go func() {
		defer close(a.ended)
		tick := time.NewTicker(askLook)
		defer tick.Stop()
		for ctx.Err() == nil {
			if a.next(ctx) {
				continue
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
			}
		}
	}()
	return a
}

// Close ends the asking: the terminal is somebody else's then.
func (a *asker) Close() {
	if a != nil {
		a.cancel()
		<-a.ended
	}
}

// waits says that a node goes on when the person has answered, or is on its way with an answer.
func (a *asker) waits(node string) bool {
	if a == nil {
		return false
	}
	if a.pool.Waits(node) {
		return true
	}
	k := a.pool.UntrustedOf(node)
	return k != nil && a.mayAccept(k)
}

// await waits for something, at most within a time in which nobody is being asked, which begins anew with each answer; false: it did not come.
func (a *asker) await(ctx context.Context, within time.Duration, there func() bool) bool {
	tick := time.NewTicker(askLook)
	defer tick.Stop()
	last, before, left := time.Now(), false, within
	for {
		now := there()
		if now && (before || a == nil) { // twice: between an answer and what a node does with it is a moment
			return true
		}
		before = now
		select {
		case <-tick.C:
		case <-ctx.Done():
			return false
		}
		passed := time.Since(last)
		last = last.Add(passed)
		if a != nil && a.asking.Load() {
			left = within
			continue
		}
		if left -= passed; left <= 0 && !now {
			return false
		}
	}
}

// awaitLogin gives the person time to answer what a login node asks, before it is needed. How that went shows when it is.
func (a *asker) awaitLogin(ctx context.Context, node string) {
	if a == nil || node == "" {
		return
	}
	a.await(ctx, loginPatience, func() bool { return a.declined.Load() || a.pool.AwaitLive(ctx, node, 0) })
}

func keyOf(k *sshpool.HostKeyError) string { return k.Name + " " + k.Fingerprint() }

// mayAccept says that a key is still to be answered, or was accepted.
func (a *asker) mayAccept(k *sshpool.HostKeyError) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	accepted, judged := a.judged[keyOf(k)]
	return accepted || !judged && !a.none
}

// next asks the next question; false: there is none now.
func (a *asker) next(ctx context.Context) bool {
	var key *sshpool.Untrusted
	for _, u := range a.pool.Untrusted() {
		if _, judged := a.judged[keyOf(u.Key)]; !judged && !a.none {
			key = &u
			break
		}
	}
	q := a.question()
	if key == nil && q == nil {
		return false
	}
	a.asking.Store(true)
	defer a.asking.Store(false)
	if key != nil && (q == nil || !q.Jump || len(key.Nodes) > 1) { // a key for which several wait is a jump host's
		a.askKey(ctx, key)
		return true
	}
	a.askTyped(ctx, q)
	return true
}

// question is the first that can be answered now; nil: none can.
func (a *asker) question() *sshpool.Question {
	for _, q := range a.pool.Questions() {
		if !q.Busy {
			return &q
		}
	}
	return nil
}

// askKey asks whether an unknown host key is the host's own.
func (a *asker) askKey(ctx context.Context, u *sshpool.Untrusted) {
	k := u.Key
	words := "foretop: no known_hosts file has a key of " + k.Name
	if k.Verdict == sshpool.KeyOtherKind {
		var known []string
		for _, e := range k.Known[:min(len(k.Known), maxListed)] {
			known = append(known, fmt.Sprintf("%s %s:%d", e.Key.Type(), e.File, e.Line))
		}
		words = "foretop: " + k.Name + " shows a key of another kind than those that are known of it (" + strings.Join(known, ", ") + ")"
	}
	a.who.Say(safe(words) + waiting(u.Nodes) + "\n  " + k.KeyKind() + " " + k.Fingerprint() + "\n")
	prompt := "Is it the host's own? Compare it with what its admin says. yes, no, none (no to all), or the fingerprint: "
	for {
		typed, err := a.who.Answer(ctx, prompt, true)
		if err != nil {
			typed = []byte("no")
		}
		answer := strings.TrimSpace(string(typed))
		switch {
		case answer == "yes", answer == k.Fingerprint():
			a.judge(k, a.accept(u))
		case answer == "no":
			a.judge(k, false)
		case answer == "none":
			a.judge(k, false)
			a.mu.Lock()
			a.none = true
			a.mu.Unlock()
		default:
			prompt = "yes, no, none, or the whole fingerprint: "
			continue
		}
		return
	}
}

func (a *asker) judge(k *sshpool.HostKeyError, accepted bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.judged[keyOf(k)] = accepted
	if !accepted {
		a.declined.Store(true)
	}
}

// accept takes a key for the nodes that showed it.
func (a *asker) accept(u *sshpool.Untrusted) (accepted bool) {
	var first error
	for _, node := range u.Nodes {
		err := a.pool.Trust(node, u.Key.Fingerprint())
		accepted = accepted || err == nil // the others may have seen it in the file already
		if first == nil {
			first = err
		}
	}
	if !accepted {
		a.who.Say("foretop: " + safe(first.Error()) + "\n")
	}
	return accepted
}

// askTyped asks for a secret, or lets a server ask.
func (a *asker) askTyped(ctx context.Context, q *sshpool.Question) {
	if q.Words != "" {
		a.who.Say("foretop: " + safe(q.Words) + "\n")
	}
	who := q.User + "@" + q.Host
	if q.Jump {
		who = "the jump host " + who
	}
	var answers [][]byte
	switch q.Kind {
	case sshpool.AskInteractive:
		if len(q.Prompts) == 0 {
			a.begin(ctx, q, who)
			return
		}
		for _, words := range []string{q.Title, q.Text} {
			if words != "" {
				a.who.Say(safe(words) + "\n")
			}
		}
		for _, p := range q.Prompts {
			answer, err := a.who.Answer(ctx, safe(who+": "+p.Text)+" ", p.Echo)
			if err != nil {
				a.decline(q)
				return
			}
			answers = append(answers, answer)
		}
	default:
		prompt := "password of " + who
		if q.Kind == sshpool.AskPassphrase {
			prompt = "passphrase of the key " + q.File
		}
		answer, err := a.who.Answer(ctx, "foretop: "+safe(prompt)+waiting(q.Nodes)+": ", false)
		if err != nil || len(answer) == 0 {
			a.decline(q)
			return
		}
		answers = [][]byte{answer}
	}
	if err := a.pool.Answer(q.ID, q.Round, answers); err != nil {
		a.who.Say("foretop: " + safe(err.Error()) + "\n")
	}
}

// begin has a server asked for its prompts: at once when it is first met, later only when the person says so, for each time may cost something there.
func (a *asker) begin(ctx context.Context, q *sshpool.Question, who string) {
	if a.begun[q.ID] {
		if _, err := a.who.Answer(ctx, "foretop: "+safe(who)+" asks anew: Enter when you are ready ", true); err != nil {
			a.decline(q)
			return
		}
	}
	a.begun[q.ID] = true
	a.pool.Begin(q.ID)
	time.Sleep(askLook) // the question is busy from now on
}

func (a *asker) decline(q *sshpool.Question) {
	a.declined.Store(true)
	a.pool.Decline(q.ID)
}

// waiting says how many nodes wait for an answer, where that is more than one.
func waiting(nodes []string) string {
	if len(nodes) < 2 {
		return ""
	}
	return fmt.Sprintf(" (%d nodes wait)", len(nodes))
}

// readTyped reads a line byte by byte: what is typed behind it is for whoever reads next.
func readTyped(r io.Reader) ([]byte, error) {
	line := make([]byte, 0, maxTyped)
	b := make([]byte, 1)
	for {
		n, err := r.Read(b)
		switch {
		case n == 1 && b[0] == '\n':
			return line, nil
		case n == 1 && len(line) < maxTyped:
			line = append(line, b[0])
		}
		if err != nil {
			clear(line)
			return nil, err
		}
	}
}
