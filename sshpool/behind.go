package sshpool

import "strings"

// Jump is the jump host that a node is behind, the last of several, without user and port; "" there is none, or it is not known yet.
func (p *Pool) Jump(name string) string {
	p.mu.Lock()
	n := p.nodes[name]
	p.mu.Unlock()
	if n == nil {
		return ""
	}
	if host := n.jump.Load(); host != nil {
		return *host
	}
	return ""
}

// behind notes which jump host a node is behind.
func (n *node) behind(r *Resolved) {
	host := lastHop(r.ProxyJump)
	n.jump.Store(&host)
}

// lastHop is b of "user@a:22,c@b:2222".
func lastHop(jumps string) string {
	hop := jumps[strings.LastIndexByte(jumps, ',')+1:]
	hop = strings.TrimPrefix(hop, "ssh://")
	hop = hop[strings.LastIndexByte(hop, '@')+1:]
	if bracket := strings.IndexByte(hop, ']'); strings.HasPrefix(hop, "[") && bracket > 0 {
		return clean(hop[1:bracket])
	}
	if strings.Count(hop, ":") == 1 {
		hop, _, _ = strings.Cut(hop, ":")
	}
	return clean(hop)
}
