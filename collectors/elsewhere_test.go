package collectors

import (
	"os"
	"os/exec"
	"runtime"
	"testing"

	"foretop/telemetry"
	"foretop/telemetry/facts"
)

// The readers of other systems are tested here, under the build tag that puts them in the place of Linux's own.
func TestElsewhere(t *testing.T) {
	p := play(t, "", sourcesOf("cpu", "memory", "net", "host", "rdma"))
	if elsewhere("cpu", p.m) == nil {
		if testing.Short() {
			t.Skip("builds a second test program")
		}
		c := exec.Command("go", "test", "-tags", "portable", "-run", "^TestElsewhere$", ".")
		c.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := c.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	p.tick()
	p.ms.Add(5000)
	p.tick()
	for _, m := range []telemetry.Metric{telemetry.CPUUserMS, telemetry.CPUIdleMS, telemetry.Load1Milli, telemetry.MemTotalBytes, telemetry.MemAvailableBytes} {
		if p.get(m, 0) < 0 {
			d, _ := telemetry.Lookup(m)
			t.Errorf("%s is absent", d.Name)
		}
	}
	if i := p.m.board.inventory; i.Cpu.GetThreads() == 0 || i.MemoryTotalBytes == 0 {
		t.Errorf("inventory %v", i)
	}
	if c := p.condition("rdma"); c.state != facts.SourceState_SOURCE_UNSUPPORTED || c.text != "not read on "+runtime.GOOS {
		t.Errorf("rdma is %+v", c)
	}
	if elsewhere("cpu", &machine{root: "/fixture"}) != nil {
		t.Error("a fixture is not read as Linux")
	}
}
