package sshpool

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"foretop/telemetry"
)

func TestScanStart(t *testing.T) {
	nonce := "0123456789abcdef"
	line := telemetry.StreamLine(nonce)
	for _, c := range []struct {
		what, in          string
		kind, rest, notes string
		err               error
	}{
		{"clean", line + "frames", "stream", "frames", "", nil},
		{"noise before", "hello\nthere" + line + "\x00\x01", "stream", "\x00\x01", "hello\nthere", nil},
		{"another nonce first", "FORETOP-STREAM fedcba9876543210\n" + line, "stream", "", "FORETOP-STREAM fedcba9876543210\n", nil},
		{"need", "x" + telemetry.NeedPrefix(nonce) + "Linux x86_64 at=0\n", "need", "", "x", nil},
		{"fail", telemetry.FailPrefix(nonce) + "noexec\n", "fail", "", "", nil},
		{"a start cut off", line[:len(line)-2], "", "", line[:len(line)-2], io.EOF},
		{"nothing", "", "", "", "", io.EOF},
		{"a megabyte", strings.Repeat("x", 1<<20) + line + "f", "stream", "f", strings.Repeat("x", maxNotes), nil},
		{"too much", strings.Repeat("y", 2<<20) + line, "", "", strings.Repeat("y", maxNotes), errTooNoisy},
		{"endless line", telemetry.FailPrefix(nonce) + strings.Repeat("z", 1<<20), "", "", "", errTooNoisy},
	} {
		for _, reader := range []func(io.Reader) io.Reader{func(r io.Reader) io.Reader { return r }, iotest.OneByteReader, iotest.DataErrReader} {
			var in io.Reader = strings.NewReader(c.in)
			got, rest, notes, err := scanStart(reader(in), nonce)
			if !errors.Is(err, c.err) || got.kind != c.kind || notes != c.notes {
				t.Errorf("%s: %q notes %.20q err %v", c.what, got.kind, notes, err)
			}
			more, _ := io.ReadAll(in)
			if c.err == nil && string(rest)+string(more) != c.rest {
				t.Errorf("%s: rest %q + %q", c.what, rest, more)
			}
		}
	}
}

func FuzzScanStart(f *testing.F) {
	nonce := "0123456789abcdef"
	f.Add([]byte(telemetry.StreamLine(nonce)))
	f.Add([]byte("FORETOP-FORETOP-NEED 0123456789abcdef x\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		line, rest, notes, err := scanStart(bytes.NewReader(b), nonce)
		if len(notes) > maxNotes || len(rest) > len(b) {
			t.Errorf("notes %d, rest %d", len(notes), len(rest))
		}
		if err == nil && !bytes.Contains(b, []byte("FORETOP-")) {
			t.Errorf("found %+v in noise", line)
		}
	})
}

func TestTail(t *testing.T) {
	tl := newTail()
	go tl.drain(strings.NewReader("first"+strings.Repeat("x", 1<<20)+"last"), nil)
	got := tl.text(patience)
	if len(got) > tailFirst+tailLast || !strings.HasPrefix(got, "first") || !strings.HasSuffix(got, "last") {
		t.Errorf("%d bytes: %.10q…", len(got), got)
	}
}
