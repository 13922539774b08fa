package nvml

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"foretop/telemetry"
)

func TestLostGPUKeepsTheOthers(t *testing.T) {
	t.Parallel()
	p := play(t, programs(t).driver)
	first := p.next(3)
	p.change("gpu 3 lost", "gpu 5 error 999")
	r := p.until("the loss", func(r Report) bool {
		return p.state.Get(telemetry.GPUStatus, 3) == telemetry.GPULost && p.state.Get(telemetry.GPUStatus, 5) == telemetry.GPUFailing
	})
	for _, d := range telemetry.Defs() {
		for _, gpu := range []int{3, 5} {
			if d.ID.Scope() == telemetry.ScopeGPU && d.ID != telemetry.GPUStatus && p.state.Get(d.ID, gpu) != telemetry.Absent {
				t.Errorf("GPU %d: %s is there, want absent", gpu, d.Name)
			}
		}
	}
	r = p.until("the reason", func(r Report) bool { return r.Inventory.GPUs[3].Note != "" && r.Inventory.GPUs[5].Note != "" })
	if r.Health != OK || r.Inventory.GPUs[3].Note != "GPU is lost" || r.Inventory.GPUs[5].Note != "Unknown Error" || r.Generation == first.Generation {
		t.Errorf("health %d, notes %q and %q, generation %d", r.Health, r.Inventory.GPUs[3].Note, r.Inventory.GPUs[5].Note, r.Generation)
	}
	p.next(3)
	for _, i := range []int{0, 1, 2, 4, 6, 7} {
		p.want(telemetry.GPUStatus, i, telemetry.GPUOK)
		if p.state.Get(telemetry.GPUPowerMW, i) <= 0 {
			t.Errorf("GPU %d has no power", i)
		}
	}
}

func TestHangIsToldAndLeftAlone(t *testing.T) {
	t.Parallel()
	p := play(t, programs(t).driver)
	pid := p.next(2).PID
	p.change("gpu 1 hang")
	r := p.until("stuck", func(r Report) bool { return r.Health == Stuck })
	if r.StuckFor < stuckTold || !strings.HasSuffix(r.Text, "on GPU 1 does not return") || r.Remedy == "" || r.PID != pid {
		t.Errorf("stuck for %v, %q, %q, pid %d (was %d)", r.StuckFor, r.Text, r.Remedy, r.PID, pid)
	}
	p.want(telemetry.GPUStatus, 1, telemetry.GPUUnanswered)
	if p.state.Get(telemetry.GPUPowerMW, 7) == telemetry.Absent {
		t.Error("the last readings are gone")
	}
	took := time.Now()
	p.Report(&p.state)
	if d := time.Since(took); d > time.Second {
		t.Errorf("a report took %v", d)
	}
	p.change()
	r = p.until("the way out", func(r Report) bool { return r.Health == OK })
	p.next(2)
	p.want(telemetry.GPUStatus, 1, telemetry.GPUOK)
	if r.PID != pid {
		t.Errorf("pid %d, was %d: the reader was replaced", r.PID, pid)
	}
}

const stuckTold = 3 * time.Second

func TestStuckReaderEndsWithTheCollector(t *testing.T) {
	t.Parallel()
	p := play(t, programs(t).driver)
	pid := p.next(1).PID
	p.change("hang")
	p.until("stuck", func(r Report) bool { return r.Health == Stuck })
	p.Close()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(fmt.Sprintf("/proc/%d", pid)); err != nil {
			return
		}
		if time.Now().After(end) {
			t.Fatal("the reader is still there")
		}
	}
}

// The SSH channel must end with the collector, so no child may hold it.
func TestChildHasNoneOfOurFiles(t *testing.T) {
	t.Parallel()
	p := play(t, programs(t).driver)
	pid := p.next(1).PID
	for fd := range 3 {
		theirs, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", pid, fd))
		if err != nil {
			t.Fatal(err)
		}
		ours, _ := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
		if !strings.HasPrefix(theirs, "pipe:") || theirs == ours {
			t.Errorf("fd %d is %s (ours: %s)", fd, theirs, ours)
		}
	}
}

func TestSlowPaceIsNotSilence(t *testing.T) {
	t.Parallel()
	p := play(t, programs(t).driver)
	from := p.next(2)
	p.Pace(20 * time.Second)
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if r := p.Report(nil); r.Health != OK {
			t.Fatalf("health %d, %q, stuck for %v", r.Health, r.Text, r.StuckFor)
		}
	}
	if n := p.Report(nil).Rounds - from.Rounds; n > 5 {
		t.Errorf("%d rounds in 5 s at a pace of 20 s", n)
	}
}

func TestStoppedReader(t *testing.T) {
	t.Parallel()
	p := play(t, programs(t).driver)
	pid := p.next(1).PID
	signal(t, pid, "STOP")
	r := p.until("silence", func(r Report) bool { return r.Health == Stuck })
	if r.Text != "nvml says nothing" || r.PID != pid {
		t.Errorf("%q, pid %d", r.Text, r.PID)
	}
	signal(t, pid, "CONT")
	p.until("going on", func(r Report) bool { return r.Health == OK && r.PID == pid })
}

func signal(t *testing.T, pid int, name string) {
	t.Helper()
	if out, err := exec.Command("kill", "-"+name, fmt.Sprint(pid)).CombinedOutput(); err != nil {
		t.Fatalf("kill -%s: %v %s", name, err, out)
	}
}

func TestHangInInit(t *testing.T) {
	t.Parallel()
	p := play(t, programs(t).driver, "init hang")
	r := p.until("stuck", func(r Report) bool { return r.Health == Stuck })
	if r.Text != "nvmlInit does not return" {
		t.Errorf("%q", r.Text)
	}
	began := time.Now()
	p.Close()
	if d := time.Since(began); d > 3*time.Second {
		t.Errorf("closing took %v", d)
	}
}

func TestCrashIsRestartedThenGivenUp(t *testing.T) {
	t.Parallel()
	p := play(t, programs(t).driver)
	pid := p.next(1).PID
	p.change("crash")
	r := p.until("failing", func(r Report) bool { return r.Health == Failing })
	if !strings.HasPrefix(r.Text, "foretop-nvml died: ") || !strings.Contains(r.Text, "SIG") && !strings.Contains(r.Text, "signal") {
		t.Errorf("text %q", r.Text)
	}
	p.change()
	r = p.until("a new one", func(r Report) bool { return r.Health == OK && r.PID != 0 })
	if r.PID == pid {
		t.Error("same pid")
	}
	p.change("crash")
	p.until("given up", func(r Report) bool { return r.Health == Unsupported && r.Via == "nvml" && r.PID == 0 })
}
