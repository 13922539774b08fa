package main

import (
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"foretop/fleet"
	"foretop/scripts/testbed"
	"foretop/telemetry/facts"
)

// The collector asks nothing of a node but its kernel: no dynamic linker, no library.
func TestStatic(t *testing.T) {
	for _, arch := range []string{"amd64", "arm64"} {
		f, err := elf.Open(collectorFor(t, arch))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for _, p := range f.Progs {
			if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
				t.Errorf("%s: has a segment of type %v", arch, p.Type)
			}
		}
		if libs, err := f.ImportedLibraries(); err != nil || len(libs) > 0 {
			t.Errorf("%s: needs %v, %v", arch, libs, err)
		}
	}
}

// chroot is the collector in another root, which has this machine's /proc, /sys and /dev.
func chroot(t *testing.T, root string, env ...string) *exec.Cmd {
	t.Helper()
	testbed.NeedRoot(t)
	testbed.Need(t, "unshare", "mount", "chroot")
	for _, dir := range []string{"proc", "sys", "dev", "collector"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	put(t, collectorFor(t, arch), filepath.Join(root, "collector/foretop-collector"))
	// The mounts are this command's own and go with it.
	c := exec.Command("unshare", "-m", "--", "sh", "-c", `mount --rbind /proc "$1/proc" && mount --rbind /sys "$1/sys" && mount --rbind /dev "$1/dev" && exec chroot "$1" /collector/foretop-collector`, "sh", root)
	c.Env = append([]string{"PATH=" + os.Getenv("PATH")}, env...)
	return c
}

// put copies a program.
func put(t testing.TB, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err == nil {
		if err = os.MkdirAll(filepath.Dir(to), 0o755); err == nil {
			err = os.WriteFile(to, b, 0o755)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

func hostRead(n *fleet.Node) bool {
	return n.Hello != nil && n.Host.CPUBusyPct.Known() && n.Host.MemTotalBytes.Known() && n.Self.RSSBytes.Known()
}

// In a root without any C library, or anything else, the collector reads the node.
func TestEmptyRoot(t *testing.T) {
	w := watch(t)
	w.start("node", chroot(t, t.TempDir()))
	n := w.await("node", "the host's readings", hostRead)
	if s := source(n, "nvidia"); s.State != facts.SourceState_SOURCE_UNSUPPORTED || s.Text == "" {
		w.await("node", "a word on GPUs", func(n *fleet.Node) bool { return source(n, "nvidia").State == facts.SourceState_SOURCE_UNSUPPORTED })
	}
}

// On a system with an old C library both programs run, the reader on the driver of that system.
func TestOldGlibc(t *testing.T) {
	root := testbed.OldRoot(t, arch)
	put(t, readerFor(t, arch), filepath.Join(root, "collector/foretop-nvml"))
	put(t, filepath.Join(driverFor(t, arch), "libnvidia-ml.so.1"), filepath.Join(root, "usr/lib/libnvidia-ml.so.1"))
	w := watch(t)
	w.start("node", chroot(t, root))
	n := w.await("node", "eight GPUs", func(n *fleet.Node) bool { return hostRead(n) && len(n.GPUs) == 8 && n.GPUs[7].PowerW.Known() })
	if s := source(n, "nvidia"); s.State != facts.SourceState_SOURCE_OK || strings.Contains(s.Text, "nvidia-smi") {
		t.Errorf("nvidia: %v %q", s.State, s.Text)
	}
	if n.Hello.Os != "Debian GNU/Linux 11 (bullseye)" {
		t.Errorf("it runs on %q", n.Hello.Os)
	}
}

// busyboxSMI plays nvidia-smi where there is nothing but a busybox: it answers each field that it is asked for, those that it does not know with "[N/A]".
const busyboxSMI = `#!/bin/sh
case $1 in
--query-gpu=*) fields=${1#--query-gpu=} ;;
*) exit 0 ;; # no processes
esac
IFS=,
row=
for f in $fields; do
	case $f in
	index) v=0 ;;
	uuid) v=GPU-0b6e3bd2-91ce-5a77-bb4f-3b1f2a0d7c44 ;;
	pci.bus_id) v=00000000:01:00.0 ;;
	name) v='NVIDIA GeForce RTX 4090' ;;
	driver_version) v=555.42.02 ;;
	utilization.gpu) v=3 ;;
	memory.total) v=24564 ;;
	memory.used) v=1290 ;;
	power.draw) v=21.42 ;;
	*) v='[N/A]' ;;
	esac
	row="$row${row:+, }$v"
done
# It ends with its reader, and with its root: a loop whose sleep is gone would spin for ever.
while echo "$row" && sleep 1; do :; done
`

// Where the reader cannot start, the collector says why and streams nvidia-smi by itself: on a system whose C library is musl, with and without a musl that
// calls itself glibc's linker.
func TestMusl(t *testing.T) {
	testbed.NeedRoot(t)
	musl, err := filepath.Glob("/lib/ld-musl-*.so.1")
	if err != nil || len(musl) != 1 {
		testbed.Require(t, "musl is not installed")
	}
	testbed.Need(t, "busybox")
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		t.Fatal(err)
	}
	reader, err := elf.Open(readerFor(t, arch))
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	linker := ""
	for _, p := range reader.Progs {
		if p.Type == elf.PT_INTERP {
			b := make([]byte, p.Filesz)
			if _, err := p.ReadAt(b, 0); err != nil {
				t.Fatal(err)
			}
			linker = strings.TrimRight(string(b), "\x00")
		}
	}
	for name, c := range map[string]struct {
		disguised bool
		words     string
	}{
		"musl":                   {false, "nvidia-smi is used: foretop-nvml does not start here: no glibc (musl?)"},
		"musl as glibc's linker": {true, "nvidia-smi is used: foretop-nvml does not start here: exit status 127: "},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			put(t, musl[0], filepath.Join(root, musl[0]))
			put(t, busybox, filepath.Join(root, "bin/busybox"))
			for _, applet := range []string{"sh", "sleep"} {
				if err := os.Symlink("busybox", filepath.Join(root, "bin", applet)); err != nil {
					t.Fatal(err)
				}
			}
			if c.disguised {
				put(t, musl[0], filepath.Join(root, linker))
			}
			put(t, readerFor(t, arch), filepath.Join(root, "collector/foretop-nvml"))
			put(t, filepath.Join(driverFor(t, arch), "libnvidia-ml.so.1"), filepath.Join(root, "lib/libnvidia-ml.so.1"))
			if err := os.MkdirAll(filepath.Join(root, "usr/bin"), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(root, "usr/bin/nvidia-smi"), []byte(busyboxSMI), 0o755); err != nil {
				t.Fatal(err)
			}
			w := watch(t)
			w.start("node", chroot(t, root))
			n := w.await("node", "GPUs by nvidia-smi", func(n *fleet.Node) bool {
				return hostRead(n) && len(n.GPUs) > 0 && n.GPUs[0].PowerW.Known() && source(n, "nvidia").State == facts.SourceState_SOURCE_OK
			})
			if s := source(n, "nvidia"); !strings.HasPrefix(s.Text, c.words) {
				t.Errorf("nvidia says %q, want %q", s.Text, c.words)
			}
		})
	}
}

// The programs for arm64 run, the reader on its own C library and driver, over a GB200 tray's files.
func TestArm64(t *testing.T) {
	testbed.Need(t, "qemu-aarch64-static")
	qemu, err := exec.LookPath("qemu-aarch64-static")
	if err != nil {
		t.Fatal(err)
	}
	libc := testbed.OldRoot(t, "arm64")
	root := testbed.Machine(t, "gb200")
	profile := filepath.Join(root, "profile")
	if err := os.WriteFile(profile, []byte("gpus 4\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	// The reader is what the collector starts: a script in its place starts qemu.
	reader := filepath.Join(root, "reader")
	script := "#!/bin/sh\nexec " + qemu + " -L " + libc + " -E LD_LIBRARY_PATH=" + driverFor(t, "arm64") + " " + readerFor(t, "arm64") + "\n"
	if err := os.WriteFile(reader, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	c := exec.Command(qemu, collectorFor(t, "arm64"))
	c.Env = append(os.Environ(), "FORETOP_ROOT="+root, "FORETOP_NVML="+reader, "FORETOP_PLAY_NVML="+profile)
	w := watch(t)
	w.start("node", c)
	n := w.await("node", "readings of an arm64 node", func(n *fleet.Node) bool {
		return n.Host.MemTotalBytes.Known() && len(n.GPUs) == 4 && n.GPUs[3].PowerW.Known() && len(n.Ports) == 5 && n.Inventory.Cpu.GetThreads() == 144
	})
	if h := n.Hello; h.Arch != "arm64" || h.Hostname != "gb200-r07-t03" {
		t.Errorf("it says it is %s, %s", h.Hostname, h.Arch)
	}
	if s := source(n, "nvidia"); s.State != facts.SourceState_SOURCE_OK || strings.Contains(s.Text, "nvidia-smi") {
		t.Errorf("nvidia: %v %q", s.State, s.Text)
	}
}
