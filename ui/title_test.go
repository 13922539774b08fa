package ui

import (
	"strings"
	"testing"

	"foretop/fleet"
)

// TestTitleKeepsItsWords shows that at a given width the title has the same words however its numbers and counts change.
func TestTitleKeepsItsWords(t *testing.T) {
	for _, w := range []int{60, 80, 100, 120, 140, 160, 200} {
		first := ""
		for _, c := range []struct{ held, idle, jobs, critical, warning, lost int }{
			{0, 0, 1, 1, 1, 0}, {9, 0, 9, 9, 9, 1}, {512, 99, 99, 10, 10, 12}, {376, 0, 10, 3, 0, 10},
		} {
			s := *healthy()
			s.Totals.GPUsHeld, s.Totals.GPUsIdle, s.Totals.Jobs, s.Totals.Critical, s.Totals.Warning = c.held, c.idle, c.jobs, c.critical, c.warning
			s.Totals.ByState[fleet.Lost], s.Totals.ByState[fleet.Live] = c.lost, 64-c.lost
			d := drive(&s, w, 24, Options{Name: "h100"})
			title, _, _ := strings.Cut(d.text(), "\n")
			words := ""
			for _, word := range []string{"foretop", "h100", "nodes", " held", "GPUs", "job", "critical", ":", "▶"} {
				if strings.Contains(title, word) {
					words += word + " "
				}
			}
			if first == "" {
				first = words
			}
			if words != first {
				t.Errorf("%d columns: %q after %q in %s", w, words, first, title)
			}
		}
	}
}
