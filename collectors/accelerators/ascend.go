package accelerators

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"foretop/telemetry"
	"foretop/telemetry/facts"
)

// ascendReader reads Huawei's Ascend NPUs. The PCI bus says which there are; all else comes from npu-smi, which is run again and again, for it has no
// stream of use: `npu-smi info watch` leaves memory in bytes and processes out, and holds its lines back where it does not write to a terminal.
type ascendReader struct {
	m       Machine
	bus     pciBus
	chips   []ascendChip
	smi     question
	reading Reading

	detected, asked, eccAsked int64
	answered                  time.Time // when npu-smi last gave a table
	err                       error     // why it did not
	pause                     int64     // ms until it is asked again
	eccOf                     int       // the card whose errors are asked for, -1: the table is
	eccTurn                   int
	warnings                  string
}

// ascendChip is an NPU on the PCI bus, and what npu-smi said of it.
type ascendChip struct {
	pci  pciDevice
	row  ascendRow
	told bool
}

const (
	huaweiVendor   = 0x19e5
	ascendEvery    = 10_000  // ms between two tables
	ascendECCEvery = 30_000  // and between two cards' errors
	ascendPause    = 300_000 // at most, where npu-smi fails
	ascendAnswer   = 256 << 10
	ascendDeadline = 30 * time.Second
)

// ascendKinds: the PCI numbers of Huawei's NPUs, as the driver's installer and reports of lspci have them.
var ascendKinds = [...]struct {
	device     uint64
	name, arch string
}{
	{0xd100, "Ascend 310", "310"},
	{0xd500, "Ascend 310P", "310P"},
	{0xd801, "Ascend 910", "910"},
	{0xd802, "Ascend 910B", "910B"},
	{0xd803, "Ascend 910C", "910_93"},
}

func newAscend(m Machine) Reader {
	return &ascendReader{m: m, bus: pciBus{root: m.Root, vendor: huaweiVendor}, eccOf: -1,
		smi: question{start: m.Start, most: ascendAnswer, deadline: ascendDeadline}}
}

func (r *ascendReader) Reading() *Reading { return &r.reading }

func (r *ascendReader) Close() {}

func (r *ascendReader) Read(ctx context.Context, _ bool) error {
	now := max(r.m.Mono(), 1)
	if due(&r.detected, now, detectEvery) {
		r.detect()
	}
	if len(r.chips) == 0 {
		if n := len(r.reading.Unseen); n > 0 {
			return &Condition{State: facts.SourceState_SOURCE_UNSUPPORTED, Text: fmt.Sprintf("%d Ascend NPUs on the PCI bus, and none that npu-smi shows", n),
				Remedy: "install the NPU driver, or see why it does not load in the kernel log"}
		}
		return Unsupported("no Ascend NPU here")
	}
	if answer, err, ok := r.smi.fetch(); ok {
		r.take(answer, err, now)
	}
	r.ask(ctx, now)
	if !r.answered.IsZero() && time.Since(r.answered) > 4*ascendEvery*time.Millisecond {
		r.forget()
	}
	return r.condition()
}

// detect looks for NPUs.
func (r *ascendReader) detect() {
	changed, err := r.bus.scan()
	if err != nil || !changed {
		return
	}
	r.chips, r.reading.Unseen = nil, nil
	for _, d := range r.bus.found {
		switch {
		case ascendName(d) == "":
		case d.driver == "" && !d.gone:
			r.reading.Unseen = append(r.reading.Unseen, &facts.UnseenGPU{Pci: d.address, Vendor: "huawei", Why: "no driver"})
		default:
			r.chips = append(r.chips, ascendChip{pci: d})
		}
	}
	r.asked, r.pause, r.answered, r.err = 0, 0, time.Time{}, nil
	r.describe()
}

func ascendName(d pciDevice) string {
	for _, k := range ascendKinds {
		if k.device == d.device {
			return k.name
		}
	}
	return ""
}

