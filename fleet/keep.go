package fleet

import (
	"maps"
	"slices"
	"time"

	"foretop/schedulers"
	"foretop/telemetry"
	"foretop/telemetry/facts"
)

// KeptNode is all of a node's state that frames and time have made, so that it can go on from there. What the rules remember is not in it, nor the past of its numbers.
type KeptNode struct {
	Name      string
	Listed    bool
	Status    Status
	Since     time.Time
	Detail    bool
	XidEvents bool
	Boot      time.Time
	LastFrame time.Time
	LastData  time.Time
	ViewAt    time.Time
	Groups    []KeptGroup
	Idle      []KeptIdle // by GPU
	IdleAt    time.Time
	Pace      KeptPace
	Clock     KeptClock
	Kernel    KeptKernel
	Slow      []KeptSlow
	// Frames as the node would send them now, nil where it never did; Usage and the like of none are empty.
	Hello, Inventory, Processes, Usage, Notes []byte `json:"-"`
	Rates                                     []byte `json:"-"` // see [telemetry.Rates.Append]
	// Decoder is the node's own, of its last sample: to be read until the function that got this returns.
	Decoder *telemetry.Decoder `json:"-"`
}

// KeptGroup is when a group of readings was last taken.
type KeptGroup struct {
	ReadMS int64
	At     time.Time
	Period time.Duration
}

// KeptIdle is since when a GPU does nothing.
type KeptIdle struct {
	Since time.Time     `json:",omitzero"`
	Busy  time.Duration `json:",omitzero"`
}

// KeptPace is how late a node's samples come.
type KeptPace struct {
	Every, Spared, Least, Late time.Duration
	Told, IsLate               bool
	Turned                     time.Time
}

// KeptClock is what is known of a node's wall clock.
type KeptClock struct {
	WallOffsetMS int64
	Told         bool
	WayS         float64 // below 0: not known
	AskedAt      time.Time
}

func (c *clockSight) keep() KeptClock {
	return KeptClock{WallOffsetMS: c.wallOffsetMS, Told: c.told, WayS: c.way.Or(-1), AskedAt: c.askedAt}
}

func (k KeptClock) sight() clockSight {
	c := clockSight{wallOffsetMS: k.WallOffsetMS, told: k.Told, way: None(), askedAt: k.AskedAt}
	if k.WayS >= 0 {
		c.way = Reading(k.WayS)
	}
	return c
}

// KeptKernel is the end of a node's kernel log.
type KeptKernel struct {
	Via          string
	Last         uint64
	Until, From  int64
	Lost, Untold uint64
	Lines        []KernelLine
	Shapes       []uint64
	Xids, Events []KeptXid
	Lag          time.Duration
	LagKnown     bool
	Sequence     uint64
}

// KeptXid is an Xid that waits for its counterpart.
type KeptXid struct {
	Bus         string
	Code, MIG   int
	First, Last int64
	N           int
}

// KeptSlow is what is remembered of a GPU's health beside what it says itself.
type KeptSlow struct {
	Identity                string    `json:",omitzero"`
	LinksMost               Reading   `json:",omitzero"`
	PCIeLowSince            time.Time `json:",omitzero"`
	FabricSince             time.Time `json:",omitzero"`
	FabricState             int       `json:",omitzero"`
	Replays, Recoveries     KeptRise  `json:",omitzero"`
	CRCErrors, Resets, Exec KeptRise  `json:",omitzero"`
}

// KeptRise is a [Rise].
type KeptRise struct {
	Total, Grew, Last Reading   `json:",omitzero"`
	At                time.Time `json:",omitzero"`
}

func keepRise(r Rise) KeptRise { return KeptRise{r.Total, r.Grew, r.last, r.At} }
func (k KeptRise) rise() Rise  { return Rise{Total: k.Total, Grew: k.Grew, At: k.At, last: k.Last} }
func keepXids(list []xidSeen) []KeptXid {
	return each(list, func(x xidSeen) KeptXid { return KeptXid{x.bus, x.code, x.mig, x.first, x.last, x.n} })
}
func giveXids(list []KeptXid) []xidSeen {
	return each(list[:min(len(list), maxXids)], func(x KeptXid) xidSeen { return xidSeen{x.Bus, x.Code, x.MIG, x.First, x.Last, x.N} })
}
func each[A, B any](list []A, to func(A) B) []B {
	if list == nil {
		return nil
	}
	out := make([]B, len(list))
	for i, a := range list {
		out[i] = to(a)
	}
	return out
}

