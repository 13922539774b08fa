package journal

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"foretop/fleet"
)

// week is the time in which findings are counted in words.
const week = 7 * 24 * time.Hour

// beforeWords marks the line of evidence that tells of the times before.
const beforeWords = "; before: "

// tellPast puts into a finding's evidence when the same was found before: "third time in a week; before: Mon 23 Nov 12:03, Wed 25 Nov 03:10".
func tellPast(f *fleet.Finding, at time.Time) {
	if len(f.Past) == 0 {
		return
	}
	line := pastWords(f.Past, at)
	if slices.Contains(f.Evidence, line) {
		return
	}
	evidence := make([]string, 0, len(f.Evidence)+1)
	for _, e := range f.Evidence {
		if !strings.Contains(e, beforeWords) {
			evidence = append(evidence, e)
		}
	}
	f.Evidence = append(evidence, line)
}

func pastWords(past []time.Time, at time.Time) string {
	const most = 4
	n := 1
	for _, t := range past {
		if at.Sub(t) <= week {
			n++
		}
	}
	span := "in a week"
	if n == 1 {
		n, span = len(past)+1, "in 90 days"
	}
	words := make([]string, 0, most)
	for _, t := range past[max(0, len(past)-most):] {
		words = append(words, t.In(at.Location()).Format("Mon 2 Jan 15:04"))
	}
	return ordinal(n) + " time " + span + beforeWords + strings.Join(words, ", ")
}

func ordinal(n int) string {
	words := [...]string{"", "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"}
	if n < len(words) {
		return words[n]
	}
	switch {
	case n%100 >= 11 && n%100 <= 13:
	case n%10 == 1:
		return fmt.Sprintf("%dst", n)
	case n%10 == 2:
		return fmt.Sprintf("%dnd", n)
	case n%10 == 3:
		return fmt.Sprintf("%drd", n)
	}
	return fmt.Sprintf("%dth", n)
}
