package jobs

// mpi reads what Open MPI, PMIx and PMI put into the environment of a rank.
func mpi(v *view) claim {
	c := claim{rankStrength: mpiRank, framework: "mpi", agent: -1}
	var ok bool
	if c.rank, ok = v.number("OMPI_COMM_WORLD_RANK"); ok {
		c.world, c.local = v.size("OMPI_COMM_WORLD_SIZE"), v.numberOr("OMPI_COMM_WORLD_LOCAL_RANK", -1)
	} else if c.rank, ok = v.number("PMIX_RANK"); ok {
		c.world, c.local = v.size("PMI_SIZE"), -1
	} else if c.rank, ok = v.number("PMI_RANK"); ok {
		c.world, c.local = v.size("PMI_SIZE"), -1
	} else {
		return claim{}
	}
	space := v.env["PMIX_NAMESPACE"]
	c.run = "mpi " + space
	if space != "" {
		c.strength, c.id = sharedRun, space
		c.job = "mpi/" + digest(v.uid(), space)
		return c
	}
	// Hydra tells its ranks no name of the run: only what is on one node can be joined.
	c.strength, c.nodeLocal, c.runHere = localRun, true, true
	c.job = "mpi/" + digest(v.uid(), program(v.p))
	return c
}
