// Package journal remembers what was found, and what people said of it, beyond one run: acknowledgements, snoozes, false alarms, when somebody last looked, and what
// was found on each node, GPU and job in the last 90 days.
//
// It is one file in the user's state folder, a JSON line an entry, which several foretops append to at once: each takes a lock, reads what the others wrote, and appends
// whole lines. Lines that are torn or not understood are skipped. A file that cannot be read or written is said, and never fatal: then what is said lasts as long as the
// program. It is made smaller when it has grown.
//
// Package cli makes it and joins it with the fleet's rules; screens reach it through an interface of their own. It draws nothing and asks no node.
package journal

import (
	"context"
	"sync"
	"time"

	"foretop/fleet"
)

// How long things are kept, and how much.
const (
	keepFor    = 90 * 24 * time.Hour
	maxPast    = 64      // times that one finding is remembered
	maxKeys    = 100_000 // findings that are remembered
	maxQueue   = 10_000  // entries that wait to be written
	maxPerLook = 500     // findings that one look may write down: a fleet that falls over is told by its first
	sameWithin = 10 * time.Minute
	readEvery  = 5 * time.Second // what others wrote is looked for so often
	// readPatience is how long a start waits for what is kept.
	readPatience = time.Second
)

// Book is the journal. Its methods may be called from any goroutine; none waits for the disk but Close.
type Book struct {
	by   string
	now  func() time.Time
	file *file // nil: nothing outlasts the program

	exchanging sync.Mutex // guards file

	mu      sync.Mutex
	past    map[string]*history // by a finding's key
	marks   map[string]said     // by a finding's key, or an incident's id
	looked  time.Time           // when somebody last looked
	session map[string]open     // findings that are on: by key
	list    map[string]subject  // incidents as last noted, by id
	queue   []entry
	dropped int
	trouble string
	loaded  bool // what is kept was read, or could not be

	wake   chan struct{}
	ready  chan struct{} // closed when loaded
	stop   context.CancelFunc
	ended  chan struct{}
	closed sync.Once
}

// history is when one finding was found.
type history struct {
	since []time.Time // when it began, oldest first
	told  time.Time   // when the last one was written down
	gone  time.Time   // when one was last seen to go
}

// said is what somebody said last.
type said struct {
	kind     fleet.MarkKind
	by       string
	at       time.Time
	until    time.Time
	severity fleet.Severity // of the incident then
}

// open is a finding that is on.
type open struct {
	since, until time.Time
	told         time.Time // when it was first written down
}

// subject is what a mark on an incident is of.
type subject struct {
	root     string
	severity fleet.Severity
}

// Open reads a journal, and keeps it until Close. path "" is one that lasts as long as the program. by is who says what is said here; now is the clock.
func Open(path, by string, now func() time.Time) *Book {
	b := &Book{by: by, now: now, past: map[string]*history{}, marks: map[string]said{}, session: map[string]open{}, list: map[string]subject{}, wake: make(chan struct{}, 1), ready: make(chan struct{}), ended: make(chan struct{})}
	ctx, stop := context.WithCancel(context.Background())
	b.stop = stop
	if path == "" {
		b.loaded = true
		close(b.ended)
		return b
	}
	b.file = &file{path: path}
	go b.keep(ctx)
	select {
	case <-b.ready:
	case <-time.After(readPatience): // a file system that does not answer costs the past, not the screen
	}
	return b
}

// Close writes what waits to be written, at most for a few seconds.
func (b *Book) Close() {
	b.closed.Do(func() {
		b.mu.Lock()
		for key, o := range b.session {
			if !o.until.IsZero() {
				b.write(entry{Kind: kindGone, Key: key, Time: o.until})
			}
		}
		b.mu.Unlock()
		b.stop()
	})
	select {
	case <-b.ended:
	case <-time.After(5 * time.Second): // a file system that does not answer
	}
}

// Trouble says why what is said here does not outlast the program; "" it does.
func (b *Book) Trouble() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.trouble
}

// Denied says of a finding, by its key, that somebody called it a false alarm.
func (b *Book) Denied(key string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.marks[key].kind == fleet.FalseAlarm
}

