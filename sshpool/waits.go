package sshpool

import (
	"cmp"
	"slices"
)

// Waits says that a node goes on when a question is answered, or is on its way with an answer.
func (p *Pool) Waits(name string) bool {
	if p.asks.waits(name) {
		return true
	}
	p.mu.Lock()
	n := p.nodes[name]
	p.mu.Unlock()
	return n != nil && n.trying.Load()
}

func (b *asks) waits(node string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.going[node] {
		return true
	}
	for _, a := range b.open {
		if slices.ContainsFunc(a.waiting, func(t *ticket) bool { return t.node == node }) {
			return true
		}
	}
	return false
}

// abandon ends a question that was opened for a connection which nobody waits for any more.
func (b *asks) abandon(key string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if a := b.open[key]; a != nil && a.state == askWanted && len(a.waiting) == 0 {
		delete(b.open, key)
	}
}

// Untrusted is a host key that a person may accept, and the nodes that wait for it: of a jump host's all behind it.
type Untrusted struct {
	Key   *HostKeyError
	Nodes []string // in order
}

// UntrustedOf is the key that a node waits for; nil: none that may be accepted.
func (p *Pool) UntrustedOf(name string) *HostKeyError {
	p.mu.Lock()
	n := p.nodes[name]
	p.mu.Unlock()
	if n == nil {
		return nil
	}
	return n.asksTrust()
}

// asksTrust is the unknown key for which a node waits, where a person may be asked; else nil.
func (n *node) asksTrust() *HostKeyError {
	n.mu.Lock()
	defer n.mu.Unlock()
	bad := n.untrusted
	if bad == nil || n.state != NeedsTrust || !bad.MayBeTaken() || bad.resolved != nil && bad.resolved.NoAsk {
		return nil
	}
	return bad
}

// Untrusted are the host keys that nodes wait for and that may be accepted (Pool.Trust), those of jump hosts first. Hosts for which nobody is to be asked (BatchMode) are not among
// them.
func (p *Pool) Untrusted() []Untrusted {
	p.mu.Lock()
	nodes := make([]*node, 0, len(p.nodes))
	for _, n := range p.nodes {
		nodes = append(nodes, n)
	}
	p.mu.Unlock()
	by := make(map[string]*Untrusted)
	for _, n := range nodes {
		bad := n.asksTrust()
		if bad == nil {
			continue
		}
		key := bad.Name + " " + bad.Fingerprint()
		if by[key] == nil {
			by[key] = &Untrusted{Key: bad}
		}
		by[key].Nodes = append(by[key].Nodes, n.target.Name)
	}
	out := make([]Untrusted, 0, len(by))
	for _, u := range by {
		slices.Sort(u.Nodes)
		out = append(out, *u)
	}
	slices.SortFunc(out, func(a, b Untrusted) int {
		return cmp.Or(cmp.Compare(len(b.Nodes), len(a.Nodes)), cmp.Compare(a.Key.Name, b.Key.Name), cmp.Compare(a.Key.Fingerprint(), b.Key.Fingerprint()))
	})
	return out
}
