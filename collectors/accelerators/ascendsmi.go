package accelerators

import (
	"bytes"
	"math"
	"strconv"
	"strings"

	"foretop/collectors/kernfs"
	"foretop/telemetry"
)

// ascendTable is what `npu-smi info` tells: a table for people, and the only output that has all cards and processes in it. Its shape by version and kind:
// two lines a chip, "NPU Name | Health | Power(W) Temp(C) Hugepages-Usage(page)" and "Chip [Phy-ID|Device] | Bus-Id | AICore(%) Memory-Usage(MB)
// [HBM-Usage(MB)]", and a table of processes after it.
type ascendTable struct {
	rows      []ascendRow
	processes []ascendProcess
}

// ascendRow is one chip. NaN: not told.
type ascendRow struct {
	card, chip      int
	minor           int32 // N of /dev/davinciN; -1: not told
	name            string
	driver          string
	health          string
	pci             string
	powerW, tempC   float64
	util            float64
	usedMB, totalMB float64 // of HBM, or of the memory where there is none
}

// words are what the inventory is made of.
func (r *ascendRow) words() string {
	return strings.Join([]string{r.name, r.health, r.driver, strconv.Itoa(r.card), strconv.Itoa(r.chip), strconv.Itoa(int(r.minor)),
		strconv.FormatFloat(r.totalMB, 'f', 0, 64)}, "|")
}

// ascendProcess is a process on a chip.
type ascendProcess struct {
	card, chip int
	pid        int32
	memoryMB   uint64
}

func splitLines(b []byte) [][]byte {
	lines := bytes.Split(b, []byte{'\n'})
	for i := range lines {
		lines[i] = kernfs.Trim(lines[i])
	}
	return lines
}

// parseAscendTable reads the answer of `npu-smi info`. What does not fit is left out.
func parseAscendTable(b []byte) (t ascendTable) {
	var pending *ascendRow // the first of a chip's two lines
	driver, hbm, inProcesses := "", false, false
	for _, line := range splitLines(b) {
		if _, v, ok := bytes.Cut(line, []byte("Version:")); ok && driver == "" {
			word, _ := kernfs.Field(v)
			driver = telemetry.Clean(string(word), 64)
		}
		if len(line) < 2 || line[0] != '|' || line[len(line)-1] != '|' {
			continue
		}
		cells := bytes.Split(line[1:len(line)-1], []byte{'|'})
		hbm = hbm || bytes.Contains(line, []byte("HBM-Usage(MB)"))
		switch {
		case bytes.Contains(line, []byte("Process id")):
			inProcesses = true
		case inProcesses:
			if p, ok := parseAscendProcess(cells); ok && len(t.processes) < maxHolders {
				t.processes = append(t.processes, p)
			}
		case len(cells) != 3:
		case fullAddress(string(kernfs.Trim(cells[1]))) == "":
			pending = parseAscendFirst(cells)
		default:
			if pending != nil && pending.second(cells, hbm) && len(t.rows) < maxDevices {
				pending.driver = driver
				t.rows = append(t.rows, *pending)
			}
			pending = nil
		}
	}
	return t
}

// parseAscendFirst reads the first line of a chip; nil where it is none, such as the head of the table.
func parseAscendFirst(cells [][]byte) *ascendRow {
	card, rest, ok := kernfs.Leading(cells[0])
	if !ok || card > 1<<16 {
		return nil
	}
	power, after := kernfs.Field(cells[2])
	temp, _ := kernfs.Field(after)
	return &ascendRow{card: int(card), name: telemetry.Clean(string(kernfs.Trim(rest)), 64), health: telemetry.Clean(string(kernfs.Trim(cells[1])), 32),
		powerW: parseMeasure(power), tempC: parseMeasure(temp)}
}

