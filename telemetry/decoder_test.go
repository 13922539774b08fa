package telemetry

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"testing"
)

func TestDecoderNeedsWholeAfterGap(t *testing.T) {
	s := bigState()
	s.Set(GPUUtilPct, 3, 50)
	var enc Encoder
	var dec Decoder
	first := enc.Encode(nil, s, 1, 1000, Base, false)
	s.Set(GPUUtilPct, 3, 60)
	lost := enc.Encode(nil, s, 1, 2000, Base, false)
	s.Set(GPUUtilPct, 3, 70)
	third := enc.Encode(nil, s, 1, 3000, Base, false)
	whole := enc.Encode(nil, s, 1, 4000, Base, true)
	if _, need, err := dec.Apply(lost); err != nil || !need {
		t.Fatalf("a delta before any whole sample: needWhole %v, %v", need, err)
	}
	if _, need, err := dec.Apply(first); err != nil || need {
		t.Fatalf("the first: needWhole %v, %v", need, err)
	}
	if _, need, err := dec.Apply(third); err != nil || !need {
		t.Fatalf("after a gap: needWhole %v, %v", need, err)
	}
	if got := dec.State().Get(GPUUtilPct, 3); got != 50 {
		t.Fatalf("a delta with a gap was applied: %d", got)
	}
	if _, need, err := dec.Apply(whole); err != nil || need || dec.State().Get(GPUUtilPct, 3) != 70 {
		t.Fatalf("whole after gap: needWhole %v, %v, %d", need, err, dec.State().Get(GPUUtilPct, 3))
	}
}

func TestDecoderSkipsWhatItDoesNotKnow(t *testing.T) {
	s := bigState()
	s.Set(GPUTempC, 7, 66)
	var enc Encoder
	p := enc.Encode(nil, s, 1, 1000, Base, true)
	// A newer collector's scope 40, and an unknown metric 200 of the GPUs with two readings and an absence.
	p = append(p, 40, 3, 9, 9, 9)
	column := binary.AppendUvarint(nil, 200<<1)
	column = append(column, 0b101)
	column = binary.AppendVarint(column, 1<<40)
	column = binary.AppendVarint(column, -5)
	column = append(binary.AppendUvarint(column, 200<<1|1), 0b11)
	column = binary.AppendUvarint(column, GPUUtilPct.local()<<1)
	column = append(column, 0b1)
	column = binary.AppendVarint(column, 33)
	p = append(p, byte(ScopeGPU), byte(len(column)))
	p = append(p, column...)
	var dec Decoder
	if _, need, err := dec.Apply(p); need || err != nil {
		t.Fatalf("needWhole %v, %v", need, err)
	}
	if a, b := dec.State().Get(GPUTempC, 7), dec.State().Get(GPUUtilPct, 0); a != 66 || b != 33 {
		t.Fatalf("known readings around unknown ones: %d, %d", a, b)
	}
}

func TestDecoderRefusesBrokenSamples(t *testing.T) {
	whole := func(sizes ...uint64) []byte {
		p := []byte{flagWhole, 1, 1, 1}
		p = binary.AppendUvarint(p, uint64(len(sizes)/2))
		for _, v := range sizes {
			p = binary.AppendUvarint(p, v)
		}
		return p
	}
	gpus := whole(uint64(ScopeGPU), 8)
	for name, p := range map[string][]byte{
		"empty":                  {},
		"header cut":             {flagWhole, 1},
		"sizes cut":              whole(uint64(ScopeGPU)),
		"endless varint":         {flagWhole, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
		"too many scopes":        binary.AppendUvarint([]byte{flagWhole, 1, 1, 1}, 1<<40),
		"too many entities":      whole(uint64(ScopeGPU), 1<<30),
		"section beyond the end": append(gpus, byte(ScopeGPU), 200),
		"mask cut":               append(gpus, byte(ScopeGPU), 1, byte(GPUUtilPct.local()<<1)),
		"deltas cut":             append(gpus, byte(ScopeGPU), 2, byte(GPUUtilPct.local()<<1), 0xff),
		"entity beyond":          append(whole(uint64(ScopeGPU), 3), byte(ScopeGPU), 3, byte(GPUUtilPct.local()<<1), 0x80, 2),
		"scope without entities": append(gpus, byte(ScopePort), 2, byte(PortState.local()<<1), 2),
		"value out of range": append(append(gpus, byte(ScopeGPU), 12, byte(GPUMemUsedBytes.local()<<1), 1),
			binary.AppendVarint(nil, 1<<62)...),
		"time out of range": {flagWhole, 1, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			var dec Decoder
			_, need, err := dec.Apply(p)
			var bad *Malformed
			if !errors.As(err, &bad) || need {
				t.Fatalf("needWhole %v, error %v; want a *Malformed", need, err)
			}
			// What follows is refused until a whole sample comes.
			if _, need, _ := dec.Apply([]byte{0, 1, 2, 1}); !need {
				t.Fatal("a delta after a broken sample was applied")
			}
		})
	}
}

