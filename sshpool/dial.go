package sshpool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// clientVersion is what sshd's log shows of us.
const clientVersion = "SSH-2.0-foretop"

// dial opens the byte stream to a host: TCP, or what its ProxyJump or ProxyCommand says.
func (p *Pool) dial(ctx context.Context, r *Resolved, via []string) (net.Conn, error) {
	limit := p.cfg.Timing.Dial
	if r.ConnectTimeout > 0 {
		limit = r.ConnectTimeout
	}
	if r.ProxyJump != "" {
		return p.jumps.dial(ctx, r, via, limit)
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	switch {
	case r.ProxyCommand != "":
		traceOf(ctx).note("ProxyCommand", r.ProxyCommand)
		return dialCommand(ctx, r)
	}
	return dialTCP(dialling(ctx), r)
}

func dialTCP(ctx context.Context, r *Resolved) (net.Conn, error) {
	network := "tcp"
	switch r.AddressFamily {
	case "inet":
		network = "tcp4"
	case "inet6":
		network = "tcp6"
	}
	d := net.Dialer{Control: setSockopts}
	local, err := localAddr(r)
	if err != nil {
		return nil, err
	}
	if local != nil {
		d.LocalAddr = &net.TCPAddr{IP: local}
	}
	conn, err := d.DialContext(ctx, network, r.addr())
	if err != nil {
		var dns *net.DNSError
		if errors.As(err, &dns) && dns.IsNotFound {
			if ip := askNSS(ctx, r.HostName); ip != "" {
				traceOf(ctx).note("name", "getent knows it: "+ip)
				found := *r
				found.HostName = ip
				if conn, err := d.DialContext(ctx, network, found.addr()); err == nil {
					return conn, nil
				}
			}
		}
		if ctx.Err() == context.Canceled {
			return nil, ctx.Err()
		}
		return nil, networkProblem(err, r.addr())
	}
	return conn, nil
}

// localAddr is the address that BindAddress or BindInterface asks to dial from; nil: any.
func localAddr(r *Resolved) (net.IP, error) {
	fits := func(ip net.IP) bool {
		return r.AddressFamily != "inet" && r.AddressFamily != "inet6" || (ip.To4() != nil) == (r.AddressFamily == "inet")
	}
	refuse := func(why string) error {
		return &problem{state: Lost, again: pauseHold, cause: "dial " + r.addr() + ": " + clean(why), remedy: "mend it in your ssh configuration"}
	}
	if r.BindAddress != "" {
		ip := net.ParseIP(r.BindAddress)
		if ip == nil {
			found, err := net.LookupIP(r.BindAddress)
			if err != nil || len(found) == 0 {
				return nil, refuse("BindAddress " + r.BindAddress + " is no address of this machine")
			}
			ip = found[0]
		}
		return ip, nil
	}
	if r.BindInterface == "" {
		return nil, nil
	}
	face, err := net.InterfaceByName(r.BindInterface)
	if err != nil {
		return nil, refuse("BindInterface " + r.BindInterface + ": " + lastError(err))
	}
	addrs, err := face.Addrs()
	if err != nil {
		return nil, refuse("BindInterface " + r.BindInterface + ": " + lastError(err))
	}
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && !n.IP.IsLinkLocalUnicast() && fits(n.IP) {
			return n.IP, nil
		}
	}
	return nil, refuse("BindInterface " + r.BindInterface + " has no address")
}

// secured is an authenticated connection.
type secured struct {
	ssh.Conn
	channels <-chan ssh.NewChannel
	requests <-chan *ssh.Request
}

