package collectors

import (
	"os"
	"os/exec"
	"testing"
	"time"

	"foretop/telemetry"
	"foretop/telemetry/facts"
)

// The machine that runs the tests, whatever it is, is a node.
func TestThisMachine(t *testing.T) {
	rank := exec.Command("sleep", "60")
	rank.Env = append(os.Environ(), "RANK=3", "LOCAL_RANK=1", "WORLD_SIZE=8", "MASTER_ADDR=node1", "SECRET_TOKEN=hunter2")
	if err := rank.Start(); err != nil {
		t.Fatal(err)
	}
	defer rank.Wait()
	defer rank.Process.Kill()
	f := startFront(t, Options{Every: 50 * time.Millisecond, Build: "test"})
	f.start("", 0)
	f.await("a hello, an inventory and a sample", func() bool { return f.hello != nil && f.inv != nil && f.samples > 3 })
	f.await("readings", func() bool {
		return f.get(telemetry.CPUUserMS, 0) > 0 && f.get(telemetry.MemTotalBytes, 0) > 0 && f.get(telemetry.SelfRSSBytes, 0) > 0
	})
	f.await("the rank", func() bool {
		p := f.procs[int32(rank.Process.Pid)]
		return p != nil && p.Rank && p.Env["RANK"] == "3" && p.Env["SECRET_TOKEN"] == "" && p.Command == "sleep 60"
	})
	f.detail()
	f.await("cores and usage", func() bool {
		return f.state.Count(telemetry.ScopeCore) > 0 && f.get(telemetry.CoreBusyPct, 0) >= 0 && f.usage != nil && len(f.usage.Told) > 0
	})
	f.mu.Lock()
	defer f.mu.Unlock()
	t.Log(f.hello)
	t.Log(f.inv)
	t.Log(f.notes)
	t.Log(f.usage)
	t.Log(len(f.kernel), f.via, f.lost, f.samples, f.wholes)
	for _, n := range f.notes.Notes {
		if n.State == facts.SourceState_SOURCE_FAILING || n.State == facts.SourceState_SOURCE_STUCK {
			t.Errorf("source %s: %v %s", f.inv.Sources[n.Source].Name, n.State, n.Text)
		}
	}
}

func TestEndsWithItsInput(t *testing.T) {
	f := startFront(t, Options{Every: 50 * time.Millisecond})
	f.await("a sample", func() bool { return f.samples > 0 })
	f.out.Close()
	if err := f.ended(); err != nil {
		t.Fatalf("ended with %v", err)
	}
}
