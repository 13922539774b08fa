package findings

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"foretop/fleet"
)

const (
	fewestOfPlace = 2 // nodes that fail together in a place
	fewestAnyhow  = 4 // the same where they share nothing that is known
	anywhere      = "several places"
)

// foldPlaces joins the same finding on nodes that fail together and share a switch, a rack or a jump host: then that is the root, not any of them.
func (b *folder) foldPlaces() {
	byRule := map[string][]int{}
	var rules []string
	for i := range b.all {
		if f := &b.all[i]; f.Subject.Node != "" && !f.denied {
			if byRule[f.Rule] == nil {
				rules = append(rules, f.Rule)
			}
			byRule[f.Rule] = append(byRule[f.Rule], i)
		}
	}
	var p *places
	for _, rule := range rules {
		list := byRule[rule]
		if len(list) < fewestOfPlace {
			continue
		}
		for _, burst := range b.bursts(list) {
			if p == nil { // it is asked for in bad times only
				p = b.places()
			}
			b.foldBurst(burst, p)
		}
	}
}

// places are what nodes share. A place has a number; they are counted as they come.
type places struct {
	names []string
	size  []int   // how many nodes
	of    [][]int // by the node's place in the snapshot: those that it is in
}

func (b *folder) places() *places {
	p := &places{of: make([][]int, len(b.s.Nodes))}
	number := map[string]int{}
	for i, n := range b.s.Nodes {
		for _, name := range b.placesOf(n) {
			k, ok := number[name]
			if !ok {
				k = len(p.names)
				number[name] = k
				p.names, p.size = append(p.names, name), append(p.size, 0)
			}
			p.size[k]++
			p.of[i] = append(p.of[i], k)
		}
	}
	return p
}

// bursts are findings of one rule that began close after one another. Those of nodes that were never there began with us.
func (b *folder) bursts(list []int) (out [][]int) {
	slices.SortStableFunc(list, func(i, k int) int { return b.all[i].Since.Compare(b.all[k].Since) })
	from := 0
	for i := 1; i <= len(list); i++ {
		if i < len(list) && (b.all[list[i]].Rule == ruleUnreached || b.all[list[i]].Since.Sub(b.all[list[i-1]].Since) <= burstGap) {
			continue
		}
		if i-from >= fewestOfPlace {
			out = append(out, list[from:i])
		}
		from = i
	}
	return out
}

// foldBurst finds what most nodes of a burst share, then what most of the others do. A place counts where half of its nodes are in the burst.
func (b *folder) foldBurst(burst []int, p *places) {
	of := make([][]int, len(b.s.Nodes)) // findings by node
	in := make([][]int, len(p.names))   // nodes by place
	left := make([]int, len(p.names))   // how many of these have found no place yet
	for _, i := range burst {
		node, _ := b.nodeAt(b.all[i].Subject.Node)
		if of[node] = append(of[node], i); len(of[node]) > 1 {
			continue
		}
		for _, k := range p.of[node] {
			in[k] = append(in[k], node)
			left[k]++
		}
	}
	for {
		best := -1
		for k, n := range left {
			if n < fewestOfPlace || 2*n < p.size[k] {
				continue
			}
			if best < 0 || n > left[best] || n == left[best] && (p.size[k] < p.size[best] || p.size[k] == p.size[best] && p.names[k] < p.names[best]) {
				best = k
			}
		}
		if best < 0 {
			break
		}
		var here []int
		nodes := left[best]
		for _, node := range in[best] {
			if of[node] == nil {
				continue // it has found its place
			}
			here = append(here, of[node]...)
			of[node] = nil
			for _, k := range p.of[node] {
				left[k]--
			}
		}
		slices.SortStableFunc(here, func(i, k int) int { return b.all[i].Since.Compare(b.all[k].Since) })
		b.group(p.names[best], p.size[best], nodes, here)
	}
	var rest []int
	nodes := 0
	for _, i := range burst {
		node, _ := b.nodeAt(b.all[i].Subject.Node)
		if list := of[node]; list != nil {
			if rest = append(rest, i); list[0] == i {
				nodes++
			}
		}
	}
	if nodes >= fewestAnyhow {
		b.group(anywhere, 0, nodes, rest)
	}
}

