package simfleet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"
)

// Drain is the floor of benchmarks: bare x/crypto/ssh clients that start a stream on every node and throw away what comes. Against a fleet with Options.RawBytes it costs
// what SSH alone costs for that volume. It sends no heartbeat, so streams that are not raw end after 30 s.
type Drain struct {
	bytes   atomic.Int64
	clients []*ssh.Client
	readers sync.WaitGroup
}

// drainNonce need not be secret: nothing but the fleet listens there.
const drainNonce = "0f0e0d0c0b0a0908"

// StartDrain connects to all nodes, parallel at a time, and returns when every stream has begun.
func StartDrain(ctx context.Context, nodes []NodeInfo, signer ssh.Signer, parallel int) (*Drain, error) {
	d := &Drain{clients: make([]*ssh.Client, len(nodes))}
	errs := make([]error, len(nodes))
	tokens := make(chan struct{}, max(1, parallel))
	var dials sync.WaitGroup
	for i, n := range nodes {
		tokens <- struct{}{}
		dials.Go(func() {
			d.clients[i], errs[i] = d.open(ctx, n, signer)
			<-tokens
		})
	}
	dials.Wait()
	if err := errors.Join(errs...); err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

func (d *Drain) open(ctx context.Context, n NodeInfo, signer ssh.Signer) (*ssh.Client, error) {
	addr := net.JoinHostPort(n.Addr, strconv.Itoa(n.Port))
	c, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("dial node %s: %w", n.Name, err)
	}
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	conn, channels, requests, err := ssh.NewClientConn(c, addr, &ssh.ClientConfig{
		User: n.User, Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)}, HostKeyCallback: ssh.FixedHostKey(n.HostKey),
	})
	if err != nil {
		c.Close()
		return nil, fmt.Errorf("log in on node %s: %w", n.Name, err)
	}
	client := ssh.NewClient(conn, channels, requests)
	if err := d.read(client); err != nil {
		client.Close()
		return nil, fmt.Errorf("start stream of node %s: %w", n.Name, err)
	}
	_ = c.SetDeadline(time.Time{})
	return client, nil
}

func (d *Drain) read(client *ssh.Client) error {
	s, err := client.NewSession()
	if err != nil {
		return err
	}
	out, err := s.StdoutPipe()
	if err != nil {
		return err
	}
	if _, err := s.StdinPipe(); err != nil { // kept open: its end would end the stream
		return err
	}
	if err := s.Start("FORETOP_NONCE=" + drainNonce); err != nil {
		return err
	}
	buf := make([]byte, 4096)
	n, err := out.Read(buf)
	if err != nil {
		return err
	}
	d.bytes.Add(int64(n))
	d.readers.Go(func() {
		for err == nil {
			n, err = out.Read(buf)
			d.bytes.Add(int64(n))
		}
	})
	return nil
}

// Bytes is what has arrived so far.
func (d *Drain) Bytes() int64 { return d.bytes.Load() }

// Close ends all connections.
func (d *Drain) Close() error {
	for _, c := range d.clients {
		if c != nil {
			_ = c.Close()
		}
	}
	d.readers.Wait()
	return nil
}

var _ io.Closer = (*Drain)(nil)
