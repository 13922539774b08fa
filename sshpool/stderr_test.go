package sshpool

import (
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"foretop/telemetry"
)

// flood writes on stderr until the connection ends, and counts.
func flood(r *request, sent chan<- int) {
	total, words := 0, []byte(strings.Repeat("woe is me\n", 3000))
	for {
		n, err := r.Stderr().Write(words)
		total += n
		if err != nil {
			sent <- total
			return
		}
	}
}

func TestEndlessErrors(t *testing.T) {
	for name, start := range map[string]bool{"before the stream": false, "in the stream": true} {
		t.Run(name, func(t *testing.T) {
			key := newSigner(t)
			sent := make(chan int, 1)
			s := newServer(t, func(r *request) {
				if nonce, _ := telemetry.NonceIn(r.command); start {
					_, _ = io.WriteString(r, telemetry.StreamLine(nonce))
				}
				flood(r, sent)
			}, key.PublicKey())
			p, rec := newTestPool(t, Config{})
			p.Add(Target{Name: "n", Resolved: s.resolved(key)})
			check(t, rec, Misbehaving, "1 MiB of error messages; they begin: woe is me", "compromised")
			if n := <-sent; n > 4<<20 { // what was asked for, and what fits in a channel's window and the sockets
				t.Errorf("took %d bytes", n)
			}
		})
	}
}

// slowly gives so many bytes a read, a second apart.
type slowly struct{ bytes, reads int }

func (s *slowly) Read(b []byte) (int, error) {
	if s.reads--; s.reads < 0 {
		return 0, io.EOF
	}
	time.Sleep(time.Second)
	return min(s.bytes, len(b)), nil
}

func TestErrorsOverAMonthAreNoFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			what  string
			r     io.Reader
			flood bool
		}{
			{"8 kB a second, for hours", &slowly{8 << 10, 10_000}, false},
			{"a MiB at once", strings.NewReader(strings.Repeat("x", 1<<20)), false},
			{"long silence is no right to more", io.MultiReader(&slowly{1, 10_000}, strings.NewReader(strings.Repeat("x", 1<<20+1))), true},
		} {
			tl, stopped := newTail(), false
			tl.drain(c.r, func() { stopped = true })
			if tl.flooded.Load() != c.flood || stopped != c.flood {
				t.Errorf("%s: flooded %v, stopped %v", c.what, tl.flooded.Load(), stopped)
			}
		}
	})
}
