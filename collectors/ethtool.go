package collectors

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"syscall"

	"foretop/telemetry"
)

// ethtoolCall asks the driver of a network interface (ioctl SIOCETHTOOL). The request begins with the number of the command; the kernel writes its answer
// over it, and does not look how long it is. Source: include/uapi/linux/ethtool.h.
type ethtoolCall func(name string, request []byte) error

// Commands and the set of strings that names the statistics.
const (
	ethtoolGStrings      = 0x1b
	ethtoolGStats        = 0x1d
	ethtoolGSSetInfo     = 0x37
	ethtoolGLinkSettings = 0x4c
	ethtoolStatsSet      = 1
)

const (
	ethtoolNameBytes = 32
	// maxDriverStats bounds how many statistics of one interface are looked at: an adapter with 256 queues has 10,000.
	maxDriverStats = 1 << 14
	// ethtoolBytes is room for their names, the longest of all answers.
	ethtoolBytes = 12 + maxDriverStats*ethtoolNameBytes

	linkHeadBytes = 48  // of ethtool_link_settings, before its masks
	maxLinkWords  = 127 // the number of words is a signed byte
)

var errTooManyStats = errors.New("more statistics than are looked at")

// statSum says into which metric one of a driver's statistics is added.
type statSum struct {
	at     int // among the driver's
	metric int // place in netStatMetrics
}

// adapter is one interface whose driver is asked.
type adapter struct {
	name    string
	driver  string
	count   int // of its driver's statistics, when their names were resolved
	plan    []statSum
	words   int // of its masks of link modes; 0: not known yet
	off     bool
	why     string // it is off
	stats   [numNetStats]int64
	maxMbps int64 // of the supported link modes; Absent
}

func newAdapter(name, driver string) *adapter {
	a := &adapter{name: name, driver: driver, maxMbps: telemetry.Absent}
	a.clear()
	return a
}

func (a *adapter) clear() {
	for i := range a.stats {
		a.stats[i] = telemetry.Absent
	}
}

// read asks for the statistics. A driver that has none, or refuses, is not asked again: its refusals may fill the kernel log.
func (a *adapter) read(call ethtoolCall, buf []byte) {
	a.clear()
	if a.off {
		return
	}
	err := a.readStats(call, buf)
	switch {
	case err == nil:
	case errors.Is(err, syscall.ENODEV): // it went; the table of interfaces says so as well
	case errors.Is(err, syscall.EOPNOTSUPP):
		a.off = true
	default:
		a.off, a.why = true, err.Error()
	}
}

func (a *adapter) readStats(call ethtoolCall, buf []byte) error {
	n, err := countStats(a.name, call, buf)
	if err != nil {
		return err
	}
	if n != a.count || a.plan == nil {
		if a.plan, err = planStats(a.name, a.driver, n, call, buf); err != nil {
			a.plan, a.count = nil, 0
			return err
		}
		a.count = n
	}
	if len(a.plan) == 0 {
		return syscall.EOPNOTSUPP
	}
	clear(buf[:8+8*n])
	binary.NativeEndian.PutUint32(buf, ethtoolGStats)
	binary.NativeEndian.PutUint32(buf[4:], uint32(n))
	if err := call(a.name, buf); err != nil {
		return err
	}
	if got := binary.NativeEndian.Uint32(buf[4:]); got != uint32(n) { // queues were added in between
		a.plan = nil
		return nil
	}
	for _, s := range a.plan {
		v := binary.NativeEndian.Uint64(buf[8+8*s.at:])
		sum := uint64(max(a.stats[s.metric], 0)) // Absent is the least of all
		a.stats[s.metric] = int64(min(sum+min(v, 1<<61), 1<<62))
	}
	return nil
}

// countStats asks how many statistics there are: how long the next answers will be.
func countStats(name string, call ethtoolCall, buf []byte) (int, error) {
	clear(buf[:24])
	binary.NativeEndian.PutUint32(buf, ethtoolGSSetInfo)
	binary.NativeEndian.PutUint64(buf[8:], 1<<ethtoolStatsSet)
	if err := call(name, buf); err != nil {
		return 0, err
	}
	n := binary.NativeEndian.Uint32(buf[16:])
	switch {
	case binary.NativeEndian.Uint64(buf[8:]) != 1<<ethtoolStatsSet || n == 0:
		return 0, syscall.EOPNOTSUPP
	case n > maxDriverStats:
		return 0, fmt.Errorf("%d: %w", n, errTooManyStats)
	}
	return int(n), nil
}

