package accelerators

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"foretop/telemetry"

	"golang.org/x/net/http2/hpack"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/dynamicpb"
)

// wire is a connection on which a hostile peer has said all it has to say.
type wire struct{ *bytes.Reader }

func (wire) Write(b []byte) (int, error)        { return len(b), nil }
func (wire) SetDeadline(time.Time) error        { return nil }
func (wire) Close() error                       { return nil }
func (w wire) Read(b []byte) (n int, err error) { return w.Reader.Read(b[:min(len(b), 1000)]) }

// A peer may say anything: the client ends with an answer or an error, and holds no more than it may.
func FuzzHTTP2(f *testing.F) {
	frame := func(kind, flags byte, stream byte, payload string) string {
		return string([]byte{0, byte(len(payload) >> 8), byte(len(payload)), kind, flags, 0, 0, 0, stream}) + payload
	}
	good := string(message(f, gauges("as_int", 5)))
	f.Add([]byte(frame(h2Settings, 0, 0, "") + frame(h2Headers, h2EndHeaders, 1, "\x88") + frame(h2Data, 0, 1, good) +
		frame(h2Headers, h2EndHeaders|h2EndStream, 1, "\x00\x0bgrpc-status\x010")))
	f.Add([]byte(frame(h2Headers, h2Padded|h2Priority, 1, "\x02\x00\x00\x00\x00\x07\x88ab") + frame(h2Continuation, h2EndHeaders, 1, "\x00\x0bgrpc-status\x0214") + frame(h2Ping, 0, 0, "12345678")))
	f.Add([]byte(frame(h2GoAway, 0, 0, "\x00\x00\x00\x01\x00\x00\x00\x00") + frame(h2RSTStream, 0, 1, "\x00\x00\x00\x07") + frame(h2WindowUpdate, 0, 0, "\x00\x00\x00\x01")))
	f.Add([]byte("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		conn := &grpcConn{h2: newH2(wire{bytes.NewReader(b)}), headers: grpcHeaders("localhost:8431", tpuMethod)}
		for range 3 {
			got, err := conn.call(tpuRequest(dutyMetric), time.Now().Add(time.Minute))
			if len(got) > grpcMaxAnswer || len(conn.h2.block) > h2MaxBlock || len(conn.h2.out) > 64*len(b)+1024 {
				t.Fatalf("holds an answer of %d bytes, a block of %d and %d to send", len(got), len(conn.h2.block), len(conn.h2.out))
			}
			var refused *grpcError
			if errors.As(err, &refused) && telemetry.Clean(refused.Error(), 1000) != refused.Error() {
				t.Errorf("words %q", refused.Error())
			}
			if err == nil {
				parseTPUMetric(got, nil)
			} else if refused == nil {
				break
			}
		}
	})
}

// Our reader of headers takes what golang.org/x/net's does, where nothing refers to a table, and reads the same.
func FuzzHPACK(f *testing.F) {
	var b bytes.Buffer
	e := hpack.NewEncoder(&b)
	for _, h := range [][2]string{{":status", "200"}, {"content-type", "application/grpc"}, {"grpc-status", "0"}, {"grpc-message", "why not?"}, {"x", strings.Repeat("y", 200)}} {
		e.WriteField(hpack.HeaderField{Name: h[0], Value: h[1]})
	}
	f.Add(b.Bytes())
	f.Add([]byte("\x88\x20\x0f\x10\x10application/grpc\x10\x0bgrpc-status\x010"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var h hpackReader
		var got []string
		err := h.read(b, func(name string, value []byte) { got = append(got, name+"="+string(value)) })
		var want []string
		d := hpack.NewDecoder(0, func(f hpack.HeaderField) {
			if hpackKnown([]byte(f.Name)) != hpackOther {
				want = append(want, f.Name+"="+f.Value[:min(len(f.Value), hpackMaxValue)])
			}
		})
		d.SetAllowedMaxDynamicTableSize(0)
		_, theirs := d.Write(b)
		if end := d.Close(); theirs == nil {
			theirs = end
		}
		if theirs == nil {
			if err != nil || strings.Join(got, "|") != strings.Join(want, "|") {
				t.Errorf("%q: %v %q, want %q", b, err, got, want)
			}
		}
		huge := hpack.AppendHuffmanString(nil, string(b))
		if text, ok := huffman(huge, make([]byte, 0, len(b))); !ok || !bytes.Equal(text, b) {
			t.Errorf("packed and unpacked: %q, %v", text, ok)
		}
	})
}

