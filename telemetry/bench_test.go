package telemetry

import (
	"math/rand/v2"
	"testing"

	"foretop/telemetry/protosample"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// realistic changes a big node's readings the way a training node's change from one second to the next.
func realistic(s *State, r *rand.Rand, tick int64) {
	jitter := func(mean, spread int64) int64 { return mean + r.Int64N(2*spread+1) - spread }
	add := func(m Metric, i int, by int64) {
		v := s.Get(m, i)
		if v == Absent {
			v = r.Int64N(1 << 40)
		}
		s.Set(m, i, v+by)
	}
	for g := range NumGroups {
		s.Set(ReadMS, int(g), tick*1000+r.Int64N(5))
	}
	for i := range 12 {
		s.Set(SourceStateEnum, i, 1)
	}
	add(CPUUserMS, 0, jitter(30_000, 4000))
	add(CPUSystemMS, 0, jitter(4000, 900))
	add(CPUIdleMS, 0, jitter(150_000, 4000))
	add(CPUIowaitMS, 0, jitter(300, 200))
	s.Set(Load1Milli, 0, jitter(31_000, 200))
	s.Set(Load5Milli, 0, 30_100)
	s.Set(Load15Milli, 0, 30_000)
	add(PSICPUSomeUS, 0, jitter(2500, 2000))
	add(PSIIOSomeUS, 0, jitter(9000, 4000))
	s.Set(MemTotalBytes, 0, 2<<40)
	s.Set(MemAvailableBytes, 0, jitter(1600<<30, 8<<20))
	s.Set(MemShmemBytes, 0, 90<<30)
	add(SelfCPUUS, 0, jitter(4000, 500))
	s.Set(SelfRSSBytes, 0, 14<<20)
	add(SelfSentBytes, 0, 500)
	for i := range 8 {
		s.Set(GPUStatus, i, 0)
		s.Set(GPUUtilPct, i, jitter(97, 3))
		s.Set(GPUMemUtilPct, i, jitter(55, 6))
		s.Set(GPUMemUsedBytes, i, 71<<30)
		s.Set(GPUMemTotalBytes, i, 80<<30)
		s.Set(GPUTempC, i, jitter(61, 1))
		s.Set(GPUMemTempC, i, jitter(78, 1))
		s.Set(GPUPowerMW, i, jitter(640_000, 40_000))
		s.Set(GPUPowerLimitMW, i, 700_000)
		s.Set(GPUSMClockMHz, i, jitter(1740, 30))
		s.Set(GPUMemClockMHz, i, 2619)
		s.Set(GPUThrottleBits, i, 4*r.Int64N(2))
		s.Set(GPUSMActivityPermille, i, jitter(850, 60))
		s.Set(GPUTensorActivityPermille, i, jitter(420, 80))
		s.Set(GPUDRAMActivityPermille, i, jitter(560, 60))
	}
	for i := range 9 {
		s.Set(PortState, i, 4)
		s.Set(PortPhysState, i, 5)
		s.Set(PortRateMbps, i, 400_000)
		add(PortRcvDataBytes, i, jitter(38<<30, 6<<30))
		add(PortXmitDataBytes, i, jitter(38<<30, 6<<30))
		s.Set(PortSymbolError, i, 0)
		s.Set(PortLinkDowned, i, 0)
		if tick%10 == 0 {
			add(PortXmitWait, i, jitter(4000, 3000))
		}
	}
	for i := range 4 {
		add(NetRxBytes, i, jitter(200_000, 90_000))
		add(NetTxBytes, i, jitter(150_000, 90_000))
		add(DiskReadBytes, i, jitter(1<<20, 1<<20))
		add(DiskWriteBytes, i, jitter(1<<20, 1<<20))
	}
	for i := range 192 {
		s.Set(CoreBusyPct, i, r.Int64N(100))
	}
}

// recorded is a run of a node: states second by second.
func recorded(n int) []*State {
	r := rand.New(rand.NewPCG(3, 5))
	s := bigState()
	out := make([]*State, n)
	for i := range out {
		realistic(s, r, int64(i+1))
		out[i] = new(State)
		out[i].CopyFrom(s)
	}
	return out
}

func BenchmarkSample(b *testing.B) {
	states := recorded(64)
	b.Run("columnar/encode", func(b *testing.B) {
		var enc Encoder
		buf := make([]byte, 0, 4096)
		bytes := 0
		b.ReportAllocs()
		for i := range b.N {
			buf = enc.Encode(buf[:0], states[i%len(states)], 1, int64(i)*1000, Base, false)
			bytes += len(buf)
		}
		b.ReportMetric(float64(bytes)/float64(b.N), "B/sample")
	})
	b.Run("columnar/decode", func(b *testing.B) {
		var enc Encoder
		var payloads [][]byte
		for i := range 4096 {
			payloads = append(payloads, enc.Encode(nil, states[i%len(states)], 1, int64(i)*1000, Base, i == 0))
		}
		var dec Decoder
		var rates Rates
		b.ReportAllocs()
		b.ResetTimer()
		for i := range b.N {
			if _, _, err := dec.Apply(payloads[i%len(payloads)]); err != nil {
				b.Fatal(err)
			}
			rates.Update(&dec)
		}
	})
	protos := make([][]byte, len(states))
	for i := range states {
		protos[i] = asProto(b, states[(i+len(states)-1)%len(states)], states[i])
	}
	b.Run("protobuf/encode", func(b *testing.B) {
		var m protosample.Sample
		if err := proto.Unmarshal(protos[1], &m); err != nil {
			b.Fatal(err)
		}
		bytes := 0
		b.ReportAllocs()
		for range b.N {
			out, err := proto.Marshal(&m)
			if err != nil {
				b.Fatal(err)
			}
			bytes += len(out)
		}
		b.ReportMetric(float64(bytes)/float64(b.N), "B/sample")
	})
	b.Run("protobuf/decode", func(b *testing.B) {
		b.ReportAllocs()
		for i := range b.N {
			var m protosample.Sample
			if err := proto.Unmarshal(protos[i%len(protos)], &m); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// asProto is the same change between two states as plain protobuf: changed fields only, as quantised differences.
func asProto(tb testing.TB, was, now *State) []byte {
	m := &protosample.Sample{Sequence: 17, MonoMs: 123456789}
	list := m.ProtoReflect()
	fields := list.Descriptor().Fields()
	next := make(map[Scope]protoreflect.FieldNumber)
	for _, d := range Defs() {
		next[d.ID.Scope()]++
		if d.Level > Base {
			continue
		}
		number := next[d.ID.Scope()] + 1
		for i := range now.Count(d.ID.Scope()) {
			a, b := quantised(d, was.Get(d.ID, i)), quantised(d, now.Get(d.ID, i))
			if a == b || b == Absent {
				continue
			}
			if a == Absent {
				a = 0
			}
			entity := entityOf(list, fields.ByNumber(protoreflect.FieldNumber(d.ID.Scope())+3), i)
			entity.Set(entity.Descriptor().Fields().ByNumber(number), protoreflect.ValueOfInt64((b-a)/d.Quantum))
		}
	}
	out, err := proto.Marshal(m)
	if err != nil {
		tb.Fatal(err)
	}
	return out
}

func entityOf(m protoreflect.Message, f protoreflect.FieldDescriptor, index int) protoreflect.Message {
	l := m.Mutable(f).List()
	for i := range l.Len() {
		e := l.Get(i).Message()
		if e.Get(e.Descriptor().Fields().ByNumber(1)).Uint() == uint64(index) {
			return e
		}
	}
	e := l.AppendMutable().Message()
	e.Set(e.Descriptor().Fields().ByNumber(1), protoreflect.ValueOfUint32(uint32(index)))
	return e
}
