package overview

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"foretop/fleet"
)

// round is one round's work.
type round struct {
	*Source
	ctx    context.Context
	static bool // what seldom changes is asked for too, and metrics that the server did not have
	quick  bool // the first: what the server has is not known yet
	nodes  map[string]*seen
	order  []*seen
	jobs   map[string]*fleet.OverseenJob // by key
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
	names := map[string]bool{memoryFree: true, "node_uname_info": true, "foretop_gpu_info": true, xidErrors: true}
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
	skip := r.hopeless || r.ctx.Err() != nil || !r.static && !r.quick && !r.has[name]
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
