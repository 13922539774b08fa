// Package overview asks a Prometheus server, or one that speaks as one (VictoriaMetrics), what it knows of a fleet: dcgm-exporter's, node_exporter's and foretop's
// own series, by instant queries, a few large ones a round, whose answers are read as they come.
//
// It opens no connection to a node and keeps no history. The command line calls [Source.Round] every so often and gives what comes to package fleet. What a
// server says is checked like what a node says: bounded, without control characters, names that could not be a host's left out.
package overview

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"foretop/fleet"
	"foretop/telemetry"
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

// round is one round's work.
type round struct {
	*Source
	ctx    context.Context
	static bool // what seldom changes is asked for too, and metrics that the server did not have
	nodes  map[string]*seen
	order  []*seen
	series int

	mu sync.Mutex // held while an answer is taken in: several come at once
	problems
}

// seen is a node as one round finds it.
type seen struct {
	fleet.Overseen
	known bool // its time was told
}

// problems keeps the first of what went wrong, and counts.
type problems struct {
	first    *Problem
	count    int
	slow     int
	hopeless bool // nothing more is asked in this round
	strange  int  // series whose labels name nothing that could be

	fixedMissed bool // something that is asked for seldom was not answered
}

// mostSlow is how many queries may take too long before a round is given up.
const mostSlow = 2

// seldom are the metrics that are asked for in static rounds only.
var seldom = func() map[string]bool {
	names := map[string]bool{memoryFree: true, "node_uname_info": true, "foretop_gpu_info": true}
	for _, r := range gpuFixed {
		for _, m := range r.names {
			names[m.name] = true
		}
	}
	for _, r := range hostFixed {
		names[r.name] = true
	}
	return names
}()

func (p *problems) note(what string, err error) {
	var known *Problem
	if !errors.As(err, &known) {
		known = &Problem{Text: short(err.Error())}
	}
	if known.slow {
		p.slow++
	}
	p.fixedMissed = p.fixedMissed || seldom[what]
	p.hopeless = known.all || p.slow >= mostSlow
	if p.count++; p.first != nil {
		return
	}
	p.first = &Problem{Text: known.Text, Remedy: known.Remedy}
	if !known.all {
		p.first.Text = what + ": " + known.Text
	}
}

// Round asks for everything once. A query that fails costs what it would have told, and nothing else.
func (s *Source) Round(ctx context.Context) Result {
	r := &round{Source: s, ctx: ctx, nodes: map[string]*seen{}, static: s.rounds%staticEvery == 0}
	if r.static {
		r.learnNames()
	}
	r.askMoments()
	r.askStates()
	r.askGPUs()
	if r.static {
		r.learnWho()
	}
	r.askHosts()
	s.rounds++
	if r.hopeless || len(r.order) == 0 || r.static && r.fixedMissed {
		s.rounds = 0
	}
	out := Result{Problem: r.problem(), Series: r.series}
	if len(r.order) > 0 {
		out.Overview = r.overview()
	}
	return out
}

// problem is what there is to say of the round.
func (r *round) problem() *Problem {
	switch {
	case r.ctx.Err() != nil:
		return nil
	case r.first != nil:
		if r.count > 1 {
			r.first.Text += fmt.Sprintf(" (and %d more)", r.count-1)
		}
		return r.first
	case len(r.order) == 0:
		return &Problem{Text: "it answers, and has no series of dcgm-exporter, node_exporter or foretop of any node",
			Remedy: "is it the right server? Labels that name nodes are prometheus.hosts in the configuration file"}
	case r.strange > 0:
		return &Problem{Text: fmt.Sprintf("%d series name no node or GPU that could be one", r.strange), Remedy: "which labels name nodes is prometheus.hosts in the configuration file"}
	}
	return nil
}

// ask asks for what is made of a metric, if the server has it.
func (r *round) ask(name, expression string, each func(labels []label, at, value float64)) {
	r.mu.Lock()
	skip := r.hopeless || r.ctx.Err() != nil || !r.static && !r.has[name]
	r.mu.Unlock()
	if skip {
		return
	}
	v, err := r.client.query(r.ctx, expression, func(labels []label, at, value float64) {
		r.mu.Lock()
		defer r.mu.Unlock()
		each(labels, at, value)
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	if v != nil {
		r.series += v.series
	}
	switch {
	case err != nil:
		r.note(name, err)
		r.has[name] = true // for all that is known
		return
	case v.partial:
		r.note(name, &Problem{Text: "the answer is partial: some of the server's storage does not answer"})
	}
	r.has[name] = v.series > 0
}

// atOnce is how many queries a server is asked at a time.
const atOnce = 3

// together runs queries, a few at a time.
func (r *round) together(queries []func()) {
	var wait sync.WaitGroup
	next := make(chan func())
	for range atOnce {
		wait.Go(func() {
			for query := range next {
				query()
			}
		})
	}
	for _, query := range queries {
		next <- query
	}
	close(next)
	wait.Wait()
}

// askRare is ask for what most of the time is of nobody, which does not mean that the server does not have it.
func (r *round) askRare(name, expression string, each func(labels []label, at, value float64)) {
	mark := func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.has[name] = true
	}
	mark()
	r.ask(name, expression, each)
	mark()
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
		o.Nodes[i] = n.Overseen
	}
	return o
}

// word is text as shared by all that say the same.
func (s *Source) word(text []byte) string {
	if word, ok := s.words[string(text)]; ok {
		return word
	}
	word := telemetry.Clean(string(text), 128)
	if len(s.words) < maxNames {
		s.words[string(text)] = word
	}
	return word
}

func get(labels []label, name string) []byte {
	for i := range labels {
		if string(labels[i].name) == name {
			return labels[i].value
		}
	}
	return nil
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// host is what names a node in an address: without the port.
func host(value []byte) []byte {
	if len(value) > 0 && value[0] == '[' { // IPv6
		if end := slices.Index(value, ']'); end > 0 {
			return value[1:end]
		}
	}
	at := slices.Index(value, ':')
	if at < 0 || slices.Index(value[at+1:], ':') >= 0 {
		return value
	}
	return value[:at]
}

func isAddress(value []byte) bool {
	for _, c := range value {
		if !(c >= '0' && c <= '9' || c == '.' || c == ':') {
			return false
		}
	}
	return true
}

// isHost says that ssh may be given the name: that it is one word of what names are made of, and no option.
func isHost(value []byte) bool {
	if len(value) == 0 || len(value) > 253 || strings.IndexByte("-.", value[0]) >= 0 {
		return false
	}
	for _, c := range value {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '-' || c == '_' || c == ':') {
			return false
		}
	}
	return true
}
