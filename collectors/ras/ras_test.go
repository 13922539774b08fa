package ras

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"foretop/telemetry/facts"
)

// brief is a report in few words: what matters of each communicator, and who is gone.
func brief(r *facts.RAS) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s repaired=%v timeouts=%d comms=%d hosts=%d\n", r.Nccl, r.Form, r.Repaired, r.Timeouts, r.CommsTotal, len(r.Hosts))
	who := func(m *facts.RASRank) string { return fmt.Sprintf("%d@%s/%d/%d", m.Rank, m.Host, m.Pid, m.Gpu) }
	for _, c := range r.Comms {
		fmt.Fprintf(&b, "%s %s alike=%d size=%d nodes=%d %s [%s] missing=%d\n", c.Name, c.Hash, c.Alike, c.Size, c.Nodes, c.Status, c.Errors, c.Missing)
		for _, op := range c.Operations {
			fmt.Fprintf(&b, "  %q most=%d behind=%d of %d:", op.Name, op.Most, op.Behind, op.Ranks)
			for _, m := range op.Lagging {
				fmt.Fprintf(&b, " %s=%d", who(m), m.Count)
			}
			b.WriteByte('\n')
		}
		for _, m := range c.Members {
			fmt.Fprintf(&b, "  %s %s\n", who(m), m.State)
		}
	}
	for _, g := range r.Gone {
		fmt.Fprintf(&b, "gone %s %s\n", who(g), g.State)
	}
	return b.String()
}

