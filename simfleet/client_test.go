package simfleet

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"strconv"
	"testing"
	"time"

	"foretop/telemetry"
	"foretop/telemetry/facts"

	"golang.org/x/crypto/ssh"
)

// start stands up a fleet that ends with the test.
func start(t testing.TB, o Options) *Fleet {
	t.Helper()
	f, err := Start(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// dial logs in on a node as its one user, strictly checking the host key.
func dial(n NodeInfo, signer ssh.Signer) (*ssh.Client, error) {
	addr := net.JoinHostPort(n.Addr, strconv.Itoa(n.Port))
	c, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err != nil {
		return nil, err
	}
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	conn, channels, requests, err := ssh.NewClientConn(c, addr, &ssh.ClientConfig{
		User: n.User, Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)}, HostKeyCallback: ssh.FixedHostKey(n.HostKey),
	})
	if err != nil {
		c.Close()
		return nil, err
	}
	_ = c.SetDeadline(time.Time{})
	return ssh.NewClient(conn, channels, requests), nil
}

const testNonce = "00112233445566aa"

// peer is a plain client of one collector's stream.
type peer struct {
	client  *ssh.Client
	session *ssh.Session
	frames  *telemetry.FrameReader
	control *telemetry.FrameWriter
	stdin   io.Closer
	decoder telemetry.Decoder

	hello     *facts.Hello
	inventory *facts.Inventory
	processes map[int32]*facts.Process
	kernel    []*facts.KernelRecord
	notes     []*facts.SourceNote
	usage     *facts.Usage
	bye       *facts.Bye
	samples   int
	bytes     int
}

func connect(n NodeInfo, signer ssh.Signer) (*peer, error) {
	c, err := dial(n, signer)
	if err != nil {
		return nil, err
	}
	p := &peer{client: c, processes: make(map[int32]*facts.Process)}
	if p.session, err = c.NewSession(); err != nil {
		c.Close()
		return nil, err
	}
	stdout, _ := p.session.StdoutPipe()
	stdin, _ := p.session.StdinPipe()
	if err := p.session.Start("exec /bin/sh -c 'FORETOP_NONCE=" + testNonce + " exec collector'"); err != nil {
		c.Close()
		return nil, err
	}
	line := make([]byte, len(telemetry.StreamLine(testNonce)))
	if _, err := io.ReadFull(stdout, line); err != nil {
		c.Close()
		return nil, err
	}
	if !bytes.Equal(line, []byte(telemetry.StreamLine(testNonce))) {
		c.Close()
		return nil, fmt.Errorf("stream starts with %q", line)
	}
	p.frames, p.control, p.stdin = telemetry.NewFrameReader(stdout, telemetry.MaxFrameBytes), telemetry.NewFrameWriter(stdin, telemetry.MaxControlBytes), stdin
	return p, nil
}

// next takes in one frame and says of what kind it was.
func (p *peer) next() (telemetry.Kind, error) {
	kind, payload, err := p.frames.Read()
	if err != nil {
		return 0, err
	}
	p.bytes += len(payload) + 2
	switch kind {
	case telemetry.KindSample:
		_, needWhole, err := p.decoder.Apply(payload)
		if err != nil || needWhole {
			return kind, fmt.Errorf("sample: needs a whole one %v, %w", needWhole, err)
		}
		p.samples++
	case telemetry.KindHello:
		p.hello = new(facts.Hello)
		err = facts.Decode(payload, p.hello)
	case telemetry.KindInventory:
		p.inventory = new(facts.Inventory)
		err = facts.Decode(payload, p.inventory)
	case telemetry.KindProcesses:
		var m facts.Processes
		err = facts.Decode(payload, &m)
		for _, g := range m.Gone {
			delete(p.processes, g.Pid)
		}
		for _, s := range m.Set {
			p.processes[s.Pid] = s
		}
	case telemetry.KindKernelLog:
		var m facts.KernelLog
		err = facts.Decode(payload, &m)
		p.kernel = append(p.kernel, m.Records...)
	case telemetry.KindSourceNotes:
		var m facts.SourceNotes
		err = facts.Decode(payload, &m)
		p.notes = m.Notes
	case telemetry.KindUsage:
		p.usage = new(facts.Usage)
		err = facts.Decode(payload, p.usage)
	case telemetry.KindBye:
		p.bye = new(facts.Bye)
		err = facts.Decode(payload, p.bye)
	default:
		err = fmt.Errorf("a frame of kind %d", kind)
	}
	return kind, err
}

// until reads frames until the condition holds.
func (p *peer) until(t testing.TB, what string, holds func() bool) {
	t.Helper()
	limit := time.AfterFunc(20*time.Second, func() { p.client.Close() })
	defer limit.Stop()
	for !holds() {
		if _, err := p.next(); err != nil {
			t.Fatalf("until %s: %v", what, err)
		}
	}
}

func (p *peer) tell(t testing.TB, c *facts.Control) {
	t.Helper()
	b, err := facts.Encode(c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.control.Write(telemetry.KindControl, b); err != nil {
		t.Fatal(err)
	}
}
