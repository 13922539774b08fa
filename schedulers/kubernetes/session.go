package kubernetes

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"foretop/schedulers"
)

// maxNamespaces bounds how many namespaces are watched one by one.
const maxNamespaces = 64

// everywhere is the scope of the whole cluster.
const everywhere = ""

// follow keeps the stores true until ctx ends: it connects, finds out what may be seen, watches that, and begins anew when that no longer works.
func (c *Cluster) follow(ctx context.Context) {
	wait := c.pace.first
	for ctx.Err() == nil {
		began := time.Now()
		files, err := c.session(ctx)
		if ctx.Err() != nil {
			return
		}
		if errors.Is(err, errHurry) {
			wait = c.pace.first
			continue
		}
		if err != nil {
			c.fail(err)
		}
		if time.Since(began) > 2*c.pace.last {
			wait = c.pace.first
		}
		c.rest(ctx, wait, files)
		wait = min(2*wait, c.pace.last)
	}
}

// rest waits before the next try: between half of that time and three halves of it, so that many that lost one server do not come back at once; it ends early when
// the configuration changes or somebody is in a hurry.
func (c *Cluster) rest(ctx context.Context, wait time.Duration, files []string) {
	before := fileStates(files)
	over := time.NewTimer(wait/2 + rand.N(wait))
	defer over.Stop()
	look := time.NewTicker(c.pace.first)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-over.C:
			return
		case <-c.hurry:
			return
		case <-look.C:
			if fileStates(files) != before {
				return
			}
		}
	}
}

// session is one connection with one configuration, as long as that is right. It returns the files of the configuration and why it ended.
func (c *Cluster) session(ctx context.Context) ([]string, error) {
	cfg, files, err := loadConfig(c.opts)
	if err != nil {
		return files, err
	}
	c.mu.Lock()
	c.name, c.server = text(cfg.context), cfg.rest.Host
	c.mu.Unlock()
	client, err := newClient(cfg.rest)
	if err != nil {
		return files, err
	}
	seen, err := c.look(ctx, client, cfg.namespace)
	if err != nil {
		return files, err
	}
	return files, c.watchAll(ctx, client, seen, files)
}

// sight is what may be watched.
type sight struct {
	version string
	nodes   bool
	scopes  []string // of pods
	unseen  []string
}

// look finds out what this user may see.
func (c *Cluster) look(ctx context.Context, client *client, own string) (sight, error) {
	ctx, cancel := context.WithTimeout(ctx, c.pace.probe)
	defer cancel()
	var s sight
	var err error
	if s.version, err = client.version(ctx); err != nil && !apierrors.IsForbidden(err) {
		return s, err
	}
	switch err := client.may(ctx, "nodes", ""); {
	case err == nil:
		s.nodes = true
	case apierrors.IsForbidden(err):
		s.unseen = append(s.unseen, text("nodes are not seen, but for those that pods name: "+plain(err)))
	default:
		return s, err
	}
	pods := client.may(ctx, "pods", "")
	if pods == nil {
		s.scopes = []string{everywhere}
		return s, nil
	} else if !apierrors.IsForbidden(pods) {
		return s, pods
	}
	names := c.opts.Namespaces
	if len(names) == 0 {
		names = client.namespaces(ctx, 4*maxNamespaces)
		if own != "" && !slices.Contains(names, own) {
			names = append([]string{own}, names...)
		}
	}
	for _, name := range names {
		if len(s.scopes) == maxNamespaces {
			s.unseen = append(s.unseen, "namespaces beyond the first "+text(strings.Join(names[:maxNamespaces], ", "))+" are not seen")
			break
		}
		if err := client.may(ctx, "pods", name); err == nil {
			s.scopes = append(s.scopes, name)
		} else if !apierrors.IsForbidden(err) {
			return s, err
		}
	}
	if len(s.scopes) == 0 {
		if !s.nodes {
			return s, pods
		}
		s.unseen = append(s.unseen, text("pods are not seen: "+plain(pods)))
		return s, nil
	}
	s.unseen = append(s.unseen, text("pods are seen in "+strings.Join(s.scopes, ", ")+" only: "+plain(pods)))
	return s, nil
}

// watchAll runs the reflectors until one is denied what it was allowed before, the credentials are no longer taken, or they may have been renewed.
func (c *Cluster) watchAll(ctx context.Context, client *client, s sight, files []string) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	links := map[string]*link{}
	podScopes, nodeScopes := map[string]bool{}, map[string]bool{}
	newLink := func(name string) *link {
		l := &link{name: name, changed: c.changed, end: cancel, began: time.Now()}
		links[name] = l
		return l
	}
	var run []func(context.Context)
	if s.nodes {
		nodeScopes[everywhere] = true
		l := newLink("nodes")
		run = append(run, reflector(client, &scope[node]{c.nodes, everywhere, l.synced}, &corev1.Node{}, l, query{resource: "nodes", selector: c.opts.Selector}))
	}
	for _, name := range s.scopes {
		podScopes[name] = true
		l := newLink(strings.TrimSpace("pods " + name))
		run = append(run, reflector(client, &scope[pod]{c.pods, name, l.synced}, &corev1.Pod{}, l, query{resource: "pods", namespace: name}))
	}
	c.mu.Lock()
	c.version, c.unseen, c.partial, c.links = s.version, s.unseen, !podScopes[everywhere], links
	c.mu.Unlock()
	c.pods.keepScopes(podScopes)
	c.nodes.keepScopes(nodeScopes)
	c.changed()

	var tasks sync.WaitGroup
	for _, r := range run {
		tasks.Go(func() { r(ctx) })
	}
	before, told := fileStates(files), false
	look := time.NewTicker(c.pace.first)
	defer look.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-c.hurry:
			if c.trouble() != nil {
				cancel(errHurry)
			}
		case <-look.C:
			bad := c.trouble() != nil
			if bad != told { // a server that is only slow says nothing by itself
				told = bad
				c.changed()
			}
			if now := fileStates(files); now != before {
				before = now
				if bad {
					cancel(errHurry)
				}
			}
		}
	}
	tasks.Wait()
	if err := context.Cause(ctx); err != context.Canceled {
		return err
	}
	return nil
}

// trouble is the failure of the link that failed first, nil when all work.
func (c *Cluster) trouble() *schedulers.Problem {
	c.mu.Lock()
	defer c.mu.Unlock()
	whole := len(c.links) > 0
	for _, l := range c.links {
		whole = whole && l.complete()
	}
	if whole {
		c.problem = nil // what was wrong before this session is over when it has everything
	}
	first := c.problem
	for _, l := range c.links {
		if p := l.trouble(c.name); p != nil && (first == nil || p.Since.Before(first.Since)) {
			first = p
		}
	}
	return first
}

// fail notes why there is no session; an older failure of the same kind keeps its time.
func (c *Cluster) fail(err error) {
	before := c.trouble()
	c.mu.Lock()
	why := explain(err, c.name)
	p := &schedulers.Problem{Text: why.text, Remedy: why.remedy, Since: time.Now()}
	if before != nil {
		p.Since = before.Since
	}
	c.problem, c.links = p, nil
	c.mu.Unlock()
	c.changed()
}
