package ui

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"foretop/findings"
	"foretop/fleet"
	"foretop/telemetry/facts"
)

// troubled is a node whose kernel has said a good deal, classified by the real table.
func troubled() *fleet.Snapshot {
	f := &fixture{seed: 9}
	f.addNodes("gpu%03d", 1, 1, 8)
	n := f.nodes[0]
	n.Kernel = nil
	line := func(ago time.Duration, gpu int, text string, change func(*fleet.KernelLine)) {
		k := fleet.KernelLine{Sequence: uint64(len(n.Kernel) + 1), At: noon.Add(-ago), Level: 4, Text: text, GPU: gpu, Class: findings.ClassifyKernel(text)}
		if change != nil {
			change(&k)
		}
		n.Kernel = append(n.Kernel, k)
	}
	for i := range 30 {
		line(time.Hour-time.Duration(i)*time.Second, -1, fmt.Sprintf("systemd-journald[612]: line %d of those that say nothing", i), nil)
	}
	line(30*time.Minute, -1, "Memory cgroup out of memory: Killed process 2254956 (python3) total-vm:412034092kB, anon-rss:84934656kB, file-rss:91244kB, shmem-rss:8388608kB, UID:1000 pgtables:188744kB oom_score_adj:0", func(k *fleet.KernelLine) {
		k.Class.Cgroup = "/slurm/uid_1000/job_8123/step_0"
		k.More = []string{"oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=step_0,oom_memcg=/slurm/uid_1000/job_8123/step_0,task=python3,pid=2254956,uid=1000"}
	})
	line(10*time.Minute, -1, "nvme nvme4: I/O tag 411 (5142) opcode 0x1 (I/O Cmd) QID 9 timeout, aborting req_op:WRITE(1) size:4096", func(k *fleet.KernelLine) {
		k.Count, k.First, k.Oldest = 412, k.At.Add(-3*time.Minute), "nvme nvme4: I/O tag 0 (5142) opcode 0x1 (I/O Cmd) QID 9 timeout, aborting req_op:WRITE(1) size:4096"
	})
	line(5*time.Minute, -1, "pcieport 0000:5c:00.0: AER: Uncorrectable (Fatal) error message received from 0000:5c:00.0", nil)
	line(4*time.Minute, 3, "NVRM: Xid (PCI:0000:5d:00): 149, NETIR_LINK_EVT  Fatal   XC0 i0 Link 08 (0x004505c6 0x00000000)", nil)
	line(4*time.Minute, 2, "NVRM: Xid (PCI:0000:5c:00): 149, NETIR_LINK_EVT  Fatal   XC0 i0 Link 09 (0x004505c6 0x00000000)", nil)
	line(3*time.Minute, 3, "NVRM: Xid (PCI:0000:5d:00): 79", func(k *fleet.KernelLine) {
		k.NVML, k.Text = true, "Xid 79 of GPU3, told by NVML: the kernel log, as far as it was read, has no such line"
	})
	line(time.Minute, -1, "nfs: server 10.1.0.9 OK", nil)
	line(time.Second, -1, "usb 1-1: new device", nil)
	n.KernelLost, n.KernelUntold = 3, 4711
	return f.snapshot()
}

func TestKernelScreen(t *testing.T) {
	for _, size := range sizes {
		d := drive(troubled(), size.w, size.h, Options{})
		d.keys("2", "L")
		golden(t, "log/end-"+size.name, trim(d.text()))
		d.keys("up", "up")
		d.must(t)
		golden(t, "log/nvml-"+size.name, trim(d.text()))
		d.keys("up", "up", "up", "up")
		golden(t, "log/folded-"+size.name, trim(d.text()))
		d.keys("up")
		golden(t, "log/oom-"+size.name, trim(d.text()))
	}
}

// The cursor stays with its line while the log goes on, and follows the end otherwise.
func TestKernelCursor(t *testing.T) {
	snap := troubled()
	d := drive(snap, 80, 24, Options{})
	d.keys("2", "L")
	d.shows(t, "▸12:03:40", "an ordinary line, of level warning", "line 38 of 38 · 3 lost before they were read, 4711 of a flood only counted")
	d.keys("k", "k", "k") // two lines of one moment and kind are two
	d.shows(t, "link 9")
	d.keys("k")
	d.shows(t, "link 8, intrinfo 0x004505c6")
	d.keys("j")
	d.shows(t, "link 9")
	d.keys("k", "k", "k")
	d.shows(t, "×412 in 3m, since 11:50:41", "→ look at its SMART data")
	more := *snap
	more.Sequence++
	n := *snap.Nodes[0]
	n.Kernel = append(n.Kernel[5:len(n.Kernel):len(n.Kernel)], fleet.KernelLine{At: noon, Text: "one more", GPU: -1})
	more.Nodes = []*fleet.Node{&n}
	d.send(SnapshotMsg{&more})
	d.shows(t, "×412 in 3m", "line 27 of 34")
	n2 := n
	n2.Kernel = append(n.Kernel[:26:26], n.Kernel[27:]...) // its line is gone
	last := more
	last.Sequence++
	last.Nodes = []*fleet.Node{&n2}
	d.send(SnapshotMsg{&last})
	d.shows(t, "PCIe: fatal error", "→ drain the node; check cable, seating and slot")
	d.keys("G")
	d.shows(t, "▸12:03:41", "one more")
	d.keys("g")
	d.shows(t, "line 1 of 33")
	d.keys("pgdown", "pgdown", "pgdown", "pgdown")
	d.shows(t, "line 33 of 33")
}

// Where only the driver tells Xids, they are checked, and the rest of the log is not.
func TestXidsOfTheDriver(t *testing.T) {
	snap := troubled()
	n := snap.Nodes[0]
	for i := range n.Sources {
		if n.Sources[i].Name == fleet.KernelLogSource {
			n.Sources[i].State, n.Sources[i].Remedy = facts.SourceState_SOURCE_DENIED, "needs CAP_SYSLOG"
		}
	}
	n.Kernel, n.XidEvents = nil, true
	snap.Totals.KernelLogRead, snap.Totals.XidRead = 0, 1
	d := drive(snap, 120, 40, Options{})
	d.shows(t, "Xid: read on 1/1; kernel log on 0")
	d.keys("2", "L")
	d.shows(t, "not checked: kernel log denied (Xids come by NVML's events)", "needs CAP_SYSLOG")
	n.XidEvents, snap.Totals.XidRead = false, 0
	d = drive(snap, 120, 40, Options{})
	d.shows(t, "Xid: read on 0/1, not checked on 1")
	if strings.Contains(d.text(), "kernel log on") {
		t.Error("told twice")
	}
}
