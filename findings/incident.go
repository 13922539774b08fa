package findings

import (
	"cmp"
	"slices"
	"time"

	"foretop/fleet"
)

// How findings come together in time.
const (
	foldWithin  = 2 * time.Minute  // findings on one node that begin so close to one another have one cause
	causeWithin = 5 * time.Minute  // a job's finding so long after one of its nodes' may come from it
	causeSlack  = 15 * time.Second // rules need time to tell: a cause may be told a little after what it caused
	burstGap    = 15 * time.Second // nodes that fail so close after one another fail together
	goneFor     = 10 * time.Minute // a finding that comes back within that time never went; an incident that is over is shown so long
	bornFor     = 30 * time.Second // what is found so soon after a node came was there before: when it began is not known
)

// Folding makes incidents of findings. The zero value knows only what schedulers say of where nodes are.
type Folding struct {
	// Places are further things that a node shares with others, as people call them: "jump host login1", "rack r12". nil: none.
	Places func(node string) []string
	// Denied says of a finding, by its key, that a person called it a false alarm. It folds with nothing, and asks for nobody. nil: none is.
	Denied func(key string) bool
}

// Incidents is what findings come to without anything known beside them.
func Incidents(s *fleet.Snapshot, before []fleet.Incident) []fleet.Incident {
	return Folding{}.Incidents(s, before)
}

// Incidents folds what was found in a snapshot into incidents: those that ask for somebody first, then worst first, then latest first. It is pure. What it
// remembers of the time before is in the incidents before.
//
// Findings fold that are of one GPU or port, or begin together on one node; that begin together on nodes which share a switch, a rack or a jump host; and those
// of a job with the finding on its nodes which explains them best. What folded once stays together.
func (f Folding) Incidents(s *fleet.Snapshot, before []fleet.Incident) []fleet.Incident {
	b := folder{Folding: f, s: s, before: before}
	b.remember()
	b.find()
	if len(b.all) == 0 {
		return nil
	}
	b.foldNodes()
	b.foldPlaces()
	b.foldJobs()
	out := b.incidents()
	slices.SortStableFunc(out, func(x, y fleet.Incident) int {
		return cmp.Or(boolFirst(!x.Quiet(s.At), !y.Quiet(s.At)), boolFirst(x.Until.IsZero(), y.Until.IsZero()), -cmp.Compare(x.Severity, y.Severity), y.Since.Compare(x.Since), cmp.Compare(x.ID, y.ID))
	})
	return out
}

func boolFirst(x, y bool) int {
	switch {
	case x == y:
		return 0
	case x:
		return -1
	}
	return 1
}

// folder is one folding under way.
type folder struct {
	Folding
	s      *fleet.Snapshot
	before []fleet.Incident
	was    map[string]place1 // by key: where a finding was
	nodes  map[string]int    // places in s.Nodes
	jobs   map[string]*fleet.Job
	all    []found1
	at     map[string]int // by key: in all
	parent []int          // of the sets of findings that fold together
	groups []group1
}

// place1 is where a finding was before: in which incident, and which of its members.
type place1 struct{ incident, member int }

// found1 is a finding, and what folding needs to know of it.
type found1 struct {
	fleet.Finding
	key    string
	denied bool
	was    int  // incident before; -1 none
	group  int  // that it is the head of, plus one; 0: it is a finding of its own
	echo   bool // of a job: it tells again what is wrong with a node
	known  bool // on a node that is out of service
}

// group1 is nodes that failed together and share something.
type group1 struct {
	place string
	of    int
	from  []int // findings
}

// node finds a node by its name, job a job by its key; nil where there is none. They are asked for only where something was found.
func (b *folder) node(name string) *fleet.Node {
	if i, ok := b.nodeAt(name); ok {
		return b.s.Nodes[i]
	}
	return nil
}

// nodeAt is a node's place in the snapshot.
func (b *folder) nodeAt(name string) (i int, ok bool) {
	if b.nodes == nil {
		b.nodes = make(map[string]int, len(b.s.Nodes))
		for i, n := range b.s.Nodes {
			b.nodes[n.Name] = i
		}
	}
	i, ok = b.nodes[name]
	return i, ok
}

func (b *folder) job(key string) *fleet.Job {
	if b.jobs == nil {
		b.jobs = make(map[string]*fleet.Job, len(b.s.Jobs))
		for _, j := range b.s.Jobs {
			b.jobs[j.Key] = j
		}
	}
	return b.jobs[key]
}

// remember notes where each finding was.
func (b *folder) remember() {
	n := 0
	for i := range b.before {
		n += len(b.before[i].Members)
	}
	b.was = make(map[string]place1, n)
	for i := range b.before {
		for k := range b.before[i].Members {
			b.was[b.before[i].Members[k].Key()] = place1{i, k}
		}
	}
}

// root gives the set that a finding is in.
func (b *folder) root(i int) int {
	for b.parent[i] != i {
		b.parent[i] = b.parent[b.parent[i]]
		i = b.parent[i]
	}
	return i
}

func (b *folder) join(i, k int) {
	if b.all[i].denied || b.all[k].denied {
		return
	}
	x, y := b.root(i), b.root(k)
	b.parent[max(x, y)] = min(x, y)
}

// foldNodes joins findings of one node, and those that were together before.
func (b *folder) foldNodes() {
	on := map[string][]int{}
	first := map[int]int{} // of each incident before, its first finding here
	for i := range b.all {
		f := &b.all[i]
		if f.Subject.Node == "" {
			continue
		}
		if f.was >= 0 {
			if k, ok := first[f.was]; ok {
				b.join(i, k)
			} else if !f.denied {
				first[f.was] = i
			}
		}
		for _, k := range on[f.Subject.Node] {
			if b.oneCause(f, &b.all[k]) {
				b.join(i, k)
			}
		}
		on[f.Subject.Node] = append(on[f.Subject.Node], i)
	}
}

