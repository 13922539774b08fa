package fleet

import (
	"fmt"
	"net/netip"
	"strings"

	"foretop/schedulers"
)

// A name of the user's is no host name, no Slurm NodeName and no Kubernetes node name. Which of a scheduler's nodes a node of the fleet is, is found out by what
// the node says of itself once it was reached, strongest first:
//
//  1. its machine id;
//  2. its host name, in full, where the scheduler tells it as the node's name, host name or address;
//  3. its host name without the domain, where no domain contradicts it.
//
// What two machines share proves nothing: equal machine ids come of copied disks, equal boot ids of containers on one host, and equal host names of carelessness. Then
// neither is joined, and the reason is said. A boot id alone never joins. A node that has not been reached, or whose scheduler tells nothing but a name, is
// joined by the name that the user gave it; that is enough to show what the scheduler says of it, and never enough to act on. Where the name came from the scheduler
// itself, which chose what is watched, it is: a node that nobody can reach is the one to drain.

// Proof is how it is known which of a scheduler's nodes a node is.
type Proof uint8

// Proofs, from none to the strongest.
const (
	ProofNone    Proof = iota
	ProofName          // by the name that the user gave it: no proof
	ProofListed        // it has not been reached, and is watched because the scheduler has a node of that very name
	ProofShort         // by its host name without the domain
	ProofHost          // by its host name
	ProofMachine       // by its machine id
)

var proofWords = [...]string{"nothing", "its name here", "the scheduler's own list", "its host name without the domain", "its host name", "its machine id"}

func (p Proof) String() string { return proofWords[min(int(p), len(proofWords)-1)] }

// Proven says that one may act on the scheduler's node for this node.
func (p Proof) Proven() bool { return p >= ProofListed }

// ScheduledNode is a node as one of the schedulers knows it.
type ScheduledNode struct {
	Kind, Cluster string
	Node          *schedulers.Node // nil: it is not known which it is; see Why
	Proof         Proof
	Why           string // why it is not joined, or is by its name only; "" where it is proven
}

// whoIs is what a node of the fleet says of who it is.
type whoIs struct {
	name                string
	told                bool // it has been reached
	listed              bool // its name is a scheduler's own
	host, machine, boot string
}

// joined is which of a picture's nodes a node of the fleet is.
type joined struct {
	node  int // index in the picture; -1: none
	proof Proof
	why   string
}

// joiner holds a picture's nodes by what they may be known by. Names are in lower case.
type joiner struct {
	p                           *schedulers.Picture
	machine, host, short, named map[string][]int32
}

// usableHost says that a name tells machines apart: addresses and the loopback do not.
func usableHost(host string) bool {
	if host == "" || host == "localhost" || strings.HasPrefix(host, "localhost.") {
		return false
	}
	_, err := netip.ParseAddr(host)
	return err != nil
}

func shortHost(host string) string {
	short, _, _ := strings.Cut(host, ".")
	return short
}

func newJoiner(p *schedulers.Picture) *joiner {
	n := len(p.Nodes)
	j := &joiner{p: p, machine: map[string][]int32{}, host: make(map[string][]int32, n), short: make(map[string][]int32, n), named: make(map[string][]int32, n)}
	for i := range p.Nodes {
		s := &p.Nodes[i]
		if s.MachineID != "" {
			j.machine[s.MachineID] = append(j.machine[s.MachineID], int32(i))
		}
		j.named[strings.ToLower(s.Name)] = append(j.named[strings.ToLower(s.Name)], int32(i))
		eachHost(s, func(host string) {
			addOnce(j.host, host, int32(i))
			addOnce(j.short, shortHost(host), int32(i))
		})
	}
	return j
}

func addOnce(to map[string][]int32, key string, i int32) {
	if l := to[key]; len(l) == 0 || l[len(l)-1] != i {
		to[key] = append(l, i)
	}
}

// eachHost gives the host names under which a scheduler knows a node, in lower case. One whose host name is the machine's loopback, as where several daemons
// run on one machine, is known by none.
func eachHost(s *schedulers.Node, use func(string)) {
	host := strings.ToLower(s.Hostname)
	if host != "" && !usableHost(host) {
		return
	}
	if name := strings.ToLower(s.Name); usableHost(name) {
		use(name)
	}
	if host != "" {
		use(host)
	}
	for _, a := range s.Addresses {
		if a = strings.ToLower(a); usableHost(a) {
			use(a)
		}
	}
}

