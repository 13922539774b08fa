package findings

import (
	"time"

	"foretop/fleet"
)

// jobCase is one job at one moment, with its past.
type jobCase struct {
	j     *fleet.Job
	nodes func(name string) *fleet.Node
	at    time.Time
	m     fleet.Memory
	w     *watch
}

// answer is what a rule says of a job: yes with verdicts, not checked with the reason why, or else no. What of several things is wrong may have both: some of it
// is, and some could not be looked at.
type answer struct {
	verdicts  []fleet.Verdict
	unchecked string
}

// says is yes; of an empty verdict, no.
func says(v fleet.Verdict) answer {
	if v.Text == "" {
		return answer{}
	}
	return answer{verdicts: []fleet.Verdict{v}}
}

// jobRule is one rule about jobs.
type jobRule struct {
	id       string
	severity fleet.Severity // the most that it says
	doc      string         // what it says, in one line
	ask      func(*jobCase) answer
}

// jobRules are all rules about jobs that run, in the order in which what they say of equal weight is told.
func jobRules() []jobRule {
	return []jobRule{
		{"job.hang", fleet.Critical, "all ranks wait longer than the job's own pauses last; who differs is the suspect. Critical when something else is wrong too", hang},
		{"job.stopped", fleet.Critical, "a rank's process is stopped, or cannot be woken", stoppedRanks},
		{"job.gpu-broken", fleet.Critical, "a GPU of the job cannot go on", func(c *jobCase) answer { return says(broken(c.j, c.nodes)) }},
		{"job.hurt", fleet.Warning, "something that the job runs on has a problem", func(c *jobCase) answer { return says(hurt(c.j, c.nodes)) }},
		{"job.oom", fleet.Critical, "the kernel killed a rank for want of memory", oomKilled},
		{"job.missing", fleet.Warning, "ranks that should be there are not seen", missing},
		{"job.restarted", fleet.Warning, "the job's processes started anew, perhaps again and again", restarted},
		{"job.leftovers", fleet.Warning, "processes hold GPUs on which they have no business any more", func(c *jobCase) answer { return says(leftovers(c.j, c.at, c.m)) }},
		{"job.straggler", fleet.Warning, "a rank, GPU, node, stage or port is persistently unlike its peers", stragglers},
		{"job.checkpoint-stall", fleet.Warning, "saving takes much longer than it did before", checkpoint},
		{"job.memory-creep", fleet.Warning, "memory fills steadily, with the time until it is full", creeping},
		{"job.memory-imbalance", fleet.Warning, "a rank holds much more memory than its peers, and is nearly full", imbalance},
		{"job.dataloader", fleet.Warning, "GPUs wait for data in step with the CPUs or disks of their nodes", dataloader},
		{"job.no-progress", fleet.Warning, "GPUs do nothing and the log is silent for long", silent},
		{"job.libraries", fleet.Notice, "ranks have loaded different versions of a library", func(c *jobCase) answer { return says(differing(c.j)) }},
		{"waste.idle", fleet.Notice, "GPUs are held and not used", func(c *jobCase) answer { return says(idle(c.j)) }},
	}
}
