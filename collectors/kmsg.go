package collectors

import (
	"bytes"
	"errors"

	"foretop/collectors/kernfs"
	"foretop/telemetry"
	"foretop/telemetry/facts"
)

const (
	maxKernelText   = 2 << 10 // of one line; the kernel's own bound is about 1 KiB, escapes decoded
	maxKernelDevice = 64
)

var errNoRecord = errors.New("not a kernel record")

// kernelRecord is one record of the kernel log as it was read, before it is known whether it is told. Its bytes are the reader's, valid until it reads on.
type kernelRecord struct {
	facility uint64 // 0 is the kernel; user space cannot write with that
	level    uint32
	sequence uint64
	stampUS  int64  // since boot
	wallUS   int64  // Unix time by the node's own clock
	text     []byte // escapes decoded, not cleaned
	device   []byte // as the kernel names it: +pci:0000:3b:00.0
}

// message is the record as it is told.
func (r *kernelRecord) message() *facts.KernelRecord {
	return &facts.KernelRecord{Sequence: r.sequence, Level: r.level, MonoUs: r.stampUS, WallUs: r.wallUS, Facility: uint32(r.facility),
		Text: telemetry.Clean(string(r.text), maxKernelText), Device: telemetry.Clean(string(r.device), maxKernelDevice)}
}

// recordOf is message's way back.
func recordOf(m *facts.KernelRecord) *kernelRecord {
	return &kernelRecord{sequence: m.Sequence, level: m.Level, stampUS: m.MonoUs, wallUS: m.WallUs, facility: uint64(m.Facility), text: []byte(m.Text), device: []byte(m.Device)}
}

func (r *kernelRecord) cost() int { return len(r.text) + len(r.device) + recordOverhead }

// nextRecord cuts one record, dictionary lines included, off. One read of /dev/kmsg gives one; a file may hold many.
func nextRecord(b []byte) (record, rest []byte) {
	for i := 0; i < len(b); i++ {
		if b[i] == '\n' && (i+1 == len(b) || b[i+1] != ' ') {
			return b[:i], b[i+1:]
		}
	}
	return b, nil
}

// parseKmsg parses "prio,sequence,µs,flags[,…];text\n KEY=value\n…" (Documentation/ABI/testing/dev-kmsg).
func parseKmsg(b []byte) (r kernelRecord, err error) {
	head, text, ok := bytes.Cut(b, []byte{';'})
	if !ok {
		return r, errNoRecord
	}
	var n [3]uint64
	for i := range n {
		var w []byte
		w, head, _ = bytes.Cut(head, []byte{','})
		if n[i], ok = kernfs.ParseUint(w); !ok {
			return r, errNoRecord
		}
	}
	text, dictionary := kernfs.Line(text)
	r = kernelRecord{facility: n[0] >> 3, level: uint32(n[0] & 7), sequence: n[1], stampUS: int64(min(n[2], 1<<62)), text: unescape(text)}
	for len(dictionary) > 0 {
		var line []byte
		line, dictionary = kernfs.Line(dictionary)
		if device, ok := bytes.CutPrefix(line, []byte(" DEVICE=")); ok {
			r.device = unescape(device)
		}
	}
	return r, nil
}

// unescape decodes the \xNN by which the kernel writes what is not printable, and the backslash.
func unescape(b []byte) []byte {
	i := bytes.IndexByte(b, '\\')
	if i < 0 {
		return b
	}
	out := append(make([]byte, 0, len(b)), b[:i]...)
	for ; i < len(b); i++ {
		if b[i] == '\\' && i+3 < len(b) && b[i+1] == 'x' {
			hi, lo := unhex(b[i+2]), unhex(b[i+3])
			if hi >= 0 && lo >= 0 {
				out = append(out, byte(hi<<4|lo))
				i += 3
				continue
			}
		}
		out = append(out, b[i])
	}
	return out
}

func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
