// Package facts is what a node says in words: the messages of facts.proto as plain structs, and the only two doors through which they pass.
//
// [Encode] makes every string fit to travel; [Decode] takes nothing from a node that is not bounded and clean. What came out of Decode may be
// kept, shown and shared, and must not be changed any more.
//
// The bytes are protobuf's (https://protobuf.dev/programming-guides/encoding), and a test holds them against its own Go library. The library
// itself is not linked: with the reflection that hangs on it, it was a third of what each node is sent.
package facts

import "foretop/telemetry"

// Bounds of one message: a byte of hostile input could otherwise become two hundred of memory.
const (
	maxFields   = 16 << 10 // all fields of all nested messages
	maxDepth    = 4
	maxString   = 4 << 10
	maxElements = 4 << 10  // bytes of one list of packed numbers
	memoryFloor = 64 << 10 // what any message may take of memory, and
	memoryRatio = 16       // what a byte of it may add to that; a real one adds three to eight
)

// Message is any message of facts.proto, which alone have these methods.
type Message interface {
	// shape is the message's name and how many fields it has, none where it is nil.
	shape() (name string, fields int)
	// field is where field n is: a pointer to a number, a string or a map of strings, a [list], or the Message itself that the field holds.
	// nil: there is no such field, or it holds no Message and none is to be created.
	field(n int, create bool) any
	reset()
}

// list is a field of many messages.
type list interface {
	count() int
	at(i int) Message
	add() Message
}

// Encode returns the message's bytes. Strings that could not be shown are cleaned in place first: an odd host name never costs the stream.
func Encode(m Message) ([]byte, error) {
	return appendMessage(make([]byte, 0, Size(m)), m), nil
}

// Decode fills m from a frame's payload. Too much, too deep or broken input gives a *[telemetry.Malformed], and m is of no use then; unknown
// fields are dropped.
func Decode(payload []byte, m Message) error {
	m.reset()
	d := decoder{fields: maxFields, memory: memoryFloor + memoryRatio*len(payload)}
	if what := d.message(payload, m, maxDepth); what != "" {
		return &telemetry.Malformed{What: what}
	}
	return nil
}
