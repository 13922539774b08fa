package recording

import (
	"context"
	"math"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"testing"
	"time"

	"foretop/fleet"
	"foretop/simfleet"

	"golang.org/x/sys/unix"
)

// BenchmarkRecord records 64 nodes of 8 GPUs at 1 Hz into memory and a file: what it costs, as a share of a core, and bytes a day. A whole number of minutes tells most: a keyframe each.
func BenchmarkRecord(b *testing.B) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	path := filepath.Join(b.TempDir(), "a.foretop")
	w, err := Create(path, About{}, nil)
	if err != nil {
		b.Fatal(err)
	}
	s := newSim(b, 64, 1, simfleet.Demo(), Options{Write: w.Write, Found: w.Found})
	spent := new(time.Duration)
	s.fleet = fleet.New(s.options(&meter{s.rec, spent}))
	for _, n := range s.nodes {
		s.fleet.Add(n.Name())
	}
	for range 20 {
		s.step()
	}
	s.rec.Flush()
	*spent = 0
	before, began := stored64(s.rec), s.at
	b.ResetTimer()
	for range b.N {
		s.step()
	}
	b.StopTimer()
	s.rec.Flush()
	grown := float64(stored64(s.rec) - before)
	if err := w.Close(); err != nil {
		b.Fatal(err)
	}
	seconds := (s.at - began).Seconds()
	b.ReportMetric(100*spent.Seconds()/seconds, "%core")
	b.ReportMetric(grown/seconds*86400/1e9, "GB/day")
	b.ReportMetric(grown/seconds/64, "B/s/node")
	b.ReportMetric(0, "ns/op")
}

// process is the processor time of this process.
func process() time.Duration {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		panic("no account of this process")
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// seeks are how long each of many took.
type seeks struct{ wall, cpu []time.Duration }

func (m *seeks) time(do func()) {
	began, spent := time.Now(), process()
	do()
	m.wall, m.cpu = append(m.wall, time.Since(began)), append(m.cpu, process()-spent)
}

func (m *seeks) report(b *testing.B) {
	for unit, list := range map[string][]time.Duration{"wall-ms": m.wall, "cpu-ms": m.cpu} {
		slices.Sort(list)
		total := time.Duration(0)
		for _, d := range list {
			total += d
		}
		ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
		b.ReportMetric(ms(total)/float64(len(list)), unit)
		b.ReportMetric(ms(list[len(list)*99/100]), "p99-"+unit)
		b.ReportMetric(ms(list[len(list)-1]), "max-"+unit)
	}
	b.ReportMetric(0, "ns/op")
}

// BenchmarkSeek shows moments of a recording of 64 nodes of 8 GPUs, with the collector set as foretop replay sets it: any, none near the one before; any, from the file anew; the next
// second, as when it is played; and the numbers of the quarter of an hour before one, as a page's charts need them. cpu-ms is processor time of all of the process; wall-ms needs a
// machine that does nothing else. -benchtime=500x says how many.
func BenchmarkSeek(b *testing.B) {
	defer debug.SetGCPercent(debug.SetGCPercent(300))
	const seconds = 305
	path, _ := recordFile(b, 64, seconds, 1)
	f, err := Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	last := noon.Add(seconds * time.Second)
	rng := rand.New(rand.NewPCG(1, 2))
	anywhere := func() time.Time {
		return noon.Add(time.Second + time.Duration(rng.Int64N(int64((seconds-1)*time.Second))))
	}
	b.Run("anywhere", func(b *testing.B) {
		p := f.Past(replay())
		var m seeks
		for range b.N {
			if p.player != nil {
				p.player.now = math.MaxInt64 // it is too far to go on
			}
			at := anywhere()
			m.time(func() {
				if _, err := p.At(context.Background(), at); err != nil {
					b.Fatal(err)
				}
			})
		}
		m.report(b)
	})
	b.Run("first", func(b *testing.B) {
		var m seeks
		for range b.N {
			p, at := f.Past(replay()), anywhere()
			m.time(func() {
				if _, err := p.At(context.Background(), at); err != nil {
					b.Fatal(err)
				}
			})
		}
		m.report(b)
	})
	b.Run("next", func(b *testing.B) {
		p := f.Past(replay())
		at, total := 1, time.Duration(0)
		for range b.N {
			if at++; at >= seconds {
				p, at = f.Past(replay()), 1
			}
			began := process()
			if _, err := p.At(context.Background(), noon.Add(time.Duration(at)*time.Second)); err != nil {
				b.Fatal(err)
			}
			total += process() - began
		}
		b.ReportMetric(float64(total.Microseconds())/1000/float64(b.N), "cpu-ms")
	})
	b.Run("history", func(b *testing.B) {
		total := time.Duration(0)
		for range b.N {
			p := f.Past(replay())
			began := process()
			if got := p.History(last, fleet.Query{Node: "gpu001", GPU: 0, Span: 15 * time.Minute, Points: 300}); len(got) != 300 {
				b.Fatal(len(got))
			}
			total += process() - began
			p.Close()
		}
		b.ReportMetric(float64(total.Microseconds())/1000/float64(b.N)*900/float64(seconds), "cpu-ms/15min")
	})
}
