package jobs

import (
	"slices"
	"strings"
	"testing"

	"foretop/telemetry/facts"

	"github.com/google/go-cmp/cmp"
)

func TestParseTFConfig(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		want     tfConfig
	}{
		{"whole", `{"cluster":{"worker":["a:1","b:1"],"ps":["c:1"]},"task":{"type":"worker","index":1},"rpc_layer":"grpc"}`,
			tfConfig{tasks: map[string][]string{"worker": {"a:1", "b:1"}, "ps": {"c:1"}}, role: "worker", index: 1}},
		{"task first, index a word", `{"task":{"index":"0","type":"chief"},"cluster":{"chief":["a:1"]}}`, tfConfig{tasks: map[string][]string{"chief": {"a:1"}}, role: "chief"}},
		{"sparse", `{"cluster":{"worker":{"3":"a:1"}},"task":{"type":"worker","index":3}}`, tfConfig{tasks: map[string][]string{"worker": {"a:1"}}, role: "worker", index: 3}},
		{"cut", `{"cluster":{"worker":["a:1","b:1","c…`, tfConfig{tasks: map[string][]string{"worker": {"a:1", "b:1"}}, index: -1, cut: true}},
		{"other shapes", `{"cluster":[["a"]],"task":"x"}`, tfConfig{tasks: map[string][]string{}, index: -1}},
		{"no object", `[1]`, tfConfig{tasks: map[string][]string{}, index: -1}},
		{"deep", strings.Repeat(`{"cluster":`, 100), tfConfig{tasks: map[string][]string{}, index: -1, cut: true}},
		{"nothing", ``, tfConfig{tasks: map[string][]string{}, index: -1, cut: true}},
		{"negative", `{"cluster":{"worker":["a:1"]},"task":{"type":"worker","index":-1}}`, tfConfig{tasks: map[string][]string{"worker": {"a:1"}}, role: "worker", index: -1}},
	} {
		if d := cmp.Diff(tt.want, parseTFConfig(tt.in), cmp.AllowUnexported(tfConfig{})); d != "" {
			t.Errorf("%s: -want +got:\n%s", tt.name, d)
		}
	}
}

func TestExpandHosts(t *testing.T) {
	for _, tt := range []struct {
		in   string
		max  int
		want string
		n    int
	}{
		{"gpu001", 9, "gpu001", 1},
		{"gpu[001-003,10],login1", 9, "gpu001 gpu002 gpu003 gpu10 login1", 5},
		{"r[1-2]n[08-10]-ib", 9, "r1n08-ib r1n09-ib r1n10-ib r2n08-ib r2n09-ib r2n10-ib", 6},
		{"a[0-99999]", 2, "", 0},
		{"a[0-9999]", 2, "a0 a1", 10000},
		{"a,,b", 9, "a b", 2},
		{"a[1-3", 9, "", 0},
		{"a]1[", 9, "", 0},
		{"a[3-1],b", 9, "b", 1},
		{"a[x-y],b", 9, "b", 1},
		{"a1,a2,a…", 9, "a1 a2", 2},
		{"", 9, "", 0},
	} {
		hosts, n := expandHosts(tt.in, tt.max)
		if got := strings.Join(hosts, " "); got != tt.want || n != tt.n {
			t.Errorf("%q: %q, %d; want %q, %d", tt.in, got, n, tt.want, tt.n)
		}
	}
}