// oneCause says that two findings of one node come from the same.
func (b *folder) oneCause(x, y *found1) bool {
	if x.Subject.GPU >= 0 && x.Subject.GPU == y.Subject.GPU || x.Subject.Part != "" && x.Subject.Part == y.Subject.Part {
		return true
	}
	apart := x.Since.Sub(y.Since).Abs()
	if !x.Began || !y.Began {
		return false
	}
	if x.Rule == ruleLost || y.Rule == ruleLost {
		return apart <= causeWithin
	}
	return apart <= foldWithin
}

// incidents makes incidents of the sets.
func (b *folder) incidents() []fleet.Incident {
	sets := map[int][]int{}
	var order []int
	for i := range b.all {
		r := b.root(i)
		if sets[r] == nil {
			order = append(order, r)
		}
		sets[r] = append(sets[r], i)
	}
	out := make([]fleet.Incident, 0, len(order))
	for _, r := range order {
		out = append(out, b.incident(sets[r]))
	}
	b.name(out)
	return out
}

// incident makes one of findings.
func (b *folder) incident(set []int) fleet.Incident {
	slices.SortStableFunc(set, func(i, k int) int { return b.before1(&b.all[i], &b.all[k]) })
	root := &b.all[set[0]]
	// What follows the root is in the order of time.
	slices.SortStableFunc(set[1:], func(i, k int) int { return b.all[i].Since.Compare(b.all[k].Since) })
	in := fleet.Incident{Since: root.Since, KnownBad: true}
	nodes, jobs := map[string]bool{}, map[string]bool{}
	open := false
	for _, i := range set {
		f := &b.all[i]
		if f.Since.Before(in.Since) && (f.Subject.Job == "" || root.Since.Sub(f.Since) <= causeSlack) { // what a job suffers may go on from an incident before
			in.Since = f.Since
		}
		holds := f.Until.IsZero()
		if holds {
			open = true
			in.Severity = max(in.Severity, f.Severity)
		}
		if f.group > 0 {
			g := &b.groups[f.group-1]
			if in.Fold == "" {
				in.Fold, in.Of = g.place, g.of
			}
			continue
		}
		if f.Subject.Node != "" {
			nodes[f.Subject.Node] = true
		}
		if f.Subject.Job != "" {
			jobs[f.Subject.Job] = true
		}
		in.KnownBad = in.KnownBad && (f.known || !holds)
	}
	if !open {
		for _, i := range set {
			f := &b.all[i]
			in.Severity = max(in.Severity, f.Severity)
			if f.Until.After(in.Until) {
				in.Until = f.Until
			}
		}
		in.KnownBad = in.KnownBad && root.known
	}
	in.Title = b.title(set)
	in.Cut = max(0, len(set)-fleet.MaxMembers)
	for _, i := range set[:len(set)-in.Cut] {
		in.Members = append(in.Members, b.all[i].Finding)
	}
	in.Nodes, in.Jobs = b.namesIn(nodes), keysIn(jobs)
	if root.denied {
		in.Mark.Kind = fleet.FalseAlarm
	}
	return in
}

// namesIn are the snapshot's nodes that are in a set, in its order; those that are gone come last.
func (b *folder) namesIn(set map[string]bool) []string {
	at := make([]int, 0, len(set))
	var gone []string
	for name := range set {
		if i, ok := b.nodeAt(name); ok {
			at = append(at, i)
		} else {
			gone = append(gone, name)
		}
	}
	slices.Sort(at)
	slices.Sort(gone)
	out := make([]string, 0, len(set))
	for _, i := range at {
		out = append(out, b.s.Nodes[i].Name)
	}
	return append(out, gone...)
}

func keysIn(set map[string]bool) []string {
	out := make([]string, 0, len(set))
	for k := range set {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// name gives each incident its ID: that of the one before which it goes on, else by its root. Of several that go on one, that which has its root, or else
// more of it, keeps the ID; of several before that one goes on, it is the oldest's.
func (b *folder) name(list []fleet.Incident) {
	type claim struct{ incident, before, weight int }
	var claims []claim
	for i := range list {
		weight := map[int]int{}
		for k := range list[i].Members {
			f := &list[i].Members[k]
			if at, ok := b.was[f.Key()]; ok {
				weight[at.incident]++
				if f.Key() == b.before[at.incident].ID {
					weight[at.incident] += fleet.MaxMembers
				}
			}
		}
		for at, n := range weight {
			claims = append(claims, claim{i, at, n})
		}
	}
	slices.SortFunc(claims, func(x, y claim) int {
		return cmp.Or(b.before[x.before].Since.Compare(b.before[y.before].Since), cmp.Compare(x.before, y.before), -cmp.Compare(x.weight, y.weight), cmp.Compare(x.incident, y.incident))
	})
	used := map[string]bool{}
	for _, c := range claims {
		if in := &list[c.incident]; in.ID == "" && !used[b.before[c.before].ID] {
			in.ID = b.before[c.before].ID
			used[in.ID] = true
		}
	}
	for i := range list {
		in := &list[i]
		for k := 0; in.ID == "" && k < len(in.Members); k++ {
			if id := in.Members[k].Key(); !used[id] {
				in.ID = id
			}
		}
		if in.ID == "" {
			in.ID = in.Root().Key() + " " + in.Since.UTC().Format(time.RFC3339)
		}
		used[in.ID] = true
	}
}
