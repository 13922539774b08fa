package accelerators

import (
	"encoding/binary"
	"errors"
	"math"
)

// The messages of the TPU runtime's metric service, tpu.monitoring.runtime.RuntimeMetricService of libtpu, read by hand: the field numbers are those of
// tpu_info/proto/tpu_metric_service.proto (github.com/AI-Hypercomputer/cloud-accelerator-diagnostics).

const tpuMethod = "/tpu.monitoring.runtime.RuntimeMetricService/GetRuntimeMetric"

// tpuRequest is a MetricRequest {1: metric_name}.
func tpuRequest(metric string) []byte {
	return append([]byte{1<<3 | pbBytes, byte(len(metric))}, metric...)
}

// tpuSample is one value of a metric: of a device, which is a core where a chip has two.
type tpuSample struct {
	device int64
	value  float64
}

const maxTPUSamples = 512 // of one metric

var errTPUMetric = errors.New("not an answer of the TPU runtime's metric service")

// parseTPUMetric reads a MetricResponse {1: TPUMetric {3: repeated Metric}} into list[:0]. Values that are neither gauges nor counters are left out, and so
// are those of no device.
func parseTPUMetric(b []byte, list []tpuSample) ([]tpuSample, error) {
	list = list[:0]
	err := pbEach(b, func(f pbField) error {
		if f.number != 1 || f.wire != pbBytes {
			return nil
		}
		return pbEach(f.bytes, func(f pbField) error {
			if f.number != 3 || f.wire != pbBytes || len(list) == maxTPUSamples {
				return nil
			}
			s, ok, err := parseTPUSample(f.bytes)
			if ok && err == nil {
				list = append(list, s)
			}
			return err
		})
	})
	return list, err
}

// parseTPUSample reads a Metric {1: Attribute, 3: Gauge, 4: Counter}. One without an attribute is of the first device.
func parseTPUSample(b []byte) (s tpuSample, ok bool, err error) {
	hasValue, hasDevice := false, true
	err = pbEach(b, func(f pbField) error {
		switch {
		case f.number == 1 && f.wire == pbBytes:
			var err error
			s.device, hasDevice, err = parseTPUDevice(f.bytes)
			return err
		case (f.number == 3 || f.number == 4) && f.wire == pbBytes: // {1: as_double, 2: as_int}
			return pbEach(f.bytes, func(v pbField) error {
				switch {
				case v.number == 1 && v.wire == pbFixed64:
					s.value, hasValue = math.Float64frombits(v.value), true
				case v.number == 2 && v.wire == pbVarint:
					s.value, hasValue = float64(int64(v.value)), true
				}
				return nil
			})
		}
		return nil
	})
	bad := math.IsNaN(s.value) || math.IsInf(s.value, 0) || s.value < 0
	return s, hasValue && hasDevice && !bad && s.device >= 0 && s.device < 1<<16, err
}

// parseTPUDevice reads an Attribute {1: key, 2: AttrValue}: a device's number as such, or beside others in a list of attributes, where its key is
// device_ordinal. libtpu writes it as a number or as a string.
func parseTPUDevice(b []byte) (device int64, ok bool, err error) {
	var key, value []byte
	err = pbEach(b, func(f pbField) error {
		switch {
		case f.number == 1 && f.wire == pbBytes:
			key = f.bytes
		case f.number == 2 && f.wire == pbBytes:
			value = f.bytes
		}
		return nil
	})
	if err != nil {
		return 0, false, err
	}
	if len(value) == 0 {
		return 0, true, nil // a number that is not set is 0
	}
	err = pbEach(value, func(f pbField) error { // AttrValue {1: string_attr, 3: int_attr, 6: kvlist_attr}
		switch {
		case f.number == 3 && f.wire == pbVarint:
			device, ok = int64(f.value), true
		case f.number == 1 && f.wire == pbBytes:
			if n, isNumber := (jsonValue{text: f.bytes}).integer(); isNumber {
				device, ok = n, true
			}
		case f.number == 6 && f.wire == pbBytes && string(key) != "device_ordinal": // KeyValueList {1: repeated Attribute}; it is not nested
			return pbEach(f.bytes, func(f pbField) error {
				if f.number != 1 || f.wire != pbBytes || ok {
					return nil
				}
				d, found, err := parseTPUOrdinal(f.bytes)
				if found {
					device, ok = d, true
				}
				return err
			})
		}
		return nil
	})
	return device, ok, err
}

// parseTPUOrdinal reads an attribute of a list, if it is the device's ordinal.
func parseTPUOrdinal(b []byte) (device int64, ok bool, err error) {
	ours := false
	err = pbEach(b, func(f pbField) error {
		ours = ours || f.number == 1 && f.wire == pbBytes && string(f.bytes) == "device_ordinal"
		return nil
	})
	if err != nil || !ours {
		return 0, false, err
	}
	return parseTPUDevice(b)
}

// Wire types of protobuf that it still has.
const (
	pbVarint  = 0
	pbFixed64 = 1
	pbBytes   = 2
	pbFixed32 = 5
)

// pbField is a field of a message: its value, or its bytes.
type pbField struct {
	number uint64
	wire   byte
	value  uint64
	bytes  []byte
}

// pbEach gives the fields of a message in their order.
func pbEach(b []byte, visit func(pbField) error) error {
	for len(b) > 0 {
		tag, n := binary.Uvarint(b)
		if n <= 0 || tag>>3 == 0 {
			return errTPUMetric
		}
		b = b[n:]
		f := pbField{number: tag >> 3, wire: byte(tag & 7)}
		size := 0
		switch f.wire {
		case pbVarint, pbBytes:
			if f.value, n = binary.Uvarint(b); n <= 0 {
				return errTPUMetric
			}
			b = b[n:]
			if f.wire == pbBytes {
				if f.value > uint64(len(b)) {
					return errTPUMetric
				}
				size = int(f.value)
				f.bytes = b[:size:size]
			}
		case pbFixed64:
			if size = 8; len(b) >= size {
				f.value = binary.LittleEndian.Uint64(b)
			}
		case pbFixed32:
			if size = 4; len(b) >= size {
				f.value = uint64(binary.LittleEndian.Uint32(b))
			}
		default:
			return errTPUMetric
		}
		if size > len(b) {
			return errTPUMetric
		}
		b = b[size:]
		if err := visit(f); err != nil {
			return err
		}
	}
	return nil
}
