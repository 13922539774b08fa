package sshpool

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"foretop/telemetry"

	"golang.org/x/crypto/ssh"
)

var (
	errAsked  = errors.New("a question is to be answered first")
	errClosed = errors.New("the question is not put any more")
	errMute   = errors.New("nothing is asked")
	errCut    = errors.New("the server did not wait for the answer")
)

// asking is what of one handshake's authentication a person has to do with.
type asking struct {
	asks  *asks
	ctx   context.Context
	conn  *firstBytes
	limit time.Duration               // of the handshake, without the time that a person takes
	via   []string                    // jump hosts that wait for this one
	first func(methods []string) bool // another way is to be tried before a person is asked

	partials int
	sent     *sent
	retry    *sent  // a conversation that goes on over the same connection
	asked    string // the key of the question that is waited for
	kind     QuestionKind
	closed   bool  // it is not put any more
	silent   bool  // the conversation asks for nothing
	before   *bool // what first says; nil: not asked yet
}

// sent is an answer on its way to a verdict.
type sent struct {
	way       string // of authentication
	about     about
	key       string
	ask       *ask              // nil: what others took
	answers   map[string][]byte // what is worth keeping, by prompt
	typed     bool              // it has more that is not kept: a one-time code
	prompted  bool              // the server did ask
	delivered bool
	seen      map[string]bool // prompts that were answered with what is kept
}

// ways are the ways to log in that we have, in the configured order.
func (r *Resolved) ways() []string {
	if r.Ways != nil {
		return r.Ways
	}
	return []string{"publickey", "keyboard-interactive", "password"}
}

// method is the AuthCallback: it judges what was tried, and offers what comes next: identities, then what a person can give.
func (a *authAttempt) method(c *ssh.ClientAuthContext) (ssh.AuthMethod, error) {
	a.reached = true
	a.partial = len(c.PartialSuccessMethods) > 0
	if len(c.AllowedMethods) > 0 {
		a.methods = c.AllowedMethods
	}
	a.judge(len(c.PartialSuccessMethods) > a.partials)
	a.partials = len(c.PartialSuccessMethods)
	switch {
	case a.asked != "":
		return nil, errAsked
	case a.closed:
		return nil, nil
	}
	for _, way := range a.resolved.ways() {
		if !slices.Contains(c.AllowedMethods, way) {
			continue
		}
		var m ssh.AuthMethod
		switch {
		case way == "publickey":
			switch m = a.keys(); {
			case m != nil || !a.mayAsk():
			case a.locked != "":
				a.wait(a.asks.need(aboutPassphrase(a.resolved, a.via, a.locked)))
				a.kind = AskPassphrase
			default:
				a.openHidden()
			}
		case !a.mayAsk():
		case way == "password":
			m = a.password()
		case way == "keyboard-interactive" && !a.silent:
			m = a.converse()
		}
		if a.asked != "" {
			return nil, errAsked
		}
		if m != nil || a.closed {
			return m, nil
		}
	}
	return nil, nil
}

// mayAsk says that a person is there for this host, and its turn has come.
func (a *authAttempt) mayAsk() bool {
	if a.asks == nil || !a.asks.on || a.resolved.NoAsk || a.closed {
		return false
	}
	if a.before == nil {
		before := a.first != nil && a.first(a.methods)
		a.before = &before
	}
	return !*a.before
}

// openHidden asks for the passphrase of a key that may be the one, as ssh does: which key it is shows only then. One that nobody opens is passed over.
func (a *authAttempt) openHidden() {
	for _, file := range a.hidden {
		if key, err := a.asks.need(aboutPassphrase(a.resolved, a.via, file)); err == nil {
			a.asked, a.kind, a.locked = key, AskPassphrase, file
			return
		}
	}
}

// wait notes that a question is to be answered first, or never is.
func (a *authAttempt) wait(key string, err error) {
	a.asked, a.closed = key, err != nil
}

func (a *authAttempt) password() ssh.AuthMethod {
	a.kind = AskPassword
	about := aboutHost(AskPassword, a.resolved, a.via)
	secret, q, key, err := a.asks.password(about)
	if err != nil || secret == nil {
		a.wait(key, err)
		return nil
	}
	s := &sent{way: "password", about: about, key: key, ask: q, answers: map[string][]byte{"": secret}}
	a.sent = s
	return ssh.PasswordCallback(func() (string, error) {
		s.delivered = true
		return string(secret), nil
	})
}

func (a *authAttempt) converse() ssh.AuthMethod {
	a.kind = AskInteractive
	about := aboutHost(AskInteractive, a.resolved, a.via)
	var s *sent
	if again := a.retry; again != nil {
		s, a.retry = &sent{way: again.way, about: about, key: again.key, ask: again.ask}, nil
	} else {
		q, key, ok, err := a.asks.converse(about)
		switch {
		case errors.Is(err, errMute):
			return nil
		case err != nil || !ok:
			a.wait(key, err)
			return nil
		}
		s = &sent{way: "keyboard-interactive", about: about, key: key, ask: q}
	}
	s.answers, s.seen = make(map[string][]byte), make(map[string]bool)
	a.sent = s
	return ssh.KeyboardInteractive(a.challenge)
}