// Protobuf's own library and our reader take the same messages, and find the same numbers in them.
func FuzzTPUMetric(f *testing.F) {
	for _, text := range []string{
		gauges("as_int", 1, 2, 3), gauges("as_double", 0.5, 100), `metric { metrics { attribute { key: "a" value { kvlist_attr { attributes { key: "device_ordinal" value { string_attr: "1" } } } } } counter { as_int: 4 } } }`,
		`metric { name: "x" description: "y" metrics { timestamp { seconds: 4 } distribution { count: 5 bucket_counts: 1 } } }`,
	} {
		f.Add(message(f, text)[grpcPrefix:])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		list, err := parseTPUMetric(b, nil)
		if len(list) > maxTPUSamples {
			t.Fatalf("%d samples", len(list))
		}
		for _, s := range list {
			if math.IsNaN(s.value) || math.IsInf(s.value, 0) || s.value < 0 || s.device < 0 || s.device >= 1<<16 {
				t.Errorf("%+v", s)
			}
		}
		m := dynamicpb.NewMessage(tpuMessages().ByName("MetricResponse"))
		if proto.Unmarshal(b, m) == nil && err != nil && !bytes.ContainsAny(b, "\x0b\x13\x1b\x23\x2b\x33\x3b\x43\x4b\x53\x5b\x63\x6b\x73\x7b") { // groups, which we do not read
			t.Errorf("refused what protobuf takes: %v", err)
		}
	})
}

// The scanner takes every document that encoding/json takes, unless it is too deep, and gives every value in it.
func FuzzScanJSON(f *testing.F) {
	f.Add([]byte(smallReport))
	f.Add([]byte(`{"a":[1,{"b\"":null},true],"c":{"d":-1.5e3,"e":"x\u00e9"}}`))
	f.Add([]byte(`[[[]],{},"",0]`))
	f.Fuzz(func(t *testing.T, b []byte) {
		n := 0
		err := scanJSON(b, func(path []jsonStep, v jsonValue) {
			n++
			v.plain()
			v.integer()
		})
		var doc any
		if json.Unmarshal(b, &doc) != nil {
			return
		}
		values, depth := countJSON(doc)
		if err != nil && depth <= jsonDepth {
			t.Errorf("refused: %q", b)
		}
		if err == nil && n < values { // an object with the same key twice has fewer there
			t.Errorf("%d values of %d", n, values)
		}
	})
}

func countJSON(v any) (values, depth int) {
	var inner []any
	switch v := v.(type) {
	case map[string]any:
		for _, x := range v {
			inner = append(inner, x)
		}
	case []any:
		inner = v
	default:
		return 1, 0
	}
	for _, x := range inner {
		n, d := countJSON(x)
		values, depth = values+n, max(depth, d)
	}
	return values, depth + 1
}

// smallReport has one of all that is taken out of a report of neuron-monitor.
const smallReport = `{"neuron_runtime_data":[{"pid":7,"error":"","report":{"execution_stats":{"error_summary":{"generic":1}},"memory_used":{"neuron_runtime_used_bytes":{"host":9,` +
	`"usage_breakdown":{"neuroncore_memory_usage":{"1":{"tensors":5}}}}},"neuroncore_counters":{"neuroncores_in_use":{"1":{"neuroncore_utilization":42.5,` +
	`"v3d":{"nc_v3.2":{"neuroncore_utilization":21}}}}}}}],"system_data":{"neuron_hw_counters":{"neuron_devices":[{"neuron_device_index":0,"mem_ecc_corrected":1}]}},` +
	`"neuron_hardware_info":{"neuron_device_memory_size":34359738368,"neuroncore_per_device_count":2,"error":"x"}}`

