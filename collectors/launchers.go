package collectors

import (
	"path"
	"strings"
)

// launcherPrograms start the ranks of a job, by the name of the program or script.
var launcherPrograms = map[string]bool{
	"torchrun": true, "deepspeed": true, "accelerate": true, "horovodrun": true, "mpirun": true, "mpiexec": true, "mpirun.real": true, "mpirun.openmpi": true, "mpiexec.openmpi": true, "mpirun.mpich": true,
	"orterun": true, "prterun": true, "mpiexec.hydra": true, "hydra_pmi_proxy": true, "orted": true, "prted": true, "srun": true,
	"jsrun": true, "aprun": true, "ray": true, "raylet": true, "composer": true, "colossalai": true, "torch-elastic": true,
	"prte": true, "mpirun_rsh": true, "mpispawn": true, "flux-shell": true,
}

// launcherModules are the same where they are run as `python -m MODULE`.
var launcherModules = map[string]bool{
	"torch.distributed.run": true, "torch.distributed.launch": true, "torch.distributed.launcher": true, "deepspeed.launcher.launch": true,
	"deepspeed.launcher.runner": true, "accelerate.commands.launch": true, "accelerate.commands.accelerate_cli": true, "horovod.runner.launch": true, "composer.cli": true,
}

// wrappers only start another program in the same environment: what they start is the rank.
var wrappers = map[string]bool{
	"sh": true, "bash": true, "dash": true, "zsh": true, "ksh": true, "csh": true, "tcsh": true, "fish": true, "env": true, "numactl": true, "taskset": true,
	"timeout": true, "nice": true, "ionice": true, "setsid": true, "nohup": true, "time": true, "stdbuf": true, "script": true, "tee": true, "sudo": true,
	"singularity": true, "apptainer": true, "starter": true, "starter-suid": true, "enroot": true, "tini": true, "dumb-init": true, "nsys": true,
	"conda": true, "uv": true, "poetry": true, "pipenv": true, "slurm_script": true, "catatonit": true,
}

// isLauncher says whether a command line is that of a launcher.
func isLauncher(args []string) bool {
	if len(args) == 0 {
		return false
	}
	name := path.Base(args[0])
	if launcherPrograms[name] {
		return name != "ray" && name != "raylet" || len(args) > 1
	}
	if !strings.HasPrefix(name, "python") && name != "pypy" && name != "pypy3" {
		return false
	}
	for i := 1; i < len(args); i++ {
		a := args[i]
		switch {
		case a == "-m":
			return i+1 < len(args) && launcherModules[args[i+1]]
		case strings.HasPrefix(a, "-m") && len(a) > 2:
			return launcherModules[a[2:]]
		case a == "-W" || a == "-X":
			i++
		case strings.HasPrefix(a, "-"):
		default:
			name := path.Base(a)
			return launcherPrograms[strings.TrimSuffix(name, ".py")]
		}
	}
	return false
}

// spawned says whether a command line is that of a child of Python's multiprocessing, as torch.multiprocessing.spawn makes them (CPython's Lib/multiprocessing/
// spawn.py and forkserver.py): its environment is its parent's.
func spawned(args []string) bool {
	for i := 1; i+1 < len(args) && i < 16; i++ {
		if args[i] == "-c" {
			return strings.HasPrefix(args[i+1], "from multiprocessing.spawn import") || strings.HasPrefix(args[i+1], "from multiprocessing.forkserver import")
		}
	}
	return false
}

// titledRank says whether a process's title says that it is a rank, for nothing else does: a worker of Ray Train has its rank in its own memory alone.
func titledRank(args []string) bool {
	return len(args) > 0 && strings.HasPrefix(args[0], "ray::") && strings.Contains(args[0], "TrainWorker")
}

// ofJob says whether a cgroup is that of a job's task, as Slurm makes them. A Kubernetes pod is not enough: every service of the node is one.
func ofJob(cgroup string) bool {
	i := strings.Index(cgroup, "slurm")
	return i >= 0 && (strings.Contains(cgroup[i:], "/job_") || strings.Contains(cgroup[i:], "slurmstepd.scope/s")) && strings.Contains(cgroup[i:], "/step_")
}
