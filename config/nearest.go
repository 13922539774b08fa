package config

import (
	"slices"
	"unicode/utf8"
)

// Nearest gives the candidate that word most likely meant: the one with the fewest slips between them (a letter left
// out, added, changed, or two neighbours swapped), when those are few for the word's length. ok is false when none
// is near. Of several equally near the first in order of the alphabet is given.
func Nearest(word string, candidates []string) (nearest string, ok bool) {
	const longest = 64 // letters; longer words are not what a person mistypes, and the work grows with the square
	if utf8.RuneCountInString(word) > longest {
		return "", false
	}
	best := 1 + min(3, (utf8.RuneCountInString(word)+1)/3)
	for _, candidate := range slices.Sorted(slices.Values(candidates)) {
		if utf8.RuneCountInString(candidate) > longest {
			continue
		}
		if d := slips(word, candidate); d < best {
			best, nearest, ok = d, candidate, true
		}
	}
	return nearest, ok
}

// slips is the Damerau–Levenshtein distance in its restricted form (optimal string alignment): no part of a word is
// edited twice.
func slips(a, b string) int {
	from, to := []rune(a), []rune(b)
	before := make([]int, len(to)+1) // the row before the last one
	last := make([]int, len(to)+1)
	row := make([]int, len(to)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(from); i++ {
		row[0] = i
		for j := 1; j <= len(to); j++ {
			change := 1
			if from[i-1] == to[j-1] {
				change = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+change)
			if i > 1 && j > 1 && from[i-1] == to[j-2] && from[i-2] == to[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(to)]
}
