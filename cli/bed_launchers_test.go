package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"foretop/export"
	"foretop/scripts/testbed"
	"foretop/sshpool"

	"github.com/google/go-cmp/cmp"
)

// These tests start jobs with the launchers themselves, on nodes that share nothing but the machine, and hold the snapshot's JSON against what each rank says of
// itself. A rank is a program of testdata/launchers: it meets the others through its framework, writes who it is, and waits.

// launchedWithin is how long a job may take until all of its ranks have met: frameworks take their time to load.
const launchedWithin = 5 * time.Minute

// place is a rank where it should be, and where it is told to be. Local -1: nobody says it.
type place struct {
	Rank  int    `json:"rank"`
	Local int    `json:"local_rank"`
	Node  string `json:"node"`
	PID   int    `json:"pid"`
}

// UnmarshalJSON reads null as a number that is not known.
func (p *place) UnmarshalJSON(b []byte) error {
	type plain place
	p.Local = -1
	return json.Unmarshal(b, (*plain)(p))
}

// told is what these tests read of a job in the snapshot's JSON.
type told struct {
	Key       string  `json:"key"`
	ID        string  `json:"id"`
	Name      string  `json:"name"`
	User      string  `json:"user"`
	Framework string  `json:"framework"`
	Scheduler string  `json:"scheduler"`
	State     string  `json:"state"`
	Restarts  int     `json:"restarts"`
	World     int     `json:"world_size"`
	Missing   []int   `json:"missing_ranks"`
	Ranks     []place `json:"ranks"`
}

// launch is a bed with the programs of testdata/launchers, and a station that watches it.
type launch struct {
	t     *testing.T
	bed   *testbed.Bed
	out   string // folder where ranks say who they are
	watch *observed

	started bool
}

const (
	programsAt = "/srv/launchers" // on every node
	outAt      = "/srv/out"
	debianPy   = "/usr/bin/python3"
)

// newLaunch starts nodes, of which all are watched as their login user.
func newLaunch(t *testing.T, nodes int, opts ...testbed.Option) *launch {
	t.Helper()
	l := &launch{t: t, out: t.TempDir()}
	must(t, os.Chmod(l.out, 0o777))
	must(t, os.Chmod(filepath.Dir(l.out), 0o755))
	opts = append(opts, testbed.Bind("../testdata/launchers", programsAt), testbed.Bind(l.out, outAt), testbed.Env(map[string]string{"PYTHONDONTWRITEBYTECODE": "1"}))
	l.bed = testbed.Nodes(t, nodes, opts...)
	return l
}

// look starts to watch, as whoever logs in.
func (l *launch) look() {
	l.t.Helper()
	l.watch = observe(l.t, sshpool.Config{ConfigFile: l.bed.SSHConfig}, named(l.bed.Names()...)...)
	l.watch.allLive(2*time.Minute, l.bed.Names()...)
}

// start runs a command on a node as the login user, as a session of ssh leaves it behind with nohup.
func (l *launch) start(node string, env map[string]string, argv ...string) {
	l.t.Helper()
	log := fmt.Sprintf("%s/log-%s-%d", outAt, node, time.Now().UnixNano())
	l.started = true
	_, err := l.bed.Node(node).StartRank(env, append([]string{"/bin/sh", "-c", `exec "$@" >` + log + " 2>&1", "sh"}, argv...)...)
	must(l.t, err)
}

// logs is what the launchers and ranks said.
func (l *launch) logs() string {
	var b strings.Builder
	names, _ := filepath.Glob(l.out + "/log-*")
	for _, name := range names {
		text, _ := os.ReadFile(name)
		fmt.Fprintf(&b, "%s:\n%s\n", filepath.Base(name), text[max(0, len(text)-4000):])
	}
	return b.String()
}

// reports are what the ranks of a label have written, by rank.
func (l *launch) reports(label string) (ranks []place) {
	names, _ := filepath.Glob(filepath.Join(l.out, label+"-*.json"))
	for _, name := range names {
		text, err := os.ReadFile(name)
		p := place{}
		if err == nil {
			err = json.Unmarshal(text, &p)
		}
		must(l.t, err)
		ranks = append(ranks, p)
	}
	slices.SortFunc(ranks, func(a, b place) int { return a.Rank - b.Rank })
	return ranks
}

