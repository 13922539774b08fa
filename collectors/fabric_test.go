package collectors

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"foretop/collectors/kernfs"
	"foretop/telemetry"
	"foretop/telemetry/facts"
)

// A counter of 32 bits that begins anew at its end goes on; one that was set back is set back.
func TestCountersThatWrap(t *testing.T) {
	root := extract(t, "roce-bond")
	p := play(t, root, sourcesOf("rdma"))
	file := "sys/class/infiniband/mlx5_bond_1/ports/1/hw_counters/out_of_sequence"
	for _, c := range []struct {
		file string
		want int64
	}{
		{"4294967200", 4294967200}, {"4294967290", 4294967290}, {"4", 1<<32 + 4}, {"4", 1<<32 + 4}, {"3000000000", 1<<32 + 3_000_000_000}, {"7", 2<<32 + 7},
		{"1", 1}, {"2147483647", 2147483647}, {"0", 0}, // in its lower half: a new start of the driver
	} {
		write(t, root, file, c.file+"\n")
		for range 10 {
			p.tick()
		}
		if got := p.get(telemetry.PortOutOfSequence, 1); got != c.want {
			t.Errorf("%s is told as %d, want %d", c.file, got, c.want)
		}
	}
	// A counter that stops at its end, or is 64 bits wide, is told as it is.
	for name, m := range map[string]telemetry.Metric{"counters/symbol_error": telemetry.PortSymbolError, "hw_counters/np_cnp_sent": telemetry.PortNPCNPSent} {
		file := "sys/class/infiniband/mlx5_bond_1/ports/1/" + name
		for _, v := range []string{"4294967290", "5"} {
			write(t, root, file, v+"\n")
			for range 10 {
				p.tick()
			}
			if got := strconv.FormatInt(p.get(m, 1), 10); got != v {
				t.Errorf("%s: %s is told as %s", name, v, got)
			}
		}
	}
}

// What the subnet manager changes at run time reaches the inventory without the devices being listed anew, and a link that flaps makes no inventory a second.
func TestPortChanges(t *testing.T) {
	root := extract(t, "h100")
	p := play(t, root, sourcesOf("rdma"))
	p.tick()
	generation := p.m.board.generation
	first := p.m.board.inventory.Ports[0]
	if first.Lid != 33 || first.SmLid != 1 || first.RateMax != "kind of device" || p.get(telemetry.PortRateMaxMbps, 0) != 400_000 {
		t.Fatalf("port %v, at best %d", first, p.get(telemetry.PortRateMaxMbps, 0))
	}
	port := "sys/class/infiniband/mlx5_0/ports/1/"
	write(t, root, port+"lid", "0x7f\n")
	write(t, root, port+"sm_lid", "0x2\n")
	for range 10 {
		p.tick()
	}
	if now := p.m.board.inventory.Ports[0]; now.Lid != 127 || now.SmLid != 2 || p.m.board.generation != generation+1 {
		t.Errorf("port %v, generation %d", now, p.m.board.generation-generation)
	}
	if first.Lid != 33 {
		t.Error("what was told already was changed in place")
	}
	for i := range 30 {
		state, rate := "4: ACTIVE\n", "400 Gb/sec (4X NDR)\n"
		if i%2 == 0 {
			state, rate = "1: DOWN\n", "10 Gb/sec (4X SDR)\n"
		}
		write(t, root, port+"state", state)
		write(t, root, port+"rate", rate)
		p.tick()
	}
	if n := p.m.board.generation - generation; n > 5 {
		t.Errorf("%d inventories in 30 s of flapping", n)
	}
	for range 11 {
		p.tick()
	}
	if now := p.m.board.inventory.Ports[0]; now.Rate != "400 Gb/sec (4X NDR)" || len(p.m.board.inventory.Ports) != 10 {
		t.Errorf("port %v", now)
	}
	n := p.m.board.generation
	for range 60 {
		p.tick()
	}
	if p.m.board.generation != n {
		t.Errorf("%d inventories of nothing new", p.m.board.generation-n)
	}
}

// A device that refuses its counters is asked by no source: its interface's statistics would fill the kernel log as well.
func TestRefusedDeviceIsLeftAlone(t *testing.T) {
	root := extract(t, "h100")
	bad := "sys/class/infiniband/mlx5_1/ports/1/counters/port_rcv_data"
	os.Remove(root.Path(bad))
	if err := os.Symlink("/proc/self/mem", root.Path(bad)); err != nil { // reading it at 0 is EIO
		t.Fatal(err)
	}
	p := play(t, root, sourcesOf("rdma"))
	p.tick()
	net := newNet(p.m)
	defer net.close()
	d := p.drivers()
	if err := net.read(p.ctx); err != nil {
		t.Fatal(err)
	}
	// ens6f0 is mlx5_1's: asked for its link modes only. ens6f1, of a function that does not refuse, for how many, names and values as well.
	if got := d.calls.Load(); got != 2+2+3 {
		t.Errorf("%d calls", got)
	}
	if p.get(telemetry.NetRxDiscards, 0) != telemetry.Absent || p.get(telemetry.NetRxDiscards, 1) != 0 || p.get(telemetry.NetSpeedMaxMbps, 0) != 200_000 {
		t.Errorf("discards %d and %d", p.get(telemetry.NetRxDiscards, 0), p.get(telemetry.NetRxDiscards, 1))
	}
}

