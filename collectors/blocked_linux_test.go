package collectors

import (
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"foretop/collectors/kernfs"
	"foretop/scripts/testbed"
	"foretop/telemetry"
	"foretop/telemetry/facts"
)

// tree is what a source reads of a machine, and how its readings are seen to go on.
type tree struct {
	paths  []string                           // of which no read returns any more
	strike func(*testing.T, kernfs.Root)      // makes the source read them; nil: it does at each reading
	change func(*testing.T, kernfs.Root, int) // makes the n-th news
	told   func(*front) int                   // the number of the news that was told last
	gone   string                             // what is removed, and put back; "" nothing
	words  string                             // of its state when stuck
}

const inACall = "in a call that does not return"

// trees has each source of the table that reads the machine's files. The source self reads nothing but its own process. The NVIDIA source reads what its child
// process says: TestStuckDriver, beside the node program, hangs that.
var trees = map[string]tree{
	"cpu": {
		paths: []string{"proc/stat"}, words: inACall, gone: "proc/stat",
		change: replaceFile("proc/loadavg", "%d.00 1.00 1.00 1/100 5\n"),
		told:   func(f *front) int { return int(f.get(telemetry.Load1Milli, 0)) / 1000 },
	},
	"memory": {
		paths: []string{"proc/meminfo"}, words: inACall, gone: "proc/meminfo",
		change: replaceFile("proc/meminfo", "MemTotal: 64000000 kB\nMemFree: %d000000 kB\n"),
		told:   func(f *front) int { return billions(f.get(telemetry.MemFreeBytes, 0)) },
	},
	"net": {
		paths: []string{"proc/net/dev", "sys/class/net"}, words: inACall, gone: "proc/net/dev",
		change: replaceFile("proc/net/dev", "Inter-|\n face |\nens6f0: %d000000000 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n"),
		told:   func(f *front) int { return billions(f.get(telemetry.NetRxBytes, 0)) },
	},
	"disk": {
		paths: []string{"proc/diskstats"}, words: inACall, gone: "proc/diskstats",
		change: replaceFile("proc/diskstats", " 259 0 nvme0n1 %d 2 3 4 5 6 7 8 9 10 11\n"),
		told:   func(f *front) int { return int(f.get(telemetry.DiskReads, 0)) },
	},
	"filesystem": {
		paths: []string{"proc/self/mountinfo"}, words: inACall, gone: "proc/self/mountinfo",
		change: replaceFile("proc/self/mountinfo", "30 1 8:2 / / rw - ext4 /dev/n%[1]d rw\n31 1 0:50 / /home rw - nfs4 filer:/home rw\n"),
		told: func(f *front) (n int) {
			fmt.Sscanf(f.inv.Filesystems[0].Device, "/dev/n%d", &n)
			return n
		},
	},
	"filesystem that a server left": {
		paths: []string{"home"}, words: "statfs does not return: /home",
		change: replaceFile("proc/self/mountinfo", "30 1 8:2 / / rw - ext4 /dev/n%[1]d rw\n31 1 0:50 / /home rw - nfs4 filer:/home rw\n"),
		told: func(f *front) (n int) {
			fmt.Sscanf(f.inv.Filesystems[0].Device, "/dev/n%d", &n)
			return n
		},
	},
	"edac": {
		paths: []string{"sys/devices/system/edac/mc"}, words: inACall,
		change: replaceFile("sys/devices/system/edac/mc/mc0/ce_count", "%d\n"),
		told:   func(f *front) int { return int(f.get(telemetry.MemCorrectedErrors, 0)) },
	},
	"rdma": {
		paths: []string{"sys/class/infiniband"}, words: inACall, gone: "sys/class/infiniband",
		change: replaceFile("sys/class/infiniband/mlx5_0/ports/1/counters/port_rcv_data", "%d000000000\n"),
		told: func(f *front) int {
			if len(f.inv.Ports) == 0 || f.inv.Ports[0].Device != "mlx5_0" {
				return 0
			}
			return billions(f.get(telemetry.PortRcvDataBytes, 0) / 4)
		},
	},
	"kernel_log": {
		paths: []string{"dev/kmsg"}, words: inACall, gone: "dev/kmsg",
		change: func(t *testing.T, root kernfs.Root, n int) {
			k, err := os.OpenFile(root.Path("dev/kmsg"), os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o644)
			if err != nil {
				t.Fatal(err)
			}
			defer k.Close()
			fmt.Fprintf(k, "6,%d,%d,-;news %d\n", 5000+n, n, n)
		},
		told: func(f *front) (n int) {
			if len(f.kernel) > 0 {
				fmt.Sscanf(f.kernel[len(f.kernel)-1].Text, "news %d", &n)
			}
			return n
		},
	},
	"process": {
		paths: []string{"proc/4000/cgroup"}, words: inACall, gone: "proc/4001",
		strike: func(t *testing.T, root kernfs.Root) {
			fakeProc(t, root, 4000, 1, "python3", "python3 late.py", "RANK=77 WORLD_SIZE=99", "/", 500_000)
		},
		change: func(t *testing.T, root kernfs.Root, n int) {
			// Made while the one before is there: the kernel numbers no two folders alike.
			fakeProc(t, kernfs.Root(root.Path("spare")), 4001, 1, "python3", fmt.Sprintf("python3 %d", n), fmt.Sprintf("RANK=%d WORLD_SIZE=99", n), "/", 500_000+n)
			os.RemoveAll(root.Path("proc/4001"))
			if err := os.Rename(root.Path("spare/proc/4001"), root.Path("proc/4001")); err != nil {
				t.Fatal(err)
			}
		},
		told: func(f *front) (n int) {
			if p := f.procs[4001]; p != nil {
				fmt.Sscanf(p.Command, "python3 %d", &n)
			}
			return n
		},
	},
	"usage": {
		paths: []string{"proc/2021/stat"}, words: inACall, // of one that is not told: the walk looks at those itself
		change: func(t *testing.T, root kernfs.Root, n int) {
			write(t, root, "proc/2030/stat", fmt.Sprintf("2030 (python3) S 2002 1 1 0 -1 4194304 0 0 0 0 %d 0 0 0 20 0 1 0 500102 0 100 0\n", 1_200_000+n))
		},
		told: func(f *front) int {
			if f.usage != nil {
				for _, u := range f.usage.Told {
					if u.Pid == 2030 {
						return int(u.CpuMs)/tickMS - 1_200_000
					}
				}
			}
			return 0
		},
	},
	"host": {
		paths: []string{"proc/cpuinfo"}, words: inACall, gone: "proc/cpuinfo",
		change: func(t *testing.T, root kernfs.Root, n int) {
			write(t, root, "proc/cpuinfo", strings.Repeat("processor\t: 1\n", n))
		},
		told: func(f *front) int { return int(f.inv.Cpu.GetThreads()) },
	},
	// What h100 has none of: they have nothing to tell, and are stuck all the same where their folders hang.
	"amdgpu":    {paths: []string{"sys/class/drm", "sys/bus/pci/devices"}, words: inACall},
	"intel_gpu": {paths: []string{"sys/class/drm", "sys/bus/pci/devices"}, words: inACall},
	"tpu":       {paths: []string{"sys/bus/pci/devices"}, words: inACall},
	"neuron":    {paths: []string{"sys/devices/virtual/neuron_device"}, words: inACall},
	"gaudi":     {paths: []string{"sys/class/habanalabs", "sys/class/accel", "sys/bus/pci/devices"}, words: inACall},
	"ascend":    {paths: []string{"sys/bus/pci/devices"}, words: inACall},
}