// keep is called while a publication is made.
func (f *Fleet) keep(each func(*KeptNode)) *KeptBook {
	live, _ := f.ordered()
	for _, n := range live {
		n.mu.Lock()
		if !n.removed {
			each(n.keep())
		}
		n.mu.Unlock()
	}
	return f.keepBook()
}

func (n *node) keep() *KeptNode {
	k := &KeptNode{
		Name: n.name, Listed: n.listed, Status: n.status, Since: n.since, Detail: n.detail, XidEvents: n.xidEvents, Boot: n.boot, LastFrame: n.lastFrame, LastData: n.lastData, ViewAt: n.viewAt,
		IdleAt: n.idleAt, Pace: KeptPace{n.pace.every, n.pace.spared, n.pace.least, n.pace.late, n.pace.told, n.pace.isLate, n.pace.turned}, Clock: n.clock.keep(), Decoder: &n.decoder,
	}
	for _, g := range n.groupAt {
		k.Groups = append(k.Groups, KeptGroup{g.readMS, g.at, g.period})
	}
	for i := range n.idleSince {
		k.Idle = append(k.Idle, KeptIdle{n.idleSince[i], n.busyFor[i]})
	}
	t := &n.kernel
	k.Kernel = KeptKernel{
		Via: t.via, Last: t.last, Until: t.until, From: t.from, Lost: t.lost, Untold: t.untold, Lines: t.view(), Xids: keepXids(t.xids.lines), Events: keepXids(t.xids.events),
		Lag: t.xids.lag, LagKnown: t.xids.lagKnown, Sequence: t.xids.sequence,
	}
	for i := range t.lines {
		k.Kernel.Shapes = append(k.Kernel.Shapes, t.lines[i].shape)
	}
	for i := range n.slow {
		s := &n.slow[i]
		k.Slow = append(k.Slow, KeptSlow{s.identity, s.LinksMost, s.PCIeLowSince, s.FabricSince, s.FabricState,
			keepRise(s.NVLinkReplays), keepRise(s.NVLinkRecoveries), keepRise(s.NVLinkCRCErrors), keepRise(s.Resets), keepRise(s.ExecErrors)})
	}
	if n.hello == nil {
		return k
	}
	k.Hello = encoded(n.hello)
	if n.inventory != nil {
		k.Inventory = encoded(n.inventory)
	}
	if n.processes.told {
		all := &facts.Processes{Whole: true}
		for _, p := range n.processes.facts {
			all.Set = append(all.Set, p)
		}
		slices.SortFunc(all.Set, byPid) // so that the same ones are the same bytes
		k.Processes = encoded(all)
	}
	k.Usage = encoded(&facts.Usage{Told: slices.Collect(maps.Values(n.processes.usage)), Top: n.top})
	notes := &facts.SourceNotes{}
	for _, note := range n.notes {
		if note != nil {
			notes.Notes = append(notes.Notes, note)
		}
	}
	k.Notes = encoded(notes)
	k.Rates = n.rates.Append(nil, &n.decoder)
	return k
}

// encoded is a message's bytes; messages that came in as bytes can be written as such again.
func encoded(m facts.Message) []byte {
	b, err := facts.Encode(m)
	if err != nil {
		return nil
	}
	return b
}

// Restore makes a node what was kept of it, in the place of one of that name; sample is its last one, whole. An error is a *[telemetry.Malformed], and the node is then not there.
func (f *Fleet) Restore(k *KeptNode, sample []byte) error {
	n := newNode(k.Name, k.Since)
	n.listed = k.Listed
	if err := n.restore(f, k, sample); err != nil {
		return err
	}
	f.Remove(k.Name)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.nodes[k.Name] = n
	f.order = nil
	f.generation++
	f.identities.Add(1)
	return nil
}

