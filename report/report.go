// Package report writes a post-mortem of a job or a fleet: what was wrong and since when, the numbers over time as heat maps, what kernels said, and who did
// what. It is one HTML page or one Markdown text that stands for itself: no script, no resource from elsewhere, nothing in it that a node's words could break.
//
// It only reads snapshots and histories that it is given as a [Source]; it connects to nothing and opens no file. The command line calls it.
package report

import (
	"context"
	"fmt"
	"io"
	"time"

	"foretop/fleet"
)

// Source is what a report is written of: a recording, or a running fleet.
type Source struct {
	From, To time.Time // from when to when snapshots and histories are there
	Kept     string    // what is kept, in words: "at full rate"; ""
	Of       string    // where it comes from, in words: a file's name, "the running fleet"
	// At is the fleet as it was.
	At func(ctx context.Context, at time.Time) (*fleet.Snapshot, error)
	// History is [fleet.Fleet.History] as it was at a moment; nil: none is kept.
	History func(at time.Time, q fleet.Query) []float64
	// Reach is how far back a history goes; of longer times single readings are told in its place. 0: as far as there is anything.
	Reach time.Duration
	// Moments are when something began in it, so that what was short is looked at as well.
	Moments []Moment
}

// Options say what of a source is told, and how.
type Options struct {
	Job      string         // its key, id or name; "" the whole fleet
	From, To time.Time      // zero: all that there is
	Acts     []Act          // what was done, by anybody, in any order
	ActsNote string         // why none are known; "" they are
	Written  time.Time      // now
	By       string         // name and version of the program
	Location *time.Location // nil: UTC
	// Fold writes node names as a node set, as short as it can; nil: they are listed.
	Fold func(names []string) string
}

// Act is one line of the audit file: something that was done, or began to be.
type Act struct {
	At     time.Time
	Who    string
	What   string // drain, signal, …
	Target string
	State  string // starts, done, failed, …
	Where  string
	Words  string // the reason and the command, or what came of it
}

// Formats are what a report may be written as.
func Formats() []string { return []string{"html", "markdown"} }

// Write writes a report in one of Formats.
func Write(ctx context.Context, w io.Writer, format string, src Source, opt Options) error {
	if opt.Location == nil {
		opt.Location = time.UTC
	}
	s, err := gather(ctx, src, opt)
	if err != nil {
		return err
	}
	switch format {
	case "html":
		return s.html(w)
	case "markdown":
		return s.markdown(w)
	}
	return fmt.Errorf("a report is not written as %q", format)
}

// story is all that a report says.
type story struct {
	Title    string
	Summary  []string // in sentences
	Facts    []fact
	Incident []fleet.Incident
	Episodes []episode
	Cut      cut
	Timeline []event
	Maps     []heatMap
	MapsNote string // why there are none, or of what part
	Kernel   []kernelLine
	Acts     []Act
	ActsNote string
	Unseen   []string // what was not looked at
	Written  time.Time
	By, Of   string
	From, To time.Time // of the report
	where    *time.Location
}

// cut counts what was left out for length.
type cut struct{ Incidents, Episodes, Timeline, Kernel, Acts, Rows int }

type fact struct{ Name, Value string }

// Bounds of what a report tells: it is read by people.
const (
	maxEpisodes = 300
	maxTimeline = 500
	maxKernel   = 400
	maxActs     = 300
	maxText     = 600 // bytes of one text
	maxEvidence = 12  // lines of one finding
)
