package journal

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// Sizes of the file, in bytes: above one it is made smaller, to at most the other.
const (
	maxFile  = 4 << 20
	goalFile = 2 << 20
	maxRead  = 16 << 20 // of a file that is not ours there may be any amount
)

// lockPatience is how long another may hold the lock.
const lockPatience = 2 * time.Second

// errLocked is a lock that another holds for longer than that.
var errLocked = errors.New("another foretop holds its lock")

// file is where entries are kept. One goroutine uses it.
type file struct {
	path string
	id   os.FileInfo // of the file that was read last
	read int64       // up to where
}

// exchange reads what is new, hands it to take, and appends what that gives, all under the lock. Nothing is opened where nothing is new and nothing is to be written.
func (f *file) exchange(wait []entry, now time.Time, take func(read []entry) (write []entry)) error {
	if len(wait) == 0 && f.fresh() {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(f.path), 0o700); err != nil {
		return err
	}
	unlock, err := lock(f.path+".lock", lockPatience)
	if err != nil {
		return fmt.Errorf("lock %s: %w", f.path, err)
	}
	defer unlock()
	h, err := os.OpenFile(f.path, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer func() { h.Close() }()
	info, err := h.Stat()
	switch {
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is no regular file", f.path)
	case info.Mode().Perm()&0o077 != 0:
		if err := h.Chmod(0o600); err != nil {
			return err
		}
	}
	if f.id == nil || !os.SameFile(f.id, info) || info.Size() < f.read {
		f.id, f.read = info, 0
	}
	read, err := f.news(h, info.Size())
	if err != nil {
		return fmt.Errorf("read %s: %w", f.path, err)
	}
	entries := take(read)
	if err := f.append(h, entries); err != nil {
		return fmt.Errorf("write %s: %w", f.path, err)
	}
	if f.read > maxFile {
		if err := f.shrink(h, now); err != nil {
			return fmt.Errorf("make %s smaller: %w", f.path, err)
		}
	}
	return nil
}

// fresh says that the file is as it was read last.
func (f *file) fresh() bool {
	info, err := os.Stat(f.path)
	if errors.Is(err, os.ErrNotExist) {
		return true
	}
	return err == nil && f.id != nil && os.SameFile(f.id, info) && info.Size() == f.read
}

// news reads from where it was read to, to the end.
func (f *file) news(h *os.File, size int64) (list []entry, err error) {
	if size-f.read > maxRead {
		f.read = size - maxRead
	}
	err = eachLine(io.NewSectionReader(h, f.read, size-f.read), func(line []byte) {
		if e, ok := parseEntry(line); ok {
			list = append(list, e)
		}
	})
	if err != nil {
		return nil, err
	}
	f.read = size
	return list, nil
}

// eachLine hands over lines; of one that is too long, its beginning.
func eachLine(r io.Reader, use func([]byte)) error {
	b := bufio.NewReaderSize(r, maxLine+2)
	for {
		line, err := b.ReadSlice('\n')
		use(bytes.TrimSuffix(line, []byte("\n")))
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = b.ReadSlice('\n')
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

// append writes entries at the end, after ending a line that was torn.
func (f *file) append(h *os.File, entries []entry) error {
	var b []byte
	for i := range entries {
		b = append(b, entries[i].line()...)
	}
	if len(b) == 0 {
		return nil
	}
	if f.read > 0 {
		last := make([]byte, 1)
		if _, err := h.ReadAt(last, f.read-1); err != nil {
			return err
		}
		if last[0] != '\n' {
			b = append([]byte{'\n'}, b...)
		}
	}
	n, err := h.Write(b)
	f.read += int64(n)
	return err
}

// shrink writes the file anew: what is younger than it is kept for, the latest of it first where that is too much; marks and looks are few, and stay longest. Who
// has the old file open finds the new one by its path.
func (f *file) shrink(h *os.File, now time.Time) error {
	var lines [][]byte
	var marks []bool
	sizes := [2]int64{}
	if err := eachLine(io.NewSectionReader(h, 0, f.read), func(line []byte) {
		e, ok := parseEntry(line)
		if !ok || now.Sub(e.Time) > keepFor {
			return
		}
		mark := e.Kind == kindMark || e.Kind == kindLooked
		lines, marks = append(lines, append(bytes.Clone(line), '\n')), append(marks, mark)
		if mark {
			sizes[1] += int64(len(line) + 1)
		} else {
			sizes[0] += int64(len(line) + 1)
		}
	}); err != nil {
		return err
	}
	tmp, err := os.OpenFile(f.path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	w := bufio.NewWriter(tmp)
	var written int64
	for i, line := range lines {
		of := 0
		if marks[i] {
			of = 1
		}
		room := int64(goalFile * 3 / 4) // of findings
		if of == 1 {
			room = goalFile / 4
		}
		if sizes[of] > room {
			sizes[of] -= int64(len(line))
			continue // the oldest go
		}
		n, _ := w.Write(line) // kept by the writer until Flush
		written += int64(n)
	}
	err = errors.Join(w.Flush(), tmp.Sync(), tmp.Close())
	if err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), f.path); err != nil {
		return err
	}
	info, err := os.Stat(f.path)
	if err != nil {
		return err
	}
	f.id, f.read = info, written
	return nil
}
