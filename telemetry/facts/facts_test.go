package facts

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"foretop/telemetry"
	"foretop/telemetry/facts/protofacts"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

func TestDecodeGivesWhatWasEncoded(t *testing.T) {
	for _, want := range []Message{bigHello(), bigInventory(), bigProcesses(), &Control{What: &Control_Level{&SetLevel{Detail: true}}}, &Control{}} {
		b, err := Encode(want)
		if err != nil {
			t.Fatal(err)
		}
		got := fresh(want)
		if err := Decode(b, got); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
	}
}

func TestDecodeForgetsWhatWasThere(t *testing.T) {
	m := &Hello{Hostname: "gpu017", Pid: 7}
	if err := Decode(nil, m); err != nil || *m != (Hello{}) {
		t.Errorf("%+v, %v", m, err)
	}
}

// As protobuf takes it: a list with a nil in it holds an empty message, and so does a oneof of nil.
func TestEncodeTakesNil(t *testing.T) {
	for _, m := range []Message{&Processes{Set: []*Process{nil}}, &Control{What: &Control_Whole{}}, (*Hello)(nil)} {
		b, err := Encode(m)
		if err != nil || len(b) > 2 {
			t.Errorf("% x, %v", b, err)
		}
	}
}

func TestStringsAreCleanedOnBothSides(t *testing.T) {
	evil, want := "a\x1b[2Jb\u202ec", "a\ufffd[2Jb\ufffdc"
	raw, err := proto.Marshal(&protofacts.Processes{Set: []*protofacts.Process{{Comm: evil, Env: map[string]string{"RANK": evil, evil: "x"}}}})
	if err != nil {
		t.Fatal(err)
	}
	got := new(Processes)
	if err := Decode(raw, got); err != nil {
		t.Fatal(err)
	}
	if p := got.Set[0]; p.Comm != want || p.Env["RANK"] != want || len(p.Env) != 1 {
		t.Fatalf("comm %q, environment %q", p.Comm, p.Env)
	}
	said := &Process{User: "broken \xff name", Comm: evil, Command: strings.Repeat("x", 2*maxString), Env: map[string]string{"RANK": evil, evil: "x"}}
	raw, err = Encode(&Processes{Set: []*Process{said}})
	if err != nil {
		t.Fatalf("a broken name costs the message: %v", err)
	}
	if said.Comm != want || said.Env["RANK"] != want || len(said.Env) != 1 || len(said.Command) > maxString {
		t.Errorf("comm %q, environment %q, %d bytes of command", said.Comm, said.Env, len(said.Command))
	}
	if err := proto.Unmarshal(raw, new(protofacts.Processes)); err != nil {
		t.Error(err)
	}
}

// body is a field that has a length.
func body(n protowire.Number, b []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, n, protowire.BytesType), b)
}

func nested(n protowire.Number, times int) (b []byte) {
	for range times {
		b = body(n, b)
	}
	return b
}

// broken are payloads of Processes that Decode refuses, and with which words.
var broken = map[string][]byte{
	"Processes: too many fields":             []byte(strings.Repeat("\x08\x01", maxFields+1)),
	"Processes: more than its bytes warrant": []byte(strings.Repeat("\x12\x00", maxFields/2)), // empty processes
	"Process: more than its bytes warrant":   []byte(strings.Repeat("\x12\x02\x5a\x00", maxFields/4)),
	"Process: text that is not UTF-8":        body(2, body(8, []byte("\xff\xfe"))),
	"Processes: field cut short":             {0x12, 0x50, 1},
	"Process: field cut short":               body(2, body(4, []byte{1, 0x80})),
	"Process: list too long":                 body(2, body(4, make([]byte, maxElements+1))),
	"Processes: nested too deep":             []byte(strings.Repeat("\x7b", 100) + strings.Repeat("\x7c", 100)), // groups
}

