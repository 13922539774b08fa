package collectors

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"foretop/collectors/kernfs"
	"foretop/telemetry"
)

// traffic is one of the counters that are read at each reading.
type traffic int

const (
	rcvData traffic = iota
	xmitData
	rcvPackets
	xmitPackets
	numTraffic
)

func (t traffic) packets() bool { return t == rcvPackets || t == xmitPackets }

var trafficMetrics = [numTraffic]telemetry.Metric{telemetry.PortRcvDataBytes, telemetry.PortXmitDataBytes, telemetry.PortRcvPackets, telemetry.PortXmitPackets}

// trafficFiles says where drivers keep traffic: the first row whose first file is there counts, the sum of its files. The standard counters
// (counters/, IBTA PMA) count data in units of four bytes; drivers without them have their own names under hw_counters/.
var trafficFiles = [numTraffic][]trafficRow{
	rcvData:     {{fourOctets, []string{"counters/port_rcv_data"}}, {1, []string{"hw_counters/rx_bytes"}}, {1, []string{"hw_counters/ip4InOctets", "hw_counters/ip6InOctets"}}, {1, []string{"hw_counters/rx_rdma_ucast_bytes", "hw_counters/rx_rdma_mcast_bytes"}}},
	xmitData:    {{fourOctets, []string{"counters/port_xmit_data"}}, {1, []string{"hw_counters/tx_bytes"}}, {1, []string{"hw_counters/ip4OutOctets", "hw_counters/ip6OutOctets"}}, {1, []string{"hw_counters/tx_rdma_ucast_bytes", "hw_counters/tx_rdma_mcast_bytes"}}},
	rcvPackets:  {{1, []string{"counters/port_rcv_packets"}}, {1, []string{"hw_counters/rx_pkts"}}, {1, []string{"hw_counters/ip4InPkts", "hw_counters/ip6InPkts"}}, {1, []string{"hw_counters/rx_rdma_ucast_pkts", "hw_counters/rx_rdma_mcast_pkts"}}},
	xmitPackets: {{1, []string{"counters/port_xmit_packets"}}, {1, []string{"hw_counters/tx_pkts"}}, {1, []string{"hw_counters/ip4OutPkts", "hw_counters/ip6OutPkts"}}, {1, []string{"hw_counters/tx_rdma_ucast_pkts", "hw_counters/tx_rdma_mcast_pkts"}}},
}

const fourOctets = 4

type trafficRow struct {
	unit  uint64 // bytes in one count
	files []string
}

// trafficCounter is the files of one traffic counter, kept open.
type trafficCounter struct {
	unit  uint64
	files []*kernfs.File
}

// rdmaCounter is one numeric file.
type rdmaCounter struct {
	name   string
	path   string
	file   *kernfs.File // kept open, where it is read at base level and there are not too many; else nil
	def    telemetry.CounterDef
	entity int // of scope HWCounter
	value  int64
	raw    uint64 // as it was last read, and what its turns came to: of one that begins anew at its end
	turns  uint64
	dead   bool // cannot be read: not tried again
}

// take makes the value of what was read. A counter that begins anew at its end goes on, so that its total only grows: one that was in its upper half and is
// less now went over its end, for these are set back by nothing but a new start of the driver. One that was in its lower half was set back after all.
func (c *rdmaCounter) take(v uint64) {
	if c.def.Width == telemetry.Wraps32 {
		if v < c.raw {
			if c.raw>>31 != 0 {
				c.turns += 1 << 32
			} else {
				c.turns = 0
			}
		}
		c.raw = v
		v += c.turns
	}
	c.value = int64(min(v, 1<<62))
}

// readTraffic reads and sums a counter. Absent where the device has none, or refuses.
func (r *rdmaReader) readTraffic(p *rdmaPort, c *trafficCounter) (int64, error) {
	if len(c.files) == 0 {
		return telemetry.Absent, nil
	}
	var sum uint64
	for _, f := range c.files {
		v, err := f.Number()
		switch {
		case err == nil && c.unit == fourOctets && v == 1<<32-1: // a counter of 64 bits does not stop just there
			p.full = true
			return telemetry.Absent, nil
		case err == nil:
			sum += v
		case kernfs.Gone(err):
			r.missing = true
			return telemetry.Absent, nil
		case r.refuse(p, err):
			return telemetry.Absent, nil
		default:
			return telemetry.Absent, err
		}
	}
	return int64(min(sum*c.unit, 1<<62)), nil
}

func (r *rdmaReader) number(c *rdmaCounter) (v uint64, err error) {
	if c.file != nil {
		return c.file.Number()
	}
	v, r.buf, err = r.m.root.Number(c.path, r.buf)
	return v, err
}

// readCounters reads rarely read files, each into its value.
func (r *rdmaReader) readCounters(p *rdmaPort, list []rdmaCounter) error {
	var bad error
	for i := range list {
		c := &list[i]
		c.value = telemetry.Absent
		if c.dead || r.refused[p.device] != "" {
			continue
		}
		v, err := r.number(c)
		switch {
		case err == nil:
			c.take(v)
		case kernfs.Gone(err):
			r.missing = true
		case refusal(err) && r.refuse(p, err):
			return bad
		case errors.Is(err, fs.ErrPermission), errors.Is(err, errors.ErrUnsupported), errors.Is(err, syscall.EOPNOTSUPP):
			c.dead = true
		default:
			c.dead = true // not a number, or a fault of this file: the others are read on
			bad = errors.Join(bad, fmt.Errorf("counter %s: %w", c.name, err))
		}
	}
	return bad
}

// refusal says that a device, not just one of its files, does not want to be read.
func refusal(err error) bool {
	return errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.EIO)
}
