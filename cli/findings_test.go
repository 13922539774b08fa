package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"foretop/config"
	"foretop/findings"
)

// listRules runs `foretop findings` with a configuration file.
func listRules(t *testing.T, file string, args ...string) (string, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	root := newRoot()
	var out bytes.Buffer
	root.SetOut(&out)
	root.SetErr(&out)
	root.SilenceErrors, root.SilenceUsage = true, true
	root.SetArgs(append([]string{"findings", "--config", path}, args...))
	err := root.Execute()
	return out.String(), err
}

func TestFindingsListsTheRules(t *testing.T) {
	all, err := listRules(t, "findings: {off: [hw.pcie]}\n")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range findings.Table() {
		if !strings.Contains(all, r.ID+" (") || !strings.Contains(all, r.Doc) {
			t.Errorf("%s is not listed with what it goes by", r.ID)
		}
	}
	if !strings.Contains(all, "hw.pcie (GPU, warning · off)") || !strings.HasSuffix(all, ", 1 of them off\n") {
		t.Errorf("what is off is not told: %s", all[len(all)-60:])
	}
	some, err := listRules(t, "", "rules", "job.", "hw.xid")
	if err != nil || strings.Contains(some, "hw.pcie (") || !strings.Contains(some, "job.hang (") || !strings.Contains(some, "hw.xid (") {
		t.Errorf("%v: %s", err, some)
	}
	doc, err := listRules(t, "findings: {off: [hw.pcie]}\n", "--format", "json")
	var rules []ruleDoc
	if err != nil || json.Unmarshal([]byte(doc), &rules) != nil || len(rules) != len(findings.Table()) {
		t.Fatalf("%v: %d rules", err, len(rules))
	}
	for _, r := range rules {
		if r.On == (r.ID == "hw.pcie") || r.By == "" || r.What == "" {
			t.Errorf("%+v", r)
		}
	}
}

func TestFindingsRefusesWhatItDoesNotKnow(t *testing.T) {
	for _, tt := range []struct {
		file string
		args []string
		want string
	}{
		{"theme: dark\nfindings:\n  off: [hw.xid, hw.pci]\n", nil, `config.yaml:3: findings.off[1]: "hw.pci" is not known: did you mean hw.pcie?`},
		{"findings:\n  of: [hw.xid]\n", nil, `config.yaml:2: unknown key "of": did you mean off?`},
		{"", []string{"hw.eccc"}, `no rule is called "hw.eccc": did you mean hw.ecc?`},
		{"", []string{"gpu."}, `no rule is called "gpu."`},
		{"", []string{"--format", "xml"}, `--format "xml": write text or json`},
	} {
		if _, err := listRules(t, tt.file, tt.args...); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q %v: %v, wanted %s", tt.file, tt.args, err, tt.want)
		}
	}
}

func TestRulesOfTheConfiguration(t *testing.T) {
	cfg := config.Default()
	cfg.Findings.Off = []string{"hw.pcie"}
	if r := rulesOf(cfg); r.Node == nil || r.Job == nil || r.Kernel == nil || r.Fleet == nil {
		t.Errorf("rules are missing: %+v", r)
	}
}
