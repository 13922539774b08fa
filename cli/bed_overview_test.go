package cli

import (
	"bufio"
	"context"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"foretop/config"
	"foretop/export/overview"
	"foretop/fleet"
	"foretop/scripts/testbed"
	"foretop/simfleet"
	"foretop/sshpool"
)

// until waits for a picture that is as it should be.
func until(t *testing.T, s *station, what string, good func(*fleet.Snapshot) bool) *fleet.Snapshot {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		snap := s.Publish()
		if good(snap) {
			return snap
		}
		if time.Now().After(end) {
			for _, n := range snap.Nodes {
				t.Logf("%s: %v via %q, %d GPUs, %s", n.Name, n.State, n.Via, len(n.GPUs), n.Cause)
			}
			t.Fatalf("not seen: %s; %q %+v", what, snap.Empty, snap.Schedulers)
		}
	}
}

// serverOf is how the server does; the zero value before it was asked.
func serverOf(s *fleet.Snapshot) fleet.Scheduler {
	for _, scheduler := range s.Schedulers {
		if scheduler.Kind == prometheusKind {
			return scheduler
		}
	}
	return fleet.Scheduler{}
}

// TestOverviewOfAPrometheus goes the whole way: a simulated fleet is watched and published, a real Prometheus scrapes that, and a second foretop takes its overview from there: the same numbers, with no
// connection. A node whose page is opened is connected, and let go after; when the server is gone that is said, and what it said stays.
func TestOverviewOfAPrometheus(t *testing.T) {
	testbed.Need(t, "prometheus", "ssh")
	const nodes = 5
	sim, err := simfleet.Start(t.Context(), simfleet.Options{Nodes: nodes, Seed: 1, Scenario: simfleet.Healthy()})
	if err != nil {
		t.Fatal(err)
	}
	defer sim.Close()
	a := openStation(fleet.Options{}, sshpool.Config{}, simTargets(sim.Nodes(), sim.Signer()))
	defer a.Close()
	a.settle(t.Context(), 2*time.Minute)
	l, err := listenOn("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- a.serve(ctx, l, func(*fleet.Snapshot) {}) }()
	defer func() { stop(); <-served }()
	for _, honor := range []string{"true", "false"} { // installations differ: with false, the server renames the labels that name nodes
		t.Run("honor_labels "+honor, func(t *testing.T) {
			p := testbed.StartPrometheus(t, scraping(l.Addr().String(), honor))
			files, err := sim.WriteFiles(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			cfg := config.Default()
			cfg.Metrics.Every = time.Second
			c, err := openOverview(t.Context(), cfg, sshpool.Config{ConfigFile: files}, choice{prometheus: p.URL})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			b := c.station
			snap := until(t, b, "all nodes by way of the server", func(s *fleet.Snapshot) bool {
				return s.Totals.ByState[fleet.Live] == nodes && s.Totals.GPUs == nodes*8 && s.Nodes[0].GPUs[7].Info.Uuid != "" && s.Nodes[0].Host.CPUBusyPct.Known()
			})
			for _, n := range snap.Nodes {
				own := a.Snapshot().Node(n.Name)
				if own == nil || n.Via != "prometheus" || n.Age(snap.At) > time.Minute || len(n.Processes) != 0 {
					t.Fatalf("%s: via %q, age %v; watched there: %v", n.Name, n.Via, n.Age(snap.At), own != nil)
				}
				for i := range n.GPUs {
					x, y := &n.GPUs[i], &own.GPUs[i]
					if x.Info.Uuid != y.Info.Uuid || x.Info.Name != y.Info.Name || x.MemTotalBytes != y.MemTotalBytes || x.PowerLimitW != y.PowerLimitW || math.Abs(float64(x.TempC-y.TempC)) > 40 || !x.UtilPct.Known() || !x.PowerW.Known() {
						t.Errorf("%s GPU %d: %+v, there %+v", n.Name, i, x, y)
					}
				}
				if n.Host.MemTotalBytes != own.Host.MemTotalBytes || !n.Host.Load1.Known() {
					t.Errorf("%s: %+v, there %+v", n.Name, n.Host, own.Host)
				}
			}
			looked := snap.Nodes[2].Name
			b.Watch([]string{looked})
			snap = until(t, b, "the opened node itself", func(s *fleet.Snapshot) bool {
				n := s.Node(looked)
				return n.Via == "" && n.State == fleet.Live && n.ProcessesTold && len(n.GPUs) == 8
			})
			for _, n := range snap.Nodes {
				if n.Name != looked && n.Via == "" {
					t.Errorf("%s is connected: nobody opened it", n.Name)
				}
			}
			b.Watch(nil)
			b.drill.mu.Lock()
			b.drill.letGo(time.Now().Add(drillKeeps - time.Second))
			kept := len(b.drill.looked)
			b.drill.letGo(time.Now().Add(drillKeeps + time.Second))
			left := len(b.drill.looked)
			b.drill.mu.Unlock()
			if kept != 1 || left != 0 {
				t.Errorf("connected a moment after its page was left: %d, a while after: %d", kept, left)
			}
			until(t, b, "the node by way of the server again", func(s *fleet.Snapshot) bool {
				n := s.Node(looked)
				return n.Via == "prometheus" && n.State == fleet.Live && len(n.Processes) == 0
			})
			b.Watch([]string{looked}) // and once more
			until(t, b, "the opened node itself, again", func(s *fleet.Snapshot) bool { return s.Node(looked).Via == "" && s.Node(looked).ProcessesTold })
			p.Kill()
			snap = until(t, b, "that the server is gone", func(s *fleet.Snapshot) bool {
				return serverOf(s).Problem != nil
			})
			if text := serverOf(snap).Problem.Text; !strings.Contains(text, "refused") && !strings.Contains(text, "EOF") && !strings.Contains(text, "reset") {
				t.Errorf("it says %q", text)
			}
			if snap.Totals.ByState[fleet.Live] != nodes || snap.Totals.GPUs != nodes*8 {
				t.Errorf("what the server said last is lost: %+v", snap.Totals)
			}
		})
	}
}

// playedUtil is the utilisation that a played GPU has.
func playedUtil(node, gpu int) int { return (node*7 + gpu*13) % 101 }

// playedServer is a real Prometheus server that knows what 8-GPU nodes' dcgm-exporters and node_exporters would have told it at one moment: blocks made by promtool,
// for a server that scrapes 1.4 million series needs more than this machine has to spare.
func playedServer(t testing.TB, nodes int) *testbed.Prometheus {
	testbed.Need(t, "prometheus", "promtool")
	dir := t.TempDir()
	file := filepath.Join(dir, "series")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriterSize(f, 1<<20)
	at := time.Now().Unix()
	gpus := func(name string, value func(node, gpu int) int) {
		fmt.Fprintf(w, "# TYPE %s gauge\n", name)
		for n := range nodes {
			for g := range 8 {
				fmt.Fprintf(w, "%s{gpu=\"%d\",UUID=\"GPU-604ac76c-d9cf-fef3-62e9-%08d%04d\",device=\"nvidia%d\",modelName=\"NVIDIA H100 80GB HBM3\",Hostname=\"gpu%05d\",instance=\"10.%d.%d.%d:9400\",job=\"dcgm\"} %d %d\n",
					name, g, n, g, g, n, n/62500, n/250%250, n%250, value(n, g), at)
			}
		}
	}
	gpus("DCGM_FI_DEV_GPU_UTIL", playedUtil)
	gpus("DCGM_FI_DEV_POWER_USAGE", func(n, g int) int { return 100 + 6*playedUtil(n, g) })
	gpus("DCGM_FI_DEV_FB_USED", func(n, g int) int { return 70000 + g })
	gpus("DCGM_FI_DEV_FB_FREE", func(n, g int) int { return 11000 - g })
	gpus("DCGM_FI_DEV_GPU_TEMP", func(n, g int) int { return 40 + playedUtil(n, g)/4 })
	gpus("DCGM_FI_DEV_SM_CLOCK", func(n, g int) int { return 1980 })
	hosts := func(name string, value int) {
		fmt.Fprintf(w, "# TYPE %s gauge\n", name)
		for n := range nodes {
			fmt.Fprintf(w, "%s{instance=\"10.%d.%d.%d:9100\",job=\"node\"} %d %d\n", name, n/62500, n/250%250, n%250, value, at)
		}
	}
	hosts("node_memory_MemTotal_bytes", 2<<40)
	hosts("node_memory_MemAvailable_bytes", 1<<40)
	hosts("node_load1", 12)
	fmt.Fprint(w, "# TYPE node_uname_info gauge\n")
	for n := range nodes {
		fmt.Fprintf(w, "node_uname_info{instance=\"10.%d.%d.%d:9100\",job=\"node\",nodename=\"gpu%05d\"} 1 %d\n", n/62500, n/250%250, n%250, n, at)
	}
	fmt.Fprint(w, "# EOF\n")
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	f.Close()
	data := filepath.Join(dir, "data")
	if out, err := exec.Command("promtool", "tsdb", "create-blocks-from", "openmetrics", "--quiet", file, data).CombinedOutput(); err != nil {
		t.Fatalf("promtool: %v\n%.2000s", err, out)
	}
	os.Remove(file)
	return testbed.StartPrometheus(t, "{}", "--storage.tsdb.path="+data, "--query.lookback-delta=24h", "--query.max-samples=50000000")
}

// TestOverviewOfManyNodes: a real server of many nodes (20,000 in the soak), each GPU with the number that it has there.
func TestOverviewOfManyNodes(t *testing.T) {
	nodes := 1000
	if os.Getenv("FORETOP_SOAK") != "" {
		nodes = 20_000
	}
	p := playedServer(t, nodes)
	c, err := openOverview(t.Context(), config.Default(), sshpool.Config{}, choice{prometheus: p.URL})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	snap := until(t, c.station, "all nodes", func(s *fleet.Snapshot) bool {
		return s.Totals.GPUs == nodes*8 && s.Nodes[nodes-1].GPUs[7].Info.Name != ""
	})
	if len(snap.Nodes) != nodes || snap.Totals.ByState[fleet.Live] != nodes {
		t.Fatalf("%d nodes; %v", len(snap.Nodes), snap.Totals.ByState)
	}
	for i, n := range snap.Nodes {
		if n.Name != fmt.Sprintf("gpu%05d", i) || n.Via != "prometheus" || n.Host.MemTotalBytes != 2<<40 || n.Host.Load1 != 12 {
			t.Fatalf("%s: %+v", n.Name, n.Host)
		}
		for g := range n.GPUs {
			if x := &n.GPUs[g]; x.UtilPct != fleet.Reading(playedUtil(i, g)) || x.PowerW != fleet.Reading(100+6*playedUtil(i, g)) || x.MemTotalBytes != 81000<<20 || x.Info.Name != "NVIDIA H100 80GB HBM3" {
				t.Fatalf("%s GPU %d: %+v", n.Name, g, x)
			}
		}
	}
	if p := serverOf(snap).Problem; p != nil {
		t.Errorf("%+v", p)
	}
}

// BenchmarkOverview is a round of queries for 20,000 nodes of 8 GPUs at a real Prometheus server, and what this process comes to: its processor time over rounds at the pace of every
// 15 seconds, with two pictures a second, and its memory.
func BenchmarkOverview(b *testing.B) {
	const nodes = 20_000
	p := playedServer(b, nodes)
	for range b.N {
		source, err := overview.New(overview.Config{URL: p.URL})
		if err != nil {
			b.Fatal(err)
		}
		began := time.Now()
		result := source.Round(b.Context())
		if result.Problem != nil || len(result.Overview.Nodes) != nodes {
			b.Fatal(result.Problem)
		}
		b.ReportMetric(time.Since(began).Seconds(), "first-round-s")
		if result = source.Round(b.Context()); result.Problem != nil || result.More {
			b.Fatal(result.Problem)
		}
		result = overview.Result{}
		began = time.Now()
		cpu, server := selfCPU(), p.CPUSeconds()
		result = source.Round(b.Context())
		b.ReportMetric(time.Since(began).Seconds(), "round-s")
		b.ReportMetric((selfCPU() - cpu).Seconds(), "round-cpu-s")
		b.ReportMetric(p.CPUSeconds()-server, "round-server-cpu-s")
		b.ReportMetric(float64(result.Series), "series")
		c, err := openOverview(b.Context(), config.Default(), sshpool.Config{}, choice{prometheus: p.URL})
		if err != nil {
			b.Fatal(err)
		}
		<-c.asked
		c.publish(b.Context(), config.Default().Refresh, func(*fleet.Snapshot) {}, func(err error) { b.Error(err) })
		result, source = overview.Result{}, nil
		b.ReportMetric(100*measure(45*time.Second), "steady-cpu-%")
		b.ReportMetric(float64(residentBytes())/(1<<20), "rss-MB")
		b.ReportMetric(float64(p.Memory())/(1<<20), "server-rss-MB")
		c.Close()
	}
}
