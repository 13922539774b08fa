package accelerators

import (
	"fmt"
	"strings"
	"testing"

	"foretop/telemetry"
)

// What the drivers' files hold, and what they must not be taken for.
func TestParsers(t *testing.T) {
	none := telemetry.Absent
	two := func(a, b int64) string { return fmt.Sprintf("%d %d", a, b) }
	for _, c := range []struct {
		name  string
		parse func([]byte) string
		cases map[string]string
	}{
		{"error counts", func(b []byte) string { return two(parseErrorCount(b)) }, map[string]string{
			"ue: 2\nce: 12\n": two(12, 2), "ue: 2\nce: 12\nde: 7\n": two(12, 2), "ce: 1": two(1, none), "": two(none, none),
			"Query currently inaccessible\n": two(none, none), "ue: -1\nce: x\n": two(none, none), "ce 1\nue 2\n": two(none, none),
			"ue: 99999999999999999999999\nce: 281474976710657\n": two(none, none),
		}},
		{"bad pages", func(b []byte) string { return two(parseBadPages(b)) }, map[string]string{
			"": two(0, 0), "0x00000001 : 0x00001000 : R\n0x00000002 : 0x00001000 : P\n0x3 : 0x1000 : F\n": two(2, 1), "R\n::\n: : X\n": two(0, 0),
		}},
		{"clock levels", func(b []byte) string { return fmt.Sprint(parseLevels(b)) }, map[string]string{
			"0: 132Mhz\n1: 2100Mhz *\n": "2100", "S: 19Mhz *\n0: 500Mhz\n1: 2104MHz\n": "2104", "": fmt.Sprint(none), "0: 99999999999Mhz": fmt.Sprint(none),
			"0: Mhz\n1: 5GHz\n2:\n": fmt.Sprint(none),
		}},
		{"link speed", func(b []byte) string { return fmt.Sprint(parseLinkSpeed(b)) }, map[string]string{
			"2.5 GT/s PCIe\n": "1", "16.0 GT/s PCIe\n": "4", "32.0 GT/s PCIe\n": "5", "64.0 GT/s PCIe": "6", "8 GT/s": "3", "Unknown\n": fmt.Sprint(none),
			"16.0 MT/s": fmt.Sprint(none), "17.0 GT/s": fmt.Sprint(none), "": fmt.Sprint(none), "-16.0 GT/s": fmt.Sprint(none),
		}},
		{"lanes", func(b []byte) string { return fmt.Sprint(parseLanes(b)) }, map[string]string{
			"16\n": "16", "0\n": fmt.Sprint(none), "63\n": fmt.Sprint(none), "255\n": fmt.Sprint(none), "": fmt.Sprint(none),
		}},
		{"location", parseLocation, map[string]string{
			"domain 0\nlocation_id 1280\n": "0000:05:00.0", "location_id 1280": "0000:05:00.0", "domain 1\nlocation_id 49408": "0001:c1:00.0",
			"location_id 1283\ndomain 0": "0000:05:00.0", "location_id 805307648": "0000:05:00.0", // partition 3, either way
			"": "", "location_id x": "", "location_id -5": "", "domain 99999999999999\nlocation_id 18446744073709551615": "",
		}},
		{"hexadecimal", func(b []byte) string { v, ok := parseHex(b); return fmt.Sprint(v, ok) }, map[string]string{
			"0x74a1": "29857 true", "120000": "1179648 true", "0x": "0 false", "": "0 false", "0xg": "0 false", "0x11112222333344445": "0 false",
		}},
		{"address", func(b []byte) string { return fmt.Sprint(isPCIAddress(string(b))) }, map[string]string{
			"0000:05:00.0": "true", "10000:e1:00.0": "false", "amdgpu_xcp_0": "false", "0000:05:00:0": "false", "0000:0g:00.0": "false", "": "false",
		}},
		{"asleep", func(b []byte) string { return fmt.Sprint(asleep(b)) }, map[string]string{
			"suspended\n": "true", "suspending\n": "true", "active\n": "false", "resuming\n": "false", "unsupported\n": "false", "error\n": "false", "": "false",
		}},
		{"open file", func(b []byte) string { o, ok := parseFDInfo(b); return fmt.Sprint(o.address, o.client, o.memory, ok) }, map[string]string{
			"drm-driver:\txe\ndrm-client-id:\t7\ndrm-pdev:\t0000:03:00.0\ndrm-total-vram0:\t2 MiB\ndrm-resident-vram0:\t1 MiB\n":  fmt.Sprint("0000:03:00.0", 7, 1<<20, true),
			"drm-pdev: 0000:03:00.0\ndrm-client-id: 7\ndrm-total-local0: 4 KiB\ndrm-total-local1: 4\ndrm-total-system0: 9 GiB\n":  fmt.Sprint("0000:03:00.0", 7, 4100, true),
			"drm-pdev: 0000:03:00.0\ndrm-client-id: 7\ndrm-memory-vram: 1 KiB\ndrm-total-vram: 2 KiB\n":                           fmt.Sprint("0000:03:00.0", 7, 2048, true),
			"drm-pdev: 0000:03:00.0\ndrm-client-id: 7\n":                                                                          fmt.Sprint("0000:03:00.0", 7, none, true),
			"drm-pdev: ../../x\ndrm-client-id: 7\n":                                                                               fmt.Sprint("", 7, none, false),
			"drm-pdev: 0000:03:00.0\n":                                                                                            fmt.Sprint("0000:03:00.0", 0, none, false),
			"drm-pdev: 0000:03:00.0\ndrm-client-id: -1\n":                                                                         fmt.Sprint("0000:03:00.0", 0, none, false),
			"drm-client-id: 1\ndrm-pdev: 0000:03:00.0\ndrm-total-vram0: 18446744073709551615 MiB\ndrm-resident-vram0: 5 parsec\n": fmt.Sprint("0000:03:00.0", 1, none, true),
			"pos:\t0\nflags:\t02\n": fmt.Sprint("", 0, none, false),
		}},
	} {
		for text, want := range c.cases {
			if got := c.parse([]byte(text)); got != want {
				t.Errorf("%s %q: got %s, want %s", c.name, text, got, want)
			}
		}
	}
}

