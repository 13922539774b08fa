package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"runtime"
	"testing"
	"time"

	"foretop/fleet"
	"foretop/scripts/testbed"
)

const (
	arch       = runtime.GOARCH
	processes  = 400
	settled    = 45 * time.Second // what started just now is looked at more often
	costWindow = 60 * time.Second
)

// What a node's collector and its NVML reader cost at one sample a second, on eight GPUs of the played driver with its calls' latencies, 9 RDMA ports, 192 CPUs
// and 400 processes; beside prometheus-node-exporter, scraped once a second on the same files in the same minute. The budget is 0.5 % of a
// core, 20 MiB resident, 8 MB of files, 3 MB sent.
func BenchmarkCost(b *testing.B) {
	needLinux(b)
	node := newBusyNode(b, processes)
	node.work(b)
	w := watch(b)
	r := w.start("node", node.collector(b, 0))
	w.await("node", "readings", fullyRead)
	exporter := startExporter(b, node.root)
	time.Sleep(settled)
	for range b.N {
		own, reader := costOf(b, r.Process.Pid)
		other, _ := costOf(b, exporter.pid)
		scrapes := exporter.scrapes
		began := time.Now()
		for range int(costWindow / time.Second) {
			time.Sleep(time.Second)
			exporter.scrape(b)
		}
		took := time.Since(began)
		own2, reader2 := costOf(b, r.Process.Pid)
		other2, _ := costOf(b, exporter.pid)
		share := func(d time.Duration) float64 { return 100 * float64(d) / float64(took) }
		b.ReportMetric(0, "ns/op")
		b.ReportMetric(share(own2.cpu-own.cpu), "collector-%core")
		b.ReportMetric(share(reader2.cpu-reader.cpu), "reader-%core")
		b.ReportMetric(share(own2.cpu-own.cpu+reader2.cpu-reader.cpu), "both-%core")
		b.ReportMetric(mib(own2.rss+reader2.rss), "both-RSS-MiB")
		b.ReportMetric(share(other2.cpu-other.cpu), "node_exporter-%core")
		b.ReportMetric(mib(other2.rss), "node_exporter-RSS-MiB")
		b.ReportMetric(float64(exporter.scrapes-scrapes)/took.Seconds(), "node_exporter-scrapes/s")
	}
	size, sent := 0, 0
	for _, p := range []string{collectorFor(b, arch), readerFor(b, arch)} {
		s, z := fileSizes(b, p)
		size, sent = size+s, sent+z
	}
	b.ReportMetric(float64(size)/1e6, "files-MB")
	b.ReportMetric(float64(sent)/1e6, "sent-MB")
	if size, _ := fileSizes(b, exporter.path); size > 0 {
		b.ReportMetric(float64(size)/1e6, "node_exporter-files-MB")
	}
	fullyReadOrFail(b, w.node("node"))
}

// What twenty users' collectors cost together, each with its own reader. The budget is 2 % of a core.
func BenchmarkTwenty(b *testing.B) {
	needLinux(b)
	node, w, runs := twenty(b)
	time.Sleep(settled)
	for range b.N {
		var before, after, reader, reader2 processCost
		for _, r := range runs {
			o, c := costOf(b, r.Process.Pid)
			before, reader = before.plus(o), reader.plus(c)
		}
		began := time.Now()
		time.Sleep(costWindow)
		took := time.Since(began)
		for _, r := range runs {
			o, c := costOf(b, r.Process.Pid)
			after, reader2 = after.plus(o), reader2.plus(c)
		}
		share := func(d time.Duration) float64 { return 100 * float64(d) / float64(took) }
		b.ReportMetric(0, "ns/op")
		b.ReportMetric(share(after.cpu-before.cpu), "collectors-%core")
		b.ReportMetric(share(reader2.cpu-reader.cpu), "readers-%core")
		b.ReportMetric(share(after.cpu-before.cpu+reader2.cpu-reader.cpu), "all-%core")
		b.ReportMetric(mib(after.pss+reader2.pss), "all-PSS-MiB")
	}
	_ = node
	for name := range runs {
		fullyReadOrFail(b, w.node(name))
	}
}

