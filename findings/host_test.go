package findings

import (
	"strings"
	"testing"
	"time"

	"foretop/fleet"
	"foretop/schedulers"
	"foretop/telemetry/facts"

	"github.com/google/go-cmp/cmp"
)

// hungFS makes statfs of a file system not return for so many seconds.
func hungFS(n *fleet.Node, mount string, s float64) {
	n.Sources = append(n.Sources, fleet.Source{Name: "filesystem", State: facts.SourceState_SOURCE_STUCK, Text: "statfs does not return: " + mount, StuckS: fleet.Reading(s)})
}

func TestHost(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*fleet.Node)
		want   []string
	}{
		{"no inodes", func(n *fleet.Node) { n.FS[0].Files, n.FS[0].FilesFree = 1e8, 0 }, []string{"critical gpu-1 port-1 / has 100 % of its inodes used"}},
		{"few inodes", func(n *fleet.Node) { n.FS[0].Files, n.FS[0].FilesFree = 1e8, 3e6 }, []string{"warning gpu-1 port-1 / has 97 % of its inodes used"}},
		{"no bytes and no inodes are one", func(n *fleet.Node) { n.FS[0].AvailableBytes, n.FS[0].Files, n.FS[0].FilesFree = 0, 10, 0 }, []string{"critical gpu-1 port-1 / 100 % full"}},
		{"a file system without a number of inodes", func(n *fleet.Node) { n.FS[0].Files, n.FS[0].FilesFree = fleet.None(), fleet.None() }, []string{}},
		{"a file system hangs", func(n *fleet.Node) { hungFS(n, "/data", 41) }, []string{"warning gpu-1 port-1 /data does not answer 41 s"}},
		{"a file system hangs, and processes in it", func(n *fleet.Node) { hungFS(n, "/data", 90); n.Host.ProcsBlocked = 9 }, []string{"critical gpu-1 port-1 /data does not answer 90 s"}},
		{"a file system hangs, and processes wait for a moment", func(n *fleet.Node) { hungFS(n, "/data", 9); n.Host.ProcsBlocked = 9 }, []string{"warning gpu-1 port-1 /data does not answer 9 s"}},
		{"processes wait, and every file system answers", func(n *fleet.Node) { n.Host.ProcsBlocked = 40 }, []string{}},
		{"a scheduler counts more GPUs", func(n *fleet.Node) {
			n.Inventory = &facts.Inventory{}
			slurmSays(n, schedulers.Usable, 2)
		}, []string{"warning gpu-1 port-1 1 GPU missing: slurm counts 2, 1 are here"}},
		{"a scheduler counts parts", func(n *fleet.Node) {
			n.Inventory = &facts.Inventory{}
			n.Parts = []fleet.Part{{}}
			slurmSays(n, schedulers.Usable, 7)
		}, []string{}},
		{"a scheduler whose node it may be", func(n *fleet.Node) {
			n.Inventory = &facts.Inventory{}
			slurmSays(n, schedulers.Usable, 2)
			n.Scheduled[0].Proof = 0
		}, []string{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := fineNode()
			tt.change(n)
			if diff := cmp.Diff(tt.want, say1(Node(n, noon, new(fleet.Memory)))); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// Who hangs in a file system is named.
func TestWhoHangsInAFileSystem(t *testing.T) {
	n := fineNode()
	hungFS(n, "/data, /home", 41)
	n.Processes = []*fleet.Process{
		{Process: &facts.Process{Pid: 7, Comm: "python", Cwd: "/data/run"}, Status: "D"}, {Process: &facts.Process{Pid: 8, Comm: "bash", Cwd: "/database"}, Status: "S"},
		{Process: &facts.Process{Pid: 9, Comm: "vim", Cwd: "/home"}},
	}
	got := strings.Join(Node(n, noon, new(fleet.Memory))[0].Evidence, "; ")
	if want := "statfs does not return: /data, /home; in state D: python (7); work there: python (7), vim (9)"; got != want {
		t.Errorf("%s, wanted %s", got, want)
	}
}

func TestMemoryErrorsOfTheMachine(t *testing.T) {
	n, m := fineNode(), new(fleet.Memory)
	step := func(at time.Duration, corrected, uncorrected fleet.Reading, want ...string) {
		t.Helper()
		n.Host.MemCorrected, n.Host.MemUncorrected = corrected, uncorrected
		if want == nil {
			want = []string{}
		}
		if diff := cmp.Diff(want, say1(Node(n, noon.Add(at), m))); diff != "" {
			t.Errorf("at %s: -want +got:\n%s", at, diff)
		}
	}
	step(0, 5000, 3) // what was before we looked says nothing
	step(time.Minute, 5020, 3)
	step(2*time.Minute, 5100, 3, "warning gpu-1 port-1 memory: 100 corrected errors within the hour")
	step(3*time.Minute, fleet.None(), fleet.None()) // not told for a while
	step(4*time.Minute, 5130, 4, "critical gpu-1 port-1 memory: 1 uncorrectable errors, 0 s ago", "warning gpu-1 port-1 memory: 130 corrected errors within the hour")
	step(63*time.Minute, 5130, 4, "critical gpu-1 port-1 memory: 1 uncorrectable errors, 59 min ago", "warning gpu-1 port-1 memory: 130 corrected errors within the hour")
	step(65*time.Minute, 5130, 4)
	step(66*time.Minute, 0, 0) // rebooted
	step(67*time.Minute, 99, 0)
	step(68*time.Minute, 99, 1, "critical gpu-1 port-1 memory: 1 uncorrectable errors, 0 s ago")
}

func TestAGPUGoesMissing(t *testing.T) {
	n, m := twoGPUs(), new(fleet.Memory)
	n.Inventory = &facts.Inventory{}
	gpus := n.GPUs
	step := func(at time.Duration, here int, want ...string) {
		t.Helper()
		n.GPUs = gpus[:here]
		if want == nil {
			want = []string{}
		}
		if diff := cmp.Diff(want, say1(Node(n, noon.Add(at), m))); diff != "" {
			t.Errorf("at %s: -want +got:\n%s", at, diff)
		}
	}
	step(0, 1)
	step(time.Second, 2) // its reader starts
	step(time.Minute, 0)
	step(65*time.Second, 2) // the driver was loaded anew
	step(2*time.Minute, 1)
	step(2*time.Minute+20*time.Second, 1, "critical gpu-1 port-1 1 GPU missing: it had 2, has 1")
	n.Inventory.UnseenGpus = []*facts.UnseenGPU{{Pci: "x", Why: "not visible to this user"}} // it is only not shown any more
	step(3*time.Minute, 1, "notice gpu-1 port-1 1 more GPU on the bus: not checked, not visible to this user")
}

func TestPowerLimitAndWidthAgainstPeersOfTheNode(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(n *fleet.Node)
		want   []string
	}{
		{"a lowered limit", func(n *fleet.Node) { n.GPUs[1].PowerLimitW = 500 }, []string{"notice gpu1 port-1 GPU1 power limit 500 W, its peers 700 W"}},
		{"a rounding", func(n *fleet.Node) { n.GPUs[1].PowerLimitW = 690 }, []string{}},
		{"no limit told", func(n *fleet.Node) { n.GPUs[1].PowerLimitW = fleet.None() }, []string{}},
		{"as many high as low", func(n *fleet.Node) { n.GPUs[1].PowerLimitW, n.GPUs[2].PowerLimitW = 500, 500 }, []string{}},
		{"another kind", func(n *fleet.Node) { n.GPUs[1].PowerLimitW, n.GPUs[1].Info = 300, &facts.GPU{Name: "L4"} }, []string{}},
		{"narrow, its maximum not told", func(n *fleet.Node) { n.GPUs[1].Slow.PCIeWidth, n.GPUs[1].Slow.PCIeWidthMax = 4, fleet.None() },
			[]string{"warning gpu1 port-1 GPU1 PCIe ×4, its peers ×16"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := fineNode()
			for i := range 3 {
				n.GPUs = append(n.GPUs, fineGPU(i+1))
			}
			tt.change(n)
			if diff := cmp.Diff(tt.want, say1(Node(n, noon, new(fleet.Memory)))); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}
