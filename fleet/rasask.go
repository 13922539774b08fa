package fleet

import (
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"foretop/telemetry/facts"
)

// When a job's RAS is asked: while its screen is open, or when a rule suspects that it hangs or that a rank holds it up; one node of it, and never often, for the RAS
// threads of the whole job answer each question.
const (
	rasEvery     = 30 * time.Second // of a job on screen, or under suspicion
	rasSeldom    = 5 * time.Minute  // where it is not offered
	rasPatience  = 40 * time.Second // the collector gives up after 25 s
	rasAtOnce    = 2                // questions that are open
	rasNodePause = 10 * time.Second // between two questions to one node
	rasPause     = time.Second      // between any two
	rasProcesses = 8                // of a node that are named
	forgetRAS    = 30 * time.Minute // a report that was not renewed
	maxRASJobs   = 1024
	maxRASOf     = 4 // answers of one node that nobody asked for: those of a recording
)

// rasSince is the version of NCCL from which on RAS is there.
var rasSince = [2]int{2, 24}

// rasBook keeps what was asked, and what was said.
type rasBook struct {
	off      bool // nobody is asked
	mu       sync.Mutex
	follow   string // key of the job on screen
	sequence uint64
	last     time.Time               // when any was asked
	nodes    map[string]time.Time    // when each node was asked
	asked    map[string]*rasQuestion // by job: the last question
	arrived  []rasAnswer             // not yet joined
	reports  map[string]*RAS         // by job
}

// rasQuestion is a question about a job.
type rasQuestion struct {
	sequence uint64
	node     string
	at       time.Time
	open     bool
	tries    int // in a row that gave no report
}

// rasAnswer is an answer as it came.
type rasAnswer struct {
	node string
	at   time.Time
	said *facts.RAS
}

// FollowJob says whose job's screen is open; "" none.
func (f *Fleet) FollowJob(key string) {
	f.ras.mu.Lock()
	defer f.ras.mu.Unlock()
	f.ras.follow = key
}

// applyRAS takes in an answer. Nobody is let speak who was not asked, but for a recording, where nobody asks.
func (n *node) applyRAS(f *Fleet, payload []byte, at time.Time) error {
	said := new(facts.RAS)
	if err := facts.Decode(payload, said); err != nil {
		return err
	}
	f.ras.take(rasAnswer{n.name, at, said}, n.session == nil)
	return nil
}

func (b *rasBook) take(a rasAnswer, unasked bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if unasked {
		same := 0
		for i := range b.arrived {
			if b.arrived[i].node == a.node {
				same++
			}
		}
		if same < maxRASOf {
			b.arrived = append(b.arrived, a)
		}
		return
	}
	for _, q := range b.asked {
		if q.open && q.node == a.node && q.sequence == a.said.Sequence {
			q.open = false
			b.arrived = append(b.arrived, a)
			return
		}
	}
}

// join gives the reports by job, with those that have arrived joined to the snapshot's jobs.
func (b *rasBook) join(s *Snapshot, jobs []*Job, now time.Time) map[string]*RAS {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.arrived) == 0 && len(b.asked) == 0 && len(b.reports) == 0 && !b.off {
		return nil
	}
	if b.reports == nil {
		b.reports = map[string]*RAS{}
	}
	byKey := make(map[string]*Job, len(jobs))
	for _, j := range jobs {
		byKey[j.Key] = j
	}
	for _, a := range b.arrived {
		j := byKey[jobOf(s.Node(a.node), a.said.Pid, a.said.StartTicks)]
		if j == nil || len(b.reports) >= maxRASJobs && b.reports[j.Key] == nil {
			continue
		}
		before := b.reports[j.Key]
		b.reports[j.Key] = joinRAS(a.said, a.node, a.at, j, before)
		if q := b.asked[j.Key]; q != nil {
			if q.tries++; b.reports[j.Key].Told() {
				q.tries = 0
			}
		}
	}
	b.arrived = nil
	for key, q := range b.asked {
		if q.open && now.Sub(q.at) > rasPatience {
			q.open = false
			q.tries++
			b.reports[key] = &RAS{Node: q.node, At: now, Error: "no answer from " + q.node + " for " + strconv.Itoa(int(rasPatience.Seconds())) + " s", Remedy: "its collector may be of an older foretop"}
		}
		if byKey[key] == nil && !q.open {
			delete(b.asked, key)
		}
	}
	for key, r := range b.reports {
		if byKey[key] == nil || now.Sub(r.At) > forgetRAS {
			delete(b.reports, key)
		}
	}
	if j := byKey[b.follow]; b.off && j != nil && asksRAS(j) && b.reports[j.Key] == nil {
		b.reports[j.Key] = &RAS{At: now, Error: "switched off: nccl_ras: false is in the configuration file", Absent: true}
	}
	for name, at := range b.nodes {
		if now.Sub(at) > rasNodePause {
			delete(b.nodes, name)
		}
	}
	return b.reports
}

