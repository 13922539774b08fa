package accelerators

import "errors"

// HPACK (RFC 7541) as far as a client needs it that asks for one thing and told the server to keep no table: the server may not refer to what it sent
// before, so a block stands for itself.

// Fields of a response that are looked at.
const (
	hpackOther   = ""
	hpackStatus  = ":status"
	grpcStatus   = "grpc-status"
	grpcMessage  = "grpc-message"
	grpcEncoding = "grpc-encoding"
	contentType  = "content-type"
)

const (
	hpackStatics   = 61      // entries of the static table
	hpackMaxString = 1 << 14 // bytes of one string, as it travels
	hpackMaxValue  = 512     // bytes of one that are kept
)

var errHPACK = errors.New("header block that breaks RFC 7541")

// hpackReader reads header blocks. Its buffers are used again.
type hpackReader struct {
	name, value [hpackMaxValue]byte
}

// read gives the fields of a block that are looked at, in their order. The value is valid during the call.
func (h *hpackReader) read(b []byte, visit func(name string, value []byte)) error {
	for len(b) > 0 {
		var index uint64
		var ok bool
		switch first := b[0]; {
		case first&0x80 != 0: // an entry of a table, name and value
			if index, b, ok = hpackInt(b, 7); !ok || index == 0 || index > hpackStatics {
				return errHPACK
			}
			if name := hpackNameOf(index); name != hpackOther {
				visit(name, []byte(hpackStatusOf(index)))
			}
			continue
		case first&0xe0 == 0x20: // the size of the table changes: it stays empty all the same
			if _, b, ok = hpackInt(b, 5); !ok {
				return errHPACK
			}
			continue
		case first&0xc0 == 0x40: // a literal that is to be kept
			index, b, ok = hpackInt(b, 6)
		default: // one that is not
			index, b, ok = hpackInt(b, 4)
		}
		if !ok || index > hpackStatics {
			return errHPACK
		}
		name := hpackNameOf(index)
		if index == 0 {
			var raw []byte
			if raw, b, ok = h.text(b, h.name[:0]); !ok {
				return errHPACK
			}
			name = hpackKnown(raw)
		}
		var value []byte
		if value, b, ok = h.text(b, h.value[:0]); !ok {
			return errHPACK
		}
		if name != hpackOther {
			visit(name, value)
		}
	}
	return nil
}

// hpackStatusOf is the value of the static entries that are statuses, "" for others.
func hpackStatusOf(index uint64) string {
	codes := [...]string{8: "200", 9: "204", 10: "206", 11: "304", 12: "400", 13: "404", 14: "500"}
	if index < uint64(len(codes)) {
		return codes[index]
	}
	return ""
}

// hpackNameOf is the name of a static entry where it is looked at.
func hpackNameOf(index uint64) string {
	switch {
	case index >= 8 && index <= 14:
		return hpackStatus
	case index == 31:
		return contentType
	}
	return hpackOther
}

func hpackKnown(name []byte) string {
	for _, known := range [...]string{grpcStatus, grpcMessage, grpcEncoding, contentType, hpackStatus} {
		if string(name) == known {
			return known
		}
	}
	return hpackOther
}

// hpackInt reads an integer whose first byte has room for so many bits (section 5.1).
func hpackInt(b []byte, bits uint) (v uint64, rest []byte, ok bool) {
	if len(b) == 0 {
		return 0, nil, false
	}
	most := uint64(1)<<bits - 1
	v, b = uint64(b[0])&most, b[1:]
	if v < most {
		return v, b, true
	}
	for shift := uint(0); shift <= 28 && len(b) > 0; shift += 7 {
		c := b[0]
		v, b = v+uint64(c&0x7f)<<shift, b[1:]
		if c&0x80 == 0 {
			return v, b, true
		}
	}
	return 0, nil, false
}