func replaceFile(name, format string) func(*testing.T, kernfs.Root, int) {
	return func(t *testing.T, root kernfs.Root, n int) { write(t, root, name, fmt.Sprintf(format, n)) }
}

// billions undoes the coarseness of what is sent.
func billions(v int64) int { return int(math.Round(float64(v) / 1e9)) }

// sourceOf is the source that an entry of trees is about.
func sourceOf(entry string) string {
	name, _, _ := strings.Cut(entry, " ")
	return name
}

// quickSources is the table at a pace for tests.
func quickSources() []Source {
	list := Sources()
	for i := range list {
		list[i].Every = min(list[i].Every, 500*time.Millisecond)
	}
	return list
}

// Each source's files hang in turn, at work and with their files open. It says that it is stuck, in words and for how long; all others read on, and the stream goes
// on; when the calls return, it goes on as well.
func TestBlockedSources(t *testing.T) {
	for _, s := range Sources() {
		if _, known := trees[s.Name]; !known && s.Name != "self" && s.Name != "nvidia" {
			t.Errorf("no word in this test of what the source %s reads", s.Name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(trees)) {
		if !slices.ContainsFunc(Sources(), func(s Source) bool { return s.Name == sourceOf(name) }) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBlockable(t)
			b.news(1, "")
			tr := trees[name]
			b.fs.Hold(tr.paths...)
			if tr.strike != nil {
				tr.strike(t, b.root)
			}
			b.f.await("word that it is stuck", func() bool {
				n := b.f.note(sourceOf(name))
				return n.State == facts.SourceState_SOURCE_STUCK && n.Text == tr.words && b.stuckMS(name) >= deadline.Milliseconds()
			})
			b.f.mu.Lock()
			since := b.stuckMS(name)
			b.f.mu.Unlock()
			b.news(2, sourceOf(name))
			b.f.await("the time to grow", func() bool { return b.stuckMS(name) > since })
			b.news(3, sourceOf(name))
			b.fs.Release()
			b.f.await("its way out", func() bool {
				return b.f.note(sourceOf(name)).State != facts.SourceState_SOURCE_STUCK && b.stuckMS(name) < 0
			})
			b.news(4, "")
		})
	}
}

