package jobs

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"foretop/telemetry/facts"

	"github.com/google/go-cmp/cmp"
)

func gpus(n int) []*facts.GPU {
	g := make([]*facts.GPU, n)
	for i := range g {
		g[i] = &facts.GPU{Uuid: fmt.Sprintf("GPU-%02d345678-aaaa", i)}
	}
	return g
}

func on(node string, p ...*facts.Process) NodeFacts {
	return NodeFacts{Node: node, BootID: "boot-" + node, Hostname: node, GPUs: gpus(8), Processes: p}
}

// worker is rank node*per+local of a torchrun job; its agent has pid 100.
func worker(node, local, per, nodes int, more string) *facts.Process {
	env := fmt.Sprintf("RANK=%d LOCAL_RANK=%d WORLD_SIZE=%d LOCAL_WORLD_SIZE=%d GROUP_RANK=%d MASTER_ADDR=gpu001 MASTER_PORT=29500 TORCHELASTIC_RUN_ID=none TORCHELASTIC_RESTART_COUNT=0 ", node*per+local, local, per*nodes, per, node)
	return holding(proc(int32(101+local), 100, "python train.py", env+more), uint32(local))
}

func agent() *facts.Process {
	return proc(100, 99, "/usr/bin/python3 /usr/bin/torchrun train.py", "")
}

// brief writes jobs in a line each.
func brief(jobs []Job) string {
	var b strings.Builder
	for _, j := range jobs {
		key := j.Key
		for _, d := range strings.FieldsFunc(key, func(r rune) bool { return r == '/' || r == '@' }) {
			if len(d) == 16 {
				key = strings.ReplaceAll(key, d, "#")
			}
		}
		fmt.Fprintf(&b, "%s id=%s %s %s world=%d restarts=%d missing=%d%v |", key, j.ID, j.Name, j.User, j.World, j.Restarts, j.MissingN, j.Missing)
		for _, r := range j.Ranks {
			fmt.Fprintf(&b, " %d:%s/%d%v", r.Rank, r.Node, r.PID, r.GPUs)
			if r.Inferred {
				b.WriteString("?")
			}
		}
		b.WriteString(" |")
		for _, o := range j.Others {
			fmt.Fprintf(&b, " %s/%d:%s", o.Node, o.PID, o.Role)
			if len(o.GPUs) > 0 {
				fmt.Fprint(&b, o.GPUs)
			}
		}
		b.WriteString("\n")
	}
	return b.String()
}

