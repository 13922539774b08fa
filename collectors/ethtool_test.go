package collectors

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"foretop/collectors/kernfs"
	"foretop/telemetry"
	"foretop/telemetry/facts"
)

// playedDrivers answers as the drivers of a machine's interfaces would: ethtool/NAME under its root is what ethtool -S NAME prints, ethtool/NAME.modes is the
// mask of link modes that NAME supports, as the kernel writes masks: words of 32 bits in hex, the highest first.
type playedDrivers struct {
	root  kernfs.Root
	calls atomic.Int32
	hang  func(name string) // before each answer
}

func playedEthtool(root kernfs.Root) *playedDrivers { return &playedDrivers{root: root} }

func (p *playedDrivers) open() (ethtoolCall, func(), error) { return p.call, func() {}, nil }

func (p *playedDrivers) call(name string, request []byte) error {
	p.calls.Add(1)
	if p.hang != nil {
		p.hang(name)
	}
	put := binary.NativeEndian.PutUint32
	command := binary.NativeEndian.Uint32(request)
	if command == ethtoolGLinkSettings {
		mask, err := os.ReadFile(p.root.Path("ethtool/" + name + ".modes"))
		if err != nil {
			return syscall.EOPNOTSUPP
		}
		words := strings.Split(strings.TrimSpace(string(mask)), ",")
		if int(request[15]) != len(words) {
			request[15] = byte(-len(words))
			return nil
		}
		for i, w := range words {
			v, err := strconv.ParseUint(w, 16, 32)
			if err != nil {
				return err
			}
			put(request[linkHeadBytes+4*(len(words)-1-i):], uint32(v))
		}
		return nil
	}
	text, err := os.ReadFile(p.root.Path("ethtool/" + name))
	if err != nil {
		return syscall.EOPNOTSUPP
	}
	var names []string
	var values []uint64
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		at := strings.LastIndex(line, ": ") // a queue's begin with "[0]: "
		if at < 0 {
			continue
		}
		stat, value := line[:at], line[at+2:]
		v, err := strconv.ParseUint(value, 10, 64)
		if err != nil {
			return err
		}
		names, values = append(names, stat), append(values, v)
	}
	switch command {
	case ethtoolGSSetInfo:
		put(request[16:], uint32(len(names)))
	case ethtoolGStrings:
		for i, n := range names {
			copy(request[12+i*ethtoolNameBytes:], n)
		}
	case ethtoolGStats:
		if int(binary.NativeEndian.Uint32(request[4:])) != len(values) { // as kernels do that look
			put(request[4:], 0)
			return nil
		}
		for i, v := range values {
			binary.NativeEndian.PutUint64(request[8+8*i:], v)
		}
	default:
		return syscall.EINVAL
	}
	return nil
}

// drivers makes the net source of a played machine ask other drivers.
func (p *played) drivers() *playedDrivers {
	d := playedEthtool(p.m.root)
	p.m.options.ethtool = d.open
	return d
}

// oneNIC is a machine with one interface.
func oneNIC(t testing.TB, driver, stats, modes string) kernfs.Root {
	root := kernfs.Root(t.TempDir())
	write(t, root, "proc/net/dev", "Inter-|\n face |\n  eth0: 1 1 0 0 0 0 0 0 2 2 0 0 0 0 0 0\n")
	write(t, root, "sys/class/net/eth0/operstate", "up\n")
	write(t, root, "sys/class/net/eth0/speed", "100000\n")
	write(t, root, "sys/class/net/eth0/type", "1\n")
	write(t, root, "sys/class/net/eth0/carrier_changes", "2\n")
	write(t, root, "sys/class/net/eth0/device/vendor", "0x15b3\n")
	if err := os.Symlink("../../../../bus/pci/drivers/"+driver, root.Path("sys/class/net/eth0/device/driver")); err != nil {
		t.Fatal(err)
	}
	if stats != "" {
		write(t, root, "ethtool/eth0", stats)
	}
	if modes != "" {
		write(t, root, "ethtool/eth0.modes", modes)
	}
	return root
}

