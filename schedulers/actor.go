package schedulers

import (
	"context"
	"errors"
	"time"
)

// Verb is what an order asks a scheduler for.
type Verb string

// Verbs. Drain takes nothing new and lets what runs go on, unless Order.Evict; Cordon is Kubernetes' word for that.
const (
	Drain   Verb = "drain"
	Resume  Verb = "resume"
	Cancel  Verb = "cancel"
	Requeue Verb = "requeue"
)

// Order is one thing asked of a scheduler, about one of its nodes or one of its jobs.
type Order struct {
	Verb   Verb
	Node   string // the scheduler's own name, for Drain and Resume
	Job    string // its key, for Cancel and Requeue
	Reason string // of a Drain: required by Slurm; one line
	Append bool   // a Drain of a node that has a reason already adds to it; else such a node keeps it
	// Evict is of a Drain: what runs there is to go. Slurm's jobs are left to end all the same (it has no such word); Kubernetes' pods are evicted.
	Evict      bool
	EmptyDir   bool          // evict pods whose emptyDir is lost with them
	Force      bool          // evict pods that no controller makes anew
	Grace      time.Duration // for pods to end, at least a second; 0: their own
	Timeout    time.Duration // for all of them to go; 0: DrainTimeout
	UnlessSeen *NodeMark     // of a Resume, as an undo: only if the node is still marked so
}

// DrainTimeout is how long an eviction may take that sets no other.
const DrainTimeout = 5 * time.Minute

// NodeMark is how a node is kept from work, as its scheduler says now.
type NodeMark struct {
	Draining bool // it takes nothing new
	Reason   string
	By       string
	At       time.Time
	Left     []string // what runs there still: jobs, or pods, by name
}

// Actor gives orders to a scheduler. It serves many callers at once.
type Actor interface {
	// Commands is what an order comes to, as a person would type it or as the calls of an API: for reading, never for running.
	Commands(Order) []string
	// Do carries an order out and says how it goes on. What the scheduler refuses is an *ExitError or a *RefusedError with its own words; of an order that was sent
	// and of which no answer came the error wraps ErrUnsure, of one that never was ErrNotSent. It never sends one twice.
	Do(ctx context.Context, o Order, say func(string)) error
	// Look says whether what an order asks for is so, whoever did it; the error is of the question, not of the answer.
	Look(ctx context.Context, o Order) (so bool, words string, err error)
	// Mark is how a node is marked now.
	Mark(ctx context.Context, node string) (NodeMark, error)
}

// ErrUnsure is an order that was sent, of which nobody knows whether it was carried out: the connection or the controller was lost before the answer.
var ErrUnsure = errors.New("sent, and no answer came")

// ErrNotSent is an order or a command that was never sent: nothing happened.
var ErrNotSent = errors.New("not sent")

// RefusedError is an order that a scheduler, or a check before it, turned down.
type RefusedError struct {
	Words  string // the scheduler's own
	Remedy string // "" none is known
}

func (e *RefusedError) Error() string {
	if e.Remedy == "" {
		return e.Words
	}
	return e.Words + " (" + e.Remedy + ")"
}
