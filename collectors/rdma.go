package collectors

import (
	"context"
	"errors"
	"slices"
	"strings"
	"syscall"

	"foretop/collectors/kernfs"
	"foretop/telemetry"
	"foretop/telemetry/facts"
)

const (
	rdmaClass    = "sys/class/infiniband"
	errorsEachMS = 10_000 // error counters cost a firmware command each
	pcieEachMS   = 60_000
	rdmaRemarks  = 5  // devices named in the source's words
	heldPorts    = 16 // ports whose error counters are kept open: some 25 files each
)

// rdmaReader reads the RDMA ports in /sys/class/infiniband: traffic and state at each reading, errors every 10 s, all counters only at detail level.
// What is read of one device never depends on another.
type rdmaReader struct {
	m        *machine
	devices  []string // names as listed
	ports    []*rdmaPort
	refused  map[string]string // device → why its counters are not read any more
	errorsMS int64             // when errors were last read; 0 = never
	detail   bool              // at the last reading of errors
	listMS   int64             // when the devices were last listed
	pcieMS   int64             // when their PCIe links were last looked at; 0 = never
	missing  bool              // a file has gone since: perhaps its device has
	changed  bool              // a port is not what the inventory says any more
	buf      []byte
}

// rdmaPort is one port of a device.
type rdmaPort struct {
	device  string
	dir     string // of the port
	fact    *facts.Port
	state   *kernfs.File
	traffic [numTraffic]trafficCounter
	errors  []rdmaCounter // those that are metrics
	more    []rdmaCounter // all others
	full    bool          // a data counter of 32 bits stands at its limit
	current rdmaReading
}

// rdmaReading is what is to be told of a port; Absent where it could not be read.
type rdmaReading struct {
	state, phys, rate, rateMax int64
	traffic                    [numTraffic]int64
	pcie                       pcieLink
}

func newRDMA(m *machine) reader {
	return &rdmaReader{m: m, refused: map[string]string{}}
}

func (r *rdmaReader) close() {
	for _, p := range r.ports {
		p.close()
	}
}

func (p *rdmaPort) close() {
	p.state.Close()
	for i := range p.traffic {
		for _, f := range p.traffic[i].files {
			f.Close()
		}
	}
	for i := range p.errors {
		if f := p.errors[i].file; f != nil {
			f.Close()
		}
	}
}

func (r *rdmaReader) read(context.Context) error {
	now := r.m.clock.MonoMS()
	if r.listMS == 0 || r.missing || now-r.listMS >= errorsEachMS {
		if err := r.list(); err != nil {
			return err
		}
		r.listMS, r.missing = max(now, 1), false
	}
	if len(r.ports) == 0 {
		return unsupported("no RDMA devices here")
	}
	if r.pcieMS == 0 || now-r.pcieMS >= pcieEachMS {
		for _, p := range r.ports {
			p.current.pcie, r.buf = readPCIeLink(r.m.root, rdmaClass+"/"+p.device+"/device", r.buf)
		}
		r.pcieMS = max(now, 1)
	}
	detail := r.m.board.detail.Load()
	withErrors := r.errorsMS == 0 || now-r.errorsMS >= errorsEachMS || detail && !r.detail
	var bad error // nil and nil joined cost nothing
	for _, p := range r.ports {
		bad = errors.Join(bad, r.readPort(p, detail, withErrors))
	}
	if withErrors {
		for _, p := range r.ports {
			bad = errors.Join(bad, r.readCounters(p, p.errors))
			if detail {
				bad = errors.Join(bad, r.readCounters(p, p.more))
			}
			r.checkLIDs(p)
		}
		r.errorsMS, r.detail = max(now, 1), detail
	}
	r.retell(withErrors)
	r.put(now, withErrors, detail)
	if bad != nil {
		return bad
	}
	return r.remarks()
}

// remarks names the devices whose counters are not read, or tell nothing: the rest of them is.
func (r *rdmaReader) remarks() error {
	var refused, full []string
	for d := range r.refused {
		refused = append(refused, d)
	}
	for _, p := range r.ports {
		if p.full && !slices.Contains(full, p.device) {
			full = append(full, p.device)
		}
	}
	text := ""
	if len(refused) > 0 {
		slices.SortFunc(refused, kernfs.Natural)
		text = "counters refused by the device (" + r.refused[refused[0]] + "), not read again: " + few(refused)
	}
	if len(full) > 0 {
		if text != "" {
			text += "; "
		}
		text += "data counters of 32 bits stand at their limit (perfquery -R resets them): " + few(full)
	}
	if text == "" {
		return nil
	}
	return remark(text)
}

// few names the first of many.
func few(names []string) string {
	if len(names) > rdmaRemarks {
		names = append(names[:rdmaRemarks:rdmaRemarks], "…")
	}
	return strings.Join(names, ", ")
}

