package collectors

import (
	"errors"
	"strings"
	"sync/atomic"
	"time"

	"foretop/collectors/kernfs"
	"foretop/telemetry"
	"foretop/telemetry/facts"
)

const (
	netDriverEachMS = 10_000                 // between two rounds of questions to the drivers
	netLinkEachMS   = 60_000                 // between two looks at the supported link modes
	netPatience     = 100 * time.Millisecond // how long a reading waits for a round
	netStuckMS      = 2000                   // a round that takes longer is told to be stuck
	maxNetRemarks   = 5                      // interfaces named in the source's words
)

// netRound is one round of questions to the drivers of all interfaces. It runs in a goroutine of its own, for a driver may wait for its firmware, and all
// questions to drivers wait for one another (the kernel's rtnl lock). No second one begins before it returned. It owns what it was given until then.
type netRound struct {
	root    kernfs.Root
	call    ethtoolCall // nil: this machine's drivers cannot be asked
	buf     []byte      // of its answers
	text    []byte
	devices []*netDevice
	links   bool         // the link modes are to be looked at as well
	at      atomic.Int32 // index of the device that is asked
	asked   int64        // when it began, monotonic ms
	done    chan struct{}
}

func (q *netRound) run() {
	defer close(q.done)
	for i, d := range q.devices {
		q.at.Store(int32(i))
		d.asked.speed = telemetry.Absent
		// A link that is down says -1, or refuses to be read; a virtual interface refuses always.
		var v uint64
		var err error
		if v, q.text, err = q.root.Number(netClass+d.name+"/speed", q.text); err == nil && v < 1<<31 {
			d.asked.speed = int64(v)
		}
		if d.adapter == nil || q.call == nil {
			continue
		}
		if q.links {
			d.adapter.readSpeed(q.call, q.buf)
		}
		if !d.restricted {
			d.adapter.read(q.call, q.buf)
		}
	}
	if q.call != nil {
		forget(q.buf)
	}
}

// askDrivers begins a round when it is time, and takes over what one brought.
func (r *netReader) askDrivers() error {
	now := r.m.clock.MonoMS()
	if r.round == nil && (r.roundMS == 0 || now-r.roundMS >= netDriverEachMS) {
		if r.begin(now); r.round != nil {
			late := time.NewTimer(netPatience)
			defer late.Stop()
			select {
			case <-r.round.done:
			case <-late.C:
			}
		}
	}
	if r.round == nil {
		return r.refused
	}
	select {
	case <-r.round.done:
		r.take()
		return r.refused
	default:
	}
	if late := now - r.round.asked; late >= netStuckMS {
		return &condition{state: facts.SourceState_SOURCE_STUCK, text: "the driver of " + r.round.devices[r.round.at.Load()].name + " does not answer",
			remedy: "its firmware may hang: see the kernel log", stuckMS: late}
	}
	return r.refused
}

func (r *netReader) begin(now int64) {
	r.openDrivers()
	links := r.linksMS == 0 || now-r.linksMS >= netLinkEachMS
	if links && r.linksMS != 0 && r.regrouped() {
		r.choose()
	}
	q := &netRound{root: r.m.root, call: r.call, buf: r.buf, text: r.text, devices: r.devices, asked: now, done: make(chan struct{})}
	if len(q.devices) == 0 {
		return
	}
	if q.links = links || r.linksMS == 0; q.links {
		r.linksMS = max(now, 1)
	}
	r.roundMS = max(now, 1)
	r.m.board.mu.Lock()
	for _, d := range q.devices {
		d.restricted = d.pci != "" && r.m.board.restricted[d.pci]
	}
	r.m.board.mu.Unlock()
	r.round = q
	go q.run()
}

// openDrivers opens the way to the drivers, once. Without it their own statistics are absent.
func (r *netReader) openDrivers() {
	if r.opened {
		return
	}
	r.opened = true
	buf, err := ethtoolBuffer()
	if err != nil {
		return
	}
	if r.call, r.closeCall, err = r.m.options.ethtool(); err != nil {
		r.call = nil
		return
	}
	r.buf = buf
}

// take puts what a round brought into the devices; those that are not told any more keep it for themselves.
func (r *netReader) take() {
	r.brought = r.round.asked
	for _, d := range r.round.devices {
		d.speed = d.asked.speed
		if d.adapter != nil {
			d.stats, d.maxMbps = d.adapter.stats, d.adapter.maxMbps
		}
		d.fresh = true
	}
	r.refused = refusals(r.round.devices)
	r.text, r.round = r.round.text, nil
}

// regrouped says whether an interface joined a bond or a bridge, or left one.
func (r *netReader) regrouped() bool {
	for _, d := range r.devices {
		if telemetry.Clean(r.m.root.Target(netClass+d.name+"/master"), maxDeviceName) != d.master {
			return true
		}
	}
	return false
}

// refusals names the interfaces whose drivers refuse to be asked: the rest of them is read.
func refusals(devices []*netDevice) error {
	var names []string
	why := ""
	for _, d := range devices {
		if d.adapter != nil && d.adapter.why != "" {
			if why == "" {
				why = d.adapter.why
			}
			names = append(names, d.name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	if len(names) > maxNetRemarks {
		names = append(names[:maxNetRemarks], "…")
	}
	return remark("statistics refused by the driver (" + why + "), not read again: " + strings.Join(names, ", "))
}

// noDrivers is how a machine that is played, or has no such call, answers.
func noDrivers() (ethtoolCall, func(), error) { return nil, nil, errors.ErrUnsupported }
