package main

import (
	"fmt"
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
				root := foreignGPUs(t)
				profile := filepath.Join(root, "profile")
				if err := os.WriteFile(profile, []byte("gpus 4\n"), 0o644); err != nil {
					t.Fatal(err)
				}
				c := exec.Command(collector)
				c.Env = append(os.Environ(), "FORETOP_ROOT="+root, "FORETOP_NVML="+readerFor(t, arch), "LD_LIBRARY_PATH="+driverFor(t, arch), "FORETOP_PLAY_NVML="+profile)
				c.SysProcAttr = asUser(ordinary)
				return c
			},
			"nvidia", "the driver shows 4 of the 8 NVIDIA GPUs: 4 not visible to this user", "", []string{"on the PCI bus, not visible to this user", "there is no /dev/nvidia4", "not checked"},
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

// foreignGPUs is a laptop's files with eight GPUs on the PCI bus, of which the first four are this user's, as a scheduler gives them out.
func foreignGPUs(t *testing.T) string {
	t.Helper()
	root := testbed.Machine(t, "laptop")
	write := func(name, text string) {
		path := filepath.Join(root, name)
		err := os.MkdirAll(filepath.Dir(path), 0o755)
		if err == nil {
			err = os.WriteFile(path, []byte(text), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for i, pci := range []string{"0000:19:00.0", "0000:3b:00.0", "0000:4c:00.0", "0000:5d:00.0", "0000:9b:00.0", "0000:bb:00.0", "0000:cb:00.0", "0000:db:00.0"} {
		write("sys/bus/pci/devices/"+pci+"/vendor", "0x10de\n")
		write("sys/bus/pci/devices/"+pci+"/class", "0x030200\n")
		if err := os.Symlink("../../../../bus/pci/drivers/nvidia", filepath.Join(root, "sys/bus/pci/devices", pci, "driver")); err != nil {
			t.Fatal(err)
		}
		write("proc/driver/nvidia/gpus/"+pci+"/information", fmt.Sprintf("Model: NVIDIA H100 80GB HBM3\nDevice Minor: \t %d\n", i))
		if i < 4 {
			write(fmt.Sprintf("dev/nvidia%d", i), "")
		}
	}
	for _, dir := range []string{filepath.Dir(root), root} {
		if err := os.Chmod(dir, 0o755); err != nil { // for the user
			t.Fatal(err)
		}
	}
	return root
}
