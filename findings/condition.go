package findings

import (
	"strconv"
	"sync"
	"time"

	"foretop/fleet"
)

// condition is something remembered of each of a node's GPUs or ports.
type condition uint8

const (
	gpuStatus condition = iota
	gpuSlowed
	portNotActive
	portWasActive
	downedFrom
	downedTo
	downedAt
	numConditions
)

var conditionNames = [numConditions]string{"gpu status", "gpu slowed", "port not active", "port was active", "port downed from", "port downed to", "port downed at"}

// maxSubjects is beyond the number of GPUs or ports that a node may have.
const maxSubjects = 128

// keys are the names of conditions in a fleet.Memory, made once: rules ask for them for every node every second.
var keys = sync.OnceValue(func() *keyTable {
	k := new(keyTable)
	for c := range k {
		for i := range k[c] {
			k[c][i] = conditionNames[c] + " " + strconv.Itoa(i)
		}
	}
	return k
})

type keyTable [numConditions][maxSubjects]string

func (t *keyTable) of(c condition, i int) string { return t[c][min(max(i, 0), maxSubjects-1)] }

// remembered is a fleet.Memory with the names of conditions, and which rules are asked.
type remembered struct {
	fleet.Memory
	Set
	names *keyTable
}

func (s Set) remember(m fleet.Memory) remembered { return remembered{m, s, keys()} }

// since is Memory.Since for a numbered subject.
func (r remembered) since(c condition, i int, holds bool, at time.Time) time.Duration {
	if !holds && len(r.Memory) == 0 {
		return 0
	}
	return r.Since(r.names.of(c, i), holds, at)
}