// challenge answers one round of a server's prompts: with what is kept where that is all it asks for, else with what the person types.
func (a *authAttempt) challenge(title, text string, prompts []string, echos []bool) ([]string, error) {
	s := a.sent
	title, text = telemetry.Clean(title, maxPrompt), telemetry.Clean(text, 2*maxPrompt)
	if len(prompts) > maxPrompts {
		s.prompted = true
		return nil, fmt.Errorf("the server asks for %d things at once", len(prompts))
	}
	if len(prompts) == 0 { // only words, mostly of farewell
		a.hear(title + "\n" + text)
		return nil, nil
	}
	s.prompted = true
	list := make([]Prompt, len(prompts))
	for i := range prompts {
		list[i] = Prompt{telemetry.Clean(prompts[i], maxPrompt), echos[i]}
	}
	if answers, ok := a.known(list); ok {
		s.delivered = true
		return answers, nil
	}
	if s.ask == nil || a.asks.isSilent(s.ask) {
		if s.ask != nil {
			a.asks.unkept(s.ask)
		}
		a.asked = s.key
		return nil, errAsked
	}
	_ = a.conn.SetDeadline(time.Time{}) // nobody types against a deadline
	answers, err := a.asks.talk(a.ctx, s.ask, title, text, list)
	_ = a.conn.SetDeadline(time.Now().Add(a.limit))
	switch {
	case errors.Is(err, errClosed):
		a.closed = true
		return nil, err
	case err != nil:
		return nil, err
	case a.conn.ended():
		a.asks.carry(s.ask, list, answers)
		a.asked = s.key
		return nil, errCut
	}
	s.delivered = true
	out := make([]string, len(answers))
	for i, answer := range answers {
		out[i] = string(answer)
		if list[i].worthKeeping() {
			s.answers[list[i].Text] = answer
		} else {
			s.typed = true
			clear(answer)
		}
	}
	return out, nil
}

// known answers prompts with what is kept; not where that was tried already.
func (a *authAttempt) known(list []Prompt) ([]string, bool) {
	s := a.sent
	out := make([]string, len(list))
	for i, p := range list {
		answer, ok := a.asks.keptFor(s.key, p.Text)
		if !ok || !p.worthKeeping() || s.seen[p.Text] {
			return nil, false
		}
		out[i] = string(answer)
		clear(answer)
	}
	for _, p := range list {
		s.seen[p.Text] = true
	}
	return out, true
}

// worthKeeping says that a prompt asks for a lasting password. What may be a one-time code, or belongs to a change of password, is never used twice.
func (p Prompt) worthKeeping() bool {
	text := lower(p.Text)
	if p.Echo || !strings.Contains(text, "password") {
		return false
	}
	for _, word := range []string{"one-time", "one time", "onetime", "otp", "code", "token", "verif", "new", "again", "retype", "current", "old", "expire", "chang", "duo", "factor"} {
		if strings.Contains(text, word) {
			return false
		}
	}
	return true
}

// judge takes the server's verdict on what was sent: x/crypto calls for the next method.
func (a *authAttempt) judge(took bool) {
	s := a.sent
	if s == nil {
		return
	}
	a.sent = nil
	switch {
	case took:
		a.asks.took(s.ask, s.key, s.answers, !s.typed)
	case !s.prompted && !s.delivered && s.way == "keyboard-interactive":
		a.silent = true
		a.asks.silence(s.about, s.ask)
	case !s.delivered:
		if s.ask != nil {
			a.asks.undecided(s.ask, false)
		}
	case s.ask == nil:
		a.asks.refusedKept(s.about)
	case len(s.seen) > 0: // what is kept may be what was wrong
		a.asks.drop(s.key)
		a.asks.refused(s.ask, notTaken(s))
		a.asked = s.key
	default:
		goesOn := s.way == "keyboard-interactive"
		open := a.asks.wrong(s.ask, notTaken(s), goesOn)
		if a.closed = !open; open && goesOn {
			a.retry = s
		}
	}
}

func notTaken(s *sent) string { return "not taken by " + clean(s.about.host) }

// end is the verdict of the handshake's end.
func (a *authAttempt) end(err error) {
	if a.retry != nil {
		a.asks.undecided(a.retry.ask, false)
		a.retry = nil
	}
	s := a.sent
	if s == nil {
		return
	}
	switch {
	case err == nil:
		a.judge(true)
	case s.delivered && strings.Contains(err.Error(), "ssh: disconnect"): // too many wrong ones
		a.judge(false)
	case s.ask != nil:
		a.asks.undecided(s.ask, s.delivered)
	}
	a.sent = nil
}

// hear keeps what a server says to everybody, at most 2 KiB.
func (a *authAttempt) hear(words string) {
	if len(a.banner) < 2<<10 {
		a.banner += words[:min(len(words), 2<<10)]
	}
}

// askElsewhere says where what is asked could be answered.
func (a *authAttempt) askElsewhere() string {
	if a.resolved.NoAsk {
		return "set BatchMode no for it: nobody may be asked"
	}
	return "answer in the screen, which asks (foretop NODE): here nobody can be asked"
}

// askedProblem words a way in that waits for a person.
func (a *authAttempt) askedProblem() *problem {
	r := a.resolved
	p := &problem{state: NeedsAuth, again: pauseHold, ask: a.asked, notes: clean(a.banner), err: &AskedError{User: r.User, Host: r.HostName, Kind: a.kind}}
	who := r.User + "@" + r.HostName
	switch a.kind {
	case AskPassphrase:
		p.cause, p.remedy = "key "+a.locked+" is locked by a passphrase", "answer the question for it, or unlock it for the agent: ssh-add "+quote(a.locked)
	case AskPassword:
		p.cause, p.remedy = who+" asks for a password", "answer the question for it, or put your public key there (ssh-copy-id "+quote(who)+")"
	default:
		p.cause, p.remedy = who+" asks for more than a key (keyboard-interactive)", "answer its questions"
	}
	if a.partial {
		p.cause += ", after the key"
	}
	if a.kind != AskPassphrase && len(a.offered) > 0 && !a.partial {
		p.cause += "; keys offered: " + some(a.offered)
	}
	return p
}
