package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"foretop/findings"
	"foretop/fleet"
	"foretop/sshpool"
	"foretop/ui"
)

// station joins the parts that watch a fleet: the pool reaches the nodes and hands their streams to the fleet, a ticker publishes snapshots. It is the
// pool's sink and the screens' source.
type station struct {
	*fleet.Fleet
	pool *sshpool.Pool
	// asker asks on the terminal what nodes ask; nil: nobody does, or a screen.
	asker *asker
	logs  *jobLogs // nil: none are read
	box   *blackBox
	found *incidents
	past  ui.Past // what was, for screens; nil: nothing is recorded
	// Of a Prometheus server's overview; nil: none is watched. asked is closed when the server has told all once, or has failed to.
	drill *drill
	asked chan struct{}
	// moved takes another way to nodes where there is one, and says that it did; nil: there is none.
	moved func(*fleet.Snapshot) bool
	stop  context.CancelFunc
	// onClose ends what else watches with it; nil: nothing does.
	onClose context.CancelFunc
	tasks   sync.WaitGroup
}

// openStation starts watching targets. Close ends it.
func openStation(opt fleet.Options, ssh sshpool.Config, targets []sshpool.Target) *station {
	opt.Nodes = max(opt.Nodes, len(targets))
	if words := sshpool.Files(len(targets)); words != "" {
		fmt.Fprintln(os.Stderr, "foretop: "+words)
	}
	modestMemory(opt.Nodes, fleet.HistoryBytes(opt.Nodes))
	if opt.Rules.Node == nil {
		opt.Rules = findings.Rules()
	}
	opt.Fold = fold
	s := &station{}
	s.found = newIncidents(func(node string) string { return s.pool.Jump(node) })
	opt.Rules = findings.Quieted(opt.Rules, func(key string) bool { return s.found.Denied(key) })
	opt.Rules.Incidents = s.found.fold
	opt.Paced = func(node string, every time.Duration) { s.pool.Paced(node, every) }
	s.Fleet = fleet.New(opt)
	s.pool = sshpool.New(ssh, s)
	s.logs = newJobLogs(s.Fleet, s.pool.Run)
	for _, t := range targets {
		s.enter(t)
	}
	return s
}

// enter starts watching one more target.
func (s *station) enter(t sshpool.Target) {
	s.Add(t.Name)
	s.pool.Add(t)
}

// enterListed is enter of a node that a scheduler names.
func (s *station) enterListed(t sshpool.Target) {
	s.AddListed(t.Name)
	s.pool.Add(t)
}

// leave ends a node's connection, and forgets it.
func (s *station) leave(name string) {
	s.pool.Remove(name)
	s.Fleet.Remove(name)
}

// retryRefused dials a node that let us not in: whom it lets in may have changed.
func (s *station) retryRefused(name string) {
	if n := s.Snapshot().Node(name); n != nil && n.State == fleet.Refused {
		s.pool.Retry(name)
	}
}

// Status is told by the pool.
func (s *station) Status(node string, st sshpool.Status) {
	s.SetStatus(node, fleet.Status{
		State: states[st.State], Cause: st.Cause, Remedy: st.Remedy, Since: st.At, Attempt: st.Attempt, NextTry: st.NextTry, Banner: st.Notes, HostKey: hostKeyOf(st.Err),
	})
}

// states gives the fleet's word for each of the pool's.
var states = [...]fleet.State{
	sshpool.Waiting: fleet.Waiting, sshpool.Connecting: fleet.Connecting, sshpool.NeedsTrust: fleet.NeedsTrust, sshpool.NeedsAuth: fleet.NeedsAuth,
	sshpool.Refused: fleet.Refused, sshpool.Deploying: fleet.Deploying, sshpool.Live: fleet.Live, sshpool.Stale: fleet.Stale,
	sshpool.Lost: fleet.Lost, sshpool.Misbehaving: fleet.Misbehaving,
}

// Serve is called by the pool with one node's stream.
func (s *station) Serve(ctx context.Context, node string, stdout io.Reader, stdin io.Writer) error {
	return s.Fleet.Serve(ctx, node, stdout, stdin)
}

// Watch says which nodes are on screen in full. Of an overview they are connected now.
func (s *station) Watch(names []string) {
	s.Fleet.Watch(names)
	if s.drill != nil {
		s.drill.look(names, time.Now())
	}
}

// Retry dials a node now; "" means every one that is not live.
func (s *station) Retry(node string) {
	if node != "" {
		s.pool.Retry(node)
		return
	}
	for _, n := range s.Snapshot().Nodes {
		if n.State != fleet.Live {
			s.pool.Retry(n.Name)
		}
	}
}

// Follow says whose job is on screen: its log is read, and its NCCL asked.
func (s *station) Follow(job string) {
	s.FollowJob(job)
	if s.logs != nil {
		s.logs.Follow(job)
	}
}

// publish puts out snapshots until ctx ends and announces each; an announcement that takes long delays the next one, never the fleet. A panic in
// it ends the publishing and is handed to failed, so that the terminal can be given back before its words are printed.
func (s *station) publish(ctx context.Context, every time.Duration, announce func(*fleet.Snapshot), failed func(error)) {
	ctx, s.stop = context.WithCancel(ctx)
	if s.logs != nil {
		s.tasks.Go(func() { s.logs.work(ctx) })
	}
	s.tasks.Add(1)
	go func() {
		defer s.tasks.Done()
		defer func() {
			if r := recover(); r != nil {
				failed(fmt.Errorf("internal error: %v\n%s", r, debug.Stack()))
			}
		}()
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			s.SetQuestions(questionsOf(s.pool.Questions()))
			snap := s.Publish()
			if s.box != nil {
				s.box.looked(snap)
			}
			announce(snap)
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	}()
}

// Close ends every connection, and with them the collectors.
func (s *station) Close() {
	if s.stop != nil {
		s.stop()
	}
	if s.onClose != nil {
		s.onClose()
	}
	s.asker.Close()
	s.pool.Close()
	s.tasks.Wait()
	s.found.Close()
}
