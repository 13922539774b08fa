//go:build linux && cgo

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// What gpmcall.go says of nvmlGpmMetricsGet is what nvml.h says.
func TestGPMLayout(t *testing.T) {
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/NVIDIA/go-nvml").Output()
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("gpmcall.go")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(source), "/*\n")
	ours, _, ok := strings.Cut(rest, "extern int nvmlGpmMetricsGet")
	if !ok {
		t.Fatal("gpmcall.go has no preamble")
	}
	file := filepath.Join(t.TempDir(), "layout.c")
	text := "#include <stddef.h>\n#include \"nvml.h\"\n" + ours + `
#define SAME(a, b, f) _Static_assert(offsetof(a, f) == offsetof(b, f) && sizeof ((a *)0)->f == sizeof ((b *)0)->f, #f)
SAME(gpmMetric, nvmlGpmMetric_t, metricId);
SAME(gpmMetric, nvmlGpmMetric_t, nvmlReturn);
SAME(gpmMetric, nvmlGpmMetric_t, value);
SAME(gpmMetricsGet, nvmlGpmMetricsGet_t, version);
SAME(gpmMetricsGet, nvmlGpmMetricsGet_t, numMetrics);
SAME(gpmMetricsGet, nvmlGpmMetricsGet_t, sample1);
SAME(gpmMetricsGet, nvmlGpmMetricsGet_t, sample2);
SAME(gpmMetricsGet, nvmlGpmMetricsGet_t, metrics);
_Static_assert(sizeof(gpmMetric) == sizeof(nvmlGpmMetric_t) && sizeof(gpmMetricsGet) == sizeof(nvmlGpmMetricsGet_t), "size");
_Static_assert(NVML_GPM_METRICS_GET_VERSION == 1, "version");
`
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	include := filepath.Join(strings.TrimSpace(string(dir)), "gen", "nvml")
	if said, err := exec.Command("gcc", "-fsyntax-only", "-I", include, file).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, said)
	}
}