// Each driver's own names end in the same metrics; what it does not count is absent.
func TestDriverStats(t *testing.T) {
	for _, c := range []struct {
		driver, stats string
		want          map[telemetry.Metric]int64
	}{
		{"mlx5_core", "NIC statistics:\n     rx_packets: 9\n     rx_prio0_pause: 1\n     rx_prio3_pause: 20\n     rx_prio3_pause_duration: 999\n     rx_prio3_pause_transition: 7\n     tx_prio3_pause: 4\n" +
			"     rx_pause_ctrl_phy: 21\n     tx_pause_ctrl_phy: 4\n     rx_discards_phy: 8\n     tx_discards_phy: 0\n     rx_crc_errors_phy: 3\n     rx_symbol_err_phy: 2\n     rx_pcs_symbol_err_phy: 5\n     rx0_packets: 9\n",
			map[telemetry.Metric]int64{telemetry.NetRxPFCPause: 21, telemetry.NetTxPFCPause: 4, telemetry.NetRxPause: 21, telemetry.NetTxPause: 4, telemetry.NetRxDiscards: 8, telemetry.NetTxDiscards: 0,
				telemetry.NetRxCRCErrors: 3, telemetry.NetSymbolErrors: 2, telemetry.NetFECUncorrected: 5}},
		{"bnxt_en", "     rx_pfc_frames: 5\n     tx_pfc_frames: 6\n     rx_pause_frames: 7\n     rx_fcs_err_frames: 1\n     rx_fec_uncorrectable_blocks: 2\n     rx_fec_corrected_blocks: 99\n     pfc_pri3_rx_transitions: 9\n     [0]: rx_ucast_packets: 9\n",
			map[telemetry.Metric]int64{telemetry.NetRxPFCPause: 5, telemetry.NetTxPFCPause: 6, telemetry.NetRxPause: 7, telemetry.NetRxCRCErrors: 1, telemetry.NetFECUncorrected: 2}},
		{"ice", "     rx_priority_3_xoff.nic: 5\n     rx_priority_3_xon.nic: 5\n     rx_priority_3_xon_2_xoff.nic: 5\n     tx_priority_0_xoff.nic: 1\n     link_xoff_rx.nic: 2\n     rx_dropped.nic: 3\n     rx_crc_errors.nic: 4\n",
			map[telemetry.Metric]int64{telemetry.NetRxPFCPause: 5, telemetry.NetTxPFCPause: 1, telemetry.NetRxPause: 2, telemetry.NetRxDiscards: 3, telemetry.NetRxCRCErrors: 4}},
		{"ena", "     bw_in_allowance_exceeded: 1\n     pps_allowance_exceeded: 2\n     conntrack_allowance_available: 100\n     rx_drops: 3\n",
			map[telemetry.Metric]int64{telemetry.NetAllowanceExceeded: 3, telemetry.NetRxDiscards: 3}},
		{"gve", "     rx_queue_drop_cnt[0]: 1\n     rx_queue_drop_cnt[15]: 2\n     rx_no_buffers_posted[0]: 4\n     rx_queue_drop_cnt[]: 9\n", map[telemetry.Metric]int64{telemetry.NetRxDiscards: 7}},
		{"igb", "     rx_crc_errors: 1\n     rx_missed_errors: 2\n     tx_flow_control_xoff: 3\n", map[telemetry.Metric]int64{telemetry.NetRxCRCErrors: 1, telemetry.NetRxDiscards: 2, telemetry.NetTxPause: 3}},
		{"new_driver", "     rx_crc_errors_phy: 1\n     rx_things: 2\n", nil},
		{"mlx5_core", "     rx_discards_phy: 18446744073709551615\n", map[telemetry.Metric]int64{telemetry.NetRxDiscards: 1 << 61}},
	} {
		t.Run(c.driver, func(t *testing.T) {
			p := play(t, oneNIC(t, c.driver, c.stats, ""), sourcesOf("net"))
			p.tick()
			for _, m := range netStatMetrics {
				want, ok := c.want[m]
				if !ok {
					want = telemetry.Absent
				}
				if got := p.get(m, 0); got != want {
					d, _ := telemetry.Lookup(m)
					t.Errorf("%s is %d, want %d", d.Name, got, want)
				}
			}
			if c := p.condition("net"); c.state != facts.SourceState_SOURCE_OK || c.text != "" {
				t.Errorf("net is %+v", c)
			}
		})
	}
}

