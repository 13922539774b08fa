package fleet

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"time"

	"foretop/jobs"
	"foretop/schedulers"
)

// Scheduler is how one scheduler does, and how much of what it knows is joined with the fleet.
type Scheduler struct {
	Kind, Cluster, Version string
	At                     time.Time           // when it said what is shown; zero: it never said anything
	Every                  time.Duration       // how often it is asked; 0: it tells by itself
	Problem                *schedulers.Problem // nil: it answers
	Nodes, Joined, Proven  int                 // nodes it knows; of these watched here; of these with proof
	Running, Pending       int                 // jobs
	Elsewhere              int                 // jobs that run on none of the nodes watched here
	Cut                    int                 // jobs beyond the bound, which it did not tell
}

// Told is what a scheduler says of a job.
type Told struct {
	*schedulers.Job
	Kind, Cluster string
	Watched       []string // those of its nodes that are watched, by their names here
	Elsewhere     []string // the others, by the scheduler's names
	ElsewhereText string   // the same as a node set

	here   map[string][]string // names here, by the scheduler's
	partOf string              // key of the heterogeneous job that it is a later part of
}

// Asked is what is known of a job from its scheduler.
type Asked uint8

// What a scheduler may have to say of a job.
const (
	NotAsked   Asked = iota // no scheduler is asked that could know it, or it does not answer
	AskedKnown              // Job.Told says what
	AskedNone               // it knows of no such job
)

// Scheduled takes over what a scheduler says. The picture of one kind and cluster takes the place of its last one; nobody may change it any more.
func (f *Fleet) Scheduled(p *schedulers.Picture) {
	if p == nil {
		return
	}
	f.pictures.mu.Lock()
	defer f.pictures.mu.Unlock()
	// One that has not said yet which cluster it is of is the same scheduler's once it has.
	list := slices.DeleteFunc(slices.Clone(f.pictures.list), func(old *schedulers.Picture) bool {
		return old.Kind == p.Kind && (old.Cluster == p.Cluster || old.Cluster == "" || p.Cluster == "" && p.At.IsZero())
	})
	list = append(list, p)
	slices.SortFunc(list, func(a, b *schedulers.Picture) int {
		return cmp.Or(-cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Cluster, b.Cluster)) // Slurm first
	})
	f.pictures.list = list
	f.pictures.version++
	if f.opt.Tap != nil {
		f.opt.Tap.Scheduled(p, f.opt.Now())
	}
}

// pictures are the schedulers' latest. The list is never changed, only replaced.
type pictures struct {
	mu      sync.Mutex
	list    []*schedulers.Picture
	version uint64
}

func (p *pictures) now() ([]*schedulers.Picture, uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.list, p.version
}

// scheduleBook is the schedulers' pictures as joined with the fleet. It is used by one publication at a time, and made anew only when a picture came, or who the
// nodes are changed.
type scheduleBook struct {
	version                                uint64 // rises with each join
	pictureVersion, generation, identities uint64 // that it was made of
	list                                   []*schedulers.Picture

	nodes   map[string][]ScheduledNode // by name here
	told    []*Told                    // of each job that does not wait
	byKey   map[string]*Told           // nil: several have that key
	pods    map[string]podSeen         // by uid, and by the ids of its containers
	known   *jobs.Known                // the same for package jobs; nil: nobody is asked
	pending []*Job
	summary []Scheduler
}

