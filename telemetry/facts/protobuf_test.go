package facts

import (
	"errors"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"foretop/telemetry"
	"foretop/telemetry/facts/protofacts"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// all are the messages, with protobuf's own.
var all = []struct {
	ours Message
	real proto.Message
}{
	{new(Hello), new(protofacts.Hello)}, {new(Inventory), new(protofacts.Inventory)}, {new(CPU), new(protofacts.CPU)},
	{new(GPU), new(protofacts.GPU)}, {new(GPUPart), new(protofacts.GPUPart)}, {new(GPULink), new(protofacts.GPULink)},
	{new(Call), new(protofacts.Call)}, {new(UnseenGPU), new(protofacts.UnseenGPU)}, {new(Port), new(protofacts.Port)},
	{new(HWCounter), new(protofacts.HWCounter)}, {new(Net), new(protofacts.Net)}, {new(Disk), new(protofacts.Disk)},
	{new(Filesystem), new(protofacts.Filesystem)}, {new(Source), new(protofacts.Source)}, {new(Processes), new(protofacts.Processes)},
	{new(ProcessKey), new(protofacts.ProcessKey)}, {new(Process), new(protofacts.Process)}, {new(Held), new(protofacts.Held)},
	{new(Usage), new(protofacts.Usage)}, {new(ProcessUsage), new(protofacts.ProcessUsage)}, {new(KernelLog), new(protofacts.KernelLog)},
	{new(KernelRecord), new(protofacts.KernelRecord)}, {new(KernelFold), new(protofacts.KernelFold)}, {new(GPUEvents), new(protofacts.GPUEvents)},
	{new(GPUEvent), new(protofacts.GPUEvent)}, {new(SourceNotes), new(protofacts.SourceNotes)}, {new(SourceNote), new(protofacts.SourceNote)},
	{new(Bye), new(protofacts.Bye)}, {new(Control), new(protofacts.Control)}, {new(Start), new(protofacts.Start)},
	{new(Heartbeat), new(protofacts.Heartbeat)}, {new(SetLevel), new(protofacts.SetLevel)}, {new(SetPace), new(protofacts.SetPace)},
	{new(SendWhole), new(protofacts.SendWhole)}, {new(LayoutFile), new(protofacts.LayoutFile)},
	{new(AskRAS), new(protofacts.AskRAS)}, {new(RAS), new(protofacts.RAS)}, {new(RASComm), new(protofacts.RASComm)},
	{new(RASOperation), new(protofacts.RASOperation)}, {new(RASRank), new(protofacts.RASRank)}, {new(RASHost), new(protofacts.RASHost)},
}

// oneofs are what a oneof may hold.
var oneofs = map[string]any{"Control_Start": Control_Start{}, "Control_Heartbeat": Control_Heartbeat{}, "Control_Level": Control_Level{},
	"Control_Pace": Control_Pace{}, "Control_Whole": Control_Whole{}, "Control_Ras": Control_Ras{}}

func TestSameAsProtobuf(t *testing.T) {
	if got, want := len(all), protofacts.File_facts_proto.Messages().Len(); got != want {
		t.Errorf("%d messages are held against protobuf's, of %d", got, want)
	}
	r := rand.New(rand.NewPCG(7, 11))
	for _, m := range all {
		t.Run(reflect.TypeOf(m.ours).Elem().Name(), func(t *testing.T) {
			for range 300 {
				real := m.real.ProtoReflect().New()
				fill(r, real)
				theirs, err := proto.MarshalOptions{Deterministic: true}.Marshal(real.Interface())
				if err != nil {
					t.Fatal(err)
				}
				ours := fresh(m.ours)
				if err := Decode(theirs, ours); err != nil {
					t.Fatalf("%v is refused: %v", real, err)
				}
				if d := cmp.Diff(mirror(real.Interface()), ours); d != "" {
					t.Fatal(d)
				}
				if got := Size(ours); got != len(theirs) {
					t.Fatalf("size %d, want %d", got, len(theirs))
				}
				b, err := Encode(ours)
				if err != nil {
					t.Fatal(err)
				}
				if len(b) != len(theirs) || !manyKeys(real) && string(b) != string(theirs) {
					t.Fatalf("% x, want % x", b, theirs)
				}
				again := m.real.ProtoReflect().New().Interface()
				if err := proto.Unmarshal(b, again); err != nil || !proto.Equal(real.Interface(), again) {
					t.Fatalf("protobuf makes of it %v (%v), not %v", again, err, real)
				}
			}
		})
	}
}

// FuzzAgainstProtobuf holds Decode against protobuf on any bytes: what it takes is what protobuf reads, cleaned, and what it calls broken
// protobuf calls broken too. Beyond that it refuses only what exceeds its bounds.
func FuzzAgainstProtobuf(f *testing.F) {
	r := rand.New(rand.NewPCG(3, 5))
	for i, m := range all {
		real := m.real.ProtoReflect().New()
		fill(r, real)
		b, err := proto.Marshal(real.Interface())
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(i), b)
		f.Add(uint8(i), append(b, b...)) // merged
	}
	for _, m := range []Message{bigHello(), bigProcesses().Set[0]} {
		b, err := Encode(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(0), b)
		f.Add(uint8(16), b)
	}
	for _, b := range broken {
		if len(b) <= maxString {
			f.Add(uint8(14), b)
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, b []byte) {
		m := all[int(which)%len(all)]
		ours, real := fresh(m.ours), m.real.ProtoReflect().New().Interface()
		refused, wrong := Decode(b, ours), proto.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(b, real)
		if refused != nil {
			var bad *telemetry.Malformed
			if !errors.As(refused, &bad) {
				t.Fatal(refused)
			}
			if wrong == nil && (strings.Contains(bad.What, cutShort) || strings.Contains(bad.What, notUTF8)) {
				t.Fatalf("%v, but protobuf takes it: %v", refused, real)
			}
			return
		}
		if wrong != nil {
			t.Fatalf("taken, but %v", wrong)
		}
		want := mirror(real)
		if _, err := Encode(want); err != nil { // cleans
			t.Fatal(err)
		}
		if reflect.DeepEqual(want, ours) { // cmp.Diff takes its time
			return
		}
		if d := cmp.Diff(want, ours, cmpopts.EquateEmpty()); d != "" { // cleaning may leave a map without entries
			t.Fatal(d)
		}
	})
}

