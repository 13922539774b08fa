// Package kubernetes says what a Kubernetes API server knows of nodes and of the workloads whose pods ask for accelerators, as a schedulers.Picture.
//
// It watches, with client-go's reflectors: nodes, and pods. Of each object it keeps what is told and drops the rest at once, of a pod without an
// accelerator everything, so that a large cluster stays small in memory. It reads the pods alone: every operator labels its pods with the job that they
// are of (see owner.go), so neither its custom resources nor a right to read them are needed. A job that has no pod yet is therefore not seen.
//
// Where this user may not list nodes, or pods of the whole cluster, it watches the namespaces that it may and says what it does not see. What the server said
// last stays true, with its age, while it does not answer.
//
// It also opens the door to nodes without SSH: commands through exec into a pod there (exec.go).
//
// Watching changes nothing in the cluster. What does is that exec, and the orders of an [Actor] (act.go): cordon, drain, uncordon, the end of a job.
// Callers are cli (wiring) and tests.
package kubernetes

import (
	"context"
	"sync"
	"time"

	"k8s.io/client-go/rest"

	"foretop/schedulers"
)

// Kind is the kind of these schedulers.
const Kind = "kubernetes"

// Options say which cluster, and how much of it.
type Options struct {
	Kubeconfig string   // a file; "": as kubectl finds it, and inside a pod its service account
	Context    string   // of the kubeconfig; "": its current one
	Selector   string   // labels of the nodes to tell; "": all
	Namespaces []string // tried where pods of the whole cluster may not be listed; nil: the context's, and those that may be listed
}

// Cluster is one API server. It serves one reader.
type Cluster struct {
	opts  Options
	pace  pace
	hurry chan struct{}
	dirty chan struct{} // something that is told changed

	nodes *store[node]
	pods  *store[pod]

	mu      sync.Mutex
	name    string
	server  string // its address: orders go to no other
	version string
	unseen  []string // what is not watched, in words
	partial bool     // pods of some namespaces only
	synced  time.Time
	links   map[string]*link
	problem *schedulers.Problem // beyond any link: no configuration, no answer at all
}

// pace are the waits; tests have shorter ones.
type pace struct {
	first, last time.Duration // of tries after a failure, before jitter
	tell        time.Duration // between two pictures
	probe       time.Duration // for one answer
}

// New prepares a cluster; it reads and connects nothing yet. What is wrong with the configuration is told in the picture, for it may be mended while foretop runs.
func New(o Options) *Cluster {
	c := &Cluster{
		opts:  o,
		pace:  pace{first: time.Second, last: time.Minute, tell: time.Second, probe: 15 * time.Second},
		hurry: make(chan struct{}, 1),
		dirty: make(chan struct{}, 1),
		links: make(map[string]*link),
	}
	c.nodes = newStore(trimNode, c.changed)
	c.pods = newStore(trimPod, c.changed)
	return c
}

// Kind is kubernetes.
func (c *Cluster) Kind() string { return Kind }

// Hurry ends the wait for the next try, where the server was away. One that answers tells by itself.
func (c *Cluster) Hurry() {
	select {
	case c.hurry <- struct{}{}:
	default:
	}
}

// changed asks for a picture.
func (c *Cluster) changed() {
	select {
	case c.dirty <- struct{}{}:
	default:
	}
}

// Watch tells a picture at once, and then each that differs, at most one a second and never so often that making them takes a twentieth of a core.
func (c *Cluster) Watch(ctx context.Context, tell func(*schedulers.Picture)) {
	ctx, cancel := context.WithCancel(quiet(ctx))
	var tasks sync.WaitGroup
	defer tasks.Wait()
	defer cancel()
	tasks.Go(func() { c.follow(ctx) })
	for {
		began := time.Now()
		if p := c.picture(began); p != nil {
			tell(p)
		}
		pause := time.NewTimer(max(c.pace.tell, 20*time.Since(began)))
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return
		}
		select {
		case <-c.dirty:
		case <-ctx.Done():
			return
		}
	}
}

// HasConfig says whether there is a cluster to watch: a kubeconfig with a current context, or a pod's service account.
func HasConfig(o Options) bool {
	_, _, err := loadConfig(o)
	return err == nil
}

// InCluster says whether this process runs in a pod of a cluster.
func InCluster() bool {
	_, err := rest.InClusterConfig()
	return err == nil
}