// update joins anew where something changed.
func (b *scheduleBook) update(f *Fleet, live []*node, generation uint64, now time.Time) {
	list, version := f.pictures.now()
	identities := f.identities.Load()
	if version == b.pictureVersion && (len(list) == 0 || generation == b.generation && identities == b.identities) {
		return
	}
	b.pictureVersion, b.generation, b.identities, b.list = version, generation, identities, list
	b.version++
	ids := make([]whoIs, len(live))
	for i, n := range live {
		n.mu.Lock()
		ids[i].name, ids[i].listed = n.name, n.listed
		if h := n.hello; h != nil {
			ids[i].told, ids[i].host, ids[i].machine, ids[i].boot = true, h.Hostname, h.MachineId, h.BootId
		}
		n.mu.Unlock()
	}
	was := b.nodes
	b.nodes = make(map[string][]ScheduledNode, len(live))
	b.told, b.byKey, b.pending = nil, map[string]*Told{}, nil
	b.forgetPods(now)
	b.summary = make([]Scheduler, len(list))
	for i, p := range list {
		b.summary[i] = Scheduler{Kind: p.Kind, Cluster: p.Cluster, Version: p.Version, At: p.At, Every: p.Every, Problem: p.Problem, Nodes: len(p.Nodes), Cut: p.Cut}
		here := b.joinNodes(p, ids, &b.summary[i])
		b.joinJobs(p, here, f.opt.Fold, &b.summary[i], now)
	}
	for name, now := range b.nodes { // what stays the same keeps its place, so that views of it need not be made again
		if old := was[name]; sameScheduled(old, now) {
			b.nodes[name] = old
		}
	}
	sortPending(b.pending)
	b.known = b.tellJobs()
}

// joinNodes joins a picture's nodes, and gives the fleet's names of each of them.
func (b *scheduleBook) joinNodes(p *schedulers.Picture, ids []whoIs, sum *Scheduler) (here map[string][]string) {
	here = map[string][]string{}
	for i, at := range joinNodes(p, ids) {
		name := ids[i].name
		if at.node < 0 {
			if at.why != "" {
				b.nodes[name] = append(b.nodes[name], ScheduledNode{Kind: p.Kind, Cluster: p.Cluster, Why: at.why})
			}
			continue
		}
		s := &p.Nodes[at.node]
		b.nodes[name] = append(b.nodes[name], ScheduledNode{Kind: p.Kind, Cluster: p.Cluster, Node: s, Proof: at.proof, Why: at.why})
		if len(here[s.Name]) == 0 {
			sum.Joined++
			if at.proof.Proven() {
				sum.Proven++
			}
		}
		here[s.Name] = append(here[s.Name], name)
	}
	return here
}

// sameScheduled says that nothing of it that can be seen differs.
func sameScheduled(a, b []ScheduledNode) bool {
	return slices.EqualFunc(a, b, func(a, b ScheduledNode) bool {
		x, y := a.Node, b.Node
		a.Node, b.Node = nil, nil
		if a != b || (x == nil) != (y == nil) {
			return false
		}
		return x == y || x != nil && x.Name == y.Name && x.Hostname == y.Hostname && x.Condition == y.Condition && x.State == y.State && x.Reason == y.Reason &&
			x.ReasonBy == y.ReasonBy && x.ReasonAt.Equal(y.ReasonAt) && x.GPUs == y.GPUs && x.GPUsUsed == y.GPUsUsed && x.GPUModel == y.GPUModel && x.BootAt.Equal(y.BootAt) &&
			slices.Equal(x.Partitions, y.Partitions) && slices.Equal(x.Flags, y.Flags)
	})
}

// joinJobs takes over a picture's jobs: those that wait are views at once, the others are found by key and pod.
func (b *scheduleBook) joinJobs(p *schedulers.Picture, here map[string][]string, fold func([]string) string, sum *Scheduler, now time.Time) {
	told := make([]Told, len(p.Jobs))
	for i := range p.Jobs {
		j, t := &p.Jobs[i], &told[i]
		*t = Told{Job: j, Kind: p.Kind, Cluster: p.Cluster, here: here}
		for _, name := range j.Nodes {
			if names := here[name]; len(names) > 0 {
				t.Watched = append(t.Watched, names...)
			} else {
				t.Elsewhere = append(t.Elsewhere, name)
			}
		}
		if len(t.Elsewhere) > 0 && len(t.Watched) > 0 {
			t.ElsewhereText = foldNames(t.Elsewhere, fold)
		}
		b.index(t, now)
		if j.Phase == schedulers.Pending {
			sum.Pending++
			b.pending = append(b.pending, pendingView(t))
			continue
		}
		b.told = append(b.told, t)
		if j.Phase == schedulers.Running {
			sum.Running++
			if len(t.Watched) == 0 {
				sum.Elsewhere++
			}
		}
	}
}