// jobOf is the key of the job that a process of a node belongs to.
func jobOf(n *Node, pid int32, start uint64) string {
	if n == nil {
		return ""
	}
	for _, p := range n.Processes {
		if p.GetPid() == pid && p.GetStartTicks() == start {
			return p.Job
		}
	}
	return ""
}

// askRAS asks of the jobs that are due. It is called once a publication.
func (f *Fleet) askRAS(s *Snapshot) {
	if f.ras.off {
		return
	}
	for _, q := range f.ras.due(s, s.At, f.hears) {
		go q.send(f) // a write may block
	}
}

// hears says that a node can be told things: of a recording none can.
func (f *Fleet) hears(node string) bool {
	n := f.node(node)
	return n != nil && n.hears.Load()
}

// rasOrder is a question on its way.
type rasOrder struct {
	node string
	ask  *facts.AskRAS
}

func (o rasOrder) send(f *Fleet) {
	n := f.node(o.node)
	if n == nil {
		return
	}
	n.mu.Lock()
	session := n.session
	n.mu.Unlock()
	if session != nil {
		_ = session.control(&facts.Control{What: &facts.Control_Ras{Ras: o.ask}}) // an error ends the stream, and the question by its patience
	}
}

// due chooses which jobs are asked now, and notes that they are.
func (b *rasBook) due(s *Snapshot, now time.Time, hears func(node string) bool) (orders []rasOrder) {
	b.mu.Lock()
	defer b.mu.Unlock()
	open := 0
	for _, q := range b.asked {
		if q.open {
			open++
		}
	}
	try := func(j *Job) {
		if open >= rasAtOnce || now.Sub(b.last) < rasPause {
			return
		}
		q := b.asked[j.Key]
		if q != nil && (q.open || now.Sub(q.at) < b.pace(j)) {
			return
		}
		tries := 0
		if q != nil {
			tries = q.tries
		}
		node, processes := rasAt(s, j, tries, hears)
		if node == "" || now.Sub(b.nodes[node]) < rasNodePause {
			return
		}
		if b.asked == nil {
			b.asked, b.nodes = map[string]*rasQuestion{}, map[string]time.Time{}
		}
		b.sequence++
		open++
		b.last, b.nodes[node] = now, now
		b.asked[j.Key] = &rasQuestion{sequence: b.sequence, node: node, at: now, open: true, tries: tries}
		orders = append(orders, rasOrder{node, &facts.AskRAS{Sequence: b.sequence, Processes: processes}})
	}
	if j := s.Job(b.follow); b.follow != "" && j != nil && asksRAS(j) {
		try(j)
	}
	if open >= rasAtOnce || now.Sub(b.last) < rasPause {
		return orders
	}
	var suspects []*Job
	for _, j := range s.Jobs {
		if j.Key != b.follow && suspected(j) && asksRAS(j) {
			suspects = append(suspects, j)
		}
	}
	// Whoever waits longest, and of those who were never asked the worst.
	slices.SortStableFunc(suspects, func(x, y *Job) int { return b.askedAt(x.Key).Compare(b.askedAt(y.Key)) })
	for _, j := range suspects {
		try(j)
	}
	return orders
}

