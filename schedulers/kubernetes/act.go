package kubernetes

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/validate/content"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	apps "k8s.io/client-go/kubernetes/typed/apps/v1"
	core "k8s.io/client-go/kubernetes/typed/core/v1"
	policy "k8s.io/client-go/kubernetes/typed/policy/v1"
	"k8s.io/client-go/rest"

	"foretop/schedulers"
)

// Actor gives orders to the API server that a Cluster watches, and to no other: a kubeconfig that names another one by now is refused. It is a schedulers.Actor.
type Actor struct {
	cluster *Cluster
	user    string
	pace    actPace

	mu     sync.Mutex
	api    *api
	states string // of the files that api was made from
	files  []string
	host   string // the first that was spoken to
	// requeued is what the last requeue of each job from here left on it.
	requeued map[string]string
}

var _ schedulers.Actor = (*Actor)(nil)

// actPace are the waits of an Actor; tests have shorter ones.
type actPace struct {
	answer time.Duration // for one answer
	retry  time.Duration // between two tries to evict a pod that is held
	poll   time.Duration // between two looks that failed
}

// api is what orders are given with.
type api struct {
	core      core.CoreV1Interface
	apps      apps.AppsV1Interface
	policy    policy.PolicyV1Interface
	discovery discovery.DiscoveryInterface
	dynamic   dynamic.Interface
}

// Actor gives orders in the name of a user, who is named in what a drain leaves on a node; the API server itself knows its users by their credentials.
func (c *Cluster) Actor(user string) *Actor {
	return &Actor{cluster: c, user: byline(user), pace: actPace{answer: 30 * time.Second, retry: 5 * time.Second, poll: time.Second}}
}

// connect gives the clients of the configuration as it is now. One that names another server than the one that is watched is refused: its nodes may have the same names.
func (a *Actor) connect() (*api, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.api != nil && fileStates(a.files) == a.states {
		return a.api, nil
	}
	cfg, files, err := loadConfig(a.cluster.opts)
	if err != nil {
		return nil, notAsked(err)
	}
	a.cluster.mu.Lock()
	watched, name := a.cluster.server, a.cluster.name
	a.cluster.mu.Unlock()
	if host := firstOf(watched, a.host); host != "" && host != cfg.rest.Host {
		return nil, &schedulers.RefusedError{
			Words:  text(fmt.Sprintf("the kubeconfig names another cluster by now (%s, at %s) than the one on screen (%s, at %s)", cfg.context, cfg.rest.Host, name, host)),
			Remedy: "start foretop anew, or name the context: --kube CONTEXT",
		}
	}
	made, err := newAPI(cfg.rest)
	if err != nil {
		return nil, notAsked(err)
	}
	a.api, a.files, a.states, a.host = made, files, fileStates(files), cfg.rest.Host
	return a.api, nil
}

// newAPI prepares clients. Each has kubectl's pace for itself. None repeats by itself what a server under load put off: what is done is decided here.
func newAPI(c *rest.Config) (*api, error) {
	cfg := rest.CopyConfig(c)
	cfg.QPS, cfg.Burst = 50, 300
	cfg.Wrap(func(next http.RoundTripper) http.RoundTripper { return onceOnly{next} })
	a := &api{}
	var err error
	if a.core, err = core.NewForConfig(cfg); err != nil {
		return nil, err
	}
	if a.apps, err = apps.NewForConfig(cfg); err != nil {
		return nil, err
	}
	if a.policy, err = policy.NewForConfig(cfg); err != nil {
		return nil, err
	}
	if a.discovery, err = discovery.NewDiscoveryClientForConfig(cfg); err != nil {
		return nil, err
	}
	a.dynamic, err = dynamic.NewForConfig(cfg)
	return a, err
}

// onceOnly takes the header off answers by which client-go repeats a request.
type onceOnly struct{ next http.RoundTripper }

func (o onceOnly) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := o.next.RoundTrip(r)
	if err == nil {
		answer.Header.Del("Retry-After")
	}
	return answer, err
}

// Commands are the calls that an order comes to. Of the pods that are to be evicted those are named that the last picture holds, which are the ones with accelerators.
func (a *Actor) Commands(o schedulers.Order) []string {
	switch o.Verb {
	case schedulers.Drain:
		return a.drainCalls(o)
	case schedulers.Resume:
		return []string{"PATCH nodes/" + word(o.Node) + " " + resumePatch().String()}
	case schedulers.Cancel, schedulers.Requeue:
		return jobCalls(o)
	}
	return nil
}

// Do carries an order out.
func (a *Actor) Do(ctx context.Context, o schedulers.Order, say func(string)) error {
	ctx = quiet(ctx)
	if err := checkOrder(o); err != nil {
		return err
	}
	x, err := a.connect()
	if err != nil {
		return err
	}
	switch o.Verb {
	case schedulers.Drain:
		if err := a.cordon(ctx, x, o, say); err != nil || !o.Evict {
			return err
		}
		return a.evict(ctx, x, o, say)
	case schedulers.Resume:
		return a.resume(ctx, x, o, say)
	case schedulers.Cancel:
		return a.cancel(ctx, x, o, say)
	default:
		return a.requeue(ctx, x, o, say)
	}
}

// Look says whether what an order asks for is so: a node is cordoned, and empty where that was wanted; it takes work; a job is gone.
func (a *Actor) Look(ctx context.Context, o schedulers.Order) (bool, string, error) {
	ctx = quiet(ctx)
	if err := checkOrder(o); err != nil {
		return false, "", err
	}
	x, err := a.connect()
	if err != nil {
		return false, "", err
	}
	switch o.Verb {
	case schedulers.Drain, schedulers.Resume:
		return a.lookNode(ctx, x, o)
	default:
		return a.lookJob(ctx, x, o)
	}
}

// checkOrder refuses what no API server could have a name for, before anything is made of it.
func checkOrder(o schedulers.Order) error {
	switch o.Verb {
	case schedulers.Drain, schedulers.Resume:
		return checkName("node", o.Node)
	case schedulers.Cancel, schedulers.Requeue:
		_, err := parseJob(o.Job)
		return err
	}
	return &schedulers.RefusedError{Words: text(fmt.Sprintf("Kubernetes knows no order %q", o.Verb))}
}

// checkName refuses a name that could be more than one segment of an address.
func checkName(what, name string) error {
	bad := content.IsPathSegmentName(name)
	if name == "" {
		bad = []string{"it is empty"}
	}
	if word(name) != name {
		bad = []string{"it has characters that no name has, or too many"}
	}
	if len(bad) > 0 {
		return &schedulers.RefusedError{Words: text(fmt.Sprintf("%q is no name of a %s: %s", name, what, bad[0]))}
	}
	return nil
}