func TestHostOf(t *testing.T) {
	for in, want := range map[string]string{"h:2222": "h", "h": "h", "[::1]:2222": "::1", "::1": "::1", "10.0.0.1:6379": "10.0.0.1", "": "", "[": ""} {
		if got := hostOf(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestNames(t *testing.T) {
	s := names{}
	s.add(&NodeFacts{Node: "alias", Hostname: "GPU001.example.org.", Names: []string{"10.0.0.1", ""}})
	for host, want := range map[string]bool{
		"alias": true, "gpu001": true, "gpu001.example.org": true, "gpu001.other.org": false, "gpu002": false, "10.0.0.1": true, "10": false, "10.0.0.2": false, "alias.example.org": true, "": false,
	} {
		if s.has(host) != want {
			t.Errorf("%q: %t", host, !want)
		}
	}
}

func TestContainerID(t *testing.T) {
	id := strings.Repeat("0123456789abcdef", 4)
	for path, want := range map[string]string{
		"/kubepods.slice/x.slice/cri-containerd-" + id + ".scope":                                    id,
		"/kubepods/burstable/pod0c5a6b0e-1f2a-4b3c-8d9e-00112233aabb/" + id:                          id,
		"/system.slice/containerd.service/kubepods-burstable-podX.slice:cri-containerd:" + id:        id,
		"/docker/" + id + "/docker/" + strings.Repeat("f", 64):                                       strings.Repeat("f", 64),
		"/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" + id + ".scope/container": id,
		"/x/" + id + "0":          "",
		"/x/" + id[1:]:            "",
		"/x/" + id[1:] + "/" + id: id,
		"":                        "",
	} {
		if got := containerID(path); got != want {
			t.Errorf("%q: %q, want %q", path, got, want)
		}
	}
}

func TestOptions(t *testing.T) {
	got := options("torchrun --nnodes=2 --nproc_per_node 8 --standalone --rdzv-id --x --nnodes=3 train.py --master-addr a", "nnodes", "nproc-per-node", "standalone", "rdzv-id", "master-addr")
	if d := cmp.Diff(map[string]string{"nnodes": "2", "nproc-per-node": "8", "standalone": "", "rdzv-id": ""}, got); d != "" {
		t.Error(d)
	}
	if got := optionValue("raylet --a=b --gcs-address=h:1 --c", "gcs-address"); got != "h:1" {
		t.Errorf("got %q", got)
	}
	if got := optionValue("raylet --gcs-addresses=h:1", "gcs-address"); got != "" {
		t.Errorf("got %q", got)
	}
}

// FuzzWords gives every parser of this package the same text.
func FuzzWords(f *testing.F) {
	for _, s := range []string{
		`{"cluster":{"worker":["a:1","b:1"]},"task":{"type":"worker","index":1}}`, "gpu[001-032,40],login1", "eyJncHUwMDEiOlswLDFdfQ==", "a[0-65535]b[0-65535]c[0-65535]",
		"torchrun --nnodes=2 --rdzv-id x t.py", podPath, v2cgroup, spawnCommand, "ray::A.b --gcs-address=h:1", "[[[[[[[[[", "h:1,h:2", "/x/" + strings.Repeat("a", 200),
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if len(s) > 1<<13 {
			return
		}
		tf := parseTFConfig(s)
		n := 0
		for _, list := range tf.tasks {
			n += len(list)
		}
		if n > maxAddresses || tf.index < -1 || tf.index > MaxWorld {
			t.Errorf("%d tasks, index %d", n, tf.index)
		}
		if hosts, world := parseWorldInfo(s); len(hosts) > maxAddresses || world < 0 {
			t.Errorf("%d hosts, world %d", len(hosts), world)
		}
		if hosts, n := expandHosts(s, 100); len(hosts) > 100 || n < len(hosts) || slices.Contains(hosts, "") {
			t.Errorf("%d of %d hosts", len(hosts), n)
		}
		if id := containerID(s); id != "" && (len(id) != 64 || !strings.Contains(s, id)) {
			t.Errorf("container %q", id)
		}
		hostOf(s)
		options(s, "nnodes", "rdzv-id")
		optionValue(s, "gcs-address")
		slurmCgroup(s)
		for _, comm := range []string{"raylet", "hydra_pmi_proxy", "python3"} {
			p := proc(5, 4, s, "")
			p.Comm, p.Cgroup = comm, s
			for _, k := range []string{"TF_CONFIG", "SLURM_JOB_NODELIST", "SLURM_JOB_ID", "TPU_WORKER_HOSTNAMES", "LSB_MCPU_HOSTS", "FLUX_JOB_ID", "PBS_JOBID", "LWS_LEADER_ADDRESS", "JAX_COORDINATOR_ADDRESS"} {
				p.Env[k] = s
			}
			p.Env["TPU_WORKER_ID"], p.Env["LSB_JOBID"] = "0", "1"
			nodes := []NodeFacts{on("a", p), on("b", unread(proc(6, 5, s, ""), facts.EnvState_ENV_CLOBBERED))}
			checkJobs(t, Assemble(nodes), nodes)
		}
	})
}
