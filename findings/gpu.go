package findings

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"foretop/fleet"
	"foretop/telemetry"
)

// Clock event reasons of NVML that slow a GPU down for a cause that is not its own power limit (nvml.h, nvmlClocksEventReasons).
const (
	swPowerCap   = 0x4 // but this one: its power limit
	hwSlowdown   = 0x8
	swThermal    = 0x20
	hwThermal    = 0x40
	hwPowerBrake = 0x80
)

// For how long things must last to be told.
const (
	throttleFor = 3 * time.Second  // drivers set the bits for a moment at every clock change
	fabricFor   = time.Minute      // a GPU registers while its node starts
	slowLinkFor = 90 * time.Second // the PCIe generation is read once or twice a minute: one reading may be of before the load came
)

// heldBackPct is the share of time from which it matters that a GPU was held back between readings.
const heldBackPct = 5

// fewErrors is how many corrected errors of links in an hour say little.
const fewErrors = 100

// gpuRules judge one GPU at a time.
type gpuRules struct {
	node  *fleet.Node
	at    time.Time
	m     remembered
	was   *gpuPast // of the GPU that is looked at
	peers peers
	found []fleet.Problem
}

// peers is what the node's other GPUs are like.
type peers struct {
	limit fleet.Reading // of power, of the one with the highest

	// Of their slow readings, while those are looked at.
	eccOn   bool
	linksUp fleet.Reading // of the one with the most
	widest  fleet.Reading // PCIe, of the one with the widest link
}

func (p *peers) note(s *fleet.GPUSlow) {
	p.eccOn = p.eccOn || s.ECCMode == 1
	if s.LinksUp > p.linksUp {
		p.linksUp = s.LinksUp
	}
	if s.PCIeWidth > p.widest {
		p.widest = s.PCIeWidth
	}
}

// anyPeer asks the node's other GPUs of the same kind until one says yes.
func (r *gpuRules) anyPeer(g *fleet.GPU, is func(*fleet.GPUSlow) bool) bool {
	for i := range r.node.GPUs {
		if o := &r.node.GPUs[i]; o != g && o.Info.Name == g.Info.Name && is(o.Slow) {
			return true
		}
	}
	return false
}

// gpuProblems adds what is wrong with a node's GPUs.
func gpuProblems(found []fleet.Problem, n *fleet.Node, at time.Time, m remembered) []fleet.Problem {
	if n.Inventory != nil {
		if m.On("hw.gpu-unseen") {
			found = unseenProblems(found, n.Inventory.UnseenGpus)
		}
		if m.On("hw.gpu-missing") {
			found = missingProblems(found, n, at, m)
		}
	}
	if len(n.GPUs) == 0 {
		return found
	}
	r := gpuRules{node: n, at: at, m: m, found: found}
	for i := range n.GPUs {
		if l := n.GPUs[i].PowerLimitW; l > r.peers.limit {
			r.peers.limit = l
		}
	}
	same := len(n.GPUs) == m.looked
	for i := range n.GPUs {
		g, was := &n.GPUs[i], &m.gpus[i]
		if same = same && was.slow == g.Slow && was.info == g.Info; !same {
			was.slow, was.info = g.Slow, g.Info
		}
		if r.was = was; r.status(g) {
			same = false
			continue // its other readings are old
		}
		if m.On("hw.throttle") {
			r.throttle(g)
		}
		if m.On("hw.power-limit") {
			r.powerLimit(g)
		}
	}
	if m.looked = len(n.GPUs); !same || !m.sound {
		r.found, m.sound = r.slowly()
	}
	return r.found
}

// slowly asks the rules that look at GPUs' slow readings, which stay what they are for half a minute. It says that these are sound: nothing is to be told of them, and
// nothing will be by time alone.
func (r gpuRules) slowly() (found []fleet.Problem, sound bool) {
	n, before := r.node, len(r.found)
	for i := range n.GPUs {
		r.peers.note(n.GPUs[i].Slow)
	}
	sound = true
	for i := range n.GPUs {
		g := &n.GPUs[i]
		if g.Status > telemetry.GPUOK {
			sound = false
			continue
		}
		for k := range eachGPU {
			if r.m.On(eachGPU[k].id) {
				eachGPU[k].ask(&r, g)
			}
		}
		ready, known := g.Slow.FabricReady()
		sound = sound && g.Slow.PCIeLowSince.IsZero() && (ready || !known) && (g.Slow.ECCVolatileUncorrected.Known() || len(n.Parts) == 0)
	}
	return r.found, sound && len(r.found) == before
}