// Statistics come every ten seconds, names are asked for once, and again when a driver has others.
func TestDriverStatsPace(t *testing.T) {
	root := oneNIC(t, "mlx5_core", "     rx_discards_phy: 1\n", "00000000,00000000,40000000,00000000")
	p := play(t, root, sourcesOf("net"))
	d := p.drivers()
	p.tick()
	if got := p.get(telemetry.NetSpeedMaxMbps, 0); got != 200_000 { // bit 62
		t.Errorf("at best %d Mbit/s", got)
	}
	first := d.calls.Load()
	write(t, root, "ethtool/eth0", "     rx_discards_phy: 2\n")
	p.tick()
	if p.get(telemetry.NetRxDiscards, 0) != 1 || d.calls.Load() != first {
		t.Errorf("read again after a second: %d, %d calls", p.get(telemetry.NetRxDiscards, 0), d.calls.Load()-first)
	}
	for range 9 {
		p.tick()
	}
	if p.get(telemetry.NetRxDiscards, 0) != 2 || d.calls.Load() != first+2 {
		t.Errorf("after ten seconds %d, %d calls", p.get(telemetry.NetRxDiscards, 0), d.calls.Load()-first)
	}
	write(t, root, "ethtool/eth0", "     rx_packets: 5\n     rx_discards_phy: 3\n")
	for range 10 {
		p.tick()
	}
	if got := p.get(telemetry.NetRxDiscards, 0); got != 3 {
		t.Errorf("with other statistics %d", got)
	}
	if got, want := p.get(telemetry.ReadMS, int(telemetry.GroupNetErrors)), p.ms.Load(); got != want {
		t.Errorf("read at %d, want %d", got, want)
	}
	// Another cable: the speed is looked at without delay.
	write(t, root, "sys/class/net/eth0/speed", "25000\n")
	write(t, root, "sys/class/net/eth0/carrier_changes", "4\n")
	p.tick()
	if got := p.get(telemetry.NetSpeedMbps, 0); got != 25_000 {
		t.Errorf("speed %d", got)
	}
}

// A driver that refuses is asked once, and named; one that has no statistics is asked once, and is no fault.
func TestDriverRefuses(t *testing.T) {
	root := oneNIC(t, "mlx5_core", "", "")
	for _, c := range []struct {
		err  error
		text string
	}{{syscall.EPERM, "statistics refused by the driver (operation not permitted), not read again: eth0"}, {syscall.EIO, "statistics refused by the driver (input/output error), not read again: eth0"}, {syscall.EOPNOTSUPP, ""}} {
		p := play(t, root, sourcesOf("net"))
		calls := 0
		p.m.options.ethtool = func() (ethtoolCall, func(), error) {
			return func(_ string, request []byte) error {
				if binary.NativeEndian.Uint32(request) == ethtoolGSSetInfo {
					calls++
				}
				return c.err
			}, func() {}, nil
		}
		for range 30 {
			p.tick()
		}
		if got := p.condition("net"); calls != 1 || got.state != facts.SourceState_SOURCE_OK || got.text != c.text {
			t.Errorf("%v: asked %d times, %+v", c.err, calls, got)
		}
	}
	p := play(t, root, sourcesOf("net"))
	p.m.options.ethtool = func() (ethtoolCall, func(), error) { return nil, nil, errors.New("no sockets here") }
	p.tick()
	if got := p.condition("net"); got.state != facts.SourceState_SOURCE_OK || p.get(telemetry.NetSpeedMbps, 0) != 100_000 {
		t.Errorf("without a socket: %+v, speed %d", got, p.get(telemetry.NetSpeedMbps, 0))
	}
}

// A driver that does not answer costs the other readings nothing, is named, and is not asked a second time.
func TestDriverHangs(t *testing.T) {
	root := oneNIC(t, "mlx5_core", "     rx_discards_phy: 1\n", "")
	p := play(t, root, sourcesOf("net"))
	d := p.drivers()
	release := make(chan struct{})
	d.hang = func(string) { <-release }
	for i := range 25 {
		write(t, root, "proc/net/dev", fmt.Sprintf("Inter-|\n face |\n  eth0: %d 1 0 0 0 0 0 0 2 2 0 0 0 0 0 0\n", i))
		p.tick()
		if got := p.get(telemetry.NetRxBytes, 0); got != int64(i) {
			t.Fatalf("tick %d: %d bytes", i, got)
		}
	}
	if c := p.condition("net"); c.state != facts.SourceState_SOURCE_STUCK || c.text != "the driver of eth0 does not answer" || c.remedy == "" {
		t.Errorf("net is %+v", c)
	}
	if d.calls.Load() != 1 || p.get(telemetry.SourceStuckMS, 0) != 24_000 {
		t.Errorf("%d calls are out, stuck for %d ms", d.calls.Load(), p.get(telemetry.SourceStuckMS, 0))
	}
	close(release)
	for late := time.Now().Add(20 * time.Second); p.get(telemetry.NetRxDiscards, 0) != 1; p.tick() {
		if time.Now().After(late) {
			t.Fatalf("net stays %+v", p.condition("net"))
		}
	}
	if c := p.condition("net"); c.state != facts.SourceState_SOURCE_OK {
		t.Errorf("net is %+v", c)
	}
}

