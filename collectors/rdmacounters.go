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
	rcvData:     {{4, []string{"counters/port_rcv_data"}}, {1, []string{"hw_counters/rx_bytes"}}, {1, []string{"hw_counters/ip4InOctets", "hw_counters/ip6InOctets"}}},
	xmitData:    {{4, []string{"counters/port_xmit_data"}}, {1, []string{"hw_counters/tx_bytes"}}, {1, []string{"hw_counters/ip4OutOctets", "hw_counters/ip6OutOctets"}}},
	rcvPackets:  {{1, []string{"counters/port_rcv_packets"}}, {1, []string{"hw_counters/rx_pkts"}}, {1, []string{"hw_counters/ip4InPkts", "hw_counters/ip6InPkts"}}},
	xmitPackets: {{1, []string{"counters/port_xmit_packets"}}, {1, []string{"hw_counters/tx_pkts"}}, {1, []string{"hw_counters/ip4OutPkts", "hw_counters/ip6OutPkts"}}},
}

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
	file   *kernfs.File     // kept open, where it is read at base level and there are not too many; else nil
	metric telemetry.Metric // 0: none of its own
	entity int              // of scope HWCounter
	value  int64
	dead   bool // cannot be read: not tried again
}

// errorMetrics are the metrics that are error counters of a port.
var errorMetrics = func() (list []telemetry.Metric) {
	for _, d := range telemetry.Defs() {
		if d.Group == telemetry.GroupPortErrors && d.ID.Scope() == telemetry.ScopePort {
			list = append(list, d.ID)
		}
	}
	return list
}()

// counterMetric says which metric a file is. The metric table bears the names of mlx5 and of the standard counters; other drivers count the same under other names.
func counterMetric(file string) telemetry.Metric {
	if name, ok := synonyms[file]; ok {
		file = name
	}
	for _, m := range errorMetrics {
		if d, _ := telemetry.Lookup(m); d.Name == file {
			return m
		}
	}
	return 0
}

var synonyms = map[string]string{
	"seq_err_naks_rcvd":  "packet_seq_err",                 // bnxt_re
	"to_retransmits":     "local_ack_timeout_err",          // bnxt_re
	"max_retry_exceeded": "req_transport_retries_exceeded", // bnxt_re
	"oos_drop_count":     "out_of_sequence",                // bnxt_re
	"rx_out_of_buffer":   "out_of_buffer",                  // bnxt_re
	"cnpSent":            "np_cnp_sent",                    // irdma
	"cnpHandled":         "rp_cnp_handled",                 // irdma
	"RxECNMrkd":          "np_ecn_marked_roce_packets",     // irdma
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
			c.value = int64(min(v, 1<<62))
		case kernfs.Gone(err):
			r.missing = true
		case r.refuse(p, err):
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
