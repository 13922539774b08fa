package accelerators

import (
	"slices"

	"foretop/collectors/kernfs"
	"foretop/telemetry"
)

const maxClients = 256 // of a card

// intelClients are who has a card open, as Intel's own i915 tells: a folder each, with the pid, the memory and the time that the engines worked for it.
type intelClients struct {
	sys  sysfs
	dir  string
	list []*intelClient // by number
}

type intelClient struct {
	number string
	pid    int32
	work   [len(computeClasses)]meter // ns
	memory int64                      // bytes
}

// computeClasses are the engines' classes that compute (uapi i915_drm.h): render, compute. Those that copy or decode are not what a card is bought for.
var computeClasses = [...]string{"0", "4"}

func (c *intelClients) close() {
	for _, one := range c.list {
		one.close()
	}
}

func (c *intelClient) close() {
	for i := range c.work {
		c.work[i].file.drop()
	}
}

// busy is the share of the last interval in which the engines computed, over the tiles' time: a client's engine works on one tile.
func (c *intelClients) busy(now int64, tiles int) int64 {
	grown, ms := int64(0), int64(0)
	for _, one := range c.list {
		for i := range one.work {
			m := &one.work[i]
			if _, err := m.read(now); err == nil && m.ms > 0 {
				grown, ms = plusBytes(grown, m.grown), max(ms, m.ms)
			}
		}
	}
	switch {
	case ms > 0 && tiles > 0:
		return percent(grown / 10_000 / ms / int64(tiles))
	case c.list == nil:
		return telemetry.Absent // not listed yet
	case len(c.list) == 0:
		return 0
	}
	return telemetry.Absent
}

// look lists the clients anew, and reads their memory. One whose pid stands in brackets has closed the card.
func (c *intelClients) look() {
	names, err := c.sys.root.Names(c.dir)
	if err != nil {
		return
	}
	slices.SortFunc(names, kernfs.Natural)
	list := make([]*intelClient, 0, len(names))
	for _, n := range names {
		if _, ok := kernfs.ParseUint([]byte(n)); !ok || len(list) >= maxClients {
			continue
		}
		dir := c.dir + "/" + n
		pid := c.sys.number(dir + "/pid")
		if pid <= 0 || pid >= 1<<31 {
			continue
		}
		at := slices.IndexFunc(c.list, func(o *intelClient) bool { return o.number == n && o.pid == int32(pid) })
		one := &intelClient{number: n, pid: int32(pid)}
		if at >= 0 {
			one = c.list[at]
			c.list = slices.Delete(c.list, at, at+1)
		} else {
			for i, class := range computeClasses {
				one.work[i] = newMeter(c.sys.gauge(dir + "/busy/" + class))
			}
		}
		one.memory = telemetry.Absent
		for _, name := range [...]string{"prelim_resident_created_bytes", "created_bytes"} {
			if one.memory == telemetry.Absent {
				one.memory = c.sys.number(dir + "/total_device_memory_buffer_objects/" + name)
			}
		}
		list = append(list, one)
	}
	c.close() // those that went
	c.list = list
}

func (a *intelMaker) machinePIDs() bool {
	return slices.ContainsFunc(a.cards, func(c *intelCard) bool { return c.clients != nil && !c.closed })
}

// holders tells who holds the cards: the clients that the driver lists, else the processes that have a card open.
func (a *intelMaker) holders(now int64, due bool, place placing, list []Holder) ([]Holder, bool) {
	a.cards = slices.DeleteFunc(a.cards, func(c *intelCard) bool { return c.closed })
	walked := a.walkProcesses(now)
	if !due && !walked || a.walk.nodes != nil && !a.walk.whole {
		return list, false
	}
	for _, c := range a.cards {
		gpu, _, card := place(c.address)
		if card != gpuCard(c) {
			continue
		}
		if c.clients == nil {
			list = a.walk.heldOf(c, gpu, list)
			continue
		}
		if due {
			c.clients.look()
		}
		for _, one := range c.clients.list {
			h := Holder{PID: one.pid, GPU: gpu}
			if one.memory >= 0 {
				h.Memory, h.Known = uint64(one.memory), true
			}
			list = mergeHolder(list, h)
		}
	}
	return list, true
}

// mergeHolder adds a process, or what it holds more by another client.
func mergeHolder(list []Holder, h Holder) []Holder {
	for i := range list {
		if o := &list[i]; o.PID == h.PID && o.GPU == h.GPU && o.Part == h.Part {
			o.Known = o.Known || h.Known
			o.Memory += min(h.Memory, 1<<62-min(o.Memory, 1<<62))
			return list
		}
	}
	if len(list) >= maxHolders {
		return list
	}
	return append(list, h)
}

// walkProcesses goes on looking for processes that have a card open whose driver lists none itself. It says whether a walk ended just now.
func (a *intelMaker) walkProcesses(now int64) bool {
	if !a.walk.due(now) {
		return false
	}
	var nodes map[string]string
	for _, c := range a.cards {
		if c.clients != nil {
			continue // its driver tells
		}
		for _, n := range c.files {
			if nodes == nil {
				nodes = map[string]string{}
			}
			nodes["/dev/dri/"+n] = c.address
		}
	}
	if a.walk.nodes = nodes; nodes == nil {
		return false
	}
	ended := a.walk.step(now)
	if ended {
		for _, c := range a.cards {
			c.used = a.walk.usedOf(c)
		}
	}
	return ended
}