func TestDecodeRefuses(t *testing.T) {
	refused := func(want string, b []byte, m Message) {
		t.Helper()
		var bad *telemetry.Malformed
		if err := Decode(b, m); !errors.As(err, &bad) || !strings.Contains(bad.What, want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	for want, b := range broken {
		_, want, _ = strings.Cut(want, ": ")
		refused(want, b, new(Processes))
	}
	for name, b := range map[string][]byte{
		"tag of ten bytes and more": {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1},
		"field 0":                   {0x00, 0x01}, "field 2^29": {0x80, 0x80, 0x80, 0x80, 0x10, 0x01}, "wire type 6": {0x0e, 1}, "wire type 7": {0x0f, 1},
		"end of no group": {0x0c}, "end of another group": {0x7b, 0x74}, "group without end": {0x7b, 0x08, 0x01}, "four bytes": {0x7d, 1, 2, 3},
		"eight bytes": {0x79, 1, 2, 3, 4, 5, 6, 7}, "length beyond int": {0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1},
		"broken entry": body(2, body(11, []byte{0x0a, 9})), "end in an entry": body(2, body(11, []byte{0x0c})),
	} {
		t.Run(name, func(*testing.T) { refused(cutShort, b, new(Processes)) })
	}
	for what, b := range map[string][]byte{"an entry's key": body(1, []byte{0xff}), "an entry's value": body(2, []byte{0xff})} {
		t.Run(what, func(*testing.T) { refused(notUTF8, body(2, body(11, b)), new(Processes)) })
	}
}

// No message is nested deeper than the bound, but a new one may be.
func TestDepth(t *testing.T) {
	d := decoder{fields: maxFields, memory: memoryFloor}
	if wrong := d.message(nested(2, 1), new(Processes), 1); wrong != "Process: nested too deep" {
		t.Errorf("%q", wrong)
	}
	if wrong := d.message(body(11, nil), new(Process), 1); wrong != "Process: nested too deep" {
		t.Errorf("%q", wrong)
	}
}

// TestHostileFrameCosts bounds what the worst frames of each length make of their bytes, refused or not.
func TestHostileFrameCosts(t *testing.T) {
	entry := func(i int) string { return string(body(11, []byte(fmt.Sprintf("\x0a\x02%02x", i%256)))) }
	for name, unit := range map[string]func(i int) string{
		"empty processes":     func(int) string { return "\x12\x00" },
		"processes with maps": func(int) string { return string(body(2, []byte("\x5a\x00"))) },
		"maps of short keys":  func(i int) string { return string(body(2, []byte(entry(i)+entry(i+1)+entry(i+2)+entry(i+3)))) },
		"packed numbers":      func(int) string { return string(body(2, body(4, make([]byte, maxElements)))) },
		"short texts":         func(i int) string { return string(body(2, []byte(fmt.Sprintf("\x42\x03%03x", i)))) },
		"unclean texts":       func(int) string { return string(body(2, body(9, []byte(strings.Repeat("\x01", maxString+1))))) },
		"real processes":      func(i int) string { return string(body(2, encoded(t, bigProcesses().Set[i%100]))) },
	} {
		for _, size := range []int{256, 16 << 10, telemetry.MaxFrameBytes} {
			t.Run(fmt.Sprint(name, "/", size), func(t *testing.T) {
				var frame []byte
				for i := 0; len(frame) < size; i++ {
					frame = append(frame, unit(i)...)
				}
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				m := new(Processes)
				err := Decode(frame, m)
				runtime.ReadMemStats(&after)
				runtime.KeepAlive(m)
				if got, most := int(after.TotalAlloc-before.TotalAlloc), 2*memoryFloor+(memoryRatio+4)*len(frame); got > most {
					t.Errorf("a frame of %d bytes took %d of memory, more than %d (%v)", len(frame), got, most, err)
				}
				if name == "real processes" && len(frame) < 64<<10 && err != nil {
					t.Error(err)
				}
			})
		}
	}
}

func encoded(t testing.TB, m Message) []byte {
	t.Helper()
	b, err := Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
