package sshpool

import (
	"context"
	"io"
	"time"
)

// State is where a node stands on its way to a live stream.
type State uint8

// The states, in the order in which a healthy start passes through them.
const (
	// Waiting: known, and waiting for its turn (pacing) or for its next try.
	Waiting State = iota
	// Connecting: resolving, dialling, in the handshake or starting the collector.
	Connecting
	// NeedsTrust: the host key is unknown, changed or revoked. Retried only when a known_hosts file has come to trust that very key.
	NeedsTrust
	// NeedsAuth: no key of ours is accepted, or the one that would be is locked. Never retried by itself.
	NeedsAuth
	// Refused: the node answered and will not have us, in its own words. Retried only when Status.NextTry is set.
	Refused
	// Deploying: the collector is being put on the node.
	Deploying
	// Live: the stream runs.
	Live
	// Stale: the stream was silent too long; the connection may still be there.
	Stale
	// Lost: no connection; Status.NextTry says when the next try comes.
	Lost
	// Misbehaving: the node sent what no collector sends; cut off, tried again after a long while.
	Misbehaving
)

// String gives the word used on screens and in JSON.
func (s State) String() string {
	words := [...]string{"waiting", "connecting", "needs-trust", "needs-auth", "refused",
		"deploying", "live", "stale", "lost", "misbehaving"}
	if int(s) < len(words) {
		return words[s]
	}
	return "unknown"
}

// Status is one report about a node. All text in it is clean: no control characters, bounded length.
type Status struct {
	State   State
	Cause   string    // why, short: "no route to host"; empty when there is nothing to say
	Remedy  string    // the next step for the user; empty when there is none
	At      time.Time // since when the node is in this state; tries in between do not end an outage
	Attempt int       // tries since the node was last live, from 1
	NextTry time.Time // zero: not before Pool.Retry (or at once)
	Err     error     // the error behind Cause: *HostKeyError, *AuthError, …; nil when all is well
	Notes   string    // what the node printed before the stream began (banner, rc files), at most 1 KiB
}

// Sink takes what the pool learns. The calls for one node never overlap and come in order.
type Sink interface {
	// Status reports a change. It must not block and must not call the pool back.
	Status(node string, s Status)
	// Serve consumes one collector's stream until it ends; stdout stands right behind the STREAM line, what is
	// written to stdin reaches the collector. It must return when stdout ends or ctx is done. An error with a
	// method Misbehaving() bool that gives true puts the node in Misbehaving with that error's text as the cause.
	Serve(ctx context.Context, node string, stdout io.Reader, stdin io.Writer) error
}

// Target is one node as the user named it.
type Target struct {
	Name     string    // key of the node everywhere: alias, host, user@host:port, or any name when Local
	Local    bool      // no SSH: the collector is started on this machine, the stream is the same
	Door     *Door     // non-nil: no SSH, the node is reached through it, by Name
	Resolved *Resolved // non-nil: nothing is asked of `ssh -G` (simulated fleets, tests, hosts given with all fields)
	Trace    *Trace    // non-nil: it is told each step of the first try
}
