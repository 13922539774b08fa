package recording

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"foretop/simfleet"
	"foretop/telemetry"
)

func TestKeptWords(t *testing.T) {
	for _, c := range []struct {
		is      time.Duration
		nodes   int
		crowded bool
		want    string
	}{
		{20 * time.Second, 64, false, "up to 15 min at full rate"},
		{15 * time.Minute, 1000, false, "up to 15 min at full rate"},
		{609 * time.Second, 1200, true, "10 min at full rate: of 1200 nodes no more fits in 160 MiB"},
		{9*time.Minute + 20*time.Second, 2000, true, "9 min 20 s at a sample each 2 s: of 2000 nodes no more fits in 160 MiB"},
		{15 * time.Minute, 2000, false, "up to 15 min at a sample each 2 s"},
	} {
		if got := keptWords(DefaultKeep, c.is, c.nodes, DefaultBudget, c.crowded); got != c.want {
			t.Errorf("%v of %d nodes: %q, want %q", c.is, c.nodes, got, c.want)
		}
	}
}

// What is kept where the budget is less than the time takes is what the words say: there to be seen from its beginning on, nothing before it, and no more bytes than were allowed.
func TestBudgetDecidesWhatIsKept(t *testing.T) {
	t.Parallel()
	const budget = 200 << 10
	s := newSim(t, 12, 1, simfleet.Demo(), Options{Budget: budget})
	for range 150 {
		s.step()
	}
	p := s.rec.Past(s.fleet, replay())
	from, to, kept, ok := p.Span()
	if span := to.Sub(from); !ok || span < 10*time.Second || span >= 150*time.Second || !strings.HasPrefix(kept, words(span)+" at full rate: of 12 nodes no more fits") {
		t.Fatalf("%v are kept, and it says %q", span, kept)
	}
	if got := stored64(s.rec); got > budget {
		t.Errorf("%d bytes are kept", got)
	}
	if snap, err := p.At(context.Background(), from); err != nil || !snap.At.Equal(from) || len(snap.Nodes) != 12 {
		t.Errorf("its beginning: %v", err)
	}
	var nothing *NothingError
	if _, err := p.At(context.Background(), from.Add(-time.Second)); !errors.As(err, &nothing) {
		t.Errorf("before its beginning: %v", err)
	}
}

// stored64 is how many bytes were closed so far.
func stored64(r *Recorder) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.bytes
}

// A node that began a new stream just before a segment, and has told nothing of it yet, is gone on with.
func TestNewStreamBeforeASegment(t *testing.T) {
	t.Parallel()
	s := newSim(t, 3, 1, simfleet.Healthy(), Options{})
	for range int(segmentLength/time.Second) - 1 {
		s.step()
	}
	n := s.nodes[0]
	n.enc = telemetry.Encoder{}
	s.say(n, telemetry.KindHello, n.Hello(s.at), s.at)
	s.at += time.Second
	s.fleet.Publish() // a segment begins
	for range 5 {
		s.step()
	}
	last := s.step()
	p := s.rec.Past(s.fleet, replay())
	for _, at := range []time.Time{last.At.Add(-10 * time.Second), last.At} {
		got, err := p.At(context.Background(), at)
		if err != nil {
			t.Fatal(err)
		}
		if d := unlike(last, got); d != "" && at.Equal(last.At) {
			t.Error(d)
		}
	}
}
