package findings

import (
	"testing"

	"foretop/fleet"
	"foretop/telemetry"

	"github.com/google/go-cmp/cmp"
)

// What the corpus does not say: the words.
func TestKernelWords(t *testing.T) {
	type words struct{ text, detail, action string }
	for line, want := range map[string]words{
		"NVRM: Xid (PCI:0000:3b:00): 79, pid=1234, name=python3, GPU has fallen off the bus.":                                                                                                                           {"Xid 79: fell off the bus", "", "reboot the node"},
		"NVRM: Xid (PCI:0000:4e:00): 13, Graphics SM Warp Exception on (GPC 3, TPC 2, SM 1): Misaligned Address":                                                                                                        {"Xid 13: graphics engine exception", "Misaligned Address", "look into the application; if only this GPU tells it, in several jobs, test the GPU"},
		"NVRM: Xid (PCI:0000:4e:00): 31, pid=9, name=x, channel 0x0000000c, intr 00000000. MMU Fault: ENGINE GRAPHICS GPC2 GPCCLIENT_T1_4 faulted @ 0x7f11_00200000. Fault is of type FAULT_PDE ACCESS_TYPE_VIRT_WRITE": {"Xid 31: memory page fault", "FAULT_PDE ACCESS_TYPE_VIRT_WRITE", "look into the application; if only this GPU tells it, in several jobs, test the GPU"},
		"NVRM: Xid (PCI:0000:9d:00 GPU-I:01 GPU-CI:00): 94, pid=1, name=x, Contained: CE User Channel (0x9). RST: No, D-RST: No":                                                                                        {"Xid 94: contained memory error (MIG 1)", "", "restart the application; reset the GPU when it is free"},
		"NVRM: Xid (PCI:0000:5d:00): 45, pid=1, name=x, Ch 00000011 caused by previous Xid 79":                                                                                                                          {"Xid 45: channel removed after an earlier error", "caused by previous Xid 79", "look for the error before it; if there is none, restart the fabric manager"},
		"NVRM: Xid (PCI:0000:19:00): 154, GPU recovery action changed from 0x0 (None) to 0x1 (GPU Reset Required)":                                                                                                      {"Xid 154: driver asks: gpu reset required", "", "drain the node and reset the GPU"},
		"NVRM: Xid (PCI:0000:19:00): 149, NETIR_LINK_EVT  Fatal   XC0 i0 Link 08 (0x004505c6 0x00000000)":                                                                                                               {"Xid 149: NVLink NETIR error, NETIR_LINK_EVT", "link 8, intrinfo 0x004505c6, subcode 4, status 0x00000000", "reset the GPU; check the link's signal"},
		"NVRM: Xid (PCI:0000:19:00): 144, SAW_MVB Nonfatal XC0 i0 Link 03 (0x00000021 0x4)":                                                                                                                             {"Xid 144: NVLink SAW error, SAW_MVB", "link 3, intrinfo 0x00000021, subcode 0, status 0x4", "none"},
		"nvidia-nvswitch0: SXid (PCI:0000:05:00.0): 12028, Non-fatal, Link 32 egress non-posted PRIV error (First)":                                                                                                     {"NVSwitch SXid 12028: Link 32 egress non-posted PRIV error (First)", "non fatal", "none; watch the count of that link"},
		"Memory cgroup out of memory: Killed process 7 (python3) total-vm:412034092kB, anon-rss:84934656kB, file-rss:91244kB, shmem-rss:0kB, UID:1000 pgtables:1kB oom_score_adj:0":                                     {"OOM kill: python3 (its cgroup's limit)", "81 GiB anonymous, 89 MiB of files, uid 1000", "give the job more memory, or let it use less"},
		"oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=x,mems_allowed=0-1,oom_memcg=/slurm/uid_1/job_8123/step_0,task_memcg=/slurm/uid_1/job_8123/step_0/task_1,task=python3,pid=7,uid=1000":              {"OOM: job_8123/step_0", "limit of job_8123/step_0", ""},
		"pcieport 0000:5d:00.0: AER: Multiple Uncorrected (Non-Fatal) error received: 0000:5e:00.0":                                                                                                                     {"PCIe: uncorrectable error", "", "check seating, riser and cable; a job on the device may have failed"},
		"nvidia 0000:5e:00.0: PCIe Bus Error: severity=Uncorrectable (Fatal), type=Transaction Layer, (Requester ID)":                                                                                                   {"PCIe: fatal error", "Transaction Layer, driver nvidia", doReseat},
		"mce: [Hardware Error]: CPU 40: Machine Check: 0 Bank 7: bc00000000010091":                                                                                                                                      {"machine check: uncorrected", "CPU 40, bank 7", "drain the node; see the BMC's log, replace what it names"},
		"EDAC MC0: 1 CE memory read error on CPU_SrcID#0_MC#0_Chan#1_DIMM#0 (channel:1)":                                                                                                                                {"memory MC0: correctable error", "CPU_SrcID#0_MC#0_Chan#1_DIMM#0", doMemory},
		"nvme3n1: Read(0x2) @ LBA 741920, 256 blocks, Unrecovered Read Error (sct 0x2 / sc 0x81) DNR":                                                                                                                   {"nvme3n1: Unrecovered Read Error", "", doReplaceDisk},
		"nfs: server 10.100.0.60 not responding, still trying":                                                                                                                                                          {"NFS server 10.100.0.60: does not answer", "", doServers},
		"nfs: server 10.100.0.60 OK": {"NFS server 10.100.0.60: answers again", "", ""},
		"Lustre: X-OST0001-osc-ffff: Connection to X-OST0001 (at 10.0.0.1@o2ib) was lost; in progress operations using this service will wait": {"Lustre X-OST0001: connection lost", "", doServers},
		"Lustre: X-OST0001-osc-ffff: Connection restored to 10.0.0.1@o2ib (at 10.0.0.1@o2ib)":                                                  {"Lustre X-OST0001: connection restored", "", ""},
		"bond0: (slave ens1np0): link status definitely down, disabling slave":                                                                 {"bond bond0 ens1np0: down", "", doCheckCable},
		"bond0: (slave ens1np0): link status definitely up, 100000 Mbps full duplex":                                                           {"bond bond0 ens1np0: up", "", ""},
		"mlx5_core 0000:41:00.0 ens1np0: Link down":                                                                                            {"link ens1np0: down", "", doCheckCable},
		"mlx5_core 0000:41:00.0: Port module event[error]: module 1, Cable error, High Temperature":                                            {"mlx5 module 1: Cable error, High Temperature", "", doCheckCable},
		"INFO: task python3\x1b[2J:41235 blocked for more than 122 seconds.":                                                                   {"hung task: python3\uFFFD[2J", "", doStacks},
		"usb 1-1: new device": {},
		"":                    {},
	} {
		c := ClassifyKernel(line)
		if diff := cmp.Diff(want, words{c.Text, c.Detail, c.Action}, cmp.AllowUnexported(words{})); diff != "" {
			t.Errorf("%s\n-want +got:\n%s", line, diff)
		}
	}
}

