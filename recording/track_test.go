package recording

import (
	"math/rand/v2"
	"testing"

	"foretop/telemetry"
)

// What is written is read as it was: readings and totals to the last digit, rates within 0.8 %, whatever the samples are like: whole, of other sizes, with readings that come and go, counters that begin anew, and keyframes between.
func TestSamplesComeBack(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	var enc telemetry.Encoder
	var sent, got telemetry.Decoder
	var st telemetry.State
	var w, r track
	s := newStreams(0)
	x := scratch{}
	sizes := func(gpus int) {
		for sc, n := range map[telemetry.Scope]int{telemetry.ScopeNode: 1, telemetry.ScopeGroup: int(telemetry.NumGroups), telemetry.ScopeGPU: gpus, telemetry.ScopePort: 9, telemetry.ScopeNet: 2} {
			st.Resize(sc, n)
		}
	}
	sizes(8)
	ms, generation := int64(50_000), uint64(1)
	was := map[telemetry.Metric][]int64{}
	for step := range 400 {
		ms += 900 + rng.Int64N(200)
		anew := rng.IntN(60)
		switch anew {
		case 0:
			generation++
		case 1:
			sizes(1 + rng.IntN(8))
		case 2:
			ms, enc = 100, telemetry.Encoder{} // it booted
		}
		for i := range telemetry.NumGroups {
			if i < 3 || rng.IntN(10) == 0 {
				st.Set(telemetry.ReadMS, int(i), ms-rng.Int64N(5))
			}
		}
		for _, d := range defs {
			if d.ID == telemetry.ReadMS || rng.IntN(3) > 0 {
				continue
			}
			for j := range st.Count(d.ID.Scope()) {
				switch v := st.Get(d.ID, j); {
				case rng.IntN(50) == 0:
					st.Clear(d.ID, j)
				case rng.IntN(90) == 0:
					st.Set(d.ID, j, 0)
				case v == telemetry.Absent:
					st.Set(d.ID, j, rng.Int64N(1<<40))
				case d.Kind == telemetry.Counter:
					st.Set(d.ID, j, v+rng.Int64N(1<<rng.IntN(38)))
				default:
					st.Set(d.ID, j, v+rng.Int64N(2001)-1000)
				}
			}
		}
		payload := enc.Encode(nil, &st, generation, ms, telemetry.Detail, rng.IntN(20) == 0)
		if _, whole, err := sent.Apply(payload); err != nil || whole {
			t.Fatalf("step %d: %v, %t", step, err, whole)
		}
		w.write(s, &x, &sent)
		keyed := rng.IntN(15) == 0
		if keyed {
			w.keyframe(s, &x)
		}
		src := sourceOf(t, s)
		s = newStreams(0)
		sample, err := r.read(src)
		if err != nil {
			t.Fatalf("step %d: %v", step, err)
		}
		if _, whole, err := got.Apply(sample); err != nil || whole {
			t.Fatalf("step %d: %v, %t", step, err, whole)
		}
		if keyed { // somebody begins here
			r, got = track{}, telemetry.Decoder{}
			if sample, err = r.read(src); err != nil {
				t.Fatalf("step %d: keyframe: %v", step, err)
			}
			if _, whole, err := got.Apply(sample); err != nil || whole {
				t.Fatalf("step %d: keyframe: %v, %t", step, err, whole)
			}
		}
		if a, b := sent.Last(), got.Last(); a.MonoMS != b.MonoMS || a.Generation != b.Generation {
			t.Fatalf("step %d: %+v, want %+v", step, b, a)
		}
		for i, d := range defs {
			a, b := sent.Held(d.ID), got.Held(d.ID)
			for j := range st.Count(d.ID.Scope()) {
				x, y := at(a, j), at(b, j)
				if (x == telemetry.Absent) != (y == telemetry.Absent) || !rated[i] && x != y {
					t.Fatalf("step %d: %s of %d: %d, want %d", step, d.Name, j, y, x)
				}
			}
			if rated[i] && len(was[d.ID]) == 2*len(a) && len(a) > 0 && anew > 2 {
				for j := range a {
					before, recorded := was[d.ID][j], was[d.ID][len(a)+j]
					if before == telemetry.Absent || a[j] == telemetry.Absent || a[j] < before {
						continue
					}
					change, got := float64(a[j]-before), float64(b[j]-recorded)
					if got > change*1.008 || got < change*0.992 {
						t.Fatalf("step %d: %s of %d grew by %v, want %v", step, d.Name, j, got, change)
					}
				}
			}
			was[d.ID] = append(append([]int64{}, a...), b...)
		}
	}
}

func at(c []int64, j int) int64 {
	if c == nil {
		return telemetry.Absent
	}
	return c[j]
}

func sourceOf(t *testing.T, s *streams) *source {
	b := s.seal(blockData, 0, 0)
	src, err := open(b.head, b.data, new([]byte))
	if err != nil {
		t.Fatal(err)
	}
	return src
}

func TestCodes(t *testing.T) {
	last := int64(-1)
	for _, v := range []int64{0, 1, 127, 128, 129, 130, 255, 256, 257, 1000, 65_535, 65_536, 1 << 40, 1<<62 + 12345, 1<<63 - 1} {
		code := codeOf(v)
		back, ok := changeOf(code)
		if !ok || code < last || float64(back) > float64(v)*1.008 || float64(back) < float64(v)*0.992 {
			t.Errorf("%d has code %d, which is %d, %t", v, code, back, ok)
		}
		last = code
	}
	if _, ok := changeOf(1 << 40); ok {
		t.Error("a code of nothing")
	}
}
