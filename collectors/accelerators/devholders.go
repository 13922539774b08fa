package accelerators

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"strconv"

	"foretop/collectors/kernfs"
)

// nodeHolders finds the processes that hold a device node open, by the links /proc/PID/fd/*. Who may look into a process is the owner, and root.
//
// Looking at all of them costs a system call a descriptor, so a process that is older than the last walks and held nothing is looked at again only
// now and then.
type nodeHolders struct {
	root    kernfs.Root
	seen    map[int32]*looked
	walk    uint64
	foreign int // processes that this user may not look into
}

// looked is what is known of one process.
type looked struct {
	young  int    // walks for which it still counts as one that may yet open a device
	walk   uint64 // the last walk that saw it
	gpus   []uint32
	denied bool
}

const (
	holderEvery = 10_000 // ms between two walks
	youngWalks  = 6      // a process that came may open a device for as many walks
	firstWalks  = 3      // and one that was there before
	agedWalks   = 12     // walks between two looks at an older one
	maxFDs      = 4096   // descriptors of one process that are looked at
)

// find walks over all processes. match says which accelerator the target of a link is, if any. The list is sorted.
func (h *nodeHolders) find(match func(target string) (gpu uint32, ok bool)) ([]Holder, error) {
	names, err := h.root.Names("proc")
	if err != nil {
		return nil, err
	}
	if h.seen == nil {
		h.seen = map[int32]*looked{}
	}
	h.walk++
	h.foreign = 0
	var all []Holder
	for _, name := range names {
		pid, ok := kernfs.ParseUint([]byte(name))
		if !ok || pid == 0 || pid >= 1<<31 {
			continue
		}
		p := h.seen[int32(pid)]
		if p == nil {
			p = &looked{young: youngWalks}
			if h.walk == 1 {
				p.young = firstWalks
			}
			h.seen[int32(pid)] = p
		}
		p.walk = h.walk
		if p.young--; p.young >= 0 || len(p.gpus) > 0 || (h.walk+pid)%agedWalks == 0 {
			h.look(name, p, match)
		}
		if p.denied {
			h.foreign++
		}
		for _, gpu := range p.gpus {
			all = addHolder(all, Holder{PID: int32(pid), GPU: gpu})
		}
	}
	for pid, p := range h.seen {
		if p.walk != h.walk {
			delete(h.seen, pid)
		}
	}
	return all, nil
}

// addHolder puts a holder in its place by process, accelerator and part, if there is room. There are few, and most come in order.
func addHolder(list []Holder, h Holder) []Holder {
	if len(list) == maxHolders {
		return list
	}
	at := len(list)
	for at > 0 && before(h, list[at-1]) {
		at--
	}
	list = append(list, h)
	copy(list[at+1:], list[at:])
	list[at] = h
	return list
}

func before(a, b Holder) bool {
	if a.PID != b.PID {
		return a.PID < b.PID
	}
	return a.GPU < b.GPU || a.GPU == b.GPU && a.Part < b.Part
}

func (h *nodeHolders) look(pid string, p *looked, match func(string) (uint32, bool)) {
	folder := h.root.Path("proc/" + pid + "/fd")
	p.gpus, p.denied = p.gpus[:0], false
	d, err := os.Open(folder)
	if err != nil {
		p.denied = errors.Is(err, fs.ErrPermission)
		return
	}
	defer d.Close()
	names, err := d.Readdirnames(maxFDs)
	p.denied = errors.Is(err, fs.ErrPermission)
	for _, fd := range names {
		target, err := os.Readlink(folder + "/" + fd)
		if err != nil {
			p.denied = p.denied || errors.Is(err, fs.ErrPermission)
			continue // closed meanwhile
		}
		if gpu, ok := match(target); ok && !slices.Contains(p.gpus, gpu) {
			p.gpus = append(p.gpus, gpu)
		}
	}
}

// numbered cuts the number off a device node's name: 3 of /dev/neuron3 with the prefix /dev/neuron.
func numbered(name, prefix string) (n uint32, ok bool) {
	if len(name) <= len(prefix) || name[:len(prefix)] != prefix {
		return 0, false
	}
	v, err := strconv.ParseUint(name[len(prefix):], 10, 31)
	return uint32(v), err == nil
}
