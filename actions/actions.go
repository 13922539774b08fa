// Package actions is the one door for everything that changes something on a node or in a scheduler: an [Intent] becomes a [Preview], which a person reads and
// confirms; then a [Desk] carries it out, target by target, and writes an audit line before and after each.
//
// It knows no SSH and no screen. Nodes are reached through a [Door], schedulers through a schedulers.Actor; who is affected is computed from a fleet's snapshot.
//
// # What is promised
//
//   - Nothing is done that was not confirmed, and nothing that differs from what was previewed: a preview holds the very steps.
//   - Nothing is done without an audit line on disk; what cannot be written is refused with the reason.
//   - Nothing is done twice. A step of which no answer came is unknown; it is looked up until the truth is known, never sent again.
//   - Cancelling stops what has not started. What has is let run to its end, or to its own deadline.
package actions

import (
	"context"
	"time"
)

// Kind is what is to be done.
type Kind string

// Kinds.
const (
	Drain   Kind = "drain"   // nodes: take nothing new
	Resume  Kind = "resume"  // nodes: take work again
	Cancel  Kind = "cancel"  // a job: end it
	Requeue Kind = "requeue" // a job: end it and queue it again
	Signal  Kind = "signal"  // processes
	Command Kind = "run"     // nodes: a command
	Shell   Kind = "shell"   // a node: an interactive shell
	Custom  Kind = "custom"  // as the configuration says
	Dump    Kind = "stacks"  // processes: where they are
)

// Intent is what a person at the keyboard, or a script, wants.
type Intent struct {
	Kind      Kind
	Nodes     []string  // by the fleet's names; for Drain, Resume, Command, Shell
	Hidden    []string  // those of Nodes, nodes of Processes, or those of Jobs, that are not on screen: tagged, then filtered out
	Job       string    // its key; for Cancel, Requeue, and a Custom of that scope
	Jobs      []string  // the same of several; Hidden are then those of Jobs
	Processes []Process // for Signal and Dump
	Signal    string    // TERM, INT, KILL, …
	Reason    string    // for Drain
	WhenIdle  bool      // a Drain that lets what runs go on; else Kubernetes' pods are evicted
	Append    bool      // a Drain adds to a reason that is there; else that stays
	EmptyDir  bool      // as schedulers.Order
	Force     bool
	Grace     time.Duration
	Timeout   time.Duration
	Argv      []string // for Command and Custom: what is run, a word each; {node} and the like were filled in
	Title     string   // of Custom, as the configuration calls it; of Dump, whose processes they are: "job 8123"
	Here      bool     // a Custom that runs on this machine
	Scope     string   // of Custom: node, gpu, process, job
	GPUs      []GPU    // for a Custom of that scope
	Undo      *Undo    // for Resume: what it takes back
	Blocking  bool     // a Dump that stops each process while it reads it
}

// Process is one process, told apart from a later one of its number.
type Process struct {
	Node       string
	PID        int32
	StartTicks uint64
	Rank       int // -1 none
	User       string
	Words      string // what it runs
}

// GPU is one GPU of a node.
type GPU struct {
	Node  string
	Index int
}

// Undo is a drain that is to be taken back, if nobody changed the node since.
type Undo struct {
	Reason map[string]string // as it was set, by node
	Until  time.Time
}

// State is how far a step has come.
type State uint8

// States. Waiting and Running are the only ones that are not final but Unknown, which is looked up.
const (
	Waiting    State = iota
	Running          // started
	Done             // it is so, and we did it
	Failed           // it was not done, and Result.Words says why
	Unknown          // it was sent, and no answer came
	NotStarted       // cancelled before it began
	Refused          // it must not be done: never sent
)

var stateWords = [...]string{"waiting", "running", "done", "failed", "unknown", "not started", "refused"}

func (s State) String() string { return stateWords[min(int(s), len(stateWords)-1)] }

// Final says that a state stays as it is.
func (s State) Final() bool { return s != Waiting && s != Running && s != Unknown }

// Step is what is done about one target.
type Step struct {
	Target   string   // as a person calls it: "gpu017", "rank 131, pid 4123 on gpu017", "job 8123"
	Where    string   // who is asked: "slurm bay", "kubernetes prod", "gpu017"
	Commands []string // exactly what is run or called, for reading
	Refused  string   // why it must not be done; "" it may
	Notes    []string // what the person should know: "it has a reason already: fan [bob], which stays"

	node   string // of the fleet, of a Drain that can be taken back
	reason string // as it was set there
	// settle is how long after its answer was given up a step may still take effect: only then is it known that it did not.
	settle time.Duration
	run    func(ctx context.Context) (Output, error) // of a command, instead of do
	do     func(ctx context.Context, say func(string)) (words string, err error)
	look   func(ctx context.Context) (so bool, words string, err error) // nil: it cannot be looked up
}

// Result is how a step stands.
type Result struct {
	Target string
	State  State
	Words  string // why it failed, what it said, how far it is; one line
	Output Output // of a command
	Start  time.Time
	End    time.Time
}

// Output is what a command printed, bounded.
type Output struct {
	Text string // both streams, as they came; control characters are still in it
	Code int    // exit status; -1: it did not end by itself
	Cut  bool   // there was more
}

// Door is a way to nodes.
type Door interface {
	// Run runs a command as a node's user and gives what it printed, at most limit bytes. The error is nil for a command that ran, whatever its exit status. One that
	// was not started wraps ErrNotSent; of one whose end is not known the error wraps schedulers.ErrUnsure.
	Run(ctx context.Context, node string, argv []string, limit int) (Output, error)
	// Tool is Run of the node's collector with these arguments.
	Tool(ctx context.Context, node string, args []string, limit int) (Output, error)
}
