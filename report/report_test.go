package report

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"html"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"foretop/fleet"
	"foretop/telemetry/facts"
)

// written is a report of a source.
func written(t testing.TB, format string, src Source, opt Options) string {
	t.Helper()
	opt.Written, opt.By = noon.Add(time.Hour), "foretop test"
	var b bytes.Buffer
	if err := Write(context.Background(), &b, format, src, opt); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

const lostGPU = `
name: lost
faults:
  - {at: 20s, for: 200s, fault: gpu-lost, job: fsdp, member: 2, gpu: 3}
  - {at: 40s, for: 20s, fault: node-dies, job: fsdp, member: 5}
`

func TestAReportTellsWhatHappened(t *testing.T) {
	t.Parallel()
	s := played(t, 40, lostGPU, 90*time.Second)
	var job *fleet.Job
	for _, j := range s.kept[30].Jobs {
		if j.Name == "gemma-9b-sft" {
			job = j
		}
	}
	if job == nil {
		t.Fatal("the job is not there")
	}
	bad := job.Nodes[2]
	acts := []Act{
		{At: noon.Add(50 * time.Second), Who: "ann", What: "drain", Target: bad, State: "starts", Words: "Xid 79 GPU3"},
		{At: noon.Add(50 * time.Second), Who: "bob", What: "drain", Target: "another" + bad, State: "starts"},
		{At: noon.Add(-2 * time.Hour), Who: "zoe", What: "resume", Target: bad, State: "done"},
	}
	for _, format := range Formats() {
		t.Run(format, func(t *testing.T) {
			text := html.UnescapeString(written(t, format, s.source(), Options{Job: job.ID, Acts: acts, Fold: func(n []string) string { return strings.Join(n, "+") }}))
			for _, want := range []string{
				"gemma-9b-sft", "12:00:", bad + " GPU3", "fell off the bus", "Xid", "ann", "Xid 79 GPU3",
				"Power", "Utilisation", "GPU memory", "CPU", strings.Join(job.Nodes, "+"), "32 × NVIDIA", "live → lost", "connection refused",
				"no numbers any more: " + bad + " GPU3",
			} {
				if !strings.Contains(text, want) {
					t.Errorf("%q is not in it", want)
				}
			}
			for _, other := range []string{"bob", "another", "zoe", "llama3-70b-pt", "gpu001 GPU"} {
				if strings.Contains(text, other) {
					t.Errorf("%q is in it", other)
				}
			}
			if len(text) > 2<<20 {
				t.Errorf("%d bytes", len(text))
			}
			if t.Failed() {
				t.Logf("%.6000s", text)
			}
		})
	}
	t.Run("readings", func(t *testing.T) { readingsStandForHistories(t, s) })
}

// TestAWholeFleet has more GPUs than rows: a row is a node.
func TestAWholeFleet(t *testing.T) {
	t.Parallel()
	s := played(t, 24, "name: healthy\nfaults: []\n", 20*time.Second)
	text := written(t, "html", s.source(), Options{ActsNote: "no such file"})
	for _, want := range []string{"<h1>Fleet</h1>", "a row is a node, its lowest GPU", "gpu024", "no such file", "All nodes were seen live"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in it", want)
		}
	}
	if strings.Contains(text, "gpu001 GPU0 ") {
		t.Error("a row is a GPU")
	}
	s.standsAlone(text)
}

// standsAlone fails where a page asks for anything outside itself, or is no well-formed tree.
func (s *sim) standsAlone(text string) { standsAlone(s.t, text) }

var outside = regexp.MustCompile(`(?i)<(script|link|img|iframe|object|embed|base|form|video|audio|source|a)\b|\b(src|href|srcset|action|formaction|style|on\w+)\s*=|url\(|@import|javascript:`)

