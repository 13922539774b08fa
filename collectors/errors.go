package collectors

import (
	"errors"
	"io/fs"

	"foretop/collectors/accelerators"
	"foretop/telemetry"
	"foretop/telemetry/facts"
)

// condition is an error by which a source states itself. Any other error means failing, a file that may not be read means denied.
type condition struct {
	state   facts.SourceState
	text    string
	remedy  string
	stuckMS int64 // for how long a call is out already; told as a number, so that the words stay the same
}

func (c *condition) Error() string { return c.text }

// unsupported: the node has no such thing. That is no fault.
func unsupported(text string) error {
	return &condition{state: facts.SourceState_SOURCE_UNSUPPORTED, text: text}
}

// denied: the thing is there and may not be read; remedy says by what it could be.
func denied(text, remedy string) error {
	return &condition{state: facts.SourceState_SOURCE_DENIED, text: text, remedy: remedy}
}

// undecided: it is not known yet whether the thing may be read.
func undecided(text string) error {
	return &condition{state: facts.SourceState_SOURCE_UNKNOWN, text: text}
}

// remark: all is well, and there is something to say.
func remark(text string) error {
	return &condition{state: facts.SourceState_SOURCE_OK, text: text}
}

const maxWords = 500 // bytes of what a source says

// conditionOf makes a source's statement out of what its read returned.
func conditionOf(err error) condition {
	c := worded(err)
	c.text = telemetry.Clean(c.text, maxWords)
	return c
}

func worded(err error) condition {
	if err == nil {
		return condition{state: facts.SourceState_SOURCE_OK}
	}
	c, plain := err.(*condition) // nearly always, and errors.As is dear
	if plain {
		return *c
	}
	var a *accelerators.Condition
	switch {
	case errors.As(err, &a):
		return condition{state: a.State, text: a.Text, remedy: a.Remedy, stuckMS: a.Stuck.Milliseconds()}
	case errors.As(err, &c):
		return *c
	case errors.Is(err, fs.ErrPermission):
		return condition{state: facts.SourceState_SOURCE_DENIED, text: err.Error(), remedy: "run the collector as a user who may read it"}
	}
	return condition{state: facts.SourceState_SOURCE_FAILING, text: err.Error()}
}