// second reads the second line of a chip: "0 | 0000:C1:00.0 | 12 0 / 0 3311 / 65536", where the numbers may touch the bars.
func (r *ascendRow) second(cells [][]byte, hbm bool) bool {
	chip, rest, ok := kernfs.Leading(cells[0])
	if !ok || chip > 1<<16 {
		return false
	}
	r.chip, r.minor = int(chip), -1
	if n, _, ok := kernfs.Leading(rest); ok && n < 1<<16 {
		r.minor = int32(n)
	}
	r.pci = fullAddress(string(kernfs.Trim(cells[1])))
	util, rest := kernfs.Field(cells[2])
	r.util, r.usedMB, r.totalMB = parseMeasure(util), math.NaN(), math.NaN()
	for range 2 {
		used, after, ok := bytes.Cut(rest, []byte{'/'})
		if !ok {
			break
		}
		total, after := kernfs.Field(after)
		// The last pair is that of HBM, where there is any.
		if u, n := parseMeasure(kernfs.Trim(used)), parseMeasure(total); n > 0 {
			r.usedMB, r.totalMB = u, n
		}
		if rest = after; !hbm {
			break
		}
	}
	return true
}

// parseMeasure reads a number; "NA" and "-" are none.
func parseMeasure(b []byte) float64 {
	if len(b) == 0 || len(b) > 20 {
		return math.NaN()
	}
	v, err := strconv.ParseFloat(string(b), 64)
	if err != nil || !(v >= 0 && v < 1e9) {
		return math.NaN()
	}
	return v
}

// parseAscendProcess reads a row of the table of processes: "0 0 | 4242 | python3 | 1024 |", the name may be missing.
func parseAscendProcess(cells [][]byte) (p ascendProcess, ok bool) {
	if len(cells) < 4 || len(cells) > 5 {
		return p, false
	}
	card, rest, okCard := kernfs.Leading(cells[0])
	chip, _, okChip := kernfs.Leading(rest)
	pid, okPID := kernfs.ParseUint(kernfs.Trim(cells[1]))
	if !okCard || !okChip || !okPID || pid == 0 || pid >= 1<<31 || card > 1<<16 || chip > 1<<16 {
		return p, false
	}
	memory, _ := kernfs.ParseUint(kernfs.Trim(cells[3]))
	if memory > 1<<30 {
		memory = 0
	}
	return ascendProcess{int(card), int(chip), int32(pid), memory}, true
}

// ascendECC is what `npu-smi info -t ecc -i N` tells of one chip, by place in ascendECCFields; -1: not told.
type ascendECC struct {
	chip   int
	values [len(ascendECCFields)]int64
}

// ascendECCFields are the lines of it that are taken. DDR's are left out: chips with HBM have it for their own system only.
var ascendECCFields = [...]struct {
	name   string
	metric telemetry.Metric
}{
	{"HBM Single Bit Error Count", telemetry.GPUECCVolatileCorrected},
	{"HBM Double Bit Error Count", telemetry.GPUECCVolatileUncorrected},
	{"HBM Single Bit Aggregate Total Err Cnt", telemetry.GPUECCAggregateCorrected},
	{"HBM Double Bit Aggregate Total Err Cnt", telemetry.GPUECCAggregateUncorrected},
	{"HBM Single Bit Isolated Pages Count", telemetry.GPURetiredPagesCorrected},
	{"HBM Double Bit Isolated Pages Count", telemetry.GPURetiredPagesUncorrected},
	{"HBM Double Bit Next-Isolated Pages Count", telemetry.GPURetiredPending},
}

// parseAscendECC reads lines of "name : value". A chip's number comes after its values, or not at all where there is one chip.
func parseAscendECC(b []byte) (list []ascendECC) {
	var e ascendECC
	any := false
	reset := func() {
		e, any = ascendECC{}, false
		for i := range e.values {
			e.values[i] = -1
		}
	}
	reset()
	for _, line := range splitLines(b) {
		name, value, ok := bytes.Cut(line, []byte{':'})
		v, isNumber := kernfs.ParseUint(kernfs.Trim(value))
		if !ok || !isNumber || v > 1<<40 {
			continue
		}
		name = kernfs.Trim(name)
		if string(name) == "Chip ID" {
			if e.chip = int(v); any && len(list) < maxDevices {
				list = append(list, e)
			}
			reset()
			continue
		}
		for i, f := range ascendECCFields {
			if string(name) == f.name {
				e.values[i], any = int64(v), true
			}
		}
	}
	if any && len(list) < maxDevices {
		list = append(list, e)
	}
	return list
}
