package sshpool

import (
	"errors"
	"fmt"
	"time"
)

// QuestionKind is what only a person can give.
type QuestionKind uint8

// The kinds.
const (
	AskPassphrase  QuestionKind = iota // of a key file
	AskPassword                        // of an account
	AskInteractive                     // whatever the server itself asks (keyboard-interactive): a password, a one-time code, both
)

// Prompt is one line to be answered.
type Prompt struct {
	Text string // the server's own words, cleaned
	Echo bool   // what is typed may be seen
}

// Question is open until it is answered, declined, or nobody waits for it any more. All text in it is clean and bounded; no answer is ever in it.
type Question struct {
	ID    uint64
	Round int // rises whenever something else is to be answered: an answer names the round that it is for
	Kind  QuestionKind
	User  string
	Host  string // that an answer is tried on first
	File  string // the key file, of a passphrase
	Jump  bool   // Host is a jump host: all behind it wait

	Title, Text string   // the server's words beside its prompts
	Prompts     []Prompt // none: the server was not asked yet what it wants (Pool.Begin), or an answer is being tried
	Busy        bool     // something is under way: nothing can be answered now

	Nodes []string // targets that wait for it, in no order
	Tries int      // answers that were not taken
	Words string   // why it is asked again; ""
	Since time.Time
}

// Errors of answers.
var (
	ErrQuestionGone  = errors.New("the question is not open any more")
	ErrQuestionOther = errors.New("the question has changed: look at it again")
)

// Questions are those that are open, in the order in which they are to be answered: jump hosts' first, then passphrases, then the oldest. Empty where nobody is there to
// answer (Config.Ask).
func (p *Pool) Questions() []Question { return p.asks.list() }

// Begin says that a person is there to talk with a server that has prompts of its own: a connection is made and its prompts are put into the question. One
// conversation runs at a time: while one does, nothing happens.
func (p *Pool) Begin(id uint64) { p.asks.begin(id) }

// Decline ends a question: those that wait for it stay in NeedsAuth, and it is not put again before Pool.Retry.
func (p *Pool) Decline(id uint64) { p.asks.decline(id) }

// Answer gives a question's answers, one a prompt. They belong to the pool from now on, which overwrites them when they are used up. A passphrase is tried at once (bcrypt takes a
// moment); all else on one host. Whether it was taken shows in Questions.
func (p *Pool) Answer(id uint64, round int, answers [][]byte) error {
	a, err := p.asks.answer(id, round, answers)
	if err != nil {
		wipe(answers)
		return err
	}
	if a.about.kind != AskPassphrase {
		return nil
	}
	err = p.keys.unlock(a.about.file, answers[0])
	wipe(answers)
	switch {
	case err == nil:
		p.asks.unlocked(a)
	case errors.Is(err, errWrongPassphrase):
		p.asks.refused(a, "that was not the passphrase")
	default:
		p.asks.refused(a, clean(err.Error()))
	}
	return nil
}

// AskedError says that a host lets in whoever answers a question, and that nobody has yet.
type AskedError struct {
	User, Host string
	Kind       QuestionKind
	Closed     bool // it is not put any more: it was declined, or answered wrongly too often
}

func (e *AskedError) Error() string {
	return fmt.Sprintf("authenticate as %s@%s: a question is not answered", e.User, e.Host)
}

// wipe overwrites secrets. Go may have made copies (x/crypto takes passwords as strings): this is as far as it goes.
func wipe(secrets [][]byte) {
	for _, s := range secrets {
		clear(s)
	}
}