func TestRead(t *testing.T) {
	names, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(names) != 15 {
		t.Fatalf("%d fixtures, want 15 (%v)", len(names), err)
	}
	want := map[string]string{
		"text-2.24.3-lagging": `2.24.3 text repaired=false timeouts=0 comms=5 hosts=1
#0  alike=1 size=8 nodes=2 RUNNING [MISMATCH] missing=0
#0-0 b62a6d06cd44f38d alike=0 size=8 nodes=2 RUNNING [MISMATCH] missing=0
  "" most=8812 behind=1 of 8: 5@10.4.0.12/20712/1=8811
#1  alike=4 size=2 nodes=2 RUNNING [] missing=0
`,
		"text-2.24.3-missing": `2.24.3 text repaired=false timeouts=2 comms=1 hosts=0
#0  alike=1 size=8 nodes=2 RUNNING [INCOMPLETE] missing=0
#0-0 b62a6d06cd44f38d alike=0 size=8 nodes=2 RUNNING [INCOMPLETE] missing=2
  5@/0/-1 unresponsive
  6@/0/-1 unresponsive
gone -1@10.4.0.12/20712/1 unresponsive
gone -1@10.4.0.12/20713/2 unresponsive
`,
		"text-2.26.2-empty": "2.26.2 text repaired=false timeouts=0 comms=0 hosts=0\n",
		"text-2.27.5-dead": `2.27.5 text repaired=false timeouts=0 comms=3 hosts=1
#0  alike=1 size=32 nodes=4 RUNNING [INCOMPLETE] missing=0
#0-0 11aa22bb33cc44dd alike=0 size=32 nodes=4 RUNNING [INCOMPLETE] missing=1
  21@10.4.0.13/31007/5 unresponsive
#1  alike=1 size=2 nodes=2 RUNNING [ERROR] missing=0
#1-0 55aa22bb33cc44dd alike=0 size=2 nodes=2 RUNNING [ERROR] missing=0
  1@10.4.0.13/31003/1 reported unhandled system error (run with NCCL_DEBUG=INFO for details)
#2  alike=1 size=4 nodes=1 FINALIZE [MISMATCH] missing=0
#2-0 66aa22bb33cc44dd alike=0 size=4 nodes=1 FINALIZE [MISMATCH] missing=0
  2@/0/-1 status FINALIZE
gone -1@10.4.0.13/31007/5 dead
`,
		"text-2.25.1-dead": `2.25.1 text repaired=false timeouts=0 comms=3 hosts=1
#0  alike=1 size=32 nodes=4 RUNNING [INCOMPLETE] missing=0
#0-0 11aa22bb33cc44dd alike=0 size=32 nodes=4 RUNNING [INCOMPLETE] missing=1
  21@/0/-1 unresponsive
#1  alike=1 size=2 nodes=2 RUNNING [ERROR] missing=0
#1-0 55aa22bb33cc44dd alike=0 size=2 nodes=2 RUNNING [ERROR] missing=0
  1@10.4.0.13/31003/1 reported unhandled system error (run with NCCL_DEBUG=INFO for details)
#2  alike=1 size=4 nodes=1 FINALIZE [MISMATCH] missing=0
#2-0 66aa22bb33cc44dd alike=0 size=4 nodes=1 FINALIZE [MISMATCH] missing=0
  2@/0/-1 status UNKNOWN
gone -1@10.4.0.13/31007/5 dead
`,
		// Four ranks of a real job on one machine, of which the last was killed a minute ago: numbers are changed.
		"text-2.28.9-dead": `2.28.9 text repaired=false timeouts=0 comms=3 hosts=1
#0  alike=1 size=4 nodes=1 RUNNING [INCOMPLETE,ERROR] missing=0
#0-0 3c11aa2200b1c2d3 alike=0 size=4 nodes=1 RUNNING [INCOMPLETE,ERROR] missing=1
  3@10.4.0.21/30714/0 unresponsive
  0@10.4.0.21/30711/0 reported Remote process error
#1  alike=1 size=2 nodes=1 RUNNING [] missing=0
gone -1@10.4.0.21/30714/0 dead
`,
		"json-2.28.9-dead": `2.28.9 json repaired=true timeouts=0 comms=3 hosts=1
 3c11aa2200b1c2d3 alike=1 size=4 nodes=1 RUNNING [INCOMPLETE,ERROR] missing=1
  "Broadcast" most=4 behind=0 of 3:
  "AllGather" most=1 behind=0 of 3:
  "AllReduce" most=269 behind=0 of 3:
  0@10.4.0.21/30711/0 reported remote process exited or there was a network error
  3@10.4.0.21/30714/0 dead
 5e33cc4422d3e4f5 alike=1 size=2 nodes=1 RUNNING [INCOMPLETE,ERROR] missing=1
  "AllReduce" most=65 behind=0 of 1:
  0@10.4.0.21/30713/0 reported remote process exited or there was a network error
  1@10.4.0.21/30714/0 dead
 4d22bb3311c2d3e4 alike=1 size=2 nodes=1 RUNNING [] missing=0
  "AllReduce" most=65 behind=0 of 2:
gone -1@10.4.0.21/30714/0 dead
`,
		"text-2.27.5-lagging": lagging27("2.27.5"),
		"text-2.28.3-lagging": lagging27("2.28.3"),
		"json-2.28.7-running": `2.28.7 json repaired=false timeouts=0 comms=1 hosts=2
 b62a alike=1 size=8 nodes=2 RUNNING [] missing=0
  "Broadcast" most=2 behind=0 of 8:
  "AllGather" most=40 behind=0 of 8:
  "ReduceScatter" most=40 behind=0 of 8:
  "AllReduce" most=8812 behind=0 of 8:
`,
		"json-2.28.9-missing": `2.28.9 json repaired=true timeouts=2 comms=5 hosts=2
 b62a alike=1 size=8 nodes=2 RUNNING [INCOMPLETE,ERROR] missing=2
  "Broadcast" most=2 behind=0 of 6:
  "AllGather" most=40 behind=0 of 6:
  "ReduceScatter" most=40 behind=0 of 6:
  "AllReduce" most=8812 behind=0 of 6:
  2@10.4.0.11/20702/2 reported remote process exited or there was a network error
  5@10.4.0.12/20712/1 unresponsive
  6@10.4.0.12/20713/2 dead
` + pairs + `gone -1@10.4.0.12/20712/1 unresponsive
gone -1@10.4.0.12/20713/2 dead
`,
		"json-2.29.7-running": `2.29.7 json repaired=false timeouts=0 comms=5 hosts=2
 b62a alike=1 size=8 nodes=2 RUNNING [] missing=0
  "Broadcast" most=2 behind=0 of 8:
  "AllGather" most=40 behind=0 of 8:
  "ReduceScatter" most=40 behind=0 of 8:
  "AllReduce" most=8812 behind=0 of 8:
` + pairs,
		"json-2.29.7-lagging": `2.29.7 json repaired=false timeouts=0 comms=5 hosts=2
 b62a alike=1 size=8 nodes=2 RUNNING [MISMATCH] missing=0
  "Broadcast" most=2 behind=0 of 8:
  "AllGather" most=40 behind=0 of 8:
  "ReduceScatter" most=40 behind=0 of 8:
  "AllReduce" most=8812 behind=1 of 8: 5@10.4.0.12/20712/1=8811
` + pairs,
		"json-2.30.7-starting": `2.30.7 json repaired=false timeouts=0 comms=1 hosts=2
 b62a alike=1 size=8 nodes=2 INIT [] missing=0
`,
		"json-2.30.7-empty": "2.30.7 json repaired=false timeouts=0 comms=0 hosts=0\n",
	}
	for _, name := range names {
		key := strings.TrimSuffix(filepath.Base(name), ".txt")
		t.Run(key, func(t *testing.T) {
			b, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			for _, way := range []struct {
				name string
				r    io.Reader
			}{
				{"at once", bytes.NewReader(b)}, {"byte by byte", iotest.OneByteReader(bytes.NewReader(b))},
				{"with carriage returns", strings.NewReader(strings.ReplaceAll(string(b), "\n", "\r\n"))},
			} {
				r, err := Read(way.r)
				if err != nil {
					t.Fatalf("%s: %v", way.name, err)
				}
				if got := brief(r); got != want[key] {
					t.Errorf("%s:\n%s\nwant\n%s", way.name, got, want[key])
				}
			}
		})
	}
}

