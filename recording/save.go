package recording

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"foretop/fleet"
)

// Save writes what was recorded from one time to another to a file of its own, which must not be there: mode 0600, there as a whole or not at all.
func (r *Recorder) Save(path string, about About, from, to time.Time) error {
	var some []span
	for _, s := range r.spans(micros(to)) {
		end := s.from
		for i := range s.blocks {
			end = max(end, s.blocks[i].to)
		}
		if end >= micros(from) && s.from <= micros(to) {
			some = append(some, s)
		}
	}
	if len(some) == 0 {
		return fmt.Errorf("save %s: nothing was recorded at that time", path)
	}
	part := path + ".part"
	f, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	err = write(f, about, some, r.marksIn(from, to))
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Link(part, path) // which, unlike a renaming, writes nothing over
	}
	if e := os.Remove(part); err == nil {
		err = e
	}
	return err
}

func (r *Recorder) marksIn(from, to time.Time) (in []Mark) {
	for _, m := range r.Marks() {
		if !m.At.Before(from) && !m.At.After(to) {
			in = append(in, m)
		}
	}
	return in
}

func write(f *os.File, about About, spans []span, marks []Mark) error {
	if _, err := f.WriteString(fileLine()); err != nil {
		return err
	}
	first := moment(spans[0].from)
	blocks := [][]byte{wordBlock(blockAbout, first, about).data, wordBlock(blockMarks, first, marks).data}
	for _, s := range spans {
		for i := range s.blocks {
			blocks = append(blocks, s.blocks[i].data)
		}
	}
	for _, b := range blocks {
		if _, err := f.Write(b); err != nil {
			return err
		}
	}
	return f.Sync()
}

// Saver saves the minutes around critical findings by itself: a file each, or one of several that lie close together. Its files are bounded in number and size; the oldest go first.
type Saver struct {
	opt SaverOptions

	mu      sync.Mutex
	mark    Mark // the first of those that wait
	due     time.Time
	last    time.Time // up to when was saved
	closed  bool
	writing sync.WaitGroup
}

// SaverOptions say what is saved, and where.
type SaverOptions struct {
	Recorder *Recorder
	Folder   string // made where it is not there, for its owner only
	About    About
	Files    int   // at most
	Bytes    int64 // of all together, at most
	// Saved is told each file, or why there is none; nil: nobody is.
	Saved func(path string, err error)
}

// Around is how much is saved before a critical finding, and as much after it.
const Around = 5 * time.Minute

// NewSaver returns one, whose Found and Check are to be called.
func NewSaver(opt SaverOptions) *Saver { return &Saver{opt: opt} }

// Found takes a finding's beginning, for Options.Found.
func (s *Saver) Found(m Mark) {
	if m.Severity < fleet.Critical {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.due.IsZero() && !m.At.Before(s.last) {
		s.mark, s.due = m, m.At.Add(Around)
	}
}

// Check saves what is due. It returns at once.
func (s *Saver) Check(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.due.IsZero() && !now.Before(s.due) {
		s.save(s.due)
	}
}

// Close saves what waits, as far as it was recorded, and returns when all is written.
func (s *Saver) Close() {
	s.mu.Lock()
	if !s.due.IsZero() && !s.closed {
		s.save(s.due)
	}
	s.closed = true
	s.mu.Unlock()
	s.writing.Wait()
}

func (s *Saver) save(to time.Time) {
	mark := s.mark
	s.due, s.last = time.Time{}, to
	s.writing.Go(func() {
		path := filepath.Join(s.opt.Folder, fileName(mark))
		err := os.MkdirAll(s.opt.Folder, 0o700)
		if err == nil {
			err = s.opt.Recorder.Save(path, s.opt.About, mark.At.Add(-Around), to)
		}
		if err == nil {
			err = prune(s.opt.Folder, path, s.opt.Files, s.opt.Bytes)
		}
		if s.opt.Saved != nil {
			s.opt.Saved(path, err)
		}
	})
}

// Files of a saver are called by the time and the words of the finding.
const (
	savedPrefix = "incident-"
	savedSuffix = ".foretop"
	savedTime   = "20060102-150405"
)

func fileName(m Mark) string {
	var b strings.Builder
	for _, r := range strings.ToLower(m.Text) {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			b.WriteRune(r)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
		if b.Len() >= 48 {
			break
		}
	}
	return savedPrefix + m.At.UTC().Format(savedTime) + "-" + strings.Trim(b.String(), "-") + savedSuffix
}

// prune removes the oldest saved files until the others, the newest one in any case, are within the bounds.
func prune(folder, newest string, files int, bytes int64) error {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	type saved struct {
		name string
		size int64
	}
	var list []saved
	total := int64(0)
	for _, e := range entries {
		info, err := e.Info()
		if name := e.Name(); err == nil && info.Mode().IsRegular() && strings.HasPrefix(name, savedPrefix) && strings.HasSuffix(name, savedSuffix) {
			list = append(list, saved{name, info.Size()})
			total += info.Size()
		}
	}
	slices.SortFunc(list, func(a, b saved) int { return strings.Compare(a.name, b.name) })
	for len(list) > 1 && (len(list) > files || total > bytes) {
		old := list[0]
		list = list[1:]
		if old.name == filepath.Base(newest) {
			continue
		}
		if err := os.Remove(filepath.Join(folder, old.name)); err != nil {
			return err
		}
		total -= old.size
	}
	return nil
}
