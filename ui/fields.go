package ui

import (
	"strings"

	"foretop/fleet"
)

// nodeFields are what a filter of the nodes can name.
func nodeFields() []field[*fleet.Node] {
	fields := []field[*fleet.Node]{
		{"node", wordField, func(n *fleet.Node, m *match) bool { return m.word(n.Name) }, true},
		{"host", wordField, func(n *fleet.Node, m *match) bool { return m.word(n.Hello.GetHostname()) }, true},
		{"state", wordField, func(n *fleet.Node, m *match) bool { return m.word(n.State.String()) || inScheduler(n, m) }, true},
		{"job", wordField, func(n *fleet.Node, m *match) bool {
			return anyOf(n.Jobs, func(k string) bool { return matchJob(m, k) })
		}, true},
		{"user", wordField, func(n *fleet.Node, m *match) bool {
			return anyOf(n.Processes, func(p *fleet.Process) bool { return m.word(p.GetUser()) })
		}, true},
		{"note", wordField, func(n *fleet.Node, m *match) bool {
			return m.word(n.Cause) || anyOf(n.Problems, func(p fleet.Problem) bool { return m.word(p.Text) })
		}, true},
		{"problem", wordField, func(n *fleet.Node, m *match) bool { return m.word(nodeSeverity(n).String()) }, false},
		{"partition", wordField, func(n *fleet.Node, m *match) bool {
			return anyOf(n.Scheduled, func(s fleet.ScheduledNode) bool { return s.Node != nil && anyOf(s.Node.Partitions, m.word) })
		}, true},
		{"reason", wordField, func(n *fleet.Node, m *match) bool {
			return anyOf(n.Scheduled, func(s fleet.ScheduledNode) bool { return s.Node != nil && m.word(s.Node.Reason) })
		}, true},
		{"xid", numberField, func(n *fleet.Node, m *match) bool {
			return anyOf(n.Kernel, func(k fleet.KernelLine) bool { return k.Class.Xid != 0 && m.num(fleet.Reading(k.Class.Xid)) })
		}, false},
		{"gpus", numberField, func(n *fleet.Node, m *match) bool { return m.num(fleet.Reading(len(n.GPUs))) }, false},
		{"cpu", numberField, func(n *fleet.Node, m *match) bool { return m.num(n.Host.CPUBusyPct) }, false},
		{"load", numberField, func(n *fleet.Node, m *match) bool { return m.num(n.Host.Load1) }, false},
		{"ram", numberField, func(n *fleet.Node, m *match) bool { return m.num(n.Host.MemUsedBytes.Share(n.Host.MemTotalBytes)) }, false},
		{"ram.used", bytesField, func(n *fleet.Node, m *match) bool { return m.num(n.Host.MemUsedBytes) }, false},
		{"net", numberField, func(n *fleet.Node, m *match) bool { rx, tx := nodeNet(n); return m.num(sum(rx, tx) / 1e9) }, false},
	}
	for _, q := range gpuQuantities() {
		if q.name != "net" {
			fields = append(fields, field[*fleet.Node]{q.name, q.kind, func(n *fleet.Node, m *match) bool { return m.num(q.ofNode(n)) }, false})
		}
		fields = append(fields, field[*fleet.Node]{"gpu." + q.name, q.kind, func(n *fleet.Node, m *match) bool {
			for i := range n.GPUs {
				if m.num(q.read(&n.GPUs[i])) {
					return true
				}
			}
			return false
		}, false})
	}
	return fields
}

// inScheduler looks for a word in a node's state as its scheduler knows it: "drained", "drain", "mixed+drain".
func inScheduler(n *fleet.Node, m *match) bool {
	return anyOf(n.Scheduled, func(s fleet.ScheduledNode) bool {
		return s.Node != nil && (m.word(s.Node.Condition.String()) || m.word(s.Node.State) || anyOf(s.Node.Flags, m.word))
	})
}

