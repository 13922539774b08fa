package testbed

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Prometheus is a real Prometheus server on this machine's loopback.
type Prometheus struct {
	URL string
	Dir string

	t       testing.TB
	program *kept
}

// StartPrometheus starts a server with a configuration and more flags; it ends with the test. What it lacks ends the test: see require.
func StartPrometheus(t testing.TB, config string, flags ...string) *Prometheus {
	t.Helper()
	Need(t, "prometheus")
	p := &Prometheus{Dir: t.TempDir(), t: t}
	file := filepath.Join(p.Dir, "prometheus.yml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	address := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	p.URL = "http://" + address
	argv := append([]string{"prometheus", "--config.file=" + file, "--web.listen-address=" + address, "--log.level=warn"}, flags...)
	if !slices.ContainsFunc(flags, func(f string) bool { return strings.HasPrefix(f, "--storage.tsdb.path=") }) {
		argv = append(argv, "--storage.tsdb.path="+filepath.Join(p.Dir, "data"))
	}
	var err error
	if p.program, err = keep(filepath.Join(p.Dir, "log"), nil, argv...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("prometheus says:\n%s", p.program.tail())
		}
		p.program.kill()
	})
	waitReady(t, "prometheus", &http.Client{}, p.URL+"/-/ready", p.program)
	return p
}

// Kill ends the server now.
func (p *Prometheus) Kill() { p.program.kill() }

// Memory is the server's resident memory in bytes.
func (p *Prometheus) Memory() int { return p.program.memory() }

// CPUSeconds is the processor time that the server has taken.
func (p *Prometheus) CPUSeconds() float64 {
	children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", p.program.cmd.Process.Pid))
	first, _, _ := strings.Cut(strings.TrimSpace(string(children)), " ")
	stat, _ := os.ReadFile("/proc/" + first + "/stat")
	_, rest, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return float64(user+system) / 100 // USER_HZ
}

// Said is the end of what the server said.
func (p *Prometheus) Said() string { return p.program.tail() }

// Series is one series of an instant query's answer: its labels, and its value.
type Series struct {
	Labels map[string]string
	Value  float64
}

// Query asks for the value of an expression now.
func (p *Prometheus) Query(expression string) []Series {
	p.t.Helper()
	answer, err := http.Get(p.URL + "/api/v1/query?query=" + url.QueryEscape(expression))
	if err != nil {
		p.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	var read struct {
		Error string
		Data  struct {
			Result []struct {
				Metric map[string]string
				Value  [2]any
			}
		}
	}
	if err := json.Unmarshal(text, &read); err != nil || read.Error != "" {
		p.t.Fatalf("query %s: %v %s", expression, err, read.Error)
	}
	var series []Series
	for _, r := range read.Data.Result {
		value, err := strconv.ParseFloat(fmt.Sprint(r.Value[1]), 64)
		if err != nil {
			p.t.Fatal(err)
		}
		series = append(series, Series{r.Metric, value})
	}
	return series
}
