package findings

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"testing"

	"foretop/fleet"

	"github.com/google/go-cmp/cmp"
)

// corpusLine is one line of testdata/kernel.corpus.
type corpusLine struct {
	number int
	text   string
	want   map[string]string
}

func readCorpus(t testing.TB) []corpusLine {
	t.Helper()
	f, err := os.Open("testdata/kernel.corpus")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var lines []corpusLine
	in := bufio.NewScanner(f)
	for n := 1; in.Scan(); n++ {
		if strings.HasPrefix(in.Text(), "#") {
			continue
		}
		head, text, ok := strings.Cut(in.Text(), " | ")
		words := splitQuoted(head)
		if !ok || len(words) < 2 {
			t.Fatalf("line %d: %q", n, in.Text())
		}
		l := corpusLine{number: n, text: text, want: map[string]string{"kind": words[0], "severity": words[1]}}
		if words[0] == "-" {
			l.want["kind"] = ""
		} else {
			l.want["cause"] = words[2]
			words = words[1:]
		}
		for _, w := range words[2:] {
			key, value, _ := strings.Cut(w, "=")
			l.want[key] = value
		}
		lines = append(lines, l)
	}
	if err := in.Err(); err != nil || len(lines) < 300 {
		t.Fatalf("%d lines, %v", len(lines), err)
	}
	return lines
}

// splitQuoted splits at blanks that are in no quotes, which it drops.
func splitQuoted(s string) []string {
	quoted := false
	words := strings.FieldsFunc(s, func(r rune) bool {
		if r == '"' {
			quoted = !quoted
		}
		return r == ' ' && !quoted
	})
	for i := range words {
		words[i] = strings.ReplaceAll(words[i], `"`, "")
	}
	return words
}

// told is what a class says, in the corpus's words.
func told(c *fleet.KernelClass) map[string]string {
	m := map[string]string{"kind": c.Kind, "severity": c.Severity.String()}
	if c.Kind != "" {
		m["cause"] = c.Cause.String()
	}
	put := func(key, value string) {
		if value != "" && value != "0" {
			m[key] = value
		}
	}
	put("pci", c.PCI)
	put("device", c.Device)
	put("comm", c.Process)
	put("cgroup", c.Cgroup)
	put("unit", c.Unit)
	put("pid", fmt.Sprint(c.PID))
	put("xid", fmt.Sprint(c.Xid))
	put("sxid", fmt.Sprint(c.SXid))
	put("mig", fmt.Sprint(c.MIG))
	if c.Unit != "" {
		m["subcode"] = fmt.Sprint(c.Subcode)
	}
	if c.Follows {
		m["follows"] = ""
	}
	return m
}

func TestCorpus(t *testing.T) {
	decided := map[*rule]int{}
	for _, l := range readCorpus(t) {
		c := ClassifyKernel(l.text)
		if diff := cmp.Diff(l.want, told(&c)); diff != "" {
			t.Errorf("line %d: %s\n-want +got:\n%s", l.number, l.text, diff)
		}
		if c.Severity >= fleet.Warning && !c.Follows && (c.Text == "" || c.Action == "") {
			t.Errorf("line %d says what is wrong as %q and what to do as %q: %s", l.number, c.Text, c.Action, l.text)
		}
		if line := stripPrefix(l.text); len(line) >= 8 {
			_, r := matcher().classify(line)
			decided[r]++
		}
	}
	for _, table := range kernelTables() {
		for i := range table {
			if decided[&table[i]] == 0 {
				t.Errorf("no line of the corpus is of the rule %s %q %q", table[i].kind, table[i].on, table[i].pattern)
			}
		}
	}
}

// Every code of the tables has its words, and a line of it is told by them.
func TestEveryCode(t *testing.T) {
	for code, x := range xidTable() {
		c := ClassifyKernel(fmt.Sprintf("NVRM: Xid (PCI:0000:3b:00): %d, pid=7, name=python3, some words", code))
		if c.Xid != code || c.PCI != "0000:3b:00.0" || c.PID != 7 || c.Process != "python3" || c.Action == "" {
			t.Errorf("Xid %d: %+v", code, c)
		}
		if code != 154 && (c.Severity != x.Severity || c.Cause != x.Cause || c.Text != fmt.Sprintf("Xid %d: %s", code, x.Name)) {
			t.Errorf("Xid %d: %+v", code, c)
		}
	}
	if len(xidTable()) != 177 || len(sxidTable()) != 399 {
		t.Errorf("%d Xids, %d SXids", len(xidTable()), len(sxidTable()))
	}
	for code, x := range sxidTable() {
		for word, want := range map[string]fleet.Severity{"Fatal": fleet.Critical, "Non-fatal": fleet.Warning} {
			if x.Class == "always_fatal" {
				want = fleet.Critical
			}
			c := ClassifyKernel(fmt.Sprintf("nvidia-nvswitch0: SXid (PCI:0000:05:00.0): %05d, %s, Link 7 what happened", code, word))
			if c.SXid != code || c.Severity != want || c.PCI != "0000:05:00.0" || c.Action == "" || c.Follows {
				t.Errorf("SXid %d, %s: %+v", code, word, c)
			}
		}
	}
}

// The rows of the NVLink table, each through a line that it is for.
func TestEveryLinkRule(t *testing.T) {
	if n := len(linkTable()); n != 94 {
		t.Fatalf("%d rows", n)
	}
	for _, l := range linkTable() {
		for _, unit := range l.units {
			word := "Nonfatal"
			if l.fatal {
				word = "Fatal"
			}
			c := ClassifyKernel(fmt.Sprintf("NVRM: Xid (PCI:0000:19:00): %d, %s %s XC0 i0 Link 08 (0x%08x 0x%08x 0x0)", l.xid, unit, word, max(0, l.subcode)<<20, max(0, l.status)))
			if c.Unit != unit || c.Subcode != max(0, l.subcode) || c.Severity != l.severity(0) || c.Cause != l.cause || !strings.Contains(c.Action, l.then) || !strings.HasPrefix(c.Detail, "link 8, intrinfo 0x") {
				t.Errorf("%+v: %+v", l, c)
			}
		}
	}
	for _, broken := range []string{"x,A,any,any,fatal,hardware,a,b,\n", "144,A,any,any,dire,hardware,a,b,\n", "144,A,any,any,fatal,gremlins,a,b,\n", "144,A,z,any,fatal,hardware,a,b,\n", "144,A,any,z,fatal,hardware,a,b,\n", "\"1"} {
		if _, err := parseLinks("h,h,h,h,h,h,h,h,h\n" + broken); err == nil {
			t.Errorf("%q was taken", broken)
		}
	}
	for _, broken := range []string{"x,A,\n", "1,A,rather_fatal\n", "\"1"} {
		if _, err := parseSXids("h,h,h\n" + broken); err == nil {
			t.Errorf("%q was taken", broken)
		}
	}
}
