package journal

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"foretop/fleet"
)

var noon = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

// clock is a time that tests set.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) pass(d time.Duration) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
	return c.at
}

// opened is Open that has read the file, however long that takes.
func opened(t *testing.T, path, by string, now func() time.Time) *Book {
	t.Helper()
	b := Open(path, by, now)
	within(t, b.ready)
	return b
}

// closed is Close that has written all.
func closed(t *testing.T, b *Book) {
	t.Helper()
	b.Close()
	within(t, b.ended)
}

func within(t *testing.T, c chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(3 * time.Minute):
		t.Fatal("it takes too long")
	}
}

func xid(since time.Time) fleet.Finding {
	return fleet.Finding{Rule: "hw.xid 79", Subject: fleet.Subject{Node: "gpu017", GPU: 3, UUID: "GPU-3", Port: -1}, Severity: fleet.Critical, Text: "Xid 79: fell off the bus", Since: since, Began: true}
}

// incidents is one of a finding.
func incidents(members ...fleet.Finding) []fleet.Incident {
	in := fleet.Incident{ID: members[0].Key(), Title: members[0].Text, Since: members[0].Since, Members: members}
	for _, f := range members {
		in.Severity = max(in.Severity, f.Severity)
	}
	return []fleet.Incident{in}
}

func mark(t *testing.T, b *Book, kind fleet.MarkKind, until time.Time) {
	t.Helper()
	if n := b.Mark([]string{"hw.xid 79@GPU-3"}, kind, until); n != 1 {
		t.Fatalf("said of %d incidents", n)
	}
}

func TestWhatIsSaidLasts(t *testing.T) {
	c := &clock{at: noon}
	path := filepath.Join(t.TempDir(), "state", "foretop", "findings.jsonl")
	b := opened(t, path, "ann", c.now)
	if in := b.Note(incidents(xid(noon)), c.now())[0]; !in.New || in.Mark.Kind != fleet.Unmarked {
		t.Errorf("at first: %+v", in)
	}
	c.pass(time.Minute)
	b.Looked()
	mark(t, b, fleet.Acknowledged, time.Time{})
	if in := b.Note(incidents(xid(noon)), c.now())[0]; in.New || in.Mark.Kind != fleet.Acknowledged || in.Mark.By != "ann" || !in.Mark.At.Equal(noon.Add(time.Minute)) {
		t.Errorf("acknowledged: %+v", in)
	}
	closed(t, b)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v %v", info, err)
	}

	c.pass(time.Hour)
	b = opened(t, path, "ann", c.now)
	if in := b.Note(incidents(xid(noon.Add(time.Second))), c.now())[0]; in.New || in.Mark.Kind != fleet.Acknowledged {
		t.Errorf("after a restart: %+v", in)
	}
	again := xid(c.now())
	again.Began = false // first seen now, and nobody saw it go
	closed(t, b)
	b = opened(t, path, "ann", c.now)
	if in := b.Note(incidents(again), c.now())[0]; in.New || in.Mark.Kind != fleet.Acknowledged || len(in.Members[0].Past) != 0 {
		t.Errorf("as old as you like: %+v", in)
	}
	closed(t, b)
	b = opened(t, path, "bob", c.now) // whose acknowledgement it is does not matter, who has looked does
	again.Began = true
	again.Since = c.now()
	in := b.Note(incidents(again), c.now())[0]
	if !in.New || in.Mark.Kind != fleet.Unmarked || len(in.Members[0].Past) != 1 {
		t.Errorf("another time: %+v", in)
	}
	closed(t, b)
}

func TestAnAcknowledgementEnds(t *testing.T) {
	warn := xid(noon)
	warn.Severity = fleet.Warning
	again := warn
	again.Since = noon.Add(2 * time.Hour)
	for _, tt := range []struct {
		name string
		then func(c *clock, b *Book)
		of   fleet.Finding
		want fleet.MarkKind
	}{
		{"it goes on", func(c *clock, b *Book) { c.pass(48 * time.Hour) }, warn, fleet.Acknowledged},
		{"it becomes worse", func(*clock, *Book) {}, xid(noon), fleet.Unmarked},
		{"it went and came again", func(c *clock, b *Book) {
			c.pass(time.Hour)
			gone := warn
			gone.Until = c.now()
			b.Note(incidents(gone), c.now())
			b.Note(nil, c.pass(time.Hour))
		}, again, fleet.Unmarked},
		{"its node was not watched meanwhile", func(c *clock, b *Book) { b.Note(nil, c.pass(time.Hour)) }, warn, fleet.Acknowledged},
		{"taken back", func(c *clock, b *Book) { b.Mark([]string{"hw.xid 79@GPU-3"}, fleet.Unmarked, time.Time{}) }, warn, fleet.Unmarked},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := &clock{at: noon}
			b := Open("", "ann", c.now)
			defer closed(t, b)
			b.Note(incidents(warn), c.pass(time.Second))
			mark(t, b, fleet.Acknowledged, time.Time{})
			tt.then(c, b)
			if in := b.Note(incidents(tt.of), c.now())[0]; in.Mark.Kind != tt.want {
				t.Errorf("%+v", in.Mark)
			}
		})
	}
}

