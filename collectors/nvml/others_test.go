package nvml

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// collectorVar makes this test's program a collector, whose reader has the name that it gives: one that can be killed.
const collectorVar = "FORETOP_TEST_COLLECTOR"

// playCollector says its condition whenever that changes: "health text".
func playCollector(name string) {
	s := start(context.Background(), Options{Reader: os.Getenv("FORETOP_TEST_READER"), SMI: "/nonexistent", Fast: 200 * time.Millisecond, name: name}, 50*time.Millisecond, time.Second)
	last := ""
	for {
		r := s.Report(nil)
		if now := fmt.Sprintln(r.Health, r.Text); now != last {
			if _, err := fmt.Print(now); err != nil {
				return
			}
			last = now
		}
		time.Sleep(20 * time.Millisecond)
	}
}

type collector struct {
	*exec.Cmd
	lines chan string
}

func startCollector(t *testing.T, name, profile string) *collector {
	t.Helper()
	b := programs(t)
	c := &collector{Cmd: exec.Command(os.Args[0]), lines: make(chan string, 1000)}
	c.Env = append(os.Environ(), collectorVar+"="+name, "FORETOP_TEST_READER="+b.reader, "LD_LIBRARY_PATH="+b.driver, "FORETOP_PLAY_NVML="+profile)
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.kill)
	go func() {
		defer close(c.lines)
		for in := bufio.NewScanner(out); in.Scan(); {
			c.lines <- in.Text()
		}
	}()
	return c
}

func (c *collector) kill() {
	c.Process.Kill()
	c.Wait()
}

// says waits for a line.
func (c *collector) says(t *testing.T, what string, ok func(string) bool) string {
	t.Helper()
	late := time.After(patience)
	for {
		select {
		case line, open := <-c.lines:
			if !open {
				t.Fatalf("%s: the collector ended", what)
			}
			if ok(line) {
				return line
			}
		case <-late:
			t.Fatalf("%s: not within %v", what, patience)
		}
	}
}

// readers are the pids of living readers of that name, and their marks.
func readers(name string) map[int]string {
	found := map[int]string{}
	dirs, _ := os.ReadDir("/proc")
	for _, d := range dirs {
		pid, err := strconv.Atoi(d.Name())
		if err != nil {
			continue
		}
		if p, ok := readProcess("", pid); ok && strings.HasPrefix(p.comm, name) && p.state != 'Z' {
			found[pid] = p.comm
		}
	}
	return found
}

func awaitReaders(t *testing.T, what, name string, ok func(map[int]string) bool) map[int]string {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		r := readers(name)
		if ok(r) {
			return r
		}
		if time.Now().After(end) {
			t.Fatalf("%s: not within %v: %v", what, patience, r)
		}
	}
}

func write(t *testing.T, path string, lines ...string) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// needProc skips where there is no /proc to see other processes by.
func needProc(t *testing.T) {
	t.Helper()
	if _, ok := readProcess("", os.Getpid()); !ok {
		t.Skip("no /proc/PID/stat here")
	}
}

// A stuck driver and ten collectors, each killed before the next comes: one reader is in the driver, no more, and the words say so. The reader cannot
// end with its collector: here it is stopped, there it sleeps in the kernel.
func TestTenCollectorsOneStuckReader(t *testing.T) {
	t.Parallel()
	needProc(t)
	programs(t)
	name, profile := "ten-coll", t.TempDir()+"/profile"
	write(t, profile, "init hang")
	first := startCollector(t, name, profile)
	stuck := 0
	awaitReaders(t, "a reader in the driver", name, func(r map[int]string) bool {
		for pid, comm := range r {
			stuck = pid
			return len(r) == 1 && strings.HasPrefix(comm, name+"*")
		}
		return false
	})
	signal(t, stuck, "STOP")
	t.Cleanup(func() {
		syscall.Kill(stuck, syscall.SIGCONT)
		syscall.Kill(stuck, syscall.SIGKILL)
	})
	first.kill()
	most := 0
	watch := func(d time.Duration) {
		for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
			most = max(most, len(readers(name)))
		}
	}
	for range 8 {
		c := startCollector(t, name, profile)
		c.says(t, "alive", func(string) bool { return true })
		watch(400 * time.Millisecond)
		c.kill()
	}
	last := startCollector(t, name, profile)
	line := last.says(t, "words", func(l string) bool { return strings.HasPrefix(l, "5 ") })
	if want := fmt.Sprintf("5 %s, process %d of this user, is in the driver and does not return: none is started beside it", name, stuck); line != want {
		t.Errorf("%q, want %q", line, want)
	}
	watch(500 * time.Millisecond)
	if most != 1 {
		t.Errorf("%d readers at a time", most)
	}
	write(t, profile, "gpus 2")
	signal(t, stuck, "CONT") // the driver lets it go: it ends, for nobody reads it any more
	last.says(t, "a reader of its own", func(l string) bool { return strings.HasPrefix(l, "1 ") })
	awaitReaders(t, "only that one", name, func(r map[int]string) bool { return len(r) == 1 && r[stuck] == "" })
}