// ended says whether all that was started is gone.
func (l *launch) ended() bool {
	if !l.started {
		return false
	}
	for _, n := range l.bed.Nodes {
		if len(processes(l.t, n, programsAt)) > 0 {
			return false
		}
	}
	return true
}

// met waits until so many ranks of a label have met, and returns what they say.
func (l *launch) met(label string, world int) (ranks []place) {
	l.t.Helper()
	for end := time.Now().Add(launchedWithin); ; time.Sleep(time.Second) {
		if ranks = l.reports(label); len(ranks) == world {
			return ranks
		}
		if time.Now().After(end) || l.ended() {
			l.t.Fatalf("%d of %d ranks have met within %v\n%s", len(ranks), world, launchedWithin, l.logs())
		}
	}
}

// document is what these tests read of the snapshot's JSON.
type document struct {
	Nodes []struct {
		Name      string `json:"name"`
		Processes []struct {
			PID int    `json:"pid"`
			Job string `json:"job"`
		} `json:"processes"`
	} `json:"nodes"`
	Jobs []told `json:"jobs"`
}

// now is the station's snapshot.
func (l *launch) now() (doc document) {
	l.t.Helper()
	var text bytes.Buffer
	must(l.t, export.JSON(&text, l.watch.Snapshot()))
	must(l.t, json.Unmarshal(text.Bytes(), &doc))
	return doc
}

func (l *launch) jobs() []told { return l.now().Jobs }

// jobOf is the key of the job that a process is told to be of.
func (l *launch) jobOf(p place) string {
	for _, n := range l.now().Nodes {
		for _, q := range n.Processes {
			if n.Name == p.Node && q.PID == p.PID {
				return q.Job
			}
		}
	}
	return ""
}

// tells waits until the jobs that have not ended are these, but for keys, in any order.
func (l *launch) tells(what string, want ...told) {
	l.t.Helper()
	byID := func(a, b told) int { return strings.Compare(a.ID, b.ID) }
	slices.SortFunc(want, byID)
	for end := time.Now().Add(time.Minute); ; time.Sleep(look) {
		var got []told
		for _, j := range l.jobs() {
			if j.Key = ""; j.State != "ended" {
				j.State = ""
				got = append(got, j)
			}
		}
		slices.SortFunc(got, byID)
		diff := cmp.Diff(want, got)
		if diff == "" {
			return
		}
		if time.Now().After(end) {
			l.t.Fatalf("%s: jobs (-started +told):\n%s\n%s", what, diff, l.logs())
		}
	}
}

// kill ends one rank with SIGKILL.
func (l *launch) kill(p place) {
	l.t.Helper()
	_, err := l.bed.Node(p.Node).Exec("kill", "-KILL", fmt.Sprint(p.PID))
	must(l.t, err)
}

// signal reaches the launchers on all nodes.
func (l *launch) signal(pattern string, sig syscall.Signal) {
	l.t.Helper()
	for _, n := range l.bed.Nodes {
		hit, err := n.Signal(pattern, sig)
		must(l.t, err)
		if hit == 0 {
			l.t.Fatalf("%s: no process matches %s", n.Name, pattern)
		}
	}
}

// without is ranks but for one.
func without(ranks []place, rank int) []place {
	return slices.DeleteFunc(slices.Clone(ranks), func(p place) bool { return p.Rank == rank })
}

// spread asserts that the launcher itself put the ranks where the test thinks that it does: so many to each node, counted from 0 there.
func spread(t *testing.T, ranks []place, nodes []string, perNode int, locals bool) {
	t.Helper()
	on := map[string]int{}
	for _, p := range ranks {
		if locals && p.Local != on[p.Node] {
			t.Errorf("rank %d is %d on %s, not %d", p.Rank, p.Local, p.Node, on[p.Node])
		}
		on[p.Node]++
	}
	for _, n := range nodes {
		if on[n] != perNode {
			t.Errorf("%d ranks on %s, not %d", on[n], n, perNode)
		}
	}
}

// needModule ends a test for which Debian's Python lacks a module.
func needModule(t *testing.T, module, from string) {
	t.Helper()
	if !strings.HasPrefix(from, "/") {
		testbed.Need(t, debianPy)
		from = "/usr/lib/python3/dist-packages"
	}
	if _, err := os.Stat(filepath.Join(from, module)); err != nil {
		testbed.Require(t, "Python's "+module+" is not installed")
	}
}