func (n *node) restore(f *Fleet, k *KeptNode, sample []byte) error {
	n.status, n.since = k.Status, k.Since
	n.status.State = min(n.status.State, Misbehaving)
	n.heardAt = k.ViewAt
	n.detail, n.boot, n.lastFrame, n.lastData, n.xidEvents = k.Detail, k.Boot, k.LastFrame, k.LastData, k.XidEvents
	p := k.Pace
	n.pace = linkPace{every: p.Every, spared: p.Spared, least: p.Least, late: p.Late, told: p.Told, isLate: p.IsLate, turned: p.Turned}
	n.clock = k.Clock.sight()
	t := &n.kernel
	*t = kernelTail{via: k.Kernel.Via, last: k.Kernel.Last, until: k.Kernel.Until, from: k.Kernel.From, lost: k.Kernel.Lost, untold: k.Kernel.Untold}
	t.lines = slices.Clone(k.Kernel.Lines[:min(len(k.Kernel.Lines), kernelTailLines)])
	for i := range t.lines {
		if i < len(k.Kernel.Shapes) {
			t.lines[i].shape = k.Kernel.Shapes[i]
		}
	}
	t.xids = xidBook{lines: giveXids(k.Kernel.Xids), events: giveXids(k.Kernel.Events), lag: k.Kernel.Lag, lagKnown: k.Kernel.LagKnown, sequence: k.Kernel.Sequence}
	if k.Hello == nil {
		return nil
	}
	n.hello = new(facts.Hello)
	if err := facts.Decode(k.Hello, n.hello); err != nil {
		return err
	}
	n.greeted = true
	gpus := telemetry.MaxEntities(telemetry.ScopeGPU)
	for _, s := range k.Slow[:min(len(k.Slow), gpus)] {
		n.slow = append(n.slow, GPUSlow{identity: s.Identity, LinksMost: s.LinksMost, PCIeLowSince: s.PCIeLowSince, FabricSince: s.FabricSince, FabricState: s.FabricState,
			NVLinkReplays: s.Replays.rise(), NVLinkRecoveries: s.Recoveries.rise(), NVLinkCRCErrors: s.CRCErrors.rise(), Resets: s.Resets.rise(), ExecErrors: s.Exec.rise()})
	}
	for _, i := range k.Idle[:min(len(k.Idle), gpus)] {
		n.idleSince, n.busyFor = append(n.idleSince, i.Since), append(n.busyFor, i.Busy)
	}
	n.idleAt = k.IdleAt
	for i := range min(len(k.Groups), len(n.groupAt)) {
		n.groupAt[i] = groupTime{k.Groups[i].ReadMS, k.Groups[i].At, k.Groups[i].Period}
	}
	if k.Inventory != nil {
		nvml := make(map[int]int) // which GPU the driver named: no address tells it
		for i := range t.lines {
			if t.lines[i].NVML {
				nvml[i] = t.lines[i].GPU
			}
		}
		if err := n.applyInventory(f, k.Inventory); err != nil {
			return err
		}
		for i, g := range nvml {
			t.lines[i].GPU = min(g, len(n.inventory.Gpus)-1)
		}
	}
	if k.Processes != nil {
		if err := n.processes.apply(f.opt.Unpacked, k.Processes); err != nil {
			return err
		}
		n.processes.settle() // here, where other nodes are restored at the same time
	}
	if err := n.applyUsage(k.Usage); err != nil {
		return err
	}
	if err := n.applyNotes(k.Notes); err != nil {
		return err
	}
	if sample == nil {
		return nil
	}
	if _, _, err := n.decoder.Apply(sample); err != nil {
		return err
	}
	return n.rates.Restore(&n.decoder, k.Rates)
}

// KeptBook is what a fleet knows beyond single nodes: jobs that ended or fade, what persons held, and what schedulers and logs say.
type KeptBook struct {
	Ended, Fading []KeptEnding
	Spent         map[string]KeptSpent // by user
	SpentAt       time.Time
	JobsAt        time.Time             // when jobs last changed
	Pods          map[string]KeptPod    // by uid and container
	Pictures      []*schedulers.Picture `json:"-"`
	Logs          map[string]*LogTail   `json:"-"`
}

// KeptEnding is a job that ended, or of which processes went away, as it was before.
type KeptEnding struct {
	Key  string // under which it fades
	Job  Job
	At   time.Time
	Back bool
	Told *KeptTold
}