func TestAssemble(t *testing.T) {
	const slurmEnv = "SLURM_JOB_ID=8123 SLURM_JOB_NAME=llama SLURM_JOB_PARTITION=h100 SLURM_STEP_ID=0 SLURM_NTASKS=2 "
	slurmAt := func(p *facts.Process) *facts.Process { return in(p, v2cgroup) }
	for _, tt := range []struct {
		name  string
		nodes []NodeFacts
		want  []string
	}{
		{
			"torchrun on two nodes, a rank missing",
			[]NodeFacts{
				on("gpu001", agent(), worker(0, 0, 2, 2, ""), worker(0, 1, 2, 2, "")),
				on("gpu002", agent(), worker(1, 1, 2, 2, "")),
			},
			[]string{"torchrun/# id=gpu001:29500 train.py ann world=4 restarts=0 missing=1[2] | 0:gpu001/101[0] 1:gpu001/102[1] 3:gpu002/102[1] | gpu001/100:launcher gpu002/100:launcher"},
		},
		{
			"same port, other master: two jobs",
			[]NodeFacts{
				on("a", worker(0, 0, 1, 1, "MASTER_ADDR=a")),
				on("b", worker(0, 0, 1, 1, "MASTER_ADDR=b")),
			},
			[]string{
				"torchrun/# id=b:29500 train.py ann world=1 restarts=0 missing=0[] | 0:b/101[0] |",
				"torchrun/# id=a:29500 train.py ann world=1 restarts=0 missing=0[] | 0:a/101[0] |",
			},
		},
		{
			"loopback masters on two nodes: two jobs",
			[]NodeFacts{
				on("a", worker(0, 0, 1, 1, "MASTER_ADDR=localhost")),
				on("b", worker(0, 0, 1, 1, "MASTER_ADDR=localhost")),
			},
			[]string{
				"torchrun/#@a id=:29500 train.py ann world=1 restarts=0 missing=0[] | 0:a/101[0] |",
				"torchrun/#@b id=:29500 train.py ann world=1 restarts=0 missing=0[] | 0:b/101[0] |",
			},
		},
		{
			"srun, one agent a node: Slurm's job, torch's ranks",
			[]NodeFacts{
				on("n1", slurmAt(proc(98, 97, "bash run.sh", slurmEnv+"SLURM_PROCID=0")), slurmAt(proc(100, 98, "torchrun train.py", slurmEnv+"SLURM_PROCID=0")), slurmAt(worker(0, 0, 1, 2, slurmEnv+"SLURM_PROCID=0"))),
				on("n2", slurmAt(proc(100, 98, "torchrun train.py", slurmEnv+"SLURM_PROCID=1")), slurmAt(worker(1, 0, 1, 2, slurmEnv+"SLURM_PROCID=1")), slurmAt(proc(300, 98, "python watch.py", slurmEnv+"SLURM_PROCID=1"))),
			},
			[]string{"slurm/8123 id=8123 llama ann world=2 restarts=0 missing=0[] | 0:n1/101[0] 1:n2/101[0] | n1/98:helper n1/100:launcher n2/100:launcher n2/300:helper"},
		},
		{
			"array task",
			[]NodeFacts{on("n1", slurmAt(proc(7, 6, "python x.py", "SLURM_JOB_ID=8123")), slurmAt(holding(proc(8, 7, "python x.py", "SLURM_JOB_ID=8123 SLURM_ARRAY_JOB_ID=8120 SLURM_ARRAY_TASK_ID=3"), 1)))},
			[]string{"slurm/8123 id=8120_3 x.py ann world=0 restarts=0 missing=0[] | | n1/7:helper n1/8:worker[1]"},
		},
		{
			"loaders carry their rank's variables, whichever holds the GPU",
			[]NodeFacts{on("gpu001", agent(), worker(0, 0, 1, 1, ""), proc(200, 101, "python train.py", torchRank0), proc(201, 200, "python train.py", torchRank0))},
			[]string{"torchrun/# id=gpu001:29500 train.py ann world=1 restarts=0 missing=0[] | 0:gpu001/101[0] | gpu001/100:launcher gpu001/200:helper gpu001/201:helper"},
		},
		{
			"a wrapper above the rank",
			[]NodeFacts{on("gpu001", proc(90, 1, "wrapped --", torchRank0), holding(proc(200, 90, "python train.py", torchRank0), 4))},
			[]string{"torchrun/# id=gpu001:29500 train.py ann world=1 restarts=0 missing=0[] | 0:gpu001/200[4] | gpu001/90:helper"},
		},
		{
			"a zombie of the generation before: lower restart count under one agent",
			[]NodeFacts{on("gpu001", agent(),
				holding(proc(101, 1, "python train.py", torchRank0+" TORCHELASTIC_RESTART_COUNT=0"), 0),
				proc(301, 100, "python train.py", torchRank0+" TORCHELASTIC_RESTART_COUNT=1"))},
			[]string{"torchrun/# id=gpu001:29500 train.py ann world=1 restarts=1 missing=0[] | 0:gpu001/301[] | gpu001/100:launcher gpu001/101:stale[0]"},
		},
		{
			"restarted by hand on another port: the old run's orphans are stale, not a job",
			[]NodeFacts{
				on("gpu001", agent(), worker(0, 0, 1, 2, "MASTER_PORT=29600"), holding(proc(50, 1, "python train.py", torchRank0+" WORLD_SIZE=2 TORCHELASTIC_RUN_ID=exp"), 0)),
				on("gpu002", agent(), worker(1, 0, 1, 2, "MASTER_PORT=29600")),
			},
			[]string{
				"torchrun/# id=exp train.py ann world=2 restarts=0 missing=1[1] | 0:gpu001/50[0] |",
				"torchrun/# id=gpu001:29600 train.py ann world=2 restarts=0 missing=0[] | 0:gpu001/101[0] 1:gpu002/101[0] | gpu001/100:launcher gpu002/100:launcher",
			},
		},
		{
			"the same, one run id: one job",
			[]NodeFacts{
				on("gpu001", agent(), worker(0, 0, 1, 2, "MASTER_PORT=29600 TORCHELASTIC_RUN_ID=exp"), holding(proc(50, 1, "python train.py", torchRank0+" WORLD_SIZE=2 TORCHELASTIC_RUN_ID=exp"), 0)),
				on("gpu002", agent(), worker(1, 0, 1, 2, "MASTER_PORT=29600 TORCHELASTIC_RUN_ID=exp")),
			},
			[]string{"torchrun/# id=exp train.py ann world=2 restarts=0 missing=0[] | 0:gpu001/101[0] 1:gpu002/101[0] | gpu001/100:launcher gpu001/50:stale[0] gpu002/100:launcher"},
		},
		{
			"two live runs with one copied run id: two jobs",
			[]NodeFacts{
				on("a", agent(), worker(0, 0, 2, 1, "MASTER_ADDR=a TORCHELASTIC_RUN_ID=100"), worker(0, 1, 2, 1, "MASTER_ADDR=a TORCHELASTIC_RUN_ID=100")),
				on("b", agent(), worker(0, 0, 1, 1, "MASTER_ADDR=b TORCHELASTIC_RUN_ID=100")),
			},
			[]string{
				"torchrun/# id=100 train.py ann world=2 restarts=0 missing=0[] | 0:a/101[0] 1:a/102[1] | a/100:launcher",
				"torchrun/#/# id=100+SAME train.py ann world=1 restarts=0 missing=0[] | 0:b/101[0] | b/100:launcher",
			},
		},
		{
			"setproctitle on some ranks: numbered by elimination, in the order of their GPUs",
			[]NodeFacts{on("gpu001", agent(), worker(0, 0, 4, 1, ""), unread(worker(0, 1, 4, 1, ""), facts.EnvState_ENV_CLOBBERED), worker(0, 2, 4, 1, ""), unread(worker(0, 3, 4, 1, ""), facts.EnvState_ENV_CLOBBERED))},
			[]string{"torchrun/# id=gpu001:29500 train.py ann world=4 restarts=0 missing=0[] | 0:gpu001/101[0] 1:gpu001/102[1]? 2:gpu001/103[2] 3:gpu001/104[3]? | gpu001/100:launcher"},
		},
		{
			"one of two hidden: not guessed",
			[]NodeFacts{on("gpu001", agent(), worker(0, 0, 3, 1, ""), unread(worker(0, 2, 3, 1, ""), facts.EnvState_ENV_CLOBBERED))},
			[]string{"torchrun/# id=gpu001:29500 train.py ann world=3 restarts=0 missing=2[1 2] | 0:gpu001/101[0] | gpu001/100:launcher gpu001/103:worker[2]"},
		},
		{
			"a machine under two names counts once",
			[]NodeFacts{sameBoot(on("gpu001", spaced(worker(0, 0, 1, 1, "")))), sameBoot(on("alias", spaced(worker(0, 0, 1, 1, ""))))},
			[]string{"torchrun/# id=gpu001:29500 train.py ann world=1 restarts=0 missing=0[] | 0:gpu001/101[0] |"},
		},
		{
			"plain GPU processes: by program and session",
			[]NodeFacts{on("n", holding(in(proc(5, 4, "python a.py", ""), "/session-1"), 0), holding(in(proc(6, 4, "python a.py", ""), "/session-1"), 1), holding(in(proc(7, 4, "python a.py", ""), "/session-2"), 2), proc(8, 1, "vi", ""))},
			[]string{
				"process/#@n id=pid 5 a.py ann world=0 restarts=0 missing=0[] | | n/5:worker[0] n/6:worker[1]",
				"process/#@n id=pid 7 a.py ann world=0 restarts=0 missing=0[] | | n/7:worker[2]",
			},
		},
		{
			"two Slurm clusters with equal job ids",
			[]NodeFacts{
				on("x1", slurmAt(worker(0, 0, 1, 1, slurmEnv+"SLURM_CLUSTER_NAME=east"))),
				on("y1", slurmAt(worker(0, 0, 1, 1, slurmEnv+"SLURM_CLUSTER_NAME=west")), slurmAt(unread(proc(400, 1, "x", ""), facts.EnvState_ENV_DENIED))),
			},
			[]string{
				"slurm/east/8123 id=8123 llama ann world=1 restarts=0 missing=0[] | 0:x1/101[0] |",
				"slurm/west/8123 id=8123 llama ann world=1 restarts=0 missing=0[] | 0:y1/101[0] | y1/400:helper",
			},
		},
		{
			"a SLUID is the job that another process names",
			[]NodeFacts{
				on("n1", in(worker(0, 0, 1, 2, slurmEnv), "/system.slice/slurmstepd.scope/sEKNKTV3WPV500/step_0/user/task_0")),
				on("n2", holding(in(unread(proc(9, 8, "python x.py", ""), facts.EnvState_ENV_DENIED), "/system.slice/slurmstepd.scope/sEKNKTV3WPV500/step_0/user/task_0"), 1)),
			},
			[]string{"slurm/8123 id=8123 llama ann world=2 restarts=0 missing=1[1] | 0:n1/101[0] | n2/9:worker[1]"},
		},
		{
			"an elastic job shrank: who believes in the old world is stale",
			[]NodeFacts{
				on("a", worker(0, 0, 2, 1, ""), worker(0, 1, 2, 1, "")),
				on("b", worker(1, 0, 2, 2, "")),
			},
			[]string{"torchrun/# id=gpu001:29500 train.py ann world=2 restarts=0 missing=0[] | 0:a/101[0] 1:a/102[1] | b/101:stale[0]"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := strings.Split(strings.TrimSuffix(brief(Assemble(tt.nodes)), "\n"), "\n")
			for i, line := range got {
				if at := strings.Index(line, "+"); at > 0 && strings.Contains(line, "100+") {
					line = line[:at+1] + "SAME" + line[at+5:]
				}
				got[i] = strings.TrimRight(line, " ")
			}
			slices.Sort(got)
			want := slices.Sorted(slices.Values(tt.want))
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			reversed := slices.Clone(tt.nodes)
			slices.Reverse(reversed)
			if a, b := Assemble(tt.nodes), Assemble(reversed); tt.name != "a machine under two names counts once" {
				for i := range a {
					if a[i].Key != b[i].Key || !cmp.Equal(a[i].Ranks, b[i].Ranks) {
						t.Errorf("the order of nodes changed job %s", a[i].Key)
					}
				}
			}
		})
	}
}