// planStats asks for the names of the statistics and finds those that are told.
func planStats(name, driver string, n int, call ethtoolCall, buf []byte) ([]statSum, error) {
	clear(buf[:12+n*ethtoolNameBytes])
	binary.NativeEndian.PutUint32(buf, ethtoolGStrings)
	binary.NativeEndian.PutUint32(buf[4:], ethtoolStatsSet)
	binary.NativeEndian.PutUint32(buf[8:], uint32(n))
	if err := call(name, buf); err != nil {
		return nil, err
	}
	n = min(n, int(binary.NativeEndian.Uint32(buf[8:])))
	plan := []statSum{}
	for i := range n {
		if m := statMetric(driver, parseStatName(buf[12+i*ethtoolNameBytes:][:ethtoolNameBytes])); m >= 0 {
			plan = append(plan, statSum{i, m})
		}
	}
	return plan, nil
}

// parseStatName is the text before the first NUL, without blanks around it.
func parseStatName(b []byte) string {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return string(bytes.TrimSpace(b))
}

// statMetric finds the metric of a driver's statistic: its place in netStatMetrics, -1 for none.
func statMetric(driver, name string) int {
	for i := range driverStats {
		s := &driverStats[i]
		if (s.driver == "" || s.driver == driver) && matchesStat(s.name, name) {
			return s.metric
		}
	}
	return -1
}

// matchesStat compares a name with a pattern in which # stands for a number.
func matchesStat(pattern, name string) bool {
	before, after, numbered := strings.Cut(pattern, "#")
	if !numbered {
		return pattern == name
	}
	rest, ok := strings.CutPrefix(name, before)
	if !ok {
		return false
	}
	n := 0
	for n < len(rest) && rest[n] >= '0' && rest[n] <= '9' {
		n++
	}
	return n > 0 && rest[n:] == after
}

// readSpeed asks which link modes the interface supports and keeps the fastest.
func (a *adapter) readSpeed(call ethtoolCall, buf []byte) {
	a.maxMbps = telemetry.Absent
	if a.words == 0 { // the first call only tells how many words there are, as a negative number
		if linkSettings(a.name, 0, call, buf) != nil {
			return
		}
		if a.words = -int(int8(buf[15])); a.words <= 0 {
			a.words = 0
			return
		}
	}
	if linkSettings(a.name, a.words, call, buf) != nil {
		return
	}
	if a.maxMbps = parseLinkSettings(buf[:linkHeadBytes+12*a.words]); a.maxMbps == 0 {
		a.maxMbps = telemetry.Absent
	}
}

func linkSettings(name string, words int, call ethtoolCall, buf []byte) error {
	clear(buf[:linkHeadBytes+12*words])
	binary.NativeEndian.PutUint32(buf, ethtoolGLinkSettings)
	buf[15] = byte(words)
	return call(name, buf)
}

// parseLinkSettings gives the speed of the fastest supported mode in Mbit/s; 0: none is told.
func parseLinkSettings(b []byte) (mbps int64) {
	if len(b) < linkHeadBytes {
		return 0
	}
	words := int(int8(b[15]))
	if words <= 0 || linkHeadBytes+4*words > len(b) {
		return 0
	}
	for _, m := range linkModes {
		for bit := int(m.first); bit <= int(m.last) && bit < 32*words; bit++ {
			if binary.NativeEndian.Uint32(b[linkHeadBytes+4*(bit/32):])>>(bit%32)&1 != 0 {
				mbps = max(mbps, int64(m.mbps))
			}
		}
	}
	return mbps
}

// linkModes are the ranges of bits of enum ethtool_link_mode_bit_indices by their speed. What is no mode (FEC, pause, kinds of connectors) is left out.
var linkModes = [...]struct {
	first, last uint8
	mbps        int32
}{
	{0, 1, 10}, {2, 3, 100}, {4, 5, 1000}, {12, 12, 10_000}, {15, 15, 2500}, {17, 17, 1000}, {18, 20, 10_000}, {21, 22, 20_000}, {23, 26, 40_000}, {27, 30, 56_000},
	{31, 33, 25_000}, {34, 35, 50_000}, {36, 39, 100_000}, {40, 40, 50_000}, {41, 41, 1000}, {42, 46, 10_000}, {47, 47, 2500}, {48, 48, 5000}, {52, 56, 50_000},
	{57, 61, 100_000}, {62, 66, 200_000}, {67, 67, 100}, {68, 68, 1000}, {69, 73, 400_000}, {75, 79, 100_000}, {80, 84, 200_000}, {85, 89, 400_000}, {90, 91, 100},
	{92, 92, 10}, {93, 98, 800_000}, {99, 102, 10}, {103, 108, 200_000}, {109, 114, 400_000}, {115, 120, 800_000},
}
