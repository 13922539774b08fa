package collectors

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"foretop/collectors/kernfs"
	"foretop/findings"
	"foretop/fleet"
	"foretop/telemetry"
	"foretop/telemetry/facts"
)

// fileRing plays /dev/kmsg as a file: who opens it reads all of it again. Its records are of one length, of which a read takes a whole number.
type fileRing struct {
	t        *testing.T
	root     kernfs.Root
	w        *os.File
	sequence uint64
	stamp    int64
}

const ringRecord = 128

func newFileRing(t *testing.T) *fileRing {
	t.Helper()
	root := t.TempDir()
	for path, text := range map[string]string{"dev/kmsg": "", "proc/sys/kernel/random/boot_id": "0d7cbbd8-7a55-4f3c-9c39-0c1d8a8b1a11\n"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(root, path)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, path), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	w, err := os.OpenFile(filepath.Join(root, "dev/kmsg"), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return &fileRing{t: t, root: kernfs.Root(root), w: w, sequence: 100, stamp: 5_000_000}
}

func (r *fileRing) say(lines ...string) {
	r.t.Helper()
	var b []byte
	for _, line := range lines {
		r.sequence++
		r.stamp += 1000
		one := fmt.Sprintf("4,%d,%d,-;%s", r.sequence, r.stamp, line)
		if len(one) >= ringRecord {
			r.t.Fatalf("a record of %d bytes", len(one))
		}
		b = append(b, one...)
		b = append(b, strings.Repeat(" ", ringRecord-1-len(one))...)
		b = append(b, '\n')
	}
	if _, err := r.w.Write(b); err != nil {
		r.t.Fatal(err)
	}
}

// conversation reads a collector's stream into a fleet until it has taken so many frames of the log, and counts what these told.
type conversation struct {
	heard uint64
	seen  map[uint64]bool
	twice int
}

func (c *conversation) hold(t *testing.T, f *fleet.Fleet, root kernfs.Root, frames int, enough func() bool) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	toFront, fromNode := io.Pipe()
	toNode, fromFront := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		ended <- Run(ctx, toNode, fromNode, Options{Root: root, Every: quick, Sources: floodSources(), Nonce: "0123456789abcdef"})
		fromNode.Close()
	}()
	defer func() {
		cancel()
		toFront.Close()
		toNode.Close()
		if err := <-ended; err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, io.ErrClosedPipe) {
			t.Error(err)
		}
	}()
	if _, err := io.ReadFull(toFront, make([]byte, len(telemetry.StreamLine("0123456789abcdef")))); err != nil {
		t.Fatal(err)
	}
	in := telemetry.NewFrameReader(toFront, telemetry.MaxFrameBytes)
	late := time.Now().Add(2 * time.Minute)
	for frames != 0 && !enough() {
		kind, payload, err := in.Read()
		if err != nil || time.Now().After(late) {
			t.Fatalf("%d records heard of: %v", c.heard, err)
		}
		if kind == telemetry.KindKernelLog {
			frames--
			c.take(t, payload)
		}
		reply, err := f.Apply("n", kind, payload, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if reply.Start != nil {
			b, err := facts.Encode(&facts.Control{What: &facts.Control_Start{Start: reply.Start}})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := telemetry.NewFrameWriter(fromFront, telemetry.MaxControlBytes).Write(telemetry.KindControl, b); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func (c *conversation) take(t *testing.T, payload []byte) {
	m := &facts.KernelLog{}
	if err := facts.Decode(payload, m); err != nil {
		t.Fatal(err)
	}
	c.heard += uint64(len(m.Records)) + m.Lost
	for _, r := range m.Records {
		if c.seen[r.Sequence] {
			c.twice++
		}
		c.seen[r.Sequence] = true
	}
	for _, f := range m.Folds {
		c.heard += f.Count
	}
}

// A stream that breaks after any frame, in the middle of a flood of all kinds of lines, costs no record and tells none twice.
func TestFloodAcrossReconnects(t *testing.T) {
	words := []string{"alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa"}
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 7))
			r := newFileRing(t)
			more := func(n int) {
				for range n {
					word := words[rnd.IntN(10)] + words[rnd.IntN(10)]
					switch rnd.IntN(4) {
					case 0:
						r.say(fmt.Sprintf("usb 1-1: reset number %d", rnd.IntN(1000)))
					case 1:
						r.say(word + " of " + words[rnd.IntN(10)] + " and " + words[rnd.IntN(10)])
					case 2:
						r.say(fmt.Sprintf("nvme nvme%d: I/O %d QID 3 timeout, reset controller", rnd.IntN(300), rnd.IntN(1000)))
					default:
						r.say(fmt.Sprintf("%s: state %d", word, rnd.IntN(1000)))
					}
				}
			}
			f := fleet.New(fleet.Options{Rules: findings.Rules()})
			f.Add("n")
			f.SetStatus("n", fleet.Status{State: fleet.Live})
			c := &conversation{seen: map[uint64]bool{}}
			all := uint64(0)
			for range 4 {
				more(2000)
				c.hold(t, f, r.root, 1+rnd.IntN(3), func() bool { return c.heard >= r.sequence-100 })
			}
			lost := 1 + rnd.Uint64N(1000)
			r.sequence += lost // overwritten before anybody read it
			more(500)
			all = r.sequence - 100
			c.hold(t, f, r.root, -1, func() bool { return c.heard >= all })
			if c.heard != all || c.twice != 0 {
				t.Errorf("%d records heard of, want %d; %d of them twice", c.heard, all, c.twice)
			}
			if n := f.Publish().Nodes[0]; n.KernelLost != lost {
				t.Errorf("%d lost, want %d", n.KernelLost, lost)
			}
		})
	}
}

