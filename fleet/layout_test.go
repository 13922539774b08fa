package fleet

import (
	"strings"
	"testing"

	"foretop/jobs/layout"
	"foretop/telemetry/facts"
)

// said are two ranks of four, which say something of their layout.
func said(change func(p *facts.Process)) []*facts.Process {
	list := []*facts.Process{rankOf(100, "0", "4", 0), rankOf(101, "1", "4", 1)}
	for _, p := range list {
		change(p)
	}
	return list
}

func TestJobsHaveTheirLayout(t *testing.T) {
	flags := map[string]string{"tensor_model_parallel_size": "2", "pipeline_model_parallel_size": "2"}
	for name, c := range map[string]struct {
		change        func(p *facts.Process)
		want, trouble string
	}{
		"nothing said": {func(*facts.Process) {}, "", ""},
		"flags":        {func(p *facts.Process) { p.LayoutFlags = flags }, "tp 2 · pp 2", ""},
		"environment": {func(p *facts.Process) {
			p.Env["PARALLELISM_CONFIG_TP_SIZE"], p.Env["PARALLELISM_CONFIG_DP_SHARD_SIZE"] = "2", "2"
		}, "tp 2 · shard 2", ""},
		"a file": {func(p *facts.Process) {
			p.LayoutFiles = []*facts.LayoutFile{{Name: "x.toml", Keys: map[string]string{"tensor_parallel_degree": "4"}}}
		}, "tp 4", ""},
		"hybrid sharding": {func(p *facts.Process) { p.Env["FSDP_SHARDING_STRATEGY"] = "HYBRID_SHARD" }, "replicas 2 · shard 2", ""},
		"does not multiply": {func(p *facts.Process) { p.LayoutFlags = map[string]string{"tensor_model_parallel_size": "3"} }, "",
			"tp 3 does not divide 4 ranks"},
		"unread file": {func(p *facts.Process) {
			p.LayoutFiles = []*facts.LayoutFile{{Name: "x.toml", Trouble: "it was not read yet"}}
		}, "", "x.toml: it was not read yet"},
		"half of it unread": {func(p *facts.Process) {
			p.LayoutFlags = map[string]string{"tensor_parallel_degree": "2"}
			p.LayoutFiles = []*facts.LayoutFile{{Name: "x.toml", Trouble: "it may not be read"}}
		}, "", "what the options leave open stands in a file: x.toml: it may not be read"},
	} {
		t.Run(name, func(t *testing.T) {
			clk := newClock()
			f := New(Options{Now: clk.now})
			join(t, f, "a", newFakeNode(2), clk.now())
			s := tells(t, f, clk, "a", said(c.change)...)
			j := s.Jobs[0]
			got := ""
			if j.Layout != nil {
				got = j.Layout.String()
			}
			if got != c.want || j.LayoutTrouble != c.trouble {
				t.Errorf("%q, %q; want %q, %q", got, j.LayoutTrouble, c.want, c.trouble)
			}
			if again := f.Publish(); again.Jobs[0].Layout != j.Layout {
				t.Error("it was computed again though nothing changed")
			}
		})
	}
}

func TestLayoutByHandGoesFirst(t *testing.T) {
	w, err := layout.Parse("pp=2 tp=2")
	if err != nil {
		t.Fatal(err)
	}
	clk := newClock()
	f := New(Options{Now: clk.now, Layouts: []LayoutRule{{Job: func(string) bool { return false }}, {Job: func(string) bool { return true }, Layout: w}}})
	join(t, f, "a", newFakeNode(2), clk.now())
	s := tells(t, f, clk, "a", said(func(p *facts.Process) { p.LayoutFlags = map[string]string{"tensor_model_parallel_size": "4"} })...)
	if l := s.Jobs[0].Layout; l == nil || l.From != "manual" || l.Coord(1, layout.PP) != 1 {
		t.Errorf("%+v, %s", l, s.Jobs[0].LayoutTrouble)
	}
}

// A node that claims more files than are ever told breaks the protocol.
func TestTooManyLayoutFiles(t *testing.T) {
	var p processTable
	files := make([]*facts.LayoutFile, 50)
	for i := range files {
		files[i] = &facts.LayoutFile{Name: "x"}
	}
	err := p.apply(nil, encode(t, &facts.Processes{Set: []*facts.Process{{Pid: 1, LayoutFiles: files}}}))
	if err == nil || !strings.Contains(err.Error(), "configuration files") {
		t.Error(err)
	}
}