// readPort reads state and traffic. Packet counts are told at detail level only.
func (r *rdmaReader) readPort(p *rdmaPort, detail, slow bool) error {
	was := p.current.state
	p.current.state = telemetry.Absent
	p.full = false
	b, err := p.state.Read()
	switch {
	case kernfs.Gone(err):
		r.missing = true
	case err == nil:
		if v, ok := leading(b); ok {
			p.current.state = v
		}
	}
	if slow || p.current.state != was {
		p.current.phys, p.current.rate = telemetry.Absent, telemetry.Absent
		if r.buf, err = r.m.root.Read(p.dir+"/phys_state", r.buf); err == nil {
			if v, ok := leading(r.buf); ok {
				p.current.phys = v
			}
		}
		if r.buf, err = r.m.root.Read(p.dir+"/rate", r.buf); err == nil {
			p.current.rate = parseRate(r.buf)
			r.changed = r.changed || telemetry.Clean(string(kernfs.Trim(r.buf)), 128) != p.fact.Rate
		}
	}
	var bad error
	for i := range p.traffic {
		p.current.traffic[i] = telemetry.Absent
		if !detail && traffic(i).packets() {
			continue
		}
		v, err := r.readTraffic(p, &p.traffic[i])
		if err != nil {
			bad = errors.Join(bad, err)
			continue
		}
		p.current.traffic[i] = v
	}
	return bad
}

// refuse remembers a device whose driver does not give its counters: asking again would only fill the kernel log. It says whether err was that. A driver that
// cannot ask its firmware may also answer with words ("N/A (no PMA)").
func (r *rdmaReader) refuse(p *rdmaPort, err error) bool {
	var no syscall.Errno
	switch {
	case errors.Is(err, syscall.EINVAL), errors.Is(err, syscall.EIO):
		errors.As(err, &no)
		r.refused[p.device] = no.Error()
	case errors.As(err, &no):
		return false
	default:
		r.refused[p.device] = "no number"
	}
	if p.fact.Pci != "" {
		r.m.board.mu.Lock()
		if r.m.board.restricted == nil {
			r.m.board.restricted = map[string]bool{}
		}
		r.m.board.restricted[p.fact.Pci] = true
		r.m.board.mu.Unlock()
	}
	for _, q := range r.ports {
		if q.device != p.device {
			continue
		}
		for i := range q.traffic {
			for _, f := range q.traffic[i].files {
				f.Close()
			}
			q.traffic[i] = trafficCounter{}
			q.current.traffic[i] = telemetry.Absent
		}
		for i := range q.errors {
			if f := q.errors[i].file; f != nil {
				f.Close()
			}
		}
		q.errors, q.more, q.full = nil, nil, false
	}
	return true
}

func (r *rdmaReader) put(now int64, withErrors, detail bool) {
	b := r.m.board
	b.mu.Lock()
	defer b.mu.Unlock()
	s := &b.state
	b.read(telemetry.GroupPort, now)
	if withErrors {
		b.read(telemetry.GroupPortErrors, now)
	}
	if withErrors {
		for i := range s.Count(telemetry.ScopeHWCounter) {
			s.Clear(telemetry.HWCounterValue, i)
		}
	}
	for i, p := range r.ports {
		s.Set(telemetry.PortState, i, p.current.state)
		s.Set(telemetry.PortPhysState, i, p.current.phys)
		s.Set(telemetry.PortRateMbps, i, p.current.rate)
		setKnown(s, telemetry.PortRateMaxMbps, i, p.current.rateMax)
		for t, m := range trafficMetrics {
			s.Set(m, i, p.current.traffic[t])
		}
		for k, m := range pcieMetrics {
			setKnown(s, m, i, p.current.pcie[k])
		}
		if !withErrors {
			continue
		}
		for _, m := range telemetry.PortErrors() {
			s.Clear(m, i)
		}
		for _, c := range p.errors {
			s.Set(telemetry.HWCounterValue, c.entity, c.value)
			if c.value != telemetry.Absent { // several files may be one metric
				s.Set(c.def.Metric, i, c.value+max(s.Get(c.def.Metric, i), 0))
			}
		}
		for _, c := range p.more {
			if detail {
				s.Set(telemetry.HWCounterValue, c.entity, c.value)
			}
		}
	}
}

// leading is N of "N: WORD".
func leading(b []byte) (int64, bool) {
	i := 0
	for i < len(b) && b[i] >= '0' && b[i] <= '9' {
		i++
	}
	v, ok := kernfs.ParseUint(b[:i])
	return int64(min(v, 1<<31)), ok
}

// parseRate reads "400 Gb/sec (4X NDR)" or "2.5 Gb/sec (1X SDR)" as Mbit/s.
func parseRate(b []byte) int64 {
	w, rest := kernfs.Field(b)
	unit, _ := kernfs.Field(rest)
	v, ok := kernfs.ParseMilli(w)
	if !ok || string(unit) != "Gb/sec" {
		return telemetry.Absent
	}
	return int64(v)
}