// find says which of the picture's nodes a node is, as far as that node's own words go.
func (j *joiner) find(id *whoIs) joined {
	named := j.named[strings.ToLower(id.name)]
	if len(named) == 0 {
		named = j.short[strings.ToLower(id.name)]
	}
	if !id.told {
		if len(named) == 1 && id.listed && j.p.Nodes[named[0]].Name == id.name {
			return joined{node: int(named[0]), proof: ProofListed}
		}
		if len(named) == 1 {
			return joined{int(named[0]), ProofName, "by its name only: it has not been reached"}
		}
		return joined{node: -1}
	}
	host := strings.ToLower(id.host)
	if id.machine != "" {
		switch same := j.machine[id.machine]; {
		case len(same) == 1:
			return joined{node: int(same[0]), proof: ProofMachine}
		case len(same) > 1:
			if at := j.booted(same, id.boot); at >= 0 {
				return joined{node: at, proof: ProofMachine}
			}
			if at := j.among(same, j.host[host]); at >= 0 {
				return joined{node: at, proof: ProofHost}
			}
			return j.several(same, "its machine id")
		}
	}
	if usableHost(host) {
		if same := j.possible(j.host[host], id); len(same) == 1 {
			return joined{node: int(same[0]), proof: ProofHost}
		} else if len(same) > 1 {
			return j.several(same, "its host name, "+host)
		}
		if same := j.agreeing(j.possible(j.short[shortHost(host)], id), host); len(same) == 1 {
			return joined{node: int(same[0]), proof: ProofShort}
		} else if len(same) > 1 {
			return j.several(same, "its host name, "+host)
		}
	}
	if named = j.possible(named, id); len(named) != 1 {
		return joined{node: -1}
	}
	s, known := &j.p.Nodes[named[0]], false
	eachHost(s, func(string) { known = true })
	if known && usableHost(host) {
		return joined{node: -1, why: fmt.Sprintf("%s has a node %s, but this one says that it is %s", j.p.Kind, s.Name, host)}
	}
	if !usableHost(host) {
		return joined{int(named[0]), ProofName, "by its name only: it does not say which host it is"}
	}
	return joined{int(named[0]), ProofName, "by its name only: " + j.p.Kind + " tells no host name of it"}
}

// possible leaves out the nodes whose machine id is another.
func (j *joiner) possible(list []int32, id *whoIs) []int32 {
	var out []int32
	for _, i := range list {
		if m := j.p.Nodes[i].MachineID; m == "" || id.machine == "" || m == id.machine {
			out = append(out, i)
		}
	}
	return out
}

// agreeing leaves out the nodes that are known by a full name of another domain.
func (j *joiner) agreeing(list []int32, host string) []int32 {
	if !strings.Contains(host, ".") {
		return list
	}
	var out []int32
	for _, i := range list {
		agrees, long := false, false
		eachHost(&j.p.Nodes[i], func(other string) {
			long = long || strings.Contains(other, ".") && shortHost(other) == shortHost(host)
			agrees = agrees || other == host
		})
		if agrees || !long {
			out = append(out, i)
		}
	}
	return out
}

// among is the only node in both lists; -1: there is none, or several.
func (j *joiner) among(a, b []int32) int {
	found := -1
	for _, x := range a {
		for _, y := range b {
			if x != y {
				continue
			}
			if found >= 0 && found != int(x) {
				return -1
			}
			found = int(x)
		}
	}
	return found
}

// booted is the only node of a list with a boot id; -1: there is none, or several.
func (j *joiner) booted(list []int32, boot string) int {
	found := -1
	for _, i := range list {
		if boot == "" || j.p.Nodes[i].BootID != boot {
			continue
		}
		if found >= 0 {
			return -1
		}
		found = int(i)
	}
	return found
}

func (j *joiner) several(same []int32, what string) joined {
	return joined{node: -1, why: fmt.Sprintf("%s has %d nodes with %s: %s and %s, for example", j.p.Kind, len(same), what, j.p.Nodes[same[0]].Name, j.p.Nodes[same[1]].Name)}
}

// joinNodes says of each node of the fleet which of a picture's nodes it is. Where several would be one, none is, unless they are one machine under
// several names, or all but one are so by their names only.
func joinNodes(p *schedulers.Picture, ids []whoIs) []joined {
	j := newJoiner(p)
	out := make([]joined, len(ids))
	first := make([]int32, len(p.Nodes)) // by the picture's node: the fleet's node, plus one
	var more map[int][]int               // where there are several
	for i := range ids {
		out[i] = j.find(&ids[i])
		at := out[i].node
		switch {
		case at < 0:
		case first[at] == 0:
			first[at] = int32(i) + 1
		default:
			if more == nil {
				more = map[int][]int{}
			}
			if more[at] == nil {
				more[at] = []int{int(first[at]) - 1}
			}
			more[at] = append(more[at], i)
		}
	}
	for at, rivals := range more {
		settle(p, &p.Nodes[at], ids, out, rivals)
	}
	return out
}

// settle decides between nodes of the fleet that would all be one node of the scheduler's.
func settle(p *schedulers.Picture, s *schedulers.Node, ids []whoIs, out []joined, rivals []int) {
	var proven []int
	for _, i := range rivals {
		if out[i].proof.Proven() {
			proven = append(proven, i)
		}
	}
	one := true
	for _, i := range proven {
		one = one && ids[i].machine != "" && ids[i].machine == ids[proven[0]].machine && ids[i].boot == ids[proven[0]].boot
	}
	for _, i := range rivals {
		switch {
		case out[i].proof.Proven() && (len(proven) == 1 || one):
		case out[i].proof.Proven():
			out[i] = joined{node: -1, why: fmt.Sprintf("%d nodes here say that they are %s's %s: %s and %s, for example", len(proven), p.Kind, s.Name, ids[proven[0]].name, ids[proven[1]].name)}
		case len(proven) > 0:
			out[i] = joined{node: -1, why: fmt.Sprintf("%s's %s is known to be %s", p.Kind, s.Name, ids[proven[0]].name)}
		default:
			out[i] = joined{node: -1, why: fmt.Sprintf("%d nodes here would be %s's %s by their names", len(rivals), p.Kind, s.Name)}
		}
	}
}
