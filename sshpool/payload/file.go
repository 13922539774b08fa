package payload

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// File is one program, ready to be sent.
type File struct {
	Name   string // "foretop-collector", "foretop-nvml", "foretop"
	SHA256 string // of the program itself, 64 hex digits
	Size   int64  // of the program itself, bytes

	path   string                        // where it lies on this machine, empty when it does not
	plain  func() (io.ReadCloser, error) // nil when only the packed form is at hand
	packed func() (io.ReadCloser, error) // nil when only the plain form is at hand
}

// Path is the program's own path on this machine, empty when it exists only inside this executable.
func (f *File) Path() string { return f.path }

// Open gives the program.
func (f *File) Open() (io.ReadCloser, error) {
	if f.plain != nil {
		return f.plain()
	}
	r, err := f.packed()
	if err != nil {
		return nil, err
	}
	z, err := gzip.NewReader(r)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open payload %s: %w", f.Name, err), r.Close())
	}
	return unpacked{z, r}, nil
}

type unpacked struct {
	io.Reader
	under io.Closer
}

func (u unpacked) Close() error { return u.under.Close() }

// WriteGzip writes the program, compressed, to w.
func (f *File) WriteGzip(w io.Writer) error {
	if f.packed != nil {
		r, err := f.packed()
		if err != nil {
			return err
		}
		defer r.Close()
		_, err = io.Copy(w, r)
		return err
	}
	r, err := f.plain()
	if err != nil {
		return err
	}
	defer r.Close()
	// gzip writes some 240 bytes at a time: over SSH each would be a packet of its own.
	buffered := bufio.NewWriterSize(w, 32<<10)
	z, err := gzip.NewWriterLevel(buffered, gzip.BestSpeed)
	if err != nil {
		return fmt.Errorf("compress payload %s: %w", f.Name, err)
	}
	if _, err := io.Copy(z, r); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	return buffered.Flush()
}

// digest fills in size and sum by reading the whole program once.
func (f *File) digest() error {
	r, err := f.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	sum := sha256.New()
	if f.Size, err = io.Copy(sum, r); err != nil {
		return fmt.Errorf("read payload %s: %w", f.Name, err)
	}
	f.SHA256 = hex.EncodeToString(sum.Sum(nil))
	return nil
}

// FromPath is a program that lies on this machine.
func FromPath(name, path string) (*File, error) {
	f := &File{Name: name, path: path, plain: func() (io.ReadCloser, error) {
		r, err := os.Open(path)
		if err != nil {
			return nil, fmt.Errorf("open program: %w", err)
		}
		return r, nil
	}}
	return f, f.digest()
}

// FromBytes is a program in memory.
func FromBytes(name string, program []byte) *File {
	sum := sha256.Sum256(program)
	return &File{Name: name, SHA256: hex.EncodeToString(sum[:]), Size: int64(len(program)), plain: func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(program)), nil
	}}
}

// fromPacked is a gzip file inside dir; nil when it is not there.
func fromPacked(dir fs.FS, name, path string) (*File, error) {
	if _, err := fs.Stat(dir, path); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	f := &File{Name: name, packed: func() (io.ReadCloser, error) {
		r, err := dir.Open(path)
		if err != nil {
			return nil, fmt.Errorf("open payload: %w", err)
		}
		return r, nil
	}}
	return f, f.digest()
}
