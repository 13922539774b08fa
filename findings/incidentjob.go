package findings

import (
	"strconv"
	"strings"

	"foretop/fleet"
)

// What speaks for a finding on a node as the cause of one of a job.
const (
	namedScore    = 8 // the job's finding names the node, and its GPU
	suspectScore  = 8 // it names the rank that is there
	togetherScore = 4 // they were together before
	criticalScore = 2
)

// foldJobs joins each finding of a job with that on its nodes which explains it best, and those that nothing explains with one another. One cause is taken,
// not all: two faults of one job are two incidents.
func (b *folder) foldJobs() {
	on := map[string][]int{} // findings by node
	byJob := map[string][]int{}
	var order []string
	for i := range b.all {
		f := &b.all[i]
		switch {
		case f.denied:
		case f.Subject.Node != "":
			on[f.Subject.Node] = append(on[f.Subject.Node], i)
		case f.Subject.Job != "":
			if byJob[f.Subject.Job] == nil {
				order = append(order, f.Subject.Job)
			}
			byJob[f.Subject.Job] = append(byJob[f.Subject.Job], i)
		}
	}
	for _, key := range order {
		j := b.job(key)
		explained := -1
		joined := map[int]bool{}
		for _, i := range byJob[key] {
			if cause := b.cause(i, j, on); cause >= 0 {
				b.join(i, cause)
				joined[i] = true
				if explained < 0 || b.all[i].Since.Before(b.all[explained].Since) {
					explained = i
				}
			}
		}
		alone := -1
		for _, i := range byJob[key] {
			if joined[i] {
				continue
			}
			f := &b.all[i]
			switch {
			case explained >= 0 && f.Since.Sub(b.all[explained].Since).Abs() <= causeWithin:
				b.join(i, explained)
			case alone >= 0:
				b.join(i, alone)
			default:
				alone = i
			}
		}
	}
}

// cause is the finding on the job's nodes that explains one of the job best; -1 none.
func (b *folder) cause(i int, j *fleet.Job, on map[string][]int) int {
	f := &b.all[i]
	best, score := -1, -1
	consider := func(k int, named, suspect bool) {
		c := &b.all[k]
		if c.Severity < fleet.Warning || !c.Until.IsZero() && c.Until.Before(f.Since.Add(-causeSlack)) {
			return
		}
		told := f.Since.Sub(c.Since)
		if !named && !suspect && (!c.Began || told < -causeSlack || told > causeWithin) {
			return
		}
		s := 0
		if named {
			s += namedScore
		}
		if suspect && told >= -causeSlack {
			s += suspectScore
		}
		if f.was >= 0 && f.was == c.was {
			s += togetherScore
		}
		if c.Severity == fleet.Critical {
			s += criticalScore
		}
		if s > score || s == score && best >= 0 && b.before1(c, &b.all[best]) < 0 {
			best, score = k, s
		}
	}
	if j == nil {
		if f.was >= 0 { // it is over: it stays where it was
			for _, list := range on {
				for _, k := range list {
					if b.all[k].was == f.was && (best < 0 || k < best) {
						best = k
					}
				}
			}
		}
		return best
	}
	node, gpu := suspectOf(f.Text, j)
	for _, name := range j.Nodes {
		for _, k := range on[name] {
			c := &b.all[k]
			if gpu := c.Subject.GPU; gpu >= 0 && (len(j.GPUs) > 0 && device(j, name, gpu) == nil || len(j.GPUs) == 0 && !had(j, name, gpu)) {
				continue // another job's
			}
			named := names(f.Text, name)
			if named {
				if f.echo = f.Rule != ruleEnded; c.Subject.GPU >= 0 && strings.Contains(f.Text, "GPU") && !names(f.Text, "GPU"+strconv.Itoa(c.Subject.GPU)) {
					named = false
				}
			}
			consider(k, named, node == name && c.Subject.GPU == gpu)
		}
	}
	return best
}

// suspectOf is the GPU of the rank that a job's finding names: "no progress 41 s · rank 131?".
func suspectOf(text string, j *fleet.Job) (node string, gpu int) {
	_, rest, ok := strings.Cut(text, "rank ")
	if !ok {
		return "", -1
	}
	rank, err := strconv.Atoi(rest[:digits(rest)])
	if err != nil {
		return "", -1
	}
	for i := range j.GPUs {
		if j.GPUs[i].Rank == rank {
			return j.GPUs[i].Node, j.GPUs[i].Index
		}
	}
	return "", -1
}

// names says that a text has a word, not only as a part of another.
func names(text, word string) bool {
	for from := 0; ; {
		i := strings.Index(text[from:], word)
		if i < 0 {
			return false
		}
		i += from
		end := i + len(word)
		if (i == 0 || !wordByte(text[i-1])) && (end == len(text) || !wordByte(text[end])) {
			return true
		}
		from = i + 1
	}
}

func wordByte(c byte) bool { return nameByte(c) && c != '.' && c != '/' }