const torchRank0 = "RANK=0 LOCAL_RANK=0 WORLD_SIZE=1 LOCAL_WORLD_SIZE=1 GROUP_RANK=0 MASTER_ADDR=gpu001 MASTER_PORT=29500 TORCHELASTIC_RUN_ID=none"

func sameBoot(n NodeFacts) NodeFacts { n.BootID = "one"; return n }

func spaced(p *facts.Process) *facts.Process { p.PidNamespace = 4026531836; return p }

func TestMissingIsBounded(t *testing.T) {
	n := on("n", proc(5, 4, "python x.py", "RANK=700000 LOCAL_RANK=0 WORLD_SIZE=1048576 MASTER_ADDR=m"))
	j := Assemble([]NodeFacts{n})[0]
	if j.MissingN != MaxWorld-1 || len(j.Missing) != MaxMissing || j.Missing[63] != 63 {
		t.Errorf("missing %d, listed %d", j.MissingN, len(j.Missing))
	}
}

func TestKeptIdentitiesGiveTheSame(t *testing.T) {
	nodes := fleet(20)
	want := Assemble(nodes)
	for i := range nodes {
		nodes[i].Identities = IdentifyAll(nodes[i].Processes)
	}
	if diff := cmp.Diff(want, Assemble(nodes)); diff != "" {
		t.Error(diff)
	}
	if len(want) == 0 || len(want[0].Ranks) == 0 {
		t.Error("no jobs to compare")
	}
}

