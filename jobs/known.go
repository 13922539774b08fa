package jobs

// Known is what schedulers know and processes do not say. Assemble changes none of it; every part may be empty.
type Known struct {
	Jobs       map[string]KnownJob // by key, as a scheduler has it: "slurm/8123", "kubernetes/NAMESPACE/KIND/NAME"
	Pods       map[string]KnownPod // by uid, with hyphens
	Containers map[string]KnownPod // by id, without the runtime's prefix: where the path of a process names no pod
	SLUIDs     map[string]string   // of Slurm, to the key of the job
	// Whole names the schedulers, by their word in Job.Scheduler, whose every running job is in Jobs: a job that one of them does not have is over. Where the fleet has
	// several clusters of one kind, all of them must be there.
	Whole map[string]bool
}

// KnownJob is a job as its scheduler knows it. What is empty leaves what the processes say.
type KnownJob struct {
	ID, Name, User, Partition string
	PartOf                    string   // key of the job that it is a part of, such as the first of a heterogeneous job; "" none
	Hosts                     []string // that it runs on, by the scheduler's names
	Restarts                  int
	EndLimitMS                int64 // Unix time; 0 unknown
	Ended                     bool
}

// KnownPod is a pod as the Kubernetes API knows it.
type KnownPod struct {
	Job  string // key of its job; "" the pod alone
	Name string
	User string // who the person would recognise; "" unknown
}

// podOf is the pod of a claim, nil where nobody knows it.
func (k *Known) podOf(c *claim) *KnownPod {
	if k == nil || c.pod == "" && c.container == "" {
		return nil
	}
	if p, ok := k.Pods[c.pod]; ok {
		return &p
	}
	if p, ok := k.Containers[c.container]; ok {
		return &p
	}
	return nil
}

// over says whether a job's scheduler says that it has ended, or would know it and does not.
func (k *Known) over(key, scheduler string) bool {
	if k == nil {
		return false
	}
	if j, ok := k.Jobs[key]; ok {
		return j.Ended
	}
	return k.Whole[scheduler]
}

// enrich puts a scheduler's words before those of the processes.
func (j *Job) enrich(k *Known) {
	if k == nil {
		return
	}
	known, ok := k.Jobs[j.Key]
	if !ok {
		return
	}
	for _, w := range []struct {
		to   *string
		word string
	}{{&j.ID, known.ID}, {&j.Name, known.Name}, {&j.User, known.User}, {&j.Partition, known.Partition}} {
		if w.word != "" {
			*w.to = ""
			set(w.to, w.word)
		}
	}
	j.Restarts = max(j.Restarts, known.Restarts)
	if known.EndLimitMS > 0 {
		j.EndLimitMS = known.EndLimitMS
	}
}