func FuzzParsers(f *testing.F) {
	for content := 1; content <= 8; content++ {
		f.Add(buildMetrics(content, every))
	}
	f.Add(buildAttributes(attribute{0, 2, []uint64{42}}, attribute{29, 6, []uint64{1, 2, 3, 4, 5, 6, 7, 8}}))
	for _, s := range []string{"ue: 2\nce: 12\n", "0x1 : 0x1000 : R\n", "0: 132Mhz *\n", "16.0 GT/s PCIe\n", "location_id 1280\ndomain 0\n",
		"drm-pdev:\t0000:03:00.0\ndrm-client-id:\t7\ndrm-total-vram0:\t2 MiB\n", "0x74a1"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		before := string(b)
		var m gpuMetrics
		parseGPUMetrics(b, &m)
		for i, v := range m {
			if v < 0 && v != telemetry.Absent {
				t.Errorf("field %d is %d", i, v)
			}
		}
		r := newResidencies()
		r.add(&m, 1)
		r.add(&m, 2)
		card := amdCard{metrics: m, throttle: r, vramTotal: telemetry.Absent, gttTotal: telemetry.Absent}
		var s sheet
		card.relink()
		card.putLinks(&s)
		card.putTraffic(&s, true)
		card.throttle.put(&s)
		s.put(telemetry.GPUEnergyMJ, card.energy())
		for _, e := range s {
			if e.value < 0 || e.at >= xgmiLinks {
				t.Errorf("told %+v", e)
			}
		}
		ce, ue := parseErrorCount(b)
		retired, pending := parseBadPages(b)
		for _, v := range []int64{ce, ue, retired, pending, parseLevels(b), parseLinkSpeed(b), parseLanes(b), parseNumber(b), property(b, "location_id")} {
			if v < 0 && v != telemetry.Absent {
				t.Errorf("read %d", v)
			}
		}
		if a := parseLocation(b); a != "" && !isPCIAddress(a) {
			t.Errorf("address %q", a)
		}
		if o, ok := parseFDInfo(b); ok && (!isPCIAddress(o.address) || o.memory < 0 && o.memory != telemetry.Absent) {
			t.Errorf("open file %+v", o)
		}
		parseHex(b)
		if strings.Compare(before, string(b)) != 0 {
			t.Error("a parser wrote to its input")
		}
	})
}
