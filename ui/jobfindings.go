package ui

import (
	"slices"
	"strconv"

	"foretop/fleet"
)

// jobFinding is something that is wrong with a job, or with a node that it runs on.
type jobFinding struct {
	severity fleet.Severity
	when     string
	where    string
	text     string
}

// foundOf is what was found wrong with a job in a snapshot.
type foundOf struct {
	snap *fleet.Snapshot
	job  *fleet.Job
	list []jobFinding
}

// jobFindings are all that is known to be wrong: with the job as a whole, then with its nodes, the worst first. They are looked for once a picture.
func (m *Model) jobFindings(j *fleet.Job) []jobFinding {
	if f := &m.job.found; f.snap != m.snap || f.job != j {
		*f = foundOf{m.snap, j, m.findWrong(j)}
	}
	return m.job.found.list
}

func (m *Model) findWrong(j *fleet.Job) (found []jobFinding) {
	var out []jobFinding
	if in := m.incidentOfJob(j.Key); in != nil {
		defer func() {
			first := jobFinding{in.Severity, m.clock(in.Since), "incident (3)", in.Title}
			found = append([]jobFinding{first}, found...)
		}()
	}
	for _, f := range j.Findings {
		if f.Severity > fleet.Fine {
			out = append(out, jobFinding{severity: f.Severity, text: f.Text})
		}
	}
	if len(out) == 0 && j.Severity > fleet.Fine {
		out = append(out, jobFinding{severity: j.Severity, text: jobText(j)})
	}
	for _, name := range j.Nodes {
		n := m.index.node(name)
		if n == nil {
			continue
		}
		if n.State.Out() {
			out = append(out, jobFinding{reachSeverity(n), m.clock(n.Since), name, n.State.String() + ": " + nodeNote(n, m.snap.At)})
		}
		for i := range n.Problems {
			p := &n.Problems[i]
			if p.GPU >= 0 && !onJob(j, name, p.GPU) || p.Severity < fleet.Notice {
				continue
			}
			f := jobFinding{p.Severity, m.clock(p.Since), name, p.Text}
			if p.GPU >= 0 {
				if r := rankOn(j, name, p.GPU); r >= 0 {
					f.text += " (rank " + strconv.Itoa(r) + ")"
				}
			}
			out = append(out, f)
		}
	}
	slices.SortStableFunc(out, func(a, b jobFinding) int { return int(b.severity) - int(a.severity) })
	return out
}

// onJob says whether a GPU is one of a job's.
func onJob(j *fleet.Job, node string, gpu int) bool {
	return slices.ContainsFunc(j.GPUs, func(r fleet.GPURef) bool { return r.Index == gpu && r.Node == node })
}

// rankOn is the rank on a GPU; -1: none is known.
func rankOn(j *fleet.Job, node string, gpu int) int {
	for i := range j.GPUs {
		if r := &j.GPUs[i]; r.Index == gpu && r.Node == node {
			return r.Rank
		}
	}
	return -1
}

func (m *Model) drawJobFindings(a area, j *fleet.Job) {
	list := m.jobFindings(j)
	if len(list) == 0 {
		what := "nothing wrong was seen"
		if j.State == fleet.JobUnchecked {
			what = "not checked: " + jobText(j)
		}
		a.cut(tableIndent, 0, a.w-tableIndent, what, fg(colDim))
		return
	}
	for y := 0; y < a.h && y < len(list); y++ {
		f := &list[y]
		if y == a.h-1 && len(list) > a.h {
			a.cut(tableIndent, y, a.w-tableIndent, "and "+strconv.Itoa(len(list)-y)+" more", fg(colDim))
			return
		}
		k := severityMark(f.severity)
		a.text(1, y, string(k.r), k.st)
		x := tableIndent
		if f.when != "" {
			x = a.text(x, y, f.when+" ", fg(colDim))
		}
		if f.where != "" {
			x = a.text(x, y, f.where+" ", fg(colStrong))
		}
		a.cut(x, y, a.w-x, f.text, k.st)
	}
}
