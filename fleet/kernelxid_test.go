package fleet_test

import (
	"testing"
	"time"

	"foretop/fleet"
	"foretop/telemetry/facts"
)

// An event of the driver and the line of the log that it belongs to are one Xid, whichever comes first.
func TestXidsAreCountedOnce(t *testing.T) {
	const a, b = "0000:3b:00", "0000:3c:00"
	off := "critical 1× Xid 79: fell off the bus"
	for _, c := range []struct {
		name string
		do   func(l *logged)
		want []string
	}{
		{"line, event", func(l *logged) { l.says(xidLine(a, 79)); l.event(0, 79, 0) }, []string{off + " gpu0"}},
		{"event, line", func(l *logged) { l.event(0, 79, 0); l.pass(time.Second); l.says(xidLine(a, 79)) }, []string{off + " gpu0"}},
		{"event alone", func(l *logged) { l.event(0, 79, 0) }, []string{off + " NVML gpu0"}},
		{"line alone", func(l *logged) { l.says(xidLine(a, 79)) }, []string{off + " gpu0"}},
		{"three lines, three events", func(l *logged) {
			l.says(xidLine(a, 31), xidLine(a, 31))
			l.event(0, 31, 0)
			l.event(0, 31, 0)
			l.event(0, 31, 0)
			l.pass(time.Second)
			l.says(xidLine(a, 31))
		}, []string{"notice 3× Xid 31: memory page fault gpu0"}},
		{"three events first", func(l *logged) {
			for range 3 {
				l.event(0, 31, 0)
			}
			l.says(xidLine(a, 31), xidLine(a, 31), xidLine(a, 31))
		}, []string{"notice 3× Xid 31: memory page fault gpu0"}},
		{"more events than lines", func(l *logged) {
			l.event(0, 31, 0)
			l.event(0, 31, 0)
			l.says(xidLine(a, 31))
			l.event(0, 31, 0)
		}, []string{"notice 1× Xid 31: memory page fault gpu0", "notice 2× Xid 31: memory page fault NVML gpu0"}},
		{"more lines than events", func(l *logged) {
			l.says(xidLine(a, 31), xidLine(a, 31))
			l.event(0, 31, 0)
		}, []string{"notice 2× Xid 31: memory page fault gpu0"}},
		{"another GPU", func(l *logged) { l.says(xidLine(a, 79)); l.event(1, 79, 0) }, []string{off + " gpu0", off + " NVML gpu1"}},
		{"another code", func(l *logged) { l.says(xidLine(b, 79)); l.event(1, 48, 0) }, []string{off + " gpu1", "critical 1× Xid 48: double-bit ECC error NVML gpu1"}},
		{"long after", func(l *logged) { l.says(xidLine(a, 79)); l.pass(10 * time.Second); l.event(0, 79, 0) }, []string{off + " gpu0", off + " NVML gpu0"}},
		{"long before", func(l *logged) { l.event(0, 79, 0); l.pass(10 * time.Second); l.says(xidLine(a, 79)) }, []string{off + " NVML gpu0", off + " gpu0"}},
		{"MIG instances", func(l *logged) {
			l.says("NVRM: Xid (PCI:0000:3b:00 GPU-I:01): 94, Contained", "NVRM: Xid (PCI:0000:3b:00 GPU-I:02): 94, Contained")
			l.event(0, 94, 3)
			l.event(0, 94, 2)
			l.event(0, 94, 6)
		}, []string{"warning 1× Xid 94: contained memory error (MIG 1) gpu0", "warning 1× Xid 94: contained memory error (MIG 2) gpu0",
			"warning 1× Xid 94: contained memory error (MIG 5) NVML gpu0"}},
		{"a fold's lines", func(l *logged) {
			l.says(xidLine(a, 31))
			l.pass(time.Second)
			l.tell(&facts.KernelLog{Folds: []*facts.KernelFold{{Sequence: l.sequence, Count: 3, FirstMonoUs: l.mono - 500_000, LastMonoUs: l.mono, LastSequence: l.sequence + 3, LastText: xidLine(a, 31)}}})
			for range 4 {
				l.event(0, 31, 0)
			}
		}, []string{"notice 4× Xid 31: memory page fault gpu0"}},
		{"events, then the fold", func(l *logged) {
			l.says(xidLine(a, 31))
			for range 4 {
				l.event(0, 31, 0)
			}
			l.tell(&facts.KernelLog{Folds: []*facts.KernelFold{{Sequence: l.sequence, Count: 3, FirstMonoUs: l.mono, LastMonoUs: l.mono, LastSequence: l.sequence + 3, LastText: xidLine(a, 31)}}})
		}, []string{"notice 4× Xid 31: memory page fault gpu0"}},
		{"the log's clock is two minutes behind", func(l *logged) {
			behind := func(text string) {
				l.sequence++
				l.tell(&facts.KernelLog{Records: []*facts.KernelRecord{{Sequence: l.sequence, MonoUs: l.mono - 120_000_000, Text: text}}})
			}
			behind("ordinary")
			l.event(0, 79, 0)
			l.pass(time.Second)
			behind(xidLine(a, 79))
			l.pass(time.Minute)
			behind(xidLine(b, 48))
			l.event(1, 48, 0)
		}, []string{"1× ordinary", off + " gpu0", "critical 1× Xid 48: double-bit ECC error gpu1"}},
		{"a new stream counts events from one again", func(l *logged) {
			l.event(0, 79, 0)
			l.pass(time.Minute)
			l.connect()
			l.event(0, 48, 0)
		}, []string{off + " NVML gpu0", "critical 1× Xid 48: double-bit ECC error NVML gpu0"}},
		{"an event of no GPU", func(l *logged) { l.event(kernelGPUs, 79, 0) }, []string{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLogged(t)
			l.connect()
			c.do(l)
			l.want("log", c.want...)
		})
	}
}

