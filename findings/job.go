package findings

import (
	"cmp"
	"fmt"
	"foretop/telemetry"
	"strconv"
	"strings"
	"time"

	"foretop/fleet"
	"foretop/jobs"
)

// startingFor is how long ranks may take to appear.
const startingFor = time.Minute

// job says how a job does: the worst of what is found, in words. All that is found is put into j.Findings, and what could not be looked at into j.Unchecked.
func (w *watches) job(j *fleet.Job, nodes func(name string) *fleet.Node, at time.Time, m *fleet.Memory) fleet.Verdict {
	if !j.Ended.IsZero() {
		return w.set.ended(j, nodes, at)
	}
	worst := fleet.Verdict{State: fleet.JobRunning, Text: "running"}
	j.Findings, j.Unchecked = nil, nil
	consider := func(rule string, v fleet.Verdict) {
		if v.Rule = cmp.Or(v.Rule, rule); !w.set.On(v.Rule) {
			return
		}
		v = advise(v)
		if v.Text != "" && v.State != fleet.JobRunning || v.Severity > fleet.Fine {
			j.Findings = append(j.Findings, v)
		}
		if v.Text != "" && (v.Severity > worst.Severity || worst.State == fleet.JobRunning && worst.Severity == fleet.Fine) {
			worst = v
		}
	}
	past := pastOf[jobPast](m)
	reach, live := reached(j, nodes)
	consider("job.nodes-lost", reach)
	for _, v := range scheduled(j, nodes, at, past) {
		consider("", v)
	}
	if live == 0 && len(j.Nodes) > 0 {
		return worst
	}
	c := w.of(j.Key, at).open(j, nodes, at, past)
	defer c.w.close()
	c.w.observe(j, nodes, at)
	for i := range jobRules {
		r := &jobRules[i]
		if !w.set.On(r.id) {
			continue
		}
		a := r.ask(c)
		for _, v := range a.verdicts {
			consider(r.id, v)
		}
		if a.unchecked != "" {
			c.w.unchecked(j, r.id, a.unchecked)
		}
	}
	c.w.said = j.Unchecked
	switch seen := &c.w.seen; {
	case len(j.GPUs) == 0 || seen.read > 0:
	case seen.told == 0:
		consider("job.unchecked", fleet.Verdict{State: fleet.JobUnchecked, Severity: fleet.Notice, Text: "not checked: no GPU readings"})
	default: // a kind that does not tell both use and power, or a part of a GPU
		consider("job.unchecked", fleet.Verdict{State: fleet.JobRunning, Text: "running · progress not checked"})
	}
	return worst
}

// reached says which of the job's nodes are out of sight.
func reached(j *fleet.Job, nodes func(string) *fleet.Node) (v fleet.Verdict, live int) {
	var gone, stale, other []string
	for _, name := range j.Nodes {
		n := nodes(name)
		switch {
		case n == nil:
			other = append(other, name)
		case n.State == fleet.Live:
			live++
		case n.State == fleet.Stale:
			stale = append(stale, name)
		case n.State.Pending():
			other = append(other, name)
		default:
			gone = append(gone, name)
		}
	}
	out := func(s fleet.Severity, names []string, word string) fleet.Verdict {
		v := fleet.Verdict{State: fleet.JobSuspect, Severity: s, Text: fmt.Sprintf("%s %s (%d of %d nodes)", list(names), word, len(names), len(j.Nodes))}
		switch {
		case len(j.Nodes) == 1:
			v.Text = names[0] + " " + word
		case len(names) == len(j.Nodes):
			v.Text = fmt.Sprintf("all %d nodes %s", len(names), word)
		}
		for _, name := range names[:min(len(names), maxSuspects)] {
			v.Suspects = append(v.Suspects, fleet.SuspectNode(name))
		}
		if live == 0 {
			v.State, v.Text = fleet.JobUnchecked, "not checked: "+v.Text
		}
		return v
	}
	switch {
	case len(gone) > 0:
		return out(fleet.Critical, gone, "lost"), live
	case len(stale) > 0:
		return out(fleet.Warning, stale, "stale"), live
	case len(other) > 0:
		v := out(fleet.Notice, other, "not connected")
		if live > 0 {
			v.State = fleet.JobUnchecked
		}
		return v, live
	}
	return fleet.Verdict{}, live
}

// broken finds a GPU of the job that cannot go on.
func broken(j *fleet.Job, nodes func(string) *fleet.Node) fleet.Verdict {
	for i := range j.GPUs {
		ref := &j.GPUs[i]
		if !isBroken(ref) || ref.State != fleet.Live {
			continue
		}
		words := brokenWords(ref, nodes(ref.Node))
		text := fmt.Sprintf("%s GPU%d %s", ref.Node, ref.Index, words)
		if problem, ok := strings.CutPrefix(words, "critical: "); ok {
			text = ref.Node + " " + problem
		}
		return fleet.Verdict{State: fleet.JobSuspect, Severity: fleet.Critical, Text: text + rankOf(ref), Suspects: []fleet.Suspect{ref.Suspect()},
			Remedy: "restart the job without it, and take its node out"}
	}
	return fleet.Verdict{}
}

