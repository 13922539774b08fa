package report

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"foretop/fleet"
)

// How many snapshots of a source are looked at: so many over its time, and at most so many more where something began.
const (
	maxSteps   = 120
	maxMoments = 200
	leastStep  = time.Second
	afterwards = 2 * time.Second // after something began rules have said what it is
)

// errNothing is a source without a snapshot.
var errNothing = errors.New("there is nothing in the time that is asked for")

// gathered is what snapshots come to.
type gathered struct {
	opt     Options
	from    time.Time // of the report
	to      time.Time
	job     *fleet.Job // as it was last seen; nil: the whole fleet is told, or it was not seen
	jobs    map[string]bool
	known   map[string]string // jobs by key: how a person calls them
	nodes   map[string]*fleet.Node
	order   []string // names of nodes, as they came
	last    *fleet.Snapshot
	found   episodes
	folded  incidents
	changed changes
	kernel  kernelBook
	devices []device
	numbers samples
	sampled bool              // histories do not reach so far
	seen    map[deviceKey]int // index in devices
	failed  int               // snapshots that could not be had
	why     error
}

// gather looks at a source from its beginning to its end.
func gather(ctx context.Context, src Source, opt Options) (*story, error) {
	g := &gathered{opt: opt, jobs: map[string]bool{}, known: map[string]string{}, nodes: map[string]*fleet.Node{}, seen: map[deviceKey]int{}}
	from, to := later(src.From, opt.From), src.To
	if !opt.To.IsZero() && opt.To.Before(to) {
		to = opt.To
	}
	if to.Before(from) {
		return nil, fmt.Errorf("%w: %s is from %s to %s", errNothing, plain(src.Of), src.From.In(opt.Location).Format(time.DateTime), src.To.In(opt.Location).Format(time.DateTime))
	}
	g.sampled = !reaches(src, to.Sub(from))
	for i, at := range moments(from, to, src.Moments) {
		s, err := src.At(ctx, at)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil || s == nil {
			g.failed++
			g.why = err
			continue
		}
		if err := g.take(s, i); err != nil {
			return nil, err
		}
	}
	switch {
	case g.last == nil:
		return nil, errors.Join(errNothing, g.why)
	case opt.Job != "" && g.job == nil:
		return nil, g.noJob()
	}
	g.from, g.to = from, to
	if !opt.From.IsZero() && opt.From.Before(from) {
		g.from = opt.From // what began before it is known by what rules and kernels say of it
	}
	return g.story(src, from, to), nil
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// take looks at one snapshot, later than the one before.
func (g *gathered) take(s *fleet.Snapshot, i int) error {
	g.last = s
	for _, j := range s.Jobs {
		g.known[j.Key] = jobName(j)
	}
	if g.opt.Job != "" {
		j, err := find(s, g.opt.Job, g.jobs)
		if err != nil {
			return err
		}
		if j != nil {
			g.job = j
			g.jobs[j.Key] = true
		}
		if g.job != nil {
			for _, name := range g.job.Nodes {
				if n := s.Node(name); n != nil {
					g.see(n)
				}
			}
		}
	} else {
		for _, n := range s.Nodes {
			g.see(n)
		}
	}
	g.hold(s)
	if g.sampled {
		g.numbers.take(s, g.devices, g.order)
	}
	for _, name := range g.order {
		if n := s.Node(name); n != nil {
			g.kernel.take(n)
		}
	}
	g.found.take(s, i, func(f *fleet.Stated) bool {
		if f.Job != "" {
			return g.opt.Job == "" || g.jobs[f.Job]
		}
		return g.ofNode(f.Node)
	})
	g.folded.take(s, g.concerned)
	g.changed.take(s, g.ofNode, func(j *fleet.Job) bool { return g.opt.Job == "" || g.jobs[j.Key] })
	return nil
}

func (g *gathered) ofNode(name string) bool { return g.nodes[name] != nil }

// concerned says that an incident is of the report's job, or of its nodes.
func (g *gathered) concerned(in *fleet.Incident) bool {
	return g.opt.Job == "" || slices.ContainsFunc(in.Jobs, func(key string) bool { return g.jobs[key] }) || slices.ContainsFunc(in.Nodes, g.ofNode)
}

func (g *gathered) see(n *fleet.Node) {
	if g.nodes[n.Name] == nil {
		g.order = append(g.order, n.Name)
	}
	g.nodes[n.Name] = n
}

// find finds the job that is meant: the one found before, else by key, id or name. Of several of one name none is meant.
func find(s *fleet.Snapshot, word string, before map[string]bool) (*fleet.Job, error) {
	var named []*fleet.Job
	for _, j := range s.Jobs {
		switch {
		case before[j.Key], len(before) == 0 && (j.Key == word || j.ID == word):
			return j, nil
		case len(before) == 0 && j.Name == word:
			named = append(named, j)
		}
	}
	switch len(named) {
	case 0:
		return nil, nil
	case 1:
		return named[0], nil
	}
	ids := make([]string, len(named))
	for i, j := range named {
		ids[i] = plain(j.ID)
	}
	return nil, fmt.Errorf("%d jobs are called %s: name one of %s", len(named), plain(word), strings.Join(ids[:min(len(ids), 8)], ", "))
}

// noJob says which jobs there are.
func (g *gathered) noJob() error {
	var names []string
	for _, name := range g.known {
		names = append(names, name)
	}
	slices.Sort(names)
	if len(names) == 0 {
		return fmt.Errorf("no job %s was seen, nor any other", plain(g.opt.Job))
	}
	more := ""
	if n := len(names) - 8; n > 0 {
		names, more = names[:8], fmt.Sprintf(" and %d more", n)
	}
	return fmt.Errorf("no job %s was seen: there are %s%s", plain(g.opt.Job), strings.Join(names, ", "), more)
}

// story puts together what was gathered; numbers are there from first to end.
func (g *gathered) story(src Source, first, end time.Time) *story {
	s := &story{
		Title: "Fleet", Written: g.opt.Written, By: g.opt.By, Of: plain(src.Of), From: g.from, To: g.to, ActsNote: g.opt.ActsNote, where: g.opt.Location,
	}
	if g.job != nil {
		s.Title = strings.ToUpper(jobName(g.job)[:1]) + jobName(g.job)[1:]
	}
	s.Facts = g.facts()
	s.Incident, s.Cut.Incidents = g.folded.within(g.from, g.to)
	s.Episodes, s.Cut.Episodes = g.found.within(g.from, g.to)
	s.Kernel, s.Cut.Kernel = g.kernel.within(kernelFrom(s.Episodes, g.from), g.to)
	s.Acts, s.Cut.Acts = g.acts()
	s.Timeline, s.Cut.Timeline = timeline(s.Episodes, g.changed.list, s.Acts, g.from, g.to)
	s.Maps, s.Cut.Rows = g.maps(src, first, end)
	s.MapsNote = mapsNote(s.Maps, src, first, end, g.from)
	s.Unseen = g.unseen()
	s.Summary = g.summary(s.Episodes)
	if len(s.Incident) > 0 && s.Incident[0].Severity >= fleet.Warning {
		s.Summary = append([]string{plain(s.Incident[0].Title) + "."}, s.Summary...)
	}
	return s
}

// What a finding says that stood when the report begins, a kernel may have said before that: it is told from so long before the finding, which began at most so long ago.
const (
	kernelBefore = time.Minute
	kernelBack   = 24 * time.Hour
)

// kernelFrom is from when kernel lines are told.
func kernelFrom(found []episode, from time.Time) time.Time {
	first := from
	for i := range found {
		if e := &found[i]; e.Severity >= fleet.Warning && e.Begin.Before(first) && from.Sub(e.Begin) < kernelBack {
			first = e.Begin
		}
	}
	if first.Before(from) {
		first = first.Add(-kernelBefore)
	}
	return first
}

// actLines is how far before its time a report tells what was done: a drain that somebody asked for explains what follows.
const actLines = time.Hour

// acts are those of the report's time that are about its job or nodes.
func (g *gathered) acts() (list []Act, left int) {
	words := map[string]bool{}
	for _, name := range g.order {
		words[name] = true
		for _, sn := range g.nodes[name].Scheduled {
			if sn.Node != nil {
				words[sn.Node.Name] = true
			}
		}
	}
	if g.job != nil {
		words[g.job.ID], words[g.job.Key] = true, true
	}
	for _, a := range g.opt.Acts {
		if a.At.Before(g.from.Add(-actLines)) || a.At.After(g.to) || !concerns(a.Target, words) && !concerns(a.Where, words) {
			continue
		}
		list = append(list, Act{At: a.At, Who: plain(a.Who), What: plain(a.What), Target: plain(a.Target), State: plain(a.State), Where: plain(a.Where), Words: plain(a.Words)})
	}
	slices.SortStableFunc(list, func(a, b Act) int { return a.At.Compare(b.At) })
	if left = len(list) - maxActs; left > 0 {
		list = list[left:]
	}
	return list, max(left, 0)
}

// concerns says that a text names a node or job, as a word of its own.
func concerns(text string, words map[string]bool) bool {
	for w := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ' ' || r == ',' || r == '(' || r == ')' || r == ':' }) {
		if words[w] {
			return true
		}
	}
	return false
}