// twenty is a busy node with the collectors of twenty users, all of whose readings are there.
func twenty(t testing.TB) (*busyNode, *watched, map[string]*run) {
	t.Helper()
	testbed.NeedRoot(t)
	node := newBusyNode(t, processes)
	node.work(t)
	w := watch(t)
	runs := map[string]*run{}
	for i := range 20 {
		name := fmt.Sprintf("user%02d", i)
		runs[name] = w.start(name, node.collector(t, uint32(20100+i)))
	}
	node.linkProcesses(t) // so that they see each other
	for name := range runs {
		w.await(name, "readings", fullyRead)
	}
	return node, w, runs
}

// fullyRead says whether everything of a busy node is there and moves.
func fullyRead(n *fleet.Node) bool { return n.State == fleet.Live && missing(n) == "" }

func fullyReadOrFail(t testing.TB, n *fleet.Node) {
	t.Helper()
	if n.State != fleet.Live {
		t.Errorf("%s is %v: %s", n.Name, n.State, n.Cause)
	}
	if what := missing(n); what != "" {
		t.Errorf("%s lacks %s; sources %s", n.Name, what, sourceWords(n))
	}
}

// missing names what is not read of a busy node.
func missing(n *fleet.Node) string {
	switch {
	case len(n.GPUs) != 8:
		return "GPUs"
	case len(n.Ports) != 9:
		return "ports"
	case !n.Host.CPUBusyPct.Known() || !n.Host.MemTotalBytes.Known():
		return "host"
	}
	for i := range n.GPUs {
		if g := &n.GPUs[i]; !g.UtilPct.Known() || !g.PowerW.Known() || g.Info.GetUuid() == "" {
			return fmt.Sprintf("GPU %d's readings", i)
		}
	}
	for i := range n.Ports {
		if p := &n.Ports[i]; !p.RcvBytesPerS.Known() {
			return fmt.Sprintf("port %d's readings", i)
		}
	}
	ranks := 0
	for _, p := range n.Processes {
		if p.Process.Rank {
			ranks++
		}
	}
	if n.Hello.GetUid() == 0 && ranks < 8 { // others may not see them
		return "ranks"
	}
	return ""
}

func mib(bytes int) float64 { return float64(bytes) / (1 << 20) }

// exporter is prometheus-node-exporter over the same files.
type exporter struct {
	path, url string
	pid       int
	scrapes   int
}

func startExporter(t testing.TB, root string) *exporter {
	t.Helper()
	testbed.Need(t, "prometheus-node-exporter")
	path, err := exec.LookPath("prometheus-node-exporter")
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	c := exec.Command(path, "--path.procfs="+root+"/proc", "--path.sysfs="+root+"/sys", "--path.rootfs="+root, "--web.listen-address="+addr)
	var said bytes.Buffer
	c.Stderr = &said
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Process.Kill()
		c.Wait()
		if t.Failed() {
			t.Logf("prometheus-node-exporter says: %s", &said)
		}
	})
	e := &exporter{path: path, url: "http://" + addr + "/metrics", pid: c.Process.Pid}
	for late := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		if r, err := http.Get(e.url); err == nil {
			r.Body.Close()
			return e
		}
		if time.Now().After(late) {
			t.Fatal("prometheus-node-exporter does not answer")
		}
	}
}

// scrape reads all its metrics, as Prometheus does.
func (e *exporter) scrape(t testing.TB) {
	t.Helper()
	r, err := http.Get(e.url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if n, err := io.Copy(io.Discard, r.Body); err != nil || n < 1000 || r.StatusCode != http.StatusOK {
		t.Fatalf("scraped %d bytes, %s, %v", n, r.Status, err)
	}
	e.scrapes++
}
