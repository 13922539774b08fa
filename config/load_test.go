package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const everything = `# all keys
refresh: 2s
metric: util
theme: light
mouse: true
ascii: true
ssh:
  config: ~/cluster/ssh_config
prometheus: {token_file: ~/token, ca_file: ca.pem, insecure: true, every: 30s, timeout: 1m, hosts: [node, Hostname], short: true}
groups:
  train: gpu[001-064]
  all: "@train,login1"
actions:
  audit: ~/audit.jsonl
  journal: true
recording: {findings: true, folder: ~/incidents, max_files: 5, max_megabytes: 100, memory_mib: 64}
layouts:
  - job: llama3-*
    layout: tp=8 pp=4 dp=16
  - {job: x, layout: "shard=8 replicate=-1"}
`

func TestParse(t *testing.T) {
	want := Config{
		Refresh: 2 * time.Second, Metric: "util", Theme: "light", Mouse: true, ASCII: true,
		SSH:       SSH{Config: "~/cluster/ssh_config"},
		Metrics:   Prometheus{TokenFile: "~/token", CAFile: "ca.pem", Insecure: true, Every: 30 * time.Second, Timeout: time.Minute, Hosts: []string{"node", "Hostname"}, Short: true},
		Groups:    Groups{"train": "gpu[001-064]", "all": "@train,login1"},
		Actions:   Actions{Audit: "~/audit.jsonl", Journal: true},
		Recording: Recording{Findings: true, Folder: "~/incidents", MaxFiles: 5, MaxMegabytes: 100, MemoryMiB: 64},
		Layouts:   Layouts{{"llama3-*", "tp=8 pp=4 dp=16"}, {"x", "shard=8 replicate=-1"}},
	}
	got, err := parse([]byte(everything))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// What a file leaves out keeps its default, inside a section too.
func TestParseKeepsDefaults(t *testing.T) {
	for _, text := range []string{"", "# nothing\n", "ssh:\n", "theme: auto\n", "ssh:\n  config: \"\"\n"} {
		got, err := parse([]byte(text))
		if err != nil {
			t.Errorf("parse(%q): %v", text, err)
		}
		if diff := cmp.Diff(Default(), got); diff != "" {
			t.Errorf("parse(%q) (-want +got)\n%s", text, diff)
		}
	}
}

func TestDefaultIsValid(t *testing.T) {
	if err := Default().Validate(); err != nil {
		t.Error(err)
	}
}

func TestParseRefuses(t *testing.T) {
	tests := map[string]struct{ text, want string }{
		"unknown key":      {"theme: dark\nrefersh: 1s", `2: unknown key "refersh": did you mean refresh?`},
		"unknown ssh key":  {"ssh:\n  confg: x", `2: unknown key "confg": did you mean config?`},
		"unrelated key":    {"zzzzzzzz: 1", `1: unknown key "zzzzzzzz": the keys are refresh, metric,`},
		"key twice":        {"mouse: true\nmouse: false", `2: mapping key "mouse" already defined`},
		"no time":          {"mouse: true\nrefresh: soon", `2: refresh: "soon" is not a time: write it with its unit`},
		"no unit":          {"refresh: 5", `1: refresh: "5" is not a time`},
		"too fast":         {"refresh: 1ms", `1: refresh: 1ms is not between 100ms and 10s`},
		"no bool":          {"\nmouse: maybe", `2: "maybe" is not true or false`},
		"no number":        {"mouse: many", `1: "many" is not true or false`},
		"theme":            {"theme: drak", `1: theme: "drak" is not known: did you mean dark?`},
		"metric":           {"metric: noise", `1: metric: "noise" is not known: write one of power, util`},
		"section as value": {"ssh: 5", `1: "5" stands where keys are expected`},
		"a list":           {"- a", `stands where keys are expected`},
		"bad set":          {"groups:\n  a: x\n  b: gpu[1-", `3: groups.b: node set "gpu[1-": "[" is never closed`},
		"loop":             {"groups:\n  a: '@b'\n  b: '@a'", `2: groups.a:`},
		"group name":       {"groups:\n  a b: x", `2: groups.a b: a group's name has letters`},
		"group as list":    {"groups:\n  a: [x, y]", `2: "[" is not text`},
		"layout":           {"layouts:\n  - job: a\n    layout: tp=8\n  - job: b\n    layout: tp=8 xp=2\n", `5: layouts[1].layout: "xp" is no dimension`},
		"layout unnamed":   {"layouts:\n  - layout: tp=8\n", `2: layouts[0]: job is missing`},
		"layout pattern":   {"layouts:\n  - job: 'a['\n    layout: tp=8\n", `2: layouts[0].job: "a[" is no pattern`},
		"layout key":       {"layouts:\n  - job: a\n    layuot: tp=8\n", `3: unknown key "layuot": did you mean layout?`},
		"layouts as text":  {"layouts: tp=8\n", `1: `},
		"too often":        {"prometheus:\n  every: 1s\n", `2: prometheus.every: 1s is not between 5s and 10m0s`},
		"too patient":      {"prometheus:\n  timeout: 1h\n", `2: prometheus.timeout: 1h0m0s is not between 1s and 10m0s`},
		"no label":         {"prometheus:\n  hosts: [node, 'a-b']\n", `2: prometheus.hosts: a label's name is letters, digits and _`},
		"broken YAML":      {"theme: [", `1: `},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := parse([]byte(test.text))
			if err == nil {
				t.Fatal("no error")
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("\n got %v\nwant %s", err, test.want)
			}
		})
	}
}

func TestLoad(t *testing.T) {
	folder := t.TempDir()
	missing := filepath.Join(folder, "missing.yaml")
	if cfg, err := Load(missing, false); err != nil || !cmp.Equal(cfg, Default()) {
		t.Errorf("Load(missing) = %+v, %v", cfg, err)
	}
	if _, err := Load(missing, true); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Load(missing, must) = %v", err)
	}
	path := filepath.Join(folder, "config.yaml")
	if err := os.WriteFile(path, []byte("theme: dark\nmuose: true\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Load(path, false)
	if want := path + `:2: unknown key "muose": did you mean mouse?`; err == nil || err.Error() != want {
		t.Errorf("Load = %v, want %s", err, want)
	}
	if err := os.WriteFile(path, make([]byte, maxFileBytes+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path, false); err == nil || !strings.Contains(err.Error(), "larger than 4 MiB") {
		t.Errorf("Load(large) = %v", err)
	}
}

func TestPath(t *testing.T) {
	tests := []struct{ xdg, want string }{
		{"", "/home/ann/.config/foretop/config.yaml"},
		{"/cfg", "/cfg/foretop/config.yaml"},
		{"relative", "/home/ann/.config/foretop/config.yaml"},
	}
	for _, test := range tests {
		got := Path(func(string) string { return test.xdg }, "/home/ann")
		if got != test.want {
			t.Errorf("Path(XDG_CONFIG_HOME=%q) = %q, want %q", test.xdg, got, test.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(everything)
	f.Add("ssh: &a\n  config: x\ngroups: *a")
	f.Add("refresh: [")
	f.Add("groups:\n  ? a\n  : b")
	f.Fuzz(func(t *testing.T, text string) {
		cfg, err := parse([]byte(text))
		if err != nil {
			if head, _, ok := strings.Cut(err.Error(), ": "); !ok || strings.Trim(head, "0123456789") != "" {
				t.Fatalf("parse(%q): %v: no line before the error", text, err)
			}
			return
		}
		if err := cfg.Validate(); err != nil {
			t.Fatalf("parse(%q) gives what is not valid: %v", text, err)
		}
	})
}
