package collectors

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"foretop/collectors/kernfs"
	"foretop/telemetry"
	"foretop/telemetry/facts"
)

const maxCountersOfPort = 512 // hfi1 has hundreds

// list looks which devices and ports there are. Where they are the same as before, nothing changes.
func (r *rdmaReader) list() error {
	devices, err := r.m.root.Names(rdmaClass)
	if errors.Is(err, fs.ErrNotExist) {
		devices, err = nil, nil
	}
	if err != nil {
		return fmt.Errorf("list %s: %w", rdmaClass, err)
	}
	slices.SortFunc(devices, kernfs.Natural)
	if slices.Equal(devices, r.devices) {
		return nil
	}
	for _, p := range r.ports {
		p.close()
	}
	r.devices, r.ports, r.errorsMS, r.pcieMS = devices, nil, 0, 0
	for d := range r.refused {
		if !slices.Contains(devices, d) {
			delete(r.refused, d)
		}
	}
	var hw []*facts.HWCounter
	for _, d := range devices {
		hw = r.addDevice(d, hw)
	}
	r.readCapabilities()
	ports := make([]*facts.Port, len(r.ports))
	for i, p := range r.ports {
		ports[i] = p.fact
	}
	b := r.m.board
	b.mu.Lock()
	defer b.mu.Unlock()
	b.inventory.Ports, b.inventory.HwCounters = ports, hw
	b.resize(telemetry.ScopePort, len(ports))
	b.resize(telemetry.ScopeHWCounter, len(hw))
	return nil
}

func (r *rdmaReader) addDevice(device string, hw []*facts.HWCounter) []*facts.HWCounter {
	dir := rdmaClass + "/" + device
	numbers, err := r.m.root.Names(dir + "/ports")
	if err != nil {
		return hw // the device went away while it was listed
	}
	slices.SortFunc(numbers, kernfs.Natural)
	for i, n := range numbers {
		number, ok := kernfs.ParseUint([]byte(n))
		if !ok || len(r.ports) >= telemetry.MaxEntities(telemetry.ScopePort) {
			continue
		}
		p := &rdmaPort{device: device, dir: dir + "/ports/" + n, fact: r.describe(device, uint32(number))}
		p.state = r.m.root.Hold(p.dir + "/state")
		p.current = rdmaReading{telemetry.Absent, telemetry.Absent, telemetry.Absent, telemetry.Absent,
			[numTraffic]int64{telemetry.Absent, telemetry.Absent, telemetry.Absent, telemetry.Absent}, noPCIeLink}
		index := uint32(len(r.ports))
		r.ports = append(r.ports, p)
		if r.refused[device] != "" {
			continue
		}
		for t := range p.traffic {
			p.traffic[t] = r.trafficOf(p.dir, trafficFiles[t])
		}
		folders := []string{p.dir + "/counters", p.dir + "/hw_counters"}
		if i == 0 {
			folders = append(folders, dir+"/hw_counters") // of the whole device
		}
		hw = r.addCounters(p, index, folders, hw)
	}
	return hw
}

// addCounters takes every file of the folders, so that counters of drivers to come are read unasked.
func (r *rdmaReader) addCounters(p *rdmaPort, index uint32, folders []string, hw []*facts.HWCounter) []*facts.HWCounter {
	seen := map[string]bool{"lifespan": true}
	for _, folder := range folders {
		names, _ := r.m.root.Names(folder)
		for _, name := range names {
			if seen[name] || len(seen) > maxCountersOfPort || len(hw) >= telemetry.MaxEntities(telemetry.ScopeHWCounter) {
				continue
			}
			seen[name] = true
			c := rdmaCounter{name: name, path: folder + "/" + name, def: telemetry.LookupCounter(p.fact.Driver, name), entity: len(hw), value: telemetry.Absent}
			hw = append(hw, &facts.HWCounter{Port: index, Name: telemetry.Clean(name, 64)})
			if c.def.Metric != 0 {
				if index < heldPorts {
					c.file = r.m.root.Hold(c.path)
				}
				p.errors = append(p.errors, c)
			} else {
				p.more = append(p.more, c)
			}
		}
	}
	return hw
}

func (r *rdmaReader) trafficOf(dir string, rows []trafficRow) (c trafficCounter) {
	for _, row := range rows {
		if !r.m.root.Exists(dir + "/" + row.files[0]) {
			continue
		}
		c.unit = row.unit
		for _, f := range row.files {
			if r.m.root.Exists(dir + "/" + f) {
				c.files = append(c.files, r.m.root.Hold(dir+"/"+f))
			}
		}
		return c
	}
	return c
}
