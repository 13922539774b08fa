package findings

import (
	"fmt"

	"foretop/fleet"
	"foretop/telemetry"
	"foretop/telemetry/facts"
)

// nodeCheck is why a rule cannot answer for a node: "" it can.
type nodeCheck func(n *fleet.Node) string

// every is the first reason of several.
func every(checks ...nodeCheck) func(*fleet.Node) string {
	return func(n *fleet.Node) string {
		for _, c := range checks {
			if why := c(n); why != "" {
				return why
			}
		}
		return ""
	}
}

func always(*fleet.Node) string { return "" }

// readingsLive: of a node that is not live only what its kernel said counts.
func readingsLive(n *fleet.Node) string {
	if n.State == fleet.Live || n.State == fleet.Stale {
		return ""
	}
	return "the node is " + n.State.String()
}

// hearsKernel: its kernel log may be read.
func hearsKernel(n *fleet.Node) string { return sourceTells(fleet.KernelLogSource, "kernel log")(n) }

// hearsXids: an Xid would be told, by the log or by the driver itself.
func hearsXids(n *fleet.Node) string {
	if n.HearsXids() {
		return ""
	}
	return hearsKernel(n)
}

// sourceTells says why a source of a node does not tell.
func sourceTells(name, words string) nodeCheck {
	return func(n *fleet.Node) string {
		for i := range n.Sources {
			s := &n.Sources[i]
			if s.Name != name {
				continue
			}
			switch s.State {
			case facts.SourceState_SOURCE_OK, facts.SourceState_SOURCE_STUCK:
				return ""
			case facts.SourceState_SOURCE_UNSUPPORTED:
				return "there is none: " + words
			case facts.SourceState_SOURCE_DENIED:
				return words + ": no permission"
			case facts.SourceState_SOURCE_FAILING:
				return words + ": failing"
			}
			return words + ": not read yet"
		}
		return words + ": not told"
	}
}

func hasGPUs(n *fleet.Node) string {
	if len(n.GPUs) == 0 {
		return "it has no GPU"
	}
	return ""
}

// gpusTell says of how many GPUs a reading is not told. Those that are lost tell nothing and are told of by themselves.
func gpusTell(what string, told func(*fleet.GPU) bool) func(*fleet.Node) string {
	return every(readingsLive, hasGPUs, func(n *fleet.Node) string {
		silent := 0
		for i := range n.GPUs {
			if g := &n.GPUs[i]; g.Status == telemetry.GPUOK && !told(g) {
				silent++
			}
		}
		switch {
		case silent == len(n.GPUs):
			return what + ": not told by its driver"
		case silent > 0:
			return fmt.Sprintf("%s: not told of %d of %d GPUs", what, silent, len(n.GPUs))
		}
		return ""
	})
}

func hasPorts(n *fleet.Node) string {
	if len(n.Ports) == 0 {
		return "it has no RDMA port"
	}
	return ""
}

// portsTell is gpusTell of RDMA ports.
func portsTell(what string, told func(*fleet.Port) bool) func(*fleet.Node) string {
	return every(readingsLive, hasPorts, func(n *fleet.Node) string {
		silent := 0
		for i := range n.Ports {
			if !told(&n.Ports[i]) {
				silent++
			}
		}
		switch {
		case silent == len(n.Ports):
			return what + ": not told by its driver"
		case silent > 0:
			return fmt.Sprintf("%s: not told of %d of %d ports", what, silent, len(n.Ports))
		}
		return ""
	})
}

func portCounters(p *fleet.Port) bool { return p.Errors != nil }

// scheduledNode: a scheduler knows it.
func scheduledNode(n *fleet.Node) string {
	for i := range n.Scheduled {
		if n.Scheduled[i].Node != nil {
			return ""
		}
	}
	return "no scheduler is known to know it"
}

// jobReadings: enough of its GPUs say what they do.
func jobReadings(j *fleet.Job, _ func(string) *fleet.Node) string {
	told := 0
	for i := range j.GPUs {
		if g := j.GPUs[i].GPU; g != nil && j.GPUs[i].State == fleet.Live && g.Stale == 0 && g.UtilPct.Known() {
			told++
		}
	}
	switch {
	case len(j.GPUs) == 0:
		return "no GPU of it is known"
	case told == 0:
		return "no GPU readings"
	case told < len(j.GPUs):
		return fmt.Sprintf("readings of %d of %d GPUs", told, len(j.GPUs))
	}
	return ""
}

// jobLog: its log is read.
func jobLog(j *fleet.Job, _ func(string) *fleet.Node) string {
	if j.Log == nil {
		return "its log is not read"
	}
	return ""
}

// jobWorld: it says how many ranks it has.
func jobWorld(j *fleet.Job, _ func(string) *fleet.Node) string {
	if j.World == 0 {
		return "it does not say how many ranks it has"
	}
	return ""
}

// jobScheduled: its scheduler tells of it.
func jobScheduled(j *fleet.Job, _ func(string) *fleet.Node) string {
	if j.Told == nil {
		return "no scheduler tells of it"
	}
	return ""
}

// jobNodes: its nodes are watched.
func jobNodes(j *fleet.Job, nodes func(string) *fleet.Node) string {
	for _, name := range j.Nodes {
		if n := nodes(name); n != nil && n.State == fleet.Live {
			return ""
		}
	}
	return "none of its nodes is live"
}

// jobKernels: the kernel logs of its nodes are read.
func jobKernels(j *fleet.Job, nodes func(string) *fleet.Node) string {
	silent := 0
	for _, name := range j.Nodes {
		if n := nodes(name); n == nil || hearsKernel(n) != "" {
			silent++
		}
	}
	if silent > 0 {
		return fmt.Sprintf("kernel log not read on %d of %d nodes", silent, len(j.Nodes))
	}
	return ""
}

func jobAlways(*fleet.Job, func(string) *fleet.Node) string { return "" }