// Each source's files go away in turn and come back, as those of a device do. The others read on, and it goes on when they are back.
func TestRemovedSources(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(trees)) {
		tr := trees[name]
		if tr.gone == "" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBlockable(t)
			b.news(1, "")
			away := b.root.Path("away")
			if err := os.Rename(b.root.Path(tr.gone), away); err != nil {
				t.Fatal(err)
			}
			b.news(2, name)
			if name != "process" && name != "kernel_log" { // a process that ended is no fault, and a log that is open stays open
				b.f.await("word that they are gone", func() bool {
					s := b.f.note(name).State
					return s == facts.SourceState_SOURCE_FAILING || s == facts.SourceState_SOURCE_UNSUPPORTED
				})
			}
			os.RemoveAll(b.root.Path(tr.gone))
			if err := os.Rename(away, b.root.Path(tr.gone)); err != nil {
				t.Fatal(err)
			}
			b.news(3, "")
			b.f.await("its way back", func() bool { return b.f.note(name).State == facts.SourceState_SOURCE_OK })
		})
	}
}

// Files that fail are no files that hang: the source says what failed, the others read on.
func TestFailingSources(t *testing.T) {
	b := newBlockable(t)
	b.news(1, "")
	all := []string{"proc/stat", "proc/meminfo", "proc/net/dev", "proc/diskstats", "proc/self/mountinfo", "proc/cpuinfo"}
	b.fs.Fail(5, all...) // EIO
	b.f.await("words of six sources", func() bool {
		for _, s := range []string{"cpu", "memory", "net", "disk", "filesystem", "host"} {
			if n := b.f.note(s); n.State != facts.SourceState_SOURCE_FAILING || !strings.Contains(n.Text, "input/output error") {
				return false
			}
		}
		return true
	})
	b.fs.Release()
	b.news(2, "")
}

// blockable is a busy node whose files a test holds, and its stream.
type blockable struct {
	t    *testing.T
	root kernfs.Root // behind the file system that holds
	fs   *testbed.HeldFS
	f    *front
}

func newBlockable(t *testing.T) *blockable {
	root := kernfs.Root(t.TempDir())
	for name, text := range map[string]string{
		"proc/stat": "cpu  10 0 10 100\ncpu0 10 0 10 100\n", "proc/uptime": "864000.25 1.00\n", "sys/block/nvme0n1/size": "100\n", "sys/block/nvme0n1/device/model": "x\n",
		"sys/class/infiniband/mlx5_0/ports/1/state": "4: ACTIVE\n", "sys/class/net/ens6f0/carrier": "1\n", "dev/kmsg": "6,5000,1,-;first\n", "home/x": "",
		"sys/devices/system/edac/mc/mc0/ue_count": "0\n",
		"sys/class/drm/x":                         "", "sys/bus/pci/devices/x": "", "sys/devices/virtual/neuron_device/x": "", "sys/class/habanalabs/x": "", "sys/class/accel/x": "",
	} {
		write(t, root, name, text)
	}
	for pid := 2020; pid <= 2030; pid += 10 {
		fakeProc(t, root, pid, 1, "python3", "python3 t.py", fmt.Sprintf("RANK=%d WORLD_SIZE=99", pid), "/", 500_102)
	}
	fakeProc(t, root, 2021, 1, "make", "make all", "", "/", 500_102)
	b := &blockable{t: t, root: root, fs: testbed.MountHeld(t, string(root))}
	for _, name := range slices.Sorted(maps.Keys(trees)) {
		if tr := trees[name]; tr.change != nil {
			tr.change(t, root, 1)
		}
	}
	b.f = startFront(t, Options{Root: kernfs.Root(b.fs.Dir), Every: 250 * time.Millisecond, Quiet: 10 * time.Minute, Sources: quickSources()})
	b.f.start("", 0)
	b.f.detail()
	return b
}

// news makes the n-th news for every source but one, and waits until it is told.
func (b *blockable) news(n int, but string) {
	b.t.Helper()
	for name, tr := range trees {
		if tr.change != nil && sourceOf(name) != but {
			tr.change(b.t, b.root, n)
		}
	}
	for name, tr := range trees {
		if tr.change == nil || sourceOf(name) == but {
			continue
		}
		b.f.await(fmt.Sprintf("news %d of %s", n, name), func() bool {
			if b.f.inv == nil || len(b.f.inv.Filesystems) == 0 || b.f.note(sourceOf(name)).State == facts.SourceState_SOURCE_STUCK {
				return false
			}
			return tr.told(b.f) == n
		})
	}
}

func (b *blockable) stuckMS(name string) int64 {
	for i, s := range b.f.inv.Sources {
		if s.Name == sourceOf(name) {
			return b.f.get(telemetry.SourceStuckMS, i)
		}
	}
	return telemetry.Absent
}
