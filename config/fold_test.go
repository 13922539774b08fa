package config

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFold(t *testing.T) {
	tests := map[string]struct{ names, want string }{
		"nothing":             {"", ""},
		"one":                 {"gpu001", "gpu001"},
		"a run":               {"gpu001 gpu002 gpu003", "gpu[001-003]"},
		"a pair":              {"gpu1 gpu2", "gpu[1-2]"},
		"holes":               {"gpu1 gpu2 gpu3 gpu5 gpu7 gpu8", "gpu[1-3,5,7-8]"},
		"any order, repeats":  {"gpu3 gpu1 gpu2 gpu1", "gpu[1-3]"},
		"nine to ten":         {"gpu8 gpu9 gpu10 gpu11", "gpu[8-11]"},
		"padded nine to ten":  {"gpu08 gpu09 gpu10 gpu11", "gpu[08-11]"},
		"padding outgrown":    {"gpu098 gpu099 gpu100 gpu101", "gpu[098-101]"},
		"padding differs":     {"gpu1 gpu01 gpu2 gpu02", "gpu[1,01,2,02]"},
		"no numbers":          {"login x1 head", "head,login,x1"},
		"number order":        {"b10 b9 a2", "a2,b[9-10]"},
		"both dimensions":     {"r1n01 r1n02 r2n01 r2n02", "r[1-2]n[01-02]"},
		"first dimension":     {"r1n1 r2n1 r3n1", "r[1-3]n1"},
		"one missing":         {"r1n1 r1n2 r2n1 r2n2 r3n1 r4n1 r4n2", "r[1-2,4]n[1-2],r3n1"},
		"three dimensions":    {"a1b1c1 a1b1c2 a1b2c1 a1b2c2 a2b1c1 a2b1c2 a2b2c1 a2b2c2", "a[1-2]b[1-2]c[1-2]"},
		"suffix":              {"gpu1-ib gpu2-ib gpu1 gpu2", "gpu[1-2],gpu[1-2]-ib"},
		"domain":              {"gpu1.example.org gpu2.example.org", "gpu[1-2].example.org"},
		"addresses":           {"10.0.0.9 10.0.0.10 10.0.1.9 10.0.1.10", "10.0.[0-1].[9-10]"},
		"user and port stay":  {"u1@gpu1:22 u1@gpu2:22 u2@gpu1:22 gpu1:23 gpu1:24", "gpu1:23,gpu1:24,u1@gpu[1-2]:22,u2@gpu1:22"},
		"v6 stays":            {"[::1]:22 [::2]:22 fe80::1 fe80::2", "[::1]:22,[::2]:22,fe80::1,fe80::2"},
		"too long for ranges": {"n1234567890123456789 n1234567890123456790", "n1234567890123456789,n1234567890123456790"},
		"end of eighteen":     {"n999999999999999998 n999999999999999999", "n[999999999999999998-999999999999999999]"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			names := strings.Fields(test.names)
			if diff := cmp.Diff(test.want, strings.Join(Fold(names), ",")); diff != "" {
				t.Errorf("Fold(%s) (-want +got)\n%s", test.names, diff)
			}
			checkFold(t, names)
		})
	}
}

// checkFold asserts what Fold promises: it is exact, says each name once, and does not depend on the order.
func checkFold(t *testing.T, names []string) {
	t.Helper()
	want := slices.Clone(names)
	slices.SortFunc(want, CompareNames)
	want = slices.Compact(want)
	sets := Fold(names)
	if len(want) == 0 {
		if len(sets) != 0 {
			t.Fatalf("Fold(nothing) = %q", sets)
		}
		return
	}
	got, err := Expand(strings.Join(sets, ","))
	if err != nil {
		t.Fatalf("Fold(%.200q) = %.200q, which does not expand: %v", names, sets, err)
	}
	total := 0
	for _, set := range sets {
		one, err := Expand(set)
		if err != nil {
			t.Fatal(err)
		}
		total += len(one)
	}
	if total != len(want) {
		t.Fatalf("Fold(%.200q) = %.200q says %d names for %d", names, sets, total, len(want))
	}
	slices.SortFunc(got, CompareNames)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("Expand(Fold(x)) (-want +got)\n%.2000s", diff)
	}
	backwards := slices.Clone(want)
	slices.Reverse(backwards)
	if diff := cmp.Diff(sets, Fold(backwards)); diff != "" {
		t.Fatalf("Fold of another order (-want +got)\n%.2000s", diff)
	}
}

// Names of many shapes, drawn from few numbers so that runs and products come about.
func TestFoldProperty(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	formats := []string{"gpu%d", "gpu%02d", "gpu%03d", "r%dn%02d", "r%dc%dn%d", "x", "ann@gpu%d:22", "10.0.%d.%d", "a%d-%d.b%d", "[::%d]:22", "%d"}
	for range 3000 {
		var names []string
		for range rng.IntN(60) {
			format := formats[rng.IntN(len(formats))]
			args := make([]any, strings.Count(format, "%"))
			for i := range args {
				args[i] = rng.IntN(12)
			}
			names = append(names, fmt.Sprintf(format, args...))
		}
		checkFold(t, names)
	}
}

func TestFoldedExpandsInOrder(t *testing.T) {
	names, err := Expand("gpu[001-300,305]")
	if err != nil {
		t.Fatal(err)
	}
	shuffled := slices.Clone(names)
	rand.New(rand.NewPCG(3, 4)).Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	got, err := Expand(Fold(shuffled)...)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(names, got); diff != "" {
		t.Error(diff)
	}
}

func FuzzCompareNames(f *testing.F) {
	f.Add("gpu2", "gpu10", "gpu01")
	f.Add("a", "a1", "a-")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		ab, bc, ac := CompareNames(a, b), CompareNames(b, c), CompareNames(a, c)
		if ab != -CompareNames(b, a) || (ab == 0) != (a == b) {
			t.Fatalf("CompareNames(%q, %q) = %d, backwards %d", a, b, ab, CompareNames(b, a))
		}
		if ab <= 0 && bc <= 0 && ac > 0 {
			t.Fatalf("%q ≤ %q ≤ %q, yet not %q ≤ %q", a, b, c, a, c)
		}
	})
}

func BenchmarkExpand20000(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if names, err := Expand("r[001-200]n[001-100]"); err != nil || len(names) != 20000 {
			b.Fatal(len(names), err)
		}
	}
}

func BenchmarkFold20000(b *testing.B) {
	grid, err := Expand("r[001-200]n[001-100]")
	if err != nil {
		b.Fatal(err)
	}
	plain, err := Expand("gpu[00001-20000]")
	if err != nil {
		b.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(5, 6))
	rng.Shuffle(len(plain), func(i, j int) { plain[i], plain[j] = plain[j], plain[i] })
	var holes []string // a third of the grid: nothing folds well
	for _, name := range grid {
		if rng.IntN(3) == 0 {
			holes = append(holes, name)
		}
	}
	for name, names := range map[string][]string{"plain": plain, "grid": grid, "holes": holes} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if len(Fold(names)) == 0 {
					b.Fatal("nothing")
				}
			}
		})
	}
}
