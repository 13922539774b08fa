package config

import (
	"fmt"
	"strconv"
	"strings"
)

// numbers is one stretch of a bracket: count values from first on, step apart, padded with zeros to width.
type numbers struct {
	first, step int64
	count       int
	width       int
}

// rangeList is the inside of one pair of brackets.
type rangeList []numbers

// extent gives the width of the widest number and how many numbers there are, MaxNodes+1 standing for too many.
func (l rangeList) extent() (widest, n int) {
	for _, s := range l {
		last := s.first + int64(s.count-1)*s.step
		widest = max(widest, s.width, len(strconv.FormatInt(last, 10)))
		if n += s.count; n > MaxNodes {
			return widest, MaxNodes + 1
		}
	}
	return widest, n
}

// parsePiece cuts a piece into the texts around its brackets (one more than there are brackets) and their ranges.
func parsePiece(piece string) (texts []string, ranges []rangeList, err error) {
	rest := piece
	for {
		text, after, found := strings.Cut(rest, "[")
		if strings.Contains(text, "]") {
			return nil, nil, fmt.Errorf(`node set %q: "]" without "[" before it`, short(piece))
		}
		texts = append(texts, text)
		if !found {
			return texts, ranges, nil
		}
		inside, after, closed := strings.Cut(after, "]")
		if !closed || strings.Contains(inside, "[") {
			return nil, nil, fmt.Errorf(`node set %q: "[" is never closed: write %s[1-9]`, short(piece), short(text))
		}
		list, err := parseRanges(inside)
		if err != nil {
			return nil, nil, fmt.Errorf("node set %q: %w", short(piece), err)
		}
		ranges = append(ranges, list)
		rest = after
	}
}

// parseRanges reads the inside of a pair of brackets: 001-064,070,0-10/2.
func parseRanges(inside string) (rangeList, error) {
	var list rangeList
	for item := range strings.SplitSeq(inside, ",") {
		s, err := parseRange(strings.TrimSpace(item))
		if err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	return list, nil
}

func parseRange(item string) (numbers, error) {
	if item == "" {
		return numbers{}, fmt.Errorf("nothing between brackets or commas: write numbers, such as [1-4,7]")
	}
	span, stepText, hasStep := strings.Cut(item, "/")
	firstText, lastText, isSpan := strings.Cut(span, "-")
	first, err := parseNumber(item, firstText)
	if err != nil {
		return numbers{}, err
	}
	s := numbers{first: first, step: 1, count: 1, width: len(firstText)}
	if !isSpan {
		if hasStep {
			return numbers{}, fmt.Errorf("%q: a step needs a range: write %s-99/%s", item, firstText, stepText)
		}
		return s, nil
	}
	last, err := parseNumber(item, lastText)
	if err != nil {
		return numbers{}, err
	}
	if hasStep {
		if s.step, err = parseNumber(item, stepText); err != nil {
			return numbers{}, err
		}
	}
	switch {
	case s.step == 0:
		return numbers{}, fmt.Errorf("%q: the step is 0: write %s/1", item, span)
	case last < first:
		return numbers{}, fmt.Errorf("%q: the range runs backwards: write %s-%s", item, lastText, firstText)
	case lastText[0] == '0' && len(lastText) != len(firstText), firstText[0] == '0' && len(lastText) < len(firstText):
		width := max(len(firstText), len(lastText))
		return numbers{}, fmt.Errorf("%q: the ends have different widths: write %0*d-%0*d", item, width, first, width, last)
	}
	s.count = int(min((last-first)/s.step, MaxNodes)) + 1 // more than MaxNodes is refused by the caller
	return s, nil
}

func parseNumber(item, text string) (int64, error) {
	if text == "" || strings.Trim(text, "0123456789") != "" {
		return 0, fmt.Errorf("%q: %q is not a number: brackets hold numbers and ranges, such as [1-4,7]", short(item), short(text))
	}
	if len(text) > maxDigits {
		return 0, fmt.Errorf("%q: a number has more than %d digits", short(item), maxDigits)
	}
	return strconv.ParseInt(text, 10, 64)
}

// appendPadded appends v in decimal with zeros before it up to width.
func appendPadded(buf []byte, v int64, width int) []byte {
	var digits [20]byte
	text := strconv.AppendInt(digits[:0], v, 10)
	for i := len(text); i < width; i++ {
		buf = append(buf, '0')
	}
	return append(buf, text...)
}
