package jobs

import (
	"math/rand/v2"
	"testing"

	"foretop/telemetry"
	"foretop/telemetry/facts"

	"github.com/google/go-cmp/cmp"
)

// FuzzAssemble lets two nodes say anything that passes the decoder.
func FuzzAssemble(f *testing.F) {
	seed := func(p ...*facts.Process) {
		b, err := facts.Encode(&facts.Processes{Set: p})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, uint8(len(p)/2))
	}
	seed(agent(), worker(0, 0, 2, 2, ""), worker(0, 1, 2, 2, ""), unread(worker(0, 1, 2, 2, ""), facts.EnvState_ENV_CLOBBERED))
	seed(fleet(1)[0].Processes...)
	seed(in(worker(0, 0, 1, 1, "WORLD_SIZE=1048576 RANK=1048575"), podPath), proc(101, 101, "x", torchRank0), proc(101, 101, "x", torchRank0), proc(-5, -6, "", "RANK=-1 LOCAL_RANK=2"))
	seed(holding(proc(2, 3, "python -m", "CUDA_VISIBLE_DEVICES=0,,1 SLURM_STEP_GPUS=1-"), 4000000000), proc(3, 2, "", "SLURM_JOB_ID=1"), proc(4, 3, "", "PMI_RANK=1 PMI_SIZE=2147483648"))
	f.Fuzz(func(t *testing.T, b []byte, cut uint8) {
		var m facts.Processes
		if facts.Decode(b, &m) != nil {
			return
		}
		at := min(int(cut), len(m.Set))
		nodes := []NodeFacts{on("a", m.Set[:at]...), on("b", m.Set[at:]...)}
		var before facts.Processes
		if err := facts.Decode(b, &before); err != nil {
			t.Fatal(err)
		}
		checkJobs(t, Assemble(nodes), nodes)
		if d := cmp.Diff(before.Set, m.Set); d != "" {
			t.Fatal("facts were changed", d)
		}
	})
}

// words are what a hostile environment is made of.
var words = []struct {
	key    string
	values []string
}{
	{"RANK", []string{"0", "1", "2", "3", "1048575", "-1", "99999999999"}},
	{"LOCAL_RANK", []string{"0", "1", "x", "1048576"}},
	{"WORLD_SIZE", []string{"1", "2", "4", "1048576", "2147483648"}},
	{"LOCAL_WORLD_SIZE", []string{"1", "2", "4", "1048576"}},
	{"GROUP_RANK", []string{"0", "1"}},
	{"MASTER_ADDR", []string{"a", "b", "127.0.0.1", ""}},
	{"MASTER_PORT", []string{"1", "2"}},
	{"TORCHELASTIC_RUN_ID", []string{"none", "x"}},
	{"TORCHELASTIC_RESTART_COUNT", []string{"0", "1", "2"}},
	{"SLURM_JOB_ID", []string{"7", "8", "x"}},
	{"SLURM_STEP_ID", []string{"0", "1"}},
	{"SLURM_PROCID", []string{"0", "1", "9"}},
	{"SLURM_NTASKS", []string{"2", "4"}},
	{"SLURM_CLUSTER_NAME", []string{"east", "west", "a/b@c"}},
	{"SLURM_RESTART_COUNT", []string{"0", "3"}},
	{"PMIX_RANK", []string{"0", "1"}},
	{"PMIX_NAMESPACE", []string{"n"}},
	{"CUDA_VISIBLE_DEVICES", []string{"0,1", "7,7,GPU-01", ",", "GPU-"}},
	{"SLURM_STEP_GPUS", []string{"6,7", "0-7", "0-", "-"}},
	{"SLURM_HET_SIZE", []string{"1", "2", "1048576"}},
	{"SLURM_JOB_NODELIST", []string{"a,b", "a,c[1-3]", "[", "a[0-65535]b[0-65535]"}},
	{"PMI_RANK", []string{"0", "1"}},
	{"PMI_SIZE", []string{"2", "0"}},
	{"TF_CONFIG", []string{`{"cluster":{"worker":["a:1","b:1"]},"task":{"type":"worker","index":1}}`, `{"cluster":{"worker":["a:1"]},"task":{"type":"ps","index":7}}`, `{"cluster":{"worker":["a:1"`, "["}},
	{"JAX_COORDINATOR_ADDRESS", []string{"a:1", "localhost:1"}},
	{"JAX_PROCESS_ID", []string{"0", "1", "7"}},
	{"JAX_NUM_PROCESSES", []string{"2", "4"}},
	{"TPU_WORKER_ID", []string{"0", "3"}},
	{"TPU_WORKER_HOSTNAMES", []string{"a,b", ",", "localhost"}},
	{"FLUX_JOB_ID", []string{"ƒ2", "a/b"}},
	{"FLUX_TASK_RANK", []string{"0", "1"}},
	{"PBS_JOBID", []string{"1.s", ".", "x@y"}},
	{"RAY_RAYLET_PID", []string{"3"}},
	{"LWS_LEADER_ADDRESS", []string{"l.ns", ""}},
}

