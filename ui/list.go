package ui

import (
	"slices"
	"strings"
	"time"
)

// list is the order of a table's rows, its cursor and its tags. Rows are known by their keys, so that they keep their place, and the cursor its row,
// from one snapshot to the next.
type list struct {
	keys    []string // the rows shown, in order
	cursor  string   // "": the first row, whichever it is
	top     int      // the first row on screen
	tagged  map[string]bool
	stays   bool   // a cursor whose row is gone waits for it: it may be there at another moment
	gone    string // the row that it waits for; "" none
	pinned  bool   // the cursor was put on its row by stay, not by hand
	rangeAt string // where a range began; "" none is being made
	sort    string // id of the column
	reverse bool
	sorted  time.Time // when the rows were last put in order
}

// resortAfter is how long nobody must have touched the keyboard before rows may change places, and resortEvery how often they then may.
const (
	resortAfter = 10 * time.Second
	resortEvery = 3 * time.Second
)

// mayResort says whether rows may be put in order again at a time, the keyboard having last been touched at another.
func (l *list) mayResort(at, touched time.Time) bool {
	return l.sorted.IsZero() || at.Sub(touched) >= resortAfter && at.Sub(l.sorted).Abs() >= resortEvery
}

// arrange takes over the rows there are now. When resort is false, known rows stay where they are and new ones go to the end.
func (l *list) arrange(fresh []string, resort bool, at time.Time) {
	if resort || len(l.keys) == 0 {
		l.keys, l.sorted = fresh, at
	} else if !slices.Equal(l.keys, fresh) {
		there := make(map[string]bool, len(fresh))
		for _, k := range fresh {
			there[k] = true
		}
		kept := make([]string, 0, len(fresh))
		for _, k := range l.keys {
			if there[k] {
				kept = append(kept, k)
				delete(there, k)
			}
		}
		for _, k := range fresh {
			if there[k] {
				kept = append(kept, k)
			}
		}
		l.keys = kept
	}
	if l.gone != "" && slices.Contains(l.keys, l.gone) {
		l.cursor, l.gone = l.gone, ""
	}
	if l.cursor != "" && !slices.Contains(l.keys, l.cursor) {
		if l.stays {
			l.gone, l.cursor = l.cursor, ""
			return
		}
		l.cursor = ""
		if l.top < len(l.keys) && l.top > 0 {
			l.cursor = l.keys[l.top]
		}
	}
}

// stay has the cursor stay on its row while rows of another moment are taken over. A jump lets a cursor that nobody moved be on the first row again.
func (l *list) stay(jump bool) {
	l.stays = true
	switch {
	case jump && l.pinned:
		l.cursor, l.gone, l.pinned = "", "", false
	case !jump && l.cursor == "" && l.gone == "":
		l.cursor = l.selected()
		l.pinned = l.cursor != ""
	}
}

// pin puts the cursor on the row that it is at, for as long as that is there: somebody opened it.
func (l *list) pin() {
	if l.pinned = false; l.cursor == "" && l.gone == "" {
		l.cursor = l.selected()
	}
}

// index is where the cursor is; -1 when there are no rows, or its row is not there at this moment.
func (l *list) index() int {
	if len(l.keys) == 0 || l.gone != "" {
		return -1
	}
	if l.cursor == "" {
		return 0
	}
	return max(0, slices.Index(l.keys, l.cursor))
}

// selected is the key under the cursor; "" when there are no rows.
func (l *list) selected() string {
	if i := l.index(); i >= 0 {
		return l.keys[i]
	}
	return ""
}

// move puts the cursor d rows on; while a range is made, what it passes is tagged.
func (l *list) move(d int) { l.moveTo(l.index() + d) }

// moveList does what a key asks for that moves in a table of that many rows on screen.
func moveList(l *list, do action, page int) {
	switch do {
	case actUp:
		l.move(-1)
	case actDown:
		l.move(1)
	case actPageUp:
		l.move(-max(1, page))
	case actPageDown:
		l.move(max(1, page))
	case actFirst:
		l.first()
	case actLast:
		l.moveTo(len(l.keys) - 1)
	}
}

func (l *list) moveTo(i int) {
	if len(l.keys) == 0 {
		return
	}
	l.cursor, l.gone, l.pinned = l.keys[max(0, min(i, len(l.keys)-1))], "", false
	if l.rangeAt == "" {
		return
	}
	from, to := slices.Index(l.keys, l.rangeAt), l.index()
	if from < 0 {
		from = to
	}
	for i := min(from, to); i <= max(from, to); i++ {
		l.tag(l.keys[i], true)
	}
}

// first puts the cursor on the first row, and lets it stay first whichever row that will be.
func (l *list) first() {
	l.moveTo(0)
	l.cursor = ""
}

func (l *list) tag(key string, on bool) {
	if l.tagged == nil {
		l.tagged = map[string]bool{}
	}
	if on {
		l.tagged[key] = true
	} else {
		delete(l.tagged, key)
	}
}

// tags are the tagged keys, filtered out or not, in order of their names.
func (l *list) tags() []string {
	keys := make([]string, 0, len(l.tagged))
	for k := range l.tagged {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, strings.Compare)
	return keys
}

// scroll brings the cursor into a window of h rows and gives its first row.
func (l *list) scroll(h int) int {
	i := l.index()
	if i < 0 {
		i = l.top
	}
	l.top = scrollTo(l.top, i, h, len(l.keys))
	return l.top
}

// scrollTo is the first of h lines to show out of n such that line i is among them, moving as little as possible.
func scrollTo(top, i, h, n int) int {
	switch {
	case h <= 0:
		return 0
	case i < top:
		top = i
	case i >= top+h:
		top = i - h + 1
	}
	return max(0, min(top, n-h))
}

// rowKey is what a row is sorted by: absent numbers (NaN) last, whichever the direction.
type rowKey struct {
	key  string
	num  float64
	word string
}

// sortRows orders rows by their keys, greatest first when down; equal ones keep their order.
func sortRows(rows []rowKey, down bool) []string {
	slices.SortStableFunc(rows, func(a, b rowKey) int {
		an, bn := a.num != a.num, b.num != b.num
		switch {
		case an != bn:
			if an {
				return 1
			}
			return -1
		case !an && a.num != b.num:
			if (a.num > b.num) == down {
				return -1
			}
			return 1
		case a.word != b.word:
			if d := strings.Compare(a.word, b.word); down {
				return -d
			} else {
				return d
			}
		}
		return 0
	})
	keys := make([]string, len(rows))
	for i := range rows {
		keys[i] = rows[i].key
	}
	return keys
}
