package findings

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"foretop/fleet"
	"foretop/telemetry"
)

// startingFor is how long ranks may take to appear.
const startingFor = time.Minute

// Job says how a job does: the worst of what is found, in words.
func Job(j *fleet.Job, nodes func(name string) *fleet.Node, at time.Time, m fleet.Memory) fleet.Verdict {
	worst := fleet.Verdict{State: fleet.JobRunning, Text: "running"}
	consider := func(v fleet.Verdict) {
		if v.Text != "" && (v.Severity > worst.Severity || worst.State == fleet.JobRunning) {
			worst = v
		}
	}
	reach, live := reached(j, nodes)
	consider(reach)
	if live == 0 && len(j.Nodes) > 0 {
		return worst
	}
	seen := look(j)
	consider(noProgress(seen, at, m))
	consider(broken(j))
	consider(missing(j, at, m))
	consider(unlike(seen, at, m))
	consider(idle(j))
	if len(seen.gpus) > 0 && seen.read == 0 {
		consider(fleet.Verdict{State: fleet.JobUnchecked, Severity: fleet.Notice, Text: "not checked: no GPU readings"})
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
		v := fleet.Verdict{State: fleet.JobSuspect, Severity: s, Text: fmt.Sprintf("%d of %d nodes %s: %s", len(names), len(j.Nodes), word, list(names))}
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
func broken(j *fleet.Job) fleet.Verdict {
	for i := range j.GPUs {
		ref := &j.GPUs[i]
		if !isBroken(ref) || ref.State != fleet.Live {
			continue
		}
		word := "critical"
		switch ref.GPU.Status {
		case telemetry.GPULost:
			word = "lost"
		case telemetry.GPUUnanswered:
			word = "not answering"
		case telemetry.GPUFailing:
			word = "failing"
		}
		text := fmt.Sprintf("%s GPU%d %s", ref.Node, ref.Index, word)
		if ref.Rank >= 0 {
			text += fmt.Sprintf(" (rank %d)", ref.Rank)
		}
		return fleet.Verdict{State: fleet.JobSuspect, Severity: fleet.Critical, Text: text}
	}
	return fleet.Verdict{}
}

func isBroken(ref *fleet.GPURef) bool {
	return ref.GPU != nil && (ref.GPU.Status > telemetry.GPUOK || ref.GPU.Severity >= fleet.Critical)
}

// missing says which ranks are not seen. That they were all seen before makes it a warning; else they may run where we do not look.
func missing(j *fleet.Job, at time.Time, m fleet.Memory) fleet.Verdict {
	const complete = "was complete"
	if j.World == 0 {
		return fleet.Verdict{}
	}
	if j.MissingN == 0 {
		m.Since(complete, true, at)
		return fleet.Verdict{}
	}
	if _, was := m[complete]; !was && !j.Start.IsZero() && at.Sub(j.Start) < startingFor {
		return fleet.Verdict{State: fleet.JobStarting, Text: fmt.Sprintf("starting: %d of %d ranks", len(j.Ranks), j.World)}
	}
	if _, was := m[complete]; !was && j.NodesPending > 0 {
		return fleet.Verdict{State: fleet.JobStarting, Text: fmt.Sprintf("%d of %d ranks so far, %d nodes still connecting", len(j.Ranks), j.World, j.NodesPending)}
	}
	v := fleet.Verdict{State: fleet.JobPartial, Severity: fleet.Notice, Text: fmt.Sprintf("%d of %d ranks not seen: %s", j.MissingN, j.World, ranges(j.Missing, j.MissingN))}
	if _, was := m[complete]; was {
		v.Severity = fleet.Warning
	}
	return v
}

// idle says how many of the GPUs are held and unused.
func idle(j *fleet.Job) fleet.Verdict {
	if j.IdleGPUs == 0 {
		return fleet.Verdict{}
	}
	return fleet.Verdict{State: fleet.JobIdle, Severity: fleet.Notice, Text: fmt.Sprintf("%d of %d GPUs idle", j.IdleGPUs, len(j.GPUs))}
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