func standsAlone(t testing.TB, text string) {
	t.Helper()
	// What is in text and attributes is escaped: what remains are the page's own marks.
	for _, tag := range regexp.MustCompile(`(?s)<style>.*?</style>|<[^>]*>`).FindAllString(text, -1) {
		if m := outside.FindString(tag); m != "" && !strings.Contains(tag, "http-equiv") {
			t.Errorf("%q in %.200q", m, tag)
		}
	}
	d := xml.NewDecoder(strings.NewReader(strings.Replace(text, "<!DOCTYPE html>", "", 1)))
	d.AutoClose, d.Entity = []string{"br"}, xml.HTMLEntity
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatalf("not well-formed: %v", err)
		}
	}
}

// evil is what a node may call things.
var evil = []string{
	`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `'></title></style></svg><svg onload=alert(1)>`, `]]>--><!--`, `{{.Title}}`, "`` `rm -rf` ```", "| a | b |", "[x](javascript:alert(1))",
	"![x](http://evil.example/x.png)", "http://evil.example/", "<http://evil.example>", "\x1b[2J", "a\nb\n# heading\n```\n", "&lt;&#x3c;", "\u202egnp.exe", "\x00", "```\n</pre>", "@everyone", "*bold* _it_ ~~no~~",
}

func evilSource(word string) Source {
	n := &fleet.Node{
		Name: "gpu1", State: fleet.Lost, Cause: word, Since: noon, LastData: noon, Inventory: &facts.Inventory{GpuDriverVersion: word}, GPUs: []fleet.GPU{{Index: 0, Info: &facts.GPU{Name: word, Uuid: word}}},
		Kernel:   []fleet.KernelLine{{Sequence: 1, At: noon, Text: word, Class: fleet.KernelClass{Kind: "xid", Severity: fleet.Critical, Text: word}}},
		Problems: []fleet.Problem{{Severity: fleet.Critical, Text: word, GPU: 0, Port: -1, Rule: word, Evidence: []string{word}, Remedy: word, Since: noon}},
	}
	live := *n
	live.State, live.Cause = fleet.Live, ""
	j := &fleet.Job{
		Key: "k/" + word, ID: word, Name: word + "2", User: word, Framework: word, Scheduler: word, Partition: word, StateText: word, Start: noon, Nodes: []string{"gpu1"}, UnwatchedText: word,
		GPUs: []fleet.GPURef{{Node: "gpu1", Rank: 3}}, Findings: []fleet.Verdict{{Severity: fleet.Critical, Text: word, Rule: "job.x", Evidence: []string{word}}}, Log: &fleet.LogTail{Path: word},
		Libraries: []fleet.Library{{Name: word, Version: word}},
	}
	in := fleet.Incident{ID: word, Title: word, Severity: fleet.Critical, Since: noon, Nodes: []string{"gpu1"}, Fold: word, Mark: fleet.Mark{Kind: fleet.Acknowledged, By: word},
		Members: []fleet.Finding{{Rule: word, Subject: fleet.Subject{Node: word, GPU: -1}, Text: word, Since: noon}}}
	snapshots := []*fleet.Snapshot{{At: noon, Nodes: []*fleet.Node{&live}, Jobs: []*fleet.Job{j}, Incidents: []fleet.Incident{in}}, {At: noon.Add(time.Minute), Nodes: []*fleet.Node{n}, Jobs: []*fleet.Job{j}}}
	return Source{From: noon, To: noon.Add(time.Minute), Of: word, Kept: word,
		At: func(_ context.Context, at time.Time) (*fleet.Snapshot, error) {
			if at.Before(snapshots[1].At) {
				return snapshots[0], nil
			}
			return snapshots[1], nil
		},
		History: func(_ time.Time, q fleet.Query) []float64 {
			out := make([]float64, q.Points)
			for i := range out {
				out[i] = float64(i)
			}
			return out
		},
	}
}

