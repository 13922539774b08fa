package findings

// jobTable is what is said of jobs.
var jobTable = []Rule{
	{"job.hang", fine, critical, "job", "no progress: its ranks wait", "look at the suspect's stacks (S); restart the job without its node",
		"full utilisation at low power, no tensor activity, no traffic, for longer than the job's own learned period", nil, jobReadings},
	{"job.stopped", notice, critical, "job", "a rank's process is stopped, or cannot be woken", "let it go on (K, CONT), or restart the job; of one in state D look at what it waits for", "states of its processes", nil, jobNodes},
	{"job.straggler", notice, critical, "job", "one rank, GPU or node is persistently apart from its peers", "look at the node for the cause; restart the job without it",
		"power, use and clock against the job's other GPUs, over a window", nil, jobReadings},
	{"job.missing", fine, warning, "job", "ranks that should be there are not seen", "look at the log of the launcher, and at nodes that are not watched", "world size against ranks seen; a warning where all were seen before", nil, jobWorld},
	{"job.restarted", fine, critical, "job", "its ranks were started anew", "look at the log for why", "start times and restart counts of its processes", nil, jobAlways},
	{"job.oom", notice, critical, "job", "a rank was killed for want of memory", "give the job more memory, or let it use less: fewer workers of the data loader, a smaller batch", "kernel log of its nodes", nil, jobKernels},
	{"job.memory-creep", notice, critical, "job", "its memory grows towards the end", "look for what is kept: lists of losses, caches, fragments (PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True)", "memory of GPUs or hosts over time", nil, jobReadings},
	{"job.memory-imbalance", fine, warning, "job", "memory is unevenly used", "place layers or experts anew", "memory of its GPUs against one another", nil, jobReadings},
	{"job.dataloader", notice, warning, "job", "it waits for its data", "more workers, faster storage, data nearer", "idle GPUs in step with CPU or disk", nil, jobReadings},
	{"job.checkpoint-stall", notice, critical, "job", "writing a checkpoint takes too long", "look at the storage it writes to", "a pause with writes, longer than those before", nil, jobReadings},
	{"job.no-progress", notice, critical, "job", "neither its log nor its checkpoints move", "look at the stacks of its ranks (S)", "age of the last line of its log and of its checkpoints, against their usual pace", nil, jobLog},
	{"job.nodes-lost", notice, critical, "job", "nodes of it are lost, stale or not connected", "look at the nodes", "states of its nodes", nil, jobAlways},
	{"job.gpu-broken", critical, critical, "job", "a GPU of it cannot go on", "restart the job without that node; drain the node", "critical findings on its GPUs", nil, jobNodes},
	{"job.hurt", warning, warning, "job", "what it runs on has trouble that does not end it", "see the node's finding", "warnings on its GPUs, and on ports that only it can use", nil, jobNodes},
	{"job.leftovers", warning, warning, "job", "processes hold GPUs on which they have no business any more", "end them: K on the process", "orphans, for a minute", nil, jobNodes},
	{"job.libraries", notice, notice, "job", "ranks have loaded different versions of a library", "run all ranks in one image or environment", "versions in the processes' maps", nil, jobNodes},
	{"job.unchecked", fine, notice, "job", "how it does is not checked", "", "its GPUs tell neither use nor power", nil, jobAlways},
	{"job.ended", fine, critical, "job", "it ended, and how", "", "its scheduler's word, and the kernel lines of the minute before", nil, jobAlways},
	{"scheduler.leftover", warning, warning, "job", "its scheduler says that it ended, its processes hold GPUs", "end them: K on the process; look at the epilog", "for a minute", nil, jobAlways},
	{"scheduler.suspended", notice, notice, "job", "its scheduler has suspended it", "", "the scheduler's word", nil, jobScheduled},
	{"scheduler.completing", notice, warning, "job", "it ends, and does not come to an end", "look for a process in state D on its nodes, and at the epilog", "completing for 5 min: warning", nil, jobScheduled},
	{"scheduler.node-down", warning, warning, "job", "a node of it is down to its scheduler", "its scheduler will end or requeue it: look at the node", "the scheduler's word", nil, jobScheduled},
	{"scheduler.unseen", fine, warning, "job", "its scheduler says that it runs, and no process of it is seen", "look at its log, and at what its prolog does", "10 min without a process, or 2 min after they were there: warning", nil, jobScheduled},
	{"scheduler.elsewhere", notice, notice, "job", "nodes of it are not watched", "watch them as well: foretop --job ID", "the scheduler's list of nodes", nil, jobScheduled},
}

// wasteTable is what costs GPUs and helps nobody.
var wasteTable = []Rule{
	{"waste.idle", notice, notice, "job", "it holds GPUs and uses none", "ask its owner; cancel it where nobody needs it", "below 5 % of use for five minutes; a moment of work now and then does not count", nil, jobReadings},
	{"waste.partial", notice, notice, "job", "it holds several GPUs and uses some of them only", "ask for as many as it uses; look at CUDA_VISIBLE_DEVICES and the number of ranks", "as waste.idle, of some of its GPUs", nil, jobReadings},
	{"waste.wrong-nic", notice, warning, "job", "its traffic does not go over its GPUs' own ports", "set NCCL_IB_HCA and NCCL_SOCKET_IFNAME to the fabric; look for NET/Socket in NCCL_DEBUG=INFO",
		"a node that only it uses, its GPUs' ports quiet for a minute while another port or interface carries 200 MB/s both ways: warning; one of its ports carries all: notice", nil, jobNodes},
}