// fill gives most fields a value, and a large one as often as a small one.
func fill(r *rand.Rand, m protoreflect.Message) {
	for fields, i := m.Descriptor().Fields(), 0; i < fields.Len(); i++ {
		f := fields.Get(i)
		switch {
		case r.IntN(4) == 0:
		case f.IsMap():
			for range r.IntN(4) {
				m.Mutable(f).Map().Set(protoreflect.ValueOfString(text(r)).MapKey(), protoreflect.ValueOfString(text(r)))
			}
		case f.IsList() && f.Message() != nil:
			for range r.IntN(4) {
				fill(r, m.Mutable(f).List().AppendMutable().Message())
			}
		case f.IsList():
			for range r.IntN(4) {
				m.Mutable(f).List().Append(protoreflect.ValueOfInt32(int32(bits(r))))
			}
		case f.Message() != nil:
			fill(r, m.Mutable(f).Message())
		default:
			m.Set(f, scalar(r, f.Kind()))
		}
	}
}

func scalar(r *rand.Rand, k protoreflect.Kind) protoreflect.Value {
	switch k {
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(r.IntN(2) == 0)
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(protoreflect.EnumNumber(int32(bits(r))))
	case protoreflect.Int32Kind:
		return protoreflect.ValueOfInt32(int32(bits(r)))
	case protoreflect.Int64Kind:
		return protoreflect.ValueOfInt64(int64(bits(r)))
	case protoreflect.Uint32Kind:
		return protoreflect.ValueOfUint32(uint32(bits(r)))
	case protoreflect.Uint64Kind:
		return protoreflect.ValueOfUint64(bits(r))
	}
	return protoreflect.ValueOfString(text(r))
}

func bits(r *rand.Rand) uint64 { return r.Uint64() >> r.IntN(64) }

func text(r *rand.Rand) string {
	return strings.Repeat([]string{"a", "é", "mlx5_core ", "日本"}[r.IntN(4)], r.IntN(20))
}

func manyKeys(m protoreflect.Message) (many bool) {
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.IsMap():
			many = many || v.Map().Len() > 1
		case f.IsList() && f.Message() != nil:
			for i := range v.List().Len() {
				many = many || manyKeys(v.List().Get(i).Message())
			}
		}
		return true
	})
	return many
}

func fresh(m Message) Message { return reflect.New(reflect.TypeOf(m).Elem()).Interface().(Message) }

// mirror is our message of the same fields, by their Go names.
func mirror(real proto.Message) Message {
	for _, m := range all {
		if reflect.TypeOf(m.real) == reflect.TypeOf(real) {
			to := fresh(m.ours)
			copyFields(reflect.ValueOf(to).Elem(), reflect.ValueOf(real).Elem())
			return to
		}
	}
	return nil
}

func copyFields(to, from reflect.Value) {
	switch to.Kind() {
	case reflect.Struct:
		for i := range to.NumField() {
			copyFields(to.Field(i), from.FieldByName(to.Type().Field(i).Name))
		}
	case reflect.Pointer:
		if !from.IsNil() {
			to.Set(reflect.New(to.Type().Elem()))
			copyFields(to.Elem(), from.Elem())
		}
	case reflect.Interface:
		if !from.IsNil() {
			held := reflect.New(reflect.TypeOf(oneofs[from.Elem().Type().Elem().Name()]))
			copyFields(held.Elem(), from.Elem().Elem())
			to.Set(held)
		}
	case reflect.Slice:
		if from.Len() > 0 {
			to.Set(reflect.MakeSlice(to.Type(), from.Len(), from.Len()))
		}
		for i := range from.Len() {
			copyFields(to.Index(i), from.Index(i))
		}
	default:
		to.Set(from.Convert(to.Type()))
	}
}
