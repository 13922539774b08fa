package hooks

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"foretop/fleet"
)

// book is what each hook was told, and what of it stands. It is kept in a file, so that nothing is told again after a restart.
type book struct {
	path string

	mu    sync.Mutex
	told  map[string]map[string]*entry // by hook, then by id
	dirty bool
}

// entry is one thing that a hook was told, or is being told.
type entry struct {
	severity  fleet.Severity
	seen      time.Time // when it last stood
	stands    bool
	delivered bool  // else it is in a queue, and is not written down
	last      Event // as it was told, for when it is over; empty where it was told by a run before this one
}

// Bounds of the file: what is too much is forgotten, the oldest first.
const (
	maxBookBytes   = 8 << 20
	maxBookEntries = 5000 // a hook
	bookKept       = 7 * 24 * time.Hour
	saveEvery      = 5 * time.Second
)

// bookFile is the file.
type bookFile struct {
	Version int                             `json:"version"`
	Saved   time.Time                       `json:"saved"`
	Told    map[string]map[string]entryFile `json:"told"`
}

type entryFile struct {
	Severity string    `json:"severity"`
	Seen     time.Time `json:"seen"`
	Stands   bool      `json:"stands"`
}

const bookVersion = 1

// openBook reads the file at path; one that is not there, or cannot be read, gives an empty book. What stood when it was written counts as seen now: it stood on while nobody looked.
func openBook(path string, now time.Time) (*book, error) {
	b := &book{path: path, told: map[string]map[string]*entry{}}
	if path == "" {
		return b, nil
	}
	text, err := readBounded(path)
	if errors.Is(err, fs.ErrNotExist) {
		return b, nil
	} else if err != nil {
		return b, err
	}
	return b, b.parse(text, now)
}

func readBounded(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxBookBytes+1))
	if err == nil && len(text) > maxBookBytes {
		err = fmt.Errorf("%s is larger than %d MiB", path, maxBookBytes>>20)
	}
	return text, err
}

// parse reads the file's text. A text that is none leaves the book as it is.
func (b *book) parse(text []byte, now time.Time) error {
	var file bookFile
	if err := json.Unmarshal(text, &file); err != nil {
		return fmt.Errorf("%s: %w", b.path, err)
	}
	if file.Version != bookVersion {
		return fmt.Errorf("%s is of version %d, this program knows %d", b.path, file.Version, bookVersion)
	}
	for hook, told := range file.Told {
		for id, e := range told {
			severity, err := fleet.ParseSeverity(e.Severity)
			if err != nil || now.Sub(e.Seen) > bookKept || len(b.of(hook)) >= maxBookEntries {
				continue
			}
			seen := e.Seen
			if e.Stands || seen.After(now) {
				seen = now
			}
			b.of(hook)[id] = &entry{severity: severity, seen: seen, stands: e.Stands, delivered: true}
		}
	}
	return nil
}

func (b *book) of(hook string) map[string]*entry {
	told := b.told[hook]
	if told == nil {
		told = map[string]*entry{}
		b.told[hook] = told
	}
	return told
}

// stands notes that something stands now, and gives the event that it is to the hook, where it is one.
func (b *book) stands(hook string, c *candidate, now time.Time, again time.Duration) (e Event, tell bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	told := b.of(hook)
	old := told[c.id]
	kind := ""
	switch {
	case old == nil || now.Sub(old.seen) > again:
		if old == nil && len(told) >= maxBookEntries {
			b.forget(told)
		}
		kind = Began
	case c.severity > old.severity:
		kind = Worse
	default:
		b.dirty = b.dirty || !old.stands || now.Sub(old.seen) > time.Minute
		old.seen, old.stands = now, true
		if old.last.ID == "" { // it was told by a run before this one
			old.last = c.event()
		}
		return Event{}, false
	}
	e = c.event()
	e.Kind = kind
	told[c.id] = &entry{severity: c.severity, seen: now, stands: true, last: e}
	b.dirty = true
	return e, true
}

// keep notes that something that was told stands on, though it would not be told now.
func (b *book) keep(hook, id string, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if e := b.of(hook)[id]; e != nil && e.stands {
		e.seen = now
	}
}

// gone are the things that stood and do not any more, for so long.
func (b *book) gone(hook string, now time.Time, after time.Duration) (over []Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	told := b.of(hook)
	for id, e := range told {
		switch {
		case e.stands && now.Sub(e.seen) >= after:
			e.stands, b.dirty = false, true
			if e.last.ID != "" && e.delivered {
				last := e.last
				last.Kind, last.Time = Over, now
				over = append(over, last)
			}
		case !e.stands && now.Sub(e.seen) > bookKept:
			delete(told, id)
			b.dirty = true
		}
	}
	slices.SortFunc(over, func(a, c Event) int { return cmp.Compare(a.ID, c.ID) })
	return over
}

// forget drops what was gone for longest, or seen longest ago.
func (b *book) forget(told map[string]*entry) {
	oldest := ""
	for id, e := range told {
		if oldest == "" || e.seen.Before(told[oldest].seen) || e.seen.Equal(told[oldest].seen) && id < oldest {
			oldest = id
		}
	}
	delete(told, oldest)
}

// delivered notes that a hook took what it was told.
func (b *book) delivered(hook string, ids []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, id := range ids {
		if e := b.of(hook)[id]; e != nil {
			e.delivered = true
			b.dirty = true
		}
	}
}

// serve writes the file while it changes, until ctx ends, and then once more.
func (b *book) serve(ctx context.Context, say func(string)) {
	tick := time.NewTicker(saveEvery)
	defer tick.Stop()
	failed := false
	for over := false; !over; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			over = true
		}
		err := b.save()
		if err != nil && !failed {
			say("hooks: what was told cannot be kept, and may be told again after a restart: " + err.Error())
		}
		failed = err != nil
	}
}

// save writes the file where something changed.
func (b *book) save() error {
	text, err := b.text()
	if err != nil || text == nil {
		return err
	}
	if err := replaceFile(b.path, text); err != nil {
		b.mu.Lock()
		b.dirty = true
		b.mu.Unlock()
		return err
	}
	return nil
}

// text is the file's text; nil: nothing changed.
func (b *book) text() ([]byte, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.dirty {
		return nil, nil
	}
	b.dirty = false
	file := bookFile{Version: bookVersion, Saved: time.Now().UTC(), Told: map[string]map[string]entryFile{}}
	for hook, told := range b.told {
		out := map[string]entryFile{}
		for id, e := range told {
			if e.delivered {
				out[id] = entryFile{e.severity.String(), e.seen.UTC(), e.stands}
			}
		}
		if len(out) > 0 {
			file.Told[hook] = out
		}
	}
	return json.Marshal(&file)
}

// replaceFile writes a file that only its owner reads, whole or not at all.
func replaceFile(path string, text []byte) error {
	folder := filepath.Dir(path)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	temp, err := os.CreateTemp(folder, ".hooks-*") // 0600
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name()) // gone already where it took its place
	_, err = temp.Write(text)
	if err == nil {
		err = temp.Sync()
	}
	if err := errors.Join(err, temp.Close()); err != nil {
		return err
	}
	return os.Rename(temp.Name(), path)
}
