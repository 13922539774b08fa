package simfleet

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"foretop/telemetry/facts"
)

// RAS plays what the NCCL of a job's processes says when it is asked: in text, as the versions that the jobs have do. Ranks that never entered the collective in which the others
// wait have launched one less; those of a node that is down do not answer.
func (n *Node) RAS(q *facts.AskRAS, at time.Duration) *facts.RAS {
	a := &facts.RAS{Sequence: q.Sequence, TookMs: 110, Form: "text"}
	if len(q.Processes) == 0 {
		return a
	}
	p := q.Processes[0]
	a.Pid, a.StartTicks = p.Pid, p.StartTicks
	_, list := n.Processes(at)
	found, s, _ := n.found(fmt.Sprintf("%d:%d", p.Pid, p.StartTicks), list, at)
	if found == nil {
		a.Trouble = fmt.Sprintf("pid %d is gone", p.Pid)
		return a
	}
	_, version, ok := strings.Cut(found.Versions, "nccl ")
	if !ok || s == nil {
		a.Trouble, a.Absent = "nothing listens on port 28028 where the job runs", true
		a.Remedy = "NCCL offers it from 2.24.3 on, once its first communicator is there"
		return a
	}
	a.Nccl, _, _ = strings.Cut(version, ",")
	s.job.ras(n.model, at, a)
	return a
}

// rasTold bounds the ranks that are listed of one communicator, as NCCL does.
const rasTold = 10

// ras fills in what is said of a job.
func (j *job) ras(m *Model, at time.Duration, a *facts.RAS) {
	s, base, work := j.span(at)
	done := j.age + work + s.work
	if s.mode == running {
		done += time.Duration(float64(at-base-s.from) / s.slow)
	}
	step := uint64(max(0, done/j.pattern.step))
	each := max(len(j.device)/max(j.ranks, 1), 1) // GPUs of a process
	size, nodes := uint32(len(j.member)*len(j.device)), uint32(len(j.member))
	world := &facts.RASComm{Name: "#0", Alike: 1, Size: size, Nodes: nodes, Status: "RUNNING"}
	if s.mode == loading {
		world.Status = "INIT"
	}
	a.Comms, a.CommsTotal = []*facts.RASComm{world}, 1
	if len(j.member) > 1 && len(j.device) > 1 { // a group a node
		a.Comms, a.CommsTotal = append(a.Comms, &facts.RASComm{Name: "#1", Alike: nodes, Size: size / nodes, Nodes: 1, Status: world.Status}), 1+nodes
	}
	op := &facts.RASOperation{Name: "AllReduce", Most: step + 1}
	detail := &facts.RASComm{Name: "#0-0", Hash: fmt.Sprintf("%016x", j.key), Size: size, Nodes: nodes, Status: world.Status}
	for member, index := range j.member {
		n := m.nodes[index]
		host := "10.4." + strconv.Itoa(index/250) + "." + strconv.Itoa(index%250+1)
		if n.Condition(at).Dead {
			j.rasGone(a, detail, host, member)
			continue
		}
		var list []*facts.Process // looked up where it is needed
		for local := range j.ranks {
			op.Ranks += uint32(each)
			if s.mode != stalled || j.standing(member, local, at) == inCollective {
				continue
			}
			op.Behind += uint32(each)
			if list == nil {
				list = n.ranksOf(j, at)
			}
			if local < len(list) && len(op.Lagging) < rasTold {
				r := list[local]
				pid := r.NsPids[len(r.NsPids)-1]
				op.Lagging = append(op.Lagging, &facts.RASRank{Rank: int32(member*len(j.device) + local*each), Host: host, Pid: pid, Gpu: int32(j.device[local*each]), Count: step})
				a.Hosts = append(a.Hosts, &facts.RASHost{Host: host, Pids: []int32{pid}, Ranks: []int32{int32(member*len(j.device) + local*each)}})
			}
		}
	}
	switch {
	case detail.Missing > 0:
		world.Errors, detail.Errors = "INCOMPLETE", "INCOMPLETE"
		a.Timeouts = 1
	case op.Behind > 0:
		world.Errors, detail.Errors = "MISMATCH", "MISMATCH"
	default:
		return
	}
	if op.Behind > 0 {
		detail.Operations = []*facts.RASOperation{op}
	}
	a.Comms = slices.Insert(a.Comms, 1, detail)
}

// rasGone adds that nothing is heard of a node's ranks.
func (j *job) rasGone(a *facts.RAS, c *facts.RASComm, host string, member int) {
	c.Missing += uint32(len(j.device))
	for local := range j.device {
		if len(c.Members) < rasTold {
			c.Members = append(c.Members, &facts.RASRank{Rank: int32(member*len(j.device) + local), Host: host, Gpu: int32(j.device[local]), State: "unresponsive"})
		}
	}
}