// Note takes in what is found now: it adds what was said of each incident, whether it is new since somebody last looked, and when its findings were found before; and writes down
// what was not there the last time. The incidents are changed in place: they are to be fresh ones.
func (b *Book) Note(list []fleet.Incident, at time.Time) []fleet.Incident {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.loaded { // what is new is not known yet
		return list
	}
	seen := make(map[string]bool, len(b.session))
	clear(b.list)
	written := 0
	for i := range list {
		in := &list[i]
		var told time.Time // of the finding that was told first: what joins an incident does not make it new
		for k := range in.Members {
			f := &in.Members[k]
			key := f.Key()
			seen[key] = true
			o, on := b.session[key]
			if !on {
				o = b.begins(key, f, at, &written)
			}
			o.until = f.Until
			b.session[key] = o
			if f.Past == nil {
				f.Past = b.before(key, o.since)
			}
			tellPast(f, at)
			if told.IsZero() || o.told.Before(told) {
				told = o.told
			}
		}
		b.list[in.ID] = subject{in.Root().Key(), in.Severity}
		if m := b.markOf(in, at); m.kind != fleet.Unmarked {
			in.Mark = fleet.Mark{Kind: m.kind, By: m.by, At: m.at, Until: m.until}
		}
		in.New = told.After(b.looked) && !in.KnownBad && in.Mark.Kind != fleet.FalseAlarm
	}
	for key, o := range b.session {
		if seen[key] {
			continue
		}
		delete(b.session, key)
		if o.until.IsZero() {
			continue // nobody saw it go: its node is watched no more
		}
		if h := b.past[key]; h != nil {
			h.gone = o.until
		}
		b.write(entry{Kind: kindGone, Key: key, Time: o.until})
	}
	return list
}

// begins takes in a finding that was not on. One that was on when the program ended, or that another foretop has told, goes on.
func (b *Book) begins(key string, f *fleet.Finding, at time.Time, written *int) open {
	h := b.past[key]
	if h != nil && len(h.since) > 0 {
		last := h.since[len(h.since)-1]
		same := f.Since.Sub(last).Abs() <= sameWithin
		if !f.Began && !h.gone.After(last) {
			same = true // it has not been seen to go, and may be as old
		}
		if same {
			h.gone = time.Time{}
			return open{since: last, told: h.told}
		}
	}
	if *written++; *written <= maxPerLook {
		b.write(entry{Kind: kindFound, Time: at, Since: f.Since, Key: key, Node: f.Subject.Node, UUID: f.Subject.UUID, Severity: f.Severity.String(), Text: f.Where() + " " + f.Text})
	}
	b.found(key, f.Since, at)
	return open{since: f.Since, told: at}
}

// found remembers one more time.
func (b *Book) found(key string, since, at time.Time) {
	h := b.past[key]
	if h == nil {
		if len(b.past) >= maxKeys {
			return
		}
		h = &history{}
		b.past[key] = h
	}
	h.told, h.gone = at, time.Time{}
	for _, t := range h.since {
		if since.Sub(t).Abs() <= sameWithin {
			return
		}
	}
	i := len(h.since)
	for i > 0 && h.since[i-1].After(since) {
		i--
	}
	h.since = append(h.since[:i:i], append([]time.Time{since}, h.since[i:]...)...)
	h.since = h.since[max(0, len(h.since)-maxPast):]
}

// before are the times before this one.
func (b *Book) before(key string, since time.Time) []time.Time {
	out := []time.Time{}
	if h := b.past[key]; h != nil {
		for _, t := range h.since {
			if since.Sub(t) > sameWithin {
				out = append(out, t)
			}
		}
	}
	return out
}

// markOf is what was said of an incident that still holds. A snooze ends by time. An acknowledgement is of what was there then: it ends when that went and came again, or
// when it has become worse.
func (b *Book) markOf(in *fleet.Incident, at time.Time) said {
	root := in.Root()
	for _, key := range [...]string{in.ID, root.Key()} {
		m, ok := b.marks[key]
		if !ok || m.kind == fleet.Unmarked {
			continue
		}
		switch m.kind {
		case fleet.FalseAlarm:
			if key != root.Key() {
				continue
			}
			return m
		case fleet.Snoozed:
			if !at.Before(m.until) {
				continue
			}
		}
		if in.Severity > m.severity {
			continue
		}
		if m.kind == fleet.Snoozed {
			return m // however often it goes and comes
		}
		if h := b.past[root.Key()]; h == nil || !h.gone.After(m.at) && !b.session[root.Key()].since.After(m.at) {
			return m
		}
	}
	return said{}
}

// Mark says something of incidents, by their IDs; [fleet.Unmarked] takes it back. until is of a snooze. It gives how many it was said of: an incident may have gone.
func (b *Book) Mark(ids []string, kind fleet.MarkKind, until time.Time) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for _, id := range ids {
		of, ok := b.list[id]
		if !ok {
			continue
		}
		n++
		m := said{kind: kind, by: b.by, at: b.now(), until: until, severity: of.severity}
		keys := []string{of.root}
		if id != of.root && kind != fleet.FalseAlarm {
			keys = append(keys, id)
		}
		for _, key := range keys {
			b.marks[key] = m
			b.write(entry{Kind: kindMark, Time: m.at, Key: key, By: m.by, Mark: markName(kind), Until: m.until, Severity: m.severity.String()})
		}
	}
	return n
}

// Looked says that somebody looked at what there is: from now on that is not new any more.
func (b *Book) Looked() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.looked = b.now()
	b.write(entry{Kind: kindLooked, Time: b.looked, By: b.by})
}
