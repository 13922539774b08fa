package export

import (
	"bufio"
	"io"
	"math"
	"strconv"
	"strings"

	"foretop/fleet"
	"foretop/telemetry"
)

// Format is one of the two text formats that metrics are published in.
type Format uint8

// OpenMetrics is version 1.0.0 of it; PrometheusText is Prometheus's own older format, version 0.0.4, which everything reads.
const (
	OpenMetrics Format = iota
	PrometheusText
)

// ContentType is the format's media type.
func (f Format) ContentType() string {
	if f == PrometheusText {
		return "text/plain; version=0.0.4; charset=utf-8"
	}
	return "application/openmetrics-text; version=1.0.0; charset=utf-8"
}

// kind is what a metric's values mean.
type kind uint8

const (
	gauge   kind = iota
	counter      // named ..._total
	// foreignCounter counts, under another exporter's name that does not end in _total: OpenMetrics knows no such counter and calls it unknown.
	foreignCounter
	info // always 1, what it says is in its labels; named ..._info
)

// head describes one metric. Name is what its samples are called; unit is its name's end, where it is named by one.
type head struct {
	name string
	kind kind
	unit string
	help string
}

// exposition writes metrics, each as one run of samples under its description, which is left out where no sample comes. The first error of the writer ends it.
type exposition struct {
	w       *bufio.Writer
	format  Format
	due     head       // whose description is still to be written
	last    string     // whose description was written
	begun   func(head) // told of each metric; nil: nobody is
	scratch []byte
}

func newExposition(w io.Writer, format Format) *exposition {
	return &exposition{w: bufio.NewWriterSize(w, 64<<10), format: format}
}

// metric begins a metric. The same name may be begun again right after itself.
func (e *exposition) metric(h head) {
	e.due = h
	if e.begun != nil {
		e.begun(h)
	}
}

// sample writes one value of the metric, nothing where there is none. The labels are as [labels] writes them.
func (e *exposition) sample(labels string, v fleet.Reading) {
	e.sampleWith(labels, "", v)
}

// sampleWith is sample with more labels behind.
func (e *exposition) sampleWith(labels, more string, v fleet.Reading) {
	if !v.Known() || math.IsInf(float64(v), 0) {
		return
	}
	if e.due.name != e.last {
		e.describe()
	}
	_, _ = e.w.WriteString(e.due.name)
	if labels != "" || more != "" {
		_ = e.w.WriteByte('{')
		_, _ = e.w.WriteString(labels)
		if labels != "" && more != "" {
			_ = e.w.WriteByte(',')
		}
		_, _ = e.w.WriteString(more)
		_ = e.w.WriteByte('}')
	}
	_ = e.w.WriteByte(' ')
	e.scratch = append(appendNumber(e.scratch[:0], float64(v)), '\n')
	_, _ = e.w.Write(e.scratch)
}

// appendNumber writes a value as short as it can be without losing anything that a reading has: nine digits, and whole numbers whole.
func appendNumber(to []byte, v float64) []byte {
	if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
		return strconv.AppendInt(to, int64(v), 10)
	}
	return strconv.AppendFloat(to, v, 'g', 9, 64)
}

var kindWords = [...][2]string{ // by kind: OpenMetrics's word, Prometheus's
	gauge: {"gauge", "gauge"}, counter: {"counter", "counter"}, foreignCounter: {"unknown", "counter"}, info: {"info", "gauge"},
}

func (e *exposition) describe() {
	h := e.due
	e.last = h.name
	family := h.name
	if e.format == OpenMetrics { // there a metric is called without the end that its kind gives its samples
		switch h.kind {
		case counter:
			family = strings.TrimSuffix(family, "_total")
		case info:
			family = strings.TrimSuffix(family, "_info")
		}
	}
	line := func(words ...string) {
		for i, word := range words {
			if i > 0 {
				_ = e.w.WriteByte(' ')
			}
			_, _ = e.w.WriteString(word)
		}
		_ = e.w.WriteByte('\n')
	}
	line("# HELP", family, escaped(h.help, e.format == OpenMetrics))
	line("# TYPE", family, kindWords[h.kind][e.format])
	if h.unit != "" && e.format == OpenMetrics {
		line("# UNIT", family, h.unit)
	}
}

// end writes what ends the whole, and gives the first error of the writer.
func (e *exposition) end() error {
	if e.format == OpenMetrics {
		_, _ = e.w.WriteString("# EOF\n")
	}
	return e.w.Flush()
}

// maxLabelBytes bounds a label's value.
const maxLabelBytes = 128

// labels writes pairs of names and values, without braces. Values are anybody's: control characters are taken out and what is longer than maxLabelBytes is
// cut. A label without a value is left out: to Prometheus it is the same.
func labels(pairs ...string) string {
	var b strings.Builder
	for i := 0; i+1 < len(pairs); i += 2 {
		value := telemetry.Clean(pairs[i+1], maxLabelBytes)
		if value == "" {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		b.WriteString(pairs[i])
		b.WriteString(`="`)
		b.WriteString(escaped(value, true))
		b.WriteByte('"')
	}
	return b.String()
}

// joined are labels and more labels.
func joined(some, more string) string {
	if some == "" || more == "" {
		return some + more
	}
	return some + "," + more
}

// escaped is text with backslashes, line ends and, where asked for, quotes escaped.
func escaped(s string, quotes bool) string {
	if !strings.ContainsAny(s, "\\\n\"") {
		return s
	}
	s = strings.ReplaceAll(s, `\`, `\\`)
	s = strings.ReplaceAll(s, "\n", `\n`)
	if quotes {
		s = strings.ReplaceAll(s, `"`, `\"`)
	}
	return s
}
