package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// mayWrite says, before work is done for it, that a file cannot be written; "" is no file.
func mayWrite(path string, force bool) error {
	if path == "" {
		return nil
	}
	info, err := os.Lstat(path)
	switch {
	case err == nil && info.IsDir():
		return fmt.Errorf("write %s: it is a folder", path)
	case err == nil && !force:
		return fmt.Errorf("write %s: it is there already: --force takes its place", path)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("write: %w", err)
	}
	if folder, err := os.Stat(filepath.Dir(path)); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	} else if !folder.IsDir() {
		return fmt.Errorf("write %s: %s is no folder", path, filepath.Dir(path))
	}
	return nil
}

// writeNew writes a whole file that only its owner can read, or none: a file that is there stays unless force has it replaced.
func writeNew(path string, text []byte, force bool) (err error) {
	temp, err := os.CreateTemp(filepath.Dir(path), ".foretop-*") // 0600
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer func() {
		temp.Close()
		os.Remove(temp.Name()) // gone already where it took its place
		if err != nil {
			err = fmt.Errorf("write %s: %w", path, err)
		}
	}()
	if _, err := temp.Write(text); err != nil {
		return err
	}
	if err := temp.Sync(); err != nil {
		return err
	}
	if force {
		return os.Rename(temp.Name(), path)
	}
	err = os.Link(temp.Name(), path) // fails where one is there, which Rename would replace
	if errors.Is(err, fs.ErrExist) {
		return errors.New("it is there already: --force takes its place")
	} else if err == nil {
		return nil
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) // a file system without links
	if err != nil {
		return err
	}
	if _, err = f.Write(text); err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// parseMoment reads a time as people write it: a date and time, a time of the day (the last one before the end), or how long before the end. "" is the zero time.
func parseMoment(text string, end time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if ago, ok := strings.CutPrefix(text, "-"); ok {
		if d, err := time.ParseDuration(ago); err == nil && d >= 0 {
			return end.Add(-d), nil
		}
	}
	for _, layout := range []string{time.RFC3339, time.DateTime, "2006-01-02 15:04", "2006-01-02T15:04:05", "2006-01-02T15:04", time.DateOnly} {
		if t, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			return t, nil
		}
	}
	for _, layout := range []string{time.TimeOnly, "15:04"} {
		t, err := time.Parse(layout, text)
		if err != nil {
			continue
		}
		local := end.In(time.Local)
		at := time.Date(local.Year(), local.Month(), local.Day(), t.Hour(), t.Minute(), t.Second(), 0, time.Local)
		if at.After(end) {
			at = at.AddDate(0, 0, -1)
		}
		return at, nil
	}
	return time.Time{}, fmt.Errorf("%q is no time: write 14:05, '2026-11-26 14:05:30', or -30m for so long before the end", text)
}
