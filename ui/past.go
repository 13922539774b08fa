package ui

import (
	"context"
	"time"

	"foretop/fleet"
)

// Past is what was: a black box's memory, or a recording.
type Past interface {
	// Span is from when to when there is something, and what is kept in words ("15 min at full rate", "every 5 s beyond 5 min"); ok is false while there is nothing.
	Span() (from, to time.Time, kept string, ok bool)
	// At is the fleet as it was. It may take a while (100 ms): it is called from commands, never from Update or View.
	At(ctx context.Context, at time.Time) (*fleet.Snapshot, error)
	// History is Source.History as it was at a moment.
	History(at time.Time, q fleet.Query) []float64
	// Marks are the findings in it, oldest first.
	Marks() []PastMark
}

// PastMark is one finding's beginning.
type PastMark struct {
	At       time.Time
	Severity fleet.Severity
	Text     string // clean
}
