package accelerators

import (
	"context"
	"fmt"
	"slices"

	"foretop/collectors/kernfs"
	"foretop/telemetry"
	"foretop/telemetry/facts"
)

const (
	drmListMS  = 30_000  // between two looks at which cards there are
	drmSlowMS  = 30_000  // between two readings of what is dear or changes seldom
	drmBusMS   = 300_000 // between two looks at the whole PCI bus
	drmHeldMS  = 5_000   // between two lists of who holds the cards
	drmSlices  = 8       // a slow reading is spread over that many fast ones
	drmAgain   = 10_000  // before a card that failed drmPatient times in a row is asked again: each failure may have been a wait of seconds
	drmPatient = 3

	initialPIDNamespace = "pid:[4026531836]" // PROC_PID_INIT_INO
)

// drmReader reads the accelerators whose driver is a graphics driver of the kernel. It keeps what they have in common: which there are, which of them
// sleep (those are left asleep), what is read how often, and who holds them.
type drmReader struct {
	m      Machine
	sys    sysfs
	maker  maker
	absent error // what is said where there are none

	slots    []*drmSlot // by PCI address; one that went away stays, and says so
	unseen   []*facts.UnseenGPU
	reading  Reading
	stale    bool // the lists are to be made anew
	missing  bool // a card's files have gone: look again
	listedMS int64
	busMS    int64
	slowMS   int64
	slowAt   int // the next slot of a slow round; -1: none goes on
	placing  placing
	held     []Holder
	heldMS   int64
	inside   bool // this process is in a pid namespace of its own
}

// maker is what differs between the makers' drivers. Its calls come from one goroutine.
type maker interface {
	name() string // as facts.GPU has it
	pciVendor() uint64
	drivers() []string
	// accepts says whether a card is an accelerator: not a screen's, not a processor's own.
	accepts(c drmCard, asleep bool) bool
	open(c drmCard) gpuCard
	// survey looks at what the driver says of all its cards at once. It comes before each round of slow readings.
	survey(place placing)
	// machinePIDs says that holders are told by their pids in the machine's first namespace, whatever the reader's own.
	machinePIDs() bool
	// holders tells who holds the cards: when it is due, or when something came up in between. ok says that the list is whole.
	holders(now int64, due bool, place placing, list []Holder) (_ []Holder, ok bool)
}

// placing finds a card by its PCI address: its index, and how many parts stand before its own.
type placing func(address string) (gpu, part uint32, card gpuCard)

// gpuCard is one card of a maker, awake.
type gpuCard interface {
	// describe adds what does not change to what is known from outside.
	describe(f *facts.GPU)
	// fast reads what is read each second. An error is about the whole card.
	fast(s *sheet, now int64, detail bool) error
	slow(s *sheet)
	shape() *shape
	close()
}

// shape is what a card is made of; their gpu is 0. Lists are replaced, never changed, and revision grows with that.
type shape struct {
	parts    []*facts.GPUPart
	links    []*facts.GPULink
	revision int
}

type drmSlot struct {
	info     drmCard
	card     gpuCard // nil: gone
	power    gauge   // power/runtime_status
	fact     *facts.GPU
	known    bool // fact was read from the card itself
	revision int
	sleeps   bool
	failed   int   // times in a row
	againMS  int64 // not before
	status   int64
	note     string
	held     int64 // by how many processes; absent: not known
	fast     sheet
	slow     sheet
	next     sheet // of the slow round that goes on
}

func newDRMReader(m Machine, sys sysfs, k maker, absent string) *drmReader {
	r := &drmReader{m: m, sys: sys, maker: k, absent: Unsupported(absent), slowAt: -1}
	r.placing = r.place
	return r
}

func (r *drmReader) Reading() *Reading { return &r.reading }

func (r *drmReader) Close() {
	for _, s := range r.slots {
		s.close()
	}
}

func (s *drmSlot) close() {
	if s.card != nil {
		s.card.close()
		s.card = nil
	}
	s.power.drop()
}

