package export

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"foretop/fleet"
	"foretop/scripts/testbed"
	"foretop/telemetry/facts"

	"github.com/google/go-cmp/cmp"
)

func metrics(t testing.TB, s *fleet.Snapshot, format Format) string {
	t.Helper()
	var b bytes.Buffer
	if err := Metrics(&b, s, format); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// many is a snapshot with what real nodes have and snapshot() has not: another vendor's GPU, jobs with hostile names, several of everything.
func many() *fleet.Snapshot {
	s := snapshot()
	amd := gpu(0, 55, 410)
	amd.Info = &facts.GPU{Uuid: "amd-1", Name: "AMD Instinct MI300X", Vendor: "amd", Minor: -1}
	amd.Slow.ECCVolatileCorrected = 3
	stale := gpu(1, 55, 410)
	stale.Stale = 9e9
	s.Nodes = append(s.Nodes, &fleet.Node{Name: "mi300", State: fleet.Live, LastData: noon, Inventory: &facts.Inventory{}, Host: absent(fleet.Host{CPUBusyPct: 1}), Self: absent(fleet.Self{}),
		GPUs: []fleet.GPU{amd, stale},
	})
	return s
}

func TestMetrics(t *testing.T) {
	golden(t, "metrics-openmetrics.txt", []byte(metrics(t, many(), OpenMetrics)))
	golden(t, "metrics-prometheus.txt", []byte(metrics(t, many(), PrometheusText)))
	if got := metrics(t, &fleet.Snapshot{}, OpenMetrics); !strings.HasSuffix(got, "\n# EOF\n") || strings.Contains(got, "node_load1") {
		t.Errorf("nothing: %s", got)
	}
	if err := Metrics(full{}, snapshot(), OpenMetrics); err == nil {
		t.Error("no error of a writer")
	}
}

// hostile are names as nobody should have them; they hold what ends a label, a line or a file, and one is too long.
var hostile = []string{"", `a"} 1`, "b\\", "c\nfoo 1\n# EOF\n", "\x1b[2J\x00", "\xff\xfe", "ключ=\"値\"", "{}", strings.Repeat("ab\\\"", 100), strings.Repeat("x", 128) + "1", strings.Repeat("x", 128) + "2", "\u202eevil"}

func hostileSnapshot() *fleet.Snapshot {
	s := many()
	for i, name := range hostile {
		n := *s.Nodes[0]
		n.Name = name
		n.Hello = &facts.Hello{Hostname: name, Kernel: name, Arch: name}
		n.GPUs = append([]fleet.GPU(nil), n.GPUs...)
		info := *n.GPUs[0].Info
		info.Uuid, info.Name, info.Pci, info.Driver = name, name, name, name
		n.GPUs[0].Info = &info
		n.GPUs[0].Holders = []fleet.Holder{{Job: name, Rank: i}}
		n.Nets, n.Ports, n.FS, n.Disks, n.Sources = nil, nil, nil, nil, nil
		for _, twice := range append(hostile, hostile...) {
			n.Nets = append(n.Nets, fleet.Net{Name: twice, Physical: true, NetCounts: &fleet.NetCounts{}})
			n.Ports = append(n.Ports, fleet.Port{Name: twice, PortTotals: &fleet.PortTotals{}})
			n.FS = append(n.FS, fleet.Filesystem{Mount: twice, Device: twice, Type: twice})
			n.Disks = append(n.Disks, fleet.Disk{Name: twice})
			n.Sources = append(n.Sources, fleet.Source{Name: twice})
		}
		s.Nodes = append(s.Nodes, &n)
		s.Jobs = append(s.Jobs, &fleet.Job{Key: name, ID: name, Name: name, User: name, Partition: name})
	}
	return s
}

// reference reads OpenMetrics with the format's own parser, which is stricter than any server, and prints how much it read.
const reference = `
import sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse
families = list(parse(sys.stdin.read()))
print(len(families), sum(len(f.samples) for f in families))
`

func openMetricsCounts(t *testing.T, text string) (families, samples int) {
	t.Helper()
	const python = "/usr/bin/python3"
	testbed.Need(t, python)
	cmd := exec.Command(python, "-c", reference)
	cmd.Stdin = strings.NewReader(text)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("OpenMetrics's parser refuses it: %v\n%s", err, out)
	}
	if _, err := fmt.Sscan(string(out), &families, &samples); err != nil {
		t.Fatal(err)
	}
	return families, samples
}

func sampleLines(text string) (n int) {
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "#") {
			n++
		}
	}
	return n
}

// TestMetricsAreRead holds both formats, with ordinary and hostile names, against parsers of others: OpenMetrics's reference parser and promtool.
func TestMetricsAreRead(t *testing.T) {
	testbed.Need(t, "promtool")
	for name, s := range map[string]*fleet.Snapshot{"ordinary": many(), "hostile": hostileSnapshot(), "empty": {}} {
		text := metrics(t, s, OpenMetrics)
		families, samples := openMetricsCounts(t, text)
		if want := sampleLines(text); samples != want || families == 0 {
			t.Errorf("%s: %d samples were read of %d", name, samples, want)
		}
		seen := map[string]bool{}
		for line := range strings.Lines(text) {
			series := line[:strings.LastIndexByte(line, ' ')+1]
			if seen[series] {
				t.Errorf("%s: twice: %s", name, line)
			}
			seen[series] = true
			if len(line) > 1500 {
				t.Errorf("%s: a line of %d bytes: %.200s", name, len(line), line)
			}
		}
		cmd := exec.Command("promtool", "check", "metrics")
		cmd.Stdin = strings.NewReader(metrics(t, s, PrometheusText))
		out, err := cmd.CombinedOutput()
		var exit *exec.ExitError
		if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 3) { // 3: it finds names that others chose not pretty
			t.Errorf("%s: promtool: %v\n%s", name, err, out)
		}
		for line := range strings.Lines(string(out)) {
			if !strings.HasPrefix(line, "DCGM_FI_") && !strings.HasPrefix(line, "node_") {
				t.Errorf("%s: promtool: %s", name, line)
			}
		}
	}
}

