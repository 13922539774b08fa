package jobs

import (
	"math/bits"
	"slices"
	"strconv"
	"strings"

	"foretop/telemetry/facts"
)

// maxDevices bounds the devices of one process.
const maxDevices = 64

// held is the accelerators that the driver says the process holds, ascending.
func (a *assembly) held(m *member) []int {
	held, n := m.own.heldOf(len(a.nodes[m.node].GPUs))
	if n == 0 {
		return nil
	}
	const chunk = 1024 // most processes hold one: they share the room
	if cap(a.room)-len(a.room) < n {
		a.room = make([]int, 0, chunk)
	}
	start := len(a.room)
	for ; held != 0; held &= held - 1 {
		a.room = append(a.room, bits.TrailingZeros64(held))
	}
	return a.room[start:len(a.room):len(a.room)]
}

// devices is the accelerators of a rank: those it holds, else those that its environment says it sees. Without either it has none that we know of:
// a rank may well run on the CPU.
func (a *assembly) devices(m *member) []int {
	if gpus := a.held(m); len(gpus) > 0 || !m.own.names {
		return gpus
	}
	v := viewOf(a.process(m))
	seen, ok := visible(&a.nodes[m.node], &v)
	if !ok || len(seen) == 0 {
		return nil
	}
	if local := int(m.local); local >= 0 && local < len(seen) {
		seen = seen[local : local+1]
	} else if len(seen) > 1 && local >= 0 {
		return nil // a local rank beyond the list: the list is not for it
	}
	slices.Sort(seen)
	return slices.Compact(seen)
}

// Variables that name the devices which a process sees, and those which it was given; of each the first that is there counts.
var (
	seenDevices  = [...]string{"CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES"}
	givenDevices = [...]string{"SLURM_STEP_GPUS", "SLURM_JOB_GPUS", "NVIDIA_VISIBLE_DEVICES"}
)

// namesDevices says whether the process's environment names devices at all.
func namesDevices(p *facts.Process) bool {
	env := viewOf(p).env
	_, seen := firstOf(env, seenDevices[:])
	_, given := firstOf(env, givenDevices[:])
	return seen || given
}

// visible is the devices that the process sees, in its own order, as indices on the node; ok says whether its environment tells.
func visible(n *NodeFacts, v *view) (gpus []int, ok bool) {
	base, based := physical(n, v)
	list, ok := firstOf(v.env, seenDevices[:])
	if !ok {
		return base, based
	}
	relative := false
	for word := range strings.SplitSeq(list, ",") {
		word = strings.TrimSpace(word)
		g := device(n, word)
		if g < 0 || len(gpus) == maxDevices {
			break // CUDA sees nothing of the list from its first bad entry on
		}
		gpus = append(gpus, g)
		relative = relative || based && allDigits(word) && !slices.Contains(base, g)
	}
	if !relative {
		return gpus, true
	}
	// The scheduler hides the other devices, so that those left are counted from 0.
	for i, g := range gpus {
		if g >= len(base) {
			return nil, true
		}
		gpus[i] = base[g]
	}
	return gpus, true
}

// physical is the node's devices that were given to the process, as the scheduler or the container runtime numbers them.
func physical(n *NodeFacts, v *view) ([]int, bool) {
	list, ok := firstOf(v.env, givenDevices[:])
	if !ok || list == "all" {
		return nil, false
	}
	var gpus []int
	for word := range strings.SplitSeq(list, ",") {
		from, to, ranged := strings.Cut(strings.TrimSpace(word), "-")
		if lo, err := strconv.Atoi(from); err == nil && ranged {
			hi, err := strconv.Atoi(to)
			if err != nil || lo < 0 || hi >= maxDevices {
				return nil, false
			}
			for g := lo; g <= hi; g++ {
				gpus = append(gpus, g)
			}
		} else if g := device(n, strings.TrimSpace(word)); g >= 0 {
			gpus = append(gpus, g)
		} else {
			return nil, false
		}
		if len(gpus) > maxDevices {
			return nil, false
		}
	}
	return gpus, true
}

// device reads one entry of a list of devices: an index, or the beginning of a UUID that fits one device only. -1: neither.
func device(n *NodeFacts, word string) int {
	if word == "" {
		return -1
	}
	if g, err := strconv.ParseUint(word, 10, 8); err == nil {
		if g >= maxDevices || len(n.GPUs) > 0 && int(g) >= len(n.GPUs) {
			return -1
		}
		return int(g)
	}
	word = strings.TrimPrefix(word, "MIG-") // MIG-GPU-UUID/GI/CI: a slice of that device
	word, _, _ = strings.Cut(word, "/")
	if !strings.HasPrefix(word, "GPU-") {
		return -1
	}
	found := -1
	for i, g := range n.GPUs {
		if uuid := g.GetUuid(); len(uuid) >= len(word) && strings.EqualFold(uuid[:len(word)], word) {
			if found >= 0 {
				return -1
			}
			found = i
		}
	}
	return found
}

func firstOf(env map[string]string, keys []string) (string, bool) {
	for _, k := range keys {
		if v, ok := env[k]; ok {
			return v, true
		}
	}
	return "", false
}
