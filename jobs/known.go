package jobs

// Known is what schedulers know and processes do not say. Assemble changes none of it; every part may be empty.
type Known struct {
	Jobs   map[string]KnownJob // by key, as a scheduler has it: "slurm/8123", "kubernetes/NAMESPACE/KIND/NAME"
	Pods   map[string]KnownPod // by uid, with hyphens, and by the ids of their containers without the runtime's prefix: a process's path may name either
	SLUIDs map[string]string   // of Slurm, to the key of the job
	// Whole is of each scheduler, by its word in Job.Scheduler, the Unix time in ms up to which every job that ran is in Jobs: an older one that is not there is over.
	// Where the fleet has several clusters of one kind, all of them must be there. A scheduler that may have more jobs is not in it.
	Whole map[string]int64
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

// podOf is the pod that a process says it is in, nil where nobody knows it.
func (k *Known) podOf(c *ties) *KnownPod {
	if k == nil || c.pod == "" && c.container == "" {
		return nil
	}
	if p, ok := k.Pods[c.pod]; ok {
		return &p
	}
	if p, ok := k.Pods[c.container]; ok {
		return &p
	}
	return nil
}

// over says whether the scheduler of a job that started then says that it has ended, or would know it and does not.
func (k *Known) over(key, scheduler string, startMS int64) bool {
	if k == nil {
		return false
	}
	if j, ok := k.Jobs[key]; ok {
		return j.Ended
	}
	return startMS > 0 && startMS < k.Whole[scheduler]
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