// The journal's way: a played journalctl that says as much, as fast.
func TestJournalFlood(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "lines")
	out, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriter(out)
	say := func(i int, facility, text string) {
		fmt.Fprintf(w, `{"MESSAGE":%q,"PRIORITY":"4","SYSLOG_FACILITY":%q,"_SOURCE_MONOTONIC_TIMESTAMP":"%d","__MONOTONIC_TIMESTAMP":"%d","__REALTIME_TIMESTAMP":"%d"}`+"\n", text, facility, 1000+i, 1100+i, 1_795_440_000_000_100+i)
	}
	say(0, "0", "the very first line")
	for i := range floodLines {
		if i == floodLines/2 {
			say(i, "0", floodXid)
			say(i, "1", "NVRM: Xid (PCI:0000:9d:00): 79, a program wrote this to /dev/kmsg")
		}
		say(i, "0", fmt.Sprintf("usb 1-1: reset high-speed device number %d using xhci_hcd", i))
	}
	w.Flush()
	out.Close()
	script(t, "journalctl", "cat "+path+"; exec sleep 600")
	journalSource := Source{"kernel_log", quick, func(m *machine) reader {
		j, err := startJournal(context.Background(), m, journalPauses())
		if err != nil {
			t.Error(err)
		}
		return &kernelReader{m: m, fd: -1, journal: j}
	}}
	d := connectFlood(t, nil, Options{Every: quick, Sources: []Source{journalSource}})
	all := uint64(floodLines + 2)
	n := d.await(all)
	d.mu.Lock()
	t.Logf("%d lines: %d B crossed: %d whole, %d counts", all, d.bytes, d.records, d.folds)
	if d.heard != all || d.bytes > 30<<10 || !d.whole["the very first line"] {
		t.Errorf("%d records heard of, %d bytes", d.heard, d.bytes)
	}
	d.mu.Unlock()
	if xidsOf(n) != 1 {
		t.Errorf("%d Xids", xidsOf(n))
	}
	for _, k := range n.Kernel {
		if k.Class.Xid == 79 && (k.WallUS != 1_795_440_000_000_000+floodLines/2 || k.MonoUS != 1000+floodLines/2 || k.Level != 4) {
			t.Errorf("%+v", k)
		}
	}
}

// What the front end takes for the loss of a device or of data is told by the node even in a flood: both read the same lines.
func TestImportantLinesAgree(t *testing.T) {
	f, err := os.Open("../findings/testdata/kernel.corpus")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	prefix := regexp.MustCompile(`^(<\d>)?(\[[ .\d]+\] ?(\[ T\d+\] )?|\S+.*? kernel: |kernel: )`)
	checked := 0
	for in := bufio.NewScanner(f); in.Scan(); {
		_, line, ok := strings.Cut(in.Text(), " | ")
		if !ok {
			continue
		}
		if line = prefix.ReplaceAllString(line, ""); strings.HasPrefix(in.Text(), "- ") {
			continue
		}
		c := findings.ClassifyKernel(line)
		switch c.Kind {
		case "xid", "sxid", "oom":
		default:
			if c.Severity < fleet.Critical {
				continue
			}
		}
		checked++
		if !important(4, []byte(line)) {
			t.Errorf("%s, and not important: %s", c.Severity, line)
		}
	}
	if checked < 100 {
		t.Errorf("%d lines", checked)
	}
	for _, line := range []string{"usb 1-1: new device", "mlx5_core 0000:41:00.0: mlx5_cmd_out_err:838:(pid 9): ACCESS_REG(0x805) op_mod(0x1) failed, status bad resource(0x5)", "audit: type=1400", ""} {
		if important(4, []byte(line)) {
			t.Errorf("important: %q", line)
		}
	}
	if !important(2, []byte("anything critical")) {
		t.Error("the kernel's own word does not count")
	}
}