// summary says in a few sentences what the findings come to.
func (g *gathered) summary(list []episode) []string {
	count := map[fleet.Severity]int{}
	known, standing := 0, 0
	var first *episode
	for i := range list {
		e := &list[i]
		if e.KnownBad {
			known++
			continue
		}
		count[e.Severity]++
		if e.Severity >= fleet.Warning && e.End.IsZero() {
			standing++
		}
		if first == nil && e.Severity == fleet.Critical {
			first = e
		}
	}
	var out []string
	switch {
	case count[fleet.Critical]+count[fleet.Warning] > 0:
		out = append(out, fmt.Sprintf("%d critical, %s; %d of them stood at the end.", count[fleet.Critical], many(count[fleet.Warning], "warning"), standing))
	default:
		out = append(out, "Nothing was found that is a warning or worse.")
	}
	if first != nil {
		out = append(out, fmt.Sprintf("The first critical one, at %s: %s.", first.Begin.In(g.opt.Location).Format(time.TimeOnly), first.Line()))
	}
	if known > 0 {
		out = append(out, fmt.Sprintf("%s on nodes that are out of service.", many(known, "finding")))
	}
	return out
}

// unseen says what the report does not speak of.
func (g *gathered) unseen() (out []string) {
	var gone, silent []string
	for _, name := range g.order {
		n := g.last.Node(name)
		switch {
		case n == nil || n.LastData.IsZero():
			gone = append(gone, name)
		case !n.HearsXids():
			silent = append(silent, name)
		}
	}
	if len(gone) > 0 {
		out = append(out, "never seen live: "+g.fold(gone))
	}
	if len(silent) > 0 {
		out = append(out, "kernel log and Xids not read: "+g.fold(silent))
	}
	if g.job != nil && g.job.UnwatchedText != "" {
		out = append(out, "nodes of the job that were not watched: "+plain(g.job.UnwatchedText))
	}
	if g.failed > 0 {
		out = append(out, fmt.Sprintf("%s could not be read: %s", many(g.failed, "moment"), plain(fmt.Sprint(g.why))))
	}
	return out
}

// fold names nodes, as short as it can.
func (g *gathered) fold(names []string) string {
	if g.opt.Fold != nil {
		return plain(g.opt.Fold(names))
	}
	return plain(strings.Join(names, ","))
}
