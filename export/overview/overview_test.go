package overview

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"foretop/fleet"

	"github.com/google/go-cmp/cmp"
)

// server answers queries by which metric they name.
type server struct {
	*httptest.Server
	answers map[string][]series // by a part of the query
	handle  http.HandlerFunc    // in place of answers
	mu      sync.Mutex
	asked   []string
}

func serve(t *testing.T, answers map[string][]series) *server {
	s := &server{answers: answers}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.asked = append(s.asked, r.FormValue("query"))
		s.mu.Unlock()
		if s.handle != nil {
			s.handle(w, r)
			return
		}
		s.answer(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

// answer gives the series of the longest part that the query has.
func (s *server) answer(w http.ResponseWriter, r *http.Request) {
	best := ""
	for part := range s.answers {
		if strings.Contains(r.FormValue("query"), part) && len(part) > len(best) {
			best = part
		}
	}
	result := []any{}
	for _, a := range s.answers[best] {
		if best == "" {
			break
		}
		result = append(result, map[string]any{"metric": a.labels, "value": []any{1000, fmt.Sprint(a.value)}})
	}
	json.NewEncoder(w).Encode(map[string]any{"status": "success", "data": map[string]any{"resultType": "vector", "result": result}})
}

func source(t *testing.T, cfg Config) *Source {
	t.Helper()
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func gpuSeries(name, host, gpu string, value float64) series {
	return series{labels: map[string]string{name: host, "gpu": gpu}, value: value}
}

// nodesOf are an overview's nodes by name.
func nodesOf(o *fleet.Overview) map[string]*fleet.Overseen {
	nodes := map[string]*fleet.Overseen{}
	if o != nil {
		for i := range o.Nodes {
			nodes[o.Nodes[i].Name] = &o.Nodes[i]
		}
	}
	return nodes
}

// TestRound joins what different exporters say of the same nodes, by the labels of usual installations, with what is hostile or no number left out.
func TestRound(t *testing.T) {
	up := func(labels map[string]string, value float64) series { return series{labels: labels, value: value} }
	s := serve(t, map[string][]series{
		`timestamp(DCGM_FI_DEV_GPU_UTIL{gpu="0"})`: {up(map[string]string{"Hostname": "gpu001"}, 988), up(map[string]string{"Hostname": "gpu002"}, 900)},
		"timestamp(node_load1)":                    {up(map[string]string{"instance": "10.0.0.1:9100"}, 995), up(map[string]string{"instance": "[fe80::1]:9100"}, 990)},
		"(node_uname_info)": {up(map[string]string{"instance": "10.0.0.1:9100", "nodename": "gpu001"}, 1), up(map[string]string{"instance": "one:9", "nodename": "a"}, 1), up(map[string]string{"instance": "one:9", "nodename": "b"}, 1),
			up(map[string]string{"instance": "x:9", "nodename": "-oProxyCommand=x"}, 1)},
		"(DCGM_FI_DEV_GPU_UTIL)": {gpuSeries("Hostname", "gpu001", "0", 97), gpuSeries("Hostname", "gpu001", "1", 3), gpuSeries("Hostname", "-oProxyCommand=evil", "0", 1), gpuSeries("Hostname", "a b", "0", 1),
			gpuSeries("Hostname", "gpu001", "64", 1), gpuSeries("Hostname", "gpu001", "x", 1), gpuSeries("node", "k8s-1", "2", 50), gpuSeries("exported_instance", "via", "0", 9)},
		"exported_instance,instance,gpu,UUID,modelName)": {up(map[string]string{"Hostname": "gpu001", "gpu": "0", "UUID": "GPU-0", "modelName": "NVIDIA H100\x1b[2J"}, 1), up(map[string]string{"Hostname": "gpu001", "gpu": "1", "UUID": "GPU-1", "modelName": "NVIDIA H100\x1b[2J"}, 1)},
		"(DCGM_FI_DEV_FB_USED)":                          {gpuSeries("Hostname", "gpu001", "0", 70<<10)},
		"(DCGM_FI_DEV_FB_FREE)":                          {gpuSeries("Hostname", "gpu001", "0", 10<<10)},
		"(DCGM_FI_DEV_GPU_TEMP)":                         {gpuSeries("Hostname", "gpu001", "0", 9223372036854775794), gpuSeries("Hostname", "gpu001", "1", 61)},
		"DCGM_FI_DEV_ROW_REMAP_FAILURE > 0":              {gpuSeries("Hostname", "gpu001", "1", 1)},
		"(node_memory_MemTotal_bytes)":                   {up(map[string]string{"instance": "10.0.0.1:9100"}, 1<<41)},
		"(node_memory_MemAvailable_bytes)":               {up(map[string]string{"instance": "10.0.0.1:9100"}, 1<<40)},
		"(node_load1)":                                   {up(map[string]string{"instance": "10.0.0.1:9100"}, 2)},
		"node_cpu_seconds_total":                         {up(map[string]string{"instance": "10.0.0.1:9100"}, 0.75)},
		"foretop_node_state":                             {up(map[string]string{"instance": "gpu009", "state": "lost"}, 1), up(map[string]string{"instance": "gpu010", "state": "nonsense"}, 1)},
	})
	src := source(t, Config{URL: s.URL})
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	src.now = func() time.Time { return now }
	out := src.Round(t.Context())
	if n := nodesOf(out.Overview)["gpu001"]; !out.More || n.GPUs[0].UtilPct != 97 || n.GPUs[0].MemTotalBytes.Known() {
		t.Errorf("the first round is not the quick one: %v %+v", out.More, n)
	}
	first := len(s.asked)
	if out = src.Round(t.Context()); out.More {
		t.Error("there is always more")
	}
	first = len(s.asked) - first
	if out.Problem == nil || !strings.Contains(out.Problem.Text, "name no node or GPU that could be one") {
		t.Errorf("hostile names are not told of: %+v", out.Problem)
	}
	nodes := nodesOf(out.Overview)
	n := nodes["gpu001"]
	if n == nil || len(n.GPUs) != 2 || n.At != now.Add(-5*time.Second) {
		t.Fatalf("gpu001: %+v", n)
	}
	g := n.GPUs[0]
	if g.UtilPct != 97 || g.MemUsedBytes != 70<<30 || g.MemTotalBytes != 80<<30 || g.TempC.Known() || g.PowerW.Known() || g.Info.Uuid != "GPU-0" || g.Info.Name != "NVIDIA H100\ufffd[2J" || g.Slow.RemapFailure.Known() {
		t.Errorf("GPU 0: %+v, %+v", g, g.Info)
	}
	if g := n.GPUs[1]; g.UtilPct != 3 || g.TempC != 61 || g.Slow.RemapFailure != 1 || g.Index != 1 {
		t.Errorf("GPU 1: %+v", g)
	}
	if h := n.Host; h.CPUBusyPct != 25 || h.MemTotalBytes != 1<<41 || h.MemUsedBytes != 1<<40 || h.Load1 != 2 {
		t.Errorf("host: %+v", h)
	}
	if n := nodes["k8s-1"]; n == nil || len(n.GPUs) != 3 || n.GPUs[2].UtilPct != 50 || n.GPUs[0].UtilPct.Known() {
		t.Errorf("k8s-1: %+v", n)
	}
	if n := nodes["gpu009"]; n == nil || n.State != fleet.Lost || len(n.GPUs) != 0 {
		t.Errorf("gpu009: %+v", n)
	}
	if nodes["gpu002"].At != now.Add(-100*time.Second) || nodes["via"] == nil || nodes["fe80::1"] == nil {
		t.Errorf("nodes: %v", nodes)
	}
	for name := range nodes {
		if strings.HasPrefix(name, "-") || strings.Contains(name, " ") || name == "10.0.0.1" {
			t.Errorf("a node is called %q", name)
		}
	}
	before := len(s.asked)
	out = src.Round(t.Context())
	if n := nodesOf(out.Overview)["gpu001"]; n.GPUs[0].MemTotalBytes != 80<<30 || n.Host.MemTotalBytes != 1<<41 || n.Host.MemUsedBytes != 1<<40 || n.GPUs[0].Info.Uuid != "GPU-0" {
		t.Errorf("what seldom changes is forgotten: %+v", n)
	}
	if again := len(s.asked) - before; again >= first || again < 6 {
		t.Errorf("the first round asked %d queries, the second %d: what the server does not have is asked for again, or what it has is not", first, again)
	}
}

// TestTroubleIsSaid: what goes wrong is said in words with a remedy, and costs only what it would have told.
func TestTroubleIsSaid(t *testing.T) {
	good := map[string][]series{"(DCGM_FI_DEV_GPU_UTIL)": {gpuSeries("Hostname", "gpu001", "0", 97)}}
	status := func(code int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(code); fmt.Fprint(w, body) }
	}
	for _, c := range []struct {
		name, text, remedy string
		handle             func(*server) http.HandlerFunc
		nodes, most        int // nodes that are there all the same; queries that may have been asked
	}{
		{"unauthorized", "401 Unauthorized", "token_file", func(*server) http.HandlerFunc { return status(401, "no") }, 0, 1},
		{"not found", "404 Not Found", "/api/v1/query", func(*server) http.HandlerFunc { return status(404, "") }, 0, 1},
		{"a page", "'<' where", "Prometheus server", func(*server) http.HandlerFunc { return status(200, "<html>") }, 0, 99},
		{"nothing", "has no series", "prometheus.hosts", func(s *server) http.HandlerFunc { s.answers = nil; return s.answer }, 0, 99},
		{"one is refused", "node_cpu_seconds_total: 422 Unprocessable Entity: too many samples", "", func(s *server) http.HandlerFunc {
			s.answers["(node_load1)"] = []series{{labels: map[string]string{"instance": "gpu001:9100"}, value: 2}}
			return func(w http.ResponseWriter, r *http.Request) {
				if strings.Contains(r.FormValue("query"), "node_cpu_seconds_total") {
					w.WriteHeader(422)
					fmt.Fprint(w, `{"status":"error","errorType":"execution","error":"too many samples"}`)
					return
				}
				s.answer(w, r)
			}
		}, 1, 99},
		{"partial", "the answer is partial", "", func(s *server) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				fmt.Fprint(w, `{"status":"success","isPartial":true,"data":{"resultType":"vector","result":[{"metric":{"Hostname":"gpu001","gpu":"0"},"value":[1,"5"]}]}}`)
			}
		}, 1, 99},
		{"cut", "ends in the middle", "", func(s *server) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				fmt.Fprint(w, `{"status":"success","data":{"resultType":"vector","result":[{"metric":{"Hostname":"gpu001","gpu":"0"},"value":[1,"5"]}`)
			}
		}, 1, 99},
		{"slow", "no whole answer within", "prometheus.timeout", func(s *server) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
		}, 0, mostSlow + atOnce},
		{"NaN", "", "", func(s *server) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				fmt.Fprint(w, `{"status":"success","data":{"resultType":"vector","result":[{"metric":{"Hostname":"gpu001","gpu":"0"},"value":[1,"NaN"]},{"metric":{"Hostname":"gpu001","gpu":"1"},"value":[1,"+Inf"]}]}}`)
			}
		}, 1, 99},
	} {
		t.Run(c.name, func(t *testing.T) {
			answers := map[string][]series{}
			for k, v := range good {
				answers[k] = v
			}
			s := serve(t, answers)
			s.handle = c.handle(s)
			timeout := 20 * time.Second
			if c.name == "slow" {
				timeout = 200 * time.Millisecond
			}
			out := source(t, Config{URL: s.URL, Timeout: timeout}).Round(t.Context())
			text, remedy := "", ""
			if out.Problem != nil {
				text, remedy = out.Problem.Text, out.Problem.Remedy
			}
			if !strings.Contains(text, c.text) || (c.text == "") != (text == "") || !strings.Contains(remedy, c.remedy) {
				t.Errorf("%q, %q; want %q, %q", text, remedy, c.text, c.remedy)
			}
			if got := len(nodesOf(out.Overview)); got != c.nodes {
				t.Errorf("%d nodes, want %d", got, c.nodes)
			}
			s.mu.Lock()
			asked := len(s.asked)
			s.mu.Unlock()
			if asked > c.most {
				t.Errorf("%d queries, at most %d were due", asked, c.most)
			}
			if c.name == "NaN" {
				if g := out.Overview.Nodes[0].GPUs; len(g) != 2 || g[0].UtilPct.Known() || g[1].PowerW.Known() {
					t.Errorf("%+v", g)
				}
			}
		})
	}
	t.Run("down", func(t *testing.T) {
		s := serve(t, nil)
		s.Close()
		out := source(t, Config{URL: strings.Replace(s.URL, "http://", "http://ann:secret@", 1)}).Round(t.Context())
		if out.Problem == nil || !strings.Contains(out.Problem.Text, "refused") || !strings.Contains(out.Problem.Remedy, "is the server up") || strings.Contains(out.Problem.Text+out.Problem.Remedy, "secret") {
			t.Errorf("%+v", out.Problem)
		}
	})
}