func TestXidTable(t *testing.T) {
	table, err := parseXids(xidCSV)
	if err != nil {
		t.Fatal(err)
	}
	for code, x := range table {
		if x.Name == "" || x.Action == "" || x.Severity == fleet.Fine || len(x.Name) > 40 || code != x.Code {
			t.Errorf("%+v", x)
		}
	}
	for _, code := range []int{46, 48, 62, 64, 74, 79, 95, 109, 110, 119, 120, 136, 140, 143, 151, 155, 156, 158} { // NVIDIA: reset or restart at once
		if x, _ := LookupXid(code); x.Severity != fleet.Critical {
			t.Errorf("Xid %d is %s", code, x.Severity)
		}
	}
	for _, broken := range []string{"h\nx,a,notice,hardware,b\n", "h\n1,a,dire,hardware,b\n", "h\n1,a,notice,gremlins,b\n", "h\n\"1"} {
		if _, err := parseXids("code,name,severity,cause,action" + broken[1:]); err == nil {
			t.Errorf("%q was taken", broken)
		}
	}
}

func FuzzClassifyKernel(f *testing.F) {
	for _, l := range readCorpus(f) {
		f.Add(l.text)
	}
	for _, s := range []string{"NVRM: Xid (", "NVRM: Xid (): 154, (", "nvidia-nvswitch0: SXid (PCI:): ", "[[[] ", "<9", "oom-kill:constraint=,oom_memcg=,pid=", ": Link down", "Nov 11 11:11:11 ", "md/raid0", "mlx5_core \x1b[2J: health compromised", "a b c: PCIe Bus Error: severity="} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		c := ClassifyKernel(line)
		if c.Severity > fleet.Fine && (c.Kind == "" || c.Text == "" && !c.Follows) || len(c.Text) > maxKernelText || c.PCI != "" && len(c.PCI) != 12 || c.Xid < 0 || c.PID < 0 || c.Subcode > 63 {
			t.Errorf("%q: %+v", line, c)
		}
		if c.Xid != 0 && c.PCI == "" {
			t.Errorf("%q: an Xid of no GPU", line)
		}
		for _, s := range []string{c.Text, c.Detail, c.Action, c.Device, c.Process, c.Cgroup, c.Unit} {
			if telemetry.Clean(s, 400) != s {
				t.Errorf("%q: %q is not fit to be shown", line, s)
			}
		}
		// Lines of one shape are counted under one of them: what they say must be the same.
		other := changeNumbers(line)
		if d := ClassifyKernel(other); telemetry.Shape(line) == telemetry.Shape(other) && len(line) < 400 &&
			(c.Kind != d.Kind || c.PCI != d.PCI || c.Device != d.Device || c.Xid != d.Xid || c.SXid != d.SXid || c.Unit != d.Unit || c.Subcode != d.Subcode || c.MIG != d.MIG) && !numbersDecide(c.Kind) {
			t.Errorf("%q and %q are of one shape, and %+v and %+v", line, other, c, d)
		}
	})
}

// changeNumbers makes each number of a line another.
func changeNumbers(line string) string {
	b := []byte(line)
	for i := range b {
		if b[i] >= '0' && b[i] < '9' {
			b[i]++
		}
	}
	return string(b)
}

// numbersDecide: a machine check's status, and the slot of a card, are numbers.
func numbersDecide(kind string) bool { return kind == "mce" || kind == "pcie" }

func BenchmarkClassifyKernel(b *testing.B) {
	for name, line := range map[string]string{"ordinary": "systemd-journald[612]: Received client request to flush runtime journal, all of it and then some more.", "xid": "NVRM: Xid (PCI:0000:3b:00): 79, pid=1234, name=python3, GPU has fallen off the bus."} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				ClassifyKernel(line)
			}
		})
	}
}