func TestWhatANodeSaysStaysText(t *testing.T) {
	benign := written(t, "html", evilSource("word"), evilOptions("word"))
	standsAlone(t, benign)
	if strings.Count(benign, "word") < 30 {
		t.Fatal("too little of the source is told: this test would show nothing")
	}
	tags := strings.Count(benign, "<")
	for _, word := range evil {
		text := written(t, "html", evilSource(word), evilOptions(word))
		standsAlone(t, text)
		if got := strings.Count(text, "<"); got != tags {
			t.Errorf("%q makes %d tags of %d", word, got, tags)
		}
		if strings.ContainsAny(text, "\x1b\x00\u202e") {
			t.Errorf("%q: a control character is left", word)
		}
		text = written(t, "markdown", evilSource(word), evilOptions(word))
		obeys(t, word, text)
	}
}

func evilOptions(word string) Options {
	return Options{Job: word, Acts: []Act{{At: noon, Who: word, What: word, Target: "gpu1", State: word, Words: word}}}
}

// obeys fails where Markdown would make anything of a text: outside of code spans and fences nothing of it may stand unescaped.
func obeys(t *testing.T, word, text string) {
	t.Helper()
	outsideCode := unfenced(t, text)
	for _, sign := range []string{"<", "](", "![", "http://", "\x1b", "\u202e", "```"} {
		if strings.Contains(outsideCode, sign) {
			i := strings.Index(outsideCode, sign)
			t.Errorf("%q leaves %q outside of code: …%.120s", word, sign, outsideCode[max(0, i-60):])
		}
	}
	heads := 0
	for line := range strings.SplitSeq(outsideCode, "\n") {
		if strings.HasPrefix(line, "#") {
			heads++
		}
	}
	if heads < 6 {
		t.Errorf("%q swallows headings: %d are left", word, heads)
	}
}

// unfenced takes code out of Markdown as CommonMark reads it: fences by line, spans by runs of equal length.
func unfenced(t *testing.T, text string) string {
	t.Helper()
	var out strings.Builder
	fence := ""
	for line := range strings.SplitSeq(text, "\n") {
		trimmed := strings.TrimLeft(line, " ")
		run := len(trimmed) - len(strings.TrimLeft(trimmed, "`"))
		switch {
		case fence != "" && run >= len(fence) && strings.Trim(trimmed, "` ") == "":
			fence = ""
		case fence != "":
		case run >= 3 && !strings.Contains(trimmed[run:], "`"):
			fence = trimmed[:run]
		default:
			out.WriteString(unspanned(line) + "\n")
		}
	}
	if fence != "" {
		t.Error("a fence is never closed")
	}
	return out.String()
}

func unspanned(line string) string {
	var out strings.Builder
	for i := 0; i < len(line); {
		switch {
		case line[i] == '\\' && i+1 < len(line):
			i += 2
			out.WriteString("?")
		case line[i] != '`':
			out.WriteByte(line[i])
			i++
		default:
			run := len(line[i:]) - len(strings.TrimLeft(line[i:], "`"))
			end := closing(line[i+run:], run)
			if end < 0 {
				out.WriteString(line[i : i+run])
				i += run
				continue
			}
			i += run + end + run
		}
	}
	return out.String()
}

// closing is where a run of exactly so many backticks begins; -1 nowhere.
func closing(text string, run int) int {
	for i := 0; i < len(text); {
		if text[i] != '`' {
			i++
			continue
		}
		n := len(text[i:]) - len(strings.TrimLeft(text[i:], "`"))
		if n == run {
			return i
		}
		i += n
	}
	return -1
}

