package findings

import (
	"slices"
	"time"

	"foretop/fleet"
)

// fewPeers is how many nodes of a kind there must be to speak of peers; and this share of them must be alike.
const (
	fewPeers     = 3
	alikeOfThree = 2 // of three
)

// Fleet holds nodes against one another: what is unlike most of its kind, by node. Each thing is told of the few, and only where two thirds of at least three
// nodes of one product with one GPU are alike: a fleet that is being brought up to date has no peers to differ from.
func (s Set) Fleet(snap *fleet.Snapshot, at time.Time, m *fleet.Memory) map[string][]fleet.Problem {
	c := comparing{set: s, at: at, past: pastOf[fleetPast](m), snap: snap}
	for _, kind := range c.kinds() {
		if len(kind) < fewPeers {
			continue
		}
		for i := range comparisons {
			if s.On(comparisons[i].rule) {
				comparisons[i].compare(&c, kind)
			}
		}
	}
	if s.On("hw.affinity") {
		for _, n := range snap.Nodes {
			c.oddAffinity(n)
		}
	}
	if s.On("hw.clock") {
		c.clocks()
	}
	if s.On("hw.clock-skew") {
		c.skew()
	}
	return c.found
}

// comparisons are the rules that look at nodes of one kind.
var comparisons = [...]struct {
	rule    string
	compare func(*comparing, []*fleet.Node)
}{
	{"hw.differs", (*comparing).versions}, {"hw.gpu-missing", (*comparing).counts}, {"hw.pcie", (*comparing).pcie}, {"hw.port-rate", (*comparing).rates},
	{"hw.affinity", (*comparing).affinity}, {"hw.power-limit", (*comparing).limits},
}

// comparing is one look at a fleet.
type comparing struct {
	set   Set
	at    time.Time
	past  *fleetPast
	snap  *fleet.Snapshot
	found map[string][]fleet.Problem
}

func (c *comparing) add(n *fleet.Node, p fleet.Problem) {
	if c.found == nil {
		c.found = map[string][]fleet.Problem{}
	}
	c.found[n.Name] = append(c.found[n.Name], p)
}

// nodeKind is what nodes have in common that may be compared.
type nodeKind struct{ product, gpu string }

// kinds are the live nodes that told what they are, by kind. The order is that of the snapshot.
func (c *comparing) kinds() [][]*fleet.Node {
	at := map[nodeKind]int{}
	var kinds [][]*fleet.Node
	for _, n := range c.snap.Nodes {
		if n.State != fleet.Live || n.Inventory == nil || n.Via != "" {
			continue
		}
		k := nodeKind{product: n.Inventory.Product}
		if len(n.Inventory.Gpus) > 0 {
			k.gpu = n.Inventory.Gpus[0].Name
		}
		if k.product == "" && k.gpu == "" {
			continue
		}
		i, ok := at[k]
		if !ok {
			i = len(kinds)
			at[k] = i
			kinds = append(kinds, nil)
		}
		kinds[i] = append(kinds[i], n)
	}
	return kinds
}

// most is the value that two thirds of the nodes that have one have, and how many do; false where there is none, or too few have any.
func most[T comparable](nodes []*fleet.Node, of func(*fleet.Node) (T, bool)) (value T, alike, told int, ok bool) {
	count := map[T]int{}
	for _, n := range nodes {
		if v, has := of(n); has {
			told++
			if count[v]++; count[v] > alike {
				value, alike = v, count[v]
			}
		}
	}
	return value, alike, told, told >= fewPeers && 3*alike >= alikeOfThree*told
}

// median of values that it may put in another order; 0 of none.
func medianOf(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// peerProblems adds what the comparison with other nodes found, where the node's own rules do not say it already.
func peerProblems(found []fleet.Problem, n *fleet.Node) []fleet.Problem {
	own := len(found)
	for i := range n.Unlike {
		p := &n.Unlike[i]
		if !slices.ContainsFunc(found[:own], func(q fleet.Problem) bool { return q.Rule == p.Rule && q.GPU == p.GPU && q.Port == p.Port }) {
			found = append(found, *p)
		}
	}
	return found
}
