package collectors

import (
	"context"
	"slices"
	"strings"

	"foretop/collectors/kernfs"
	"foretop/telemetry"
	"foretop/telemetry/facts"
)

const sectorBytes = 512 // of /proc/diskstats and /sys/block/*/size, whatever the device's own sectors

// diskCounters is one line of /proc/diskstats (Documentation/admin-guide/iostats.rst).
type diskCounters struct{ reads, readSectors, writes, writeSectors, busyMS uint64 }

// diskLine is one block device as listed, told or not.
type diskLine struct {
	name     string
	counters diskCounters
	entity   int // -1: not told
}

// diskReader reads /proc/diskstats. Whole devices are told; partitions, loops and what is stacked upon them are not: it would count twice.
type diskReader struct {
	m     *machine
	stats *kernfs.File
	lines []diskLine
	names []string // told
	tried bool
}

func newDisk(m *machine) reader { return &diskReader{m: m, stats: m.root.Hold("proc/diskstats")} }

func (r *diskReader) close() { r.stats.Close() }

func (r *diskReader) read(context.Context) error {
	b, err := r.stats.Read()
	if err != nil {
		return err
	}
	at := r.m.clock.MonoMS()
	if r.parse(b) || !r.tried {
		r.choose()
		r.tried = true
	}
	if len(r.names) == 0 {
		return unsupported("no disks here")
	}
	r.m.board.mu.Lock()
	defer r.m.board.mu.Unlock()
	s := &r.m.board.state
	r.m.board.read(telemetry.GroupDisk, at)
	for i := range r.lines {
		l := &r.lines[i]
		if l.entity < 0 {
			continue
		}
		s.SetUint(telemetry.DiskReads, l.entity, l.counters.reads)
		s.SetUint(telemetry.DiskWrites, l.entity, l.counters.writes)
		s.SetUint(telemetry.DiskReadBytes, l.entity, l.counters.readSectors*sectorBytes)
		s.SetUint(telemetry.DiskWriteBytes, l.entity, l.counters.writeSectors*sectorBytes)
		s.SetUint(telemetry.DiskBusyMS, l.entity, l.counters.busyMS)
	}
	return nil
}

// parse takes over the counters, and says whether there are other devices than before.
func (r *diskReader) parse(b []byte) (changed bool) {
	n := 0
	for len(b) > 0 {
		var l []byte
		l, b = kernfs.Line(b)
		name, c, ok := parseDisk(l)
		if !ok {
			continue
		}
		if n == len(r.lines) {
			r.lines = append(r.lines, diskLine{entity: -1})
		}
		if r.lines[n].name != string(name) {
			r.lines[n] = diskLine{name: string(name), entity: -1}
			changed = true
		}
		r.lines[n].counters = c
		n++
	}
	changed = changed || n != len(r.lines)
	r.lines = r.lines[:n]
	return changed
}

// parseDisk parses "major minor name reads merged sectors ms writes merged sectors ms in-flight busy-ms …".
func parseDisk(b []byte) (name []byte, c diskCounters, ok bool) {
	_, b = kernfs.Field(b)
	_, b = kernfs.Field(b)
	name, b = kernfs.Field(b)
	var skip uint64
	for _, p := range [...]*uint64{&c.reads, &skip, &c.readSectors, &skip, &c.writes, &skip, &c.writeSectors, &skip, &skip, &c.busyMS} {
		v, rest, ok := kernfs.Leading(b)
		if !ok || v > 1<<54 {
			return nil, c, false
		}
		*p, b = v, rest
	}
	return name, c, len(name) > 0
}

// choose decides which devices are told.
func (r *diskReader) choose() {
	var disks []*facts.Disk
	for _, strict := range []bool{true, false} {
		for i := range r.lines {
			l := &r.lines[i]
			l.entity = -1
			if len(disks) < telemetry.MaxEntities(telemetry.ScopeDisk) && r.whole(l.name, strict) {
				l.entity = len(disks)
				disks = append(disks, r.describe(l.name))
			}
		}
		if len(disks) > 0 {
			break // a machine whose disks have no device beneath them is a virtual one
		}
	}
	names := make([]string, len(disks))
	for i, d := range disks {
		names[i] = d.Name
	}
	if slices.Equal(names, r.names) {
		return
	}
	r.names = names
	r.m.board.mu.Lock()
	defer r.m.board.mu.Unlock()
	r.m.board.inventory.Disks = disks
	r.m.board.resize(telemetry.ScopeDisk, len(disks))
}

// whole says whether a device is a disk by itself: known to /sys/block, with hardware beneath it where strict.
func (r *diskReader) whole(name string, strict bool) bool {
	for _, p := range []string{"loop", "ram", "zram", "dm-", "md", "sr", "fd", "nbd", "zd"} {
		if rest, ok := strings.CutPrefix(name, p); ok && rest != "" && rest[0] <= '9' {
			return false
		}
	}
	dir := "sys/block/" + strings.ReplaceAll(name, "/", "!")
	return r.m.root.Exists(dir) && (!strict || r.m.root.Exists(dir+"/device"))
}

func (r *diskReader) describe(name string) *facts.Disk {
	dir := "sys/block/" + strings.ReplaceAll(name, "/", "!")
	d := &facts.Disk{Name: name, Model: telemetry.Clean(r.m.root.Word(dir+"/device/model"), 128)}
	if sectors, _, err := r.m.root.Number(dir+"/size", nil); err == nil && sectors < 1<<54 {
		d.SizeBytes = sectors * sectorBytes
	}
	return d
}
