package facts

import "encoding/binary"

// The wire's types of values.
const (
	wireVarint = 0
	wire8Bytes = 1
	wireBytes  = 2
	wireGroup  = 3 // ends with a wireEndOf of the same number; no message of ours has one
	wireEndOf  = 4
	wire4Bytes = 5

	maxNumber = 1<<29 - 1 // of a field
)

// number reads the number that v points to, as a varint holds it.
func number(v any) uint64 {
	switch v := v.(type) {
	case *uint32:
		return uint64(*v)
	case *int32: // an enumeration too
		return uint64(int64(*v))
	case *uint64:
		return *v
	case *int64:
		return uint64(*v)
	case *bool:
		if *v {
			return 1
		}
	}
	return 0
}

// setNumber writes a number where it belongs, cut to the width of what v points to, as protobuf does; where none does, it is dropped.
func setNumber(v any, x uint64) {
	switch v := v.(type) {
	case *uint32:
		*v = uint32(x)
	case *int32:
		*v = int32(x)
	case *uint64:
		*v = x
	case *int64:
		*v = int64(x)
	case *bool:
		*v = x != 0
	case *[]int32:
		*v = append(*v, int32(x))
	}
}

// takeVarint cuts a varint off b. rest is nil where b ends within it or it has more than 64 bits.
func takeVarint(b []byte) (x uint64, rest []byte) {
	x, n := binary.Uvarint(b)
	if n <= 0 {
		return 0, nil
	}
	return x, b[n:]
}

// takeTag cuts the head of a field off b, and takeBytes a length and as many bytes, and take n bytes: rest is nil where there is none such.
func takeTag(b []byte) (n, wire int, rest []byte) {
	x, rest := takeVarint(b)
	if x>>3 == 0 || x>>3 > maxNumber {
		return 0, 0, nil
	}
	return int(x >> 3), int(x & 7), rest
}

func takeBytes(b []byte) (body, rest []byte) {
	size, b := takeVarint(b)
	if size > uint64(len(b)) || b == nil {
		return nil, nil
	}
	return b[:size], b[size:]
}

func take(b []byte, n int) (rest []byte) {
	if len(b) < n {
		return nil
	}
	return b[n:]
}

func appendTag(b []byte, n, wire int) []byte {
	return binary.AppendUvarint(b, uint64(n)<<3|uint64(wire))
}

func appendText[T string | []byte](b []byte, n int, text T) []byte {
	return append(binary.AppendUvarint(appendTag(b, n, wireBytes), uint64(len(text))), text...)
}

// sizeOfVarint is how many bytes a varint takes.
func sizeOfVarint(x uint64) (n int) {
	for n = 1; x >= 0x80; n++ {
		x >>= 7
	}
	return n
}

// sizeOfBytes is how many bytes field n takes whose value has size bytes.
func sizeOfBytes(n, size int) int {
	return sizeOfVarint(uint64(n)<<3) + sizeOfVarint(uint64(size)) + size
}
