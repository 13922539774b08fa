package recording

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A file begins with a line of text, "foretop recording 1": a format of another number is another format.
const (
	fileWord    = "foretop recording "
	fileVersion = 1
)

func fileLine() string { return fileWord + strconv.Itoa(fileVersion) + "\n" }

// VersionError is a recording of another version's format.
type VersionError struct{ Version string }

func (e *VersionError) Error() string {
	return fmt.Sprintf("it was recorded by another version of foretop (format %s, this one reads %d): replay it with that version", e.Version, fileVersion)
}

// Writer writes a recording to a file. Writing never holds up who records: what waits to be written is bounded.
type Writer struct {
	f     *os.File
	queue chan *block
	done  chan struct{}

	mu     sync.Mutex
	err    error
	bytes  int64
	failed func(error)
}

// maxQueued bounds the blocks that wait to be written: some minutes' worth.
const maxQueued = 32

// Create begins a file, which must not be there yet: mode 0600. failed is told once why nothing more is written; it may be nil.
func Create(path string, about About, failed func(error)) (*Writer, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return nil, fmt.Errorf("%s is there already: name another file, nothing is written over", path)
	}
	if err != nil {
		return nil, err
	}
	w := &Writer{f: f, queue: make(chan *block, maxQueued), done: make(chan struct{}), failed: failed}
	if _, err := f.WriteString(fileLine()); err != nil {
		f.Close()
		return nil, err
	}
	go w.work()
	w.queue <- wordBlock(blockAbout, time.Now(), about)
	return w, nil
}

// wordBlock is a block that holds one value.
func wordBlock(kind byte, at time.Time, v any) *block {
	s := newStreams(micros(at))
	b, err := json.Marshal(v)
	if err != nil {
		b = []byte("null") // never: these are plain structs
	}
	s.word(b)
	return s.seal(kind, micros(at), micros(at))
}

// Write takes a block, for Options.Write.
func (w *Writer) Write(b Block) { w.put(b.b) }

// Found takes a finding's beginning, for Options.Found.
func (w *Writer) Found(m Mark) { w.put(wordBlock(blockMarks, m.At, []Mark{m})) }

func (w *Writer) put(b *block) {
	select {
	case w.queue <- b:
	default:
		w.fail(errors.New("the disk takes no more: it is slower than the recording, or hangs"))
	}
}

func (w *Writer) fail(err error) {
	w.mu.Lock()
	first := w.err == nil
	if first {
		w.err = err
	}
	w.mu.Unlock()
	if first && w.failed != nil {
		w.failed(err)
	}
}

// Err is why nothing more is written; nil: it goes on.
func (w *Writer) Err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// Bytes is how much was written.
func (w *Writer) Bytes() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.bytes
}

func (w *Writer) work() {
	defer close(w.done)
	for b := range w.queue {
		if w.Err() != nil {
			continue // after a gap nothing that follows could be read
		}
		if _, err := w.f.Write(b.data); err != nil {
			w.fail(err)
			continue
		}
		w.mu.Lock()
		w.bytes += int64(len(b.data))
		w.mu.Unlock()
		if b.kind == blockKey {
			_ = w.f.Sync() // a segment is whole; a disk that cannot is told by the next write
		}
	}
}

// Close writes what waits, and ends the file. Nobody may write any more.
func (w *Writer) Close() error {
	close(w.queue)
	<-w.done
	err := w.Err()
	if e := w.f.Sync(); err == nil {
		err = e
	}
	if e := w.f.Close(); err == nil {
		err = e
	}
	return err
}

// File is a recording on disk.
type File struct {
	f     *os.File
	size  int64
	spans []span
	marks []Mark
	about About
	torn  int64 // bytes at its end that are no whole block
	gaps  int   // places in the middle that could not be read
}

// maxBlocks bounds a file: 60 days of one.
const maxBlocks = 1 << 20

// Open opens a recording. A torn end is cut, what is damaged in the middle is left out.
func Open(path string) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	r := &File{f: f}
	if err := r.scan(); err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

// Close ends it. Nothing may be asked of it any more.
func (r *File) Close() error { return r.f.Close() }

// About says what it is of.
func (r *File) About() About { return r.about }

// Torn is how many bytes at its end belong to no whole block, as after a crash, and Gaps how many places within it could not be read.
func (r *File) Torn() (bytes int64, gaps int) { return r.torn, r.gaps }

func (r *File) read(at int64, n int) ([]byte, error) {
	b := make([]byte, n)
	if _, err := r.f.ReadAt(b, at); err != nil {
		return nil, fmt.Errorf("read recording: %w", err)
	}
	return b, nil
}