// venv is the environment that scripts/launchers.sh made for a framework, and its place on the nodes.
func venv(t *testing.T, name string) (python string, opt testbed.Option) {
	t.Helper()
	cache, err := os.UserCacheDir()
	must(t, err)
	dir := filepath.Join(cache, "foretop-tests", "venv-"+name)
	if _, err := os.Stat(filepath.Join(dir, "installed")); err != nil {
		testbed.Require(t, name+" is not there (scripts/launchers.sh installs it)")
	}
	return "/opt/" + name + "/bin/python", testbed.Bind(dir, "/opt/"+name)
}

// torchrun with a rendezvous over two nodes and four ranks on each: a rank that died is missing, though nobody has reaped it yet; when the agents have started all
// anew there is one restart, and other processes.
func TestBedTorchrun(t *testing.T) {
	t.Parallel()
	needModule(t, "torch", "")
	l := newLaunch(t, 2)
	for _, n := range l.bed.Names() {
		l.start(n, nil, debianPy, "-m", "torch.distributed.run", "--nnodes", "2", "--nproc_per_node", "4", "--rdzv_backend", "c10d", "--rdzv_endpoint", "node001:29400",
			"--rdzv_id", "llm-7b", "--max_restarts", "2", "--monitor_interval", "1", "--redirects", "1", "--tee", "1", "--log_dir", "/tmp/log", programsAt+"/train_torch.py", "first")
	}
	l.look()
	ranks := l.met("first", 8)
	spread(t, ranks, l.bed.Names(), 4, true)
	job := told{ID: "llm-7b", Name: "train_torch.py", User: "ann", Framework: "torchrun", World: 8, Missing: []int{}, Ranks: ranks}
	l.tells("all ranks", job)

	l.signal(`distributed\.run`, syscall.SIGSTOP)
	l.kill(ranks[5])
	dead := job
	dead.Missing, dead.Ranks = []int{5}, without(ranks, 5)
	l.tells("without rank 5", dead)

	for _, p := range ranks {
		must(t, os.Remove(filepath.Join(l.out, fmt.Sprintf("first-%d.json", p.Rank))))
	}
	l.signal(`distributed\.run`, syscall.SIGCONT)
	again := l.met("first", 8)
	for i := range again {
		if again[i].Node == ranks[i].Node && again[i].PID == ranks[i].PID {
			t.Errorf("rank %d is the same process", i)
		}
	}
	job.Ranks, job.Restarts = again, 1
	l.tells("after the restart", job)
}

// admit lets the login user go from node to node, as mpirun does.
func (l *launch) admit() {
	l.t.Helper()
	key, err := os.ReadFile(l.bed.Key)
	must(l.t, err)
	const script = `set -e; umask 077; cd ~ann; mkdir .ssh; cat >.ssh/id_ed25519
		printf 'StrictHostKeyChecking no\nUserKnownHostsFile /dev/null\nLogLevel ERROR\n' >.ssh/config; chown -R ann:ann .ssh`
	for _, n := range l.bed.Nodes {
		cmd, err := n.Command(l.t.Context(), "bash", "-c", script)
		must(l.t, err)
		cmd.Stdin = bytes.NewReader(key)
		must(l.t, said(cmd.CombinedOutput()))
	}
}

// mpirun reaches the other node by ssh; its daemons there and its ranks are one job.
func TestBedMPIRun(t *testing.T) {
	t.Parallel()
	testbed.Need(t, "mpirun")
	needModule(t, "mpi4py", "")
	l := newLaunch(t, 2)
	l.admit()
	l.start("node001", nil, "mpirun", "--host", "node001:4,node002:4", "-np", "8", "--mca", "btl", "tcp,self", "--mca", "pml", "ob1", debianPy, programsAt+"/train_mpi.py", "mpi")
	l.look()
	ranks := l.met("mpi", 8)
	spread(t, ranks, l.bed.Names(), 4, true)
	var id string // Open MPI's number of the run, different each time
	eventually(t, time.Minute, func() string {
		jobs := l.jobs()
		if len(jobs) != 1 || jobs[0].ID == "" {
			return fmt.Sprintf("no one job: %+v", jobs)
		}
		id = jobs[0].ID
		return ""
	})
	l.tells("all ranks", told{ID: id, Name: "train_mpi.py", User: "ann", Framework: "mpi", World: 8, Missing: []int{}, Ranks: ranks})
}