// A driver that cannot ask its firmware answers with words: its device is not asked again each second.
func TestNoPMA(t *testing.T) {
	root := extract(t, "h100")
	dir := "sys/class/infiniband/mlx5_3/ports/1/counters/"
	names, err := root.Names(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		write(t, root, dir+n, "N/A (no PMA)\n")
	}
	p := play(t, root, sourcesOf("rdma"))
	p.tick()
	write(t, root, dir+"port_rcv_data", "5\n")
	for range 21 {
		p.tick()
	}
	if c := p.condition("rdma"); c.state != facts.SourceState_SOURCE_OK || c.text != "counters refused by the device (input/output error), not read again: mlx5_2, mlx5_3" {
		t.Errorf("rdma is %+v", c)
	}
	if p.get(telemetry.PortRcvDataBytes, 3) != telemetry.Absent || p.get(telemetry.PortState, 3) != 4 || p.get(telemetry.PortRcvDataBytes, 4) == telemetry.Absent {
		t.Error("it was read again, or more than its counters are missing")
	}
}

// Data counters of an old device are 32 bits wide and stop: that is no traffic of 0.
func TestDataCountersThatStopped(t *testing.T) {
	root := extract(t, "h100")
	os.RemoveAll(root.Path("sys/class/infiniband/mlx5_2"))
	for _, n := range []string{"rcv", "xmit"} {
		write(t, root, "sys/class/infiniband/mlx5_0/ports/1/counters/port_"+n+"_data", "4294967295\n")
	}
	p := play(t, root, sourcesOf("rdma"))
	p.tick()
	if p.get(telemetry.PortRcvDataBytes, 0) != telemetry.Absent || p.get(telemetry.PortXmitDataBytes, 0) != telemetry.Absent {
		t.Error("traffic of a counter that stopped")
	}
	if c := p.condition("rdma"); c.text != "data counters of 32 bits stand at their limit (perfquery -R resets them): mlx5_0" {
		t.Errorf("rdma is %+v", c)
	}
	write(t, root, "sys/class/infiniband/mlx5_0/ports/1/counters/port_rcv_data", "100\n")
	write(t, root, "sys/class/infiniband/mlx5_0/ports/1/counters/port_xmit_data", "200\n")
	p.tick()
	if c := p.condition("rdma"); c.text != "" || p.get(telemetry.PortRcvDataBytes, 0) != 400 {
		t.Errorf("after a reset: %+v, %d bytes", c, p.get(telemetry.PortRcvDataBytes, 0))
	}
}

