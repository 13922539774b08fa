package ui

import (
	"sync"
	"time"

	"foretop/fleet"
	"foretop/schedulers"
)

// incidentsOn is a fleet with incidents of every kind: a lost GPU and the hang that follows, a leaf that died, a straggler's hot GPU, one that is acknowledged, one snoozed, one denied, one on a
// node that is drained, one that is over.
func incidentsOn() *fleet.Snapshot {
	s := hang()
	node := func(name string) fleet.Subject { return fleet.Subject{Node: name, GPU: -1, Port: -1} }
	gpu := func(name string, i int) fleet.Subject {
		sub := node(name)
		sub.GPU = i
		if n := s.Node(name); n != nil && i < len(n.GPUs) {
			sub.UUID = n.GPUs[i].Info.Uuid
		}
		return sub
	}
	job := func(id string) fleet.Subject {
		return fleet.Subject{Job: "slurm/" + id, ID: id, GPU: -1, Port: -1}
	}
	found := func(rule string, sub fleet.Subject, how fleet.Severity, since time.Duration, text string) fleet.Finding {
		return fleet.Finding{Rule: rule, Subject: sub, Severity: how, Text: text, Since: noon.Add(-since), Began: true}
	}
	incident := func(title string, members ...fleet.Finding) fleet.Incident {
		in := fleet.Incident{ID: members[0].Key(), Title: title, Since: members[0].Since, Members: members}
		for i := range members {
			f := &members[i]
			in.Severity = max(in.Severity, f.Severity)
			if f.Subject.Node != "" && !anyOf(in.Nodes, func(n string) bool { return n == f.Subject.Node }) {
				in.Nodes = append(in.Nodes, f.Subject.Node)
			}
			if f.Subject.Job != "" {
				in.Jobs = append(in.Jobs, f.Subject.Job)
			}
		}
		return in
	}
	xid := found("hw.xid 79", gpu("gpu017", 3), fleet.Critical, 41*time.Second, "Xid 79: fell off the bus")
	xid.Cause, xid.Remedy = fleet.Hardware, "drain the node and reboot it; if it comes again, replace the GPU"
	xid.Evidence = []string{"12:03:00 NVRM: Xid (PCI:0000:6c:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus.", "third time in a week; before: Thu 19 Nov 04:12, Sat 21 Nov 23:40"}
	xid.Past = []time.Time{time.Date(2026, 11, 19, 4, 12, 0, 0, time.UTC), time.Date(2026, 11, 21, 23, 40, 0, 0, time.UTC)}
	hung := found("job.hang", job("8123"), fleet.Critical, 21*time.Second, "no progress 41 s · rank 131?")
	hung.Evidence = []string{"255 of 256 ranks: util 100 %, power 21 %, tensor 0 %, network 0.1 GB/s"}
	lost := incident("gpu017 GPU3 Xid 79: fell off the bus → probably why job 8123: no progress, 20 s later", xid, hung)
	lost.New = true

	head := found("node.lost", fleet.Subject{Many: "leaf03", GPU: -1, Port: -1}, fleet.Critical, 3*time.Minute, "2 of 2 nodes lost within 4 s")
	head.Cause, head.Remedy, head.Evidence = fleet.Environment, "look first at what they share: leaf03", []string{"2 of the 2 nodes of leaf03"}
	leaf := incident("leaf03: 2 of 2 nodes lost within 4 s", head, found("node.lost", node("gpu051"), fleet.Critical, 3*time.Minute, "lost: no route to host"),
		found("node.lost", node("gpu052"), fleet.Critical, 3*time.Minute-4*time.Second, "lost: no route to host"))
	leaf.Fold, leaf.Of, leaf.New = "leaf03", 2, true

	hot := found("hw.throttle", gpu("gpu041", 3), fleet.Warning, 12*time.Minute, "slowed: too hot (hardware)")
	hot.Began = false
	slow := incident("gpu041 GPU3 slowed: too hot (hardware) → probably why job 8130: rank 11 slower", hot, found("job.straggler", job("8130"), fleet.Warning, 9*time.Minute, "rank 11 slower: clock 1230 MHz, peers 1980"))

	seen := incident("gpu044 /scratch 97 % full", found("disk.full", node("gpu044"), fleet.Warning, 26*time.Hour, "/scratch 97 % full"))
	seen.Mark = fleet.Mark{Kind: fleet.Acknowledged, By: "bob", At: noon.Add(-time.Hour)}
	later := incident("gpu045 mlx5_2 link went down ×3", found("net.flap", node("gpu045"), fleet.Warning, time.Hour, "link went down ×3"))
	later.Mark = fleet.Mark{Kind: fleet.Snoozed, By: "ann", At: noon.Add(-time.Minute), Until: noon.Add(59 * time.Minute)}
	denied := incident("gpu046 GPU1 PCIe ×8 of ×16", found("hw.pcie", gpu("gpu046", 1), fleet.Warning, 5*time.Hour, "PCIe ×8 of ×16"))
	denied.Mark = fleet.Mark{Kind: fleet.FalseAlarm, By: "ann", At: noon.Add(-4 * time.Hour)}
	bad := incident("gpu047 GPU5 Xid 95: uncontained memory error", found("hw.xid 95", gpu("gpu047", 5), fleet.Critical, 2*time.Hour, "Xid 95: uncontained memory error"))
	bad.KnownBad = true
	if n := s.Node("gpu047"); n != nil {
		n.Scheduled = []fleet.ScheduledNode{{Kind: "slurm", Node: &schedulers.Node{Name: "gpu047", Condition: schedulers.Drained}}}
	}
	over := incident("gpu048 mlx5_0 down", found("net.down", node("gpu048"), fleet.Critical, 8*time.Minute, "mlx5_0 down"))
	over.Until = noon.Add(-5 * time.Minute)
	over.Members[0].Until = over.Until
	s.Incidents = []fleet.Incident{lost, leaf, slow, bad, seen, later, denied, over}
	return s
}

// keeper is a Keeper that remembers what it was told.
type keeper struct {
	mu      sync.Mutex
	said    []said
	looked  int
	trouble string
}

type said struct {
	ids   []string
	kind  fleet.MarkKind
	until time.Time
}

func (k *keeper) Mark(ids []string, kind fleet.MarkKind, until time.Time) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.said = append(k.said, said{ids, kind, until})
	return len(ids)
}

func (k *keeper) Looked() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.looked++
}

func (k *keeper) Trouble() string { return k.trouble }
