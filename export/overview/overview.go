// Package overview asks a Prometheus server, or one that speaks as one (VictoriaMetrics), what it knows of a fleet: dcgm-exporter's, node_exporter's and foretop's
// own series, by instant queries, a few large ones a round, whose answers are read as they come.
//
// It opens no connection to a node and keeps no history. The command line calls [Source.Round] every so often and gives what comes to package fleet. What a
// server says is checked like what a node says: bounded, without control characters, names that could not be a host's left out.
package overview

import (
	"context"
	"slices"
	"time"

	"foretop/fleet"
	"foretop/telemetry/facts"
)

// Config says which server, and how its series name nodes. The zero value of each field but URL is usable.
type Config struct {
	URL       string        // http://USER:PASSWORD@HOST:PORT/PATH
	TokenFile string        // holds a bearer token
	CAFile    string        // the certificate authority to trust, PEM
	Insecure  bool          // trust any certificate
	Every     time.Duration // how often it is asked; default 15 s
	Timeout   time.Duration // of one query; default 30 s
	Hosts     []string      // labels that may name the node, the first that a series has; default DefaultHosts
	Short     bool          // leave out domains
}

// DefaultHosts are the labels by which usual installations name a node: relabelled ones first, then dcgm-exporter's own, then what Prometheus adds. Where a
// server renames labels of its own that it meets (honor_labels: false), they are called exported_….
func DefaultHosts() []string {
	return []string{"node", "exported_node", "nodename", "kubernetes_node", "Hostname", "exported_Hostname", "exported_instance", "instance"}
}

const (
	maxNodes    = 1 << 16
	maxNames    = 1 << 16 // others by which nodes are known
	staticEvery = 20      // rounds after which what seldom changes is asked for again
)

// Source is one server. It is used by one goroutine.
type Source struct {
	cfg    Config
	client *client
	now    func() time.Time

	rounds int
	has    map[string]bool   // metrics that the server has, of those that were asked for
	names  map[string]string // a node's host name, by the address that node_exporter is scraped at
	who    map[string]*identity
	words  map[string]string // models, shared
	hears  map[string]bool   // nodes that would tell of an Xid
}

// identity is what a node's GPUs are, which seldom changes.
type identity struct {
	gpus      []*facts.GPU
	inventory *facts.Inventory
	fixed     []fixed
	memory    fleet.Reading // of the host; 0 not known
}

// fixed is what a GPU has that hardly ever changes; memory 0: it is not known.
type fixed struct {
	limit  float32
	memory fleet.Reading
}

// Result is what a round came to. Overview is nil where nothing was answered.
type Result struct {
	Overview *fleet.Overview
	Problem  *Problem // nil: all was answered
	Series   int
	More     bool // what seldom changes was left for later, to be quick: the next round asks for it, and is due at once
}

// New makes a source; nothing is asked before the first round.
func New(cfg Config) (*Source, error) {
	if cfg.Every == 0 {
		cfg.Every = 15 * time.Second
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 30 * time.Second
	}
	if len(cfg.Hosts) == 0 {
		cfg.Hosts = DefaultHosts()
	}
	c, err := newClient(cfg)
	if err != nil {
		return nil, err
	}
	return &Source{cfg: cfg, client: c, now: time.Now, has: map[string]bool{}, names: map[string]string{}, who: map[string]*identity{}, words: map[string]string{}}, nil
}

// Where is the server's address, without a password.
func (s *Source) Where() string { return s.client.base.Host }

// Every is how often the server is to be asked.
func (s *Source) Every() time.Duration { return s.cfg.Every }

// Round asks for everything once. A query that fails costs what it would have told, and nothing else.
func (s *Source) Round(ctx context.Context) Result {
	r := &round{Source: s, ctx: ctx, nodes: map[string]*seen{}, jobs: map[string]*fleet.OverseenJob{}, static: s.rounds%staticEvery == 1, quick: s.rounds == 0}
	if r.static || r.quick {
		r.learnNames()
	}
	r.askMoments()
	r.askStates()
	r.askGPUs()
	if r.static {
		r.learnWho()
	}
	r.askHosts()
	r.askXids()
	r.askJobs()
	s.rounds++
	switch {
	case r.hopeless || len(r.order) == 0:
		s.rounds = 0
	case r.fixedMissed:
		s.rounds = 1
	}
	out := Result{Problem: r.problem(), Series: r.series, More: r.quick && s.rounds == 1}
	if len(r.order) > 0 {
		out.Overview = r.overview()
	}
	return out
}

