package cli

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"foretop/export"
	"foretop/scripts/testbed"
	"foretop/sshpool"
)

// Slurm's own jobs, started with sbatch and srun on two nodes: torchrun in a step, an array, two steps in a job, mpirun, JAX that asks Slurm who it is. Each is one job with the number that
// Slurm's user knows, and every rank is where it says. To another user, without root, the processes belong to the same jobs.
func TestBedSlurmLaunchers(t *testing.T) {
	t.Parallel()
	needModule(t, "torch", "")
	needModule(t, "mpi4py", "")
	testbed.Need(t, "mpirun")
	jax, opt := venv(t, "jax")
	l := newLaunch(t, 3, opt)
	slurm := testbed.Slurm(t, testbed.SlurmOptions{On: l.bed, GPUs: -1, Cgroups: true})
	l.look()
	nodes := l.bed.Names()[:2]
	submit := func(name, script string, options ...string) string {
		t.Helper()
		id, err := slurm.Submit("ann", append(options, "--job-name", name, "--output", outAt+"/log-"+name+"-%A-%a", "-N2", "--wrap", script)...)
		must(t, err)
		return id
	}

	train := submit("train", `srun --cpus-per-task=4 sh -c 'exec `+debianPy+` -m torch.distributed.run --nnodes 2 --nproc_per_node 4 --node_rank "$SLURM_NODEID" --master_addr node001 --master_port 29501 --redirects 1 --tee 1 --log_dir /tmp/log `+
		programsAt+`/train_torch.py train'`, "--ntasks-per-node=1", "--cpus-per-task=4")
	array := submit("sweep", `exec srun `+debianPy+` `+programsAt+`/train_srun.py "sweep$SLURM_ARRAY_TASK_ID"`, "--array=1-2", "--ntasks-per-node=2")
	steps := submit("steps", `srun --exact -n4 `+debianPy+` `+programsAt+`/train_srun.py step0 & sleep 1; srun --exact -n2 `+debianPy+` `+programsAt+`/train_srun.py step1 & wait`, "--ntasks-per-node=4")
	mpi := submit("mpi", `exec mpirun --mca btl tcp,self --mca pml ob1 --map-by node `+debianPy+` `+programsAt+`/train_mpi.py slurm-mpi`, "--ntasks-per-node=2")
	found := submit("jax", `exec srun `+jax+` `+programsAt+`/train_jax.py slurm-jax`, "--ntasks-per-node=2")

	job := func(id, name, framework, label string, world int) told {
		t.Helper()
		ranks := l.met(label, world)
		spread(t, ranks, nodes, world/2, false)
		return told{ID: id, Name: name, User: "ann", Framework: framework, Scheduler: "slurm", World: world, Missing: []int{}, Ranks: ranks}
	}
	want := []told{
		job(train, "train", "torchrun", "train", 8),
		job(array+"_1", "sweep", "srun", "sweep1", 4),
		job(array+"_2", "sweep", "srun", "sweep2", 4),
		job(steps, "steps", "srun", "step0", 4),
		job(steps+".1", "steps", "srun", "step1", 2),
		job(mpi, "mpi", "mpi", "slurm-mpi", 4),
		job(found, "jax", "srun", "slurm-jax", 4),
	}
	l.tells("all jobs", want...)

	// Another user, whom the kernel shows no environment.
	theirs := filepath.Join(t.TempDir(), "ssh_config")
	config, err := os.ReadFile(l.bed.SSHConfig)
	must(t, err)
	if !strings.Contains(string(config), "User ann") {
		t.Fatalf("no user in %s", config)
	}
	must(t, os.WriteFile(theirs, []byte(strings.ReplaceAll(string(config), "User ann", "User bob")), 0o600))
	bob := &launch{t: t, bed: l.bed, out: l.out, watch: observe(t, sshpool.Config{ConfigFile: theirs}, named(nodes...)...)}
	out, err := slurm.Run("bob", "squeue", "-h", "-o", "%A")
	must(t, err)
	numbers := strings.Fields(out) // %A is each array element's own number
	slices.Sort(numbers)
	if len(numbers) != 6 {
		t.Fatalf("%d jobs: %q", len(numbers), out)
	}
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(look) {
		var seen []string
		for _, j := range bob.jobs() {
			if j.Scheduler == "slurm" && j.User == "ann" {
				seen = append(seen, j.ID)
			}
		}
		slices.Sort(seen)
		if slices.Equal(seen, numbers) {
			break
		}
		if time.Now().After(end) {
			var text strings.Builder
			must(t, export.JSON(&text, bob.watch.Snapshot()))
			t.Fatalf("bob sees %q of %q\n%s", seen, numbers, text.String())
		}
	}
	for _, n := range bob.watch.Snapshot().Nodes {
		for _, p := range n.Processes {
			if len(p.Env) > 0 {
				t.Errorf("%s: bob reads %v of ann's process %d", n.Name, p.Env, p.Pid)
			}
		}
	}
}
