package recording

import (
	"context"
	"fmt"
	"math"
	"reflect"
	"testing"
	"time"

	"foretop/fleet"
	"foretop/simfleet"

	"github.com/google/go-cmp/cmp"
)

// sameSnapshots compares what two snapshots show: readings within the 1 % to which rates are recorded, everything else as it is.
var sameSnapshots = cmp.Options{
	cmp.Exporter(func(reflect.Type) bool { return true }),
	cmp.Comparer(func(a, b fleet.Reading) bool {
		return a == b || !a.Known() && !b.Known() || math.Abs(float64(a-b)) <= 0.017*max(math.Abs(float64(a)), math.Abs(float64(b)))
	}),
	cmp.FilterPath(func(p cmp.Path) bool { // counted on from what was recorded every ten seconds
		name := p.Last().String()
		return name == ".HeldHours" || name == ".IdleHours" || name == ".IdleNowHours"
	}, cmp.Comparer(func(a, b float64) bool { return math.Abs(a-b) <= 1 })),
	cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) }),
	cmp.Comparer(func(a, b float32) bool { return a == b || a != a && b != b }),
	cmp.FilterPath(func(p cmp.Path) bool {
		switch p.Last().String() {
		case ".Sequence":
			return p.Index(-2).Type() == reflect.TypeFor[fleet.Snapshot]()
		case ".byName", ".here":
			return true
		}
		return false
	}, cmp.Ignore()),
	cmp.Transformer("empty", func(list []string) []string {
		if len(list) == 0 {
			return nil
		}
		return list[:len(list):len(list)]
	}),
}

func TestReplayShowsWhatWasShown(t *testing.T) {
	for seed := range uint64(2) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			s := newSim(t, 24, seed+1, simfleet.Demo(), Options{Keep: time.Hour})
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
				if diff := cmp.Diff(shown[d], got, sameSnapshots); diff != "" {
					t.Fatalf("after %d s (- live, + replayed):\n%s", at, start(diff))
				}
			}
		})
	}
}
