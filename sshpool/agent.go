package sshpool

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

const (
	agentListAge  = 10 * time.Second // how long a list of the agent's keys is good
	agentDeadline = 5 * time.Second  // for listing
	signDeadline  = 60 * time.Second // for a signature: a person may have to confirm or touch
)

// sharedAgent is the one connection to an agent socket that all nodes share: agents die of many. x/crypto pipelines requests on it.
type sharedAgent struct {
	socket string

	mu     sync.Mutex
	conn   net.Conn
	client agent.ExtendedAgent
	listed time.Time
	keys   []*agent.Key
	err    error
}

// list gives the agent's keys, asked for at most every ten seconds.
func (a *sharedAgent) list() ([]*agent.Key, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.listed.IsZero() && time.Since(a.listed) < agentListAge {
		return a.keys, a.err
	}
	a.keys, a.err = a.ask()
	if a.err != nil { // a connection that died: once more on a new one
		a.drop()
		a.keys, a.err = a.ask()
	}
	a.listed = time.Now()
	return a.keys, a.err
}

func (a *sharedAgent) ask() ([]*agent.Key, error) {
	client, err := a.dial()
	if err != nil {
		return nil, err
	}
	type answer struct {
		keys []*agent.Key
		err  error
	}
	done := make(chan answer, 1)
	go func() {
		keys, err := client.List()
		done <- answer{keys, err}
	}()
	select {
	case got := <-done:
		return got.keys, got.err
	case <-time.After(agentDeadline):
		a.drop() // ends the goroutine above
		return nil, fmt.Errorf("list keys of ssh agent: no answer in %v", agentDeadline)
	}
}

// dial connects if there is no connection; mu is held.
func (a *sharedAgent) dial() (agent.ExtendedAgent, error) {
	if a.client != nil {
		return a.client, nil
	}
	conn, err := net.DialTimeout("unix", a.socket, agentDeadline)
	if err != nil {
		return nil, fmt.Errorf("reach ssh agent: %w", err)
	}
	a.conn, a.client = conn, agent.NewClient(conn)
	return a.client, nil
}

// drop closes the connection; mu is held.
func (a *sharedAgent) drop() {
	if a.conn != nil {
		a.conn.Close()
	}
	a.conn, a.client = nil, nil
}

func (a *sharedAgent) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.drop()
}

// forget makes the next list a fresh one: the user may have added a key.
func (a *sharedAgent) forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.listed = time.Time{}
}

// agentSigner signs with one key of the agent.
type agentSigner struct {
	agent *sharedAgent
	key   ssh.PublicKey
}

func (s *agentSigner) PublicKey() ssh.PublicKey { return s.key }

func (s *agentSigner) Sign(rand io.Reader, data []byte) (*ssh.Signature, error) {
	return s.SignWithAlgorithm(rand, data, "")
}

// SignWithAlgorithm asks the agent, with a deadline of its own: the handshake's deadline does not reach an agent that waits for a touch.
func (s *agentSigner) SignWithAlgorithm(_ io.Reader, data []byte, algorithm string) (*ssh.Signature, error) {
	var flags agent.SignatureFlags
	switch algorithm {
	case ssh.KeyAlgoRSASHA256:
		flags = agent.SignatureFlagRsaSha256
	case ssh.KeyAlgoRSASHA512:
		flags = agent.SignatureFlagRsaSha512
	}
	s.agent.mu.Lock()
	client, err := s.agent.dial()
	s.agent.mu.Unlock()
	if err != nil {
		return nil, err
	}
	type answer struct {
		sig *ssh.Signature
		err error
	}
	done := make(chan answer, 1)
	go func() {
		sig, err := client.SignWithFlags(s.key, data, flags)
		done <- answer{sig, err}
	}()
	limit := time.NewTimer(signDeadline)
	defer limit.Stop()
	select {
	case got := <-done:
		return got.sig, got.err
	case <-limit.C:
		return nil, errors.New("ssh agent gave no signature in time")
	}
}
