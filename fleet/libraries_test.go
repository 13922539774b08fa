package fleet

import (
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"
)

func TestLibrariesOfAJob(t *testing.T) {
	c := newClock()
	f := New(Options{Now: c.now, StaleAfter: time.Hour})
	join(t, f, "a", newFakeNode(8), c.now())
	join(t, f, "b", newFakeNode(8), c.now())
	odd, mute, hostile := rankOf(102, "2", "5", 2), rankOf(103, "3", "5", 3), rankOf(100, "4", "5", 0)
	odd.Versions = "torch 2.7.1, nccl 2.21.5"
	hostile.Versions = "\x1b[2Jtorch \x9b31m, , nccl, python 3.12 " + strings.Repeat("x", 1000)
	one, two := rankOf(100, "0", "5", 0), rankOf(101, "1", "5", 1)
	one.Versions, two.Versions = "torch 2.7.1, nccl 2.26.2, python 3.12", "torch 2.7.1, nccl 2.26.2, python 3.12"
	tells(t, f, c, "b", hostile)
	s := tells(t, f, c, "a", one, two, odd, mute)
	if len(s.Jobs) != 1 {
		t.Fatalf("%d jobs", len(s.Jobs))
	}
	var got []Library
	for _, l := range s.Jobs[0].Libraries {
		if l.Node == "a" {
			got = append(got, l)
		} else if strings.ContainsFunc(l.Name+l.Version, unicode.IsControl) || len(l.Version) > maxLibraryBytes {
			t.Errorf("%+q %+q", l.Name, l.Version)
		}
	}
	want := []Library{{"torch", "2.7.1", 3, "a"}, {"nccl", "2.26.2", 2, "a"}, {"nccl", "2.21.5", 1, "a"}, {"python", "3.12", 2, "a"}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}
