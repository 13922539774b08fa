package simfleet

import "time"

// Aim is where a fault or a phase of a scenario comes down: what a judge of it should name.
type Aim struct {
	Fault
	Node     string
	GPU      int    // index on the node; -1: none in particular
	Rank     int    // on that GPU, or the first on the node; -1: the fault is of no job
	Job      string // the job's name; "" none
	Nodes    []string
	From, To time.Duration // To is far away where it lasts
}

// Aims are the faults and phases of the scenario, as they fell, in order of nodes. In a scenario that repeats they come again in each round.
func (m *Model) Aims() (list []Aim) {
	for _, n := range m.nodes {
		for i := range n.strikes {
			s := &n.strikes[i]
			a := Aim{Fault: s.Fault, Node: n.name, GPU: s.GPU, Rank: -1, From: s.from, To: s.to}
			if j := s.job; j != nil {
				a.Job, a.Rank = j.name, s.member*j.ranks
				for place, g := range j.device {
					if g == s.GPU {
						a.Rank += place * j.ranks / len(j.device)
					}
				}
				for _, k := range j.member {
					a.Nodes = append(a.Nodes, m.nodes[k].name)
				}
			}
			list = append(list, a)
		}
	}
	return list
}