// handshake turns a byte stream into an authenticated connection, or says in words why not. It ends conn on failure. x/crypto's own
// timeout covers TCP only, so the deadline is on the connection. a says who may be asked; whole makes it look all known keys up before, not only after.
func (p *Pool) handshake(ctx context.Context, raw net.Conn, r *Resolved, a asking, whole bool) (done *secured, err error) {
	conn := &firstBytes{Conn: raw}
	auth := &authAttempt{resolved: r, stages: traceOf(ctx).stages()}
	if auth.stages != nil {
		conn.greeted = auth.stages.version
		defer func() { auth.stages.end(auth, err) }()
	}
	if err := raw.SetDeadline(time.Now().Add(p.cfg.Timing.Handshake)); err != nil {
		raw.Close()
		return nil, fmt.Errorf("set handshake deadline: %w", err)
	}
	cut := context.AfterFunc(ctx, func() { raw.Close() })
	defer cut()

	known := p.trust.known(r, whole)
	a.asks, a.ctx, a.conn, a.limit = p.asks, ctx, conn, p.cfg.Timing.Handshake
	auth.asking = a
	auth.identities, auth.agentErr = p.keys.identities(r)
	if !r.NoPublicKey {
		auth.hidden = p.keys.hidden(r)
	}
	untrusted := make(chan *HostKeyError, 1)
	config := &ssh.ClientConfig{
		Config:            ssh.Config{KeyExchanges: r.KeyExchanges, Ciphers: r.Ciphers, MACs: r.MACs},
		User:              r.User,
		ClientVersion:     clientVersion,
		HostKeyAlgorithms: known.algorithms(r.HostKeyAlgorithms),
		HostKeyCallback: func(_ string, _ net.Addr, key ssh.PublicKey) error {
			bad, taken := known.judge(r, key, time.Now), false
			if bad != nil && bad.mayBeTaken() && r.Trust == TrustNew {
				if p.cfg.LookOnly {
					p.trust.keep(bad)
					bad = nil
				} else {
					bad = p.trust.take(bad)
				}
				taken = bad == nil
			}
			auth.stages.hostKey(known, r, key, bad, taken)
			if bad != nil {
				select {
				case untrusted <- bad:
				default:
				}
				return bad
			}
			return nil
		},
		AuthCallback: auth.stages.meeting(auth.method),
		BannerCallback: func(message string) error {
			auth.hear(message)
			return nil
		},
	}
	c, channels, requests, err := ssh.NewClientConn(conn, r.addr(), config)
	auth.end(err)
	if err == nil {
		_ = raw.SetDeadline(time.Time{}) // could be set, so it can be cleared
		conn.trusted()
		if a, ok := c.(ssh.AlgorithmsConnMetadata); ok {
			auth.stages.met(a.Algorithms())
		}
	} else {
		raw.Close()
		select {
		case bad := <-untrusted:
			return nil, trustProblem(bad, r, p.connectWords(r))
		default:
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if auth.asked != "" {
			return nil, auth.askedProblem()
		}
		if c, ok := raw.(*commandConn); ok && !conn.heardAnything() {
			return nil, c.problem()
		}
		return nil, handshakeProblem(err, conn, auth, p.cfg.Timing.Handshake)
	}
	return &secured{c, channels, requests}, nil
}

// connectWords is the command by which the user meets the host himself.
func (p *Pool) connectWords(r *Resolved) string {
	words := "ssh "
	if p.cfg.ConfigFile != "" {
		words += "-F " + quote(p.cfg.ConfigFile) + " "
	}
	alias := r.Alias
	if alias == "" {
		alias = r.HostName
	}
	return words + quote(alias)
}

// handshakeProblem words what a handshake can end in, by how far it came.
func handshakeProblem(err error, conn *firstBytes, auth *authAttempt, limit time.Duration) *problem {
	addr := auth.resolved.addr()
	anything, version, said := conn.heard()
	timedOut := errors.Is(err, os.ErrDeadlineExceeded)
	ended := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) || isReset(err)
	p := &problem{state: Lost, again: pauseFar, err: err}
	if timedOut { // a frozen node: it may thaw any second
		p.again = pauseNear
	}
	switch {
	case errors.Is(err, errTalksTooMuch):
		p.state, p.again = Misbehaving, pauseLong
		p.cause, p.remedy = addr+" sends more than 1 MiB before anybody is logged in", "the node may be broken or compromised: look at it before trusting what it says"
	case throttleWords(said):
		p.throttled = true
		p.cause, p.remedy = "server throttled: "+clean(said), "foretop slows down by itself; the node's admin may raise MaxStartups"
	case timedOut && !anything:
		p.cause, p.remedy = addr+" accepts connections but says nothing", "its sshd hangs or something else listens there: look at the node's console"
	case auth.reached && !timedOut && (!ended || looksRefused(auth.banner)):
		return auth.problem(err)
	case auth.reached && ended: // no verdict on the keys: the node may have died that moment
		p.cause, p.remedy = addr+" closed the connection while logging in", "if it stays so, the account may be refused there (PAM, AllowUsers): look at the node's sshd log"
	case timedOut:
		p.cause, p.remedy = addr+" did not finish the handshake in "+limit.String(), "the node may be overloaded: look at its load or console"
	case ended && !version && said != "":
		p.again = pauseLong
		p.cause, p.remedy = addr+" is not an SSH server; it says: "+clean(said), "check the port"
	case ended && !version:
		p.throttled = true
		p.cause = addr + " closed the connection before a word"
		p.remedy = "its sshd may have too many logins at once (MaxStartups) or have banned this address: foretop slows down by itself"
	case strings.Contains(err.Error(), "no common algorithm"):
		p.state, p.again = Refused, pauseLong
		p.cause, p.remedy = clean(strings.TrimPrefix(err.Error(), "ssh: handshake failed: ")), "the server offers only algorithms that are not supported here: update its sshd"
	case strings.Contains(err.Error(), "overflow reading version string"):
		p.again = pauseLong
		p.cause, p.remedy = addr+" is not an SSH server; it says: "+clean(said), "check the port"
	case ended:
		p.throttled = !auth.reached
		p.cause, p.remedy = addr+" closed the connection in the handshake", "look at the node's sshd log"
	default:
		p.cause = "handshake with " + addr + ": " + clean(strings.TrimPrefix(err.Error(), "ssh: handshake failed: "))
		p.remedy = "look at the node's sshd log"
	}
	return p
}

// throttleWords knows what sshd says before it drops a connection (sshd.c drop_connection; 8.2 and 9.8 words).
func throttleWords(said string) bool {
	return strings.Contains(said, "Exceeded MaxStartups") || strings.Contains(said, "Not allowed at this time")
}