// learnNames learns the host names of nodes that are known by the address of their exporter.
func (r *round) learnNames() {
	names := map[string]string{}
	r.ask("node_uname_info", r.by("node_uname_info", "nodename"), func(labels []label, _, _ float64) {
		name, address := get(labels, "nodename"), host(get(labels, "instance"))
		if !isHost(name) || len(address) == 0 || len(names) >= maxNames {
			return
		}
		if other, ok := names[string(address)]; ok && other != string(name) {
			name = nil // one exporter tells of many nodes: its address is none of theirs
		}
		names[string(address)] = r.word(name)
	})
	r.Source.names = names
}

// node finds the node that a series is of; nil where its labels name none.
func (r *round) node(labels []label) *seen {
	for _, name := range r.cfg.Hosts {
		value := get(labels, name)
		if len(value) == 0 {
			continue
		}
		value = host(value)
		if better := r.names[string(value)]; better != "" {
			value = []byte(better)
		}
		if r.cfg.Short && !isAddress(value) {
			if dot := slices.Index(value, '.'); dot > 0 {
				value = value[:dot]
			}
		}
		if n := r.nodes[string(value)]; n != nil {
			return n
		}
		if !isHost(value) || len(r.order) >= maxNodes {
			break
		}
		n := &seen{Overseen: fleet.Overseen{Name: string(value), Host: fleet.AbsentHost(), State: fleet.Live}}
		r.nodes[n.Name] = n
		r.order = append(r.order, n)
		return n
	}
	r.strange++
	return nil
}

func (r *round) askMoments() {
	for _, m := range moments {
		now := r.now()
		r.ask(m.name, r.by("timestamp("+m.series+")"), func(labels []label, at, value float64) {
			n := r.node(labels)
			if n == nil || !finite(value) {
				return
			}
			age := time.Duration(min(max(0, at-value), 1e6) * float64(time.Second))
			if heard := now.Add(-age); !n.known || heard.After(n.At) {
				n.At, n.known = heard, true
			}
		})
	}
}

// states are the fleet's words for how a node is reached.
var states = func() map[string]fleet.State {
	words := map[string]fleet.State{}
	for s := range fleet.NumStates {
		words[s.String()] = s
	}
	return words
}()

func (r *round) askStates() {
	now := r.now()
	r.askRare("foretop_node_state", r.by(`foretop_node_state{state!="live"}`, "state"), func(labels []label, _, _ float64) {
		state, ok := states[string(get(labels, "state"))]
		if n := r.node(labels); n != nil && ok {
			n.State, n.At, n.known = state, now, true
		}
	})
}

func (r *round) askHosts() {
	readings := hostReadings
	if r.static {
		readings = slices.Concat(hostReadings, hostFixed)
	}
	var queries []func()
	for _, reading := range readings {
		queries = append(queries, func() {
			r.ask(reading.name, r.by(reading.expression), func(labels []label, _, value float64) {
				if n := r.node(labels); n != nil && finite(value) {
					reading.set(&n.Host, fleet.Reading(value))
				}
			})
		})
	}
	r.together(queries)
	if r.has["node_load1"] && !r.has["foretop_cpu_ratio"] {
		r.ask("node_cpu_seconds_total", r.aggregate("avg", cpuIdle), func(labels []label, _, value float64) {
			if n := r.node(labels); n != nil && finite(value) {
				n.Host.CPUBusyPct = fleet.Reading(100 * max(0, 1-value))
			}
		})
	}
}

// overview puts the round together.
func (r *round) overview() *fleet.Overview {
	o := &fleet.Overview{From: "prometheus", Every: r.cfg.Every, Nodes: make([]fleet.Overseen, len(r.order))}
	now := r.now()
	for i, n := range r.order {
		if !n.known { // it has series, and none whose time is asked for
			n.At = now
		}
		r.describe(n)
		n.Host.MemUsedBytes = n.Host.MemTotalBytes - n.Host.MemAvailableBytes
		n.HearsXids = r.hears[n.Name]
		o.Nodes[i] = n.Overseen
	}
	o.Jobs = r.jobsOf()
	return o
}
