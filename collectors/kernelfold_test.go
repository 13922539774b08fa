package collectors

import (
	"fmt"
	"strings"
	"testing"

	"foretop/telemetry/facts"

	"github.com/google/go-cmp/cmp"
)

// fedFolder is a queue that the front end said it has nothing of, with a clock of the test's.
type fedFolder struct {
	q        *kernelQueue
	ms       int64
	sequence uint64
	stampUS  int64
}

func newFedFolder() *fedFolder {
	f := &fedFolder{ms: 1000, stampUS: 1_000_000}
	f.q = &kernelQueue{via: viaKmsg, clock: func() int64 { return f.ms }}
	f.q.resume("", 0)
	return f
}

func (f *fedFolder) say(lines ...string) {
	for _, l := range lines {
		f.sequence++
		f.stampUS++
		f.q.seen(f.sequence)
		f.q.put(&kernelRecord{sequence: f.sequence, level: 4, stampUS: f.stampUS, text: []byte(l)})
	}
}

// pass lets time pass, on both clocks.
func (f *fedFolder) pass(ms int64) {
	f.ms += ms
	f.stampUS += ms * 1000
}

// told is the next batch, in short.
func (f *fedFolder) told() []string {
	m := f.q.take()
	out := []string{}
	for _, r := range m.GetRecords() {
		out = append(out, fmt.Sprintf("%d %s", r.Sequence, r.Text))
	}
	for _, x := range m.GetFolds() {
		out = append(out, fmt.Sprintf("%d…%d ×%d %s", x.Sequence, x.LastSequence, x.Count, x.LastText))
	}
	return out
}

func TestFirstLinesGoWhole(t *testing.T) {
	f := newFedFolder()
	want := func(what string, want ...string) {
		t.Helper()
		if want == nil {
			want = []string{}
		}
		if d := cmp.Diff(want, f.told()); d != "" {
			t.Errorf("%s: %s", what, d)
		}
	}
	for i := range 7 {
		f.say(fmt.Sprintf("usb: reset %d", i))
	}
	want("five, then a count", "1 usb: reset 0", "2 usb: reset 1", "3 usb: reset 2", "4 usb: reset 3", "5 usb: reset 4", "5…7 ×2 usb: reset 6")
	f.say("usb: reset 7", "usb: reset 8")
	f.pass(500)
	want("not yet")
	f.say("usb: reset 9")
	f.pass(500)
	want("a second later", "5…10 ×3 usb: reset 9")
	f.pass(100)
	f.say("usb: reset 10", "NVRM: Xid (PCI:0000:3b:00): 79, x", "usb: reset 11")
	want("what is urgent waits for nothing, and all before it comes along", "12 NVRM: Xid (PCI:0000:3b:00): 79, x", "5…13 ×2 usb: reset 11")
	f.pass(60_000)
	f.say("usb: reset 12")
	want("after a minute", "14 usb: reset 12")
	for i := range 10 {
		f.say(fmt.Sprintf("NVRM: Xid (PCI:0000:3b:00): 31, pid=%d, x", i))
	}
	got := f.told()
	if len(got) != 9 || got[8] != "22…24 ×2 NVRM: Xid (PCI:0000:3b:00): 31, pid=9, x" {
		t.Errorf("of important lines more go whole: %q", got)
	}
}

// Beyond the allowance the newest go whole and the others are one count; important lines have an allowance of their own; in time there is more.
func TestAllowance(t *testing.T) {
	f := newFedFolder()
	word := func(i int) string {
		return "a line of many words, " + strings.Repeat("x", i%40) + strings.Repeat("y", i/40%40) + strings.Repeat("z", i/1600)
	}
	for i := range 3000 {
		f.say(word(i))
	}
	f.say("NVRM: Xid (PCI:0000:3b:00): 79, x")
	var records []*facts.KernelRecord
	var folds []*facts.KernelFold
	for m := f.q.take(); m != nil; m = f.q.take() {
		records, folds = append(records, m.Records...), append(folds, m.Folds...)
	}
	bytes := 0
	for i, r := range records {
		bytes += recordCost(r)
		if i > 0 && r.Sequence <= records[i-1].Sequence {
			t.Fatalf("record %d after %d", r.Sequence, records[i-1].Sequence)
		}
	}
	counted := uint64(0)
	for _, x := range folds {
		if counted += x.Count; x.Sequence != 0 || x.FirstMonoUs > x.LastMonoUs {
			t.Errorf("a count of no line: %v", x)
		}
	}
	last, before := records[len(records)-1], records[len(records)-2]
	if !strings.HasPrefix(last.Text, "NVRM") || before.Text != word(2999) || records[0].Text != word(0) || counted+uint64(len(records)) != 3001 {
		t.Errorf("%d whole, %d counted, the last %q, %q", len(records), counted, before.Text, last.Text)
	}
	if most := ordinaryBurst + lateBytes + 2*maxKernelText; bytes > most {
		t.Errorf("%d bytes whole, want at most %d", bytes, most)
	}
	if len(f.q.folder.kinds[0].of) != maxShapes || f.q.bytes != 0 {
		t.Errorf("%d shapes remembered, %d bytes wait", len(f.q.folder.kinds[0].of), f.q.bytes)
	}
	f.pass(10_000)
	for i := range 2000 {
		f.say("other " + word(i))
	}
	bytes = 0
	for _, r := range f.q.take().GetRecords() {
		bytes += recordCost(r)
	}
	if least := 10*ordinaryEach - maxKernelText; bytes < least || bytes > least+lateBytes+2*maxKernelText {
		t.Errorf("after ten seconds %d bytes whole", bytes)
	}
}

