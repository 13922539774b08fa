package findings

import (
	"testing"

	"foretop/fleet"

	"github.com/google/go-cmp/cmp"
)

func TestClassifyKernel(t *testing.T) {
	type want struct {
		severity fleet.Severity
		kind     string
		text     string
		pci      string
		xid      int
	}
	for line, w := range map[string]want{
		"NVRM: Xid (PCI:0000:3b:00): 79, pid=1234, name=python3, GPU has fallen off the bus.":                                                 {fleet.Critical, "xid", "Xid 79: fell off the bus", "0000:3b:00.0", 79},
		"[  812.4] [ T1946] NVRM: Xid (PCI:0000:3B:00): 31, pid=7194, Ch 00000008, intr 00000000. MMU Fault: ENGINE GRAPHICS":                 {fleet.Notice, "xid", "Xid 31: memory page fault", "0000:3b:00.0", 31},
		"NVRM: Xid (PCI:0000:9d:00 GPU-I:01 GPU-CI:00): 94, pid=1, name=x, Contained: CE User Channel (0x9). RST: No, D-RST: No":              {fleet.Warning, "xid", "Xid 94: contained memory error", "0000:9d:00.0", 94},
		"NVRM: Xid (0000:03:00): 13, Graphics Exception":                                                                                      {fleet.Notice, "xid", "Xid 13: graphics engine exception", "0000:03:00.0", 13},
		"NVRM: Xid (PCI:0000:19:00): 149, NETIR_LINK_EVT  Fatal   XC0 i0 Link 08 (0x004505c6 0x00000000)":                                     {fleet.Critical, "xid", "Xid 149: NVLink NETIR error", "0000:19:00.0", 149},
		"NVRM: Xid (PCI:0000:19:00): 145, RLW_REMAP Nonfatal XC0 i0 Link 02 (0x0 0x0)":                                                        {fleet.Warning, "xid", "Xid 145: NVLink RLW error", "0000:19:00.0", 145},
		"NVRM: Xid (PCI:0000:19:00): 154, GPU recovery action changed from 0x0 (None) to 0x1 (GPU Reset Required)":                            {fleet.Critical, "xid", "Xid 154: driver asks: gpu reset required", "0000:19:00.0", 154},
		"NVRM: Xid (PCI:0000:19:00): 154, GPU recovery action changed from 0x1 (GPU Reset Required) to 0x0 (None)":                            {fleet.Notice, "xid", "Xid 154: nothing to be done any more", "0000:19:00.0", 154},
		"NVRM: Xid (PCI:00000001:19:00): 4711, what":                                                                                          {fleet.Warning, "xid", "Xid 4711: unknown to us", "0001:19:00.0", 4711},
		"NVRM: Xid (PCI:0000:3b:00): 99999999999999, x":                                                                                       {},
		"NVRM: GPU 0000:18:00.0: GPU has fallen off the bus.":                                                                                 {fleet.Critical, "gpu", "GPU: fell off the bus", "0000:18:00.0", 0},
		"NVRM: GPU 0000:18:00.0: RmInitAdapter failed! (0x62:0x0:2142)":                                                                       {fleet.Critical, "gpu", "GPU: did not initialise", "0000:18:00.0", 0},
		"NVRM: GPU at PCI:0000:3b:00: GPU-0a1b":                                                                                               {},
		"nvidia-nvswitch0: SXid (PCI:0000:05:00.0): 12028, Non-fatal, Link 32 egress non-posted PRIV error (First)":                           {fleet.Warning, "sxid", "NVSwitch SXid 12028: Link 32 egress non-posted PRIV error (First)", "0000:05:00.0", 0},
		"nvidia-nvswitch0: SXid (PCI:0000:05:00.0): 20034, Fatal, Link 30 LTSSM Fault Up":                                                     {fleet.Critical, "sxid", "NVSwitch SXid 20034: Link 30 LTSSM Fault Up", "0000:05:00.0", 0},
		"nvidia-nvswitch0: SXid (PCI:0000:05:00.0): 12028, Severity 0 Engine instance 32 Sub-engine instance 00":                              {fleet.Fine, "sxid", "", "0000:05:00.0", 0},
		"Memory cgroup out of memory: Killed process 2254956 (python3) total-vm:1kB, anon-rss:1kB":                                            {fleet.Warning, "oom", "OOM kill: python3 (its cgroup's limit)", "", 0},
		"Out of memory: Killed process 12 (a) b (c) total-vm:1kB":                                                                             {fleet.Warning, "oom", "OOM kill: a) b (c (node out of memory)", "", 0},
		"oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=x,mems_allowed=0-1,oom_memcg=/slurm/uid_1/job_8123/step_0,task_memcg=/x": {fleet.Notice, "oom_detail", "OOM: job_8123", "", 0},
		"python3 invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0":                                                    {fleet.Notice, "oom_detail", "OOM killer called", "", 0},
		"INFO: task python3:41235 blocked for more than 122 seconds.":                                                                         {fleet.Warning, "hung_task", "hung task: python3", "", 0},
		"watchdog: BUG: soft lockup - CPU#18 stuck for 27s! [python3:2254956]":                                                                {fleet.Warning, "lockup", "soft lockup: CPU 18", "", 0},
		"rcu: INFO: rcu_sched self-detected stall on CPU":                                                                                     {fleet.Warning, "lockup", "RCU: stall", "", 0},
		"Kernel panic - not syncing: Fatal exception":                                                                                         {fleet.Critical, "panic", "kernel: panic", "", 0},
		"mce: [Hardware Error]: Machine check events logged":                                                                                  {fleet.Warning, "mce", "machine check: events logged", "", 0},
		"mce: [Hardware Error]: CPU 15: Machine Check Exception: 5 Bank 6: bb80000000000e0b":                                                  {fleet.Critical, "mce", "machine check: exception", "", 0},
		"mce: CPU0: Thermal monitoring enabled (TM1)":                                                                                         {},
		"mce: CPU3: Core temperature is above threshold, cpu clock is throttled (total events = 12)":                                          {fleet.Notice, "cpu_heat", "CPU: too hot, throttled", "", 0},
		"EDAC MC0: 1 CE memory read error on CPU_SrcID#0_MC#0_Chan#1_DIMM#0 (channel:1)":                                                      {fleet.Notice, "edac", "memory MC0: correctable error", "", 0},
		"EDAC MC1: 1 UE memory read error on CPU_SrcID#0":                                                                                     {fleet.Critical, "edac", "memory MC1: uncorrectable error", "", 0},
		"EDAC MC0: Giving out device to module skx_edac controller Skylake Socket#0 IMC#0":                                                    {},
		"pcieport 0000:80:01.1: PCIe Bus Error: severity=Correctable, type=Physical Layer, (Receiver ID)":                                     {fleet.Notice, "aer", "PCIe: correctable error", "0000:80:01.1", 0},
		"pcieport 0000:5D:00.0: PCIe Bus Error: severity=Uncorrectable (Non-Fatal), type=Transaction Layer":                                   {fleet.Warning, "aer", "PCIe: uncorrectable error", "0000:5d:00.0", 0},
		"pcieport 0000:5d:00.0: PCIe Bus Error: severity=Uncorrected (Fatal), type=Transaction Layer":                                         {fleet.Critical, "aer", "PCIe: fatal error", "0000:5d:00.0", 0},
		"nvme nvme4: I/O tag 322 (5142) opcode 0x1 (I/O Cmd) QID 9 timeout, aborting req_op:WRITE(1) size:4096":                               {fleet.Warning, "nvme", "nvme4: I/O timeout", "", 0},
		"nvme nvme0: Disabling device after reset failure: -19":                                                                               {fleet.Critical, "nvme", "nvme0: given up after a failed reset", "", 0},
		"nvme nvme0: 96/0/0 default/read/poll queues":                                                                                         {},
		"critical medium error, dev sdb, sector 12 op 0x0:(READ) flags 0x0 phys_seg 1 prio class 0":                                           {fleet.Warning, "block", "disk sdb: I/O error", "", 0},
		"Buffer I/O error on dev dm-0, logical block 3, lost async page write":                                                                {fleet.Warning, "block", "disk dm-0: I/O error", "", 0},
		"EXT4-fs error (device sda1): ext4_find_entry:1682: inode #2":                                                                         {fleet.Warning, "fs", "ext4 sda1: error", "", 0},
		"EXT4-fs (sda1): Remounting filesystem read-only":                                                                                     {fleet.Critical, "fs", "ext4 sda1: now read-only", "", 0},
		"EXT4-fs (sda1): mounted filesystem with ordered data mode. Opts: (null)":                                                             {},
		"XFS (dm-4): Corruption of in-memory data (0x8) detected at xfs_x+0x1/0x2. Shutting down filesystem.":                                 {fleet.Critical, "fs", "xfs dm-4: shut down", "", 0},
		"XFS (vda3): Metadata I/O Error (0x4) detected at xfs_buf":                                                                            {fleet.Warning, "fs", "xfs vda3: error", "", 0},
		"md/raid0md0: Disk failure on nvme0n1p1 detected, failing array.":                                                                     {fleet.Critical, "md", "md: disk nvme0n1p1 failed", "", 0},
		"nfs: server 10.100.0.60 not responding, still trying":                                                                                {fleet.Warning, "nfs", "NFS server 10.100.0.60: does not answer", "", 0},
		"nfs: server 10.100.0.60 OK": {fleet.Fine, "nfs", "NFS server 10.100.0.60: answers again", "", 0},
		"Lustre: X-OST0001-osc-ffff: Connection to X-OST0001 (at 10.0.0.1@o2ib) was lost; in progress operations using this service will wait": {fleet.Warning, "lustre", "Lustre X-OST0001: connection lost", "", 0},
		"Lustre: X-OST0001-osc-ffff: Connection restored to X-OST0001 (at 10.0.0.1@o2ib)":                                                      {fleet.Fine, "lustre", "Lustre X-OST0001: connection restored", "", 0},
		"mlx5_core 0000:41:00.0: poll_health:852:(pid 0): device's health compromised - reached miss count":                                    {fleet.Critical, "mlx5", "mlx5: device health compromised", "0000:41:00.0", 0},
		"mlx5_core 0000:41:00.0: mlx5_cmd_out_err:838:(pid 9): ACCESS_REG(0x805) op_mod(0x1) failed, status bad resource(0x5)":                 {},
		"mlx5_core 0000:41:00.0: Port module event: module 0, Cable unplugged":                                                                 {fleet.Warning, "mlx5", "mlx5: cable unplugged", "0000:41:00.0", 0},
		"mlx5_core 0000:41:00.0 ens1np0: Link down":                                                                                            {fleet.Warning, "link", "link ens1np0: down", "0000:41:00.0", 0},
		"mlx5_core 0000:41:00.0 ens1np0: Link up":                                                                                              {fleet.Fine, "link", "link ens1np0: up", "0000:41:00.0", 0},
		"workqueue: x hogged CPU for >10000us 4 times":                                                                                         {},
		"x: segfault at 0 ip 1 in kernel BUG at[1]":                                                                                            {},
		"": {},
	} {
		got := ClassifyKernel(line)
		if diff := cmp.Diff(w, want{got.Severity, got.Kind, got.Text, got.PCI, got.Xid}, cmp.AllowUnexported(want{})); diff != "" {
			t.Errorf("%s\n-want +got:\n%s", line, diff)
		}
	}
}

