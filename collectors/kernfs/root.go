// Package kernfs reads the kernel's own files, those of /proc and /sys: under a [Root], so that tests read fixture trees; kept open where they are
// read each second ([File]); and it cuts and scans the text that is in them. It only reads. The sources of package collectors, and those beneath it,
// are who calls it; it knows none of them.
package kernfs

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Root is the folder that stands for "/": empty for the machine itself, a fixture tree in tests.
type Root string

// Path gives the file's name under the root. The name has no leading slash.
func (r Root) Path(name string) string { return string(r) + "/" + name }

// Real says whether the root is the machine itself, so that programs may be asked about it.
func (r Root) Real() bool { return r == "" || r == "/" }

// maxFile bounds what is read of one file; /proc/stat of 2,048 CPUs with all its interrupts stays below it.
const maxFile = 1 << 20

// Read appends the whole file to buf[:0], at most [maxFile] bytes. It opens, reads and closes: for files read once or rarely.
func (r Root) Read(name string, buf []byte) ([]byte, error) {
	path := r.Path(name)
	fd, err := Open(path)
	if err != nil {
		return buf[:0], fmt.Errorf("open %s: %w", path, err)
	}
	defer syscall.Close(fd)
	buf = buf[:0]
	for len(buf) < maxFile {
		if cap(buf)-len(buf) < 512 {
			buf = append(buf, make([]byte, max(4096, len(buf)))...)[:len(buf)]
		}
		n, err := Retry(func() (int, error) { return syscall.Read(fd, buf[len(buf):cap(buf)]) })
		if err != nil {
			return buf[:0], fmt.Errorf("read %s: %w", path, err)
		}
		if n == 0 {
			break
		}
		buf = buf[:len(buf)+n]
	}
	return buf, nil
}

// Word is the file's text without the blanks around it, empty when the file cannot be read: for descriptions, never for readings.
func (r Root) Word(name string) string {
	b, err := r.Read(name, nil)
	if err != nil {
		return ""
	}
	return string(Trim(b))
}

// Number is the file's decimal value.
func (r Root) Number(name string, buf []byte) (uint64, []byte, error) {
	b, err := r.Read(name, buf)
	if err != nil {
		return 0, b, err
	}
	v, ok := ParseUint(Trim(b))
	if !ok {
		return 0, b, fmt.Errorf("parse %s: not a number: %.40q", r.Path(name), b)
	}
	return v, b, nil
}

// Names lists a folder, sorted.
func (r Root) Names(name string) ([]string, error) {
	entries, err := os.ReadDir(r.Path(name))
	if err != nil {
		return nil, err
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, nil
}

// Target is the last element of what a symbolic link points to, empty when there is none.
func (r Root) Target(name string) string {
	t, err := os.Readlink(r.Path(name))
	if err != nil {
		return ""
	}
	return filepath.Base(t)
}

func (r Root) Exists(name string) bool {
	_, err := os.Lstat(r.Path(name))
	return err == nil
}

// Open opens a file to read.
func Open(path string) (int, error) {
	return Retry(func() (int, error) { return syscall.Open(path, syscall.O_RDONLY|syscall.O_CLOEXEC, 0) })
}

// Retry makes a call anew for as long as a signal interrupts it.
func Retry(call func() (int, error)) (int, error) {
	for {
		n, err := call()
		if err != syscall.EINTR {
			return n, err
		}
	}
}

// File is a file kept open: a pread at 0 of a /proc or /sys file gives its present content at a fifth of the price of opening it anew.
type File struct {
	root Root
	Name string // under the root
	fd   int    // -1: not open
	buf  []byte
}

// onePiece is what the kernel gives in one read, if it is asked for more: sysfs whole values, /proc whole lines, a page of them at most.
const onePiece = 2 << 10

func (r Root) Hold(name string) *File { return &File{root: r, Name: name, fd: -1} }

// Read gives the present content, valid until the next call. After an error (the device went away) the next call opens the file anew.
func (h *File) Read() ([]byte, error) {
	if h.fd < 0 {
		fd, err := Open(h.root.Path(h.Name))
		if err != nil {
			return nil, &fs.PathError{Op: "open", Path: h.root.Path(h.Name), Err: err}
		}
		h.fd = fd
	}
	if h.buf == nil {
		h.buf = make([]byte, 256)
	}
	n := 0
	for {
		m, err := h.pread(n)
		if err != nil {
			h.Close()
			return nil, &fs.PathError{Op: "read", Path: h.root.Path(h.Name), Err: err}
		}
		n += m
		// What is shorter than a page less its longest line comes in one piece: asking for its end would double the cost.
		if m == 0 || n < onePiece && n < len(h.buf) && h.buf[n-1] == '\n' || n >= maxFile {
			return h.buf[:n], nil
		}
		if n == len(h.buf) {
			h.buf = append(h.buf, make([]byte, max(4096, len(h.buf)))...)
		}
	}
}

func (h *File) pread(at int) (int, error) {
	for {
		n, err := syscall.Pread(h.fd, h.buf[at:], int64(at))
		if err != syscall.EINTR {
			return n, err
		}
	}
}

// Number is the file's decimal value.
func (h *File) Number() (uint64, error) {
	b, err := h.Read()
	if err != nil {
		return 0, err
	}
	v, ok := ParseUint(Trim(b))
	if !ok {
		return 0, fmt.Errorf("parse %s: not a number: %.40q", h.root.Path(h.Name), b)
	}
	return v, nil
}

func (h *File) Close() {
	if h.fd >= 0 {
		syscall.Close(h.fd)
		h.fd = -1
	}
}