// Nodes of two jobs in turns: the members of a job do not follow one another.
func TestScatteredNodesGiveTheSame(t *testing.T) {
	nodes := fleet(64)
	want := Assemble(nodes)
	mixed := make([]NodeFacts, 0, len(nodes))
	for i := range 32 {
		mixed = append(mixed, nodes[i], nodes[32+i])
	}
	if diff := cmp.Diff(want, Assemble(mixed)); diff != "" {
		t.Error(diff)
	}
	if len(want) != 2 || len(want[0].Ranks) != 256 || len(want[1].Others) != 64 {
		t.Errorf("%d jobs", len(want))
	}
}

// What the processes of a node say alike is kept once: a regroup looks at it once.
func TestIdentitiesShareWhatTheySay(t *testing.T) {
	ids := IdentifyAll(fleet(1)[0].Processes)
	said := map[*ties]bool{}
	for i := range ids {
		said[ids[i].said] = true
	}
	if len(ids) != 10 || len(said) > 3 {
		t.Errorf("%d processes say %d different things", len(ids), len(said))
	}
}

// fleet is nodes of 8 ranks, an agent and a shell each, in Slurm jobs of 32 nodes.
func fleet(n int) []NodeFacts {
	nodes := make([]NodeFacts, n)
	for i := range nodes {
		env := fmt.Sprintf("SLURM_JOB_ID=%d SLURM_STEP_ID=0 SLURM_PROCID=%d SLURM_NTASKS=32 SLURM_JOB_NAME=llama SLURM_JOB_PARTITION=h100 SLURM_JOB_USER=ann MASTER_ADDR=gpu%d", 8000+i/32, i%32, i/32)
		cg := fmt.Sprintf("/system.slice/slurmstepd.scope/job_%d/step_0/user/task_0", 8000+i/32)
		p := []*facts.Process{in(proc(99, 98, "bash run.sh", env), cg), in(proc(100, 99, "torchrun train.py", env), cg)}
		for l := range 8 {
			p = append(p, in(worker(i%32, l, 8, 32, env), cg))
		}
		nodes[i] = on(fmt.Sprintf("gpu%04d", i), p...)
	}
	return nodes
}