// ask asks npu-smi what is due: the table, or in between the ECC errors of one card after the other.
func (r *ascendReader) ask(ctx context.Context, now int64) {
	if r.smi.out() > 0 {
		return
	}
	every := max(r.pause, ascendEvery)
	switch {
	case r.asked == 0 || now-r.asked >= every:
		if r.smi.ask(ctx, "npu-smi", "info") {
			r.asked, r.eccOf = now, -1
		}
	case r.err == nil && !r.answered.IsZero() && (r.eccAsked == 0 || now-r.eccAsked >= ascendECCEvery):
		cards := r.cards()
		if len(cards) == 0 {
			return
		}
		card := cards[r.eccTurn%len(cards)]
		if r.smi.ask(ctx, "npu-smi", "info", "-t", "ecc", "-i", fmt.Sprint(card)) {
			r.eccAsked, r.eccOf = now, card
			r.eccTurn++
		}
	}
}

// cards are the numbers of the cards that npu-smi listed.
func (r *ascendReader) cards() (list []int) {
	for _, c := range r.chips {
		if c.told && !slices.Contains(list, c.row.card) {
			list = append(list, c.row.card)
		}
	}
	return list
}

// take takes an answer in.
func (r *ascendReader) take(answer []byte, err error, now int64) {
	if r.eccOf >= 0 {
		if err == nil {
			r.takeECC(parseAscendECC(answer), now)
		}
		return
	}
	t := parseAscendTable(answer)
	if len(t.rows) == 0 {
		if r.err = err; err == nil {
			r.err = errors.New(firstWords(answer))
		}
		if r.pause = min(max(2*r.pause, ascendEvery), ascendPause); isMissing(r.err) {
			r.pause = ascendPause
		}
		return
	}
	r.err, r.pause, r.answered = nil, 0, time.Now()
	r.takeTable(&t, now)
}

// firstWords is the first line of an answer that is no table.
func firstWords(b []byte) string {
	for _, line := range splitLines(b) {
		if len(line) > 0 {
			return telemetry.Clean(string(line), 200)
		}
	}
	return "said nothing"
}

// takeTable sets what a table says. NPUs on the bus that it does not list are another's.
func (r *ascendReader) takeTable(t *ascendTable, now int64) {
	var chips []ascendChip
	var unseen []*facts.UnseenGPU
	r.warnings = ""
	changed := false
	for _, d := range r.bus.found {
		if ascendName(d) == "" {
			continue
		}
		i := slices.IndexFunc(t.rows, func(row ascendRow) bool { return row.pci == d.address })
		was := slices.IndexFunc(r.chips, func(c ascendChip) bool { return c.pci.address == d.address })
		switch {
		case i >= 0:
			chips = append(chips, ascendChip{pci: d, row: t.rows[i], told: true})
			changed = changed || was < 0 || !r.chips[was].told || r.chips[was].row.words() != t.rows[i].words()
		case d.gone:
			chips = append(chips, ascendChip{pci: d})
		default:
			why := "not shown by npu-smi"
			if d.driver == "" {
				why = "no driver"
			}
			unseen = append(unseen, &facts.UnseenGPU{Pci: d.address, Vendor: "huawei", Why: why})
			changed = changed || was >= 0
		}
	}
	if len(chips) == 0 {
		r.err = errors.New("its table names none of the NPUs on the PCI bus")
		return
	}
	r.chips = chips
	if changed || len(chips) != len(r.reading.GPUs) {
		r.reading.Unseen = unseen
		r.describe()
	}
	r.setRows(t)
	r.reading.FastMS = now
}

// setRows sets the readings of a table.
func (r *ascendReader) setRows(t *ascendTable) {
	s := &r.reading.State
	var held []Holder
	for i := range r.chips {
		c := &r.chips[i]
		if !c.told {
			s.Set(telemetry.GPUStatus, i, telemetry.GPULost)
			continue
		}
		setFloat(s, telemetry.GPUPowerMW, i, c.row.powerW*1000)
		setFloat(s, telemetry.GPUTempC, i, c.row.tempC)
		setFloat(s, telemetry.GPUUtilPct, i, c.row.util)
		setFloat(s, telemetry.GPUMemUsedBytes, i, c.row.usedMB*(1<<20))
		setFloat(s, telemetry.GPUMemTotalBytes, i, c.row.totalMB*(1<<20))
		switch s.Clear(telemetry.GPUStatus, i); c.row.health {
		case "OK":
			s.Set(telemetry.GPUStatus, i, telemetry.GPUOK)
		case "Warning":
			s.Set(telemetry.GPUStatus, i, telemetry.GPUOK)
			r.warnings = fmt.Sprintf("npu-smi warns of NPU %d chip %d", c.row.card, c.row.chip)
		case "Alarm", "Critical":
			s.Set(telemetry.GPUStatus, i, telemetry.GPUFailing)
		}
		n := int64(0)
		for _, p := range t.processes {
			if p.card == c.row.card && p.chip == c.row.chip {
				held = addHolder(held, Holder{PID: p.pid, GPU: uint32(i), Memory: p.memoryMB << 20, Known: p.memoryMB > 0})
				n++
			}
		}
		s.Set(telemetry.GPUProcesses, i, n)
		pciLink(r.m.Root, c.pci.address, s, i)
	}
	if !slices.Equal(held, r.reading.Holders) {
		r.reading.Holders = held
	}
}

