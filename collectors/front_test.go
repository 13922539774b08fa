package collectors

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"testing"
	"time"

	"foretop/telemetry"
	"foretop/telemetry/facts"
)

// front is the other end of a stream in tests: it decodes what a collector says, and says control frames.
type front struct {
	t        *testing.T
	mu       sync.Mutex
	changed  chan struct{} // closed and made anew with each frame
	hello    *facts.Hello
	inv      *facts.Inventory
	notes    *facts.SourceNotes
	procs    map[int32]*facts.Process
	usage    *facts.Usage
	kernel   []*facts.KernelRecord
	via      string
	lost     uint64
	bye      string
	ras      []*facts.RAS
	kinds    []telemetry.Kind
	sizes    []int
	samples  int
	wholes   int
	decoder  telemetry.Decoder
	state    telemetry.State
	err      error // of the stream, io.EOF at its end
	out      *os.File
	result   chan error
	readDone chan struct{}
}

// startFront runs a collector over pipes and reads its stream. Everything ends with the test.
func startFront(t *testing.T, o Options) *front {
	t.Helper()
	inR, inW, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	outR, outW, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	o.Nonce = "0123456789abcdef"
	f := &front{t: t, changed: make(chan struct{}), procs: map[int32]*facts.Process{}, out: inW, result: make(chan error, 1), readDone: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		err := Run(ctx, inR, outW, o)
		outW.Close()
		f.result <- err
	}()
	go f.read(outR)
	t.Cleanup(func() {
		cancel()
		inW.Close()
		<-f.readDone
		outR.Close()
		inR.Close()
	})
	return f
}

func (f *front) read(out io.Reader) {
	defer close(f.readDone)
	in := bufio.NewReader(out)
	line, err := in.ReadString('\n')
	if err == nil && line != telemetry.StreamLine("0123456789abcdef") {
		err = errors.New("first line is " + line)
	}
	frames := telemetry.NewFrameReader(in, telemetry.MaxFrameBytes)
	for err == nil {
		var k telemetry.Kind
		var payload []byte
		if k, payload, err = frames.Read(); err == nil {
			f.mu.Lock()
			err = f.take(k, payload)
			f.mu.Unlock()
		}
		f.mu.Lock()
		close(f.changed)
		f.changed = make(chan struct{})
		f.mu.Unlock()
	}
	f.mu.Lock()
	f.err = err
	close(f.changed)
	f.changed = make(chan struct{})
	f.mu.Unlock()
}

func (f *front) take(k telemetry.Kind, payload []byte) error {
	f.kinds = append(f.kinds, k)
	f.sizes = append(f.sizes, len(payload)+3)
	switch k {
	case telemetry.KindHello:
		f.hello = &facts.Hello{}
		return facts.Decode(payload, f.hello)
	case telemetry.KindInventory:
		f.inv = &facts.Inventory{}
		return facts.Decode(payload, f.inv)
	case telemetry.KindSample:
		s, needWhole, err := f.decoder.Apply(payload)
		if err != nil || needWhole {
			return errors.Join(errors.New("sample not understood"), err)
		}
		f.samples++
		if s.Whole {
			f.wholes++
		}
		f.state.CopyFrom(f.decoder.State())
	case telemetry.KindSourceNotes:
		f.notes = &facts.SourceNotes{}
		return facts.Decode(payload, f.notes)
	case telemetry.KindProcesses:
		m := &facts.Processes{}
		if err := facts.Decode(payload, m); err != nil {
			return err
		}
		if m.Whole {
			clear(f.procs)
		}
		for _, p := range m.Gone {
			delete(f.procs, p.Pid)
		}
		for _, p := range m.Set {
			f.procs[p.Pid] = p
		}
	case telemetry.KindUsage:
		f.usage = &facts.Usage{}
		return facts.Decode(payload, f.usage)
	case telemetry.KindKernelLog:
		m := &facts.KernelLog{}
		if err := facts.Decode(payload, m); err != nil {
			return err
		}
		f.kernel, f.via, f.lost = append(f.kernel, m.Records...), m.Via, f.lost+m.Lost
	case telemetry.KindRAS:
		m := &facts.RAS{}
		if err := facts.Decode(payload, m); err != nil {
			return err
		}
		f.ras = append(f.ras, m)
	case telemetry.KindBye:
		m := &facts.Bye{}
		if err := facts.Decode(payload, m); err != nil {
			return err
		}
		f.bye = m.Reason
	}
	return nil
}

// await waits until ok says so, under the lock.
func (f *front) await(what string, ok func() bool) {
	f.t.Helper()
	late := time.After(time.Minute)
	for {
		f.mu.Lock()
		done, changed, err := ok(), f.changed, f.err
		f.mu.Unlock()
		if done {
			return
		}
		if err != nil {
			f.t.Fatalf("waiting for %s: the stream ended: %v", what, err)
		}
		select {
		case <-changed:
		case <-late:
			f.t.Fatalf("waited too long for %s", what)
		}
	}
}

func (f *front) say(c *facts.Control) {
	f.t.Helper()
	b, err := facts.Encode(c)
	if err != nil {
		f.t.Fatal(err)
	}
	if _, err := telemetry.NewFrameWriter(f.out, telemetry.MaxControlBytes).Write(telemetry.KindControl, b); err != nil {
		f.t.Fatal(err)
	}
}

func (f *front) start(boot string, sequence uint64) {
	f.t.Helper()
	f.say(&facts.Control{What: &facts.Control_Start{Start: &facts.Start{ProtocolMajor: telemetry.ProtocolMajor, BootId: boot, KernelSequence: sequence}}})
}

func (f *front) detail() {
	f.t.Helper()
	f.say(&facts.Control{What: &facts.Control_Level{Level: &facts.SetLevel{Detail: true}}})
}

// ended waits for Run's result.
func (f *front) ended() error {
	f.t.Helper()
	select {
	case err := <-f.result:
		return err
	case <-time.After(20 * time.Second):
		f.t.Fatal("the collector did not end")
		return nil
	}
}

func (f *front) get(m telemetry.Metric, i int) int64 { return f.state.Get(m, i) }

// note is what the named source says of itself.
func (f *front) note(name string) *facts.SourceNote {
	if f.inv == nil || f.notes == nil {
		return &facts.SourceNote{}
	}
	for i, s := range f.inv.Sources {
		if s.Name == name && i < len(f.notes.Notes) {
			return f.notes.Notes[i]
		}
	}
	return &facts.SourceNote{}
}