// JAX's processes, told who they are as Kubeflow's Trainer does. One that died is missing; the others wait for it.
func TestBedJAX(t *testing.T) {
	t.Parallel()
	python, opt := venv(t, "jax")
	l := newLaunch(t, 2, opt)
	for i := range 4 {
		l.start(l.bed.Names()[i/2], map[string]string{"JAX_COORDINATOR_ADDRESS": "node001:8476", "JAX_NUM_PROCESSES": "4", "JAX_PROCESS_ID": fmt.Sprint(i)},
			python, programsAt+"/train_jax.py", "jax")
	}
	l.tellsFour(told{ID: "node001:8476", Name: "train_jax.py", User: "ann", Framework: "jax"}, 2)
}

// tellsFour holds what is told of a job of four ranks, two a node, and then of those that are left without one of them.
func (l *launch) tellsFour(job told, dies int) {
	l.t.Helper()
	l.look()
	ranks := l.met(job.Framework, 4)
	spread(l.t, ranks, l.bed.Names(), 2, false)
	job.World, job.Missing, job.Ranks = 4, []int{}, ranks
	l.tells("all ranks", job)
	l.kill(ranks[dies])
	job.Missing, job.Ranks = []int{dies}, without(ranks, dies)
	l.tells(fmt.Sprintf("without rank %d", dies), job)
}

// TensorFlow's chief and workers, by the cluster that all are given.
func TestBedTensorFlow(t *testing.T) {
	t.Parallel()
	python, opt := venv(t, "tensorflow")
	l := newLaunch(t, 2, opt)
	const cluster = `{"cluster":{"chief":["node001:2222"],"worker":["node001:2223","node002:2222","node002:2223"]},"task":{"type":%q,"index":%d}}`
	for i, config := range []string{fmt.Sprintf(cluster, "chief", 0), fmt.Sprintf(cluster, "worker", 0), fmt.Sprintf(cluster, "worker", 1), fmt.Sprintf(cluster, "worker", 2)} {
		l.start(l.bed.Names()[i/2], map[string]string{"TF_CONFIG": config}, python, programsAt+"/train_tensorflow.py", "tensorflow")
	}
	l.tellsFour(told{ID: "node001:2222", Name: "train_tensorflow.py", User: "ann", Framework: "tensorflow"}, 3)
}

// Ray Train on two nodes. Its workers overwrite their environment and have their rank in their own memory alone: they are known as workers of the one cluster, each
// where it is, and are given no number that could be wrong.
func TestBedRay(t *testing.T) {
	t.Parallel()
	python, opt := venv(t, "ray")
	l := newLaunch(t, 2, opt)
	env := map[string]string{"PYTHONPATH": programsAt, "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "300", "RAY_memory_monitor_refresh_ms": "0"}
	head := l.bed.Node("node001").Addr + ":6379"
	// Ray gives a node 30 s to begin, which is little where many tests share two cores.
	const script = `until "$0" -m ray.scripts.scripts start --block --num-cpus 2 --object-store-memory 100000000 --disable-usage-stats "$@"; do
		"$0" -m ray.scripts.scripts stop --force; sleep 1; done`
	for _, n := range l.bed.Names() {
		how := []string{"--address", head}
		if n == "node001" {
			how = []string{"--head", "--port", "6379", "--include-dashboard", "false"}
		}
		l.start(n, env, append([]string{"sh", "-c", script, python}, how...)...)
		eventually(t, launchedWithin, func() string {
			if strings.Count(l.logs(), "Ray runtime started") < slices.Index(l.bed.Names(), n)+1 {
				return "Ray has not begun on " + n + "\n" + l.logs()
			}
			return ""
		})
	}
	l.start("node001", env, python, programsAt+"/train_ray.py")
	l.look()
	ranks := l.met("ray", 4)
	spread(t, ranks, l.bed.Names(), 2, true)
	l.tells("the cluster", told{ID: head, Name: "raylet", User: "ann", Framework: "ray", Missing: []int{}, Ranks: []place{}})
	// The cluster is told from its first node's processes; those of the second may be a frame behind.
	eventually(t, time.Minute, func() string {
		for _, j := range l.jobs() {
			for _, p := range ranks {
				if got := l.jobOf(p); got != j.Key {
					return fmt.Sprintf("worker %d on %s is of job %q, not %q", p.PID, p.Node, got, j.Key)
				}
			}
		}
		return ""
	})
}