// takeECC sets what a card's errors are.
func (r *ascendReader) takeECC(list []ascendECC, now int64) {
	for _, e := range list {
		i := slices.IndexFunc(r.chips, func(c ascendChip) bool { return c.told && c.row.card == r.eccOf && c.row.chip == e.chip })
		if i < 0 {
			continue
		}
		for k, f := range ascendECCFields {
			if v := e.values[k]; v >= 0 && f.metric == telemetry.GPURetiredPending {
				r.reading.State.Set(f.metric, i, min(v, 1))
			} else if v >= 0 {
				r.reading.State.Set(f.metric, i, v)
			}
		}
		r.reading.SlowMS = now
	}
}

// describe makes the inventory anew.
func (r *ascendReader) describe() {
	gpus := make([]*facts.GPU, len(r.chips))
	for i, c := range r.chips {
		g := &facts.GPU{Vendor: "huawei", Minor: -1, ModuleId: -1, Name: ascendName(c.pci)}
		for _, k := range ascendKinds {
			if k.device == c.pci.device {
				g.Architecture = k.arch
			}
		}
		pciPlace(r.m.Root, c.pci.address, g)
		switch {
		case c.pci.gone:
			g.Note = goneNote
		case c.told:
			g.BoardPart, g.Driver, g.Minor = c.row.name, c.row.driver, c.row.minor
			if c.row.totalMB > 0 {
				g.MemoryTotalBytes = uint64(c.row.totalMB) << 20
			}
			if c.row.health != "OK" && c.row.health != "" {
				g.Note = "health: " + c.row.health
			}
		default:
			g.Note = "not checked"
		}
		gpus[i] = g
	}
	s := &r.reading.State
	s.Resize(telemetry.ScopeGPU, 0)
	s.Resize(telemetry.ScopeGPU, len(gpus))
	r.reading.GPUs = gpus
	r.reading.Generation++
}

// forget clears what was read: npu-smi answers no more.
func (r *ascendReader) forget() {
	r.answered = time.Time{}
	for i := range r.chips {
		r.reading.State.ClearEntity(telemetry.ScopeGPU, i)
	}
	r.reading.Holders = nil
}

// condition says how it goes.
func (r *ascendReader) condition() error {
	switch out := r.smi.out(); {
	case r.m.Start == nil:
		return &Condition{State: facts.SourceState_SOURCE_UNSUPPORTED, Text: fmt.Sprintf("%d Ascend NPUs are here, and not checked: npu-smi", len(r.chips)) + noPrograms}
	case out > ascendDeadline+10*time.Second:
		return &Condition{State: facts.SourceState_SOURCE_STUCK, Text: "npu-smi is to end, but a call into the driver does not return", Remedy: stuckRemedy, Stuck: out}
	case isMissing(r.err):
		return &Condition{State: facts.SourceState_SOURCE_UNSUPPORTED, Text: fmt.Sprintf("%d Ascend NPUs are here, and not checked: npu-smi is missing", len(r.chips)),
			Remedy: "install the NPU driver's tools, and put npu-smi on the PATH of logins without a terminal"}
	case r.err != nil:
		return &Condition{State: facts.SourceState_SOURCE_FAILING, Text: "npu-smi: " + telemetry.Clean(r.err.Error(), 300),
			Remedy: "see what npu-smi info says to this user: it needs the driver, its libraries, and the group HwHiAiUser"}
	case r.answered.IsZero():
		return &Condition{State: facts.SourceState_SOURCE_UNKNOWN, Text: "asking npu-smi"}
	case r.warnings != "":
		return Remark(r.warnings)
	}
	return nil
}
