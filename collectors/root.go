package collectors

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Root is the folder that stands for "/": empty for the machine itself, a fixture tree in tests.
type Root string

// path gives the file's name under the root. The name has no leading slash.
func (r Root) path(name string) string { return string(r) + "/" + name }

// real says whether the root is the machine itself, so that programs may be asked about it.
func (r Root) real() bool { return r == "" || r == "/" }

// maxFile bounds what is read of one file; /proc/stat of 2,048 CPUs with all its interrupts stays below it.
const maxFile = 1 << 20

// read appends the whole file to buf[:0], at most [maxFile] bytes. It opens, reads and closes: for files read once or rarely.
func (r Root) read(name string, buf []byte) ([]byte, error) {
	path := r.path(name)
	fd, err := open(path)
	if err != nil {
		return buf[:0], fmt.Errorf("open %s: %w", path, err)
	}
	defer syscall.Close(fd)
	buf = buf[:0]
	for len(buf) < maxFile {
		if cap(buf)-len(buf) < 512 {
			buf = append(buf, make([]byte, max(4096, len(buf)))...)[:len(buf)]
		}
		n, err := retry(func() (int, error) { return syscall.Read(fd, buf[len(buf):cap(buf)]) })
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

// word is the file's text without the blanks around it, empty when the file cannot be read: for descriptions, never for readings.
func (r Root) word(name string) string {
	b, err := r.read(name, nil)
	if err != nil {
		return ""
	}
	return string(trim(b))
}

// number is the file's decimal value.
func (r Root) number(name string, buf []byte) (uint64, []byte, error) {
	b, err := r.read(name, buf)
	if err != nil {
		return 0, b, err
	}
	v, ok := parseUint(trim(b))
	if !ok {
		return 0, b, fmt.Errorf("parse %s: not a number: %.40q", r.path(name), b)
	}
	return v, b, nil
}

// names lists a folder, sorted.
func (r Root) names(name string) ([]string, error) {
	entries, err := os.ReadDir(r.path(name))
	if err != nil {
		return nil, err
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, nil
}

// target is the last element of what a symbolic link points to, empty when there is none.
func (r Root) target(name string) string {
	t, err := os.Readlink(r.path(name))
	if err != nil {
		return ""
	}
	return filepath.Base(t)
}

func (r Root) exists(name string) bool {
	_, err := os.Lstat(r.path(name))
	return err == nil
}

func open(path string) (int, error) {
	return retry(func() (int, error) { return syscall.Open(path, syscall.O_RDONLY|syscall.O_CLOEXEC, 0) })
}

func retry(call func() (int, error)) (int, error) {
	for {
		n, err := call()
		if err != syscall.EINTR {
			return n, err
		}
	}
}

// held is a file kept open: a pread at 0 of a /proc or /sys file gives its present content at a fifth of the price of opening it anew.
type held struct {
	root Root
	name string
	fd   int // -1: not open
	buf  []byte
}

func (r Root) hold(name string) *held { return &held{root: r, name: name, fd: -1} }

// read gives the present content, valid until the next call. After an error (the device went away) the next call opens the file anew.
func (h *held) read() ([]byte, error) {
	if h.fd < 0 {
		fd, err := open(h.root.path(h.name))
		if err != nil {
			return nil, &fs.PathError{Op: "open", Path: h.root.path(h.name), Err: err}
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
			h.close()
			return nil, &fs.PathError{Op: "read", Path: h.root.path(h.name), Err: err}
		}
		n += m
		// One value of sysfs comes in one piece: asking for its end would double the cost.
		if m == 0 || n < 64 && h.buf[n-1] == '\n' || n >= maxFile {
			return h.buf[:n], nil
		}
		if n == len(h.buf) {
			h.buf = append(h.buf, make([]byte, max(4096, len(h.buf)))...)
		}
	}
}

func (h *held) pread(at int) (int, error) {
	for {
		n, err := syscall.Pread(h.fd, h.buf[at:], int64(at))
		if err != syscall.EINTR {
			return n, err
		}
	}
}

// number is the file's decimal value.
func (h *held) number() (uint64, error) {
	b, err := h.read()
	if err != nil {
		return 0, err
	}
	v, ok := parseUint(trim(b))
	if !ok {
		return 0, fmt.Errorf("parse %s: not a number: %.40q", h.root.path(h.name), b)
	}
	return v, nil
}

func (h *held) close() {
	if h.fd >= 0 {
		syscall.Close(h.fd)
		h.fd = -1
	}
}
