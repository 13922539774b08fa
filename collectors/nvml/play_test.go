package nvml

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"foretop/telemetry"
)

// These tests run the real foretop-nvml, real go-nvml in it, on a driver that a C file plays (testdata/nvml).

type built struct{ dir, reader, driver, oldDriver string }

var update = flag.Bool("update", false, "write the goldens anew")

var (
	buildOnce  sync.Once
	buildDir   string
	buildError error
)

func TestMain(m *testing.M) {
	if name := os.Getenv(collectorVar); name != "" {
		playCollector(name)
		return
	}
	flag.Parse()
	flag.Set("test.parallel", "8") // they wait more than they compute
	code := m.Run()
	if buildDir != "" {
		os.RemoveAll(buildDir)
	}
	os.Exit(code)
}

// programs builds the reader and the played driver, as it is and as R450 was. Without a C compiler the test is skipped on a laptop, and fails in CI.
func programs(t testing.TB) built {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("the NVIDIA driver is played on Linux only")
	}
	if _, err := exec.LookPath("gcc"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("gcc is missing")
		}
		t.Skip("gcc is missing: the driver cannot be played")
	}
	// What the programs are made of: the go command takes a result from its cache only while the files that a test looked at are as they were.
	for _, sources := range []string{"../foretop-nvml/*", "../foretop-nvml/oldglibc/*", "../../testdata/nvml/*", "pipe/*.go"} {
		files, _ := filepath.Glob(sources)
		for _, f := range files {
			os.Stat(f)
		}
	}
	buildOnce.Do(func() {
		buildDir, buildError = os.MkdirTemp("", "foretop-nvml-test")
		for _, args := range [][]string{
			{"../foretop-nvml/build.sh", runtime.GOARCH, filepath.Join(buildDir, "foretop-nvml")},
			{"../../testdata/nvml/build.sh", filepath.Join(buildDir, "driver")},
			{"../../testdata/nvml/build.sh", filepath.Join(buildDir, "r450"), "r450"},
		} {
			if out, err := exec.Command("sh", args...).CombinedOutput(); err != nil && buildError == nil {
				buildError = fmt.Errorf("run %s: %w\n%s", args[0], err, out)
			}
		}
	})
	if buildError != nil {
		t.Fatal(buildError)
	}
	return built{buildDir, filepath.Join(buildDir, "foretop-nvml"), filepath.Join(buildDir, "driver"), filepath.Join(buildDir, "r450")}
}

// played is a source on a played driver whose profile can be changed.
type played struct {
	*Source
	t       testing.TB
	profile string
	state   telemetry.State
}

// play reads a driver that does as the profile says, fast, and with nothing on the PCI bus. It begins at level Base.
func play(t testing.TB, driver string, profile ...string) *played {
	return playWith(t, driver, func(*Options) {}, profile...)
}

// playWith is play with other options.
func playWith(t testing.TB, driver string, with func(*Options), profile ...string) *played {
	t.Helper()
	p := &played{t: t, profile: filepath.Join(t.TempDir(), "profile")}
	p.change(profile...)
	opt := Options{
		Reader: programs(t).reader, SMI: "/nonexistent/nvidia-smi", Root: t.TempDir(),
		Fast: 200 * time.Millisecond, Slow: 400 * time.Millisecond, Processes: 300 * time.Millisecond, Reinit: 500 * time.Millisecond,
		Env:  []string{"LD_LIBRARY_PATH=" + driver, "FORETOP_PLAY_NVML=" + p.profile, "LD_BIND_NOW=1"},
		name: "nvml-test", // that one hangs is nothing to other tests' readers
	}
	with(&opt)
	p.Source = start(context.Background(), opt, 50*time.Millisecond, time.Second)
	t.Cleanup(p.Close)
	return p
}

func (p *played) change(lines ...string) {
	p.t.Helper()
	tmp := p.profile + ".new"
	if err := os.WriteFile(tmp, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
		p.t.Fatal(err)
	}
	if err := os.Rename(tmp, p.profile); err != nil {
		p.t.Fatal(err)
	}
}

// patience is for a machine that is loaded, and with the race detector on.
const patience = 90 * time.Second

// until waits for a report and gives it back.
func (p *played) until(what string, ok func(Report) bool) Report {
	p.t.Helper()
	var r Report
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if r = p.Report(&p.state); ok(r) {
			return r
		}
	}
	p.t.Fatalf("%s: not within %v; last: health %d, %q, round %d", what, patience, r.Health, r.Text, r.Rounds)
	return r
}

// next waits for n more samples.
func (p *played) next(n uint64) Report {
	p.t.Helper()
	from := p.Report(nil).Rounds
	return p.until("more samples", func(r Report) bool { return r.Rounds >= from+n })
}

// slow waits until slow readings were taken twice after now: then everything that is read is there.
func (p *played) slow() Report {
	p.t.Helper()
	from := p.Report(nil)
	first := p.until("slow readings", func(r Report) bool { return r.SlowMS > from.SlowMS && r.Rounds > from.Rounds+2 })
	return p.until("slow readings again", func(r Report) bool { return r.SlowMS > first.SlowMS && r.Rounds > first.Rounds+2 })
}

func (p *played) want(m telemetry.Metric, gpu int, want int64) {
	p.t.Helper()
	if got := p.state.Get(m, gpu); got != want {
		d, _ := telemetry.Lookup(m)
		p.t.Errorf("%s of %d is %d, want %d", d.Name, gpu, got, want)
	}
}
