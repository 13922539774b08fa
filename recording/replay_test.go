package recording

import (
	"context"
	"fmt"
	"math"
	"os"
	"reflect"
	"testing"
	"time"

	"foretop/fleet"
	"foretop/simfleet"
	"foretop/telemetry"
)

// unlike says where two snapshots differ in what they show, "" where they do not: rates may by the 1 % to which they are recorded, and hours held, which are counted on from what was
// recorded every ten seconds, by a little.
func unlike(live, told *fleet.Snapshot) string {
	return differ("", reflect.ValueOf(*live), reflect.ValueOf(*told))
}

func differ(path string, a, b reflect.Value) string {
	if a.Kind() != b.Kind() {
		return fmt.Sprintf("%s: %v, replayed %v", path, a, b)
	}
	same := true
	switch a.Kind() {
	case reflect.Pointer, reflect.Interface:
		if a.IsNil() || b.IsNil() {
			if a.IsNil() != b.IsNil() {
				return fmt.Sprintf("%s: %v, replayed %v", path, a, b)
			}
			return ""
		}
		return differ(path, a.Elem(), b.Elem())
	case reflect.Struct:
		if a.Type() == reflect.TypeFor[time.Time]() {
			if !a.CanInterface() {
				return ""
			}
			same = a.Interface().(time.Time).Equal(b.Interface().(time.Time))
			break
		}
		for i := range a.NumField() {
			switch name := a.Type().Field(i).Name; name {
			case "Sequence":
				if a.Type() == reflect.TypeFor[fleet.Snapshot]() {
					continue
				}
				fallthrough
			default:
				if d := differ(path+"."+name, a.Field(i), b.Field(i)); d != "" {
					return d
				}
			case "byName", "here": // the same again, by name
			case "HeldHours", "IdleHours", "IdleNowHours":
				if math.Abs(a.Field(i).Float()-b.Field(i).Float()) > 1 {
					return fmt.Sprintf("%s.%s: %v, replayed %v", path, name, a.Field(i), b.Field(i))
				}
			}
		}
		return ""
	case reflect.Slice, reflect.Array:
		if a.Len() != b.Len() {
			return fmt.Sprintf("%s: %d of them, replayed %d: %v, %v", path, a.Len(), b.Len(), a, b)
		}
		for i := range a.Len() {
			if d := differ(fmt.Sprintf("%s[%d]", path, i), a.Index(i), b.Index(i)); d != "" {
				return d
			}
		}
		return ""
	case reflect.Map:
		if a.Len() != b.Len() {
			return fmt.Sprintf("%s: %d of them, replayed %d", path, a.Len(), b.Len())
		}
		for _, key := range a.MapKeys() {
			if !b.MapIndex(key).IsValid() {
				return fmt.Sprintf("%s: %v is not replayed", path, key)
			}
			if d := differ(fmt.Sprintf("%s[%v]", path, key), a.MapIndex(key), b.MapIndex(key)); d != "" {
				return d
			}
		}
		return ""
	case reflect.Float64:
		x, y := a.Float(), b.Float()
		same = x == y || x != x && y != y || math.Abs(x-y) <= 0.017*max(math.Abs(x), math.Abs(y))
	case reflect.Float32:
		x, y := a.Float(), b.Float()
		same = x == y || x != x && y != y
	case reflect.String:
		same = a.String() == b.String()
	case reflect.Bool:
		same = a.Bool() == b.Bool()
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		same = a.Int() == b.Int()
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		same = a.Uint() == b.Uint()
	}
	if !same {
		return fmt.Sprintf("%s: %v, replayed %v", path, a, b)
	}
	return ""
}

func TestReplayShowsWhatWasShown(t *testing.T) {
	seeds, nodes := uint64(2), 12
	if os.Getenv("FORETOP_SOAK") != "" {
		seeds, nodes = 20, 64
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			s := newSim(t, nodes, seed+1, simfleet.Demo(), Options{Keep: time.Hour})
			if seed%2 == 1 {
				s.level = telemetry.Detail
				s.fleet.Watch([]string{s.nodes[0].Name(), s.nodes[1].Name()})
			}
			shown := map[time.Duration]*fleet.Snapshot{}
			for range 200 {
				snap := s.step()
				shown[s.at] = snap
			}
			p := s.rec.Past(s.fleet, replay())
			defer p.Close()
			for _, at := range []int{5, 6, 7, 61, 62, 63, 64, 119, 120, 121, 150, 199, 200, 90, 130, 33, 34, 180} {
				d := time.Duration(at) * time.Second
				got, err := p.At(context.Background(), noon.Add(d))
				if err != nil {
					t.Fatalf("after %d s: %v", at, err)
				}
				if d := unlike(shown[d], got); d != "" {
					t.Fatalf("after %d s: %s", at, d)
				}
			}
		})
	}
}
