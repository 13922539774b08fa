package actions

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"foretop/scripts/testbed"
)

// journaled is what a desk does that writes to a journal as well: the results of a drain of one node, and how often the cluster was told.
func journaled(t *testing.T, path string, j *Journal, reason string) (Result, int) {
	t.Helper()
	c := newCluster(1)
	a := OpenAudit(path, j.Send)
	defer a.Close()
	p := planner(c).Preview(fleetOf(t, 1), Intent{Kind: Drain, Nodes: names(1), Reason: reason})
	job, err := (&Desk{Audit: a, User: "ann", From: "login1"}).Start(t.Context(), p, "y")
	if err != nil {
		t.Fatal(err)
	}
	<-job.Done()
	r, _ := job.Results()
	return r[0], len(c.orders)
}

// A real journal has each line of an action, field by field, whatever is in it. One that is stuck, or not there, takes none: nothing is begun, within the patience of the audit.
func TestJournal(t *testing.T) {
	bed := testbed.StartJournal(t)
	dir := t.TempDir()
	reason := "it's \"a\" $(reboot); FORETOP_USER=root\u2028x, 漢"
	r, orders := journaled(t, filepath.Join(dir, "audit"), OpenJournal(bed.Socket), reason)
	if r.State != Done || orders != 1 {
		t.Fatalf("%+v, %d orders", r, orders)
	}
	var lines []testbed.Entry
	for end := time.Now().Add(time.Minute); len(lines) < 2; time.Sleep(20 * time.Millisecond) {
		lines = bed.Lines("foretop")
		if time.Now().After(end) {
			t.Fatalf("in the journal: %v", lines)
		}
	}
	file := auditLines(t, filepath.Join(dir, "audit"))
	if len(lines) != 2 || len(file) != 2 {
		t.Fatalf("%d lines in the journal, %d in the file", len(lines), len(file))
	}
	for i, l := range file {
		for name, want := range map[string]string{
			"MESSAGE": l.text(), "PRIORITY": "5", "FORETOP_ID": l.ID, "FORETOP_USER": "ann", "FORETOP_FROM": "login1", "FORETOP_ACTION": "drain", "FORETOP_TARGET": l.Target, "FORETOP_WHERE": l.Where,
			"FORETOP_COMMAND": l.Command[0], "FORETOP_REASON": l.Reason, "FORETOP_STATE": l.State, "FORETOP_TIME": l.Time.Format(time.RFC3339Nano),
		} {
			if got := lines[i][name]; got != want {
				t.Errorf("%s is %q, not %q", name, got, want)
			}
		}
	}

	// It hangs: once its queue is full it takes no more.
	if err := syscall.Kill(bed.PID, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	j := OpenJournal(bed.Socket)
	var err error
	for n := 0; n < 1<<16 && err == nil; n++ {
		err = j.Send(Line{User: "ann", Action: Drain, Target: "n", State: Starts})
	}
	if !errors.Is(err, ErrJournal) || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a journal that hangs: %v", err)
	}
	r, orders = journaled(t, filepath.Join(dir, "stuck"), j, "fan")
	if r.State != Failed || orders != 0 || !strings.Contains(r.Words, "nothing was done: systemd's journal takes no line") {
		t.Errorf("%+v, %d orders", r, orders)
	}
	if _, err := os.Stat(filepath.Join(dir, "stuck")); err == nil {
		t.Error("the file has what was not begun")
	}
	if err := syscall.Kill(bed.PID, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if r, orders = journaled(t, filepath.Join(dir, "again"), j, "fan"); r.State != Done || orders != 1 {
		t.Errorf("%+v, %d orders", r, orders)
	}

	r, orders = journaled(t, filepath.Join(dir, "absent"), OpenJournal(filepath.Join(dir, "nothing")), "fan")
	if r.State != Failed || orders != 0 || !strings.Contains(r.Words, "no such file") || !strings.Contains(r.Words, "actions.journal in the configuration file") {
		t.Errorf("%+v, %d orders", r, orders)
	}
}

// listens is a socket that takes lines as a journal does.
func listens(t *testing.T) (*net.UnixConn, *Journal) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn, OpenJournal(path)
}

