package nvml

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"foretop/telemetry"
)

// BenchmarkReader is what the real foretop-nvml costs on a played 8-GPU driver: CPU a round of all readings (the played driver's own included, which
// is far cheaper than a real one), and memory. Rounds come at 5 Hz here; at 1 Hz a round costs the same.
func BenchmarkReader(b *testing.B) {
	p := play(b, programs(b).driver)
	r := p.next(10)
	cpu, from := taskNS(b, r.PID), r.Rounds
	p.next(uint64(max(b.N, 20)))
	r = p.Report(nil)
	rounds := float64(r.Rounds - from)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(taskNS(b, r.PID)-cpu)/rounds/1e3, "cpu-µs/round")
	b.ReportMetric(float64(rss(b, r.PID, "VmRSS"))/1024, "RSS-MiB")
	b.ReportMetric(float64(rss(b, r.PID, "RssAnon"))/1024, "anon-MiB")
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
