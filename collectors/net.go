package collectors

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"foretop/collectors/kernfs"
	"foretop/telemetry"
	"foretop/telemetry/facts"
)

const (
	maxNets   = 64 // interfaces told; a Kubernetes node has hundreds of virtual ones
	slowEvery = 15 // readings between two of the link speed: it takes the kernel's network lock
)

// netCounters is one line of /proc/net/dev.
type netCounters struct {
	rxBytes, rxPackets, rxErrors, rxDropped uint64
	txBytes, txPackets, txErrors, txDropped uint64
}

// netDevice is one interface that is told.
type netDevice struct {
	name               string
	operstate, carrier *kernfs.File
	carrierChanges     *kernfs.File
	counters           netCounters
	seen, up, upOK     bool
	changes            uint64
	changesOK          bool
	speed              int64 // Mbit/s, Absent when the driver does not say
}

// netReader reads /proc/net/dev and /sys/class/net.
type netReader struct {
	m       *machine
	dev     *kernfs.File
	devices []*netDevice
	lines   []netLine // names seen at the last reading, told or not
	tick    int
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
		r.tick = 0
	}
	for _, d := range r.devices {
		r.readDevice(d, r.tick%slowEvery == 0)
	}
	r.tick++

	r.m.board.mu.Lock()
	defer r.m.board.mu.Unlock()
	s := &r.m.board.state
	r.m.board.read(telemetry.GroupNet, at)
	for i, d := range r.devices {
		d.set(s, i)
	}
	return nil
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

// choose decides which interfaces are told, physical ones first, and puts them into the inventory. Those that come and go with every
// container are not told: they would make a new inventory each time.
func (r *netReader) choose() {
	type candidate struct {
		line *netLine
		net  *facts.Net
	}
	var all []candidate
	for i := range r.lines {
		name := r.lines[i].name
		if ephemeral(name) {
			continue
		}
		dir := "sys/class/net/" + name
		n := &facts.Net{Name: name, Physical: r.m.root.Exists(dir + "/device"), Driver: r.m.root.Target(dir + "/device/driver")}
		all = append(all, candidate{&r.lines[i], n})
	}
	slices.SortStableFunc(all, func(a, b candidate) int {
		switch {
		case a.net.Physical && !b.net.Physical:
			return -1
		case b.net.Physical && !a.net.Physical:
			return 1
		}
		return strings.Compare(a.net.Name, b.net.Name)
	})
	all = all[:min(len(all), maxNets)]
	same := len(all) == len(r.devices) && len(all) > 0
	nets := make([]*facts.Net, len(all))
	for i, c := range all {
		nets[i] = c.net
		same = same && r.devices[i].name == c.net.Name
	}
	if same {
		return
	}
	for _, d := range r.devices {
		d.close()
	}
	r.devices = make([]*netDevice, len(all))
	for i, c := range all {
		dir := "sys/class/net/" + c.net.Name
		r.devices[i] = &netDevice{name: c.net.Name, operstate: r.m.root.Hold(dir + "/operstate"), carrier: r.m.root.Hold(dir + "/carrier"),
			carrierChanges: r.m.root.Hold(dir + "/carrier_changes"), counters: c.line.counters, seen: true, speed: telemetry.Absent}
	}
	r.m.board.mu.Lock()
	r.m.board.inventory.Nets = nets
	r.m.board.resize(telemetry.ScopeNet, len(nets))
	r.m.board.mu.Unlock()
}

// ephemeral says whether an interface belongs to one container, or is the loopback.
func ephemeral(name string) bool {
	if name == "lo" {
		return true
	}
	for _, p := range []string{"veth", "cali", "lxc", "cilium_", "tap", "vnet", "ifb", "dummy", "kube-ipvs", "nodelocaldns", "gre", "sit", "ip6tnl", "tunl", "erspan", "ip_vti", "ip6_vti"} {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	return false
}

func (r *netReader) readDevice(d *netDevice, slow bool) {
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
	d.changes, d.changesOK = v, err == nil
	if !slow {
		return
	}
	d.speed = telemetry.Absent
	// A link that is down says -1, or refuses to be read; a virtual interface refuses always.
	if v, _, err := r.m.root.Number("sys/class/net/"+d.name+"/speed", nil); err == nil && v < 1<<31 {
		d.speed = int64(v)
	}
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
	s.Set(telemetry.NetSpeedMbps, i, d.speed)
}

func flag(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}
