package sshpool

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"
)

// asks is the book of questions. Whoever needs a secret comes to it from within a handshake; if there is none, the connection is given up and the node waits with a ticket, so
// that nobody's typing is under a deadline. When there is an answer, one node is sent with it; only when its host took it are the others.
type asks struct {
	on bool // somebody answers

	mu     sync.Mutex
	last   uint64
	open   map[string]*ask
	kept   map[string]*kept
	closed map[string]bool // not put any more, until forget
	mute   map[string]bool // hosts that have a conversation to offer and ask for nothing
	apart  map[string]bool // hosts that did not take what others did
	going  map[string]bool // nodes that were let go to try, and have not tried yet
	fresh  time.Duration
}

func newAsks(on bool) *asks {
	return &asks{on: on, fresh: keptFresh, open: make(map[string]*ask), kept: make(map[string]*kept), closed: make(map[string]bool), mute: make(map[string]bool), apart: make(map[string]bool), going: make(map[string]bool)}
}

// of gives the key under which a host's question is; mu is held.
func (b *asks) of(o about) string {
	if o.way != "" && b.apart[o.key+"\x00"+o.way] {
		return o.key + "\x00" + o.way
	}
	return o.key
}

// put opens a question; mu is held.
func (b *asks) put(key string, o about) *ask {
	b.last++
	o.key = key
	a := &ask{about: o, id: b.last, round: 1, since: time.Now()}
	b.open[key] = a
	return a
}

// lookup is what the book has for a host: a question, or something that was taken before. It opens the question where there is neither; mu is held.
func (b *asks) lookup(o about) (a *ask, k *kept, err error) {
	key := b.of(o)
	if b.closed[key] {
		return nil, nil, errClosed
	}
	k = b.kept[key]
	if k != nil && k.whole && time.Since(k.at) < b.fresh {
		return nil, k, nil
	}
	if a = b.open[key]; a == nil {
		a = b.put(key, o)
		if k != nil && k.whole { // one host first, as if it were typed now
			a.silent, a.state = true, askReady
		}
	}
	a.about.jump = a.about.jump || o.jump
	return a, k, nil
}

// password gives what is to be tried at a host, and the question that it answers, nil where others took it already. No secret and no error: it is waited for, under key.
func (b *asks) password(o about) (secret []byte, a *ask, key string, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	a, k, err := b.lookup(o)
	switch {
	case err != nil:
		return nil, nil, "", err
	case a == nil:
		return slices.Clone(k.answers[""]), nil, b.of(o), nil
	case a.state != askReady:
		return nil, nil, a.about.key, nil
	}
	a.state, a.runner = askTrying, ""
	a.about.host = o.host
	if a.silent {
		if k == nil { // some host did not take it any more
			a.again("", 0)
			return nil, nil, a.about.key, nil
		}
		return slices.Clone(k.answers[""]), a, a.about.key, nil
	}
	return slices.Clone(a.secret[0]), a, a.about.key, nil
}

// converse says whether a host may be asked for its prompts: with a question, or with what others took (a nil, ok). Not ok: it is waited for, under key.
func (b *asks) converse(o about) (a *ask, key string, ok bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.mute[o.key+"\x00"+o.way] {
		return nil, "", false, errMute
	}
	a, _, err = b.lookup(o)
	switch {
	case err != nil:
		return nil, "", false, err
	case a == nil:
		return nil, b.of(o), true, nil
	case a.state != askReady:
		return nil, a.about.key, false, nil
	}
	a.state, a.runner = askTrying, ""
	a.about.host = o.host
	return a, a.about.key, true, nil
}

// need opens a question that is answered here, on this machine; the key is what is waited for.
func (b *asks) need(o about) (key string, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	a, _, err := b.lookup(o)
	if err != nil {
		return "", err
	}
	return a.about.key, nil
}

// keptFor is what was taken before for a prompt.
func (b *asks) keptFor(key, prompt string) ([]byte, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	k := b.kept[key]
	if k == nil {
		return nil, false
	}
	s, ok := k.answers[prompt]
	return slices.Clone(s), ok
}

// talk puts a server's prompts, and waits for the answers as long as it takes.
func (b *asks) talk(ctx context.Context, a *ask, title, text string, prompts []Prompt) ([][]byte, error) {
	b.mu.Lock()
	a.title, a.text = title, text
	if a.secret != nil && slices.Equal(a.carried, prompts) { // of a connection that was cut while it was typed
		answers := a.secret
		a.secret, a.carried = nil, nil
		b.mu.Unlock()
		return answers, nil
	}
	wipe(a.secret)
	a.secret, a.carried, a.silent = nil, nil, false
	a.prompts = prompts
	a.round++
	reply := make(chan [][]byte, 1)
	a.reply = reply
	b.mu.Unlock()
	select {
	case answers, ok := <-reply:
		if !ok {
			return nil, errClosed
		}
		return answers, nil
	case <-ctx.Done():
		b.mu.Lock()
		defer b.mu.Unlock()
		a.reply, a.prompts = nil, nil
		return nil, ctx.Err()
	}
}

// carry keeps answers for a new connection: the one that they were typed for is gone.
func (b *asks) carry(a *ask, prompts []Prompt, answers [][]byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open[a.about.key] != a {
		wipe(answers)
		return
	}
	a.secret, a.carried = answers, prompts
}

