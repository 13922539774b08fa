package fleet

import (
	"bytes"
	"io"
	"testing"

	"foretop/telemetry"
	"foretop/telemetry/facts"
)

// Whatever a node sends in place of its stream (broken frames, another's hello, samples of what it never named) is taken, passed over or refused. It costs no other node anything,
// and what of it reaches the fleet is clean text and bounded.
func FuzzServe(f *testing.F) {
	stream := func(frames func(w *telemetry.FrameWriter, n *fakeNode)) []byte {
		var b bytes.Buffer
		frames(telemetry.NewFrameWriter(&b, telemetry.MaxFrameBytes), newFakeNode(2))
		return b.Bytes()
	}
	send := func(w *telemetry.FrameWriter, k telemetry.Kind, payload []byte) {
		if _, err := w.Write(k, payload); err != nil {
			f.Fatal(err)
		}
	}
	f.Add(stream(func(w *telemetry.FrameWriter, n *fakeNode) {
		send(w, telemetry.KindHello, encode(f, n.hello()))
		send(w, telemetry.KindInventory, encode(f, n.inv))
		send(w, telemetry.KindSample, n.sample())
		send(w, telemetry.KindProcesses, encode(f, &facts.Processes{Whole: true, Set: []*facts.Process{rankOf(100, "0", "2", 0)}}))
		send(w, telemetry.KindSample, n.sample())
	}))
	f.Add(stream(func(w *telemetry.FrameWriter, n *fakeNode) { // in the wrong order, and twice
		send(w, telemetry.KindSample, n.sample())
		send(w, telemetry.KindInventory, encode(f, n.inv))
		send(w, telemetry.KindHello, encode(f, n.hello()))
		send(w, telemetry.KindHello, encode(f, &facts.Hello{ProtocolMajor: telemetry.ProtocolMajor, Hostname: "\x1b[2J", BootId: "other"}))
		send(w, telemetry.KindSample, n.sample())
	}))
	f.Add(stream(func(w *telemetry.FrameWriter, _ *fakeNode) {
		send(w, telemetry.KindHello, encode(f, &facts.Hello{ProtocolMajor: telemetry.ProtocolMajor + 1}))
		send(w, 99, []byte("from the future"))
	}))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0x7f})
	f.Fuzz(func(t *testing.T, sent []byte) {
		c := newClock()
		fleet := New(Options{Now: c.now})
		join(t, fleet, "good", newFakeNode(1), c.now())
		fleet.Add("n")
		fleet.SetStatus("n", Status{State: Live})
		if err := fleet.Serve(t.Context(), "n", bytes.NewReader(sent), io.Discard); err == nil {
			t.Error("a stream that ended is no error")
		}
		snap := fleet.Publish()
		if good := snap.Node("good"); good == nil || good.State != Live || len(good.GPUs) != 1 {
			t.Errorf("another node: %+v", good)
		}
		n := snap.Node("n")
		if len(n.GPUs) > telemetry.MaxEntities(telemetry.ScopeGPU) || len(n.Sources) > telemetry.MaxEntities(telemetry.ScopeSource) {
			t.Errorf("%d GPUs, %d sources", len(n.GPUs), len(n.Sources))
		}
		if h := n.Hello; h != nil {
			for _, s := range []string{h.Hostname, h.Build, h.Os, h.Kernel, h.User, h.BootId, h.MachineId, h.Arch} {
				if s != telemetry.Clean(s, len(s)+8) {
					t.Errorf("raw text %q", s)
				}
			}
		}
	})
}
