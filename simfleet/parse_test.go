package simfleet

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	got, err := Parse("one.yaml", []byte(`# a comment
repeat: 2m
faults:
  - at: 8s
    for: 1m12s
    fault: gpu-lost
    job: pretrain
    member: 16
    gpu: 3
  - {at: 0s, fault: slow-link, node: 7}
`))
	if err != nil {
		t.Fatal(err)
	}
	want := &Scenario{Name: "one", Repeat: 2 * time.Minute, Faults: []Fault{
		{At: 8 * time.Second, For: 72 * time.Second, Kind: GPULost, Job: "pretrain", Member: 16, GPU: 3, Factor: 1.7, Flaps: 3, BytesPerSecond: 2000, Line: 4},
		{Kind: SlowLink, Node: "7", GPU: -1, Factor: 1.7, Flaps: 3, BytesPerSecond: 2000, Line: 10},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestParseRefuses(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"unknown key", "repeet: 2m\n", `x.yaml: line 1: a scenario has no key "repeet": did you mean "repeat"?`},
		{"unknown key of a fault", "faults:\n  - at: 1s\n    fault: hang\n    jb: jax\n", `line 4: a fault has no key "jb": did you mean "job"?`},
		{"unknown fault", "faults:\n  - {at: 1s, fault: gpu-lots, node: 1}\n", `line 2: no fault is called "gpu-lots": did you mean "gpu-lost"?`},
		{"nothing near", "faults:\n  - {at: 1s, fault: zzzzzzzzzzzzzzz, node: 1}\n", `it is one of `},
		{"no time", "faults:\n  - {fault: hang, job: jax}\n", `line 2: a fault needs the key "at"`},
		{"no kind", "faults:\n\n  - {at: 1s, job: jax}\n", `line 3: a fault needs the key "fault"`},
		{"nowhere", "faults:\n  - {at: 1s, fault: node-dies}\n", `a fault needs either "node" or "job"`},
		{"twice somewhere", "faults:\n  - {at: 1s, fault: node-dies, node: 1, job: jax}\n", `a fault needs either "node" or "job"`},
		{"a key twice", "faults:\n  - at: 1s\n    fault: node-dies\n    node: 1\n    at: 2s\n", `line 5: `},
		{"not a duration", "faults:\n  - {at: soon, fault: node-dies, node: 1}\n", `"soon" is no duration`},
		{"negative", "faults:\n  - {at: -3s, fault: node-dies, node: 1}\n", `"-3s" is no duration`},
		{"gpu 8", "faults:\n  - {at: 3s, fault: gpu-lost, node: 1, gpu: 8}\n", `"8" is no number from 0 to 7`},
		{"factor", "faults:\n  - {at: 3s, fault: straggler, job: jax, factor: 0.5}\n", `"0.5" is no factor`},
		{"factor NaN", "faults:\n  - {at: 3s, fault: straggler, job: jax, factor: .nan}\n", `is no factor`},
		{"a key that the fault does not take", "faults:\n  - {at: 3s, fault: node-dies, node: 1, gpu: 2}\n", `node-dies takes no "gpu"`},
		{"hang of a node", "faults:\n  - {at: 3s, fault: hang, node: 1}\n", `hang falls upon a "job"`},
		{"member of a node", "faults:\n  - {at: 3s, fault: node-dies, node: 1, member: 2}\n", `"member" counts the nodes of a "job"`},
		{"too long", "repeat: 10s\nfaults:\n  - {at: 3s, for: 9s, fault: node-dies, node: 1}\n", `line 3: the fault lasts until 12s, the scenario starts again after 10s`},
		{"oom too short", "faults:\n  - {at: 3s, for: 3s, fault: oom-kill, job: jax}\n", `oom-kill needs at least 8s`},
		{"reboot too short", "faults:\n  - {at: 3s, for: 30s, fault: gpu-lost, node: 1, reboot: true}\n", `a reboot takes 40s`},
		{"reboot of a hang", "faults:\n  - {at: 3s, for: 30s, fault: hang, job: jax, reboot: true}\n", `hang takes no "reboot"`},
		{"faults is a word", "faults: none\n", `faults must be a list`},
		{"a fault is a word", "faults:\n  - hang\n", `a fault must be`},
		{"a list for a word", "faults:\n  - {at: [1s], fault: hang, job: jax}\n", `a word is wanted here`},
		{"broken YAML", "faults: [\n", `x.yaml`},
		{"two documents", "name: a\n---\nname: b\n", `one YAML document is wanted`},
		{"empty", "", `one YAML document is wanted`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse("x.yaml", []byte(c.text))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add(DemoSource())
	f.Add([]byte("faults:\n  - {at: 1s, fault: hang, job: [1, {a: b}]}\n"))
	f.Add([]byte("&a [*a]"))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := Parse("fuzz.yaml", text)
		if err != nil {
			return
		}
		if _, err := NewModel(ModelOptions{Nodes: 5, Scenario: s}); err != nil && !strings.Contains(err.Error(), "plan scenario") {
			t.Error(err)
		}
	})
}

