package report

import (
	"cmp"
	"slices"
	"time"

	"foretop/fleet"
)

// Moment is when something began in a source.
type Moment struct {
	At       time.Time
	Severity fleet.Severity
}

// moments are the times to look at, in order: equal steps, and where something began.
func moments(from, to time.Time, began []Moment) []time.Time {
	step := max(leastStep, to.Sub(from)/maxSteps)
	var out []time.Time
	for at := from; at.Before(to); at = at.Add(step) {
		out = append(out, at)
	}
	out = append(out, chosen(from, to, began)...)
	slices.SortFunc(out, time.Time.Compare)
	out = slices.CompactFunc(out, func(b, a time.Time) bool { return b.Sub(a) < leastStep/2 })
	return append(out, to)
}

// chosen are the moments just after something began. Of more than maxMoments the worst are looked at, and of those that are alike some from all of the time.
func chosen(from, to time.Time, began []Moment) (out []time.Time) {
	var list []Moment
	for _, m := range began {
		if m.At = m.At.Add(afterwards); m.At.After(from) && m.At.Before(to) {
			list = append(list, m)
		}
	}
	slices.SortStableFunc(list, func(a, b Moment) int { return cmp.Or(a.At.Compare(b.At), -cmp.Compare(a.Severity, b.Severity)) })
	list = slices.CompactFunc(list, func(b, a Moment) bool { return b.At.Sub(a.At) < leastStep/2 })
	slices.SortStableFunc(list, func(a, b Moment) int { return -cmp.Compare(a.Severity, b.Severity) })
	for len(list) > 0 && len(out) < maxMoments {
		n := slices.IndexFunc(list, func(m Moment) bool { return m.Severity != list[0].Severity })
		if n < 0 {
			n = len(list)
		}
		take := min(n, maxMoments-len(out))
		for i := range take {
			out = append(out, list[i*n/take].At)
		}
		list = list[n:]
	}
	return out
}
