// Package telemetry holds the words that a node and the front end both speak: how a stream starts, how bytes are cut into
// frames, which metrics exist, and how a sample of them is encoded as what changed since the last one sent.
//
// It reads no system and opens no connection. The collectors fill a [State] and an [Encoder] turns it into sample payloads; the fleet's
// [Decoder] turns those back into a State. What is said in words rather than in numbers (hello, processes, kernel log, control) is protobuf, in
// the package telemetry/facts, so that a program which only speaks samples need not link it.
//
// Everything that arrives from a node is hostile until checked: every size and count is bounded while it is read, see limits.go.
package telemetry

import "fmt"

// Protocol versions. Ends with the same major understand one another: what an end does not know, it skips.
const (
	ProtocolMajor = 1
	ProtocolMinor = 0
)

// Malformed says that a peer broke the protocol: its stream cannot be trusted further and is cut.
type Malformed struct {
	What string // what was wrong, in words for the user
}

func (m *Malformed) Error() string { return "malformed stream: " + m.What }

// Misbehaving marks the error as the peer's doing, for whoever decides on when to try again.
func (m *Malformed) Misbehaving() bool { return true }

func malformed(format string, args ...any) error {
	return &Malformed{What: fmt.Sprintf(format, args...)}
}