func FuzzDecoder(f *testing.F) {
	for _, s := range recorded(3) {
		var enc Encoder
		f.Add(enc.Encode(nil, s, 1, 1000, Detail, true), enc.Encode(nil, s, 1, 2000, Base, false))
	}
	f.Add([]byte{flagWhole, 1, 1, 1, 1, 3, 8}, []byte{0, 1, 1, 3, 2, 2, 0xff})
	f.Fuzz(func(t *testing.T, a, b []byte) {
		var dec Decoder
		var rates Rates
		for _, p := range [][]byte{a, b, b} {
			if _, need, err := dec.Apply(p); err == nil && !need {
				rates.Update(&dec)
			}
			for _, d := range Defs() {
				if n := dec.State().Count(d.ID.Scope()); n > MaxEntities(d.ID.Scope()) {
					t.Fatalf("%s has %d entities", d.Name, n)
				}
			}
		}
	})
}

// FuzzRoundTrip: whatever states follow one another, the other end sees them.
func FuzzRoundTrip(f *testing.F) {
	f.Add(uint64(1), uint8(3))
	f.Fuzz(func(t *testing.T, seed uint64, steps uint8) {
		r := rand.New(rand.NewPCG(seed, 1))
		var s State
		for sc := range NumScopes {
			s.Resize(sc, r.IntN(20))
		}
		var enc Encoder
		var dec Decoder
		for i := range int(steps % 16) {
			scramble(&s, r, r.Float64())
			level := Level(r.IntN(2))
			if _, need, err := dec.Apply(enc.Encode(nil, &s, 1, int64(i)*r.Int64N(5000), level, r.IntN(5) == 0)); err != nil || need {
				t.Fatalf("needWhole %v, %v", need, err)
			}
			compare(t, &s, dec.State(), level)
		}
	})
}

func TestRates(t *testing.T) {
	var s State
	s.Resize(ScopeGroup, int(NumGroups))
	s.Resize(ScopePort, 2)
	var enc Encoder
	var dec Decoder
	var rates Rates
	step := func(mono, read int64, bytes ...int64) {
		t.Helper()
		s.Set(ReadMS, int(GroupPort), read)
		for i, v := range bytes {
			s.Set(PortRcvDataBytes, i, v)
		}
		if _, need, err := dec.Apply(enc.Encode(nil, &s, 1, mono, Base, false)); need || err != nil {
			t.Fatal(need, err)
		}
		rates.Update(&dec)
	}
	const unit = 64 << 10
	step(1000, 900, 100*unit, 0)
	if r := rates.Rate(PortRcvDataBytes, 0); r == r {
		t.Fatalf("a rate after one read: %v", r)
	}
	step(2000, 2900, 300*unit, 0) // read two seconds later, whatever the samples' times
	if a, b := rates.Rate(PortRcvDataBytes, 0), rates.Rate(PortRcvDataBytes, 1); a != 100*unit || b != 0 {
		t.Fatalf("rates %v and %v, want %v and 0", a, b, 100*unit)
	}
	step(3000, 2900) // not read anew: the last rate stands
	if a := rates.Rate(PortRcvDataBytes, 0); a != 100*unit {
		t.Fatalf("rate without a new read: %v", a)
	}
	step(4000, 3900, 7*unit, 50*unit) // reset
	if a, b := rates.Rate(PortRcvDataBytes, 0), rates.Rate(PortRcvDataBytes, 1); a == a || b != 50*unit {
		t.Fatalf("rates after a reset: %v and %v", a, b)
	}
}
