package findings

import (
	"strconv"
	"sync"
	"time"
)

// fabricCondition is something remembered of each of a node's ports or interfaces, besides the signs in portSigns, portEvents and netSigns.
type fabricCondition int

const (
	portBest     fabricCondition = iota // the fastest rate that it ran at, in Mbit/s as seconds
	portSlow                            // since when it is slower
	portMarked                          // something of it is remembered besides those two
	portHourFrom                        // symbol errors when the hour began
	portHourAt                          // when that was
	netUp                               // it was up
	netMarked                           // something of it is remembered besides that
	numFixed                            // then those of the signs: of ports, then of interfaces
)

const numFabric = int(firstNetSign) + len(netSigns)

// fabricKeys are the names of these conditions in a fleet.Memory, made once.
var fabricKeys = sync.OnceValue(func() *[numFabric][maxSubjects]string {
	k := new([numFabric][maxSubjects]string)
	for c := range k {
		for i := range k[c] {
			k[c][i] = "fabric " + strconv.Itoa(c) + " " + strconv.Itoa(i)
		}
	}
	return k
})

func fabricKey(c fabricCondition, i int) string {
	return fabricKeys()[c][min(max(i, 0), maxSubjects-1)]
}

// held is Memory.Since for such a condition.
func (r remembered) held(c fabricCondition, i int, holds bool, at time.Time) time.Duration {
	if !holds && len(r.Memory) == 0 {
		return 0
	}
	return r.Since(fabricKey(c, i), holds, at)
}
