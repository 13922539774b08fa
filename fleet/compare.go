package fleet

import (
	"slices"
	"time"
)

// compareEvery is how often nodes are held against one another.
const compareEvery = 5 * time.Second

// comparison is the state of the rules that hold nodes against one another. It is used by one publication at a time.
type comparison struct {
	at     time.Time
	memory Memory
	told   map[string]bool // nodes of which something was found
}

// compare asks the rules of the whole fleet, and has each node show what they found with its next view.
func (f *Fleet) compare(s *Snapshot, live []*node, now time.Time) {
	c := &f.comparison
	if f.opt.Rules.Fleet == nil || now.Sub(c.at) < compareEvery && !now.Before(c.at) {
		return
	}
	c.at = now
	found := f.opt.Rules.Fleet(s, now, &c.memory)
	if len(found) == 0 && len(c.told) == 0 {
		return // nearly always
	}
	c.told = make(map[string]bool, len(found))
	for _, n := range live {
		list := found[n.name]
		if len(list) > 0 {
			c.told[n.name] = true
		}
		n.mu.Lock()
		if !slices.EqualFunc(n.unlike, list, sameProblem) {
			n.unlike, n.changed = list, true
		}
		n.mu.Unlock()
	}
}

func sameProblem(a, b Problem) bool {
	return a.Rule == b.Rule && a.Severity == b.Severity && a.Text == b.Text && a.GPU == b.GPU && a.Port == b.Port && a.Since.Equal(b.Since) && a.Cause == b.Cause &&
		a.Remedy == b.Remedy && slices.Equal(a.Evidence, b.Evidence)
}