// While nobody reads, what waits stays bounded, and nothing is lost of the count.
func TestNobodyReads(t *testing.T) {
	f := newFedFolder()
	f.say("first")
	if got := f.told(); len(got) != 1 {
		t.Fatal(got)
	}
	for i := range 20_000 {
		f.say(fmt.Sprintf("usb %d-1: reset", i%7), fmt.Sprintf("INFO: task t%s:%d blocked for more than 122 seconds.", strings.Repeat("x", i%60), i))
		f.pass(1)
	}
	if f.q.bytes > 256<<10 || len(f.q.folder.closed) > 8 {
		t.Errorf("%d bytes wait in %d batches", f.q.bytes, len(f.q.folder.closed))
	}
	n := uint64(1)
	last := uint64(1)
	for m := f.q.take(); m != nil; m = f.q.take() {
		top := last
		for _, r := range m.Records {
			if r.Sequence <= last {
				t.Errorf("record %d in a batch after %d", r.Sequence, last)
			}
			top = max(top, r.Sequence)
			n++
		}
		for _, x := range m.Folds {
			if x.LastSequence <= last {
				t.Errorf("a count up to %d in a batch after %d", x.LastSequence, last)
			}
			top = max(top, x.LastSequence)
			n += x.Count
		}
		last = top
	}
	if n != 40_001 || last != f.sequence {
		t.Errorf("%d told of %d, up to %d of %d", n, 40_001, last, f.sequence)
	}
}

func wordsOf(r *facts.KernelRecord) string {
	return fmt.Sprintf("%d <%d.%d> %d %d %s | %s", r.Sequence, r.Facility, r.Level, r.MonoUs, r.WallUs, r.Text, r.Device)
}

func TestKmsgRecord(t *testing.T) {
	r, err := parseKmsg([]byte("3,1843,811205044,-,caller=T1;nvidia 0000:3b:00.0: a\\x09b\\x5cc\n SUBSYSTEM=pci\n DEVICE=+pci:0000:3b:00.0\n"))
	if err != nil {
		t.Fatal(err)
	}
	r.wallUS = 5
	want := `1843 <0.3> 811205044 5 nvidia 0000:3b:00.0: a b\c | +pci:0000:3b:00.0`
	if got := wordsOf(r.message()); got != want {
		t.Error(got)
	}
	if got := wordsOf(recordOf(r.message()).message()); got != want {
		t.Error(got)
	}
	for _, s := range []string{"12,1,2,-;from user space\n DEVICE=\n", "6,1,2,-;\n DEVICE", "6,1,2;x", "6,1,99999999999999999999,-;x", ";", ""} {
		if r, err := parseKmsg([]byte(s)); err == nil && r.facility == 0 && len(r.device) != 0 {
			t.Errorf("%q: %+v", s, r)
		}
	}
}

func TestJournalRecord(t *testing.T) {
	r, err := parseJournal([]byte(`{"MESSAGE":"x","PRIORITY":"3","SYSLOG_FACILITY":"0","_KERNEL_DEVICE":"+pci:0000:3b:00.0","_SOURCE_MONOTONIC_TIMESTAMP":"100","__MONOTONIC_TIMESTAMP":"250","__REALTIME_TIMESTAMP":"1795440000000000"}`))
	if got := wordsOf(r.message()); err != nil || got != "100 <0.3> 100 1795439999999850 x | +pci:0000:3b:00.0" {
		t.Errorf("%v, %s", err, got)
	}
	for in, want := range map[string]uint64{`{"MESSAGE":"x","SYSLOG_FACILITY":"1","__MONOTONIC_TIMESTAMP":"250"}`: 1, `{"MESSAGE":"x","SYSLOG_FACILITY":"?","__MONOTONIC_TIMESTAMP":"250"}`: 0} {
		if r, err := parseJournal([]byte(in)); err != nil || r.facility != want || r.wallUS != 0 {
			t.Errorf("%s: %v, %+v", in, err, r)
		}
	}
	for _, in := range []string{`{"MESSAGE":"x"}`, `{"MESSAGE":[300],"__MONOTONIC_TIMESTAMP":"1"}`, `{"MESSAGE":{},"__MONOTONIC_TIMESTAMP":"1"}`, `{"__MONOTONIC_TIMESTAMP":"1"}`, `{`, ``, `[]`} {
		if r, err := parseJournal([]byte(in)); err == nil {
			t.Errorf("%s: %+v", in, r)
		}
	}
}

func BenchmarkFold(b *testing.B) {
	for name, line := range map[string]string{"ordinary": "usb 1-1: reset high-speed device number 12 using xhci_hcd", "important": "NVRM: Xid (PCI:0000:3b:00): 31, pid=1234, name=python3, Ch 00000008, intr 00000000. MMU Fault"} {
		b.Run(name, func(b *testing.B) {
			f := newFedFolder()
			f.say("settles it")
			f.told()
			r := &kernelRecord{sequence: f.sequence, level: 4, text: []byte(line)}
			b.ReportAllocs()
			for b.Loop() {
				r.sequence++
				r.stampUS++
				f.q.put(r)
			}
		})
	}
}