// Two collectors of one user read side by side, however slow the driver; when it gets stuck under one, a third starts no other.
func TestCollectorsSideBySide(t *testing.T) {
	t.Parallel()
	needProc(t)
	programs(t)
	name, profile := "two-coll", t.TempDir()+"/profile"
	write(t, profile, "gpus 4", "latency_us * 20000") // most of the time in the driver
	for range 2 {
		startCollector(t, name, profile).says(t, "readings", func(l string) bool { return strings.HasPrefix(l, "1 ") })
	}
	awaitReaders(t, "two readers", name, func(r map[int]string) bool { return len(r) == 2 })
	write(t, profile, "gpus 4", "gpu 2 hang")
	third := startCollector(t, name, profile)
	line := third.says(t, "words", func(l string) bool { return strings.HasPrefix(l, "5 ") })
	if !strings.Contains(line, "is in the driver and does not return: none is started beside it") || len(readers(name)) != 2 {
		t.Errorf("%q, readers %v", line, readers(name))
	}
	write(t, profile, "gpus 4")
	third.says(t, "readings", func(l string) bool { return strings.HasPrefix(l, "1 ") })
	awaitReaders(t, "three readers", name, func(r map[int]string) bool { return len(r) == 3 })
}

func TestSuspicions(t *testing.T) {
	for _, c := range []struct {
		p          procState
		nvml, smi  string
		whoseNames string
	}{
		{procState{"foretop-nvml", 'S', 6}, "", "", readerName},
		{procState{"foretop-nvml*a", 'S', 6}, "foretop-nvml*a", "", readerName},
		{procState{"foretop-nvml*a", 'D', 6}, "foretop-nvml*a", "", readerName},
		{procState{"foretop-nvml", 'Z', 2}, "Z", "Z", readerName}, // killed: a thread of it never came back
		{procState{"foretop-nvml", 'Z', 1}, "", "", readerName},   // only nobody waits for it
		{procState{"other*a", 'D', 6}, "", "", readerName},
		{procState{"nvidia-smi", 'D', 1}, "", "D", smiName},
		{procState{"nvidia-smi", 'S', 1}, "", "", smiName},
		{procState{"nvidia-smi", 'R', 3}, "", "", smiName},
	} {
		if nvml, smi := inDriver(c.p, c.whoseNames), inUninterruptibleSleep(c.p, c.whoseNames); nvml != c.nvml || smi != c.smi {
			t.Errorf("%+v: %q and %q, want %q and %q", c.p, nvml, smi, c.nvml, c.smi)
		}
	}
}

const statLine = "12345 (foretop-nvml*7) S 1 12345 12345 0 -1 4194560 1041 0 0 0 2 1 0 0 30 10 7 0 8113 1288568832 1543 18446744073709551615 1 1 0 0 0 0 0 0 2143420159"

func TestParseProcess(t *testing.T) {
	if p, ok := parseProcess(statLine); !ok || p != (procState{"foretop-nvml*7", 'S', 7}) {
		t.Errorf("%+v, %v", p, ok)
	}
	if p, ok := parseProcess(strings.Replace(statLine, "foretop-nvml*7", "a) R (b", 1)); !ok || p.comm != "a) R (b" || p.state != 'S' {
		t.Errorf("%+v, %v", p, ok)
	}
	for _, broken := range []string{"", "1", "1 (x", "1 x) S", ")(", "1 (x) S 1 2 3", "1 (x) SS" + strings.Repeat(" 1", 30), "1 (x) S" + strings.Repeat(" x", 30)} {
		if p, ok := parseProcess(broken); ok {
			t.Errorf("%q: accepted as %+v", broken, p)
		}
	}
}

func FuzzParseProcess(f *testing.F) {
	f.Add(statLine)
	f.Add("1 (x) Z 1 ()")
	f.Fuzz(func(t *testing.T, line string) {
		if p, ok := parseProcess(line); ok && !strings.Contains(line, "("+p.comm+")") {
			t.Errorf("%+v from %q", p, line)
		}
	})
}
