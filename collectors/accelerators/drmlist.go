package accelerators

import (
	"slices"

	"foretop/telemetry"
	"foretop/telemetry/facts"
)

const noDriver = "no driver"

// list looks which cards there are. A card that was there before keeps its place and its files; one that has gone stays as lost, unless its device was given
// to another driver.
func (r *drmReader) list(now int64) error {
	cards, err := listCards(r.sys, r.maker.drivers())
	if err != nil {
		return err
	}
	r.listedMS, r.missing = now, false
	for _, c := range cards {
		r.take(c)
	}
	r.slots = slices.DeleteFunc(r.slots, func(s *drmSlot) bool {
		if slices.ContainsFunc(cards, func(c drmCard) bool { return c.address == s.info.address }) {
			return false
		}
		return r.lose(s)
	})
	if r.busMS == 0 || r.stale || now-r.busMS >= drmBusMS {
		r.busMS = now
		r.lookAtBus()
	}
	if len(r.slots) > 0 {
		namespace := readLink(r.sys, "proc/self/ns/pid")
		r.inside = namespace != "" && namespace != initialPIDNamespace
	}
	return nil
}

// take makes a place for a card, or gives it back the one that it had.
func (r *drmReader) take(c drmCard) {
	at := slices.IndexFunc(r.slots, func(s *drmSlot) bool { return s.info.address == c.address })
	if at >= 0 && r.slots[at].card != nil && r.slots[at].info == c {
		return
	}
	power := r.sys.gauge(c.device + "/power/runtime_status")
	b, err := power.read()
	if at < 0 && (len(r.slots) >= telemetry.MaxEntities(telemetry.ScopeGPU) || !r.maker.accepts(c, err == nil && asleep(b))) {
		power.drop()
		return
	}
	s := &drmSlot{}
	if at < 0 {
		for at = len(r.slots); at > 0 && r.slots[at-1].info.address > c.address; at-- {
		}
		r.slots = slices.Insert(r.slots, at, s)
	} else {
		s = r.slots[at]
		s.close()
	}
	*s = drmSlot{info: c, card: r.maker.open(c), power: power, fact: r.outside(c), held: telemetry.Absent}
	r.stale, r.slowMS, r.slowAt = true, 0, -1
}

// lose notes that a card is not there any more; it says whether to forget it.
func (r *drmReader) lose(s *drmSlot) bool {
	driver := ""
	onBus := r.sys.root.Exists(pciDevices + "/" + s.info.address)
	if onBus {
		driver = r.sys.root.Target(pciDevices + "/" + s.info.address + "/driver")
	}
	if driver != "" && !slices.Contains(r.maker.drivers(), driver) {
		s.close()
		r.stale = true
		return true
	}
	if s.card != nil {
		s.close()
		r.stale = true
	}
	s.slow, s.fast, s.sleeps = s.slow[:0], s.fast[:0], false
	if onBus {
		s.become(r, telemetry.GPUFailing, "on the PCI bus, but its driver shows it no more")
	} else {
		s.become(r, telemetry.GPULost, "gone from the PCI bus")
	}
	return false
}

// outside is what can be said of a card without touching it.
func (r *drmReader) outside(c drmCard) *facts.GPU {
	word := func(name string) string { return r.sys.word(c.device + "/" + name) }
	f := &facts.GPU{
		Pci: c.address, Vendor: r.maker.name(), Minor: -1, NumaNode: -1, ModuleId: -1, CpuAffinity: word("local_cpulist"),
		PciPath: telemetry.Clean(r.sys.root.PCIPath(c.address), 512), Driver: driverVersion(r.sys, c.driver),
	}
	if n := r.sys.number(c.device + "/numa_node"); n >= 0 && n < 1<<16 {
		f.NumaNode = int32(n)
	}
	f.Name, f.Architecture = modelOf(c.pciIdentity)
	return f
}

// driverVersion is the module's own version; a driver that comes with the kernel has none but the kernel's.
func driverVersion(sys sysfs, driver string) string {
	if v := sys.word("sys/module/" + driver + "/version"); v != "" {
		return v
	}
	if v := sys.word("proc/sys/kernel/osrelease"); v != "" {
		return driver + " of Linux " + v
	}
	return ""
}

// lookAtBus finds the accelerators that are on the PCI bus and have no card: those known by their numbers, for of others it cannot be told.
func (r *drmReader) lookAtBus() {
	var unseen []*facts.UnseenGPU
	names, _ := r.sys.root.Names(pciDevices)
	for _, address := range names {
		if !isPCIAddress(address) || r.sys.hex(pciDevices+"/"+address+"/vendor") != r.maker.pciVendor() {
			continue
		}
		p := readPCI(r.sys, address)
		if !p.computes() || slices.ContainsFunc(r.slots, func(s *drmSlot) bool { return s.info.address == address }) {
			continue
		}
		why := noDriver
		if p.driver != "" {
			why = "driver " + p.driver
		}
		if len(unseen) < telemetry.MaxEntities(telemetry.ScopeGPU) {
			unseen = append(unseen, &facts.UnseenGPU{Pci: address, Vendor: r.maker.name(), Why: telemetry.Clean(why, 64)})
		}
	}
	same := func(a, b *facts.UnseenGPU) bool { return a.Pci == b.Pci && a.Why == b.Why }
	if !slices.EqualFunc(unseen, r.unseen, same) {
		r.unseen, r.stale = unseen, true
	}
}
