package collectors

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"time"

	"foretop/findings"
	"foretop/fleet"
	"foretop/telemetry"
	"foretop/telemetry/facts"
)

// flooded is a real collector whose kernel log is played, and a real fleet at the other end of its stream.
type flooded struct {
	t      *testing.T
	fleet  *fleet.Fleet
	cancel context.CancelFunc
	done   chan struct{}

	mu        sync.Mutex
	bytes     int             // of the log's frames
	whole     map[string]bool // lines that crossed
	records   int
	folds     int
	heard     uint64 // records told of, whole or counted
	sequences map[uint64]bool
	twice     int // records that crossed twice
}

// floodSources reads nothing but the log, and often: the played ring holds little.
func floodSources() []Source { return []Source{{"kernel_log", quick, newKernelLog}} }

// connectFlood joins a collector with a fleet of one node; a fleet that is given keeps what it has.
func connectFlood(t *testing.T, f *fleet.Fleet, o Options) *flooded {
	t.Helper()
	if f == nil {
		f = fleet.New(fleet.Options{Rules: findings.Rules()})
		f.Add("n")
		f.SetStatus("n", fleet.Status{State: fleet.Live})
	}
	ctx, cancel := context.WithCancel(context.Background())
	d := &flooded{t: t, fleet: f, cancel: cancel, done: make(chan struct{}), whole: map[string]bool{}, sequences: map[uint64]bool{}}
	toFront, fromNode := io.Pipe()
	toNode, fromFront := io.Pipe()
	o.Nonce = "0123456789abcdef"
	var ends sync.WaitGroup
	ends.Go(func() {
		err := Run(ctx, toNode, fromNode, o)
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("the collector ended: %v", err)
		}
		fromNode.Close()
	})
	ends.Go(func() {
		line := telemetry.StreamLine("0123456789abcdef")
		if _, err := io.ReadFull(toFront, make([]byte, len(line))); err != nil {
			return
		}
		if err := f.Serve(ctx, "n", io.TeeReader(toFront, &frameTap{of: d}), fromFront); err != nil && !errors.Is(err, io.EOF) && ctx.Err() == nil {
			t.Errorf("the fleet ended it: %v", err)
		}
		cancel()
		toFront.Close()
		toNode.Close()
	})
	go func() {
		ends.Wait()
		close(d.done)
	}()
	t.Cleanup(d.close)
	return d
}

// close ends the stream, both ends.
func (d *flooded) close() {
	d.cancel()
	select {
	case <-d.done:
	case <-time.After(30 * time.Second):
		d.t.Error("the stream does not end")
	}
}

// frameTap counts what crosses.
type frameTap struct {
	of  *flooded
	buf []byte
}

func (w *frameTap) Write(p []byte) (int, error) {
	w.buf = append(w.buf, p...)
	for {
		frames := telemetry.NewFrameReader(bytes.NewReader(w.buf), telemetry.MaxFrameBytes)
		kind, payload, err := frames.Read()
		if err != nil {
			return len(p), nil
		}
		size := len(telemetry.AppendFrame(nil, kind, payload))
		if kind == telemetry.KindKernelLog {
			w.of.take(size, payload)
		}
		w.buf = w.buf[size:]
	}
}

func (d *flooded) take(size int, payload []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	m := &facts.KernelLog{}
	if err := facts.Decode(payload, m); err != nil {
		d.t.Errorf("a frame that cannot be read: %v", err)
	}
	d.bytes += size
	for _, r := range m.Records {
		if d.sequences[r.Sequence] {
			d.twice++
		}
		d.sequences[r.Sequence], d.whole[r.Text] = true, true
	}
	d.records += len(m.Records)
	d.folds += len(m.Folds)
	d.heard += uint64(len(m.Records)) + m.Lost
	for _, f := range m.Folds {
		d.heard += f.Count
	}
}

// await waits until so many records were heard of, and gives the node.
func (d *flooded) await(records uint64) *fleet.Node {
	d.t.Helper()
	late := time.Now().Add(3 * time.Minute)
	for {
		d.mu.Lock()
		heard := d.heard
		d.mu.Unlock()
		if heard >= records {
			return d.fleet.Publish().Nodes[0]
		}
		if time.Now().After(late) {
			d.t.Fatalf("waited too long: %d of %d records heard of", heard, records)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// said says whether a line crossed whole.
func (d *flooded) said(line string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.whole[line]
}

const (
	floodLines = 100_000
	floodXid   = "NVRM: Xid (PCI:0000:3b:00): 79, pid=4471, name=python3, GPU has fallen off the bus."
)

func xidsOf(n *fleet.Node) (count int) {
	for i := range n.Kernel {
		if n.Kernel[i].Class.Xid == 79 {
			count += n.Kernel[i].N()
		}
	}
	return count
}
