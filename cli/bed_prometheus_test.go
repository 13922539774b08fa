package cli

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"foretop/export"
	"foretop/fleet"
	"foretop/scripts/testbed"
	"foretop/simfleet"
)

// scraping is a server's configuration that scrapes one address.
func scraping(address, honor string) string {
	return fmt.Sprintf(`global: {scrape_interval: 1s, scrape_timeout: 1s}
scrape_configs:
  - job_name: foretop
    honor_labels: %s
    static_configs: [{targets: [%q]}]
`, honor, address)
}

// simulated opens a station on a simulated fleet and waits until all of it is live and complete.
func simulated(t *testing.T, nodes int) *station {
	t.Helper()
	s, stop, err := openDemo(t.Context(), simfleet.Options{Nodes: nodes, Seed: 1, Scenario: simfleet.Healthy()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	if snap := s.settle(t.Context(), 2*time.Minute); snap.Totals.ByState[fleet.Live] != nodes {
		t.Fatalf("not all live: %v", snap.Totals)
	}
	return s.station
}

var exposed = regexp.MustCompile(`^([A-Za-z_0-9]+)(?:\{(.*)\})? (\S+)$`)

// TestPrometheusScrapesTheFleet: a real server scrapes one snapshot of a simulated fleet; what it then knows is what the snapshot says, series by series and value by value, and nothing else.
func TestPrometheusScrapesTheFleet(t *testing.T) {
	testbed.Need(t, "prometheus")
	snap := simulated(t, 12).Publish()
	scrape := export.NewScrape(func() *fleet.Snapshot { return snap })
	scrape.Now = func() time.Time { return snap.At }
	server := httptest.NewServer(scrape)
	defer server.Close()
	var text bytes.Buffer
	if err := export.Metrics(&text, snap, export.OpenMetrics); err != nil {
		t.Fatal(err)
	}
	want := map[string]float64{}
	for line := range strings.Lines(text.String()) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		m := exposed.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil {
			t.Fatalf("no sample: %s", line)
		}
		value, err := strconv.ParseFloat(m[3], 64)
		if err != nil {
			t.Fatal(err)
		}
		want[m[1]+" "+sortedLabels(m[2])] = value
	}
	if len(want) < 12*8*20 {
		t.Fatalf("only %d series of 96 GPUs", len(want))
	}
	p := testbed.StartPrometheus(t, scraping(strings.TrimPrefix(server.URL, "http://"), "true"))
	const own = `{job="foretop",__name__!~"up|scrape_.*"}`
	var got []testbed.Series
	for end := time.Now().Add(2 * time.Minute); len(got) < len(want); time.Sleep(300 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the server has %d series of %d; up: %v", len(got), len(want), p.Query("up"))
		}
		got = p.Query(own)
	}
	for _, s := range got {
		var pairs []string
		for name, value := range s.Labels {
			if name == "__name__" || name == "job" || name == "instance" && value == strings.TrimPrefix(server.URL, "http://") {
				continue
			}
			pairs = append(pairs, name+"="+strconv.Quote(value))
		}
		slices.Sort(pairs)
		key := s.Labels["__name__"] + " " + strings.Join(pairs, ",")
		value, ok := want[key]
		if !ok || math.Abs(value-s.Value) > 1e-9*math.Abs(value) {
			t.Errorf("the server has %s = %v; published: %v %v", key, s.Value, value, ok)
		}
		delete(want, key)
	}
	for key := range want {
		t.Errorf("the server has not %s", key)
	}
	// The number that people look at is the snapshot's own.
	for _, n := range snap.Nodes {
		for i := range n.GPUs {
			g := &n.GPUs[i]
			s := p.Query(fmt.Sprintf("DCGM_FI_DEV_POWER_USAGE{instance=%q,gpu=\"%d\"}", n.Name, g.Index))
			if len(s) != 1 || math.Abs(s[0].Value-float64(g.PowerW)) > 1e-6*s[0].Value || s[0].Labels["UUID"] != g.Info.Uuid {
				t.Errorf("power of %s's GPU %d: %v, the snapshot says %v", n.Name, g.Index, s, g.PowerW)
			}
		}
	}
}

func sortedLabels(text string) string {
	pairs := regexp.MustCompile(`[A-Za-z_0-9]+="(?:[^"\\]|\\.)*"`).FindAllString(text, -1)
	slices.Sort(pairs)
	return strings.Join(pairs, ",")
}

// TestExportServesUntilItIsEnded: the command's own server is scraped while the fleet lives, and ends in order: the address is free, the connections are closed.
func TestExportServesUntilItIsEnded(t *testing.T) {
	s := simulated(t, 3)
	l, err := listenOn("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- s.serve(ctx, l, func(*fleet.Snapshot) {}) }()
	p := testbed.StartPrometheus(t, scraping(l.Addr().String(), "true"))
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(300 * time.Millisecond) {
		if up := p.Query("count(foretop_node_up == 1)"); len(up) == 1 && up[0].Value == 3 && len(p.Query(`count_values("at", foretop_snapshot_timestamp_seconds) unless foretop_snapshot_timestamp_seconds offset 2s`)) > 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("not scraped: %v", p.Query("up"))
		}
	}
	stop()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(time.Minute):
		t.Fatal("it does not end")
	}
	if _, err := http.Get("http://" + l.Addr().String()); err == nil {
		t.Error("it still answers")
	}
	again, err := net.Listen("tcp", l.Addr().String())
	if err != nil {
		t.Fatalf("the address is not free: %v", err)
	}
	again.Close()
}

func TestOpenTo(t *testing.T) {
	for ip, want := range map[string]string{"127.0.0.1": "this machine only", "::1": "this machine only", "0.0.0.0": "whoever", "10.1.2.3": "whoever", "::": "whoever"} {
		if got := openTo(&net.TCPAddr{IP: net.ParseIP(ip)}); !strings.Contains(got, want) {
			t.Errorf("%s: %q", ip, got)
		}
	}
}
