package ui

import (
	"strconv"
	"strings"
	"time"

	"foretop/fleet"
)

// rasRows bounds the section of what NCCL says of a job: its page has others.
const rasRows = 8

// rasThere says that there is something to be said of a job's RAS: a report, or why there is none.
func rasThere(j *fleet.Job) bool { return j.RAS != nil || noRAS(j) != "" }

// noRAS is why a job that runs is not asked; "" it is, or will be.
func noRAS(j *fleet.Job) string {
	if !j.Ended.IsZero() || len(j.Ranks) == 0 {
		return ""
	}
	return j.NoRAS()
}

// rasTitle says whose word it is, and how old.
func (m *Model) rasTitle(j *fleet.Job) string {
	r := j.RAS
	if !r.Told() {
		return "NCCL's own word (RAS)"
	}
	words := "NCCL's own word (RAS), " + formatShort(max(0, m.snap.At.Sub(r.At))) + " ago"
	if r.NCCL != "" {
		words += ", NCCL " + r.NCCL
	}
	return words + ", asked on " + r.Node
}

// rasLines are what NCCL says of a job: who is gone, who lags, then the communicators.
func (m *Model) rasLines(j *fleet.Job) (lines []lineDraw) {
	say := func(k mark, strong, words, dim string) {
		lines = append(lines, func(a area) {
			a.text(1, 0, string(k.r), k.st)
			x := a.text(tableIndent, 0, strong, k.st)
			a.cut(x, 0, a.w-x, words, style{})
			x += a.width(words)
			a.cut(x, 0, a.w-x, dim, fg(colDim))
		})
	}
	plain := func(words string) {
		lines = append(lines, func(a area) { a.cut(tableIndent, 0, a.w-tableIndent, words, fg(colDim)) })
	}
	r := j.RAS
	switch {
	case r == nil:
		plain("not checked: " + noRAS(j))
		return lines
	case r.Error != "":
		plain("not checked: " + r.Error)
		if r.Remedy != "" {
			plain(r.Remedy)
		}
		return lines
	}
	for i := range r.Gone {
		g := &r.Gone[i]
		say(severityMark(rasGrave(g)), g.Who()+" "+g.Says(), rasPlace(g), rasSame(g, r.At))
	}
	for i := range r.Lagging {
		l := &r.Lagging[i]
		further := " · " + strconv.Itoa(l.Of-l.Behind) + " of " + strconv.Itoa(l.Of-1) + " others are further, up to #" + strconv.FormatUint(l.Most, 10)
		k := severityMark(fleet.Notice)
		if l.Few() && l.Lasts(r.At) > 0 {
			k = severityMark(fleet.Warning)
		}
		say(k, l.Who()+" "+l.Says(), rasPlace(l)+rasSame(l, r.At), further)
	}
	if more := r.LaggingN - len(r.Lagging); more > 0 && len(r.Lagging) > 0 {
		plain("and " + strconv.Itoa(more) + " more that lag")
	}
	switch {
	case !r.StillSince.IsZero():
		say(severityMark(fleet.Notice), "no rank has launched a collective for "+formatShort(r.At.Sub(r.StillSince)), "", "")
	case len(r.Gone)+len(r.Lagging) == 0 && r.CommsTotal > 0:
		say(severityMark(fleet.Fine), "every rank answers, and none lags", "", " (it counts launches of collectives: a stall within one, and sends and receives, are not seen)")
	}
	if r.CommsTotal == 0 {
		plain("no communicator is there yet")
	}
	shown := 0
	for i := range r.Comms {
		c := &r.Comms[i]
		if shown += c.Alike; c.Alike > 0 {
			plain(rasComm(c))
		} else if words := rasLaunched(c); words != "" {
			plain("  " + c.Name + " " + words)
		}
	}
	if more := r.CommsTotal - shown; more > 0 {
		plain("and " + count(more, "more communicator"))
	}
	if r.Timeouts > 0 {
		plain(count(r.Timeouts, "timeout") + " while it gathered")
	}
	return lines
}