// TestMetricsAreBounded: what one node may add has an end, and what is left out is counted.
func TestMetricsAreBounded(t *testing.T) {
	s := snapshot()
	n := s.Nodes[0]
	n.Nets, n.FS = nil, nil
	for i := range 500 {
		n.Nets = append(n.Nets, fleet.Net{Name: fmt.Sprint("eth", i), Physical: true, Up: 1, NetCounts: &fleet.NetCounts{}}, fleet.Net{Name: fmt.Sprint("veth", i), Up: 1, NetCounts: &fleet.NetCounts{}})
		n.FS = append(n.FS, fleet.Filesystem{Mount: fmt.Sprint("/", i), SizeBytes: 1})
	}
	for i := range maxJobs + 7 {
		s.Jobs = append(s.Jobs, &fleet.Job{Key: fmt.Sprint("slurm/1", i)})
	}
	text := metrics(t, s, OpenMetrics)
	for want, lines := range map[string]int{"node_network_up{": maxNets, "node_filesystem_size_bytes{": maxMounts, "foretop_job_info{": maxJobs} {
		if got := strings.Count(text, "\n"+want); got != lines {
			t.Errorf("%d of %s, want %d", got, want, lines)
		}
	}
	for _, want := range []string{`{kind="network_interface"} 468`, `{kind="filesystem"} 468`, `{kind="job"} 9`, `{kind="node"} 0`} {
		if !strings.Contains(text, "foretop_export_left_out"+want+"\n") {
			t.Errorf("it does not say %s", want)
		}
	}
	if strings.Contains(text, "veth") {
		t.Error("interfaces of containers are published")
	}
}

// TestAbsentIsNotThere: what is not known, or is the past's, has no sample.
func TestAbsentIsNotThere(t *testing.T) {
	text := metrics(t, many(), OpenMetrics)
	for _, line := range []string{
		`DCGM_FI_DEV_GPU_UTIL{gpu="0",UUID="GPU-0",device="nvidia0",modelName="NVIDIA H100 80GB HBM3",Hostname="gpu001",instance="gpu001"} 99`,
		`DCGM_FI_DEV_FB_USED{gpu="1",UUID="GPU-1",device="nvidia0",modelName="NVIDIA H100 80GB HBM3",Hostname="gpu001",instance="gpu001"} 72704`,
		`DCGM_FI_DEV_XID_ERRORS{gpu="1",UUID="GPU-1",instance="gpu001"} 79`,
		`foretop_gpu_utilization_ratio{gpu="0",UUID="amd-1",instance="mi300"} 0.55`,
		`foretop_node_state{instance="gpu002",state="lost"} 1`,
		`foretop_node_up{instance="gpu002"} 0`,
		`foretop_cpu_ratio{instance="gpu001",mode="busy"} 0.226`,
		`foretop_gpu_stale_seconds{gpu="1",UUID="GPU-1",instance="mi300"} 9`,
		`foretop_gpu_job_info{gpu="0",UUID="GPU-0",instance="gpu001",job_key="slurm/8123",rank="0"} 1`,
	} {
		if !strings.Contains(text, "\n"+line+"\n") {
			t.Errorf("it is not there: %s", line)
		}
	}
	for _, word := range []string{"NaN", "Inf", `node_load1{`, `node_memory_MemTotal_bytes{instance="login"}`, `foretop_node_gpus{instance="gpu003"}`, `ratio{gpu="1",UUID="GPU-1",instance="mi300"}`,
		`DCGM_FI_PROF_SM_ACTIVE`} {
		if strings.Contains(text, word) {
			t.Errorf("it is there: %s", word)
		}
	}
}

// TestMetricsPage: METRICS.md lists every metric that there is. `go test ./export -update` writes its list anew.
func TestMetricsPage(t *testing.T) {
	var rows strings.Builder
	e := newExposition(io.Discard, OpenMetrics)
	last := ""
	e.begun = func(h head) {
		if h.name != last {
			last = h.name
			fmt.Fprintf(&rows, "| `%s` | %s | %s |\n", h.name, kindWords[h.kind][OpenMetrics], h.help)
		}
	}
	pageOf(many()).write(e)
	page, err := os.ReadFile("METRICS.md")
	if err != nil {
		t.Fatal(err)
	}
	const begins = "| metric | type | meaning |\n|---|---|---|\n"
	prose, list, ok := strings.Cut(string(page), begins)
	if !ok {
		t.Fatal("METRICS.md has no list")
	}
	if *update {
		if err := os.WriteFile("METRICS.md", []byte(prose+begins+rows.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(list, rows.String()); diff != "" {
		t.Errorf("-METRICS.md +published (-update writes it anew):\n%s", diff)
	}
}