// askedAt is when a job was asked last; zero: never.
func (b *rasBook) askedAt(key string) time.Time {
	if q := b.asked[key]; q != nil {
		return q.at
	}
	return time.Time{}
}

// pace is how often a job is asked: where a suspicion began after the last report, which says nothing of it, sooner.
func (b *rasBook) pace(j *Job) time.Duration {
	r := b.reports[j.Key]
	switch {
	case r != nil && r.Absent:
		return rasSeldom
	case r != nil && suspicion(j).After(r.At):
		return rasNodePause
	}
	return rasEvery
}

// suspected says that a rule thinks that a job hangs, or that a rank of it holds the others up.
func suspected(j *Job) bool {
	for i := range j.Findings {
		if v := &j.Findings[i]; suspects(v) {
			return true
		}
	}
	return false
}

func suspects(v *Verdict) bool {
	return (v.Rule == "job.hang" || v.Rule == "job.straggler") && v.Severity > Fine
}

// suspicion is since when what the latest of those rules says is so; zero: they say nothing.
func suspicion(j *Job) (at time.Time) {
	for i := range j.Findings {
		if v := &j.Findings[i]; suspects(v) && v.Since.After(at) {
			at = v.Since
		}
	}
	return at
}

// asksRAS says that a job may offer RAS: it runs, has ranks, its GPUs are NVIDIA's, and its NCCL, where its version is known, is not older.
func asksRAS(j *Job) bool {
	if !j.Ended.IsZero() || len(j.Ranks) == 0 {
		return false
	}
	for i := range j.GPUs {
		if g := j.GPUs[i].GPU; g != nil && g.Info.GetVendor() != "" {
			if g.Info.GetVendor() != "nvidia" {
				return false
			}
			break
		}
	}
	old := false
	for _, l := range j.Libraries {
		if l.Name == "nccl" {
			if !olderNCCL(l.Version) {
				return true
			}
			old = true
		}
	}
	return !old
}

// olderNCCL says that a version has no RAS yet.
func olderNCCL(version string) bool {
	major, rest, _ := strings.Cut(version, ".")
	minor, _, _ := strings.Cut(rest, ".")
	x, err := strconv.Atoi(major)
	y, err2 := strconv.Atoi(minor)
	return err == nil && err2 == nil && (x < rasSince[0] || x == rasSince[0] && y < rasSince[1])
}

// NoRAS says why a job's RAS is not asked though its screen is open; "" it is.
func (j *Job) NoRAS() string {
	switch {
	case !j.Ended.IsZero():
		return "it has ended"
	case len(j.Ranks) == 0:
		return "no rank of it is seen"
	case !asksRAS(j):
		for _, l := range j.Libraries {
			if l.Name == "nccl" && olderNCCL(l.Version) {
				return "its NCCL " + l.Version + " does not offer it: from 2.24.3 on it does"
			}
		}
	}
	return ""
}

// rasAt is where a job is asked, and of which processes: its first node that is live; the next one for each time that it gave no report.
func rasAt(s *Snapshot, j *Job, tries int, hears func(string) bool) (node string, processes []*facts.ProcessKey) {
	var live []string
	seen := map[string]bool{}
	for i := range j.Ranks {
		r := &j.Ranks[i]
		if seen[r.Node] || r.PID <= 0 {
			continue
		}
		seen[r.Node] = true
		if n := s.Node(r.Node); n != nil && n.State == Live && hears(r.Node) {
			live = append(live, r.Node)
		}
	}
	if len(live) == 0 {
		return "", nil
	}
	node = live[tries%len(live)]
	for i := range j.Ranks {
		if r := &j.Ranks[i]; r.Node == node && r.PID > 0 && len(processes) < rasProcesses {
			processes = append(processes, &facts.ProcessKey{Pid: r.PID, StartTicks: r.StartTicks})
		}
	}
	return node, processes
}
