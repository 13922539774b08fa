package telemetry

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Kind says what a frame's payload holds.
type Kind uint8

// Kinds of frames. Samples are columnar (encoder.go), everything else is protobuf of telemetry/facts.
const (
	KindHello       Kind = 1  // node → front: facts.Hello, the first frame
	KindInventory   Kind = 2  // node → front: facts.Inventory, whole, whenever it changed; a whole sample follows
	KindSample      Kind = 3  // node → front: a sample
	KindProcesses   Kind = 4  // node → front: facts.Processes
	KindUsage       Kind = 5  // node → front: facts.Usage: all of it at detail level; at base level of told processes alone, and seldom
	KindKernelLog   Kind = 6  // node → front: facts.KernelLog
	KindSourceNotes Kind = 7  // node → front: facts.SourceNotes, whenever a source's words change
	KindBye         Kind = 8  // node → front: facts.Bye, why the collector ends
	KindGPUEvents   Kind = 9  // node → front: facts.GPUEvents, what a driver reports of its accelerators beside the kernel log
	KindRAS         Kind = 10 // node → front: facts.RAS, the answer to facts.AskRAS
	KindControl     Kind = 16 // front → node: facts.Control
)

// AppendFrame appends one frame to dst: length (uvarint: bytes that follow, the kind included), kind (one byte), payload. The payload must be shorter than the receiving end's bound.
func AppendFrame(dst []byte, k Kind, payload []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(payload)+1))
	dst = append(dst, byte(k))
	return append(dst, payload...)
}

// FrameWriter writes frames, each with one Write call. It is not safe for concurrent use.
type FrameWriter struct {
	w   io.Writer
	max int
	buf []byte
}

// NewFrameWriter returns a writer that refuses frames whose kind and payload exceed max bytes.
func NewFrameWriter(w io.Writer, max int) *FrameWriter { return &FrameWriter{w: w, max: max} }

// PieceBytes is how much of a stream is written at a time: with what SSH puts around it, it fits 4 KiB.
const PieceBytes = 4000

// ErrFrameTooLarge is returned for a frame that the other end would refuse. Nothing was written.
var ErrFrameTooLarge = errors.New("frame too large")

// Write writes one frame and returns the bytes written.
func (f *FrameWriter) Write(k Kind, payload []byte) (int, error) {
	if len(payload)+1 > f.max {
		return 0, fmt.Errorf("write frame of kind %d, %d bytes: %w", k, len(payload), ErrFrameTooLarge)
	}
	f.buf = AppendFrame(f.buf[:0], k, payload)
	return f.w.Write(f.buf)
}

// FrameReader cuts a stream into frames. Its memory is bounded by the largest frame seen, which is bounded by max.
type FrameReader struct {
	r   *bufio.Reader
	max int
	buf []byte
}

// NewFrameReader returns a reader that takes a frame of more than limit bytes as broken protocol.
func NewFrameReader(r io.Reader, limit int) *FrameReader {
	return &FrameReader{r: bufio.NewReaderSize(r, 2048), max: max(limit, 1)}
}

// Read returns the next frame. The payload is valid until the next call. At a clean end of the stream the error is io.EOF; in the
// middle of a frame it is io.ErrUnexpectedEOF; a broken frame gives *[Malformed].
func (f *FrameReader) Read() (Kind, []byte, error) {
	n, err := f.length()
	if err != nil {
		return 0, nil, err
	}
	k, err := f.r.ReadByte()
	if err != nil {
		return 0, nil, inFrame(err)
	}
	n--
	// What fits the bufio buffer is handed out in place: the usual sample costs no copy and no memory.
	if n <= f.r.Size() {
		f.buf = nil
		p, err := f.r.Peek(n)
		if err != nil {
			return 0, nil, inFrame(err)
		}
		_, err = f.r.Discard(n)
		return Kind(k), p, err
	}
	// Memory grows with what truly arrives, not with what the length claims; the usual frame after a large one gives it back.
	f.buf = f.buf[:0]
	for len(f.buf) < n {
		step := min(n-len(f.buf), 16<<10)
		at := len(f.buf)
		f.buf = append(f.buf, make([]byte, step)...)
		if _, err := io.ReadFull(f.r, f.buf[at:]); err != nil {
			return 0, nil, inFrame(err)
		}
	}
	return Kind(k), f.buf, nil
}

func (f *FrameReader) length() (int, error) {
	var n uint64
	for i := 0; ; i++ {
		b, err := f.r.ReadByte()
		if err != nil {
			if i > 0 {
				err = inFrame(err)
			}
			return 0, err
		}
		if i == binary.MaxVarintLen32 {
			return 0, malformed("frame length does not end")
		}
		n |= uint64(b&0x7f) << (7 * i)
		if b < 0x80 {
			break
		}
	}
	if n == 0 {
		return 0, malformed("frame of no bytes")
	}
	if n > uint64(f.max) {
		return 0, malformed("frame of %d bytes, more than the %d allowed", n, f.max)
	}
	return int(n), nil
}

func inFrame(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
