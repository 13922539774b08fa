package journal

import (
	"encoding/json"
	"time"

	"foretop/fleet"
	"foretop/telemetry"
)

// entry is one line of the file.
type entry struct {
	Kind     string    `json:"kind"`
	Time     time.Time `json:"time"`
	Key      string    `json:"key,omitempty"`  // rule and subject of a finding, or the id of an incident
	Since    time.Time `json:"since,omitzero"` // when a finding began
	Until    time.Time `json:"until,omitzero"` // of a snooze
	By       string    `json:"by,omitempty"`   // who said so
	Mark     string    `json:"mark,omitempty"` // what
	Severity string    `json:"severity,omitempty"`
	Node     string    `json:"node,omitempty"`
	UUID     string    `json:"uuid,omitempty"`
	Text     string    `json:"text,omitempty"`
}

// Kinds of entries.
const (
	kindFound  = "found"
	kindGone   = "gone"
	kindMark   = "mark"
	kindLooked = "looked"
)

// Bounds of a line, in bytes.
const (
	maxLine = 8 << 10
	maxWord = 1 << 10 // of a key
	maxText = 512
)

var markNames = [...]string{fleet.Unmarked: "none", fleet.Acknowledged: "acknowledged", fleet.Snoozed: "snoozed", fleet.FalseAlarm: "false alarm"}

func markName(k fleet.MarkKind) string { return markNames[min(int(k), len(markNames)-1)] }

func markNamed(name string) (fleet.MarkKind, bool) {
	for k, n := range markNames {
		if n == name {
			return fleet.MarkKind(k), true
		}
	}
	return 0, false
}

func severityNamed(name string) fleet.Severity {
	for s := fleet.Fine; s <= fleet.Critical; s++ {
		if s.String() == name {
			return s
		}
	}
	return fleet.Critical // what is not known silences nothing less
}

// clean bounds an entry's texts: keys and words come from nodes, and files from anywhere.
func (e *entry) clean() {
	e.Key, e.Node, e.UUID = telemetry.Clean(e.Key, maxWord), telemetry.Clean(e.Node, maxWord), telemetry.Clean(e.UUID, 128)
	e.By, e.Text = telemetry.Clean(e.By, 128), telemetry.Clean(e.Text, maxText)
}

// line is an entry as the file has it, with its end; nil where it is too long.
func (e entry) line() []byte {
	e.clean()
	b, err := json.Marshal(e)
	if err != nil || len(b) >= maxLine {
		return nil
	}
	return append(b, '\n')
}

// parseEntry reads a line; false: it is torn, or nothing that we know.
func parseEntry(line []byte) (e entry, ok bool) {
	if len(line) == 0 || len(line) > maxLine || line[0] != '{' || json.Unmarshal(line, &e) != nil || e.Time.IsZero() {
		return entry{}, false
	}
	e.clean()
	return e, e.Kind != ""
}
