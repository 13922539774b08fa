package report

import (
	"slices"
	"testing"
	"time"

	"foretop/fleet"
)

// Of a day with more beginnings than can be looked at, every critical one is, and warnings of all hours.
func TestMomentsOfADay(t *testing.T) {
	from := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	to := from.Add(24 * time.Hour)
	var began []Moment
	for i := range 24 * 60 {
		m := Moment{from.Add(time.Duration(i)*time.Minute + 7*time.Second), fleet.Warning}
		if i%30 == 29 {
			m.Severity = fleet.Critical
		}
		began = append(began, m, m) // several begin at once
	}
	list := moments(from, to, began)
	if len(list) > maxSteps+maxMoments+1 || !slices.IsSortedFunc(list, time.Time.Compare) || !list[len(list)-1].Equal(to) {
		t.Fatalf("%d moments, the last %v", len(list), list[len(list)-1])
	}
	hours := map[int]int{}
	for _, m := range began {
		at := m.At.Add(afterwards)
		_, seen := slices.BinarySearchFunc(list, at, time.Time.Compare)
		if m.Severity == fleet.Critical && !seen && at.Before(to) {
			t.Errorf("what was critical at %v is not looked at", m.At)
		}
		if m.Severity == fleet.Warning && seen {
			hours[int(m.At.Sub(from)/time.Hour)]++
		}
	}
	for h := range 24 {
		if hours[h] < 4 {
			t.Errorf("hour %d: %d of its warnings are looked at", h, hours[h])
		}
	}
	if few := chosen(from, to, began[:10]); len(few) != 5 {
		t.Errorf("five beginnings are looked at %d times", len(few))
	}
	if got := chosen(from, to, []Moment{{from.Add(-time.Hour), fleet.Critical}, {to, fleet.Critical}}); len(got) != 0 {
		t.Errorf("outside of the time: %v", got)
	}
}