const pairs = `  alike=4 size=2 nodes=2 RUNNING [] missing=0
  "Broadcast" most=2 behind=0 of 2:
  "AllGather" most=40 behind=0 of 2:
  "ReduceScatter" most=40 behind=0 of 2:
`

func lagging27(version string) string {
	return version + ` text repaired=false timeouts=0 comms=73 hosts=2
#0  alike=1 size=512 nodes=64 RUNNING [MISMATCH] missing=0
#0-0 7a1f03bb2c9954d0 alike=0 size=512 nodes=64 RUNNING [MISMATCH] missing=0
  "AllReduce" most=8812 behind=3 of 512: 12@10.4.0.2/3112/4=8810 13@10.4.0.2/3113/1=8810 317@10.4.0.40/4477/5=8811
  "Broadcast" most=2 behind=1 of 512: 317@10.4.0.40/4477/5=0
#1  alike=8 size=64 nodes=64 RUNNING [] missing=0
#2  alike=64 size=8 nodes=1 RUNNING [] missing=0
`
}

// TestHosts holds which processes of which address are told, and where they stand in the largest communicator.
func TestHosts(t *testing.T) {
	r := fixture(t, "json-2.29.7-lagging")
	if len(r.Hosts) != 2 || r.Hosts[1].Host != "10.4.0.12" || fmt.Sprint(r.Hosts[1].Pids, r.Hosts[1].Ranks) != "[20711 20712 20713 20714] [4 5 6 7]" {
		t.Errorf("hosts are %v", r.Hosts)
	}
	if r.Comms[0].First.GetPid() != 20700 {
		t.Errorf("rank 0 is %v", r.Comms[0].First)
	}
}

