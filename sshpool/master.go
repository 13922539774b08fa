package sshpool

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// wayOf names a way to a host: what decides how it is logged in to.
func wayOf(r *Resolved) string {
	return r.User + "@" + r.HostName + ":" + strconv.Itoa(r.Port) + " as " + r.Alias + " by " + r.ProxyJump
}

// needsSSH says why only ssh itself can reach a host; "" where our own client can.
func (p *Pool) needsSSH(r *Resolved) string {
	if len(r.NeedsSSH) > 0 {
		return strings.Join(r.NeedsSSH, ", ")
	}
	if why, ok := p.bySSH.Load(wayOf(r)); ok {
		return why.(string)
	}
	return ""
}

// maySSH says which way to log in is left that only ssh itself has, when ours all failed; "" none.
func (p *Pool) maySSH(r *Resolved, err error) string {
	var refused *AuthError
	if !errors.As(err, &refused) {
		return ""
	}
	var ways []string
	for _, o := range r.MaySSH {
		switch {
		case o == "GSSAPIAuthentication" && slices.Contains(refused.Methods, "gssapi-with-mic") && p.tickets.has(time.Now()),
			o == "HostbasedAuthentication" && slices.Contains(refused.Methods, "hostbased"),
			o == "PKCS11Provider" && slices.Contains(refused.Methods, "publickey"):
			ways = append(ways, o)
		}
	}
	return strings.Join(ways, ", ")
}

// tickets remembers for a while whether there is a Kerberos ticket: of a thousand nodes that let no key in, one asks.
type tickets struct {
	mu    sync.Mutex
	there bool
	until time.Time
}

// ticketsFor is how long an answer stands.
const ticketsFor = 10 * time.Second

// has says that there may be one: without it GSSAPI would only cost a refused login.
func (t *tickets) has(now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now.After(t.until) {
		t.there = hasTicket()
		t.until = now.Add(ticketsFor)
	}
	return t.there
}

func hasTicket() bool {
	if os.Getenv("KRB5CCNAME") != "" {
		return true
	}
	if _, err := os.Stat("/tmp/krb5cc_" + strconv.Itoa(os.Getuid())); err == nil {
		return true
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	return exec.CommandContext(ctx, "klist", "-s").Run() == nil
}

// openMaster uses a master connection that the user has open (ControlPath), as ssh itself would: no second login. nil: none answers.
func (p *Pool) openMaster(ctx context.Context, r *Resolved) *sshCarrier {
	if r.ControlPath == "" {
		return nil
	}
	if info, err := os.Stat(r.ControlPath); err != nil || info.Mode()&os.ModeSocket == 0 {
		return nil
	}
	c, err := p.mux(ctx, r.ControlPath)
	if err != nil {
		traceOf(ctx).note("transport", "no master answers at "+r.ControlPath+": passed over, as ssh does")
		return nil
	}
	c.via, c.env = "the open master at "+clean(r.ControlPath), r.Env
	return c
}

// mux speaks through a master's socket. It waits for the master's hello at most as for a handshake.
func (p *Pool) mux(ctx context.Context, socket string) (*sshCarrier, error) {
	var d net.Dialer
	raw, err := d.DialContext(ctx, "unix", socket)
	if err != nil {
		return nil, err
	}
	cut := context.AfterFunc(ctx, func() { raw.Close() })
	defer cut()
	_ = raw.SetDeadline(time.Now().Add(p.cfg.Timing.Handshake))
	conn, channels, requests, err := ssh.NewControlClientConn(raw)
	if err != nil {
		raw.Close()
		return nil, fmt.Errorf("speak with the master at %s: %w", socket, err)
	}
	_ = raw.SetDeadline(time.Time{})
	return newSSHCarrier(&secured{conn, channels, requests}), nil
}
