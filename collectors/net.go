package collectors

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"foretop/collectors/kernfs"
	"foretop/telemetry"
)

const maxNets = 64 // interfaces told; a Kubernetes node has hundreds of virtual ones

// netCounters is one line of /proc/net/dev.
type netCounters struct {
	rxBytes, rxPackets, rxErrors, rxDropped uint64
	txBytes, txPackets, txErrors, txDropped uint64
}

// netDevice is one interface that is told.
type netDevice struct {
	name, master       string
	operstate, carrier *kernfs.File
	carrierChanges     *kernfs.File
	counters           netCounters
	seen, up, upOK     bool
	changes            uint64
	changesOK          bool

	// What its driver says, as the last round brought it; Absent where it does not.
	speed, maxMbps int64 // Mbit/s
	stats          [numNetStats]int64
	fresh          bool // not yet put on the board

	// Of the round that is out, while one is.
	adapter    *adapter // nil: its driver is not asked
	pci        string
	restricted bool // its device refuses counters: asking would fill the kernel log
	asked      struct{ speed int64 }
}

// netReader reads /proc/net/dev and /sys/class/net each second, and every 10 s what the drivers of physical interfaces count themselves (ethtool -S).
type netReader struct {
	m       *machine
	dev     *kernfs.File
	devices []*netDevice
	lines   []netLine // names seen at the last reading, told or not

	opened    bool // it was tried to open the way to the drivers
	call      ethtoolCall
	closeCall func()
	buf, text []byte
	round     *netRound // nil: none is out
	roundMS   int64     // when the last one began; 0 = never
	linksMS   int64     // when link modes were last looked at
	brought   int64     // when the last round that returned had begun
	refused   error     // which drivers refuse to be asked, in words
}

type netLine struct {
	name     string
	counters netCounters
}

func newNet(m *machine) reader { return &netReader{m: m, dev: m.root.Hold("proc/net/dev")} }

func (r *netReader) close() {
	r.dev.Close()
	for _, d := range r.devices {
		d.close()
	}
	if r.closeCall != nil && r.round == nil { // a round that is out still uses it
		r.closeCall()
	}
}

func (d *netDevice) close() {
	d.operstate.Close()
	d.carrier.Close()
	d.carrierChanges.Close()
}

func (r *netReader) read(context.Context) error {
	b, err := r.dev.Read()
	if err != nil {
		return err
	}
	at := r.m.clock.MonoMS()
	changed, err := r.parse(b)
	if err != nil {
		return fmt.Errorf("parse %s: %w", r.dev.Name, err)
	}
	if changed || r.devices == nil {
		r.choose()
	}
	for _, d := range r.devices {
		r.readDevice(d)
	}
	told := r.askDrivers()

	r.m.board.mu.Lock()
	defer r.m.board.mu.Unlock()
	s := &r.m.board.state
	r.m.board.read(telemetry.GroupNet, at)
	if r.brought > 0 {
		r.m.board.read(telemetry.GroupNetErrors, r.brought)
	}
	for i, d := range r.devices {
		d.set(s, i)
	}
	return told
}

// parse takes over the counters, and says whether there are other interfaces than before.
func (r *netReader) parse(b []byte) (changed bool, err error) {
	n := 0
	heads := 0
	for len(b) > 0 {
		var l []byte
		l, b = kernfs.Line(b)
		name, rest, ok := bytes.Cut(l, []byte{':'})
		if name = kernfs.Trim(name); !ok || len(name) == 0 {
			heads++
			continue
		}
		var c netCounters
		if !parseNetCounters(rest, &c) {
			continue
		}
		if n >= len(r.lines) {
			r.lines = append(r.lines, netLine{})
		}
		if r.lines[n].name != string(name) {
			r.lines[n].name = string(name)
			changed = true
		}
		r.lines[n].counters = c
		n++
	}
	if n == 0 && heads < 2 {
		return false, errors.New("no interface table")
	}
	changed = changed || n != len(r.lines)
	r.lines = r.lines[:n]
	for _, d := range r.devices {
		d.seen = false
		for i := range r.lines {
			if r.lines[i].name == d.name {
				d.counters, d.seen = r.lines[i].counters, true
				break
			}
		}
	}
	return changed, nil
}

// parseNetCounters reads the sixteen numbers of a line of /proc/net/dev.
func parseNetCounters(b []byte, c *netCounters) bool {
	var skip uint64
	for _, p := range [...]*uint64{&c.rxBytes, &c.rxPackets, &c.rxErrors, &c.rxDropped, &skip, &skip, &skip, &skip,
		&c.txBytes, &c.txPackets, &c.txErrors, &c.txDropped} {
		v, rest, ok := kernfs.Leading(b)
		if !ok {
			return false
		}
		*p, b = v, rest
	}
	return true
}

func (r *netReader) readDevice(d *netDevice) {
	d.upOK = false
	if b, err := d.operstate.Read(); err == nil {
		switch string(kernfs.Trim(b)) {
		case "up":
			d.up, d.upOK = true, true
		case "unknown": // a driver that does not care, such as a tunnel's: the carrier says it
			v, err := d.carrier.Number()
			d.up, d.upOK = v == 1, err == nil
		default:
			d.up, d.upOK = false, true
		}
	}
	v, err := d.carrierChanges.Number()
	if err == nil && d.changesOK && v != d.changes {
		r.roundMS = 0 // another cable, another speed
	}
	d.changes, d.changesOK = v, err == nil
}

func (d *netDevice) set(s *telemetry.State, i int) {
	if !d.seen {
		s.ClearEntity(telemetry.ScopeNet, i)
		return
	}
	put := func(m telemetry.Metric, v uint64) { s.SetUint(m, i, v) }
	put(telemetry.NetRxBytes, d.counters.rxBytes)
	put(telemetry.NetTxBytes, d.counters.txBytes)
	put(telemetry.NetRxPackets, d.counters.rxPackets)
	put(telemetry.NetTxPackets, d.counters.txPackets)
	put(telemetry.NetRxErrors, d.counters.rxErrors)
	put(telemetry.NetTxErrors, d.counters.txErrors)
	put(telemetry.NetRxDropped, d.counters.rxDropped)
	put(telemetry.NetTxDropped, d.counters.txDropped)
	s.Clear(telemetry.NetUp, i)
	if d.upOK {
		put(telemetry.NetUp, flag(d.up))
	}
	s.Clear(telemetry.NetCarrierChanges, i)
	if d.changesOK {
		put(telemetry.NetCarrierChanges, d.changes)
	}
	if !d.fresh {
		return
	}
	d.fresh = false
	s.Set(telemetry.NetSpeedMbps, i, d.speed)
	setKnown(s, telemetry.NetSpeedMaxMbps, i, d.maxMbps)
	for k, v := range d.stats {
		setKnown(s, netStatMetrics[k], i, v)
	}
}

// setKnown writes a reading that most machines do not have: what nobody has takes no column.
func setKnown(s *telemetry.State, m telemetry.Metric, i int, v int64) {
	if v == telemetry.Absent {
		s.Clear(m, i)
		return
	}
	s.Set(m, i, v)
}

func flag(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}
