package findings

import (
	"strings"
	"sync"

	"foretop/fleet"
)

// byFirst are patterns by the byte that they begin with, and those that begin with a place.
type byFirst struct {
	with  [256][]*program
	loose []*program
}

func (b *byFirst) add(p *program) {
	if first := p.steps[0]; first.place == 0 && first.literal != "" {
		b.with[first.literal[0]] = append(b.with[first.literal[0]], p)
		return
	}
	b.loose = append(b.loose, p)
}

// find gives what the first pattern that fits says, and its rule; nil for none.
func (b *byFirst) find(s string, from origin) (fleet.KernelClass, *rule) {
	if s == "" {
		return fleet.KernelClass{}, nil
	}
	for _, p := range b.with[s[0]] {
		if strings.HasPrefix(s, p.steps[0].literal) {
			if c, r := p.try(s, from); r != nil {
				return c, r
			}
		}
	}
	absent := ""
	for _, p := range b.loose {
		if p.needle == absent {
			continue
		}
		if !strings.Contains(s, p.needle) {
			absent = p.needle
			continue
		}
		if c, r := p.try(s, from); r != nil {
			return c, r
		}
	}
	return fleet.KernelClass{}, nil
}

// rules are all tables, made ready.
type rules struct {
	bare, named, any byFirst
	drivers          map[string]*byFirst
}

var matcher = sync.OnceValue(func() *rules {
	m := &rules{drivers: map[string]*byFirst{}}
	for _, table := range kernelTables() {
		for i := range table {
			m.add(&table[i])
		}
	}
	return m
})

func (m *rules) add(r *rule) {
	p := compile(r)
	switch r.on {
	case bare:
		m.bare.add(p)
	case named:
		m.named.add(p)
	case anyDriver:
		m.any.add(p)
	default:
		for _, driver := range strings.Fields(r.on) {
			if m.drivers[driver] == nil {
				m.drivers[driver] = &byFirst{}
			}
			m.drivers[driver].add(p)
		}
	}
}

// classify gives what a line means, and the rule that says so; nil for an ordinary line.
func (m *rules) classify(line string) (fleet.KernelClass, *rule) {
	if c, r := m.bare.find(line, origin{}); r != nil || line[0] < 'a' || line[0] > 'z' {
		return c, r
	}
	from, rest, ok := split(line)
	switch {
	case !ok:
		return fleet.KernelClass{}, nil
	case from.driver == "":
		return m.named.find(rest, from)
	}
	rest = strings.TrimPrefix(strings.TrimLeft(rest, " "), "AER: ")
	if own := m.drivers[from.driver]; own != nil {
		if c, r := own.find(rest, from); r != nil {
			return c, r
		}
	}
	return m.any.find(rest, from)
}

const maxHead = 80 // of a driver's line, up to its colon

// split takes a line apart that begins with a device: "DRIVER DEVICE: ", "DRIVER DEVICE NETDEV: " or "NAME: ".
func split(line string) (from origin, rest string, ok bool) {
	colon := strings.Index(line[:min(len(line), maxHead)], ": ")
	if colon < 0 {
		return from, "", false
	}
	head, rest := line[:colon], line[colon+2:]
	driver, device, ok := strings.Cut(head, " ")
	if !ok {
		return origin{device: head}, rest, isName(head)
	}
	device, netdev, _ := strings.Cut(device, " ")
	if !isName(driver) || !isDevice(device) || netdev != "" && !isName(netdev) {
		return from, "", false
	}
	return origin{driver, device, netdev}, rest, true
}

func isName(s string) bool {
	for i := range len(s) {
		if !nameByte(s[i]) {
			return false
		}
	}
	return s != ""
}

// isDevice: a name, or a PCI or SCSI address.
func isDevice(s string) bool {
	for i := range len(s) {
		if !nameByte(s[i]) && s[i] != ':' {
			return false
		}
	}
	return s != ""
}