// A node's Xids are checked if its log is read, or if the driver tells them; the rest of its log is not.
func TestXidsAreChecked(t *testing.T) {
	l := newLogged(t)
	l.state = facts.SourceState_SOURCE_DENIED
	l.connect()
	totals := func() (read, xid int) {
		l.sample()
		t := l.f.Publish().Totals
		return t.KernelLogRead, t.XidRead
	}
	if read, xid := totals(); read != 0 || xid != 0 {
		t.Errorf("denied: %d logs, %d Xids", read, xid)
	}
	l.event(0, 31, 0)
	if read, xid := totals(); read != 0 || xid != 1 {
		t.Errorf("an event came: %d logs, %d Xids", read, xid)
	}
	texts := func() (all []string) {
		for _, p := range l.node().Problems {
			all = append(all, p.Text)
		}
		return all
	}
	if got := texts(); len(got) != 2 || got[0] != "Xid 31 GPU0: memory page fault" && got[1] != "Xid 31 GPU0: memory page fault" {
		t.Errorf("problems %q", got)
	}
	l.connect()
	if read, xid := totals(); read != 0 || xid != 0 {
		t.Errorf("a new stream, that has told nothing: %d logs, %d Xids", read, xid)
	}
	l.tellEvent(&facts.GPUEvent{What: "listening"})
	if read, xid := totals(); read != 0 || xid != 1 || !l.node().XidEvents {
		t.Errorf("it waits for events: %d logs, %d Xids", read, xid)
	}
	l.tellEvent(&facts.GPUEvent{What: "events_dropped", Code: 40})
	if n := l.node().KernelUntold; n != 40 {
		t.Errorf("%d only counted", n)
	}
	l.state = facts.SourceState_SOURCE_OK
	l.connect()
	if read, xid := totals(); read != 1 || xid != 1 || l.node().XidEvents {
		t.Errorf("the log is read: %d logs, %d Xids", read, xid)
	}
	if s := fleet.KernelLogSource; l.node().Sources[0].Name != s {
		t.Error(s)
	}
}
