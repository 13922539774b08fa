package cli

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"foretop/config"
	"foretop/export/overview"
	"foretop/fleet"
	"foretop/schedulers"
	"foretop/sshpool"
)

// prometheusKind is what the screen calls the server.
const prometheusKind = "prometheus"

// openOverview opens a station whose nodes a Prometheus server names: its overview is theirs, and a node is only connected while its page is open. Schedulers,
// where there are any, tell more of the same nodes.
func openOverview(ctx context.Context, cfg config.Config, ssh sshpool.Config, c choice) (*chosen, error) {
	source, err := overview.New(overviewConfig(cfg, c.prometheus))
	if err != nil {
		return nil, usage(fmt.Errorf("--prometheus: %w", err))
	}
	ctx, cancel := context.WithCancel(ctx)
	s := openStation(fleet.Options{Layouts: layoutRules(cfg), Rules: rulesOf(cfg), NoRAS: !cfg.NCCLRAS}, ssh, nil)
	s.onClose = cancel
	s.drill = newDrill(s)
	s.SetEmpty("asking prometheus at " + source.Where())
	s.asked = make(chan struct{})
	s.tasks.Go(func() { s.oversee(ctx, source) })
	s.tasks.Go(func() { s.drill.run(ctx) })
	f := newFollower(s, c, false)
	s.tasks.Go(func() {
		if list, err := findSchedulers(ctx, cfg, &c, s.runnerOn); err == nil {
			f.start(ctx, list)
		}
	})
	return &chosen{s, f, "prometheus " + source.Where()}, nil
}

func overviewConfig(cfg config.Config, url string) overview.Config {
	home, _ := os.UserHomeDir()
	m := cfg.Metrics
	return overview.Config{URL: url, TokenFile: inHome(m.TokenFile, home), CAFile: inHome(m.CAFile, home), Insecure: m.Insecure, Every: m.Every, Timeout: m.Timeout, Hosts: m.Hosts, Short: m.Short}
}

// oversee asks the server until ctx ends. What goes wrong is told as of a scheduler that does not answer: what was said last stays, and grows old.
func (s *station) oversee(ctx context.Context, source *overview.Source) {
	told := &schedulers.Picture{Kind: prometheusKind, Every: source.Every()}
	first := s.asked
	for ctx.Err() == nil {
		began := time.Now()
		result := source.Round(ctx)
		if ctx.Err() != nil {
			return
		}
		if result.Overview != nil {
			s.Overlook(result.Overview)
		}
		told = pictureOf(told, result, time.Now())
		s.Scheduled(told)
		if p := told.Problem; p != nil {
			s.SetEmpty("prometheus at " + source.Where() + ": " + p.Text + remedyOf(p))
		}
		if first != nil && !result.More {
			close(first)
			first = nil
		}
		if result.More {
			continue
		}
		select {
		case <-time.After(max(time.Second, source.Every()-time.Since(began))):
		case <-ctx.Done():
		}
	}
}

func remedyOf(p *schedulers.Problem) string {
	if p.Remedy == "" {
		return ""
	}
	return "; " + p.Remedy
}

// pictureOf is the server's condition after a round.
func pictureOf(before *schedulers.Picture, result overview.Result, now time.Time) *schedulers.Picture {
	p := &schedulers.Picture{Kind: before.Kind, Every: before.Every, At: before.At}
	if result.Overview != nil {
		p.At = now
	}
	if result.Problem == nil {
		return p
	}
	p.Problem = &schedulers.Problem{Text: result.Problem.Text, Remedy: result.Problem.Remedy, Since: now}
	if before.Problem != nil {
		p.Problem.Since = before.Problem.Since
	}
	return p
}

// drill connects those nodes of an overview that are looked at, and lets them go a while after nobody does.
type drill struct {
	s *station

	mu     sync.Mutex
	looked map[string]time.Time // nodes that are connected: when they were looked at last; zero: they are now
}

// A node is let go drillKeeps after its page was left, the longest left one sooner where more than drillMost are connected.
const (
	drillKeeps = time.Minute
	drillMost  = 16
	drillLooks = 5 * time.Second
)

func newDrill(s *station) *drill { return &drill{s: s, looked: map[string]time.Time{}} }

// look connects what is on screen.
func (d *drill) look(names []string, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for name, left := range d.looked {
		if left.IsZero() && !slices.Contains(names, name) {
			d.looked[name] = now
		}
	}
	for _, name := range names {
		if _, here := d.looked[name]; !here && d.s.Snapshot().Node(name) != nil {
			d.s.pool.Add(sshpool.Target{Name: name})
		} else if !here {
			continue
		}
		d.looked[name] = time.Time{}
	}
	d.letGo(now)
}

// letGo ends the connections of nodes that were left long enough ago.
func (d *drill) letGo(now time.Time) {
	for {
		oldest, at := "", now.Add(time.Second)
		for name, left := range d.looked {
			if !left.IsZero() && left.Before(at) {
				oldest, at = name, left
			}
		}
		if oldest == "" || now.Sub(at) < drillKeeps && len(d.looked) <= drillMost {
			return
		}
		delete(d.looked, oldest)
		d.s.pool.Remove(oldest)
		d.s.Leave(oldest)
	}
}

func (d *drill) run(ctx context.Context) {
	tick := time.NewTicker(drillLooks)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			d.mu.Lock()
			d.letGo(now)
			d.mu.Unlock()
		case <-ctx.Done():
			return
		}
	}
}