// KeptTold is a [Told] of a job that is over.
type KeptTold struct {
	Job                schedulers.Job
	Kind, Cluster      string
	Watched, Elsewhere []string
	ElsewhereText      string
	PartOf             string
}

// KeptSpent is what a person held.
type KeptSpent struct {
	Held, Idle  float64
	Since, Seen time.Time
}

// KeptPod is a pod that a scheduler told of.
type KeptPod struct {
	Job, Name, User string
	At              time.Time
}

// maxKeptEnded bounds how many jobs that ended are kept: the latest.
const maxKeptEnded = 200

func (f *Fleet) keepBook() *KeptBook {
	b := &KeptBook{Spent: map[string]KeptSpent{}, SpentAt: f.users.at, JobsAt: f.jobs.changed, Pods: map[string]KeptPod{}, Logs: f.logs.now()}
	b.Pictures, _ = f.pictures.now()
	for _, e := range f.jobs.ended[max(0, len(f.jobs.ended)-maxKeptEnded):] {
		b.Ended = append(b.Ended, keepEnding(e.plan.job.Key, e))
	}
	for key, e := range f.jobs.whole {
		if len(b.Fading) < maxKeptEnded {
			b.Fading = append(b.Fading, keepEnding(key, e))
		}
	}
	slices.SortFunc(b.Fading, func(a, b KeptEnding) int { return compareNames(a.Key, b.Key) })
	for name, s := range f.users.spent {
		b.Spent[name] = KeptSpent{s.held, s.idle, s.since, s.seen}
	}
	for id, p := range f.schedule.pods {
		b.Pods[id] = KeptPod{p.Job, p.Name, p.User, p.at}
	}
	return b
}

func keepEnding(key string, e ending) KeptEnding {
	k := KeptEnding{Key: key, Job: e.plan.job, At: e.at, Back: e.back}
	if t := e.told; t != nil {
		k.Told = &KeptTold{*t.Job, t.Kind, t.Cluster, t.Watched, t.Elsewhere, t.ElsewhereText, t.partOf}
	}
	return k
}

func (k *KeptEnding) ending() ending {
	e := ending{plan: plan{job: k.Job}, at: k.At, back: k.Back}
	if t := k.Told; t != nil {
		e.told = &Told{Job: &t.Job, Kind: t.Kind, Cluster: t.Cluster, Watched: t.Watched, Elsewhere: t.Elsewhere, ElsewhereText: t.ElsewhereText, partOf: t.PartOf}
	}
	return e
}

// RestoreBook takes back what was kept beyond single nodes, but for pictures and logs, which are told as they were at first.
func (f *Fleet) RestoreBook(k *KeptBook) {
	f.publish.Lock()
	defer f.publish.Unlock()
	b := &f.jobs
	b.ended, b.whole, b.restored = nil, map[string]ending{}, k.JobsAt
	for i := range min(len(k.Ended), maxEnded) {
		b.ended = append(b.ended, k.Ended[i].ending())
	}
	for i := range min(len(k.Fading), maxEnded) {
		b.whole[k.Fading[i].Key] = k.Fading[i].ending()
	}
	f.users.spent, f.users.at = map[string]*spent{}, k.SpentAt
	for name, s := range k.Spent {
		f.users.spent[name] = &spent{s.Held, s.Idle, s.Since, s.Seen}
	}
	f.schedule.pods = map[string]podSeen{}
	for id, p := range k.Pods {
		if len(f.schedule.pods) < maxPods {
			s := podSeen{at: p.At}
			s.Job, s.Name, s.User = p.Job, p.Name, p.User
			f.schedule.pods[id] = s
		}
	}
}

// RestoreSpent takes over what persons held up to a time.
func (f *Fleet) RestoreSpent(all map[string]KeptSpent, at time.Time) {
	f.publish.Lock()
	defer f.publish.Unlock()
	b := &f.users
	if b.spent == nil {
		b.spent = map[string]*spent{}
	}
	b.at, b.last = at, nil
	for name, s := range all {
		b.spent[name] = &spent{s.Held, s.Idle, s.Since, s.Seen}
	}
}

// Now is the fleet's time.
func (f *Fleet) Now() time.Time { return f.opt.Now() }