// jobFields are what a filter of the jobs can name.
func jobFields() []field[*fleet.Job] {
	fields := []field[*fleet.Job]{
		{"job", wordField, func(j *fleet.Job, m *match) bool { return m.word(j.ID) || m.word(j.Key) }, true},
		{"name", wordField, func(j *fleet.Job, m *match) bool { return m.word(j.Name) }, true},
		{"user", wordField, func(j *fleet.Job, m *match) bool { return m.word(j.User) }, true},
		{"state", wordField, func(j *fleet.Job, m *match) bool { return m.word(jobWord(j.State)) }, true},
		{"note", wordField, func(j *fleet.Job, m *match) bool { return m.word(j.StateText) }, true},
		{"node", wordField, func(j *fleet.Job, m *match) bool { return anyOf(j.Nodes, m.word) }, true},
		{"framework", wordField, func(j *fleet.Job, m *match) bool { return m.word(j.Framework) }, true},
		{"scheduler", wordField, func(j *fleet.Job, m *match) bool { return m.word(j.Scheduler) }, false},
		{"partition", wordField, func(j *fleet.Job, m *match) bool { return m.word(j.Partition) }, true},
		{"account", wordField, func(j *fleet.Job, m *match) bool { return m.word(j.Account) }, true},
		{"problem", wordField, func(j *fleet.Job, m *match) bool { return m.word(j.Severity.String()) }, false},
		{"gpus", numberField, func(j *fleet.Job, m *match) bool { return m.num(fleet.Reading(len(j.GPUs))) }, false},
		{"idle", numberField, func(j *fleet.Job, m *match) bool { return m.num(fleet.Reading(j.IdleGPUs)) }, false},
		{"ranks", numberField, func(j *fleet.Job, m *match) bool { return m.num(fleet.Reading(len(j.Ranks))) }, false},
		{"missing", numberField, func(j *fleet.Job, m *match) bool { return m.num(fleet.Reading(j.MissingN)) }, false},
		{"nodes", numberField, func(j *fleet.Job, m *match) bool { return m.num(fleet.Reading(len(j.Nodes))) }, false},
		{"restarts", numberField, func(j *fleet.Job, m *match) bool { return m.num(fleet.Reading(j.Restarts)) }, false},
		{"net", numberField, func(j *fleet.Job, m *match) bool { return m.num(j.NetBytesPerS / 1e9) }, false},
	}
	for _, q := range gpuQuantities() {
		if q.ofJob != nil {
			fields = append(fields, field[*fleet.Job]{q.name, q.kind, func(j *fleet.Job, m *match) bool { return m.num(q.ofJob(j)) }, false})
		}
		fields = append(fields, field[*fleet.Job]{"gpu." + q.name, q.kind, func(j *fleet.Job, m *match) bool {
			return anyOf(j.GPUs, func(r fleet.GPURef) bool { return r.GPU != nil && m.num(q.read(r.GPU)) })
		}, false})
	}
	return fields
}

// gpuQuantity is a number of a GPU, with what stands for it on a whole node (the mean, but of temperatures the highest) or job.
type gpuQuantity struct {
	name    string
	kind    fieldKind
	highest bool
	read    func(*fleet.GPU) fleet.Reading
	ofJob   func(*fleet.Job) fleet.Reading
}

func gpuQuantities() []gpuQuantity {
	return []gpuQuantity{
		{"util", numberField, false, func(g *fleet.GPU) fleet.Reading { return g.UtilPct }, func(j *fleet.Job) fleet.Reading { return j.UtilPct }},
		{"power", numberField, false, (*fleet.GPU).PowerPct, func(j *fleet.Job) fleet.Reading { return j.PowerPct }},
		{"tensor", numberField, false, func(g *fleet.GPU) fleet.Reading { return g.TensorActivityPct }, func(j *fleet.Job) fleet.Reading { return j.TensorPct }},
		{"sm", numberField, false, func(g *fleet.GPU) fleet.Reading { return g.SMActivityPct }, func(j *fleet.Job) fleet.Reading { return j.SMPct }},
		{"mem", numberField, false, (*fleet.GPU).MemPct, func(j *fleet.Job) fleet.Reading { return j.MemPct }},
		{"mem.used", bytesField, false, func(g *fleet.GPU) fleet.Reading { return g.MemUsedBytes }, func(j *fleet.Job) fleet.Reading { return j.MemUsedBytes }},
		{"temp", numberField, true, func(g *fleet.GPU) fleet.Reading { return g.TempC }, func(j *fleet.Job) fleet.Reading { return j.TempC }},
		{"clock", numberField, false, (*fleet.GPU).ClockPct, func(j *fleet.Job) fleet.Reading { return j.ClockPct }},
		{"watts", numberField, false, func(g *fleet.GPU) fleet.Reading { return g.PowerW }, nil},
		{"ecc", numberField, true, func(g *fleet.GPU) fleet.Reading { return g.Slow.ECCVolatileUncorrected }, nil},
		{"net", numberField, false, networkGBps, nil},
	}
}

func (q *gpuQuantity) ofNode(n *fleet.Node) fleet.Reading {
	total, top, known := fleet.Reading(0), fleet.None(), 0
	for i := range n.GPUs {
		if r := q.read(&n.GPUs[i]); r.Known() {
			if total, known = total+r, known+1; known == 1 || r > top {
				top = r
			}
		}
	}
	switch {
	case known == 0:
		return fleet.None()
	case q.highest:
		return top
	}
	return total / fleet.Reading(known)
}

// matchJob takes a job's key for a match when the key, or the part after its kind, is what was asked for.
func matchJob(m *match, key string) bool { return m.word(key) || m.word(jobID(key)) }

// jobID is the part of a job's key that people know: "8123" of "slurm/8123".
func jobID(key string) string {
	_, id, ok := strings.Cut(key, "/")
	if !ok {
		return key
	}
	return id
}

func anyOf[E any](list []E, holds func(E) bool) bool {
	for _, e := range list {
		if holds(e) {
			return true
		}
	}
	return false
}
