package accelerators

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"foretop/collectors/kernfs"
	"foretop/telemetry"
	"foretop/telemetry/facts"
)

// gaudiColumn is a column of hl-smi --query-aip.
type gaudiColumn struct {
	name   string
	tier   int              // the columns of tier 0 are in every version; of the others, those of the highest tier are left out first
	metric telemetry.Metric // of a number; 0 otherwise (telemetry's first metric is none of a GPU's)
	times  float64          // the number, in hl-smi's unit, to the metric's
}

// gaudiColumns, by the "System Management Interface Tool" page of Intel's Gaudi documentation.
var gaudiColumns = []gaudiColumn{
	{"index", 0, 0, 0},
	{"bus_id", 0, 0, 0},
	{"uuid", 0, 0, 0},
	{"name", 0, 0, 0},
	{"driver_version", 0, 0, 0},
	{"memory.total", 0, telemetry.GPUMemTotalBytes, 1 << 20},
	{"memory.used", 0, telemetry.GPUMemUsedBytes, 1 << 20},
	{"power.draw", 0, telemetry.GPUPowerMW, 1000},
	{"temperature.aip", 0, telemetry.GPUTempC, 1},
	{"utilization.aip", 0, telemetry.GPUUtilPct, 1},
	{"serial", 1, 0, 0},
	{"module_id", 1, 0, 0},
	{"ecc.errors.corrected.volatile.total", 2, telemetry.GPUECCVolatileCorrected, 1},
	{"ecc.errors.uncorrected.volatile.total", 2, telemetry.GPUECCVolatileUncorrected, 1},
	{"ecc.errors.corrected.aggregate.total", 2, telemetry.GPUECCAggregateCorrected, 1},
	{"ecc.errors.uncorrected.aggregate.total", 2, telemetry.GPUECCAggregateUncorrected, 1},
	{"power.max", 3, telemetry.GPUPowerLimitMW, 1000},
}

// gaudiSMI streams hl-smi. A version that does not know a column is asked without it: without the one that it names in its complaint, else without the
// highest tier.
type gaudiSMI struct {
	stream *stream

	mu      sync.Mutex
	columns []gaudiColumn
	rows    map[string]gaudiRow // by PCI address
	good    bool                // the program that runs, or the last one, gave rows
	fewer   bool                // columns were taken away
	said    string              // its last line that is no row
}

// gaudiRow is one line of hl-smi: one accelerator.
type gaudiRow struct {
	pci, uuid, name, serial, driver string
	module                          int32 // -1: not told
	memory                          uint64
	values                          []float64 // by place in gaudiColumns, in the metric's unit; -1: not told
	at                              time.Time
}

const (
	gaudiEvery   = "2" // seconds
	gaudiMaxLine = 4 << 10
)

func newGaudiSMI(m Machine) *gaudiSMI {
	g := &gaudiSMI{columns: slices.Clone(gaudiColumns), rows: map[string]gaudiRow{}}
	g.stream = &stream{start: m.Start, name: "hl-smi", commands: g.commands, take: g.line, again: g.narrow, maxLine: gaudiMaxLine,
		patience: usualPatience(gaudiSilence)}
	return g
}

func (g *gaudiSMI) commands() [][]string {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.good, g.fewer = false, false
	names := make([]string, len(g.columns))
	for i, c := range g.columns {
		names[i] = c.name
	}
	args := []string{"-Q", strings.Join(names, ","), "--format", "csv,noheader", "-l", gaudiEvery}
	return [][]string{append([]string{"hl-smi"}, args...), append([]string{"/usr/bin/hl-smi"}, args...)}
}

// line takes a line in.
func (g *gaudiSMI) line(b []byte) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if row, ok := parseGaudiRow(g.columns, b); ok {
		row.at = time.Now()
		if _, known := g.rows[row.pci]; known || len(g.rows) < maxDevices {
			g.rows[row.pci] = row
		}
		g.good, g.said = true, ""
		return
	}
	if len(kernfs.Trim(b)) == 0 {
		return
	}
	g.said = telemetry.Clean(string(kernfs.Trim(b)), 200)
	for i, c := range g.columns {
		if c.tier > 0 && namesColumn(b, c.name) {
			g.columns = slices.Delete(g.columns, i, i+1)
			g.fewer = true
			return
		}
	}
}