// answer takes what a person typed.
func (b *asks) answer(id uint64, round int, answers [][]byte) (*ask, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	a := b.byID(id)
	switch {
	case a == nil:
		return nil, ErrQuestionGone
	case a.round != round, len(a.asked()) != len(answers):
		return nil, ErrQuestionOther
	}
	switch a.about.kind {
	case AskInteractive:
		a.reply <- answers
		a.reply, a.prompts = nil, nil
	case AskPassword:
		a.secret, a.state = answers, askReady
		b.dispatch(a)
	default:
		a.state = askTrying
	}
	return a, nil
}

// asked is what can be answered now; mu is held.
func (a *ask) asked() []Prompt {
	switch {
	case a.about.kind == AskInteractive && a.reply != nil:
		return a.prompts
	case a.about.kind != AskInteractive && a.state == askWanted:
		return []Prompt{{}}
	}
	return nil
}

func (b *asks) byID(id uint64) *ask {
	for _, a := range b.open {
		if a.id == id {
			return a
		}
	}
	return nil
}

func (b *asks) begin(id uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	a := b.byID(id)
	if a == nil || a.about.kind != AskInteractive || a.state != askWanted {
		return
	}
	for _, other := range b.open {
		if other.about.kind == AskInteractive && other.state != askWanted && !other.silent {
			return
		}
	}
	a.state = askReady
	b.dispatch(a)
}

func (b *asks) decline(id uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if a := b.byID(id); a != nil {
		b.close(a)
	}
}

// close ends a question without an answer; mu is held.
func (b *asks) close(a *ask) {
	if b.open[a.about.key] != a {
		return
	}
	delete(b.open, a.about.key)
	b.closed[a.about.key] = true
	wipe(a.secret)
	a.secret = nil
	if a.reply != nil {
		close(a.reply)
		a.reply = nil
	}
	b.release(a, false)
}

// release lets all that wait go; mu is held.
func (b *asks) release(a *ask, again bool) {
	for _, t := range a.waiting {
		b.going[t.node] = again
		t.ready <- again
	}
	a.waiting = nil
}

// dispatch sends one of those that wait to take an answer up: the host that was named, if it still waits; mu is held.
func (b *asks) dispatch(a *ask) {
	if a.state != askReady || a.runner != "" || len(a.waiting) == 0 {
		return
	}
	i := max(0, slices.IndexFunc(a.waiting, func(t *ticket) bool { return t.node == a.about.host }))
	t := a.waiting[i]
	a.waiting = slices.Delete(a.waiting, i, i+1)
	a.runner, b.going[t.node] = t.node, true
	t.ready <- true
}

// ended says that a node's try is over: if it was sent with an answer and did not come to use it, another is.
func (b *asks) ended(node string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.going, node)
	for _, a := range b.open {
		if a.runner == node && a.state == askReady {
			a.runner = ""
			if b.dispatch(a); a.runner == "" && a.about.kind == AskInteractive {
				a.again("", a.tries) // the person may be gone by the time that the node is back
			}
		}
	}
}

// join gives a node a place among those that wait for a question.
func (b *asks) join(key, node string) *ticket {
	b.mu.Lock()
	defer b.mu.Unlock()
	t := &ticket{node, make(chan bool, 1)}
	a := b.open[key]
	if a == nil {
		b.going[node] = !b.closed[key]
		t.ready <- !b.closed[key]
		return t
	}
	a.waiting = append(a.waiting, t)
	b.dispatch(a)
	return t
}

// leave gives the place up. A question that nobody waits for any more is none.
func (b *asks) leave(key string, t *ticket) {
	b.mu.Lock()
	defer b.mu.Unlock()
	a := b.open[key]
	if a == nil {
		return
	}
	before := len(a.waiting)
	a.waiting = slices.DeleteFunc(a.waiting, func(x *ticket) bool { return x == t })
	if len(a.waiting) < before && len(a.waiting) == 0 && a.state != askTrying && a.runner == "" {
		wipe(a.secret)
		delete(b.open, key)
	}
}

// stands says that there is no use in trying anew what a question keeps from going on.
func (b *asks) stands(key string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	a := b.open[key]
	return a != nil && a.state != askReady || b.closed[key]
}

// forget lets questions be put again that were declined, or answered wrongly too often.
func (b *asks) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.closed)
	clear(b.mute)
}

// wipe forgets all secrets.
func (b *asks) wipe() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, k := range b.kept {
		k.wipe()
	}
	clear(b.kept)
	for _, a := range b.open {
		wipe(a.secret)
		a.secret = nil
	}
}

func (b *asks) list() []Question {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []Question
	for _, a := range b.open {
		if a.silent || len(a.waiting) == 0 && a.runner == "" && a.state != askTrying { // of nobody, or of a node that is about to join
			continue
		}
		q := Question{
			ID: a.id, Round: a.round, Kind: a.about.kind, User: clean(a.about.user), Host: clean(a.about.host), File: clean(a.about.file), Jump: a.about.jump, Title: a.title, Text: a.text,
			Prompts: slices.Clone(a.prompts), Tries: a.tries, Words: a.words, Since: a.since,
		}
		if a.about.kind != AskInteractive {
			q.Title, q.Text, q.Prompts = "", "", a.asked()
		}
		q.Busy = a.state != askWanted && len(q.Prompts) == 0
		for _, t := range a.waiting {
			q.Nodes = append(q.Nodes, t.node)
		}
		out = append(out, q)
	}
	slices.SortFunc(out, func(x, y Question) int {
		return cmp.Or(-compareBool(x.Jump, y.Jump), cmp.Compare(x.Kind, y.Kind), x.Since.Compare(y.Since), cmp.Compare(x.ID, y.ID))
	})
	return out
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}