// eachGPU are the rules that look at the slow readings of one GPU. But for those that slowly names, they answer by these and nothing else.
var eachGPU = [...]struct {
	id  string
	ask func(*gpuRules, *fleet.GPU)
}{
	{"hw.ecc", (*gpuRules).ecc}, {"hw.remap", (*gpuRules).remap}, {"hw.ecc-mode", (*gpuRules).eccMode}, {"hw.recovery", (*gpuRules).verdict}, {"hw.fabric", (*gpuRules).fabric},
	{"hw.nvlink", (*gpuRules).links}, {"hw.c2c", (*gpuRules).c2c}, {"hw.pcie", (*gpuRules).pcie}, {"hw.gpu-reset", (*gpuRules).runs},
}

func (r *gpuRules) add(g *fleet.GPU, rule string, s fleet.Severity, text string, since time.Time, evidence ...string) {
	r.found = append(r.found, fleet.Problem{Rule: rule, Severity: s, Text: "GPU" + strconv.Itoa(g.Index) + " " + text, GPU: g.Index, Port: -1, Since: since, Evidence: evidence})
}

// status says whether the GPU is out, and tells it.
func (r *gpuRules) status(g *fleet.GPU) bool {
	bad := g.Status > telemetry.GPUOK
	since := r.was.out.note(bad, r.at)
	if !bad {
		return false
	}
	text, note := "failing: the driver returns errors", short(g.Info.Note, 80)
	switch g.Status {
	case telemetry.GPULost:
		text, note = "lost: fell off the bus", ""
	case telemetry.GPUUnanswered:
		text = "not answering" + seconds(max(since, g.Stale).Seconds())
		if note != "" {
			text += ": " + note
		}
	default:
		if note != "" {
			text = "failing: " + note
		}
	}
	if r.m.On("hw.gpu-lost") {
		r.add(g, "hw.gpu-lost", fleet.Critical, text, r.began(since), whoIs(g)...)
	}
	return true
}

// began is when something began that has lasted for so long; zero for just now.
func (r *gpuRules) began(since time.Duration) time.Time {
	if since <= 0 {
		return time.Time{}
	}
	return r.at.Add(-since)
}

func (r *gpuRules) throttle(g *fleet.GPU) {
	bits := max(0, g.ThrottleBits) & (hwSlowdown | swThermal | hwThermal | hwPowerBrake)
	if since := r.was.slowed.note(bits != 0, r.at); bits != 0 && since >= throttleFor {
		r.add(g, "hw.throttle", fleet.Warning, "slowed: "+throttleWords(bits), r.began(since), fmt.Sprintf("clock event reasons 0x%x %s", g.ThrottleBits, sinceWords(since)), heatOf(g))
		return
	}
	if g.Detail == nil {
		return
	}
	for _, c := range [...]struct {
		cause fleet.ThrottleCause
		words string
	}{{fleet.ThrottleHWThermal, "heat (hardware)"}, {fleet.ThrottlePowerBrake, "power brake"}, {fleet.ThrottleSWThermal, "heat (driver)"}, {fleet.ThrottleReliability, "voltage reliability"}} {
		if pct := g.Detail.Throttle[c.cause].Pct; pct >= heldBackPct {
			r.add(g, "hw.throttle", fleet.Notice, fmt.Sprintf("slowed %.0f %% of the time: %s", float64(pct), c.words), time.Time{}, heatOf(g))
			return
		}
	}
}

func throttleWords(bits int64) string {
	switch {
	case bits&hwThermal != 0:
		return "too hot (hardware)"
	case bits&hwPowerBrake != 0:
		return "power brake"
	case bits&swThermal != 0:
		return "too hot (driver)"
	}
	return "hardware slowdown"
}

