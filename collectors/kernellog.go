package collectors

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"foretop/collectors/kernfs"
)

const (
	viaKmsg    = "kmsg"
	viaJournal = "journal"

	// A read into less than the record needs fails and loses the record; the kernel's own limit is below 8 KiB.
	kmsgBufferBytes = 8 << 10
	kernelRemedy    = "needs CAP_SYSLOG, or group adm or systemd-journal"

	maxKernelReads = 64 << 10 // records in one go: a flood leaves time to the ones after it
	clockStepUS    = 20_000   // by so much must the wall clock move against the monotonic one to be set anew
)

// kernelReader drains /dev/kmsg, from the oldest record that the ring holds. Where that is denied it follows the journal instead.
type kernelReader struct {
	m       *machine
	fd      int
	last    uint64 // sequence of the last record read
	started bool
	buf     []byte
	bootUS  int64 // wall time at which the records' clock began
	journal *journal
}

func newKernelLog(m *machine) reader { return &kernelReader{m: m, fd: -1} }

func (r *kernelReader) close() {
	if r.fd >= 0 {
		syscall.Close(r.fd)
	}
	if r.journal != nil {
		r.journal.close()
	}
}

func (r *kernelReader) read(ctx context.Context) error {
	if r.journal != nil {
		return r.journal.condition(r.m.clock.MonoMS())
	}
	if r.fd < 0 {
		if err := r.open(); err != nil {
			return r.fallBack(ctx, err)
		}
	}
	err := r.drain()
	if errors.Is(err, fs.ErrPermission) {
		return r.fallBack(ctx, err) // some kernels refuse the read only
	}
	return err
}

func (r *kernelReader) open() error {
	path := r.m.root.Path("dev/kmsg")
	fd, err := kernfs.Retry(func() (int, error) {
		return syscall.Open(path, syscall.O_RDONLY|syscall.O_CLOEXEC|syscall.O_NONBLOCK, 0)
	})

	if err != nil {
		return &fs.PathError{Op: "open", Path: path, Err: err}
	}
	r.fd = fd
	r.buf = make([]byte, kmsgBufferBytes)
	r.m.kernel.begin(viaKmsg)
	return nil
}

// fallBack follows the journal where this is the machine itself and has one.
func (r *kernelReader) fallBack(ctx context.Context, cause error) error {
	if r.fd >= 0 {
		syscall.Close(r.fd)
		r.fd = -1
	}
	if r.m.root.Real() {
		j, err := startJournal(ctx, r.m, journalPauses())
		if err == nil {
			r.journal = j
			return j.condition(r.m.clock.MonoMS())
		}
	}
	switch {
	case errors.Is(cause, fs.ErrPermission):
		return denied("the kernel log may not be read", kernelRemedy)
	case errors.Is(cause, fs.ErrNotExist):
		return unsupported("no /dev/kmsg here and no journal")
	}
	return cause
}

// drain reads what the ring holds beyond the last record, as far as the queue has room.
func (r *kernelReader) drain() error {
	boot := r.m.clock.Now().UnixMicro() - r.m.clock.MonoMS()*1000
	if d := boot - r.bootUS; d > clockStepUS || d < -clockStepUS {
		r.bootUS = boot
	}
	for reads := 0; reads < maxKernelReads && r.m.kernel.room(); reads++ {
		n, err := syscall.Read(r.fd, r.buf)
		switch {
		case err == syscall.EINTR:
			continue
		case err == syscall.EAGAIN || err == nil && n == 0:
			r.m.kernel.end()
			return nil
		case err == syscall.EPIPE: // records were overwritten before they were read: the next sequence number says how many
			continue
		case err == syscall.EINVAL: // a record larger than the buffer was skipped; the sequence numbers tell that as well
			continue
		case err != nil:
			return &fs.PathError{Op: "read", Path: r.m.root.Path("dev/kmsg"), Err: err}
		}
		if err := r.take(r.buf[:n]); err != nil {
			return err
		}
	}
	return nil
}

func (r *kernelReader) take(b []byte) error {
	var bad error
	for len(b) > 0 {
		var one []byte
		one, b = nextRecord(b)
		rec, err := parseKmsg(one)
		if err != nil {
			bad = fmt.Errorf("parse dev/kmsg: %w", err)
			continue
		}
		if r.started && rec.sequence > r.last+1 {
			r.m.kernel.lose(rec.sequence - r.last - 1)
		}
		r.m.kernel.seen(rec.sequence)
		r.last, r.started = rec.sequence, true
		// Anyone who may write to /dev/kmsg can write lines that look like the kernel's, but not with the kernel's facility.
		if rec.facility == 0 {
			rec.wallUS = r.bootUS + rec.stampUS
			r.m.kernel.put(&rec)
		}
	}
	return bad
}
