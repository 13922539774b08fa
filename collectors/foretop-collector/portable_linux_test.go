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