// text reads a string (section 5.2) into buf, as much of it as fits there.
func (h *hpackReader) text(b, buf []byte) (text, rest []byte, ok bool) {
	if len(b) == 0 {
		return nil, nil, false
	}
	packed := b[0]&0x80 != 0
	n, b, ok := hpackInt(b, 7)
	if !ok || n > uint64(len(b)) || n > hpackMaxString {
		return nil, nil, false
	}
	raw, rest := b[:n], b[n:]
	if !packed {
		return append(buf, raw[:min(len(raw), cap(buf))]...), rest, true
	}
	text, ok = huffman(raw, buf)
	return text, rest, ok
}

// huffmanBits is the length of each octet's code (RFC 7541, appendix B); the code is canonical: shorter codes first, then by octet.
const huffmanBits = "" +
	"\x0d\x17\x1c\x1c\x1c\x1c\x1c\x1c\x1c\x18\x1e\x1c\x1c\x1e\x1c\x1c\x1c\x1c\x1c\x1c\x1c\x1c\x1e\x1c\x1c\x1c\x1c\x1c\x1c\x1c\x1c\x1c" +
	"\x06\x0a\x0a\x0c\x0d\x06\x08\x0b\x0a\x0a\x08\x0b\x08\x06\x06\x06\x05\x05\x05\x06\x06\x06\x06\x06\x06\x06\x07\x08\x0f\x06\x0c\x0a" +
	"\x0d\x06\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x08\x07\x08\x0d\x13\x0d\x0e\x06" +
	"\x0f\x05\x06\x05\x06\x05\x06\x06\x06\x05\x07\x07\x06\x06\x06\x05\x06\x07\x06\x05\x05\x06\x07\x07\x07\x07\x07\x0f\x0b\x0e\x0d\x1c" +
	"\x14\x16\x14\x14\x16\x16\x16\x17\x16\x17\x17\x17\x17\x17\x18\x17\x18\x18\x16\x17\x18\x17\x17\x17\x17\x15\x16\x17\x16\x17\x17\x18" +
	"\x16\x15\x14\x16\x16\x17\x17\x15\x17\x16\x16\x18\x15\x16\x17\x17\x15\x15\x16\x15\x17\x16\x17\x17\x14\x16\x16\x16\x17\x16\x16\x17" +
	"\x1a\x1a\x14\x13\x16\x17\x16\x19\x1a\x1a\x1a\x1b\x1b\x1a\x18\x19\x13\x15\x1a\x1b\x1b\x1a\x1b\x18\x15\x15\x1a\x1a\x1c\x1b\x1b\x1b" +
	"\x14\x18\x14\x15\x16\x15\x15\x17\x16\x16\x19\x19\x18\x18\x1a\x17\x1a\x1b\x1a\x1a\x1b\x1b\x1b\x1b\x1b\x1c\x1b\x1b\x1b\x1b\x1b\x1a"

const huffmanLongest = 30

// huffmanCodes is the code, made of its lengths: for each length its first code, how many there are, and where their octets begin among all, by code.
var huffmanCodes = func() (t struct {
	first, count, at [huffmanLongest + 1]uint32
	octets           [256]byte
}) {
	code, n := uint32(0), uint32(0)
	for bits := 1; bits <= huffmanLongest; bits++ {
		code <<= 1
		t.first[bits], t.at[bits] = code, n
		for octet := range 256 {
			if int(huffmanBits[octet]) == bits {
				t.octets[n] = byte(octet)
				n++
				code++
			}
		}
		t.count[bits] = n - t.at[bits]
	}
	return t
}()

// huffman unpacks a string into buf, as much of it as fits there. What pads the last octet must be ones, fewer than eight.
func huffman(b, buf []byte) ([]byte, bool) {
	code, bits := uint32(0), 0
	for _, octet := range b {
		for i := 7; i >= 0; i-- {
			code, bits = code<<1|uint32(octet>>i&1), bits+1
			if bits > huffmanLongest {
				return nil, false
			}
			if d := code - huffmanCodes.first[bits]; code >= huffmanCodes.first[bits] && d < huffmanCodes.count[bits] {
				if len(buf) < cap(buf) {
					buf = append(buf, huffmanCodes.octets[huffmanCodes.at[bits]+d])
				}
				code, bits = 0, 0
			}
		}
	}
	return buf, bits < 8 && code == 1<<bits-1
}
