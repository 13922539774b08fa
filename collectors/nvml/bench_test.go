package nvml

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"foretop/telemetry"
)

// BenchmarkReader is what the real foretop-nvml costs a second at its usual pace (a round each second, slow readings each half minute, processes each
// five seconds) on 8 H100s whose driver takes a realistic time for each call (testdata/nvml/play.c): CPU of all its threads, the played driver's own
// included, and memory. A driver's waiting is played asleep; "polling" is one that computes while it waits for the GPU's firmware, all of
// which is then counted as ours.
func BenchmarkReader(b *testing.B) {
	for _, c := range []struct {
		name   string
		detail bool
		lines  []string
	}{
		{"base", false, []string{"machine h100", "latency realistic"}},
		{"detail", true, []string{"machine h100", "latency realistic"}},
		{"base, no latency", false, []string{"machine h100"}},
		{"base, polling", false, []string{"machine h100", "latency realistic", "latency_spin 1"}},
	} {
		b.Run(c.name, func(b *testing.B) {
			p := playWith(b, programs(b).driver, func(o *Options) { o.Fast, o.Slow, o.Processes = 0, 0, 0 }, c.lines...)
			p.Detail(c.detail)
			r := p.next(4)
			cpu, began := taskNS(b, r.PID), time.Now()
			p.next(uint64(max(b.N, 31)))
			r = p.Report(nil)
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(taskNS(b, r.PID)-cpu)/float64(time.Since(began))*100, "%core")
			b.ReportMetric(float64(r.Round.Microseconds())/1e3, "ms-in-driver/round")
			b.ReportMetric(float64(rss(b, r.PID, "VmRSS"))/1024, "RSS-MiB")
			b.ReportMetric(float64(rss(b, r.PID, "RssAnon"))/1024, "anon-MiB")
		})
	}
}

// BenchmarkReport is what the collector pays to take the readings over.
func BenchmarkReport(b *testing.B) {
	p := play(b, programs(b).driver)
	p.next(3)
	var into telemetry.State
	p.Report(&into)
	b.ReportAllocs()
	for b.Loop() {
		p.Report(&into)
	}
}

// taskNS is the CPU time of all threads of a process, in ns (/proc/PID/task/*/schedstat).
func taskNS(b *testing.B, pid int) int64 {
	b.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil || len(files) == 0 {
		b.Skip("no /proc/PID/task/*/schedstat here")
	}
	var sum int64
	for _, f := range files {
		text, _ := os.ReadFile(f)
		if first, _, ok := strings.Cut(string(text), " "); ok {
			n, _ := strconv.ParseInt(first, 10, 64)
			sum += n
		}
	}
	return sum
}

// rss is a line of /proc/PID/status, in KiB.
func rss(b *testing.B, pid int, key string) int {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), key+":")
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return 0
	}
	n, _ := strconv.Atoi(fields[0])
	return n
}