// ecc judges errors of memory that could not be corrected.
func (r *gpuRules) ecc(g *fleet.GPU) {
	s := g.Slow
	never := time.Time{}
	if s.ECCVolatileUncorrected > 0 {
		r.add(g, "hw.ecc", fleet.Warning, fmt.Sprintf("ECC: %.0f uncorrected", float64(s.ECCVolatileUncorrected)), never,
			"since the driver was loaded: "+counted(s.ECCVolatileUncorrected)+" uncorrected, "+counted(s.ECCVolatileCorrected)+" corrected; since the board was made: "+counted(s.ECCAggregateUncorrected)+" uncorrected")
	} else if !s.ECCVolatileUncorrected.Known() {
		r.partErrors(g)
	}
	if s.SRAMThresholdExceeded > 0 {
		r.add(g, "hw.ecc", fleet.Critical, "SRAM errors beyond the maker's limit: replace it", never, "SRAM errors since the board was made: "+counted(s.SRAMUncorrected))
	}
}

// remap judges how memory is mended. That a reset is due is the driver's to say, where it does.
func (r *gpuRules) remap(g *fleet.GPU) {
	s := g.Slow
	never := time.Time{}
	pending, when := fleet.Warning, "needs a reset"
	if _, _, told := s.Recovery(); told {
		pending, when = fleet.Notice, "done by the next reset"
	}
	switch {
	case s.RemapFailure > 0:
		r.add(g, "hw.remap", fleet.Critical, "row remap failed: replace it", never, remapped(s))
	case s.RemapPending > 0:
		r.add(g, "hw.remap", pending, "row remap pending: "+when, never, remapped(s))
	}
	if s.RetiredPending > 0 {
		r.add(g, "hw.remap", pending, "page retirement pending: "+when, never, "pages retired for double-bit errors: "+counted(s.RetiredPagesUncorrected))
	}
}

// remapped is how many rows were replaced, as evidence.
func remapped(s *fleet.GPUSlow) string {
	return "rows remapped for uncorrectable errors: " + counted(s.RemappedUncorrected) + ", for corrected ones: " + counted(s.RemappedCorrected)
}

func (r *gpuRules) eccMode(g *fleet.GPU) {
	s := g.Slow
	if s.ECCMode == 0 && r.peers.eccOn && r.anyPeer(g, func(o *fleet.GPUSlow) bool { return o.ECCMode == 1 }) {
		r.add(g, "hw.ecc-mode", fleet.Warning, "ECC is off, unlike its peers", time.Time{}, "ECC mode 0, of others of the same name 1")
	}
}

// partErrors tells errors that are counted by the parts of a GPU alone.
func (r *gpuRules) partErrors(g *fleet.GPU) {
	total, parts := fleet.Reading(0), []string(nil)
	for i := range r.node.Parts {
		if p := &r.node.Parts[i]; p.GPU == g.Index && p.ECCUncorrected > 0 {
			total += p.ECCUncorrected
			parts = append(parts, partName(p))
		}
	}
	if total > 0 {
		r.add(g, "hw.ecc", fleet.Warning, fmt.Sprintf("ECC: %.0f uncorrected", float64(total)), time.Time{}, "counted by its parts: "+list(parts))
	}
}

// verdict tells what the driver itself asks for.
func (r *gpuRules) verdict(g *fleet.GPU) {
	if says, severity, _ := g.Slow.Recovery(); severity > fleet.Fine {
		r.add(g, "hw.recovery", severity, "driver asks: "+says, time.Time{}, "NVML recovery action "+strconv.Itoa(g.Slow.RecoveryAction))
	}
}

// fabric judges a GPU behind NVSwitches: until it is registered it can not use NVLink. One that is used in parts has no use for it.
func (r *gpuRules) fabric(g *fleet.GPU) {
	s := g.Slow
	ready, known := s.FabricReady()
	if !known || ready && s.FabricSound() || g.Info.Mig || s.Links == 0 {
		return
	}
	bad := ""
	for _, h := range s.FabricHealth() {
		if h.Bad {
			bad += ", " + h.What + " " + h.Says
		}
	}
	switch {
	case ready && bad != "":
		r.add(g, "hw.fabric", fleet.Warning, "NVLink fabric: "+bad[len(", "):], s.FabricSince, fmt.Sprintf("fabric health mask 0x%x", s.FabricHealthBits))
	case !ready && (s.FabricStatus > 0 || r.at.Sub(s.FabricSince) >= fabricFor):
		r.add(g, "hw.fabric", fleet.Critical, "cannot use NVLink: "+s.FabricWords()+bad, s.FabricSince, fmt.Sprintf("fabric state %d, status %d", s.FabricState, s.FabricStatus))
	}
}

