package sshpool

import "time"

// took says that a host let us in, or on to the next step, with these answers. What is kept of them serves the others; where that is not all that is asked for, the next of
// those that wait is for the person again.
func (b *asks) took(a *ask, key string, answers map[string][]byte, whole bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	k := b.kept[key]
	if k == nil {
		k = &kept{answers: make(map[string][]byte)}
	}
	for prompt, answer := range answers {
		k.answers[prompt] = answer
	}
	if k.at, k.refused = time.Now(), 0; len(k.answers) > 0 {
		k.whole = whole
		b.kept[key] = k
	}
	if a == nil || b.open[key] != a {
		return
	}
	wipe(a.secret)
	a.secret = nil
	if whole || a.about.jump || len(a.waiting) == 0 { // all behind a jump host use its one connection
		delete(b.open, key)
		b.release(a, true)
		return
	}
	a.again("", 0)
	a.about.host = a.waiting[0].node
}

// again puts a question anew; mu is held.
func (a *ask) again(words string, tries int) {
	a.state, a.runner, a.words, a.tries, a.silent = askWanted, "", words, tries, false
	a.prompts, a.reply = nil, nil
	a.round++
}

// refused says that an answer was wrong. A conversation that goes on over the same connection stays begun.
func (b *asks) refused(a *ask, words string) { b.wrong(a, words, false) }

// wrong is refused; it says whether the question is still open.
func (b *asks) wrong(a *ask, words string, goesOn bool) (open bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open[a.about.key] != a {
		return false
	}
	wipe(a.secret)
	a.secret, a.carried = nil, nil
	if a.silent {
		if k := b.kept[a.about.key]; k != nil {
			k.wipe()
			delete(b.kept, a.about.key)
		}
		a.again("what was taken before is not taken any more", 0)
		return true
	}
	state := a.state
	if a.again(words, a.tries+1); a.tries >= a.about.max {
		b.close(a)
		return false
	}
	if goesOn {
		a.state = state
	}
	return true
}

// drop forgets what was taken.
func (b *asks) drop(key string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if k := b.kept[key]; k != nil {
		k.wipe()
		delete(b.kept, key)
	}
}

// refusedKept says that a host did not take what others did: it is asked for apart from them. After two in a row nobody is given it any more.
func (b *asks) refusedKept(o about) {
	b.mu.Lock()
	defer b.mu.Unlock()
	k := b.kept[o.key]
	if k == nil || b.apart[o.key+"\x00"+o.way] {
		if own := b.kept[b.of(o)]; own != nil {
			own.wipe()
			delete(b.kept, b.of(o))
		}
		return
	}
	if k.refused++; k.refused >= 2 {
		k.wipe()
		delete(b.kept, o.key)
		return
	}
	b.apart[o.key+"\x00"+o.way] = true
}

// undecided says that a connection ended before the host said whether it takes an answer. One that was sent is not sent again by itself; one that was not is taken up by the next.
func (b *asks) undecided(a *ask, sent bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open[a.about.key] != a {
		return
	}
	if !sent && (a.secret != nil || a.silent) {
		a.state, a.runner = askReady, ""
		a.prompts, a.reply = nil, nil
		b.dispatch(a)
		return
	}
	words := "the connection ended before anything was asked"
	if sent {
		words = "the connection ended before the answer was judged"
	}
	wipe(a.secret)
	a.secret = nil
	a.again(words, a.tries)
}

// silence remembers that a host has a conversation to offer and asks for nothing. The next of those that wait may.
func (b *asks) silence(o about, a *ask) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.mute[o.key+"\x00"+o.way] = true
	if a == nil || b.open[a.about.key] != a {
		return
	}
	if len(a.waiting) == 0 {
		delete(b.open, a.about.key)
		return
	}
	a.state, a.runner = askReady, ""
	a.prompts, a.reply = nil, nil
	b.dispatch(a)
}

// isSilent says that what others took is being tried, and nobody asked.
func (b *asks) isSilent(a *ask) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return a.silent
}

// unkept says that a host asks for more than what was taken before: it is for the person.
func (b *asks) unkept(a *ask) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if k := b.kept[a.about.key]; k != nil {
		k.whole = false
	}
	a.again("", 0)
}

// unlocked says that a key file can be used.
func (b *asks) unlocked(a *ask) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open[a.about.key] == a {
		delete(b.open, a.about.key)
		b.release(a, true)
	}
}
