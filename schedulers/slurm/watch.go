package slurm

import (
	"cmp"
	"context"
	"math/rand/v2"
	"reflect"
	"slices"
	"time"

	"foretop/schedulers"
)

// How often the controller is asked.
const (
	bound      = 15 * time.Second
	largeBound = 30 * time.Second
	largeNodes = 1000
	largeJobs  = 5000
	longest    = 10 * time.Minute // of a slow controller
	longestOff = 4 * time.Minute  // of one that does not answer
	share      = 10               // a round is at most one part in so many of the time
)

// pace is when to ask next.
type pace struct {
	every    time.Duration // as the user set it
	bound    time.Duration // of this cluster
	took     time.Duration // the last round that succeeded
	failures int           // in a row
}

// least is the shortest time from the start of a round to the next: the bound, and more where the last round was slow.
func (p pace) least() time.Duration {
	return min(max(p.bound, share*p.took), longest)
}

// next is the time from the start of a round to the next when nobody hurries, without the jitter.
func (p pace) next() time.Duration {
	d := max(p.least(), min(p.every, time.Hour))
	for range min(p.failures-1, 8) {
		d = max(d, min(2*d, longestOff))
	}
	return d
}

// jittered is up to a tenth more, so that the front ends of one cluster do not ask all at once.
func jittered(d time.Duration) time.Duration {
	return d + rand.N(d/10+1)
}

// Watch asks until ctx ends, and tells a picture at once, then each that differs. A question that fails is told as a problem beside what was known before.
func (s *Slurm) Watch(ctx context.Context, tell func(*schedulers.Picture)) {
	p := pace{every: s.options.Every, bound: bound}
	var last *schedulers.Picture
	for {
		start := time.Now()
		picture := s.round(ctx, last)
		if ctx.Err() != nil {
			return
		}
		p.bound = bound
		if len(picture.Nodes) > largeNodes || len(picture.Jobs)+picture.Cut > largeJobs {
			p.bound = largeBound
		}
		if picture.Problem != nil {
			p.failures++
		} else {
			p.failures, p.took = 0, time.Since(start)-s.aside
		}
		picture.Every = p.next()
		if last == nil || differs(last, picture) {
			s.last.Store(picture)
			tell(picture)
			last = picture
		} else {
			// The reader has the old one and may not see it change; what is compared with next is the same.
			keep := *last
			keep.At = picture.At
			last = &keep
		}
		if !s.wait(ctx, start, p) {
			return
		}
	}
}

// wait waits for the next round; false when ctx ended.
func (s *Slurm) wait(ctx context.Context, start time.Time, p pace) bool {
	timer := time.NewTimer(time.Until(start.Add(jittered(p.next()))))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-timer.C:
			return true
		case <-s.hurry:
			timer.Reset(max(0, time.Until(start.Add(p.least()))))
		}
	}
}

// round asks once. What fails keeps the part of the last picture that it would have replaced.
func (s *Slurm) round(ctx context.Context, last *schedulers.Picture) *schedulers.Picture {
	next := &schedulers.Picture{Kind: "slurm", Version: s.release}
	if last != nil {
		next.At, next.Nodes, next.Jobs, next.Cut, next.Whole = last.At, last.Nodes, last.Jobs, last.Cut, last.Whole
	}
	b := newBuilder()
	start := time.Now()
	s.aside = 0
	err := s.askJobs(ctx, b)
	var jobs []schedulers.Job
	if err == nil {
		jobs = b.sorted()
		var nodes []schedulers.Node
		if nodes, err = s.askNodes(ctx, b); err == nil {
			slices.SortStableFunc(nodes, func(x, y schedulers.Node) int { return cmp.Compare(x.Name, y.Name) })
			next.Nodes = same(next.Nodes, slices.CompactFunc(nodes, func(x, y schedulers.Node) bool { return x.Name == y.Name }))
		}
		wholeNodes(jobs, next.Nodes)
		next.Jobs, next.Cut = same(next.Jobs, jobs), b.cut
	}
	if err == nil {
		next.At = start
		if !s.configured {
			s.askConfig(ctx)
		}
		next.Whole = next.Cut == 0 && (!s.private || usersOf(jobs) > 1)
	} else {
		next.Problem = problem(err)
		next.Problem.Since = start
		if last != nil && last.Problem != nil {
			next.Problem.Since = last.Problem.Since
		}
	}
	next.Cluster = s.cluster
	if s.configured && s.private && !next.Whole {
		next.Unseen = []string{"others' jobs: PrivateData=jobs"}
	}
	return next
}

// usersOf counts whose jobs these are: 0, 1, or 2 for more. Who sees another's jobs sees all, whatever PrivateData says: an operator.
func usersOf(jobs []schedulers.Job) int {
	for i := range jobs {
		if jobs[i].User != jobs[0].User {
			return 2
		}
	}
	return min(len(jobs), 1)
}

// same is the old list where the new one says the same, so that a reader sees by its address that nothing changed.
func same[T any](old, new []T) []T {
	if old != nil && slices.EqualFunc(old, new, func(x, y T) bool { return reflect.DeepEqual(x, y) }) {
		return old
	}
	return new
}

// differs says whether a reader learns something from the second picture. When it was said alone is no news.
func differs(a, b *schedulers.Picture) bool {
	if a.Cluster != b.Cluster || a.Version != b.Version || a.Cut != b.Cut || a.Whole != b.Whole || a.Every != b.Every && (a.Every < b.Every/2 || a.Every > 2*b.Every) {
		return true
	}
	if (a.Problem == nil) != (b.Problem == nil) || a.Problem != nil && *a.Problem != *b.Problem {
		return true
	}
	return !identical(a.Nodes, b.Nodes) || !identical(a.Jobs, b.Jobs)
}

// identical lists share their memory, or are both empty.
func identical[T any](a, b []T) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}