// entry reads one line: field by field, with each value's length before it.
func entry(t *testing.T, conn *net.UnixConn) map[string][]string {
	t.Helper()
	buf := make([]byte, 1<<20)
	if err := conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	n, err := conn.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	fields, err := parseEntry(buf[:n])
	if err != nil {
		t.Fatal(err)
	}
	return fields
}

func parseEntry(b []byte) (map[string][]string, error) {
	fields := map[string][]string{}
	for len(b) > 0 {
		name, rest, ok := strings.Cut(string(b), "\n")
		if !ok || len(rest) < 9 {
			return nil, fmt.Errorf("%q is cut", b)
		}
		n := 0
		for i := range 8 {
			n |= int(rest[i]) << (8 * i)
		}
		if n < 0 || n > len(rest)-9 || rest[8+n] != '\n' {
			return nil, fmt.Errorf("%s: %d bytes of %q", name, n, rest)
		}
		fields[name] = append(fields[name], rest[8:8+n])
		b = []byte(rest[8+n+1:])
	}
	return fields, nil
}

// The file counts: where it cannot be written, what the journal was told of is called off there. What ended stands in the file, whether the journal takes it or not.
func TestJournalAndFile(t *testing.T) {
	conn, j := listens(t)
	a := OpenAudit(t.TempDir(), j.Send) // a folder
	defer a.Close()
	if err := a.Append(Line{ID: "x", Action: Drain, Target: "n", State: Starts}); !errors.Is(err, ErrAudit) {
		t.Error(err)
	}
	for _, want := range []string{Starts, NotStarted.String()} {
		if e := entry(t, conn); !slices.Equal(e["FORETOP_STATE"], []string{want}) || want != Starts && !strings.Contains(e["FORETOP_WORDS"][0], "the audit file cannot be written") {
			t.Errorf("%q", e)
		}
	}
	path := filepath.Join(t.TempDir(), "audit")
	b := OpenAudit(path, j.Send)
	defer b.Close()
	conn.Close()
	if err := b.Append(Line{ID: "x", Action: Drain, Target: "n", State: "done"}); !errors.Is(err, ErrJournal) || errors.Is(err, ErrAudit) {
		t.Error(err)
	}
	if lines := auditLines(t, path); len(lines) != 1 || lines[0].State != "done" {
		t.Errorf("%+v", lines)
	}
}

// However many commands an action has, its line is one that a journal takes.
func TestJournalBound(t *testing.T) {
	conn, j := listens(t)
	l := Line{User: "ann", Action: Drain, Target: "n", State: "failed", Words: "why\nnot"}
	for i := range 4000 {
		l.Command = append(l.Command, fmt.Sprintf("DELETE pods/%04d %s", i, strings.Repeat("x", 100)))
	}
	sent := make(chan error, 1)
	go func() { sent <- j.Send(l) }()
	e := entry(t, conn)
	if err := <-sent; err != nil {
		t.Error(err)
	}
	c := e["FORETOP_COMMAND"]
	if len(c) < 100 || len(strings.Join(c, "")) > maxJournal+100 || c[len(c)-1] != fmt.Sprintf("… and %d more: the audit file has them", 4000-len(c)+1) || e["PRIORITY"][0] != "4" || e["FORETOP_WORDS"][0] != "why\nnot" {
		t.Errorf("%d commands, the last %q", len(c), c[len(c)-1])
	}
}

// Whatever is in a line, its entry has just its fields.
func FuzzJournalEntry(f *testing.F) {
	f.Add("a\nPRIORITY=0", "\x00\xff", "")
	f.Fuzz(func(t *testing.T, target, command, reason string) {
		fields, err := parseEntry(journalEntry(Line{User: "ann", Target: target, Command: []string{command, target}, Reason: reason, State: "done"}))
		if err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]string{"FORETOP_TARGET": target, "FORETOP_REASON": reason, "SYSLOG_IDENTIFIER": "foretop", "PRIORITY": "5"} {
			if got := strings.Join(fields[name], "|"); got != want {
				t.Errorf("%s: %q, not %q", name, got, want)
			}
		}
	})
}