// links judges NVLink and xGMI. A link that was never up, here or on a peer, may simply not be wired.
func (r *gpuRules) links(g *fleet.GPU) {
	s := g.Slow
	if (s.LinksUp < s.LinksMost || s.LinksUp < r.peers.linksUp) && !g.Info.Mig {
		most := max(s.LinksMost, s.LinksUp)
		r.anyPeer(g, func(o *fleet.GPUSlow) bool {
			if o.LinksUp > most {
				most = o.LinksUp
			}
			return false
		})
		if down := most - s.LinksUp; down > 0 {
			text := fmt.Sprintf("%s: %.0f of %.0f links down", linkName(g), float64(down), float64(most))
			if n := len(s.LinksDown); n <= 6 && n == int(down) {
				text += ": " + strings.Trim(fmt.Sprint(s.LinksDown), "[]")
			}
			r.add(g, "hw.nvlink", fleet.Warning, text, time.Time{}, fmt.Sprintf("%.0f up; the most here or on a peer: %.0f", float64(s.LinksUp), float64(most)))
		}
	}
	r.linkErrors(g)
}

// c2c judges the way to the CPU.
func (r *gpuRules) c2c(g *fleet.GPU) {
	if s := g.Slow; s.C2CLinksUp < s.C2CLinks {
		r.add(g, "hw.c2c", fleet.Warning, fmt.Sprintf("link to the CPU: %.0f of %.0f down", float64(s.C2CLinks-s.C2CLinksUp), float64(s.C2CLinks)), time.Time{}, "C2C links up: "+counted(s.C2CLinksUp))
	}
}

func linkName(g *fleet.GPU) string {
	if g.Info.Vendor == "amd" {
		return "xGMI"
	}
	return "NVLink"
}

// linkErrors tells errors of links that came of late. A link that had to recover did not work meanwhile; a few repeated packets say little.
func (r *gpuRules) linkErrors(g *fleet.GPU) {
	s := g.Slow
	if !(s.NVLinkRecoveries.Grew > 0 || s.NVLinkCRCErrors.Grew > 0 || s.NVLinkReplays.Grew > 0) {
		return
	}
	severity, last := fleet.Notice, time.Time{}
	var words []string
	for _, c := range [...]struct {
		rise      fleet.Rise
		many      fleet.Reading
		one, more string
	}{{s.NVLinkRecoveries, 1, "recovery", "recoveries"}, {s.NVLinkCRCErrors, fewErrors, "CRC error", "CRC errors"}, {s.NVLinkReplays, fewErrors, "replay", "replays"}} {
		if !(c.rise.Grew > 0) {
			continue
		}
		word := c.more
		if c.rise.Grew == 1 {
			word = c.one
		}
		words = append(words, fmt.Sprintf("%.0f %s", float64(c.rise.Grew), word))
		if c.rise.Grew >= c.many && r.at.Sub(c.rise.At) < calmAfter {
			severity = fleet.Warning
		}
		if c.rise.At.After(last) {
			last = c.rise.At
		}
	}
	r.add(g, "hw.nvlink", severity, linkName(g)+": "+strings.Join(words, ", ")+r.when(last), last,
		"totals: "+counted(s.NVLinkRecoveries.Total)+" recoveries, "+counted(s.NVLinkCRCErrors.Total)+" CRC errors, "+counted(s.NVLinkReplays.Total)+" replays")
}

// when is ", 12 min ago" for what has calmed since.
func (r *gpuRules) when(last time.Time) string {
	if quiet := r.at.Sub(last); quiet >= calmAfter {
		return ", " + ago(quiet)
	}
	return ""
}