func TestParseLinkSettings(t *testing.T) {
	settings := func(words int, bits ...int) []byte {
		b := make([]byte, linkHeadBytes+12*max(words, 0))
		b[15] = byte(words)
		for _, n := range bits {
			b[linkHeadBytes+n/8] |= 1 << (n % 8) // of a little-endian machine
		}
		return b
	}
	for _, c := range []struct {
		name string
		in   []byte
		want int64
	}{
		{"100GBASE-CR4 and less", settings(4, 5, 6, 13, 31, 34, 38, 50), 100_000},
		{"FEC and pause are no modes", settings(4, 6, 7, 10, 13, 14, 16, 49, 50, 51, 74), 0},
		{"400GBASE-KR4", settings(4, 85), 400_000},
		{"800GBASE-VR4", settings(4, 38, 120), 800_000},
		{"of tomorrow", settings(4, 121, 127), 0},
		{"one word", settings(1, 5), 1000},
		{"no words", settings(0), 0},
		{"how many words there are", settings(-4), 0},
		{"nothing", nil, 0},
		{"cut short", settings(4, 38)[:linkHeadBytes+8], 0},
	} {
		if got := parseLinkSettings(c.in); got != c.want {
			t.Errorf("%s: %d Mbit/s, want %d", c.name, got, c.want)
		}
	}
}

// The real calls: the loopback has no statistics, an interface that is not there is gone, and whatever else this machine has answers or has none.
func TestEthtoolIsReal(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("ethtool is Linux's")
	}
	call, done, err := openEthtool()
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	buf, err := ethtoolBuffer()
	if err != nil {
		t.Fatal(err)
	}
	buf[0], buf[len(buf)-1] = 1, 1
	forget(buf)
	if _, err := countStats("lo", call, buf); !errors.Is(err, syscall.EOPNOTSUPP) {
		t.Errorf("loopback: %v", err)
	}
	if _, err := countStats("not-there", call, buf); !errors.Is(err, syscall.ENODEV) {
		t.Errorf("an interface that is not there: %v", err)
	}
	if _, err := countStats("a-name-that-is-longer-than-any", call, buf); !errors.Is(err, syscall.ENODEV) {
		t.Errorf("a name that is too long: %v", err)
	}
	names, err := kernfs.Root("").Names("sys/class/net")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		a := newAdapter(name, kernfs.Root("").Target("sys/class/net/"+name+"/device/driver"))
		a.read(call, buf)
		a.readSpeed(call, buf)
		t.Logf("%s: %d statistics, of them told %v, off %t %s", name, a.count, a.stats, a.off, a.why)
		if name == "lo" && (!a.off || a.why != "") {
			t.Error("the loopback is no fault, and is not asked again")
		}
	}
}

// Whatever a driver answers, nothing panics and no sum is negative.
func FuzzEthtool(f *testing.F) {
	f.Add([]byte{2, 0, 0, 0, 'r', 'x', '_', 'p', 'r', 'i', 'o', '3', '_', 'p', 'a', 'u', 's', 'e'})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff})
	f.Add([]byte{0, 0x40, 0, 0})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, answer []byte) {
		a := newAdapter("eth0", "mlx5_core")
		buf := make([]byte, ethtoolBytes)
		call := func(_ string, request []byte) error {
			switch command := binary.NativeEndian.Uint32(request); command {
			case ethtoolGSSetInfo:
				copy(request[16:], answer)
			case ethtoolGLinkSettings:
				copy(request[15:], answer)
			default:
				copy(request[8:], answer)
				if len(answer)%3 == 0 {
					copy(request[4:], answer)
				}
			}
			return nil
		}
		for range 2 {
			a.read(call, buf)
			a.readSpeed(call, buf)
			for _, v := range a.stats {
				if v != telemetry.Absent && v < 0 {
					t.Errorf("sum %d", v)
				}
			}
			if a.maxMbps != telemetry.Absent && (a.maxMbps <= 0 || a.maxMbps > 800_000) {
				t.Errorf("%d Mbit/s", a.maxMbps)
			}
		}
		parseLinkSettings(answer)
		statMetric("gve", parseStatName(answer))
	})
}
