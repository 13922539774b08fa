package collectors

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"foretop/collectors/accelerators"
	"foretop/collectors/kernfs"
	"foretop/scripts/testbed"
	"foretop/telemetry"
	"foretop/telemetry/facts"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/prototext"
)

// extract lays out one of testdata/host's machines in a folder of the test.
func extract(t testing.TB, name string) kernfs.Root {
	t.Helper()
	return kernfs.Root(testbed.Machine(t, name))
}

// played is a machine whose sources a test drives tick by tick, with a clock of its own.
type played struct {
	t      testing.TB
	m      *machine
	runner *runner
	ms     atomic.Int64
	ctx    context.Context
	index  map[string]int
}

func play(t testing.TB, root kernfs.Root, sources []Source) *played {
	t.Helper()
	p := &played{t: t, index: map[string]int{}}
	p.ms.Store(864_000_000)
	o := &Options{Root: root, Sources: sources, Clock: Clock{
		MonoMS: p.ms.Load,
		Now:    func() time.Time { return time.UnixMilli(1_795_440_000_000 + p.ms.Load()) },
	}}
	o.statfs = func(path string) (space, error) {
		if strings.HasSuffix(path, "with space") {
			return space{}, errors.New("stale file handle")
		}
		return space{size: 1 << 40, available: uint64(len(strings.TrimPrefix(path, string(root)))) << 30}, nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	p.ctx = ctx
	p.m = &machine{root: root, clock: o.Clock, board: newBoard(len(sources)), kernel: &kernelQueue{}, sent: func() uint64 { return 0 },
		children: &children{}, procs: &procTable{}, users: newUsers(root), options: o}
	p.runner = startRunner(ctx, p.m, sources)
	for i, s := range sources {
		p.index[s.Name] = i
	}
	t.Cleanup(cancel)
	return p
}

// sourcesOf picks entries of the table.
func sourcesOf(names ...string) []Source {
	return slices.DeleteFunc(Sources(), func(s Source) bool { return !slices.Contains(names, s.Name) })
}

// tick lets a second pass and waits until every source has read that can.
func (p *played) tick() {
	p.t.Helper()
	p.ms.Add(1000)
	p.runner.tick(p.ctx, time.Second)
	p.idle()
}

// idle waits until no source is at work, save those that hang.
func (p *played) idle(hanging ...string) {
	p.t.Helper()
	late := time.Now().Add(20 * time.Second)
	for _, w := range p.runner.workers {
		for w.since.Load() != 0 && !slices.Contains(hanging, w.source.Name) {
			if time.Now().After(late) {
				p.t.Fatalf("source %s does not come back", w.source.Name)
			}
			time.Sleep(time.Millisecond)
		}
	}
}

func (p *played) get(m telemetry.Metric, i int) int64 {
	p.m.board.mu.Lock()
	defer p.m.board.mu.Unlock()
	return p.m.board.state.Get(m, i)
}

func (p *played) condition(source string) condition {
	p.m.board.mu.Lock()
	defer p.m.board.mu.Unlock()
	return p.m.board.notes[p.index[source]]
}

// dump words everything that the machine tells.
func (p *played) dump() string {
	b := p.m.board
	b.mu.Lock()
	defer b.mu.Unlock()
	var out strings.Builder
	inv := b.snapshot()
	inv.Sources = nil
	hw := inv.HwCounters
	inv.HwCounters = nil
	text := prototext.MarshalOptions{Multiline: false}
	section := func(name string, lines ...string) { fmt.Fprintf(&out, "## %s\n%s\n", name, strings.Join(lines, "\n")) }
	section("inventory", strings.Split(tidy(text.Format(inv)), "|")...)
	byPort := map[uint32][]string{}
	for _, c := range hw {
		byPort[c.Port] = append(byPort[c.Port], c.Name)
	}
	for i := range len(inv.Ports) {
		section(fmt.Sprintf("counters of port %d", i), strings.Join(byPort[uint32(i)], " "))
	}
	var lines []string
	for _, d := range telemetry.Defs() {
		if col := b.state.Column(d.ID); col != nil && d.ID != telemetry.SourceCallUS {
			lines = append(lines, d.Name+": "+columnText(col))
		}
	}
	section("readings", lines...)
	lines = nil
	for i, c := range b.notes {
		lines = append(lines, strings.TrimRight(fmt.Sprintf("%s: %s %s (%s)", b.inventory.Sources[i].Name, c.state, c.text, c.remedy), " ()"))
	}
	section("sources", lines...)
	lines = nil
	for _, f := range b.processes {
		lines = append(lines, tidy(text.Format(f)))
	}
	section("processes", lines...)
	lines = nil
	if log := p.m.kernel.take(); log != nil {
		lines = append(lines, fmt.Sprintf("via %s, lost %d", log.Via, log.Lost))
		for _, r := range log.Records {
			lines = append(lines, fmt.Sprintf("%d <%d> %d %s", r.Sequence, r.Level, r.MonoUs, r.Text))
		}
	}
	section("kernel log", lines...)
	return strings.ReplaceAll(out.String(), string(p.m.root), "ROOT")
}

// tidy undoes prototext's deliberate wavering between one and two blanks.
func tidy(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	for _, list := range []string{"gpus:", "ports:", "nets:", "disks:", "filesystems:", "product:"} {
		s = strings.ReplaceAll(s, " "+list, "|"+list)
	}
	return s
}

func columnText(col []int64) string {
	var words []string
	for _, v := range col {
		if v == telemetry.Absent {
			words = append(words, "–")
			continue
		}
		words = append(words, fmt.Sprint(v))
	}
	return strings.Join(words, " ")
}

// What each machine tells, all of it. FORETOP_UPDATE=1 writes the goldens anew.
func TestMachines(t *testing.T) {
	sources := slices.DeleteFunc(Sources(), func(s Source) bool { return s.Name == "self" })
	for _, name := range []string{"h100", "efa", "roce", "laptop"} {
		for _, level := range []string{"base", "detail"} {
			t.Run(name+"/"+level, func(t *testing.T) {
				p := play(t, extract(t, name), sources)
				p.m.board.detail.Store(level == "detail")
				p.tick()
				golden := filepath.Join("..", "testdata", "host", name+"."+level+".golden")
				got := p.dump()
				if os.Getenv("FORETOP_UPDATE") != "" {
					if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
						t.Fatal(err)
					}
					return
				}
				want, err := os.ReadFile(golden)
				if err != nil {
					t.Fatal(err)
				}
				if d := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); d != "" {
					t.Error(d)
				}
			})
		}
	}
}

func TestHello(t *testing.T) {
	h := hello(extract(t, "h100"), Clock{MonoMS: func() int64 { return 7 }, Now: func() time.Time { return time.UnixMilli(9) }}, "abc")
	want := &facts.Hello{ProtocolMajor: 1, Build: "abc", BootId: "8778dbaf-5194-442b-9e86-946d98999aa8", MachineId: "3d1219c7c4c5404aaa1f6d2a48adfda4",
		Hostname: "gpu017", Os: "Ubuntu 22.04.4 LTS", Kernel: "5.15.0-105-generic", MonoMs: 7, WallMs: 9}
	h.Uid, h.User, h.Pid, h.PidNamespace, h.Arch = 0, "", 0, 0, "" // of the machine that tests
	if got, want := tidy(prototext.Format(h)), tidy(prototext.Format(want)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// hold makes processes hold accelerators, as the driver would tell.
func (p *played) hold(holders ...accelerators.Holder) {
	p.m.board.mu.Lock()
	defer p.m.board.mu.Unlock()
	p.m.board.segmentOf(0).holders = holders
}
