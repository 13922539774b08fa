package sshpool

import (
	"context"
	"net"
)

func dialCommand(ctx context.Context, r *Resolved) (net.Conn, error) {
	return nil, &problem{state: Refused, again: pauseHold, cause: "ProxyCommand is not supported yet", remedy: "use ProxyJump"}
}

type jumps struct{ p *Pool }

func newJumps(p *Pool) *jumps { return &jumps{p} }
func (j *jumps) close()       {}
func (j *jumps) dial(ctx context.Context, r *Resolved) (net.Conn, error) {
	return nil, &problem{state: Refused, again: pauseHold, cause: "ProxyJump is not supported yet", remedy: "dial it directly"}
}
