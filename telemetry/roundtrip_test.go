package telemetry

import (
	"math/rand/v2"
	"testing"
)

// fill makes a state of a big node: 8 GPUs, 9 ports, 192 cores.
func bigState() *State {
	var s State
	s.Resize(ScopeNode, 1)
	s.Resize(ScopeGroup, int(NumGroups))
	s.Resize(ScopeSource, 12)
	s.Resize(ScopeGPU, 8)
	s.Resize(ScopePort, 9)
	s.Resize(ScopeHWCounter, 300)
	s.Resize(ScopeNet, 4)
	s.Resize(ScopeDisk, 4)
	s.Resize(ScopeFS, 3)
	s.Resize(ScopeCore, 192)
	return &s
}

// scramble changes readings at random, absences included.
func scramble(s *State, r *rand.Rand, share float64) {
	for _, d := range Defs() {
		for i := range s.Count(d.ID.Scope()) {
			if r.Float64() > share {
				continue
			}
			switch r.IntN(12) {
			case 0:
				s.Clear(d.ID, i)
			case 1:
				s.Set(d.ID, i, -r.Int64N(1<<40))
			default:
				s.Set(d.ID, i, r.Int64N(1<<50))
			}
		}
	}
}

func quantised(d Def, v int64) int64 {
	if v == Absent {
		return Absent
	}
	return floorDiv(v, d.Quantum) * d.Quantum
}

func compare(t *testing.T, sent, got *State, level Level) {
	t.Helper()
	for _, d := range Defs() {
		for i := range sent.Count(d.ID.Scope()) {
			want := quantised(d, sent.Get(d.ID, i))
			if d.Level > level {
				want = Absent
			}
			if have := got.Get(d.ID, i); have != want {
				t.Fatalf("%s[%d] = %d, want %d", d.Name, i, have, want)
			}
		}
	}
}

func TestSampleRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	s := bigState()
	var enc Encoder
	var dec Decoder
	for step := range 200 {
		level := Base
		if step/20%2 == 1 {
			level = Detail
		}
		scramble(s, r, []float64{0.01, 0.3, 1}[step%3])
		if step == 100 {
			s.Resize(ScopeGPU, 7)
		}
		payload := enc.Encode(nil, s, uint64(step/50), int64(1000*step), level, step%60 == 59)
		got, needWhole, err := dec.Apply(payload)
		if err != nil || needWhole {
			t.Fatalf("step %d: needWhole %v, %v", step, needWhole, err)
		}
		if got.MonoMS != int64(1000*step) {
			t.Fatalf("step %d: time %d", step, got.MonoMS)
		}
		compare(t, s, dec.State(), level)
	}
}

// TestCopiesOfDecodedStatesAreInUnits: a decoder holds quanta; whoever takes a copy, or a column, gets readings.
func TestCopiesOfDecodedStatesAreInUnits(t *testing.T) {
	s := bigState()
	s.Set(GPUMemUsedBytes, 2, 71<<30)
	s.Set(PortRcvDataBytes, 8, 64<<20)
	var enc Encoder
	var dec Decoder
	if _, _, err := dec.Apply(enc.Encode(nil, s, 1, 1000, Base, true)); err != nil {
		t.Fatal(err)
	}
	var whole, scope State
	whole.CopyFrom(dec.State())
	scope.CopyScope(ScopeGPU, dec.State())
	compare(t, s, &whole, Base)
	if got := scope.Get(GPUMemUsedBytes, 2); got != 71<<30 || scope.Get(GPUMemUsedBytes, 1) != Absent || scope.Count(ScopePort) != 0 {
		t.Fatalf("scope: %d", got)
	}
	if got := dec.State().Column(GPUMemUsedBytes); got[2] != 71<<30 || got[1] != Absent {
		t.Fatalf("column: %v", got)
	}
}