// rasGrave is how bad it is what RAS says of a rank that is gone: it calls some gone that are not, and some only tell of others.
func rasGrave(g *fleet.RASRank) fleet.Severity {
	switch {
	case g.GoesOn:
		return fleet.Notice
	case g.State == "dead" && g.Seen, g.Victim():
		return fleet.Warning
	}
	return fleet.Critical
}

// rasPlace is " on gpu040 GPU5".
func rasPlace(r *fleet.RASRank) string {
	if r.Node == "" {
		return ""
	}
	words := " on " + r.Node
	if r.GPU >= 0 {
		words += " GPU" + strconv.Itoa(r.GPU)
	}
	return words
}

// rasSame says for how long reports have said the same of a rank. That a rank lags in one report tells little: collectives are faster than reports.
func rasSame(r *fleet.RASRank, at time.Time) string {
	if d := r.Lasts(at); d > 0 {
		return " · the same for " + formatShort(d)
	}
	if r.State == "" {
		return " · for the moment"
	}
	return ""
}

// rasComm is a communicator in words: "8 communicators of 64 ranks on 64 nodes: running, level at AllReduce #8812".
func rasComm(c *fleet.RASComm) string {
	words := count(max(1, c.Alike), "communicator")
	if c.Alike <= 1 && c.First >= 0 && c.Size > 0 {
		words += " from rank " + strconv.Itoa(c.First)
	}
	if c.Size > 0 {
		words += " of " + count(c.Size, "rank")
	}
	if c.Nodes > 0 {
		words += " on " + count(c.Nodes, "node")
	}
	words += ": " + strings.ToLower(c.Status)
	if c.Errors != "" {
		words += ", " + strings.ToLower(strings.ReplaceAll(c.Errors, ",", ", "))
	}
	if c.Missing > 0 {
		words += ", " + count(c.Missing, "rank") + " not heard"
	}
	if launched := rasLaunched(c); launched != "" {
		words += ", " + launched
	}
	if c.Alike <= 1 && c.Hash != "" {
		words += " (" + c.Hash + ")"
	}
	return words
}

// rasLaunched is how far a communicator's ranks have come: "AllReduce #8812, Broadcast #2".
func rasLaunched(c *fleet.RASComm) string {
	var words []string
	for _, op := range c.Operations {
		name := op.Name
		if name == "" {
			name = "collective"
		}
		if op.Most > 0 {
			words = append(words, name+" #"+strconv.FormatUint(op.Most, 10))
		}
	}
	if len(words) == 0 {
		return ""
	}
	return "up to " + strings.Join(words, ", ")
}

func (m *Model) drawJobRAS(a area, j *fleet.Job) {
	lines := m.rasLines(j)
	for y := 0; y < a.h && y < len(lines); y++ {
		if y == a.h-1 && len(lines) > a.h {
			a.cut(tableIndent, y, a.w-tableIndent, "and "+strconv.Itoa(len(lines)-y)+" more lines", fg(colDim))
			return
		}
		lines[y](a.sub(0, y, a.w, 1))
	}
}

// rasFindings are what NCCL says that is wrong for certain, or has lasted, among what else is: a rank that is gone, and the few that keep the others waiting.
func (m *Model) rasFindings(j *fleet.Job) (out []jobFinding) {
	if !j.RAS.Told() || !j.Ended.IsZero() {
		return nil
	}
	for i := range j.RAS.Gone {
		g := &j.RAS.Gone[i]
		if g.GoesOn {
			continue
		}
		out = append(out, jobFinding{fleet.Warning, m.clock(g.Since), g.Node, "NCCL RAS: " + g.Who() + " " + g.Says()})
	}
	for i := range j.RAS.Lagging {
		if l := &j.RAS.Lagging[i]; l.Few() && l.Lasts(j.RAS.At) > 0 {
			out = append(out, jobFinding{fleet.Notice, m.clock(l.Since), l.Node, "NCCL RAS: " + l.Who() + " " + l.Says()})
		}
	}
	return out[:min(len(out), 4)]
}
