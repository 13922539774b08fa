package main

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"foretop/fleet"
	"foretop/scripts/testbed"
	"foretop/telemetry/facts"
)

// A driver that does not answer any more: GPUs' last readings stay, the state says for how long in words and on the screen, and every other source of the
// node reads on, the kernel's line included that explains it. When the driver answers again all is as before.
func TestStuckDriver(t *testing.T) {
	needLinux(t)
	node := newBusyNode(t, 0)
	node.work(t)
	w := watch(t)
	w.start("node", node.collector(t, 0))
	w.await("node", "readings", func(n *fleet.Node) bool { return n.State == fleet.Live && missing(n) == "" })
	node.setProfile(t, driverCalls+"hang\n")
	n := w.await("node", "word that it is stuck", func(n *fleet.Node) bool {
		s := source(n, "nvidia")
		return s.State == facts.SourceState_SOURCE_STUCK && s.StuckS > 3 && strings.Contains(s.Text, "does not return")
	})
	if !n.GPUs[7].MemUsedBytes.Known() {
		t.Error("the last readings are gone")
	}
	since := source(n, "nvidia").StuckS
	kmsg, err := os.OpenFile(node.root+"/dev/kmsg", os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer kmsg.Close()
	fmt.Fprintln(kmsg, "3,2,2000000,-;NVRM: Xid (PCI:0000:19:00): 119, pid=4242, name=python3, Timeout after 6s of waiting for RPC response from GPU0 GSP!")
	n = w.await("node", "the kernel's line, and ports and CPUs that move", func(n *fleet.Node) bool {
		moves := len(n.Ports) == 9 && n.Host.CPUBusyPct.Known()
		for i := range n.Ports {
			moves = moves && n.Ports[i].RcvBytesPerS.Known()
		}
		return moves && len(n.Kernel) > 0 && strings.Contains(n.Kernel[len(n.Kernel)-1].Text, "Xid") && source(n, "nvidia").StuckS > since+2
	})
	for _, s := range n.Sources {
		if s.Name != "nvidia" && (s.State == facts.SourceState_SOURCE_STUCK || s.State == facts.SourceState_SOURCE_FAILING) {
			t.Errorf("%s is %v: %s", s.Name, s.State, s.Text)
		}
	}
	shown := strings.Join(strings.Fields(screen(t, w.fleet.Snapshot(), "2", "enter")), " ")
	for _, words := range []string{"not answering"} {
		if !strings.Contains(shown, words) {
			t.Errorf("no %q on the screen: %s", words, shown)
		}
	}
	node.setProfile(t, driverCalls)
	w.await("node", "its way out", func(n *fleet.Node) bool {
		return source(n, "nvidia").State == facts.SourceState_SOURCE_OK && missing(n) == "" && n.GPUs[0].PowerW.Known()
	})
}

// Twenty users' collectors on one node, each with its reader: all are live, all have everything and nothing but the truth, and they say that they share the
// node. A crash of all readers at once, and a driver that hangs for all, is got over by all.
func TestTwentyCollectors(t *testing.T) {
	if os.Getenv("FORETOP_SOAK") == "" {
		t.Skip("forty programs take a while: make soak")
	}
	testbed.NeedRoot(t)
	node, w, runs := twenty(t)
	each := func(what string, ok func(*fleet.Node) bool) {
		t.Helper()
		for name := range runs {
			w.await(name, what, ok)
		}
	}
	each("word of its company", func(n *fleet.Node) bool {
		return strings.HasSuffix(source(n, "self").Text, " collectors run on this node: each reads it every 10 s while nobody looks at it closely")
	})
	const pace = 10 * time.Second
	check := func() {
		t.Helper()
		time.Sleep(2 * pace)
		each("the same readings", func(n *fleet.Node) bool {
			if missing(n) != "" {
				return false
			}
			for i := range n.GPUs {
				if g := &n.GPUs[i]; g.MemTotalBytes != 85520809984 || n.Inventory.Gpus[i].Uuid != fmt.Sprintf("GPU-f0e70b00-%04x-4a5e-8d21-%012x", i, 0x5eed00+i) {
					return false
				}
			}
			return n.Hello.Uid >= 20100 && n.Hello.Uid < 20120 && n.Ports[0].Name == "mlx5_0"
		})
	}
	check()
	node.setProfile(t, driverCalls+"hang\n")
	each("word of the hang", func(n *fleet.Node) bool { return source(n, "nvidia").State == facts.SourceState_SOURCE_STUCK })
	node.setProfile(t, driverCalls)
	each("its end", func(n *fleet.Node) bool { return source(n, "nvidia").State == facts.SourceState_SOURCE_OK })
	check()
	for name, r := range runs {
		if r.ProcessState != nil {
			t.Errorf("%s ended", name)
		}
	}
}
