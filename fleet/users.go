package fleet

import (
	"cmp"
	"slices"
	"time"
)

// User is what one person holds, and what of it does nothing.
type User struct {
	Name     string // "" for jobs of which it is not known whose they are
	Jobs     int
	Pending  int // jobs that wait
	Wanted   int // GPUs that those want, of those that are known
	GPUs     int // held, or given by a scheduler
	Idle     int // of these, those that do nothing
	Empty    int // of the idle ones, those that no process holds
	Nodes    int
	Worst    Severity // of their jobs
	UtilPct  Reading  // mean over their jobs' GPUs
	PowerPct Reading

	IdleNowHours float64   // GPU-hours since the GPUs that are idle now became so
	HeldHours    float64   // GPU-hours held since Since
	IdleHours    float64   // of these idle
	Since        time.Time // since when that is counted
	IdleGPUs     []IdleGPU // the longest idle first, at most MaxIdleGPUs of them
}

// MaxIdleGPUs bounds User.IdleGPUs.
const MaxIdleGPUs = 128

// IdleGPU is a GPU that somebody holds, and that does nothing.
type IdleGPU struct {
	Node     string
	Index    int
	Job, ID  string    // its job's key and what people call it
	Since    time.Time // zero: not known, no process holds it
	MemBytes Reading   // used on it
}

// userBook counts what persons hold over time. It is used by one publication at a time.
type userBook struct {
	at    time.Time
	spent map[string]*spent
	last  []*User
}

// spent is what a person held and left idle, in GPU-hours.
type spent struct {
	held, idle  float64
	since, seen time.Time
}

// Users are counted at most so often; more time than countGap between two counts counts as countGap, for nobody knows what was meanwhile.
const (
	countEvery = time.Second
	countGap   = 30 * time.Second
	forgetUser = 24 * time.Hour
)

// views are the persons with jobs, most GPUs held first.
func (b *userBook) views(s *Snapshot, now time.Time) []*User {
	passed := now.Sub(b.at)
	if passed < countEvery && passed >= 0 && b.last != nil {
		return b.last
	}
	if b.at.IsZero() || passed < 0 {
		passed = 0
	}
	b.at = now
	hours := min(passed, countGap).Hours()
	c := userCount{now: now, of: map[string]*userSum{}}
	for _, j := range s.Jobs {
		if j.Ended.IsZero() {
			c.add(j)
		}
	}
	for _, j := range s.Pending {
		u := c.user(j.User)
		u.Pending++
		if j.Told != nil {
			u.Wanted += max(0, j.Told.GPUs)
		}
	}
	if b.spent == nil {
		b.spent = map[string]*spent{}
	}
	out := make([]*User, 0, len(c.of))
	for name, u := range c.of {
		sp := b.spent[name]
		if sp == nil {
			sp = &spent{since: now}
			b.spent[name] = sp
		}
		sp.held += hours * float64(u.GPUs)
		sp.idle += hours * float64(u.Idle)
		sp.seen = now
		u.HeldHours, u.IdleHours, u.Since = sp.held, sp.idle, sp.since
		u.UtilPct, u.PowerPct = u.util.value(), u.power.value()
		u.Nodes = len(u.nodes)
		slices.SortFunc(u.IdleGPUs, func(x, y IdleGPU) int {
			if x.Since.IsZero() != y.Since.IsZero() {
				return cmp.Compare(y.Since.Unix(), x.Since.Unix())
			}
			return cmp.Or(x.Since.Compare(y.Since), compareNames(x.Node, y.Node), cmp.Compare(x.Index, y.Index))
		})
		u.IdleGPUs = u.IdleGPUs[:min(len(u.IdleGPUs), MaxIdleGPUs)]
		user := u.User
		out = append(out, &user)
	}
	for name, sp := range b.spent {
		if now.Sub(sp.seen) > forgetUser {
			delete(b.spent, name)
		}
	}
	slices.SortFunc(out, func(a, b *User) int {
		return cmp.Or(-cmp.Compare(a.GPUs, b.GPUs), -cmp.Compare(a.Jobs+a.Pending, b.Jobs+b.Pending), cmp.Compare(a.Name, b.Name))
	})
	b.last = out
	return out
}

// userCount is the work of one count.
type userCount struct {
	now time.Time
	of  map[string]*userSum
}

type userSum struct {
	User
	util, power mean
	nodes       map[string]bool
}

func (c *userCount) user(name string) *userSum {
	u := c.of[name]
	if u == nil {
		u = &userSum{nodes: map[string]bool{}}
		u.Name = name
		c.of[name] = u
	}
	return u
}

func (c *userCount) add(j *Job) {
	u := c.user(j.User)
	u.Jobs++
	u.Worst = max(u.Worst, j.Severity)
	for _, n := range j.Nodes {
		u.nodes[n] = true
	}
	for i := range j.GPUs {
		ref := &j.GPUs[i]
		g := ref.GPU
		u.GPUs++
		if g == nil || ref.State != Live || g.Stale > 0 {
			continue
		}
		u.util.add(g.UtilPct)
		u.power.add(g.PowerPct())
		if g.IdleSince.IsZero() && !ref.Empty {
			continue
		}
		u.Idle++
		idle := IdleGPU{Node: ref.Node, Index: ref.Index, Job: j.Key, ID: j.ID, Since: g.IdleSince, MemBytes: g.MemUsedBytes}
		if ref.Empty {
			u.Empty++
			idle.Since = time.Time{}
		} else {
			u.IdleNowHours += max(0, c.now.Sub(g.IdleSince).Hours())
		}
		u.IdleGPUs = append(u.IdleGPUs, idle)
	}
}