func TestASnoozeEnds(t *testing.T) {
	c := &clock{at: noon}
	b := Open("", "ann", c.now)
	defer closed(t, b)
	b.Note(incidents(xid(noon)), noon)
	mark(t, b, fleet.Snoozed, noon.Add(time.Hour))
	if in := b.Note(incidents(xid(noon)), c.pass(59*time.Minute))[0]; in.Mark.Kind != fleet.Snoozed || !in.Quiet(c.now()) {
		t.Errorf("%+v", in.Mark)
	}
	if in := b.Note(incidents(xid(noon)), c.pass(time.Minute))[0]; in.Mark.Kind != fleet.Unmarked || in.Quiet(c.now()) {
		t.Errorf("%+v", in.Mark)
	}
}

func TestAFalseAlarmIsOfARuleAndASubject(t *testing.T) {
	c := &clock{at: noon}
	path := filepath.Join(t.TempDir(), "findings.jsonl")
	b := opened(t, path, "ann", c.now)
	b.Note(incidents(xid(noon)), noon)
	mark(t, b, fleet.FalseAlarm, time.Time{})
	closed(t, b)
	c.pass(30 * 24 * time.Hour)
	b = opened(t, path, "bob", c.now)
	defer closed(t, b)
	if !b.Denied("hw.xid 79@GPU-3") || b.Denied("hw.xid 79@GPU-4") {
		t.Error("of the wrong finding")
	}
	b.Note(incidents(xid(c.now())), c.now())
	mark(t, b, fleet.Unmarked, time.Time{})
	if b.Denied("hw.xid 79@GPU-3") {
		t.Error("not taken back")
	}
}

func TestTheThirdTimeInAWeekIsTold(t *testing.T) {
	c := &clock{at: noon}
	path := filepath.Join(t.TempDir(), "findings.jsonl")
	words := func(past time.Duration) string {
		c.mu.Lock()
		c.at = noon.Add(past)
		c.mu.Unlock()
		b := opened(t, path, "ann", c.now)
		defer closed(t, b)
		in := b.Note(incidents(xid(c.now())), c.now())[0]
		in = b.Note([]fleet.Incident{in}, c.now())[0]
		return strings.Join(in.Members[0].Evidence, "|")
	}
	day := 24 * time.Hour
	for _, tt := range []struct {
		at   time.Duration
		want string
	}{
		{0, ""},
		{2 * day, "second time in a week; before: Thu 26 Nov 12:00"},
		{3 * day, "third time in a week; before: Thu 26 Nov 12:00, Sat 28 Nov 12:00"},
		{20 * day, "fourth time in 90 days; before: Thu 26 Nov 12:00, Sat 28 Nov 12:00, Sun 29 Nov 12:00"},
		{100 * day, "second time in 90 days; before: Wed 16 Dec 12:00"},
	} {
		if got := words(tt.at); got != tt.want {
			t.Errorf("after %s: %q, not %q", tt.at, got, tt.want)
		}
	}
}

func TestABadFileCostsOnlyWhatIsBad(t *testing.T) {
	c := &clock{at: noon.Add(time.Hour)}
	path := filepath.Join(t.TempDir(), "findings.jsonl")
	b := opened(t, path, "ann", c.now)
	b.Note(incidents(xid(noon)), c.now())
	mark(t, b, fleet.FalseAlarm, time.Time{})
	closed(t, b)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	bad := "\x00\xff\n{\"kind\":\"mark\"\n[]\n{\"kind\":\"mark\",\"time\":\"2026-11-26T12:00:00Z\",\"key\":5}\n" + strings.Repeat("x", 3*maxLine) + "\n" + string(good) + `{"kind":"mark","time":"2026-1`
	if err := os.WriteFile(path, []byte(bad), 0o644); err != nil {
		t.Fatal(err)
	}
	b = opened(t, path, "ann", c.now)
	if !b.Denied("hw.xid 79@GPU-3") || b.Trouble() != "" {
		t.Errorf("lost: %q", b.Trouble())
	}
	b.Note(incidents(xid(noon)), c.now())
	mark(t, b, fleet.Unmarked, time.Time{}) // after the torn line, on one of its own
	closed(t, b)
	b = opened(t, path, "ann", c.now)
	defer closed(t, b)
	if b.Denied("hw.xid 79@GPU-3") {
		t.Error("what was written after a torn line is lost")
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
}

func TestAFileThatCannotBeIsSaid(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "findings.jsonl")
	if err := os.Mkdir(path, 0o700); err != nil { // a folder is no file
		t.Fatal(err)
	}
	c := &clock{at: noon}
	b := opened(t, path, "ann", c.now)
	defer closed(t, b)
	if words := b.Trouble(); !strings.Contains(words, "lasts only until foretop ends") || !strings.Contains(words, path) {
		t.Errorf("%q", words)
	}
	b.Note(incidents(xid(noon)), noon)
	mark(t, b, fleet.Acknowledged, time.Time{})
	if in := b.Note(incidents(xid(noon)), noon)[0]; in.Mark.Kind != fleet.Acknowledged {
		t.Errorf("%+v", in)
	}
}

