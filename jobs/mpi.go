package jobs

import "strings"

// rankWords are the variables in which a process manager tells a rank its number, most trusted first. Where one has no size of its own, PMI's is read.
//
// Open MPI 1.3 to 5 (docs.open-mpi.org), PMIx 1 to 5 (its standard), Hydra of MPICH 1.3 to 4 and Intel MPI, PMI-1 and -2 of Slurm and Flux, HPE's PALS, IBM's JSM
// (jsrun), MVAPICH2's mpirun_rsh.
var rankWords = [...]struct{ rank, size, local, localSize, framework string }{
	{"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE", "mpi"},
	{"JSM_NAMESPACE_RANK", "JSM_NAMESPACE_SIZE", "JSM_NAMESPACE_LOCAL_RANK", "", "mpi"},
	{"PALS_RANKID", "PMI_SIZE", "PALS_LOCAL_RANKID", "", "mpi"},
	{"PMIX_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "MPI_LOCALNRANKS", "mpi"},
	{"MV2_COMM_WORLD_RANK", "MV2_COMM_WORLD_SIZE", "MV2_COMM_WORLD_LOCAL_RANK", "MV2_COMM_WORLD_LOCAL_SIZE", "mpi"},
	{"PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "MPI_LOCALNRANKS", "mpi"},
}

// mpi reads what MPI's process managers put into the environment of a rank. The name of the run, where one is given, is PMIx's namespace, or PALS's application.
func mpi(v *view) claim {
	c := claim{ties: ties{rankStrength: mpiRank, agent: -1, launched: true}}
	found := false
	for i := range rankWords {
		w := &rankWords[i]
		if c.rank, found = v.number(w.rank); found {
			c.framework, c.world, c.localWorld = w.framework, v.size(w.size, "PMI_SIZE"), v.size(w.localSize)
			c.local = v.numberOr(w.local, v.numberOr("PMI_LOCAL_RANK", -1))
			break
		}
	}
	if !found {
		return claim{}
	}
	space := v.env["PMIX_NAMESPACE"]
	if space == "" {
		space = v.env["PALS_APID"]
	}
	c.run = "mpi " + space
	if strings.HasPrefix(space, "slurm.pmix.") && c.world == 0 { // PMIx tells its size through its library alone
		c.world = v.size("SLURM_STEP_NUM_TASKS", "SLURM_NTASKS")
	}
	inStep := v.agrees(c.rank, c.world, "SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_NTASKS")
	inFlux := v.agrees(c.rank, c.world, "FLUX_TASK_RANK", "FLUX_JOB_SIZE")
	if c.local < 0 && inStep {
		c.local = v.numberOr("SLURM_LOCALID", -1)
	} else if c.local < 0 && inFlux {
		c.local = v.numberOr("FLUX_TASK_LOCAL_ID", -1)
	}
	if space != "" {
		c.strength, c.id = sharedRun, space
		c.job = "mpi/" + digest(v.uid(), space)
		return c
	}
	if step := v.env["SLURM_STEP_ID"]; allDigits(step) && inStep {
		c.run = "step " + step // srun --mpi=pmi2: the task is the rank
		return c
	}
	if inFlux {
		c.run = "flux"
		return c
	}
	if _, ok := v.number("JSM_NAMESPACE_RANK"); ok && v.env["LSB_JOBID"] != "" {
		c.run = "jsm" // its job is LSF's
		return c
	}
	// Hydra tells its ranks no name of the run: their proxy does. Without it only what is on one node can be joined.
	c.strength, c.nodeLocal, c.runHere = localRun, true, true
	c.job = "mpi/" + digest(v.uid(), program(v.p))
	return c
}

// agrees says whether a scheduler numbers the process as its process manager does.
func (v *view) agrees(rank, world int, rankKey string, sizeKeys ...string) bool {
	r, ok := v.number(rankKey)
	return ok && r == rank && world > 0 && v.size(sizeKeys...) == world
}

// hydra reads the command line of MPICH's and Intel MPI's proxy, of which there is one on each node: --control-port HOST:PORT is where mpiexec listens, the same
// for all (MPICH's src/pm/hydra, pmiserv_utils.c). Intel MPI's pmi_proxy writes the host and the port as two options.
func hydra(v *view) claim {
	switch v.p.GetComm() {
	case "hydra_pmi_proxy", "hydra_bstrap_pr", "pmi_proxy":
	default:
		return claim{}
	}
	o := options(v.p.GetCommand(), "control-port", "upstream-host", "upstream-port")
	at := o["control-port"]
	if at == "" && o["upstream-host"] != "" && o["upstream-port"] != "" {
		at = o["upstream-host"] + ":" + o["upstream-port"]
	}
	if at == "" {
		return claim{}
	}
	c := claim{ties: ties{strength: sharedRun, framework: "mpi", job: "mpi/" + digest(v.uid(), at), id: at}}
	if isLoopback(hostOf(at)) {
		c.strength, c.nodeLocal = localRun, true
	}
	return c
}