// What the vendors' programs say may be anything.
func FuzzPrograms(f *testing.F) {
	for _, text := range []string{
		smallReport, `[{"neuron_device":2,"bdf":"a0:1c.0","memory_size":34359738368,"neuron_processes":[{"pid":7}]}]`,
		"0, 0000:33:00.0, 01P4-HL3090A0-18, HL-325L, 1.22.1-97ec1a4, 131072 MiB, 672 MiB, 226 W, 36 C, 0 %, AN28400000, 0, 0, 0, 0, 0, 850 W\n",
		"| npu-smi 24.1.0  Version: 24.1.0 |\n| Chip | Bus-Id | HBM-Usage(MB) |\n| 0  910B3 | OK | 101.8 43 0 / 0 |\n| 0 1 | 0000:C1:00.0 | 97 0 / 0 59356/ 65536 |\n| NPU Chip | Process id | a | b |\n| 0 0 | 712 | p | 48 |\n",
		"\tHBM Single Bit Error Count : 3\n\tHBM Double Bit Next-Isolated Pages Count : 1\n\tChip ID : 0\n",
	} {
		f.Add([]byte(text)) // small, for what is found is made smaller still
	}
	f.Add([]byte("POWER_STATUS_VALID,1795440000,12.50,61.25,48.75"))
	clean := func(t *testing.T, words ...string) {
		t.Helper()
		for _, w := range words {
			if telemetry.Clean(w, 300) != w {
				t.Errorf("words %q", w)
			}
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		before := bytes.Clone(b)
		if r, err := parseNeuronReport(b); err == nil {
			clean(t, r.complain)
			for _, x := range r.runtimes {
				if x.pid <= 0 || len(x.cores) > neuronMaxRun {
					t.Errorf("a process %+v", x)
				}
			}
		}
		for _, p := range parseNeuronLS(b) {
			clean(t, p.pci)
		}
		parseNeuronPower(b)
		for _, line := range splitLines(b) {
			if row, ok := parseGaudiRow(gaudiColumns, line); ok {
				clean(t, row.pci, row.uuid, row.name, row.serial, row.driver)
			}
			namesColumn(line, "serial")
		}
		table := parseAscendTable(b)
		for _, r := range table.rows {
			clean(t, r.name, r.health, r.driver, r.pci, r.words())
		}
		if len(table.rows) > maxDevices || len(table.processes) > maxHolders || len(parseAscendECC(b)) > maxDevices {
			t.Error("too much")
		}
		clean(t, firstWords(b))
		total := 0
		if err := takeLines(background, io.LimitReader(bytes.NewReader(b), bytesPerSecond-1), 256, func(l []byte) { total += len(l) }); err != nil || total > len(b) {
			t.Errorf("%d bytes of lines: %v", total, err)
		}
		if !bytes.Equal(b, before) {
			t.Error("a parser wrote to its input")
		}
	})
}

// A whole reader takes whatever the programs and files say.
func FuzzNeuronReader(f *testing.F) {
	f.Add([]byte(smallReport), 2, 2)
	f.Add([]byte(smallReport), 1, 8)
	f.Fuzz(func(t *testing.T, b []byte, devices, cores int) {
		r := &neuronReader{}
		r.monitor = newNeuronMonitor(Machine{})
		r.m.Root = "/nonexistent"
		for d := range min(max(devices, 0), 20) {
			dev := neuronDevice{index: uint32(d)}
			for c := range min(max(cores, 0), 20) {
				dev.tree.cores = append(dev.tree.cores, neuronCore{index: uint32(c)})
			}
			r.devices = append(r.devices, dev)
		}
		r.describe()
		r.monitor.line(b)
		r.takeReport(1000)
		for _, h := range r.reading.Holders {
			if int(h.GPU) >= len(r.reading.GPUs) || int(h.Part) > len(r.reading.Parts) || h.Part > 0 && r.reading.Parts[h.Part-1].Gpu != h.GPU {
				t.Errorf("holder %+v of %d devices and %d parts", h, len(r.reading.GPUs), len(r.reading.Parts))
			}
		}
		for i := range r.reading.Parts {
			if v := r.reading.State.Get(telemetry.PartUtilPct, i); v != telemetry.Absent && (v < 0 || v > 100) {
				t.Errorf("a part is %s %% busy", fmt.Sprint(v))
			}
		}
	})
}
