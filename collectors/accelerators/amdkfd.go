package accelerators

import (
	"slices"
	"strconv"
	"strings"

	"foretop/collectors/kernfs"
	"foretop/telemetry"
)

const (
	kfdTopology  = "sys/class/kfd/kfd/topology"
	kfdProcesses = "sys/class/kfd/kfd/proc"

	maxKFDNodes = 1024
	maxKFDFiles = 1024 // of one process
)

// kfdNode is a GPU, or one partition of a GPU, as the compute driver (amdkfd) numbers them.
type kfdNode struct {
	id     uint64 // gpu_id
	dir    string
	memory int64 // bytes
}

// kfd reads what the compute driver says of processes and partitions.
type kfd struct {
	sys        sysfs
	generation string               // of the topology that was read
	places     map[uint64]spot      // by gpu_id
	nodes      map[string][]kfdNode // by PCI address
	seen       bool                 // it has told of processes
	procs      map[string]*kfdProcess
}

// kfdProcess is a process that has the compute driver open. It has a file for every GPU that it may use, so on a node of 64 partitions with as many ranks there
// are thousands: all of them are read only now and then.
type kfdProcess struct {
	bornMS, wholeMS int64
	files           []string // where it had memory when all were read
}

const (
	kfdWholeMS = 30_000
	kfdYoungMS = 120_000 // for so long a process that has no memory yet is looked at each time
)

// spot is where a node of the compute driver is among the cards.
type spot struct {
	address string
	node    int // of the card
	parted  bool
}

// survey reads the topology again where it changed, and gives each card its nodes: several, where it is partitioned.
func (a *amdMaker) survey(place placing) {
	k := &a.kfd
	if g := k.sys.word(kfdTopology + "/generation_id"); g == "" || g != k.generation || k.places == nil {
		k.generation = g
		k.places, k.nodes, k.procs = map[uint64]spot{}, map[string][]kfdNode{}, nil
		k.readTopology()
	}
	for address, nodes := range k.nodes {
		if _, _, card := place(address); card != nil {
			c := card.(*amdCard)
			c.nodes, c.recut = nodes, true
		}
	}
}

func (k *kfd) readTopology() {
	names, _ := k.sys.root.Names(kfdTopology + "/nodes")
	slices.SortFunc(names, kernfs.Natural)
	for _, n := range names[:min(len(names), maxKFDNodes)] {
		dir := kfdTopology + "/nodes/" + n
		id, ok := kernfs.ParseUint([]byte(k.sys.word(dir + "/gpu_id")))
		if !ok || id == 0 {
			continue // a processor
		}
		b, err := k.sys.read(dir + "/properties")
		if err != nil {
			continue
		}
		node := kfdNode{id: id, dir: dir, memory: telemetry.Absent}
		address := parseLocation(b)
		if b, err = k.sys.read(dir + "/mem_banks/0/properties"); err == nil {
			node.memory = property(b, "size_in_bytes")
		}
		k.nodes[address] = append(k.nodes[address], node)
	}
	for address, nodes := range k.nodes {
		for i, n := range nodes {
			k.places[n.id] = spot{address, i, len(nodes) > 1}
		}
	}
}

// parseLocation makes a PCI address of the properties domain and location_id: bus and device of the latter. Its lowest bits, or its highest, hold the number of
// the partition instead of the function, by the driver's age.
func parseLocation(b []byte) string {
	domain, location := property(b, "domain"), property(b, "location_id")
	if location < 0 {
		return ""
	}
	const digits = "0123456789abcdef"
	hex := func(v int64, n int) string {
		var out [8]byte
		for i := n - 1; i >= 0; i-- {
			out[i] = digits[v&0xf]
			v >>= 4
		}
		return string(out[:n])
	}
	return hex(max(domain, 0), 4) + ":" + hex(location>>8, 2) + ":" + hex(location>>3&0x1f, 2) + ".0"
}

// property is the number in a line "NAME NUMBER", absent when there is none.
func property(b []byte, name string) int64 {
	for len(b) > 0 {
		var l []byte
		l, b = kernfs.Line(b)
		key, rest := kernfs.Field(l)
		if string(key) == name {
			return parseNumber(rest)
		}
	}
	return telemetry.Absent
}

// holders tells the processes that have memory on a card, and how much. Source: /sys/class/kfd/kfd/proc/PID/vram_GPUID, in bytes; the pids are those of the
// initial namespace.
func (a *amdMaker) holders(now int64, due bool, place placing, list []Holder) ([]Holder, bool) {
	k := &a.kfd
	if !due {
		return list, false
	}
	pids, err := k.sys.root.Names(kfdProcesses)
	if err != nil {
		k.procs = nil
		return list, k.seen // with the driver, its processes have gone
	}
	k.seen = true
	slices.SortFunc(pids, kernfs.Natural)
	procs := make(map[string]*kfdProcess, len(pids))
	for _, name := range pids {
		pid, ok := kernfs.ParseUint([]byte(name))
		if !ok || pid == 0 || pid >= 1<<31 || len(list) >= maxHolders {
			continue
		}
		p := k.procs[name]
		if p == nil {
			p = &kfdProcess{bornMS: now}
		}
		procs[name] = p
		if p.wholeMS == 0 || now-p.wholeMS >= kfdWholeMS || len(p.files) == 0 && now-p.bornMS < kfdYoungMS {
			p.wholeMS = now
			p.files, _ = k.sys.root.Names(kfdProcesses + "/" + name)
		}
		list = k.heldBy(p, name, int32(pid), place, list)
	}
	k.procs = procs
	return list, true
}

// heldBy tells what a process holds, and keeps the files that told it.
func (k *kfd) heldBy(p *kfdProcess, name string, pid int32, place placing, list []Holder) []Holder {
	kept := p.files[:0]
	for _, f := range p.files[:min(len(p.files), maxKFDFiles)] {
		number, ok := strings.CutPrefix(f, "vram_")
		id, digits := kernfs.ParseUint([]byte(number))
		at, known := k.places[id]
		if !ok || !digits || !known {
			continue
		}
		bytes := k.sys.number(kfdProcesses + "/" + name + "/" + f)
		if bytes <= 0 {
			continue
		}
		gpu, part, card := place(at.address)
		if card == nil {
			continue
		}
		kept = append(kept, f)
		h := Holder{PID: pid, GPU: gpu, Memory: uint64(bytes), Known: true}
		if at.parted && at.node < len(card.shape().parts) {
			h.Part = part + uint32(at.node) + 1
		}
		list = append(list, h)
	}
	p.files = kept
	return list
}

// procName is a file of a process.
func procName(pid int32, name string) string {
	return "proc/" + strconv.Itoa(int(pid)) + "/" + name
}
