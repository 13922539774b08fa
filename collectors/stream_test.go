package collectors

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"foretop/collectors/kernfs"
	"foretop/telemetry"
	"foretop/telemetry/facts"
)

const quick = 40 * time.Millisecond // between samples in tests

// The machine that runs the tests, whatever it is, is a node.
func TestThisMachine(t *testing.T) {
	rank := exec.Command("sleep", "60")
	rank.Env = append(os.Environ(), "RANK=3", "LOCAL_RANK=1", "WORLD_SIZE=8", "MASTER_ADDR=node1", "SECRET_TOKEN=hunter2")
	if err := rank.Start(); err != nil {
		t.Fatal(err)
	}
	defer rank.Wait()
	defer rank.Process.Kill()
	f := startFront(t, Options{Every: quick, Build: "test"})
	f.start("", 0)
	f.await("a hello, an inventory and a sample", func() bool { return f.hello != nil && f.inv != nil && f.samples > 3 })
	f.await("readings", func() bool {
		return f.get(telemetry.CPUUserMS, 0) > 0 && f.get(telemetry.MemTotalBytes, 0) > 0 && f.get(telemetry.SelfRSSBytes, 0) > 0 && f.get(telemetry.SelfSentBytes, 0) > 0
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
	for _, n := range f.notes.Notes {
		if f.inv.Sources[n.Source].Name == "filesystem" && brokenMounts(f.inv.Filesystems) {
			t.Logf("this machine's own: %s", n.Text)
			continue
		}
		if n.State == facts.SourceState_SOURCE_FAILING || n.State == facts.SourceState_SOURCE_STUCK {
			t.Errorf("source %s: %v %s", f.inv.Sources[n.Source].Name, n.State, n.Text)
		}
	}
	if f.kinds[0] != telemetry.KindHello || f.kinds[1] != telemetry.KindInventory || f.kinds[2] != telemetry.KindSample {
		t.Errorf("the stream begins with %v", f.kinds[:3])
	}
}

// brokenMounts is whether a mount of this machine fails whoever asks it, as one does whose file server died.
func brokenMounts(list []*facts.Filesystem) bool {
	return slices.ContainsFunc(list, func(f *facts.Filesystem) bool {
		_, err := statfs(f.Mount)
		return err != nil
	})
}

func TestEndsWithItsInput(t *testing.T) {
	f := startFront(t, Options{Every: quick})
	f.await("a sample", func() bool { return f.samples > 0 })
	f.out.Close()
	if err := f.ended(); err != nil {
		t.Fatalf("ended with %v", err)
	}
}

func TestEndsWhenTheFrontFallsSilent(t *testing.T) {
	const quiet = 2 * time.Second
	f := startFront(t, Options{Every: quick, Quiet: quiet})
	begin := time.Now()
	f.await("samples for longer than it bears silence", func() bool { // heartbeats keep it
		f.say(&facts.Control{What: &facts.Control_Heartbeat{Heartbeat: &facts.Heartbeat{}}})
		return f.samples > 5 && time.Since(begin) > 2*quiet
	})
	select {
	case err := <-f.result:
		t.Fatalf("ended in spite of heartbeats: %v", err)
	default:
	}
	if err := f.ended(); !errors.Is(err, ErrQuiet) {
		t.Errorf("ended with %v", err)
	}
	<-f.readDone
	if f.bye == "" {
		t.Error("no word why")
	}
}

func TestEndsWhenNobodyReads(t *testing.T) {
	in, _ := io.Pipe()
	_, out := io.Pipe()
	began := time.Now()
	err := Run(context.Background(), in, out, Options{Every: quick, Blocked: 300 * time.Millisecond, Sources: sourcesOf("cpu")})
	if !errors.Is(err, ErrBlocked) {
		t.Errorf("ended with %v", err)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("took %v", took)
	}
}

func TestEndsWhenItsOutputBreaks(t *testing.T) {
	in, _ := io.Pipe()
	r, out := io.Pipe()
	r.Close()
	if err := Run(context.Background(), in, out, Options{Every: quick, Sources: sourcesOf("cpu")}); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("ended with %v", err)
	}
}

func TestBrokenControl(t *testing.T) {
	for name, b := range map[string]string{
		"endless length": "\xff\xff\xff\xff\xff\xff\xff", "too long": "\xff\xff\xff\x7f", "not protobuf": "\x03\x10\xff\xff", "cut short": "\x09\x10a",
		"another major": string(telemetry.AppendFrame(nil, telemetry.KindControl, []byte{0x0a, 2, 0x08, 99})),
	} {
		t.Run(name, func(t *testing.T) {
			f := startFront(t, Options{Every: quick, Sources: sourcesOf("cpu")})
			f.out.WriteString(b)
			if name == "cut short" {
				f.out.Close()
			}
			if err := f.ended(); err == nil {
				t.Error("ended as if all were well")
			}
		})
	}
}

func TestWholeOnRequestAndPace(t *testing.T) {
	f := startFront(t, Options{Root: extract(t, "h100"), Every: quick, Sources: sourcesOf("cpu", "memory", "process")})
	f.await("samples and processes", func() bool { return f.samples > 5 && len(f.procs) == 9 })
	f.mu.Lock()
	wholes, kinds := f.wholes, len(f.kinds)
	f.mu.Unlock()
	f.say(&facts.Control{What: &facts.Control_Whole{Whole: &facts.SendWhole{}}})
	f.await("everything again", func() bool {
		seen := map[telemetry.Kind]bool{}
		for _, k := range f.kinds[kinds:] {
			seen[k] = true
		}
		return f.wholes == wholes+1 && seen[telemetry.KindInventory] && seen[telemetry.KindProcesses] && seen[telemetry.KindSourceNotes] && len(f.procs) == 9
	})
	f.say(&facts.Control{What: &facts.Control_Pace{Pace: &facts.SetPace{EveryMs: 3_600_000}}}) // bounded to a minute
	time.Sleep(5 * quick)
	f.mu.Lock()
	n := f.samples
	f.mu.Unlock()
	time.Sleep(10 * quick)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.samples > n+1 {
		t.Errorf("%d samples at a pace of a minute", f.samples-n)
	}
}

// A new interface is a new inventory with a whole sample after it; the front end never sees a sample that it cannot understand.
func TestInventoryChange(t *testing.T) {
	root := extract(t, "laptop")
	f := startFront(t, Options{Root: root, Every: quick, Sources: []Source{{"net", quick, newNet}}})
	f.await("samples", func() bool { return f.samples > 3 && f.inv != nil && len(f.inv.Nets) == 2 })
	write(t, root, "proc/net/dev", "Inter-|\n face |\n wlp4s0: 1 1 0 0 0 0 0 0 2 2 0 0 0 0 0 0\n  eth7: 7 7 0 0 0 0 0 0 4096000 8 0 0 0 0 0 0\n tun0: 1 1 0 0 0 0 0 0 2 2 0 0 0 0 0 0\n")
	f.await("the new one", func() bool {
		return len(f.inv.Nets) == 3 && f.inv.Nets[1].Name == "eth7" && f.get(telemetry.NetTxBytes, 1) == 4096000
	})
}

func TestKernelResume(t *testing.T) {
	root := extract(t, "h100")
	f := startFront(t, Options{Root: root, Every: quick, Sources: sourcesOf("kernel_log")})
	f.await("samples", func() bool { return f.samples > 3 })
	f.mu.Lock()
	if len(f.kernel) > 0 {
		t.Error("kernel records before the front end said what it knows")
	}
	f.mu.Unlock()
	f.start("8778dbaf-5194-442b-9e86-946d98999aa8", 1005)
	f.await("the rest of the log", func() bool { return len(f.kernel) == 2 })
	if f.kernel[0].Sequence != 1006 || f.via != "kmsg" {
		t.Errorf("got %v via %s", f.kernel, f.via)
	}
	// What was read through the journal, where it is numbered by time, says nothing of the ring.
	h := startFront(t, Options{Root: root, Every: quick, Sources: sourcesOf("kernel_log")})
	h.start("8778dbaf-5194-442b-9e86-946d98999aa8", 5_000_000_000)
	h.await("the whole log", func() bool { return len(h.kernel) == 5 })
	g := startFront(t, Options{Root: root, Every: quick, Sources: sourcesOf("kernel_log")})
	g.start("another boot", 1005)
	g.await("the whole log", func() bool { return len(g.kernel) == 5 && g.lost == 2 })
}

// Two thousand ranks with the largest words that there may be: as many as may be are told in frames that the other end takes.
func TestManyProcesses(t *testing.T) {
	root := kernfs.Root(t.TempDir())
	write(t, root, "proc/uptime", "1000.0 1\n")
	env := "RANK=%d WORLD_SIZE=2000"
	for _, k := range telemetry.EnvKeys[8:] {
		env += " " + k + "=" + strings.Repeat("v", 40)
	}
	for pid := 10; pid < 2010; pid++ {
		fakeProc(t, root, pid, 1, "python3", "python3 "+strings.Repeat("x", 3000), fmt.Sprintf(env, pid), "/"+strings.Repeat("g", 300), 10)
	}
	f := startFront(t, Options{Root: root, Every: quick, Sources: sourcesOf("process")})
	f.await("all that may be told", func() bool {
		sum := 0
		for _, p := range f.procs {
			sum += factBytes(p)
		}
		return sum <= maxToldBytes && sum > maxToldBytes-32<<10
	})
	f.mu.Lock()
	for i, n := range f.sizes {
		if n > telemetry.MaxFrameBytes {
			t.Errorf("frame %d of kind %d has %d bytes", i, f.kinds[i], n)
		}
	}
	f.mu.Unlock()
}

// An output that blocks for a while costs nothing but the samples meanwhile: what comes after is understood and up to date.
func TestSlowOutput(t *testing.T) {
	in, inW := io.Pipe()
	defer inW.Close()
	r, w := io.Pipe()
	f := &front{t: t, changed: make(chan struct{}), procs: map[int32]*facts.Process{}, readDone: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- Run(ctx, in, w, Options{Nonce: "0123456789abcdef", Every: quick, Sources: sourcesOf("cpu", "memory", "self")})
		w.Close()
	}()
	gate := &slowReader{r: r, allowed: make(chan struct{})}
	go f.read(gate)
	time.Sleep(30 * quick) // nothing is read meanwhile
	close(gate.allowed)
	f.await("samples", func() bool { return f.samples > 5 })
	f.mu.Lock()
	if last := f.decoder.Last(); last.Sequence > 25 {
		t.Errorf("%d samples were encoded while nobody read", last.Sequence)
	}
	f.mu.Unlock()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	<-f.readDone
}

type slowReader struct {
	r       io.Reader
	allowed chan struct{}
}

func (s *slowReader) Read(p []byte) (int, error) {
	<-s.allowed
	return s.r.Read(p)
}