// group joins findings, and puts what their nodes share at their head.
func (b *folder) group(place string, of, nodes int, from []int) {
	first := &b.all[from[0]]
	head := found1{was: -1, group: len(b.groups) + 1, known: true}
	f := &head.Finding
	f.Rule, f.Subject, f.Cause = first.Rule, fleet.Subject{Many: place, GPU: -1, Port: -1}, fleet.Environment
	f.Since, f.Until, f.Began = first.Since, first.Until, first.Began
	last, open := first.Since, false
	for _, i := range from {
		m := &b.all[i]
		f.Severity = max(f.Severity, m.Severity)
		if m.Since.After(last) {
			last = m.Since
		}
		open = open || m.Until.IsZero()
		if m.Until.After(f.Until) {
			f.Until = m.Until
		}
		head.known = head.known && m.known
	}
	if open {
		f.Until = time.Time{}
	}
	count := fmt.Sprintf("%d of %d nodes", nodes, of)
	if of == 0 {
		count = fmt.Sprintf("%d nodes", nodes)
	}
	what := first.Text
	if slices.ContainsFunc(from, func(i int) bool { return b.all[i].Text != first.Text }) {
		what = kindOf(first.Text, true)
	}
	f.Text = fmt.Sprintf("%s: %s within %s", count, what, long(max(time.Second, last.Sub(first.Since))))
	if first.Rule == ruleLost || first.Rule == ruleUnreached {
		word, _, _ := strings.Cut(first.Text, ":")
		f.Text = fmt.Sprintf("%s %s within %s", count, word, long(max(time.Second, last.Sub(first.Since))))
		if first.Rule == ruleUnreached {
			f.Text = count + " " + word
		}
	}
	if of > 0 {
		f.Remedy = "look first at what they share: " + place
		f.Evidence = []string{fmt.Sprintf("%d of the %d nodes of %s", nodes, of, place)}
	}
	head.key = f.Key()
	if at, ok := b.was[head.key]; ok {
		head.was = at.incident
		f.Past = b.before[at.incident].Members[at.member].Past
	}
	b.groups = append(b.groups, group1{place, of, from})
	b.at[head.key] = len(b.all)
	b.all = append(b.all, head)
	b.parent = append(b.parent, len(b.all)-1)
	for _, i := range from {
		b.join(i, len(b.all)-1)
	}
}

// placesOf are what a node shares with others, as people call it: by its scheduler's words, and by what was told beside.
func (b *folder) placesOf(n *fleet.Node) (out []string) {
	for i := range n.Scheduled {
		s := n.Scheduled[i].Node
		if s == nil {
			continue
		}
		for key, value := range s.Labels {
			if p := placeOf(key, value, s.Name); p != "" {
				out = append(out, p)
			}
		}
	}
	if b.Places != nil {
		out = append(out, b.Places(n.Name)...)
	}
	if len(out) > 1 {
		slices.Sort(out)
		out = slices.Compact(out)
	}
	return out
}

// placeOf is what a scheduler's label says of where a node is; "" nothing. Slurm's is "TOPOLOGY:SWITCH:NODE", of which the switch may be a way through several, from
// the top; a Kubernetes label says itself what it is: topology.kubernetes.io/rack, topology.k8s.aws/network-node-layer-3, cloud.google.com/gce-topology-block.
func placeOf(key, value, node string) string {
	value = short(value, 64)
	if value == "" {
		return ""
	}
	if key == "topology" {
		parts := strings.Split(value, ":")
		if len(parts) > 1 && parts[len(parts)-1] == node {
			parts = parts[:len(parts)-1]
		}
		path := parts[len(parts)-1]
		return called("leaf", path[strings.LastIndexAny(path, ".,/")+1:])
	}
	_, last, ok := strings.Cut(key, "/")
	if !ok {
		last = key
	}
	last = strings.TrimPrefix(last, "gce-topology-")
	for _, of := range [...]struct{ part, word string }{
		{"rack", "rack"}, {"leaf", "leaf"}, {"network-node-layer-3", "leaf"}, {"subblock", "block"}, {"block", "block"}, {"spine", "spine"}, {"superpod", "superpod"}, {"scalable-unit", "scalable unit"},
		{"clique", "NVLink domain"}, {"zone", "zone"},
	} {
		if strings.Contains(last, of.part) {
			return called(of.word, value)
		}
	}
	return ""
}

// called is "leaf leaf3", or "leaf3" where the name says it by itself.
func called(what, name string) string {
	switch {
	case name == "":
		return ""
	case strings.HasPrefix(strings.ToLower(name), what):
		return name
	}
	return what + " " + name
}