func (b *scheduleBook) index(t *Told, now time.Time) {
	b.put(t.Key, t)
	if kind, id, ok := strings.Cut(t.Key, "/"); ok && t.Kind == "slurm" {
		if t.Cluster != "" {
			b.put(kind+"/"+t.Cluster+"/"+id, t)
		}
		if t.SLUID != "" {
			b.put(kind+"/"+t.SLUID, t)
		}
	}
	b.seePods(t, now)
}

func (b *scheduleBook) put(key string, t *Told) {
	if _, ok := b.byKey[key]; ok {
		t = nil // two clusters' jobs of one number
	}
	b.byKey[key] = t
}

// of finds what is told of a job: by its key, or by the key of the job that its run is one of several in.
func (b *scheduleBook) of(key string) *Told {
	if t := b.byKey[key]; t != nil {
		return t
	}
	if i := strings.LastIndexByte(key, '/'); i > strings.IndexByte(key, '/') {
		return b.byKey[key[:i]]
	}
	return nil
}

// asked says whether a job that none of the pictures tells of would be told by one.
func (b *scheduleBook) asked(scheduler string, start time.Time) Asked {
	if whole := b.whole(scheduler); start.IsZero() || !start.Before(whole) {
		return NotAsked
	}
	return AskedNone
}

// foldNames writes names as a node set: as the fleet was told to, else the first few.
func foldNames(names []string, fold func([]string) string) string {
	const most = 3
	switch {
	case fold != nil:
		return fold(names)
	case len(names) <= most:
		return strings.Join(names, ",")
	}
	return strings.Join(names[:most], ",") + ",…"
}

func pendingView(t *Told) *Job {
	j := &Job{Scheduler: t.Kind, State: JobPending, PowerPct: None(), UtilPct: None(), TensorPct: None(), SMPct: None(), MemPct: None(), TempC: None(), ClockPct: None(),
		MemUsedBytes: None(), MemTotalBytes: None(), NetBytesPerS: None()}
	j.Key = t.Key
	j.tell(t)
	j.StateText = "waits"
	if t.Reason != "" {
		j.StateText = "waits: " + t.Reason
	}
	return j
}

// sortPending orders by when they are expected to start, then by how long they have waited.
func sortPending(list []*Job) {
	slices.SortStableFunc(list, func(a, b *Job) int {
		x, y := a.Told.StartAt, b.Told.StartAt
		switch {
		case x.IsZero() != y.IsZero():
			if x.IsZero() {
				return 1
			}
			return -1
		}
		return cmp.Or(x.Compare(y), a.Told.SubmitAt.Compare(b.Told.SubmitAt), compareNames(a.ID, b.ID))
	})
}

// tell puts what the scheduler says into a job: it knows better than processes who the person is and what the job is called.
func (j *Job) tell(t *Told) {
	j.Told, j.Asked = t, AskedKnown
	for _, f := range []struct {
		to   *string
		from string
	}{{&j.ID, t.ID}, {&j.Name, t.Job.Name}, {&j.User, t.User}, {&j.Partition, t.Partition}, {&j.Account, t.Account}} {
		if f.from != "" {
			*f.to = f.from
		}
	}
	j.Scheduler = t.Kind
	j.Restarts = max(j.Restarts, t.Restarts)
	if !t.LimitAt.IsZero() {
		j.EndLimit = t.LimitAt
	}
	if j.Start.IsZero() && t.Phase != schedulers.Pending {
		j.Start = t.StartAt
	}
}
