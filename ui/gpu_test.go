package ui

import (
	"slices"
	"strings"
	"testing"
	"time"

	"foretop/fleet"
	"foretop/telemetry"
	"foretop/telemetry/facts"

	tea "charm.land/bubbletea/v2"
	"github.com/google/go-cmp/cmp"
)

func (d *driver) lacks(t *testing.T, not ...string) {
	t.Helper()
	for _, w := range not {
		if strings.Contains(d.text(), w) {
			t.Fatalf("%q in\n%s", w, d.text())
		}
	}
}

// TestGPUScreen is the way to one GPU and back, and along its neighbours.
func TestGPUScreen(t *testing.T) {
	d := drive(hang(), 120, 40, Options{})
	d.keys("2", "enter", "enter")
	d.shows(t, "Nodes › gpu017 › GPU 3", "gpu017 GPU 3  ✖ Xid 79 GPU3: fell off the bus, no reading for 41s", "rank 131 of 8123", "─▸ what is wrong", "✖ 12:03:00 Xid 79 GPU3: fell off the bus")
	if d.place() != placeGPU || !slices.Equal(d.source.watched, []string{"gpu017"}) {
		t.Fatalf("at %s, watched %v", placeNames[d.place()], d.source.watched)
	}
	d.keys("right")
	d.shows(t, "gpu017 GPU 4  ● no problem seen", "─▸ activity", "▕███████████████████████▏ 100%", "held back now by power limit")
	d.keys("right", "right", "right", "right")
	d.shows(t, "gpu017 GPU 0")
	d.keys("left")
	d.shows(t, "gpu017 GPU 7")
	d.keys("L", "L")
	d.shows(t, "gpu017 GPU 7")
	d.keys("?", "esc", "Z", "Z", "y")
	d.shows(t, "copied GPU-")
	d.keys("esc")
	if d.place() != placeNode || d.node.selected != 7 {
		t.Fatalf("Esc leads to %s, GPU %d", placeNames[d.place()], d.node.selected)
	}
	d.keys("q", "q")
	if !d.quit {
		t.Fatal("two q from the node do not quit")
	}
}

// TestGPUSections shows that Tab goes round all sections there are, that a folded one stays folded from GPU to GPU, and that what is dear is asked for by hand.
func TestGPUSections(t *testing.T) {
	d := drive(healthy(), 80, 24, Options{})
	d.keys("2", "enter", "enter")
	seen := map[string]bool{}
	for range numGPUSections {
		for _, l := range strings.Split(d.text(), "\n") {
			if rest, ok := strings.CutPrefix(l, "─▸ "); ok {
				title, _, _ := strings.Cut(rest, " ─")
				seen[title] = true
			}
		}
		d.keys("tab")
		d.must(t)
	}
	want := []string{"PCIe", "NVLink: 18 of 18 up", "activity", "clocks, and what holds them back", "driver calls, all GPUs: 0.5% of the time (folded: t)", "errors and repairs", "fabric",
		"identity and settings", "memory", "power", "processes", "temperature"}
	var got []string
	for s := range seen {
		got = append(got, s)
	}
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("-want +got:\n%s", diff)
	}
	d.keys("home")
	for d.gpu.focused != gpuCalls {
		d.keys("tab")
	}
	d.keys("t")
	d.shows(t, "nvmlDeviceGetFieldValues", "412 µs", "13 ms")
	d.keys("right")
	d.shows(t, "nvmlDeviceGetFieldValues")
	d.keys("esc", "enter")
	if d.gpu.folded[gpuCalls] {
		t.Error("what was unfolded is folded again")
	}
}

