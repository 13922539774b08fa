package collectors

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"foretop/collectors/kernfs"
	"foretop/telemetry"
)

// memoryReader reads /proc/meminfo.
type memoryReader struct {
	m    *machine
	info *kernfs.File
}

func newMemory(m *machine) reader { return &memoryReader{m: m, info: m.root.Hold("proc/meminfo")} }

func (r *memoryReader) close() { r.info.Close() }

func (r *memoryReader) read(context.Context) error {
	b, err := r.info.Read()
	if err != nil {
		return err
	}
	info, err := parseMeminfo(b)
	if err != nil {
		return fmt.Errorf("parse %s: %w", r.info.Name, err)
	}
	brd := r.m.board
	brd.mu.Lock()
	defer brd.mu.Unlock()
	for i, k := range memoryKeys {
		setIf(&brd.state, k.metric, info.value[i], info.has[i])
	}
	if total := info.value[0]; brd.inventory.MemoryTotalBytes != total {
		brd.inventory.MemoryTotalBytes = total
		brd.generation++
	}
	return nil
}

// memoryKeys says which line of /proc/meminfo is which metric. The table is scanned for each line; MemTotal stays first.
var memoryKeys = [...]struct {
	name   string
	metric telemetry.Metric
}{
	{"MemTotal", telemetry.MemTotalBytes},
	{"MemFree", telemetry.MemFreeBytes},
	{"MemAvailable", telemetry.MemAvailableBytes},
	{"Buffers", telemetry.MemBuffersBytes},
	{"Cached", telemetry.MemCachedBytes},
	{"SwapTotal", telemetry.SwapTotalBytes},
	{"SwapFree", telemetry.SwapFreeBytes},
	{"Dirty", telemetry.MemDirtyBytes},
	{"Shmem", telemetry.MemShmemBytes},
	{"Slab", telemetry.MemSlabBytes},
	{"HugePages_Total", telemetry.HugePagesTotal},
	{"HugePages_Free", telemetry.HugePagesFree},
	{"Hugepagesize", telemetry.HugePageBytes},
}

type meminfo struct {
	value [len(memoryKeys)]uint64
	has   [len(memoryKeys)]bool
}

var errNoMemTotal = errors.New("no MemTotal line")

// parseMeminfo reads "Name:  123 kB" lines, in bytes; those without a unit are plain numbers.
func parseMeminfo(b []byte) (m meminfo, err error) {
	next := 0 // the kernel's order is the table's: nearly every look-up hits at once
	for len(b) > 0 {
		var l []byte
		l, b = kernfs.Line(b)
		name, rest, ok := bytes.Cut(l, []byte{':'})
		if !ok {
			continue
		}
		i := memoryKey(name, next)
		if i < 0 {
			continue
		}
		next = i + 1
		v, rest, ok := kernfs.Leading(rest)
		if unit, _ := kernfs.Field(rest); ok && string(unit) == "kB" {
			if v > 1<<50 {
				ok = false
			}
			v <<= 10
		}
		m.value[i], m.has[i] = v, ok
	}
	if !m.has[0] {
		return m, errNoMemTotal
	}
	return m, nil
}

func memoryKey(name []byte, from int) int {
	for n := range memoryKeys {
		i := (from + n) % len(memoryKeys)
		if string(name) == memoryKeys[i].name {
			return i
		}
	}
	return -1
}