func TestAFileThatGrewIsMadeSmaller(t *testing.T) {
	c := &clock{at: noon}
	path := filepath.Join(t.TempDir(), "findings.jsonl")
	b := opened(t, path, "ann", c.now)
	b.Note(incidents(xid(noon)), noon)
	mark(t, b, fleet.FalseAlarm, time.Time{})
	closed(t, b)
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Repeat("y", maxText)
	for i := 0; ; i++ {
		n, err := f.Write(entry{Kind: kindFound, Time: noon.Add(time.Duration(i) * time.Millisecond), Since: noon, Key: fmt.Sprintf("rule@node%d", i), Text: text}.line())
		if err != nil {
			t.Fatal(err)
		}
		if int64(i*n) > maxFile+1<<20 {
			break
		}
	}
	f.Close()
	other := opened(t, path, "bob", c.now) // has the file read, and finds the new one
	defer closed(t, other)
	b = opened(t, path, "ann", c.now)
	b.Looked()
	closed(t, b)
	info, err := os.Stat(path)
	if err != nil || info.Size() > goalFile+maxLine || info.Size() < goalFile/2 || info.Mode().Perm() != 0o600 {
		t.Fatalf("%d bytes, %v", info.Size(), err)
	}
	other.exchange(false)
	if !other.Denied("hw.xid 79@GPU-3") || other.Trouble() != "" {
		t.Errorf("the mark is lost, %q", other.Trouble())
	}
	b = opened(t, path, "ann", c.now)
	defer closed(t, b)
	if !b.Denied("hw.xid 79@GPU-3") {
		t.Error("the mark is lost")
	}
}

// writer is what TestSeveralProcesses runs: a program of its own that says things.
func TestWriter(t *testing.T) {
	path := os.Getenv("FORETOP_TEST_JOURNAL")
	if path == "" {
		return // it is no test of its own
	}
	name := os.Getenv("FORETOP_TEST_NAME")
	b := opened(t, path, name, time.Now)
	defer closed(t, b)
	var list []fleet.Incident
	for i := range 200 {
		f := xid(time.Now())
		f.Subject.UUID = fmt.Sprintf("%s-%d", name, i)
		list = append(list, incidents(f)...)
		b.Note(list, time.Now())
		b.Mark([]string{f.Key()}, fleet.FalseAlarm, time.Time{})
	}
}

func TestSeveralProcessesWriteAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "findings.jsonl")
	var running sync.WaitGroup
	for i := range 2 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestWriter$")
		cmd.Env = append(os.Environ(), "FORETOP_TEST_JOURNAL="+path, fmt.Sprintf("FORETOP_TEST_NAME=p%d", i))
		running.Go(func() {
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
	own := opened(t, path, "own", time.Now)
	defer closed(t, own)
	var list []fleet.Incident
	for i := range 200 { // of this process, from two goroutines
		f := xid(time.Now())
		f.Subject.UUID = fmt.Sprintf("own-%d", i)
		list = append(list, incidents(f)...)
		own.Note(list, time.Now())
		running.Go(func() { own.Mark([]string{f.Key()}, fleet.FalseAlarm, time.Time{}) })
	}
	running.Wait()
	own.exchange(false)
	all := opened(t, path, "all", time.Now)
	defer closed(t, all)
	for _, b := range []*Book{own, all} {
		for _, name := range []string{"p0", "p1", "own"} {
			for i := range 200 {
				if key := fmt.Sprintf("hw.xid 79@%s-%d", name, i); !b.Denied(key) {
					t.Fatalf("%s: %s is lost", b.by, key)
				}
			}
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(strings.TrimSuffix(string(text), "\n"), "\n") {
		if _, ok := parseEntry([]byte(line)); !ok {
			t.Errorf("torn: %.80q", line)
		}
	}
}

func FuzzEntry(f *testing.F) {
	f.Add([]byte(`{"kind":"mark","time":"2026-11-26T12:00:00Z","key":"hw.xid 79@GPU-3","mark":"acknowledged"}`))
	f.Add([]byte(`{"kind":"found","time":"2026-11-26T12:00:00Z","since":"0001-01-01T00:00:00Z","key":"a@b"}`))
	f.Add([]byte(`{"kind":"gone","time":"9999-11-26T12:00:00Z"`))
	f.Fuzz(func(t *testing.T, line []byte) {
		e, ok := parseEntry(line)
		if !ok {
			return
		}
		b := Open("", "ann", func() time.Time { return noon })
		defer closed(t, b)
		b.take(&e)
		if text := e.line(); text != nil {
			if _, again := parseEntry(text[:len(text)-1]); !again {
				t.Errorf("%q is not read again", text)
			}
		}
	})
}