// TestGPUIsItsIdentity shows that the page stays with its GPU when the driver numbers GPUs anew, and says so when it is gone.
func TestGPUIsItsIdentity(t *testing.T) {
	snap := healthy()
	for i := range snap.Nodes[0].GPUs {
		snap.Nodes[0].GPUs[i].Info.Uuid = "GPU-" + string(rune('a'+i))
	}
	d := drive(snap, 120, 40, Options{})
	d.keys("2", "enter", "down", "enter")
	d.shows(t, "gpu001 GPU 1  ", "GPU-b")
	change := func(gpus []fleet.GPU) {
		s, n := later(d.snap, time.Second), *snap.Nodes[0]
		for i := range gpus {
			gpus[i].Index = i
		}
		n.GPUs, n.Links = gpus, nil
		s.Nodes = slices.Clone(snap.Nodes)
		s.Nodes[0] = &n
		d.send(SnapshotMsg{s})
		d.must(t)
	}
	all := snap.Nodes[0].GPUs
	change([]fleet.GPU{all[0], all[2], all[3], all[1]})
	d.shows(t, "gpu001 GPU 3  ", "GPU-b")
	change([]fleet.GPU{all[0], all[2]})
	d.shows(t, "GPU-b is not on gpu001 any more", "Esc goes back")
	d.keys("right", "left", "up", "end", "y")
	change(nil)
	d.shows(t, "GPU-b is not on gpu001 any more")
	d.keys("esc")
	d.must(t)
	change(slices.Clone(all))
	d.keys("t", "shift+tab", "shift+tab", "enter")
	d.shows(t, "gpu001 GPU ")
}

// TestAbsentIsSaid shows that what a kind does not tell is one line that says so, which is not what is said of a GPU that is lost, or not yet looked at.
func TestAbsentIsSaid(t *testing.T) {
	d := drive(kinds(), 80, 60, Options{})
	d.keys(fields("2 / t p u enter enter enter")...)
	d.shows(t, "power: not told by this kind of accelerator", "temperature: not told by this kind of accelerator", "waiting runs               1")
	d.lacks(t, "°", " W ", "MHz")

	snap := kinds()
	tpu := snap.Nodes[4]
	for i := range tpu.GPUs {
		tpu.GPUs[i].Detail = nil
	}
	d = drive(snap, 80, 60, Options{})
	d.keys(fields("2 / t p u enter enter enter")...)
	d.shows(t, "asked for, not told yet")
	d.lacks(t, "not told by this kind")

	tpu.GPUs[0].Status, tpu.GPUs[0].Detail = telemetry.GPUUnanswered, fleet.NoDetail()
	tpu.GPUs[0].UtilPct, tpu.GPUs[0].MemUsedBytes, tpu.GPUs[0].MemTotalBytes, tpu.GPUs[0].Detail.QueueSize = fleet.None(), fleet.None(), fleet.None(), fleet.None()
	d = drive(snap, 80, 60, Options{})
	d.keys(fields("2 / t p u enter enter home enter")...)
	d.shows(t, "not known: it is not answering")

	tpu.GPUs[1].Detail = fleet.NoDetail()
	nodeSource(tpu, "google").State = facts.SourceState_SOURCE_FAILING
	d = drive(snap, 80, 60, Options{})
	d.keys(fields("2 / t p u enter enter home down enter")...)
	d.shows(t, "power: not checked, its source does not work")
}

// TestColumnsOfKinds shows that a node's table has the columns that its GPUs have something for, in their maker's words, and that none comes or goes
// with a reading.
func TestColumnsOfKinds(t *testing.T) {
	header := func(d *driver) string {
		for _, l := range strings.Split(d.text(), "\n") {
			if strings.HasPrefix(l, "   GPU NAME") {
				return strings.Join(strings.Fields(l), " ")
			}
		}
		t.Fatalf("no table in\n%s", d.text())
		return ""
	}
	for keys, want := range map[string]string{
		"t p u": "GPU NAME UTIL MEM 15 MIN RANK PID COMMAND",
		"a m d": "GPU NAME UTIL MEM POWER TEMP GFX MHz THROTTLE ECC XGMI PCIe 15 MIN RANK PID COMMAND",
		"m i g": "GPU NAME UTIL TENSOR DRAM MEM POWER TEMP SM MHz THROTTLE ECC NVLINK PCIe 15 MIN RANK PID COMMAND",
	} {
		snap := kinds()
		d := drive(snap, 200, 60, Options{})
		d.keys(fields("2 / " + keys + " enter enter")...)
		if got := header(d); got != want {
			t.Errorf("%s: %s, want %s", keys, got, want)
		}
		blank := later(snap, time.Second)
		blank.Nodes = slices.Clone(snap.Nodes)
		for i, n := range snap.Nodes {
			c := *n
			c.GPUs = slices.Clone(n.GPUs)
			for g := range c.GPUs {
				was := c.GPUs[g]
				c.GPUs[g] = *unsay(&fleet.GPU{Index: was.Index, Info: was.Info, ThrottleBits: -1, Status: telemetry.GPULost})
				c.GPUs[g].Slow = unsay(&fleet.GPUSlow{})
			}
			blank.Nodes[i] = &c
		}
		d.send(SnapshotMsg{blank})
		if got := header(d); got != want {
			t.Errorf("%s: when nothing is told any more: %s, want %s", keys, got, want)
		}
		d = drive(blank, 200, 60, Options{})
		d.keys(fields("2 / " + keys + " enter enter")...)
		d.shows(t, "lost: fallen off the bus")
	}
}

