package sshpool

import (
	"errors"
	"fmt"
	"net"
	"strings"

	"foretop/telemetry"
)

// pause says when the pool may try again by itself.
type pause uint8

const (
	pauseFar  pause = iota // backoff to BackoffMax
	pauseBack              // the same, of a node that was live: for a while a short backoff, its return is awaited
	pauseNear              // nobody listens there: a short backoff, the node may come up any second
	pauseLong              // a long backoff: trying costs the node
	pauseHold              // only when the user says so
)

// problem is why a node is not live: its state, the words for the user, and whether to try again.
type problem struct {
	state         State
	again         pause
	cause, remedy string
	notes         string // what the server said to everybody, cleaned
	ask           string // the key of the question whose answer is waited for; "" none
	throttled     bool   // the server asks for fewer connections: the pace slows down
	err           error
}

func (p *problem) Error() string { return p.cause }

func (p *problem) Unwrap() error { return p.err }

// asProblem puts any error into words: those that carry their own are left as they are.
func asProblem(err error) *problem {
	var p *problem
	if errors.As(err, &p) {
		return p
	}
	return &problem{state: Lost, again: pauseFar, cause: clean(err.Error()), err: err}
}

// advised adds to an error what helps, where that is known.
func advised(err error) error {
	var p *problem
	if errors.As(err, &p) && p.remedy != "" {
		return fmt.Errorf("%w (%s)", err, p.remedy)
	}
	return err
}

// clean makes any text from outside fit to be shown as a cause.
func clean(s string) string { return telemetry.Clean(strings.TrimSpace(s), 240) }

// networkProblem words what a dial can end in. addr is host:port.
func networkProblem(err error, addr string) *problem {
	host, port, _ := net.SplitHostPort(addr)
	p := &problem{state: Lost, again: pauseNear, err: err}
	var dns *net.DNSError
	var timeout net.Error
	switch {
	case errors.As(err, &dns):
		p.again = pauseFar
		p.cause, p.remedy = "name not found: "+host, "check the spelling, or give the node a HostName in your ssh configuration"
		if dns.IsTimeout || dns.IsTemporary {
			p.cause, p.remedy = "no answer from the name server for "+host, "check this machine's DNS"
		}
	case isFull(err):
		p.again = pauseFar
		p.cause, p.remedy = "dial "+addr+": this program has no file left to open", filesRemedy()
	case isRefused(err):
		p.cause = "connection refused by " + addr
		p.remedy = "the node is up, but no sshd listens on port " + port + ": start it, or check the port"
	case isNoRoute(err):
		p.cause, p.remedy = "no route to host "+host, "check that the node is powered and that its network, VPN or jump host is up"
	case errors.As(err, &timeout) && timeout.Timeout():
		p.cause, p.remedy = "no answer from "+addr, "check that the node is up and that no firewall drops port "+port
	default:
		p.again = pauseFar
		p.cause, p.remedy = "dial "+addr+": "+clean(lastError(err)), "check this machine's network"
	}
	return p
}

// lastError is the innermost error's text: Go's network errors repeat the addresses around it.
func lastError(err error) string {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err.Error()
		}
		err = next
	}
}