func TestWhoAsks(t *testing.T) {
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("abc.def\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var got string
	s := serve(t, nil)
	s.handle = func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		got = r.Header.Get("Authorization") + " " + r.URL.Path
		s.mu.Unlock()
		s.answer(w, r)
	}
	for _, c := range []struct {
		cfg  Config
		want string
	}{
		{Config{URL: s.URL + "/select/0/prometheus/"}, " /select/0/prometheus/api/v1/query"},
		{Config{URL: strings.Replace(s.URL, "//", "//ann:p%20w@", 1)}, "Basic YW5uOnAgdw== /api/v1/query"},
		{Config{URL: s.URL, TokenFile: token}, "Bearer abc.def /api/v1/query"},
	} {
		source(t, c.cfg).Round(t.Context())
		if got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
	for text, want := range map[string]string{"": "holds no token", "a b": "holds no token", "ab\r\nX: y": "holds no token"} {
		if err := os.WriteFile(token, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if out := source(t, Config{URL: s.URL, TokenFile: token}).Round(t.Context()); out.Problem == nil || !strings.Contains(out.Problem.Text, want) {
			t.Errorf("token %q: %+v", text, out.Problem)
		}
	}
	for _, url := range []string{"", "prometheus:9090", "ftp://x", "http://", "http://x/?a=b", "http://\x00", "http://user:pw@"} {
		if _, err := New(Config{URL: url}); err == nil || strings.Contains(err.Error(), "pw") {
			t.Errorf("%q: %v", url, err)
		}
	}
}

func TestRoundEndsWithItsContext(t *testing.T) {
	s := serve(t, nil)
	s.handle = func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	if out := source(t, Config{URL: s.URL}).Round(ctx); out.Problem != nil || out.Overview != nil {
		t.Errorf("%+v", out)
	}
}

func TestHost(t *testing.T) {
	for in, want := range map[string]string{"gpu001:9100": "gpu001", "gpu001": "gpu001", "10.0.0.1:9400": "10.0.0.1", "[fe80::1]:9100": "fe80::1", "fe80::1": "fe80::1", ":9100": "", "": ""} {
		if got := string(host([]byte(in))); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// TestRoundJobs: jobs that a foretop publishes, with the GPUs that they hold, and Xids; what is hostile or no number is left out.
func TestRoundJobs(t *testing.T) {
	of := func(value float64, pairs ...string) series {
		labels := map[string]string{}
		for i := 0; i < len(pairs); i += 2 {
			labels[pairs[i]] = pairs[i+1]
		}
		return series{labels: labels, value: value}
	}
	s := serve(t, map[string][]series{
		"(DCGM_FI_DEV_GPU_UTIL)":                {gpuSeries("instance", "a", "0", 97), gpuSeries("instance", "b", "1", 3)},
		"(foretop_job_info)":                    {of(1, "job_key", "slurm/7", "job_id", "7", "name", "llm\x1b[2J", "user", "ann", "scheduler", "slurm"), of(1, "job_key", ""), of(1, "job_key", "slurm/8")},
		"(foretop_job_state)":                   {of(1, "job_key", "slurm/7", "state", "idle"), of(1, "job_key", "slurm/8", "state", "nonsense"), of(1, "job_key", "slurm/9", "state", "idle")},
		"(foretop_job_world_size)":              {of(16, "job_key", "slurm/7"), of(1e30, "job_key", "slurm/8")},
		"(foretop_job_severity)":                {of(2, "job_key", "slurm/7"), of(9, "job_key", "slurm/8")},
		"(foretop_job_start_timestamp_seconds)": {of(1000.5, "job_key", "slurm/7")},
		"(foretop_gpu_job_info)":                {of(1, "instance", "b", "gpu", "1", "job_key", "slurm/7", "rank", ""), of(1, "instance", "a", "gpu", "0", "job_key", "slurm/7", "rank", "5"), of(1, "instance", "a", "gpu", "99", "job_key", "slurm/7"), of(1, "instance", "a", "gpu", "0", "job_key", "slurm/99", "rank", "0")},
		"DCGM_FI_DEV_XID_ERRORS > 0":            {of(79, "instance", "b", "gpu", "1"), of(1e9, "instance", "a", "gpu", "0")},
		"instance) (DCGM_FI_DEV_XID_ERRORS)":    {of(0, "instance", "a"), of(79, "instance", "b")},
	})
	src := source(t, Config{URL: s.URL})
	src.Round(t.Context())
	out := src.Round(t.Context())
	if out.Problem != nil || len(out.Overview.Jobs) != 2 {
		t.Fatalf("%+v: %+v", out.Problem, out.Overview.Jobs)
	}
	j := out.Overview.Jobs[0]
	want := fleet.OverseenJob{Key: "slurm/7", ID: "7", Name: "llm\ufffd[2J", User: "ann", Scheduler: "slurm", World: 16, State: fleet.JobIdle, Severity: fleet.Warning, Start: time.UnixMilli(1000500),
		GPUs: []fleet.OverseenGPU{{Node: "a", GPU: 0, Rank: 5}, {Node: "b", GPU: 1, Rank: -1}}}
	if diff := cmp.Diff(want, j); diff != "" {
		t.Error(diff)
	}
	if j := out.Overview.Jobs[1]; j.World != 0 || j.Severity != 0 || j.State != fleet.JobRunning {
		t.Errorf("%+v", j)
	}
	nodes := nodesOf(out.Overview)
	if b := nodes["b"]; len(b.Xids) != 1 || b.Xids[0] != (fleet.OverseenXid{GPU: 1, Code: 79}) || !b.HearsXids || len(nodes["a"].Xids) != 0 || !nodes["a"].HearsXids {
		t.Errorf("%+v %+v", nodes["a"], b)
	}
}