func (r *drmReader) Read(ctx context.Context, detail bool) error {
	now := max(r.m.Mono(), 1)
	if r.listedMS == 0 || r.missing || now-r.listedMS >= drmListMS {
		if err := r.list(now); err != nil {
			return fmt.Errorf("list %s: %w", drmClass, err)
		}
	}
	if len(r.slots) == 0 && r.reading.Generation == 0 && len(r.unseen) == 0 {
		return r.absent
	}
	r.beginSlow(now)
	for _, s := range r.slots {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		r.look(s, now, detail)
	}
	r.goOnSlow(now)
	r.rebuild()
	r.askHolders(now)
	r.tell(now, detail)
	return r.condition()
}

// look takes the fast readings of one card. It leaves a sleeping card alone.
func (r *drmReader) look(s *drmSlot, now int64, detail bool) {
	s.fast = s.fast[:0]
	if s.card == nil || now < s.againMS {
		return
	}
	status, note := int64(telemetry.GPUOK), ""
	b, err := s.power.read()
	s.sleeps = err == nil && asleep(b)
	switch {
	case s.sleeps:
		s.slow = s.slow[:0]
		note = "asleep: the kernel has powered it down, and it is left so"
	default:
		if !s.known {
			r.describe(s)
		}
		if err == nil {
			err = s.card.fast(&s.fast, now, detail)
		}
	}
	s.failed++
	if err == nil || err == errBusy || err == errLocked {
		s.failed = 0
	}
	if err != nil {
		r.missing = r.missing || kernfs.Gone(err)
		status, note = telemetry.GPUFailing, err.Error()
	}
	if s.failed >= drmPatient {
		s.againMS = now + drmAgain
	}
	s.become(r, status, note)
}

func (s *drmSlot) become(r *drmReader, status int64, note string) {
	s.status = status
	if s.note != note {
		s.note, r.stale = note, true
	}
}

func (r *drmReader) describe(s *drmSlot) {
	s.fact = r.outside(s.info)
	s.card.describe(s.fact)
	s.known, r.stale = true, true
}

// beginSlow begins a round of slow readings when one is due.
func (r *drmReader) beginSlow(now int64) {
	if r.slowAt < 0 && (r.slowMS == 0 || now-r.slowMS >= drmSlowMS) {
		r.slowAt = 0
		r.maker.survey(r.placing)
	}
}

// goOnSlow takes the slow readings, a few cards at a time; they are told together, so that their counters have one time.
func (r *drmReader) goOnSlow(now int64) {
	if r.slowAt < 0 {
		return
	}
	n := (len(r.slots) + drmSlices - 1) / drmSlices
	if r.slowMS == 0 {
		n = len(r.slots)
	}
	for ; n > 0 && r.slowAt < len(r.slots); n-- {
		s := r.slots[r.slowAt]
		s.next = s.next[:0]
		if s.card != nil && !s.sleeps && s.status == telemetry.GPUOK {
			s.card.slow(&s.next)
		}
		r.slowAt++
	}
	if r.slowAt < len(r.slots) {
		return
	}
	for _, s := range r.slots {
		s.slow, s.next = s.next, s.slow
	}
	r.slowMS, r.slowAt = now, -1
}

func (r *drmReader) askHolders(now int64) {
	if r.foreign() {
		return
	}
	due := r.heldMS == 0 || now-r.heldMS >= drmHeldMS
	if due {
		r.heldMS = now
	}
	list, ok := r.maker.holders(now, due, r.placing, r.held[:0])
	r.held = list[:0]
	if !ok {
		return
	}
	r.count(list)
	if !slices.Equal(list, r.reading.Holders) {
		r.reading.Holders = slices.Clone(list)
	}
}

// count tells how many processes hold each card.
func (r *drmReader) count(holders []Holder) {
	for _, s := range r.slots {
		s.held = 0
	}
	for i, h := range holders {
		again := false // it holds another part of the same card
		for j := i - 1; j >= 0 && holders[j].PID == h.PID; j-- {
			again = again || holders[j].GPU == h.GPU
		}
		if int(h.GPU) < len(r.slots) && !again {
			r.slots[h.GPU].held++
		}
	}
}

// foreign says that holders are told by pids that mean nothing to this process.
func (r *drmReader) foreign() bool { return r.inside && r.maker.machinePIDs() }

func (r *drmReader) place(address string) (gpu, part uint32, card gpuCard) {
	for i, s := range r.slots {
		if s.info.address == address {
			return uint32(i), part, s.card
		}
		if s.card != nil {
			part += uint32(len(s.card.shape().parts))
		}
	}
	return 0, 0, nil
}