func fixture(t testing.TB, name string) *facts.RAS {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name + ".txt")
	if err != nil {
		t.Fatal(err)
	}
	r, err := Read(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestCutShort cuts each report at every byte: what is not whole is no report, but where only the end of a text lacks, which nothing marks.
func TestCutShort(t *testing.T) {
	for _, name := range []string{"json-2.28.9-missing", "text-2.27.5-dead"} {
		b, err := os.ReadFile("testdata/" + name + ".txt")
		if err != nil {
			t.Fatal(err)
		}
		begun := bytes.Index(b, []byte("Communicators..."))
		for n := range bytes.TrimRight(b, "\n") {
			r, err := Read(bytes.NewReader(b[:n]))
			whole := begun >= 0 && n >= begun+len("Communicators...")
			if (err == nil) != whole || err == nil && r == nil {
				t.Fatalf("%s cut at %d: %v, %v", name, n, r, err)
			}
		}
	}
}

func TestRefuses(t *testing.T) {
	for name, c := range map[string]struct{ answer, want string }{
		"nothing":           {"", "without an answer"},
		"only its greeting": {"SERVER PROTOCOL 2\nOK\n", "cut short"},
		"another program":   {"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\n\r\n", `"HTTP/1.1 400 Bad Request"`},
		"a banner":          {"SSH-2.0-OpenSSH_9.2\r\n", "no NCCL RAS"},
		"bytes":             {"\x00\x01\x02\x16\x03", "no NCCL RAS"},
		"a chatterbox":      {strings.Repeat("OK\n", 1000), "reports nothing"},
		"another comma":     {`{"nccl_version": "2.28.9" "communicators": []}`, "comma lacks"},
		"other JSON":        {`{"hello": [1, {"a": null}]}`, "tells no communicators"},
		"a list":            {`{"communicators": {}}`, "should be"},
		"deep":              {`{"a":` + strings.Repeat("[", 40), "nested too deep"},
		"a control byte":    {"{\"a\x01\": 1}", "control character"},
		"a long number":     {`{"a": ` + strings.Repeat("9", 100) + `}`, "too long"},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := Read(strings.NewReader(c.answer))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, %v; want %q", r, err, c.want)
			}
		})
	}
}

// TestBounded has reports of any size fit one frame, and take few bytes.
func TestBounded(t *testing.T) {
	var b strings.Builder
	b.WriteString(`{"nccl_version":"2.29.7","communicators":[`)
	for c := range 300 {
		if c > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"hash":"0x%x","size":200,"ranks":[`, c)
		for r := range 100 {
			if r > 0 {
				b.WriteByte(',')
			}
			fmt.Fprintf(&b, `{"rank":%d,"host":"10.%d.%d.1","pid":%d,"nvml_dev":1,"status":{"async_error":%d},"collective_counts":{"A":%d,"B":%d,"C":3,"D":4,"E":%d,"F":1,"G":1,"H":1,"I":1}}`,
				r, c, r, r+10, r%2, r, 100-r, c)
		}
		b.WriteString(`],"missing_ranks":[`)
		for r := range 100 {
			if r > 0 {
				b.WriteByte(',')
			}
			fmt.Fprintf(&b, `{"rank":%d,"host":"11.%d.%d.1","pid":%d,"nvml_dev":1 "status":{"unresponsive":true,"considered_dead":false}}`, r+100, c, r, r+10)
		}
		b.WriteString(`]}`)
	}
	b.WriteString(`],"ras":{"timeouts_count":1}}`)
	r, err := Read(strings.NewReader(b.String()))
	if err != nil {
		t.Fatal(err)
	}
	sound(t, r)
	if r.CommsTotal != 300 || len(r.Comms) != maxComms || r.GoneTotal != 30000 || !r.Repaired {
		t.Errorf("%d of %d communicators, %d of %d gone, repaired %v", len(r.Comms), r.CommsTotal, len(r.Gone), r.GoneTotal, r.Repaired)
	}
}

// sound checks that what is told fits a frame and that the other end takes it.
func sound(t *testing.T, r *facts.RAS) {
	t.Helper()
	b, err := facts.Encode(r)
	if err != nil {
		t.Fatal(err)
	}
	if len(b) > 200<<10 {
		t.Fatalf("%d bytes do not fit a frame", len(b))
	}
	if err := facts.Decode(b, new(facts.RAS)); err != nil {
		t.Fatalf("the other end refuses it: %v", err)
	}
}

func FuzzReadRAS(f *testing.F) {
	names, _ := filepath.Glob("testdata/*.txt")
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte("NCCL version 2.27.5\nCommunicators...\n#0-0 (1) MISMATCH\n  Communicator ranks have different x operation counts\n  Rank 1 --  -- x\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := Read(bytes.NewReader(b))
		if (r == nil) == (err == nil) {
			t.Fatalf("%v, %v", r, err)
		}
		if r != nil {
			sound(t, r)
		}
	})
}
