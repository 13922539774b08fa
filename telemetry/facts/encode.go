package facts

import (
	"encoding/binary"
	"slices"

	"foretop/telemetry"
)

// Size is how many bytes Encode would make of the message, if all of its strings are clean.
func Size(m Message) (size int) {
	_, fields := m.shape()
	for n := 1; n <= fields; n++ {
		switch v := m.field(n, false).(type) {
		case nil:
		case *string:
			if *v != "" {
				size += sizeOfBytes(n, len(*v))
			}
		case *[]int32:
			if len(*v) > 0 {
				size += sizeOfBytes(n, sizeOfNumbers(*v))
			}
		case *map[string]string:
			for key, value := range *v {
				size += sizeOfBytes(n, sizeOfBytes(1, len(key))+sizeOfBytes(2, len(value)))
			}
		case list:
			for i := range v.count() {
				size += sizeOfBytes(n, Size(v.at(i)))
			}
		case Message:
			size += sizeOfBytes(n, Size(v))
		default:
			if x := number(v); x != 0 {
				size += sizeOfVarint(uint64(n)<<3) + sizeOfVarint(x)
			}
		}
	}
	return size
}

func sizeOfNumbers(numbers []int32) (size int) {
	for _, x := range numbers {
		size += sizeOfVarint(uint64(int64(x)))
	}
	return size
}

// appendMessage appends what the message holds; zero and "" are not told.
func appendMessage(b []byte, m Message) []byte {
	_, fields := m.shape()
	for n := 1; n <= fields; n++ {
		switch v := m.field(n, false).(type) {
		case nil:
		case *string:
			if *v == "" {
				continue
			}
			if clean := telemetry.Clean(*v, maxString); clean != *v {
				*v = clean
			}
			b = appendText(b, n, *v)
		case *[]int32:
			if len(*v) == 0 {
				continue
			}
			b = binary.AppendUvarint(appendTag(b, n, wireBytes), uint64(sizeOfNumbers(*v)))
			for _, x := range *v {
				b = binary.AppendUvarint(b, uint64(int64(x)))
			}
		case *map[string]string:
			b = appendMap(b, n, *v)
		case list:
			for i := range v.count() {
				b = appendNested(b, n, v.at(i))
			}
		case Message:
			b = appendNested(b, n, v)
		default:
			if x := number(v); x != 0 {
				b = binary.AppendUvarint(appendTag(b, n, wireVarint), x)
			}
		}
	}
	return b
}

// appendMap appends an entry for each key, in their order: what says the same is the same bytes. A key that is not clean is dropped: no real one is.
func appendMap(b []byte, n int, m map[string]string) []byte {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		value := m[key]
		if telemetry.Clean(key, telemetry.MaxEnvValueBytes) != key {
			delete(m, key)
			continue
		}
		if clean := telemetry.Clean(value, telemetry.MaxEnvValueBytes); clean != value {
			value = clean
			m[key] = clean
		}
		b = binary.AppendUvarint(appendTag(b, n, wireBytes), uint64(sizeOfBytes(1, len(key))+sizeOfBytes(2, len(value))))
		b = appendText(appendText(b, 1, key), 2, value)
	}
	return b
}

// appendNested appends a message of a message. Its size is known only once it is there: room is left for a short one, and it is moved for another.
func appendNested(b []byte, n int, m Message) []byte {
	b = appendTag(b, n, wireBytes)
	head := len(b)
	b = appendMessage(append(b, 0), m)
	size := len(b) - head - 1
	if more := sizeOfVarint(uint64(size)) - 1; more > 0 {
		b = append(b, "123456789"[:more]...)
		copy(b[head+1+more:], b[head+1:])
	}
	binary.PutUvarint(b[head:], uint64(size))
	return b
}