// TestScenarioFiles: every file fits fleets of every size, and together they show every kind of fault.
func TestScenarioFiles(t *testing.T) {
	files, err := filepath.Glob("../testdata/scenarios/*.yaml")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d scenario files, %v", len(files), err)
	}
	shown := make(map[Kind]bool)
	for _, file := range append(files, "demo.yaml") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		s, err := Parse(filepath.Base(file), text)
		if err != nil {
			t.Error(err)
			continue
		}
		if want := strings.TrimSuffix(filepath.Base(file), ".yaml"); s.Name != want {
			t.Errorf("%s is called %s", file, s.Name)
		}
		for _, f := range s.Faults {
			shown[f.Kind] = true
		}
		for _, nodes := range []int{1, 4, 64, 200} {
			if _, err := NewModel(ModelOptions{Nodes: nodes, Scenario: s}); err != nil {
				t.Error(err)
			}
		}
	}
	readme, err := os.ReadFile("../testdata/scenarios/README.md")
	if err != nil {
		t.Fatal(err)
	}
	for k := range kinds {
		if !shown[k] {
			t.Errorf("no file shows %s", k)
		}
		if !strings.Contains(string(readme), "`"+string(k)+"`") {
			t.Errorf("README.md does not tell of %s", k)
		}
	}
	for _, s := range shapes() {
		if !strings.Contains(string(readme), "`"+s.role+"`") {
			t.Errorf("README.md does not tell of the job %s", s.role)
		}
	}
}

// TestDemoIsLively: something within ten seconds, then at most 40 s without anything new, and all that is not permanent heals within its round.
func TestDemoIsLively(t *testing.T) {
	s := Demo()
	var starts []time.Duration
	for _, f := range s.Faults {
		if f.For > 0 {
			starts = append(starts, f.At)
		}
	}
	slices.Sort(starts)
	if starts[0] > 10*time.Second {
		t.Errorf("nothing happens before %v", starts[0])
	}
	for i := range len(starts) - 1 {
		if gap := starts[i+1] - starts[i]; gap > 40*time.Second {
			t.Errorf("nothing happens between %v and %v", starts[i], starts[i+1])
		}
	}
	if quiet := s.Repeat - starts[len(starts)-1]; quiet > 45*time.Second {
		t.Errorf("nothing happens in the last %v", quiet)
	}
}

func TestScenarioNamesWhatItCannotFind(t *testing.T) {
	for _, c := range []struct{ where, want string }{
		{"job: pretrian", `line 2: no job has the role or name "pretrian": did you mean "pretrain"?`},
		{"node: gpu999", `no node "gpu999": they are gpu001 to gpu004`},
	} {
		s, err := Parse("x.yaml", []byte("faults:\n  - {at: 1s, fault: node-dies, "+c.where+"}\n"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := NewModel(ModelOptions{Nodes: 4, Scenario: s}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want one with %q", err, c.want)
		}
	}
}
