package recording

import (
	"context"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"foretop/fleet"
	"foretop/simfleet"
)

// BenchmarkRecord records 64 nodes of 8 GPUs at 1 Hz: what it costs beside the fleet's own work is the difference to a fleet that nobody records, as a share of a core; and bytes a day.
func BenchmarkRecord(b *testing.B) {
	path := filepath.Join(b.TempDir(), "a.foretop")
	w, err := Create(path, About{}, nil)
	if err != nil {
		b.Fatal(err)
	}
	s := newSim(b, 64, 1, simfleet.Demo(), Options{Write: w.Write, Found: w.Found})
	s.spent = new(time.Duration)
	s.fleet = fleet.New(s.options(&meter{s.rec, s.spent}))
	for _, n := range s.nodes {
		s.fleet.Add(n.Name())
	}
	for range 20 {
		s.step()
	}
	*s.spent = 0
	before, began := w.Bytes(), s.at
	b.ResetTimer()
	for range b.N {
		s.step()
	}
	b.StopTimer()
	s.rec.Flush()
	if err := w.Close(); err != nil {
		b.Fatal(err)
	}
	seconds := (s.at - began).Seconds()
	perDay := float64(w.Bytes()-before) / seconds * 86400
	b.ReportMetric(100*s.spent.Seconds()/seconds, "%core")
	b.ReportMetric(perDay/1e9, "GB/day")
	b.ReportMetric(float64(w.Bytes()-before)/seconds/64, "B/s/node")
	b.ReportMetric(float64(s.rec.bytes)/1e6, "MB-in-memory")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkSeek shows any moment of a recording of 64 nodes of 8 GPUs, each from the file anew.
func BenchmarkSeek(b *testing.B) {
	path, shown := recordFile(b, 64, 300, 1)
	f, err := Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	rng := rand.New(rand.NewPCG(1, 2))
	worst := time.Duration(0)
	b.ResetTimer()
	for range b.N {
		at := noon.Add(time.Duration(1+rng.IntN(len(shown)-1))*time.Second + time.Duration(rng.IntN(1000))*time.Millisecond)
		p := f.Past(replay())
		began := time.Now()
		if _, err := p.At(context.Background(), at); err != nil {
			b.Fatal(err)
		}
		worst = max(worst, time.Since(began))
	}
	b.ReportMetric(float64(worst.Microseconds())/1000, "ms-worst")
}

// BenchmarkStep shows the next second, as a recording that is played does.
func BenchmarkStep(b *testing.B) {
	path, shown := recordFile(b, 64, 240, 1)
	f, err := Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	p := f.Past(replay())
	at := 1
	b.ResetTimer()
	for range b.N {
		if at++; at >= len(shown) {
			p, at = f.Past(replay()), 1
		}
		if _, err := p.At(context.Background(), noon.Add(time.Duration(at)*time.Second)); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkHistory fills the charts of a page that is opened at some moment: a quarter of an hour of all nodes.
func BenchmarkHistory(b *testing.B) {
	path, shown := recordFile(b, 64, 240, 1)
	f, err := Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	b.ResetTimer()
	for range b.N {
		p := f.Past(replay())
		if got := p.History(noon.Add(time.Duration(len(shown))*time.Second), fleet.Query{Node: "gpu001", GPU: 0, Span: 15 * time.Minute, Points: 300}); len(got) != 300 {
			b.Fatal(len(got))
		}
		p.Close()
	}
}
