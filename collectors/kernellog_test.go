package collectors

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"foretop/telemetry/facts"

	"github.com/google/go-cmp/cmp"
)

func TestUnescape(t *testing.T) {
	for in, want := range map[string]string{
		`plain`: "plain", `a\x0ab`: "a\nb", `\x5c`: `\`, `\x5cx41`: `\x41`, `\x1`: `\x1`, `\xg0`: `\xg0`, `\`: `\`, `\\x41`: `\A`, `\xe2\x82\xac`: "€", `end\x`: `end\x`,
	} {
		if got := string(unescape([]byte(in))); got != want {
			t.Errorf("unescape(%q) = %q, want %q", in, got, want)
		}
	}
}

func sequences(l *facts.KernelLog) (s []uint64) {
	if l == nil {
		return nil
	}
	for _, r := range l.Records {
		s = append(s, r.Sequence)
	}
	return s
}

func TestKernelQueue(t *testing.T) {
	fill := func(q *kernelQueue, from, to uint64) {
		for i := from; i <= to; i++ {
			q.seen(i)
			q.put(&kernelRecord{sequence: i, text: []byte("x")})
		}
	}
	t.Run("what is known is not told again", func(t *testing.T) {
		q := &kernelQueue{via: viaKmsg}
		fill(q, 10, 15)
		q.resume("", 12)
		got := q.take()
		if d := cmp.Diff([]uint64{13, 14, 15}, sequences(got)); d != "" || got.Lost != 0 {
			t.Error(d, got.Lost)
		}
		if again := q.take(); again != nil {
			t.Errorf("told again: %v", again)
		}
	})
	t.Run("what was overwritten meanwhile is lost", func(t *testing.T) {
		q := &kernelQueue{via: viaKmsg}
		q.resume("", 12)
		fill(q, 20, 21)
		if got := q.take(); got.Lost != 7 || len(got.Records) != 2 {
			t.Errorf("got %v", got)
		}
	})
	t.Run("journal sequences are times, gaps say nothing", func(t *testing.T) {
		q := &kernelQueue{via: viaJournal}
		q.resume("", 12)
		fill(q, 20, 21)
		if got := q.take(); got.Lost != 0 || len(got.Records) != 2 {
			t.Errorf("got %v", got)
		}
	})
	// Rights that are granted or taken change the way while the boot stays: the numbers of the other way say nothing.
	for _, c := range []struct {
		name            string
		via, knownVia   string
		known, from, to uint64
		drained         bool
		want            []uint64
		lost            uint64
	}{
		{"from the journal to the ring, told so", viaKmsg, viaJournal, 11, 10, 12, false, []uint64{10, 11, 12}, 0},
		{"from the journal to the ring, not told so", viaKmsg, "", 5_000_000_000, 10, 12, true, []uint64{10, 11, 12}, 0},
		{"the ring may have more", viaKmsg, "", 13, 10, 12, false, nil, 0},
		{"a number beyond the ring's, whoever says so", viaKmsg, viaKmsg, 13, 10, 12, true, []uint64{10, 11, 12}, 0},
		{"from the ring to the journal", viaJournal, viaKmsg, 11, 10, 12, false, []uint64{10, 11, 12}, 0},
		{"from an early journal to the ring", viaKmsg, viaJournal, 3, 10, 12, true, []uint64{10, 11, 12}, 0},
		{"the same way", viaKmsg, viaKmsg, 11, 10, 12, true, []uint64{12}, 0},
		{"the same way, the ring went on", viaKmsg, viaKmsg, 7, 10, 12, true, []uint64{10, 11, 12}, 2},
		{"the journal again", viaJournal, viaJournal, 11, 10, 12, true, []uint64{12}, 0},
	} {
		for _, first := range []string{"the source", "the front end"} {
			t.Run(c.name+", first speaks "+first, func(t *testing.T) {
				q := &kernelQueue{}
				if first == "the front end" {
					q.resume(c.knownVia, c.known)
				}
				q.begin(c.via)
				fill(q, c.from, c.to)
				if c.drained {
					q.end()
				}
				if first == "the source" {
					q.resume(c.knownVia, c.known)
				}
				got := q.take()
				if d := cmp.Diff(c.want, sequences(got)); d != "" || got.GetLost() != c.lost {
					t.Error(d, got.GetLost())
				}
				if len(c.want) == 0 {
					return
				}
				fill(q, c.to+1, c.to+2)
				if d := cmp.Diff([]uint64{c.to + 1, c.to + 2}, sequences(q.take())); d != "" {
					t.Errorf("later: %s", d)
				}
			})
		}
	}
	t.Run("a source that starts anew reads everything again", func(t *testing.T) {
		q := &kernelQueue{via: viaKmsg}
		fill(q, 10, 12)
		q.take()
		fill(q, 10, 13)
		if d := cmp.Diff([]uint64{13}, sequences(q.take())); d != "" {
			t.Error(d)
		}
	})
	t.Run("batches are bounded and the queue is", func(t *testing.T) {
		q := &kernelQueue{via: viaKmsg}
		n := uint64(0)
		for q.room() {
			n++
			q.put(&kernelRecord{sequence: n, text: bytes.Repeat([]byte("x"), maxKernelText)})
		}
		if n > 300 {
			t.Errorf("%d records of 2 KiB fit", n)
		}
		told := uint64(0)
		for l := q.take(); l != nil; l = q.take() {
			b, err := facts.Encode(l)
			if err != nil || len(b) > kernelFrameBytes+1024 {
				t.Fatalf("batch of %d bytes, %v", len(b), err)
			}
			told += uint64(len(l.Records))
		}
		if told != n || q.bytes != 0 {
			t.Errorf("told %d of %d, %d bytes left", told, n, q.bytes)
		}
	})
}

// The kernel's real ring: what is written to it by user space must not be told, and cannot look like the kernel's.
func TestRealKmsg(t *testing.T) {
	if f, err := os.OpenFile("/dev/kmsg", os.O_RDWR, 0); err != nil && os.Getenv("CI") != "" {
		t.Fatalf("the kernel log is not for this user: %v", err)
	} else if err != nil {
		t.Skipf("the kernel log is not for this user: %v", err)
	} else {
		defer f.Close()
		fmt.Fprintf(f, "<3>NVRM: Xid (PCI:0000:3b:00): 79, forged %d", os.Getpid())
	}
	p := play(t, "", sourcesOf("kernel_log"))
	p.tick()
	if c := p.condition("kernel_log"); c.state != facts.SourceState_SOURCE_OK {
		t.Fatalf("got %+v", c)
	}
	n := 0
	var last uint64
	for l := p.m.kernel.take(); l != nil; l = p.m.kernel.take() {
		for _, r := range l.Records {
			n++
			if strings.Contains(r.Text, fmt.Sprintf("forged %d", os.Getpid())) {
				t.Errorf("told a forged record: %v", r)
			}
			if n > 1 && r.Sequence <= last {
				t.Errorf("record %d after %d", r.Sequence, last)
			}
			last = r.Sequence
		}
	}
	if n == 0 {
		t.Error("the kernel has said nothing since it started")
	}
}

// script puts a program in the way of the real one of that name.
func script(t *testing.T, name, body string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+body), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
}

func TestJournal(t *testing.T) {
	begin := func(t *testing.T) *played {
		p := play(t, "", nil)
		j, err := startJournal(p.ctx, p.m, journalPauses())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(j.close)
		late := time.Now().Add(20 * time.Second)
		for {
			p.ms.Add(100)
			c := conditionOf(j.condition(p.ms.Load()))
			p.m.kernel.mu.Lock()
			n := len(p.m.kernel.raw)
			p.m.kernel.mu.Unlock()
			if n == 3 || c.state != facts.SourceState_SOURCE_OK && c.state != facts.SourceState_SOURCE_UNKNOWN || time.Now().After(late) {
				p.m.board.notes = []condition{c}
				return p
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	t.Run("followed", func(t *testing.T) {
		script(t, "journalctl", `echo '{"MESSAGE":"one","PRIORITY":"3","_SOURCE_MONOTONIC_TIMESTAMP":"100","__MONOTONIC_TIMESTAMP":"200"}'
echo 'not json'
echo '{"MESSAGE":[27,91,109],"__MONOTONIC_TIMESTAMP":"100"}'
echo '{"MESSAGE":["three","iii"],"PRIORITY":"9","__MONOTONIC_TIMESTAMP":"300"}'
exec sleep 60`)
		p := begin(t)
		l := p.m.kernel.take()
		var got []string
		for _, r := range l.GetRecords() {
			got = append(got, fmt.Sprintf("%d <%d> %d %s", r.Sequence, r.Level, r.MonoUs, r.Text))
		}
		if d := cmp.Diff([]string{"100 <3> 100 one", "101 <6> 100 �[m", "300 <6> 300 three"}, got); d != "" || l.Via != "journal" {
			t.Error(d, l.GetVia())
		}
		if len(p.m.children.pids) != 1 {
			t.Errorf("children %v", p.m.children.pids)
		}
	})
	t.Run("denied", func(t *testing.T) {
		script(t, "journalctl", `echo 'No journal files were opened due to insufficient permissions.' >&2; exit 1`)
		if c := begin(t).m.board.notes[0]; c.state != facts.SourceState_SOURCE_DENIED || c.remedy != kernelRemedy {
			t.Errorf("got %+v", c)
		}
	})
	t.Run("silent", func(t *testing.T) {
		script(t, "journalctl", `exec sleep 60`)
		if c := begin(t).m.board.notes[0]; c.state != facts.SourceState_SOURCE_DENIED {
			t.Errorf("got %+v", c)
		}
	})
}

// A journalctl that dies is started again, after a longer pause each time, and what it repeats is not told again.
func TestJournalIsStartedAgain(t *testing.T) {
	runs := filepath.Join(t.TempDir(), "runs")
	script(t, "journalctl", fmt.Sprintf(`echo run >> %[1]s
n=$(wc -l < %[1]s)
line() { echo '{"MESSAGE":"'$1'","__MONOTONIC_TIMESTAMP":"'$1'"}'; }
line 100; line 300; line 200
test $n -ge 2 && line 400
test $n -ge 4 && line 500 && line 450 && exec sleep 60
test $n = 3 && echo 'journal was rotated' >&2
exit $n`, runs))
	p := play(t, "", nil)
	j, err := startJournal(p.ctx, p.m, pauses{first: 20 * time.Millisecond, most: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(j.close)
	var told []string
	var failed bool
	for late := time.Now().Add(20 * time.Second); len(told) < 6 && time.Now().Before(late); time.Sleep(time.Millisecond) {
		for _, r := range p.m.kernel.take().GetRecords() {
			told = append(told, fmt.Sprintf("%d %s", r.Sequence, r.Text))
		}
		c := conditionOf(j.condition(p.ms.Load()))
		failed = failed || c.state == facts.SourceState_SOURCE_FAILING && strings.Contains(c.text, "started again: exit status 3: journal was rotated")
	}
	if d := cmp.Diff([]string{"100 100", "300 300", "301 200", "400 400", "500 500", "501 450"}, told); d != "" {
		t.Error(d)
	}
	if !failed {
		t.Error("that it ended was not told")
	}
	if c := conditionOf(j.condition(p.ms.Load())); c.state != facts.SourceState_SOURCE_OK {
		t.Errorf("runs again, and says %+v", c)
	}
	j.close()
	for late := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		p.m.children.mu.Lock()
		n := len(p.m.children.pids)
		p.m.children.mu.Unlock()
		if n == 0 {
			break
		}
		if time.Now().After(late) {
			t.Fatalf("%d run on after the end", n)
		}
	}
}
