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
	past  *jobPast
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
	id  string // in [Table]
	ask func(*jobCase) answer
}

// jobRules are all rules about jobs that run, in the order in which what they say of equal weight is told.
var jobRules = [...]jobRule{
	{"job.hang", hang},
	{"job.stopped", stoppedRanks},
	{"job.gpu-broken", func(c *jobCase) answer { return says(broken(c.j, c.nodes)) }},
	{"job.hurt", func(c *jobCase) answer { return says(hurt(c)) }},
	{"job.oom", oomKilled},
	{"job.missing", missing},
	{"job.restarted", restarted},
	{"job.leftovers", func(c *jobCase) answer { return says(leftovers(c.j, c.at, c.past)) }},
	{"job.straggler", stragglers},
	{"job.checkpoint-stall", checkpoint},
	{"job.memory-creep", creeping},
	{"job.memory-imbalance", imbalance},
	{"job.dataloader", dataloader},
	{"job.no-progress", silent},
	{"job.libraries", func(c *jobCase) answer { return says(differing(c.j)) }},
	{"waste.idle", func(c *jobCase) answer { return says(idle(c.j)) }},
	{"waste.partial", func(c *jobCase) answer { return says(partial(c.j)) }},
	{"waste.wrong-nic", func(c *jobCase) answer { return says(wrongNIC(c)) }},
}
