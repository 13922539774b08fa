package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"foretop/fleet"
	"foretop/scripts/testbed"
	"foretop/telemetry/facts"
)

// asUser makes a program the process of another user, which only root may.
func asUser(uid uint32) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
}

const ordinary = 20100 // the number of an ordinary user

// What an ordinary user may not see is said to be unchecked, or another's, all the way to the screen: the kernel log, foreign processes, foreign GPUs. Nothing of
// it is called lost, and nothing fine.
func TestOrdinaryUser(t *testing.T) {
	testbed.NeedRoot(t)
	testbed.Need(t, "unshare", "setpriv", "mount")
	if b, err := os.ReadFile("/proc/sys/kernel/dmesg_restrict"); err != nil || strings.TrimSpace(string(b)) != "1" {
		t.Log("this kernel shows its log to everyone: that it is denied is not tested")
	}
	collector := collectorFor(t, arch)
	for name, c := range map[string]struct {
		command func(*testing.T) *exec.Cmd
		source  string
		words   string // of the source
		remedy  string
		screen  []string
	}{
		"the kernel log": {
			func(t *testing.T) *exec.Cmd {
				c := exec.Command(collector)
				c.SysProcAttr = asUser(ordinary)
				return c
			},
			"kernel_log", "", "CAP_SYSLOG", []string{"kernel_log not checked: denied"},
		},
		"foreign environments": {
			func(t *testing.T) *exec.Cmd {
				c := exec.Command(collector)
				c.SysProcAttr = asUser(ordinary)
				return c
			},
			"process", "other users' environments may not be read", "CAP_SYS_PTRACE", []string{"other users' environments may not be read"},
		},
		"hidden processes": {
			func(t *testing.T) *exec.Cmd {
				return exec.Command("unshare", "-m", "--", "sh", "-c",
					`mount -t proc -o hidepid=invisible proc /proc && exec setpriv --reuid=20100 --regid=20100 --clear-groups "$1"`, "sh", collector)
			},
			"process", "other users' processes are hidden here (hidepid)", "hidepid", []string{"other users' processes are hidden"},
		},
		"foreign GPUs": {
			func(t *testing.T) *exec.Cmd {
				root := testbed.Machine(t, "h200")
				profile := filepath.Join(root, "profile")
				for _, dir := range []string{filepath.Dir(root), root} {
					if err := os.Chmod(dir, 0o755); err != nil {
						t.Fatal(err)
					}
				}
				if err := os.WriteFile(profile, []byte("gpus 4\n"), 0o644); err != nil {
					t.Fatal(err)
				}
				c := exec.Command(collector)
				c.Env = append(os.Environ(), "FORETOP_ROOT="+root, "FORETOP_NVML="+readerFor(t, arch), "LD_LIBRARY_PATH="+driverFor(t, arch), "FORETOP_PLAY_NVML="+profile)
				c.SysProcAttr = asUser(ordinary)
				return c
			},
			"nvidia", "the driver shows 4 of the 8 NVIDIA GPUs", "", []string{"4 of the 8"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if c.source == "kernel_log" {
				if b, err := os.ReadFile("/proc/sys/kernel/dmesg_restrict"); err != nil || strings.TrimSpace(string(b)) != "1" {
					t.Skip("this kernel shows its log to everyone")
				}
			}
			w := watch(t)
			w.start("node", c.command(t))
			n := w.await("node", "word of "+c.source, func(n *fleet.Node) bool {
				s := source(n, c.source)
				return n.Hello != nil && len(n.Processes) >= 0 && n.ProcessesTold && (s.State == facts.SourceState_SOURCE_OK || s.State == facts.SourceState_SOURCE_DENIED) &&
					strings.HasPrefix(s.Text, c.words) && s.Text != "" && strings.Contains(s.Remedy, c.remedy)
			})
			if n.Hello.Uid != ordinary {
				t.Errorf("it runs as user %d", n.Hello.Uid)
			}
			for _, p := range n.Problems {
				if p.Severity > fleet.Notice || strings.Contains(p.Text, "lost") {
					t.Errorf("a problem out of nothing: %v %s", p.Severity, p.Text)
				}
			}
			for i := range n.GPUs {
				if n.GPUs[i].Severity > fleet.Notice {
					t.Errorf("GPU %d is %v", i, n.GPUs[i].Severity)
				}
			}
			shown := screen(t, w.fleet.Snapshot(), "2", "enter")
			seen := strings.Join(strings.Fields(shown), " ")
			for _, words := range c.screen {
				if !strings.Contains(seen, words) {
					t.Errorf("no %q on the screen:\n%s", words, shown)
				}
			}
			if slices.Contains(strings.Fields(seen), "lost") {
				t.Errorf("something is lost on the screen:\n%s", shown)
			}
		})
	}
}
