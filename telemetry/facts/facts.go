// Package facts is what a node says in words: the protobuf messages of facts.proto, and the only two doors through which they pass.
//
// [Encode] makes every string fit to travel; [Decode] takes nothing from a node that is not bounded and clean. What came out of Decode may be
// kept, shown and shared, and must not be changed any more.
package facts

import (
	"errors"
	"unicode/utf8"

	"foretop/telemetry"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Bounds of one message. Generated protobuf makes up to 150 bytes of memory out of one byte of hostile input; these keep that small.
const (
	maxFields   = 16 << 10 // all fields of all nested messages
	maxDepth    = 4
	maxString   = 4 << 10
	maxElements = 4 << 10 // of one list, unless it is packed numbers
)

// Encode returns the message's bytes. Strings that could not be shown are cleaned in place first: an odd host name never costs the stream.
func Encode(m proto.Message) ([]byte, error) {
	clean(m.ProtoReflect())
	return proto.Marshal(m)
}

// Decode fills m from a frame's payload. Too much, too deep or broken input gives a *[telemetry.Malformed]; unknown fields are dropped.
func Decode(payload []byte, m proto.Message) error {
	w := walk{budget: maxFields}
	if err := w.message(payload, m.ProtoReflect().Descriptor(), maxDepth); err != nil {
		return err
	}
	if err := (proto.UnmarshalOptions{DiscardUnknown: true, RecursionLimit: maxDepth + 2}).Unmarshal(payload, m); err != nil {
		return broken(m.ProtoReflect().Descriptor(), errors.New("not valid protobuf"))
	}
	if w.unclean {
		clean(m.ProtoReflect())
	}
	return nil
}

func broken(d protoreflect.MessageDescriptor, err error) error {
	return &telemetry.Malformed{What: string(d.Name()) + ": " + err.Error()}
}

// walk goes over the bytes without making anything of them.
type walk struct {
	budget  int  // fields left
	unclean bool // some text needs cleaning
}

func (w *walk) message(b []byte, d protoreflect.MessageDescriptor, depth int) error {
	if depth == 0 {
		return broken(d, errors.New("nested too deep"))
	}
	fields := d.Fields()
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return broken(d, errors.New("field cut short"))
		}
		b = b[n:]
		if n = protowire.ConsumeFieldValue(num, typ, b); n < 0 {
			return broken(d, errors.New("field cut short"))
		}
		if w.budget--; w.budget < 0 {
			return broken(d, errors.New("too many fields"))
		}
		value := b[:n]
		b = b[n:]
		if typ != protowire.BytesType {
			continue
		}
		if f := fields.ByNumber(num); f != nil {
			body, _ := protowire.ConsumeBytes(value)
			if err := w.field(body, f, depth); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *walk) field(body []byte, f protoreflect.FieldDescriptor, depth int) error {
	switch f.Kind() {
	case protoreflect.MessageKind:
		return w.message(body, f.Message(), depth-1)
	case protoreflect.StringKind:
		if !utf8.Valid(body) {
			return broken(f.ContainingMessage(), errors.New("text that is not UTF-8"))
		}
		limit := maxString
		if f.ContainingMessage().IsMapEntry() {
			limit = telemetry.MaxEnvValueBytes
		}
		w.unclean = w.unclean || len(body) > limit || !telemetry.IsClean(body)
	default: // packed numbers
		if len(body) > maxElements {
			return broken(f.ContainingMessage(), errors.New("list too long"))
		}
	}
	return nil
}

// clean passes every string of the message through telemetry.Clean.
func clean(m protoreflect.Message) {
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.IsMap():
			cleanMap(v.Map())
		case f.IsList():
			cleanList(f, v.List())
		case f.Kind() == protoreflect.MessageKind:
			clean(v.Message())
		case f.Kind() == protoreflect.StringKind:
			if s := v.String(); s != "" {
				if c := telemetry.Clean(s, maxString); c != s {
					m.Set(f, protoreflect.ValueOfString(c))
				}
			}
		}
		return true
	})
}

func cleanList(f protoreflect.FieldDescriptor, l protoreflect.List) {
	for i := range l.Len() {
		switch f.Kind() {
		case protoreflect.MessageKind:
			clean(l.Get(i).Message())
		case protoreflect.StringKind:
			l.Set(i, protoreflect.ValueOfString(telemetry.Clean(l.Get(i).String(), maxString)))
		}
	}
}

// cleanMap serves the one map there is, of strings to strings. A key that is not clean is dropped: no real one is.
func cleanMap(m protoreflect.Map) {
	m.Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
		if key := k.String(); telemetry.Clean(key, telemetry.MaxEnvValueBytes) != key {
			m.Clear(k)
			return true
		}
		m.Set(k, protoreflect.ValueOfString(telemetry.Clean(v.String(), telemetry.MaxEnvValueBytes)))
		return true
	})
}