// TestParts shows the parts of GPUs as rows under them, and that they can be put away and shown again.
func TestParts(t *testing.T) {
	d := drive(kinds(), 120, 40, Options{Mouse: true})
	d.keys(fields("2 / m i g enter enter")...)
	d.shows(t, "├ 3g.40gb 1", "└ 1g.10gb 9", "└ 1g.10gb 13", "35/40G", "61201 finn")
	d.keys("left")
	d.lacks(t, "3g.40gb")
	d.shows(t, "3×MIG", "└ 1g.10gb 13")
	d.keys("right", "down", "left")
	d.shows(t, "3g.40gb", "7×MIG")
	d.keys("down", "left")
	d.shows(t, "GPU 2 is not used in parts")
	d.keys("up", "right")
	lines := strings.Split(d.text(), "\n")
	y := slices.IndexFunc(lines, func(l string) bool { return strings.Contains(l, "1g.10gb 13") })
	d.send(tea.MouseClickMsg{X: 20, Y: y, Button: tea.MouseLeft})
	if d.node.selected != 1 {
		t.Errorf("a click on a part of GPU 1 selects GPU %d", d.node.selected)
	}
	many := kinds()
	many.Nodes[2].Parts = slices.Repeat(many.Nodes[2].Parts, 3)
	slices.SortStableFunc(many.Nodes[2].Parts, func(a, b fleet.Part) int { return a.GPU - b.GPU })
	d = drive(many, 120, 40, Options{})
	d.keys(fields("2 / m i g enter enter")...)
	d.lacks(t, "3g.40gb")
	d.shows(t, "9×MIG", "21×MIG")
}

// TestGPUsNotOurs shows that GPUs on the bus that nobody shows us are told as such, on a node where there are others and where there are none.
func TestGPUsNotOurs(t *testing.T) {
	d := drive(kinds(), 80, 24, Options{})
	d.keys(fields("2 / h i d 0 enter enter")...)
	d.shows(t, "? 4 more NVIDIA GPUs on the PCI bus, not visible to this user: not checked")
	snap := kinds()
	few := snap.Nodes[1]
	few.GPUs = nil
	few.Inventory.UnseenGpus = few.Inventory.UnseenGpus[:1]
	few.Inventory.UnseenGpus[0].Why = ""
	d = drive(snap, 80, 24, Options{})
	d.keys(fields("2 / h i d 0 enter enter")...)
	d.shows(t, "? 1 NVIDIA GPU on the PCI bus, not visible to you: not checked")
	d.lacks(t, "no GPU is known", "lost")
	d.keys("right", "up", "down", "enter")
	d.shows(t, "no GPU is known on hid01")
}

// TestSourcesNotHere shows that kinds which a node does not have share one line.
func TestSourcesNotHere(t *testing.T) {
	d := drive(kinds(), 120, 60, Options{})
	d.keys(fields("2 / t p u enter enter end")...)
	d.shows(t, "– none here: rdma, nvidia, amd, intel, aws, habana, huawei", "● google")
	if n := strings.Count(d.text(), "none here"); n != 1 {
		t.Errorf("%d lines in\n%s", n, d.text())
	}
	d = drive(plain(), 120, 60, Options{})
	d.keys("2", "enter", "end")
	d.shows(t, "none here: no RDMA devices here") // one alone says why
}
