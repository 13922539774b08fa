package fleet

import (
	"math"
	"testing"
	"time"

	"foretop/telemetry"
	"foretop/telemetry/facts"
)

// TestPortErrors: counters of damage have rates, one that stands at its limit has none and says so, and readings that are not renewed are nothing.
func TestPortErrors(t *testing.T) {
	c := newClock()
	f := New(Options{Now: c.now})
	n := newFakeNode(2)
	n.inv.Ports[0].Driver, n.inv.Ports[1].Driver = "mlx5_core", "efa"
	n.inv.Ports[0].Lid, n.inv.Ports[0].RateMax = 33, "ethtool"
	n.inv.HwCounters = []*facts.HWCounter{{Port: 0, Name: "symbol_error"}, {Port: 0, Name: "out_of_sequence"}, {Port: 1, Name: "no_completion_cmds"}, {Port: 1, Name: "of_tomorrow"}}
	n.state.Resize(telemetry.ScopeHWCounter, 4)
	set := func(symbol, sequence, wait, commands int64) {
		n.state.Set(telemetry.PortSymbolError, 0, symbol)
		n.state.Set(telemetry.PortOutOfSequence, 0, sequence)
		n.state.Set(telemetry.PortXmitWait, 0, wait)
		n.state.Set(telemetry.PortNoCompletionCmds, 1, commands)
		n.state.Set(telemetry.PortRateMbps, 0, 400_000)
		n.state.Set(telemetry.PortRateMaxMbps, 0, 400_000)
		for i, v := range []int64{symbol, sequence, commands, 5} {
			n.state.Set(telemetry.HWCounterValue, i, v)
		}
	}
	step := func() *Node {
		c.tick(time.Second)
		n.mono += 1000
		for g := range telemetry.NumGroups {
			n.state.Set(telemetry.ReadMS, int(g), n.mono)
		}
		apply(t, f, "a", telemetry.KindSample, n.enc.Encode(nil, &n.state, 1, n.mono, telemetry.Detail, false), c.now())
		return f.Publish().Node("a")
	}
	set(65_000, 100, 0, 0)
	join(t, f, "a", n, c.now())
	if p := f.Publish().Node("a").Ports[0]; p.ErrorPerS(telemetry.PortSymbolError).Known() || p.LID() != 33 || p.RateMaxFrom() != "ethtool" || p.GPU != 0 || p.Near != NearPCIe {
		t.Errorf("first: %+v", p)
	}
	step() // at detail level now
	set(65_012, 110, 1_250_000_000, 3)
	v := step()
	p, q := &v.Ports[0], &v.Ports[1]
	if p.ErrorPerS(telemetry.PortSymbolError) != 12 || p.ErrorPerS(telemetry.PortOutOfSequence) != 10 || p.Stopped(telemetry.PortSymbolError) {
		t.Errorf("rates %v and %v", p.ErrorPerS(telemetry.PortSymbolError), p.ErrorPerS(telemetry.PortOutOfSequence))
	}
	if got := p.XmitWaitPct(); math.Abs(float64(got)-20) > 0.01 {
		t.Errorf("it waits %v %% of the time, want 20", got)
	}
	if q.ErrorPerS(telemetry.PortNoCompletionCmds) != 3 || q.ErrorPerS(telemetry.PortSymbolError).Known() || q.ErrorPerS(telemetry.PortRateMbps).Known() {
		t.Errorf("EFA: %v", q.Errors)
	}
	if len(p.Counters) != 2 || p.Counters[0].Def.Class != telemetry.CounterDamage || p.Counters[1].PerS != 10 || q.Counters[1].Def.Class != telemetry.CounterOther {
		t.Errorf("counters %+v, %+v", p.Counters, q.Counters)
	}
	was := p.Errors
	// Errors are read every ten seconds: a second later the views share what was made of them.
	c.tick(time.Second)
	n.mono += 1000
	n.state.Set(telemetry.ReadMS, int(telemetry.GroupPort), n.mono)
	apply(t, f, "a", telemetry.KindSample, n.enc.Encode(nil, &n.state, 1, n.mono, telemetry.Detail, false), c.now())
	if got := f.Publish().Node("a").Ports[0].Errors; got != was {
		t.Error("errors that were not read anew were made anew")
	}
	set(65_535, 110, 1<<32-1, 3)
	v = step()
	p = &v.Ports[0]
	if !p.Stopped(telemetry.PortSymbolError) || p.ErrorPerS(telemetry.PortSymbolError).Known() || !p.Stopped(telemetry.PortXmitWait) || p.XmitWaitPct().Known() || p.SymbolError != 65_535 {
		t.Errorf("at its limit: %v, %v", p.ErrorPerS(telemetry.PortSymbolError), p.XmitWaitPct())
	}
	if c := &p.Counters[0]; !c.Full() || c.PerS.Known() {
		t.Errorf("counter at its limit: %+v", c)
	}
	if p.ErrorPerS(telemetry.PortOutOfSequence) != 0 {
		t.Errorf("a counter that rests has a rate of %v", p.ErrorPerS(telemetry.PortOutOfSequence))
	}
	c.tick(time.Minute)
	n.state.Set(telemetry.ReadMS, int(telemetry.GroupPort), n.mono+60_000)
	n.mono += 60_000
	apply(t, f, "a", telemetry.KindSample, n.enc.Encode(nil, &n.state, 1, n.mono, telemetry.Detail, false), c.now())
	if p := f.Publish().Node("a").Ports[0]; p.ErrorPerS(telemetry.PortOutOfSequence).Known() || p.XmitWaitPct().Known() {
		t.Error("rates of a minute ago are told as now's")
	}
}

// TestNetView: what a driver counts itself comes with its rate; what it does not is absent.
func TestNetView(t *testing.T) {
	c := newClock()
	f := New(Options{Now: c.now})
	n := newFakeNode(0)
	n.inv.Nets = []*facts.Net{{Name: "ens1", Physical: true, Master: "bond0"}, {Name: "bond0", BondMode: "802.3ad"}}
	n.state.Resize(telemetry.ScopeNet, 2)
	n.state.Set(telemetry.NetRxPFCPause, 0, 100)
	n.state.Set(telemetry.NetSpeedMaxMbps, 0, 200_000)
	join(t, f, "a", n, c.now())
	c.tick(time.Second)
	n.state.Set(telemetry.NetRxPFCPause, 0, 350)
	apply(t, f, "a", telemetry.KindSample, n.sample(), c.now())
	nets := f.Publish().Node("a").Nets
	if d := &nets[0]; d.RxPFCPause != 350 || d.RxPFCPausePerS != 250 || d.SpeedMaxMbps != 200_000 || d.Master != "bond0" || d.RxCRCErrors.Known() || d.FECUncorrectedPerS.Known() {
		t.Errorf("%+v", d)
	}
	if d := &nets[1]; d.BondMode != "802.3ad" || d.RxPFCPause.Known() {
		t.Errorf("%+v", d)
	}
}