func TestXidTable(t *testing.T) {
	table, err := parseXids(xidCSV)
	if err != nil {
		t.Fatal(err)
	}
	if len(table) < 110 {
		t.Errorf("%d codes", len(table))
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
	for _, broken := range []string{"h\nx,a,notice,b\n", "h\n1,a,dire,b\n", "h\n\"1"} {
		if _, err := parseXids("code,name,severity,action" + broken[1:]); err == nil {
			t.Errorf("%q was taken", broken)
		}
	}
}

func FuzzClassifyKernel(f *testing.F) {
	for _, s := range []string{"NVRM: Xid (PCI:0000:3b:00): 79, x", "NVRM: Xid (", "NVRM: Xid (): 154, (", "nvidia-nvswitch0: SXid (PCI:): ", "[[[] ", "oom-kill:constraint=,oom_memcg=", "XFS (", "nfs: server ", ": Link down", "Out of memory: Killed process ", "EDAC MC CE ", "mlx5_core \x1b[2J: health compromised"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		c := ClassifyKernel(line)
		if c.Severity > fleet.Fine && (c.Kind == "" || c.Text == "") || len(c.Text) > 120 || c.PCI != "" && len(c.PCI) != 12 || c.Xid < 0 {
			t.Errorf("%q: %+v", line, c)
		}
		for _, r := range c.Text {
			if r < ' ' || r == 0x7f {
				t.Errorf("%q: raw control in %q", line, c.Text)
			}
		}
	})
}

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
