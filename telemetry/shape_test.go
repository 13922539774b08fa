package telemetry

import (
	"strings"
	"testing"
)

func TestShape(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"usb 1-1: new device number 4", "usb 1-1: new device number 17", true},
		{"ip 00007f3a51c0de01 sp 00007ffc12345678 error 4", "ip 00007f3a51c0de99 sp 00007ffc00000000 error 6", true},
		{"blocked for more than 122 seconds", "blocked for more than 245 seconds", true},
		{"stuck for 27s! size:4096kB", "stuck for 52s! size:12kB", true},
		{"fault addr 0xdeadbeef", "fault addr 0x10", true},
		{"CPU18: hot", "CPU3: hot", true},
		{"cpu clock throttled (total events = 1)", "cpu clock throttled (total events = 99)", true},
		{"id 0123456789abcdef012345", "id fedcba98765432100a", true},
		{"req_0123456789abcdefghijk lost", "req_9876543210abcdefghijk lost", true},
		{"", "", true},
		{"nvme nvme0: timeout", "nvme nvme1: timeout", false},
		{"I/O error, dev sda1", "I/O error, dev sda2", false},
		{"Buffer I/O error on dev dm-0, block 1", "Buffer I/O error on dev dm-1, block 1", false},
		{"eth0.100: down", "eth0.200: down", false},
		{"mlx5_core 0000:41:00.0: x", "mlx5_core 0000:41:00.1: x", false},
		{"x 10000:e1:00.0 y", "x 10000:e2:00.0 y", false},
		{"DMAR: [DMA Read] Request device [3b:00.0] fault", "DMAR: [DMA Read] Request device [3c:00.0] fault", false},
		{"nfs: server 10.100.0.60 not responding", "nfs: server 10.100.0.61 not responding", false},
		{"nfs: server 10.100.0.60 not responding", "nfs: server 10.100.0.60 not responding", true},
		{"NVRM: Xid (PCI:0000:3b:00): 31, pid=71, name=python3, Ch 00000008", "NVRM: Xid (PCI:0000:3b:00): 31, pid=99, name=python3, Ch 0000001f", true},
		{"NVRM: Xid (PCI:0000:3b:00): 31, x", "NVRM: Xid (PCI:0000:3b:00): 43, x", false},
		{"NVRM: Xid (PCI:0000:3b:00): 31, x", "NVRM: Xid (PCI:0000:9d:00): 31, x", false},
		{"NVRM: Xid (PCI:0000:3b:00 GPU-I:01): 94, x", "NVRM: Xid (PCI:0000:3b:00 GPU-I:02): 94, x", false},
		{"nvidia-nvswitch0: SXid (PCI:0000:05:00.0): 12028, Data {0x1}", "nvidia-nvswitch0: SXid (PCI:0000:05:00.0): 12028, Data {0x2}", true},
		{"nvidia-nvswitch0: SXid (PCI:0000:05:00.0): 12028, x", "nvidia-nvswitch0: SXid (PCI:0000:05:00.0): 12021, x", false},
		{"NVRM: Xid (PCI:0000:19:00): 149, NETIR_LINK_EVT  Fatal   XC0 i0 Link 08 (0x004505c6 0x00000000 0x1)",
			"NVRM: Xid (PCI:0000:19:00): 149, NETIR_LINK_EVT  Fatal   XC0 i0 Link 08 (0x004505c6 0x00000000 0x2)", true},
		{"NVRM: Xid (PCI:0000:19:00): 149, NETIR_LINK_EVT  Fatal   XC0 i0 Link 08 (0x004505c6 0x00000000 0x1)",
			"NVRM: Xid (PCI:0000:19:00): 149, NETIR_LINK_EVT  Fatal   XC0 i0 Link 08 (0x024505c6 0x00000000 0x1)", false},
		{"NVRM: Xid (PCI:0000:19:00): 149, NETIR_LINK_EVT  Fatal   XC0 i0 Link 08 (0x004505c6 0x0)",
			"NVRM: Xid (PCI:0000:19:00): 149, NETIR_LINK_EVT  Fatal   XC0 i0 Link 09 (0x004505c6 0x0)", false},
	} {
		if got := Shape(c.a) == Shape(c.b); got != c.same {
			t.Errorf("the same: %v, want %v\n%s\n%s", got, c.same, c.a, c.b)
		}
	}
}

func FuzzShape(f *testing.F) {
	for _, s := range []string{"NVRM: Xid (PCI:0000:3b:00): 149, x (0x1", "3b:00.", "1.2.3.", "0x", "dm-", "cpu", "nvidia-nvswitch0: SXid ): ", "eth0.", "ffff:ff:ff", "\xff0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if Shape(text) != Shape([]byte(text)) {
			t.Errorf("%q has two shapes", text)
		}
	})
}

func BenchmarkShape(b *testing.B) {
	line := []byte("NVRM: Xid (PCI:0000:3b:00): 31, pid=7194, name=python3, Ch 00000008, intr 00000000. MMU Fault: ENGINE GRAPHICS GPCCLIENT_T1_0 faulted @ 0x7f" + strings.Repeat("0", 12))
	b.ReportAllocs()
	for b.Loop() {
		Shape(line)
	}
}