// FuzzProcesses makes two nodes out of choices, so that what rarely meets does: rings of parents, twice the same pid, generations, several runs.
func FuzzProcesses(f *testing.F) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		b := make([]byte, 100+r.IntN(600))
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1<<12 {
			return
		}
		choose := func(n int) int {
			if len(b) == 0 {
				return 0
			}
			c := int(b[0]) % n
			b = b[1:]
			return c
		}
		nodes := []NodeFacts{on("a"), on("b")}
		if choose(4) == 0 {
			nodes[1].BootID = nodes[0].BootID
		}
		for len(b) > 0 {
			p := &facts.Process{
				Pid: int32(choose(9)), Ppid: int32(choose(9)), StartTicks: uint64(choose(3)), StartWallMs: int64(choose(4)) - 1, Uid: uint32(choose(2)),
				Command: []string{"python x.py", "torchrun --nnodes 2 --nproc-per-node=2 --master-addr a x.py", "bash x", "", "python -m", spawnCommand, "ray::RayTrainWorker.x",
					"/r/raylet --gcs-address=a:1", "python -m deepspeed.launcher.launch --master_addr=a --world_info=eyJhIjpbMCwxXSwiYyI6WzBdfQ== x.py"}[choose(9)],
				Cgroup: []string{"", v2cgroup, podPath, "/slurmstepd.scope/sEKNKTV3WPV500/step_0", "/slurm/uid_1/job_7/step_batch"}[choose(5)],
				Parent: []string{"", "tini", "bash", "systemd"}[choose(4)], ParentInit: choose(2) == 0, NsPids: []int32{1, 2}[:choose(3)],
				User: []string{"", "root", "ann"}[choose(3)], EnvState: facts.EnvState(choose(4)), Env: map[string]string{},
				PidNamespace: uint64(choose(2)), Launcher: choose(5) == 0,
			}
			for _, w := range words {
				if c := choose(2 * len(w.values)); c < len(w.values) {
					p.Env[w.key] = w.values[c]
				}
			}
			for range choose(3) {
				p.Held = append(p.Held, &facts.Held{Gpu: uint32(choose(10))})
			}
			n := &nodes[choose(2)]
			n.Processes = append(n.Processes, p)
		}
		checkJobs(t, Assemble(nodes), nodes)
		const pod = "0c5a6b0e-1f2a-4b3c-8d9e-00112233aabb"
		checkJobs(t, AssembleWith(nodes, &Known{
			Jobs:   map[string]KnownJob{"slurm/7": {Ended: true, Hosts: []string{"a", "z"}, User: "\x1b[2J"}, "slurm/8": {PartOf: "slurm/7"}, "kubernetes/n/Job/j": {}},
			Pods:   map[string]KnownPod{pod: {Job: "kubernetes/n/Job/j", Name: "\x00"}},
			SLUIDs: map[string]string{"sEKNKTV3WPV500": "slurm/8123"}, Whole: map[string]int64{"slurm": 1 << 50},
		}), nodes)
	})
}

// checkJobs holds what is true of any assembly: keys are unique, ranks ascend and fit the world, no process is in two places, and none that
// holds a GPU is left out.
func checkJobs(t *testing.T, jobs []Job, nodes []NodeFacts) {
	t.Helper()
	type at struct {
		node  string
		pid   int32
		start uint64
	}
	places, keys, inJobs := map[at]int{}, map[string]bool{}, 0
	for _, j := range jobs {
		if keys[j.Key] || j.Key == "" || j.ID == "" {
			t.Fatalf("key %q, id %q", j.Key, j.ID)
		}
		keys[j.Key] = true
		if len(j.Hosts) > MaxHosts || len(j.Unwatched) > len(j.Hosts) || j.HostsN < len(j.Hosts) || len(j.Hosts) > 0 && len(j.Unwatched) == len(j.Hosts) {
			t.Fatalf("%d of %d hosts, %d not watched", len(j.Hosts), j.HostsN, len(j.Unwatched))
		}
		for _, s := range []string{j.ID, j.Name, j.User, j.Partition} {
			if telemetry.Clean(s, len(s)+4) != s {
				t.Fatalf("job %s says %q", j.Key, s)
			}
		}
		if len(j.Missing) > MaxMissing || j.World > MaxWorld || j.World > 0 && len(j.Ranks)+j.MissingN != j.World || len(j.Ranks)+len(j.Others) == 0 {
			t.Fatalf("%d ranks, %d missing (%d listed), world %d", len(j.Ranks), j.MissingN, len(j.Missing), j.World)
		}
		for i, r := range j.Ranks {
			if i > 0 && r.Rank <= j.Ranks[i-1].Rank || r.Rank < 0 || j.World > 0 && r.Rank >= j.World || len(r.GPUs) > maxDevices {
				t.Fatalf("rank %d of world %d, %d GPUs", r.Rank, j.World, len(r.GPUs))
			}
			for _, g := range r.GPUs {
				if g < 0 || g >= 8 {
					t.Fatalf("GPU %d of 8", g)
				}
			}
			places[at{r.Node, r.PID, r.StartTicks}]++
		}
		for _, o := range j.Others {
			places[at{o.Node, o.PID, o.StartTicks}]++
		}
		inJobs += len(j.Ranks) + len(j.Others)
	}
	told := map[at]int{}
	for _, n := range nodes {
		for _, p := range n.Processes {
			k := at{n.Node, p.GetPid(), p.GetStartTicks()}
			told[k]++
			if len(p.GetHeld()) > 0 && places[k] == 0 && nodes[0].BootID != nodes[1].BootID {
				t.Fatalf("process %d holds a GPU and is in no job", p.GetPid())
			}
		}
	}
	for k, n := range places {
		if n > told[k] {
			t.Fatalf("process %d on %s is in %d places", k.pid, k.node, n)
		}
	}
}