// What both the card and its slot can do is what the link could be.
func TestPCIeLink(t *testing.T) {
	for _, c := range []struct {
		name                     string
		now, width, best, widest string // of the card
		slot, slotWidest         string
		want                     pcieLink
	}{
		{"well", "32.0 GT/s PCIe", "16", "32.0 GT/s PCIe", "16", "64.0 GT/s PCIe", "16", pcieLink{5, 5, 16, 16}},
		{"degraded", "16.0 GT/s PCIe", "8", "32.0 GT/s PCIe", "16", "32.0 GT/s PCIe", "16", pcieLink{4, 5, 8, 16}},
		{"an older slot", "16.0 GT/s PCIe", "8", "32.0 GT/s PCIe", "16", "16.0 GT/s PCIe", "8", pcieLink{4, 4, 8, 8}},
		{"as old kernels word it", "8 GT/s", "8", "8 GT/s", "8", "", "", pcieLink{3, 3, 8, 8}},
		{"a virtual function", "Unknown", "0", "Unknown", "0", "", "", noPCIeLink},
		{"nothing", "", "", "", "", "", "", noPCIeLink},
	} {
		root := kernfs.Root(t.TempDir())
		for name, text := range map[string]string{"d/current_link_speed": c.now, "d/current_link_width": c.width, "d/max_link_speed": c.best, "d/max_link_width": c.widest,
			"max_link_speed": c.slot, "max_link_width": c.slotWidest} {
			if text != "" {
				write(t, root, name, text+"\n")
			}
		}
		if err := os.Symlink("d", root.Path("link")); err != nil && c.now != "" {
			t.Fatal(err)
		}
		if got, _ := readPCIeLink(root, "link", nil); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestCommonPath(t *testing.T) {
	const card = "pci0000:48/0000:48:01.0/0000:49:00.0/0000:4a:00.0/"
	for _, c := range []struct {
		paths []string
		want  string
	}{
		{[]string{card + "0000:4b:00.0", card + "0000:4b:00.1"}, card + "0000:4b:00.0"},
		{[]string{card + "0000:4b:00.0", "pci0000:48/0000:48:01.0/0000:49:00.0/0000:4a:04.0/0000:55:00.0"}, "pci0000:48/0000:48:01.0/0000:49:00.0/0000:4b:00.0"},
		{[]string{card + "0000:4b:00.0", "pci0000:48/0000:48:01.1/0000:56:00.0"}, "pci0000:48/0000:4b:00.0"},
		{[]string{card + "0000:4b:00.0", "pci0000:c9/0000:c9:01.0/0000:cc:00.0"}, ""},
		{[]string{card + "0000:4b:00.0", ""}, ""}, {[]string{card + "0000:4b:00.0"}, card + "0000:4b:00.0"}, {[]string{"", ""}, ""}, {nil, ""},
	} {
		if got := commonPath(c.paths); got != c.want {
			t.Errorf("%q: %q, want %q", c.paths, got, c.want)
		}
	}
}

// An interface that joins a bond, or leaves it, is told so though the list of interfaces stays.
func TestBondChanges(t *testing.T) {
	root := extract(t, "roce-bond")
	p := play(t, root, sourcesOf("net"))
	p.tick()
	os.Remove(root.Path("sys/class/net/ens11f1np1/master"))
	for range 61 {
		p.tick()
	}
	if n := p.m.board.inventory.Nets[2]; n.Name != "ens11f1np1" || n.Master != "" {
		t.Errorf("interface %v", n)
	}
	if got := p.get(telemetry.NetRxPFCPause, 2); got != 17554 {
		t.Errorf("pauses %d", got)
	}
}

func TestBrokenFabric(t *testing.T) {
	for in, want := range map[string]uint32{"0x1f\n": 31, "31": 31, "0x0": 0, "": 0, "x": 0, "0xffff": 0, "-1": 0, "0x1ffffffff": 0} {
		if got := parseLID([]byte(in)); got != want {
			t.Errorf("parseLID made %d of %q", got, in)
		}
	}
	for in, want := range map[string]int64{"2.5 GT/s PCIe": 1, "64.0 GT/s PCIe": 6, "": telemetry.Absent, "GT/s": telemetry.Absent, "32.0": telemetry.Absent, "31 GT/s": telemetry.Absent, "32.0 GB/s": telemetry.Absent} {
		if got := parseLinkSpeed([]byte(in)); got != want {
			t.Errorf("parseLinkSpeed made %d of %q", got, in)
		}
	}
	for in, want := range map[string]string{"802.3ad 4\n": "802.3ad", "balance-rr": "balance-rr", "": "", "\x1b[31m 1": "\ufffd[31m"} {
		if got := parseBondMode([]byte(in)); got != want {
			t.Errorf("parseBondMode made %q of %q", got, in)
		}
	}
	for in, want := range map[string]string{"a b\n": "a b", "": "", "../x . .. ok": "ok", strings.Repeat("x ", 50): strings.TrimSpace(strings.Repeat("x ", maxSlaves))} {
		if got := strings.Join(parseSlaves([]byte(in)), " "); got != want {
			t.Errorf("parseSlaves made %q of %q", got, in)
		}
	}
	for in, want := range map[string]bool{"0000:18:00.0": true, "10000:18:00.0": false, "0000:18:00": false, "0000-18:00.0": false, "0000:1G:00.0": false, "virtio0": false, "": false} {
		if isPCI(in) != want {
			t.Errorf("isPCI(%q)", in)
		}
	}
}

// The kernel's words about interfaces, bonds and links: nothing panics, and what is made of them fits to travel and to be read.
func FuzzFabric(f *testing.F) {
	for _, s := range []string{"802.3ad 4\n", "ens1f0 ens1f1\n", "0x1f\n", "32.0 GT/s PCIe\n", "pci0000:48/0000:48:01.0/0000:49:00.0|pci0000:48/0000:48:01.1/0000:50:00.0"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if mode := parseBondMode(b); !utf8.ValidString(mode) || len(mode) > maxDeviceName {
			t.Errorf("bond mode %q", mode)
		}
		for _, s := range parseSlaves(b) {
			if s == "" || strings.Contains(s, "/") || s == ".." {
				t.Errorf("slave %q", s)
			}
		}
		parseLID(b)
		if gen := parseLinkSpeed(b); gen != telemetry.Absent && (gen < 1 || gen > 6) {
			t.Errorf("PCIe generation %d", gen)
		}
		isPCI(string(b))
		paths := strings.Split(string(b), "|")
		if c := commonPath(paths); c != "" && len(c) > len(paths[0]) {
			t.Errorf("%q is longer than %q", c, paths[0])
		}
		c := rdmaCounter{def: telemetry.LookupCounter("mlx5_core", "out_of_sequence")}
		for _, v := range b {
			if c.take(uint64(v) << 24); c.value < 0 {
				t.Errorf("counter %d", c.value)
			}
		}
	})
}
