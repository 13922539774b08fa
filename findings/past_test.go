package findings

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"foretop/fleet"
)

func TestMiddleOf(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		list := make([]float32, 1+r.IntN(40))
		for i := range list {
			list[i] = float32(r.IntN(12))
		}
		sorted := slices.Clone(list)
		slices.Sort(sorted)
		if got := middleOf(slices.Clone(list)); got != sorted[len(sorted)/2] {
			t.Fatalf("of %v: %g", list, got)
		}
	}
}

// A rank that is killed after its job ran undisturbed for an hour is known for as long as the kernel's line is news, though its process is gone from the list.
func TestAKilledRankIsKnownAfterALongWhile(t *testing.T) {
	f := newFilm(t)
	for i := range f.job.Ranks {
		f.job.Ranks[i].PID = int32(1000 + i)
	}
	f.play(1, "job.oom", nil)
	f.at = f.at.Add(time.Hour)
	f.play(1, "job.oom", nil)
	l := line(0, -1, "Out of memory: Killed process 1013 (python3) total-vm:1kB")
	l.At = f.at
	f.nodes["b"].Kernel = []fleet.KernelLine{l}
	f.job.Ranks = slices.Delete(slices.Clone(f.job.Ranks), 13, 14)
	f.job.Missing, f.job.MissingN = []int{13}, 1
	for _, after := range []int{1, 30} {
		if got := f.play(after, "job.oom", nil); len(got) != 1 || !strings.HasPrefix(got[0].Text, "rank 13 OOM-killed on b") {
			t.Errorf("after %d s more: %q", after, got)
		}
	}
}

// Why rules could not look at a job is one list while it is the same, and another from where on it differs.
func TestUncheckedIsShared(t *testing.T) {
	w, j := new(watch), new(fleet.Job)
	look := func(whys ...string) []string {
		j.Unchecked = nil
		for i, why := range whys {
			w.unchecked(j, []string{"a", "b", "c", "d"}[i], why)
		}
		w.said = j.Unchecked
		return j.Unchecked
	}
	first := look("x", "y", "z")
	if same := look("x", "y", "z"); &same[0] != &first[0] || !slices.Equal(same, []string{"a: x", "b: y", "c: z"}) {
		t.Errorf("%q", same)
	}
	if got := look("x", "q", "z", "v"); !slices.Equal(got, []string{"a: x", "b: q", "c: z", "d: v"}) || !slices.Equal(first, []string{"a: x", "b: y", "c: z"}) {
		t.Errorf("%q, before %q", got, first)
	}
	if got := look("x"); !slices.Equal(got, []string{"a: x"}) {
		t.Errorf("%q", got)
	}
	if got := look("x", "q"); !slices.Equal(got, []string{"a: x", "b: q"}) {
		t.Errorf("%q", got)
	}
}