func (r *File) scan() error {
	info, err := r.f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errors.New("is no file")
	}
	r.size = info.Size()
	line := make([]byte, 64)
	n, err := r.f.ReadAt(line, 0)
	if err != nil && err != io.EOF {
		return err
	}
	word, _, ok := strings.Cut(string(line[:n]), "\n")
	version, is := strings.CutPrefix(word, fileWord)
	if !ok || !is {
		return errors.New("is no recording of foretop")
	}
	if version != strconv.Itoa(fileVersion) {
		if _, err := strconv.Atoi(version); err != nil || len(version) > 9 {
			version = "unknown"
		}
		return &VersionError{version}
	}
	at, blocks := int64(len(fileLine())), 0
	for at < r.size {
		h, err := r.header(at)
		if err == nil && r.take(h, at) {
			at += int64(blockHeader + h.length)
			if blocks++; blocks > maxBlocks {
				return damaged("more than %d blocks", maxBlocks)
			}
			continue
		}
		next := r.resume(at + 1)
		if next < 0 {
			r.torn = r.size - at
			break
		}
		r.gaps++
		at = next
	}
	r.check()
	if len(r.spans) == 0 {
		return errors.New("holds nothing: its recording ended before its first block was written")
	}
	return nil
}

// header reads the header at a place; an error is a place where none is, or a block that ends behind the file.
func (r *File) header(at int64) (head, error) {
	var b [blockHeader]byte
	if _, err := r.f.ReadAt(b[:], at); err != nil {
		return head{}, err
	}
	h, err := parseHead(b[:])
	if err == nil && at+blockHeader+int64(h.length) > r.size {
		err = damaged("a block cut short")
	}
	return h, err
}

// take notes a block; false: it is not what was written.
func (r *File) take(h head, at int64) bool {
	s := stored{head: h, file: r, at: at}
	switch h.kind {
	case blockKey:
		r.spans = append(r.spans, span{from: h.from, blocks: []stored{s}})
	case blockData:
		if len(r.spans) > 0 {
			last := &r.spans[len(r.spans)-1]
			last.blocks = append(last.blocks, s)
		}
	case blockMarks, blockAbout:
		data, err := s.load()
		if err != nil {
			return false
		}
		src, err := open(h, data, new([]byte))
		if err != nil {
			return false
		}
		b, err := src.word()
		if err != nil {
			return false
		}
		if h.kind == blockAbout {
			return decode(b, &r.about) == nil
		}
		var list []Mark
		if decode(b, &list) != nil {
			return false
		}
		for _, m := range list {
			m.Severity = min(m.Severity, 3)
			r.marks = append(r.marks, m)
		}
		r.marks = r.marks[max(0, len(r.marks)-maxMarks):]
	}
	return true
}

// check looks at the last block's sum: a crash may have left its header and not its bytes.
func (r *File) check() {
	for len(r.spans) > 0 {
		last := &r.spans[len(r.spans)-1]
		if n := len(last.blocks); n > 0 {
			b := &last.blocks[n-1]
			data, err := b.load()
			if err == nil && checksum(data, data[blockHeader:]) == b.sum {
				break
			}
			r.torn = max(r.torn, r.size-b.at)
			last.blocks = last.blocks[:n-1]
		}
		if len(last.blocks) == 0 {
			r.spans = r.spans[:len(r.spans)-1]
		}
	}
	slices.SortStableFunc(r.marks, func(a, b Mark) int { return a.At.Compare(b.At) })
	for i := 1; i < len(r.spans); i++ { // a clock that was set back
		r.spans[i].from = max(r.spans[i].from, r.spans[i-1].from)
	}
}

// resume finds the next segment after a place that could not be read; -1 for none.
func (r *File) resume(at int64) int64 {
	const step = 1 << 20
	buf := make([]byte, step+blockHeader)
	for ; at < r.size; at += step {
		n, err := r.f.ReadAt(buf, at)
		if err != nil && err != io.EOF {
			return -1
		}
		for i := 0; i < min(n, step); i++ {
			k := strings.Index(string(buf[i:n]), blockMark)
			if k < 0 {
				break
			}
			if i += k; i >= step || i+blockHeader > n {
				break
			}
			h, err := r.header(at + int64(i))
			if err != nil || h.kind != blockKey {
				continue
			}
			s := stored{head: h, file: r, at: at + int64(i)}
			if data, err := s.load(); err == nil && checksum(data, data[blockHeader:]) == h.sum {
				return s.at
			}
		}
	}
	return -1
}

// Past looks into the file.
func (r *File) Past(replay Replay) *Past {
	if replay.Idle == 0 {
		replay.Idle = max(0, r.about.IdleAfter)
	}
	return &Past{replay: replay, spans: func(int64) []span { return r.spans }, extent: r.extent, marks: func() []Mark { return slices.Clone(r.marks) }}
}

func (r *File) extent() (from, to time.Time, kept string, ok bool) {
	end := int64(0)
	for _, b := range r.spans[len(r.spans)-1].blocks {
		end = max(end, b.to)
	}
	from, to = moment(r.spans[0].from), moment(end)
	kept = "recorded, " + words(to.Sub(from))
	if r.torn > 0 {
		kept += ", its end was torn off"
	}
	if r.gaps > 0 {
		kept += fmt.Sprintf(", damaged in %d places", r.gaps)
	}
	return from, to, kept, true
}
