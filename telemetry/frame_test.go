package telemetry

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
)

func TestFramesRoundTrip(t *testing.T) {
	var wire bytes.Buffer
	w := NewFrameWriter(&wire, MaxFrameBytes)
	payloads := []string{"", "a", strings.Repeat("x", 2047), strings.Repeat("y", 2048), strings.Repeat("z", MaxFrameBytes-1), "end"}
	for i, p := range payloads {
		if _, err := w.Write(Kind(i+1), []byte(p)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Write(KindSample, make([]byte, MaxFrameBytes)); !errors.Is(err, ErrFrameTooLarge) {
		t.Fatalf("a frame over the bound: %v", err)
	}
	for name, r := range map[string]io.Reader{"whole": bytes.NewReader(wire.Bytes()), "byte by byte": iotest.OneByteReader(bytes.NewReader(wire.Bytes()))} {
		frames := NewFrameReader(r, MaxFrameBytes)
		for i, p := range payloads {
			k, got, err := frames.Read()
			if err != nil || k != Kind(i+1) || string(got) != p {
				t.Fatalf("%s, frame %d: kind %d, %d bytes, %v", name, i, k, len(got), err)
			}
		}
		if _, _, err := frames.Read(); err != io.EOF {
			t.Fatalf("%s: at the end %v", name, err)
		}
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestBrokenFrames(t *testing.T) {
	for name, c := range map[string]struct {
		r    io.Reader
		want error // nil: a *Malformed
	}{
		"4 GB":               {strings.NewReader("\xff\xff\xff\xff\x0f" + "data"), nil},
		"endless zeros":      {zeros{}, nil},
		"endless ones":       {strings.NewReader(strings.Repeat("\xff", 100)), nil},
		"cut in length":      {strings.NewReader("\x80"), io.ErrUnexpectedEOF},
		"cut in kind":        {strings.NewReader("\x02"), io.ErrUnexpectedEOF},
		"cut in data":        {strings.NewReader("\x05\x01ab"), io.ErrUnexpectedEOF},
		"cut in a large one": {strings.NewReader("\x80\x80\x08\x01" + strings.Repeat("a", 9000)), io.ErrUnexpectedEOF},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := NewFrameReader(c.r, MaxFrameBytes).Read()
			var bad *Malformed
			if c.want == nil && !errors.As(err, &bad) || c.want != nil && err != c.want {
				t.Fatalf("error %v", err)
			}
		})
	}
}

// TestLengthAloneCostsNothing: a node that promises large frames and sends nothing takes no memory.
func TestLengthAloneCostsNothing(t *testing.T) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 1000 {
		if _, _, err := NewFrameReader(strings.NewReader("\x80\x80\x10\x01"), MaxFrameBytes).Read(); err == nil {
			t.Fatal("no error")
		}
	}
	runtime.ReadMemStats(&after)
	if per := (after.TotalAlloc - before.TotalAlloc) / 1000; per > 40<<10 {
		t.Fatalf("%d bytes for a promise of 256 KiB", per)
	}
}

func FuzzFrameReader(f *testing.F) {
	f.Add([]byte("\x05\x01abcd\x01\x02"), 100)
	f.Add([]byte("\xff\xff\xff\xff\x0f"), MaxFrameBytes)
	f.Fuzz(func(t *testing.T, b []byte, limit int) {
		r := NewFrameReader(bytes.NewReader(b), limit)
		for {
			_, p, err := r.Read()
			if err != nil {
				return
			}
			if len(p)+1 > max(limit, 1) {
				t.Fatalf("a frame of %d bytes where %d are allowed", len(p)+1, limit)
			}
		}
	})
}

func TestNonceIn(t *testing.T) {
	for in, want := range map[string]string{
		"exec /bin/sh -c 'FORETOP_NONCE=0123456789abcdef;export FORETOP_NONCE'": "0123456789abcdef",
		"FORETOP_NONCE=0123456789abcdeX":                                        "",
		"FORETOP_NONCE=01234":                                                   "",
		"uptime":                                                                "",
	} {
		if got, ok := NonceIn(in); got != want || ok != (want != "") {
			t.Errorf("NonceIn(%q) = %q, %v", in, got, ok)
		}
	}
}
