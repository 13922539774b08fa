package export

import (
	"fmt"
	"io"
	"time"

	"foretop/fleet"
)

// Bounds on what one node, and the fleet, may add to a Prometheus server. What is beyond them is left out and counted (foretop_export_left_out).
const (
	maxPorts   = 32
	maxNets    = 32 // physical ones, and bonds
	maxMounts  = 32
	maxDisks   = 32
	maxSources = 32
	maxJobs    = 2000
)

// Metrics writes the snapshot for Prometheus and all that reads its formats; METRICS.md lists every metric. What dcgm-exporter and node_exporter publish has
// their names, units and labels; everything else is foretop_*. What is not known, or is the past's, is not there: a node that is not live has its state and
// no readings. Series have no timestamps: they are of now, as far as a scrape can tell.
func Metrics(w io.Writer, s *fleet.Snapshot, format Format) error {
	e := newExposition(w, format)
	pageOf(s).write(e)
	if err := e.end(); err != nil {
		return fmt.Errorf("write metrics: %w", err)
	}
	return nil
}

func (p *page) write(e *exposition) {
	p.writeGPUs(e)
	p.writeHosts(e)
	p.writeFleet(e)
	p.writeJobs(e)
	e.metric(head{"foretop_export_left_out", gauge, "", "What is not published because there is too much of it, or because another has the same name."})
	for _, what := range []string{"node", "rdma_port", "network_interface", "filesystem", "disk", "source", "job"} {
		e.sample(labels("kind", what), fleet.Reading(p.left[what]))
	}
}

// subject is something that metrics are of, with its labels.
type subject[T any] struct {
	of     *T
	labels string
}

// family is a metric of Ts: how its value is had. more are labels beside the subject's.
type family[T any] struct {
	head
	more string
	get  func(*T) fleet.Reading
}

func writeFamilies[T any](e *exposition, families []family[T], subjects []subject[T]) {
	for i := range families {
		f := &families[i]
		e.metric(f.head)
		for _, s := range subjects {
			e.sampleWith(s.labels, f.more, f.get(s.of))
		}
	}
}

// page is a snapshot as it will be published: who is on it, and by which labels.
type page struct {
	at       time.Time
	snapshot *fleet.Snapshot
	nodes    []subject[fleet.Node] // all of them
	live     []subject[fleet.Node] // those that have readings
	left     map[string]int        // what was left out
}

func pageOf(s *fleet.Snapshot) *page {
	p := &page{at: s.At, snapshot: s, left: map[string]int{}}
	var once unique
	for _, n := range s.Nodes {
		l := labels("instance", n.Name)
		if !once.first(l) {
			p.left["node"]++
			continue
		}
		p.nodes = append(p.nodes, subject[fleet.Node]{n, l})
		if n.State == fleet.Live {
			p.live = append(p.live, subject[fleet.Node]{n, l})
		}
	}
	return p
}

// parts gives what nodes that are live have several of, at most a number of each: only those that keep says are wanted, each set of labels once.
func parts[T any](p *page, what string, most int, list func(*fleet.Node) []T, keep func(*T) bool, name func(*T) string) []subject[T] {
	var out []subject[T]
	for _, n := range p.live {
		var once unique
		from := len(out)
		all := list(n.of)
		for i := range all {
			if keep != nil && !keep(&all[i]) {
				continue
			}
			own := name(&all[i])
			if len(out)-from == most || !once.first(own) {
				p.left[what]++
				continue
			}
			out = append(out, subject[T]{&all[i], joined(n.labels, own)})
		}
	}
	return out
}

// unique says of each string whether it is the first of its kind.
type unique map[string]struct{}

func (u *unique) first(s string) bool {
	if *u == nil {
		*u = unique{}
	}
	_, seen := (*u)[s]
	(*u)[s] = struct{}{}
	return !seen
}

// yes is 1 or 0.
func yes(b bool) fleet.Reading {
	if b {
		return 1
	}
	return 0
}

// moment is a time in seconds since 1970, absent for none.
func moment(t time.Time) fleet.Reading {
	if t.IsZero() {
		return fleet.None()
	}
	return fleet.Reading(t.UnixMilli()) / 1000
}