// hurt finds what is wrong with what the job runs on but does not end it: a problem of its GPUs, or of a port that only it can use.
func hurt(c *jobCase) fleet.Verdict {
	j := c.j
	for at, name := range j.Nodes {
		n := c.w.on[at]
		if n == nil || n.State != fleet.Live {
			continue
		}
		for i := range n.Problems { // worst first
			p := &n.Problems[i]
			if p.Severity < fleet.Warning {
				break
			}
			v := fleet.Verdict{State: fleet.JobSuspect, Severity: fleet.Warning, Text: name + " " + brief(p.Text), Since: p.Since, Evidence: p.Evidence, Remedy: p.Remedy}
			if p.GPU >= 0 {
				if ref := device(j, name, p.GPU); ref != nil {
					v.Text += rankOf(ref)
					v.Suspects = []fleet.Suspect{ref.Suspect()}
					return v
				}
			} else if p.Port >= 0 && len(j.GPUs) > 0 && len(n.Jobs) == 1 && n.Jobs[0] == j.Key {
				s := fleet.SuspectNode(name)
				s.Port = p.Port
				v.Suspects = []fleet.Suspect{s}
				return v
			}
		}
	}
	return fleet.Verdict{}
}

// device is the job's GPU of that index on a node, nil when it is not the job's.
func device(j *fleet.Job, node string, index int) *fleet.GPURef {
	for i := range j.GPUs {
		if ref := &j.GPUs[i]; ref.Index == index && ref.Node == node {
			return ref
		}
	}
	return nil
}

// brief is a problem's text for where there is little room: what a GPU is slowed by says that it is slowed.
func brief(text string) string {
	if gpu, why, ok := strings.Cut(text, " slowed: "); ok {
		why, _, _ = strings.Cut(why, " (")
		return gpu + " " + why
	}
	return text
}

// rankOf is " (rank 21)", or nothing where no rank is known.
func rankOf(ref *fleet.GPURef) string {
	if ref.Rank < 0 {
		return ""
	}
	return fmt.Sprintf(" (rank %d)", ref.Rank)
}

func isBroken(ref *fleet.GPURef) bool {
	return ref.GPU != nil && (ref.GPU.Status > telemetry.GPUOK || ref.GPU.Severity >= fleet.Critical)
}

// leftovers says which of a job's processes hold GPUs on which they have no business any more. That the whole job is over is said elsewhere, and a job's processes
// come and go one by one: only what lasts is told.
func leftovers(j *fleet.Job, at time.Time, past *jobPast) fleet.Verdict {
	var nodes []string
	first, processes, gpus := fleet.Leftover{}, 0, 0
	for _, o := range j.Leftovers {
		if o.Why == jobs.JobEnded {
			continue
		}
		if processes == 0 {
			first = o
		}
		processes, gpus = processes+1, gpus+o.GPUs
		if len(nodes) == 0 || nodes[len(nodes)-1] != o.Node {
			nodes = append(nodes, o.Node)
		}
	}
	if past.orphans.note(processes > 0, at) < leftoverFor || processes == 0 {
		return fleet.Verdict{}
	}
	who := fmt.Sprintf("pid %d holds", first.PID)
	if processes > 1 {
		who = fmt.Sprintf("%d processes hold", processes)
	}
	what := "1 GPU"
	if gpus > 1 {
		what = fmt.Sprintf("%d GPUs", gpus)
	}
	return fleet.Verdict{State: fleet.JobSuspect, Severity: fleet.Warning, Text: fmt.Sprintf("left over: %s %s on %s, %s", who, what, list(nodes), first.Why)}
}

// differing says that ranks of a job have loaded different versions of a library: some fail only when they talk to one another.
func differing(j *fleet.Job) fleet.Verdict {
	for i := 1; i < len(j.Libraries); i++ {
		if most, other := j.Libraries[i-1], j.Libraries[i]; most.Name == other.Name {
			return fleet.Verdict{State: fleet.JobRunning, Severity: fleet.Notice,
				Text: fmt.Sprintf("%s differs: %s on %d ranks, %s on %d (%s)", most.Name, most.Version, most.Ranks, other.Version, other.Ranks, other.Node)}
		}
	}
	return fleet.Verdict{}
}

// list names a few.
func list(names []string) string {
	const most = 3
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return strings.Join(names[:most], ", ") + ", …"
}

// ranges writes ascending numbers as "4, 5, 8-15"; "…" stands for those that are not listed.
func ranges(numbers []int, all int) string {
	const most = 4
	var parts []string
	i := 0
	for i < len(numbers) && len(parts) < most {
		end := i
		for end+1 < len(numbers) && numbers[end+1] == numbers[end]+1 {
			end++
		}
		switch end - i {
		case 0:
			parts = append(parts, strconv.Itoa(numbers[i]))
		case 1:
			parts = append(parts, strconv.Itoa(numbers[i]), strconv.Itoa(numbers[end]))
		default:
			parts = append(parts, fmt.Sprintf("%d-%d", numbers[i], numbers[end]))
		}
		i = end + 1
	}
	if i < all {
		parts = append(parts, "…")
	}
	return strings.Join(parts, ", ")
}