// TestAKernelLineFromBefore is told where a finding that stands comes from it, and one that has nothing to do with any is not.
func TestAKernelLineFromBefore(t *testing.T) {
	n := &fleet.Node{Name: "gpu1", State: fleet.Live, LastData: noon, Kernel: []fleet.KernelLine{
		{Sequence: 1, At: noon.Add(-20 * time.Hour), Text: "an old thing", Class: fleet.KernelClass{Kind: "io", Severity: fleet.Warning, Text: "old"}},
		{Sequence: 2, At: noon.Add(-time.Hour), Text: "NVRM: Xid 79", Class: fleet.KernelClass{Kind: "xid", Severity: fleet.Critical, Text: "Xid 79"}},
	}, Problems: []fleet.Problem{{Severity: fleet.Critical, Text: "GPU3 lost", GPU: 3, Port: -1, Since: noon.Add(-time.Hour)}}}
	src := Source{From: noon, To: noon.Add(2 * time.Second), At: func(context.Context, time.Time) (*fleet.Snapshot, error) {
		return &fleet.Snapshot{At: noon, Nodes: []*fleet.Node{n}}, nil
	}}
	text := written(t, "markdown", src, Options{})
	if !strings.Contains(text, "NVRM: Xid 79") || strings.Contains(text, "an old thing") {
		t.Error(text)
	}
}

func TestWhatIsNotThere(t *testing.T) {
	s := evilSource("word")
	for _, tt := range []struct {
		name string
		opt  Options
		src  func(Source) Source
		want string
	}{
		{"another job", Options{Job: "9"}, nil, "no job 9 was seen: there are job word word2"},
		{"after it", Options{From: noon.Add(time.Hour)}, nil, "there is nothing in the time that is asked for"},
		{"no snapshot", Options{}, func(s Source) Source {
			s.At = func(context.Context, time.Time) (*fleet.Snapshot, error) { return nil, errors.New("torn") }
			return s
		}, "torn"},
	} {
		src := s
		if tt.src != nil {
			src = tt.src(s)
		}
		err := Write(context.Background(), io.Discard, "html", src, tt.opt)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	if err := Write(context.Background(), io.Discard, "pdf", s, Options{}); err == nil {
		t.Error("pdf")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := Write(ctx, io.Discard, "html", s, Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// TestAReportIsBounded gives more of everything than is told.
func TestAReportIsBounded(t *testing.T) {
	n := &fleet.Node{Name: "gpu1", State: fleet.Stale, LastData: noon}
	for i := range 1000 {
		word := strings.Repeat("x", i) + "y"
		n.Problems = append(n.Problems, fleet.Problem{Severity: fleet.Warning, Text: word, GPU: -1, Port: -1})
		n.Kernel = append(n.Kernel, fleet.KernelLine{Sequence: uint64(i), At: noon, Text: word, Class: fleet.KernelClass{Kind: "io", Severity: fleet.Warning, Text: word}})
	}
	n.Problems = append(n.Problems, fleet.Problem{Severity: fleet.Critical, Text: "the one that matters", GPU: -1, Port: -1})
	src := Source{From: noon, To: noon.Add(5 * time.Second), At: func(context.Context, time.Time) (*fleet.Snapshot, error) {
		return &fleet.Snapshot{At: noon, Nodes: []*fleet.Node{n}}, nil
	}}
	for _, format := range Formats() {
		text := written(t, format, src, Options{})
		for _, want := range []string{"the one that matters", "701 milder ones are left out", "600 milder lines are left out", "No numbers were kept"} {
			if !strings.Contains(text, want) {
				t.Errorf("%s: %q is not in it", format, want)
			}
		}
		if len(text) > 4<<20 {
			t.Errorf("%s: %d bytes", format, len(text))
		}
	}
}

// readingsStandForHistories tells the same numbers where a history does not reach so far.
func readingsStandForHistories(t *testing.T, s *sim) {
	src := s.source()
	with := written(t, "markdown", src, Options{Job: "gemma-9b-sft"})
	src.History, src.Reach = nil, time.Second
	without := written(t, "markdown", src, Options{Job: "gemma-9b-sft"})
	for _, text := range []string{with, without} {
		for _, want := range []string{"### Power", "### GPU memory", "### Network of the GPU", "### CPU", "### Host memory", "no numbers any more"} {
			if !strings.Contains(text, want) {
				t.Errorf("%q is not in it", want)
			}
		}
	}
	if !strings.Contains(without, "a reading every") || strings.Contains(with, "a reading every") {
		t.Error("it is not said what the numbers are")
	}
	if t.Failed() {
		t.Log(without)
	}
}
