package facts

import (
	"errors"
	"runtime"
	"strings"
	"testing"
	"unicode/utf8"

	"foretop/telemetry"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
)

func TestDecodeGivesWhatWasEncoded(t *testing.T) {
	want := &Processes{Whole: true, Set: []*Process{{
		Pid: 41235, StartTicks: 99, NsPids: []int32{41235, 7}, User: "ann", Command: "python train.py",
		Env: map[string]string{"RANK": "128", "WORLD_SIZE": "256"}, Held: []*Held{{Gpu: 3, MemoryBytes: 71 << 30, MemoryKnown: true}},
	}}}
	b, err := Encode(want)
	if err != nil {
		t.Fatal(err)
	}
	got := new(Processes)
	if err := Decode(b, got); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got, protocmp.Transform()); d != "" {
		t.Fatal(d)
	}
}

func TestStringsAreCleanedOnBothSides(t *testing.T) {
	evil := "a\x1b[2Jb\u202ec"
	raw, err := proto.Marshal(&Processes{Set: []*Process{{Comm: evil, Env: map[string]string{"RANK": evil, evil: "x"}}}})
	if err != nil {
		t.Fatal(err)
	}
	got := new(Processes)
	if err := Decode(raw, got); err != nil {
		t.Fatal(err)
	}
	p := got.Set[0]
	if want := "a\ufffd[2Jb\ufffdc"; p.Comm != want || p.Env["RANK"] != want || len(p.Env) != 1 {
		t.Fatalf("comm %q, environment %q", p.Comm, p.Env)
	}
	if _, err := Encode(&Hello{Hostname: "broken \xff name"}); err != nil {
		t.Fatalf("a broken name costs the message: %v", err)
	}
}

func TestDecodeRefuses(t *testing.T) {
	many := strings.Repeat("\x12\x00", maxFields+1) // empty processes
	deep := []byte{}
	for range 8 {
		deep = protowire.AppendBytes(protowire.AppendTag(nil, 2, protowire.BytesType), deep)
	}
	text := protowire.AppendString(protowire.AppendTag(nil, 8, protowire.BytesType), "\xff\xfe")
	for name, b := range map[string][]byte{
		"too many fields": []byte(many),
		"broken UTF-8":    protowire.AppendBytes(protowire.AppendTag(nil, 2, protowire.BytesType), text),
		"cut short":       {0x12, 0x50, 1},
		"bad tag":         {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1},
		"packed numbers": protowire.AppendBytes(protowire.AppendTag(nil, 2, protowire.BytesType),
			protowire.AppendBytes(protowire.AppendTag(nil, 4, protowire.BytesType), make([]byte, maxElements+1))),
	} {
		var bad *telemetry.Malformed
		if err := Decode(b, new(Processes)); !errors.As(err, &bad) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := Decode(deep, new(Processes)); err != nil {
		var bad *telemetry.Malformed
		if !errors.As(err, &bad) {
			t.Errorf("deep: %v", err)
		}
	}
}

// TestHostileFrameCosts bounds what the worst frame that passes makes of its bytes.
func TestHostileFrameCosts(t *testing.T) {
	frame := []byte(strings.Repeat("\x12\x00", maxFields-1))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	m := new(Processes)
	if err := Decode(frame, m); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	runtime.KeepAlive(m)
	if got := after.TotalAlloc - before.TotalAlloc; got > 8<<20 {
		t.Fatalf("a frame of %d bytes took %d bytes of memory", len(frame), got)
	}
}

func FuzzDecode(f *testing.F) {
	for _, m := range []proto.Message{
		&Hello{Hostname: "gpu017", BootId: "x"}, &Inventory{Gpus: []*GPU{{Uuid: "GPU-1"}}, Cpu: &CPU{Threads: 192}},
		&KernelLog{Records: []*KernelRecord{{Text: "NVRM: Xid"}}}, &Processes{Set: []*Process{{Env: map[string]string{"RANK": "1"}}}},
	} {
		b, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, m := range []proto.Message{new(Hello), new(Inventory), new(Processes), new(Usage), new(KernelLog), new(SourceNotes), new(Control)} {
			if Decode(b, m) != nil {
				continue
			}
			if p, ok := m.(*Processes); ok {
				for _, s := range p.Set {
					if !utf8.ValidString(s.Comm) || telemetry.Clean(s.Comm, maxString) != s.Comm && !strings.ContainsRune(s.Comm, utf8.RuneError) {
						t.Fatalf("comm %q", s.Comm)
					}
				}
			}
		}
	})
}