// namesColumn says whether a complaint names a column, and not merely one whose name begins or ends like it.
func namesColumn(line []byte, name string) bool {
	part := func(c byte) bool { return c == '.' || c == '_' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' }
	for at := 0; ; at++ {
		i := bytes.Index(line[at:], []byte(name))
		if i < 0 {
			return false
		}
		at += i
		end := at + len(name)
		if (at == 0 || !part(line[at-1])) && (end == len(line) || !part(line[end]) || line[end] == '.' && end+1 == len(line)) {
			return true
		}
	}
}

// narrow says whether hl-smi, which ended, is to be asked at once for fewer columns.
func (g *gaudiSMI) narrow() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.fewer {
		return true
	}
	if g.good || g.stream.state().missing || g.stream.state().starts == 0 {
		return false
	}
	highest := 0
	for _, c := range g.columns {
		highest = max(highest, c.tier)
	}
	if highest == 0 { // it is not for the columns: the next time it is asked for all of them again
		g.columns = slices.Clone(gaudiColumns)
		return false
	}
	g.columns = slices.DeleteFunc(g.columns, func(c gaudiColumn) bool { return c.tier == highest })
	return true
}

func (g *gaudiSMI) complaint() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.said
}

// parseGaudiRow reads a line of CSV with the columns asked for. What hl-smi does not know ("N/A") is absent.
func parseGaudiRow(columns []gaudiColumn, line []byte) (row gaudiRow, ok bool) {
	cells := bytes.Split(line, []byte{','})
	if len(cells) != len(columns) || len(cells) > len(gaudiColumns) {
		return row, false
	}
	row = gaudiRow{module: -1, values: make([]float64, len(gaudiColumns))}
	for i := range row.values {
		row.values[i] = -1
	}
	for i, c := range columns {
		cell := kernfs.Trim(cells[i])
		word := telemetry.Clean(string(cell), 64)
		if strings.EqualFold(word, "N/A") || word == "" {
			continue
		}
		switch c.name {
		case "index":
			if _, isNumber := kernfs.ParseUint(cell); !isNumber {
				return row, false
			}
		case "bus_id":
			row.pci = fullAddress(word)
		case "uuid":
			row.uuid = word
		case "name":
			row.name = word
		case "serial":
			row.serial = word
		case "driver_version":
			row.driver = word
		case "module_id":
			if n, isNumber := kernfs.ParseUint(cell); isNumber && n < 1<<16 {
				row.module = int32(n)
			}
		default:
			row.set(c, cell)
		}
	}
	return row, row.pci != ""
}

// set reads a number, after which its unit may stand.
func (row *gaudiRow) set(c gaudiColumn, cell []byte) {
	number, _ := kernfs.Field(cell)
	v, err := strconv.ParseFloat(string(number), 64)
	if err != nil || !(v >= 0 && v < 1e12) {
		return
	}
	row.values[slices.IndexFunc(gaudiColumns, func(k gaudiColumn) bool { return k.name == c.name })] = v * c.times
	if c.metric == telemetry.GPUMemTotalBytes {
		row.memory = uint64(v * c.times)
	}
}

// has says whether a row tells a metric.
func (row *gaudiRow) has(m telemetry.Metric) bool {
	i := slices.IndexFunc(gaudiColumns, func(c gaudiColumn) bool { return c.metric == m })
	return i < len(row.values) && row.values[i] >= 0
}

// describe adds what a row says to the inventory.
func (g *gaudiSMI) describe(row *gaudiRow, to *facts.GPU) {
	to.Uuid, to.Serial, to.BoardPart, to.MemoryTotalBytes = row.uuid, row.serial, row.name, row.memory
	if row.driver != "" {
		to.Driver = row.driver
	}
	if row.at.IsZero() {
		return
	}
	to.ModuleId = row.module
}

// takeRows takes over what hl-smi said; changed says that the inventory is to be made anew.
func (r *gaudiReader) takeRows() (changed bool) {
	r.smi.mu.Lock()
	defer r.smi.mu.Unlock()
	for i := range r.devices {
		d := &r.devices[i]
		row, ok := r.smi.rows[d.pci.address]
		if ok && row.at.Equal(d.row.at) && time.Since(row.at) < gaudiSilence {
			continue // as it was
		}
		old := time.Since(row.at) >= gaudiSilence
		for k, c := range gaudiColumns {
			switch {
			case c.metric == 0:
			case !ok || old || row.values[k] < 0:
				if c.metric != telemetry.GPUPowerLimitMW { // the driver's files have that one as well
					r.reading.State.Clear(c.metric, i)
				}
			default:
				setFloat(&r.reading.State, c.metric, i, row.values[k])
			}
		}
		if !ok {
			continue
		}
		changed = changed || row.uuid != d.row.uuid || row.name != d.row.name || row.serial != d.row.serial || row.driver != d.row.driver ||
			row.module != d.row.module || row.memory != d.row.memory || d.row.at.IsZero()
		d.row = row
	}
	return changed
}
