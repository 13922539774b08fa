package telemetry

import "testing"

func TestLookupCounter(t *testing.T) {
	for _, c := range []struct {
		driver, file string
		want         CounterDef
	}{
		{"mlx5_core", "symbol_error", CounterDef{CounterDamage, Stops16, UnitEvents, PortSymbolError}},
		{"hfi1", "local_link_integrity_errors", CounterDef{CounterDamage, Stops4, UnitEvents, PortLocalLinkIntegrityErrors}},
		{"", "port_rcv_data", CounterDef{CounterTraffic, Wide64, UnitFourOctets, 0}},
		{"mlx5_core", "out_of_sequence", CounterDef{CounterDamage, Wraps32, UnitPackets, PortOutOfSequence}},
		{"mlx5_core", "np_cnp_sent", CounterDef{CounterCongestion, Wide64, UnitPackets, PortNPCNPSent}},
		{"mlx5_core", "rdma_tx_bytes", CounterDef{CounterTraffic, Wide64, UnitOctets, 0}},
		{"mlx5_core", "req_cqe_flush_error", CounterDef{CounterInfo, Wraps32, UnitEvents, 0}},
		{"efa", "no_completion_cmds", CounterDef{CounterDamage, Wide64, UnitRequests, PortNoCompletionCmds}},
		{"bnxt_en", "to_retransmits", CounterDef{CounterDamage, Wide64, UnitEvents, PortLocalAckTimeoutErr}},
		{"ice", "cnpSent", CounterDef{CounterCongestion, Wide64, UnitPackets, PortNPCNPSent}},
		{"hns3", "rx_cnp_pkt", CounterDef{CounterCongestion, Wide64, UnitPackets, PortRPCNPHandled}},
		// Another driver's name for the same thing: how wide it is there is not known.
		{"bnxt_en", "out_of_buffer", CounterDef{CounterCongestion, WidthUnknown, UnitPackets, PortOutOfBuffer}},
		{"new_driver", "rnr_nak_retry_err", CounterDef{CounterDamage, WidthUnknown, UnitEvents, PortRNRNakRetryErr}},
		{"mlx5_core", "of_tomorrow", CounterDef{}},
	} {
		if got := LookupCounter(c.driver, c.file); got != c.want {
			t.Errorf("%s %s: %+v, want %+v", c.driver, c.file, got, c.want)
		}
	}
}

func TestCounterStops(t *testing.T) {
	for _, c := range []struct {
		file string
		v    int64
		full bool
	}{
		{"symbol_error", 65534, false}, {"symbol_error", 65535, true}, {"symbol_error", 65536, false}, // wider than the standard's
		{"link_downed", 255, true}, {"local_link_integrity_errors", 15, true}, {"port_xmit_wait", 1<<32 - 1, true},
		{"port_rcv_data", 1<<32 - 1, false}, {"out_of_sequence", 1<<32 - 1, false}, {"symbol_error", Absent, false},
	} {
		if got := LookupCounter("mlx5_core", c.file).Full(c.v); got != c.full {
			t.Errorf("%s at %d: full %t", c.file, c.v, got)
		}
	}
}

// The table names nothing twice, gives every row a class and a unit that fits it, and every metric of damage or congestion has a file.
func TestCounterTable(t *testing.T) {
	type key struct {
		family counterFamily
		name   string
	}
	seen := map[key]bool{}
	told := map[Metric]bool{}
	for _, r := range counterTable {
		k := key{r.family, r.name}
		if seen[k] || seen[key{familyIBTA, r.name}] && r.family != familyIBTA {
			t.Errorf("%s stands twice", r.name)
		}
		seen[k] = true
		if r.def.Class == CounterOther || r.def.Class >= NumCounterClasses {
			t.Errorf("%s has no class", r.name)
		}
		if r.def.Unit == UnitObjects != (r.def.Width == WidthUnknown) {
			t.Errorf("%s: a level has no width, a counter has one", r.name)
		}
		if m := r.def.Metric; m != 0 {
			if PortErrorAt(m) < 0 {
				t.Errorf("%s is told as %d, which is no error of a port", r.name, m)
			}
			told[m] = true
		}
	}
	for i, m := range PortErrors() {
		if d, _ := Lookup(m); !told[m] || PortErrorAt(m) != i || d.Kind != Counter {
			t.Errorf("%s: no file is told as it, or it is at place %d instead of %d", d.Name, PortErrorAt(m), i)
		}
	}
	if PortErrorAt(PortRateMaxMbps) != -1 || PortErrorAt(GPUUtilPct) != -1 || PortErrorAt(PortRcvDataBytes) != -1 {
		t.Error("something else is an error of a port")
	}
}
