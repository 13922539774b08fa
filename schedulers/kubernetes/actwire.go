package kubernetes

import (
	"context"
	"strconv"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	clientset "k8s.io/client-go/kubernetes"
	apps "k8s.io/client-go/kubernetes/typed/apps/v1"
	core "k8s.io/client-go/kubernetes/typed/core/v1"
	policy "k8s.io/client-go/kubernetes/typed/policy/v1"
)

// eviction is what is known of the pods that a drain takes off a node.
type eviction struct {
	actor *Actor

	mu   sync.Mutex
	say  func(string)
	pods map[string]*evictee // by "NAMESPACE/NAME"
	gone int
	bad  bool // one was refused for good

	once     bool  // the last question: it is not put again
	unlisted error // of the last list of pods
}

// evictee is one pod of them.
type evictee struct {
	uid         types.UID
	gone        bool
	why, remedy string // why it is not told to end
}

func (e *eviction) want(pods []corev1.Pod) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for i := range pods {
		e.pods[podName(&pods[i])] = &evictee{uid: pods[i].UID}
	}
}

// wanted says whether a pod is one of those, and not a later one of its name.
func (e *eviction) wanted(p *corev1.Pod) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	l := e.pods[podName(p)]
	return l != nil && l.uid == p.UID
}

func (e *eviction) broken() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.bad
}

func (e *eviction) isGone(name string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if l := e.pods[name]; l != nil && !l.gone {
		l.gone, l.why = true, ""
		e.gone++
		e.say(text(e.soFar() + ": " + name))
	}
}

// holdsUp notes why a pod is not told to end.
func (e *eviction) holdsUp(name, why, remedy string, forGood bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.bad = e.bad || forGood
	if l := e.pods[name]; l != nil && l.why != why {
		l.why, l.remedy = why, remedy
		e.say(text(e.soFar() + "; " + name + " waits: " + why))
	}
}

// told notes that a pod is told to end.
func (e *eviction) told(name string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if l := e.pods[name]; l != nil {
		l.why, l.remedy = "", ""
		e.say(text(e.soFar() + "; told to end: " + name))
	}
}

func (e *eviction) soFar() string {
	return strconv.Itoa(e.gone) + " of " + plural(len(e.pods), "pod", "is", "are") + " gone"
}

func (e *eviction) tally() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.soFar()
}

func (e *eviction) uid(name string) *types.UID {
	e.mu.Lock()
	defer e.mu.Unlock()
	if l := e.pods[name]; l != nil {
		return &l.uid
	}
	return nil
}

// wire is the API as kubectl's drain asks it. It stands between, for three reasons: a server that is away for a while ends no drain, for the same is asked again; a pod is evicted by its UID, for one of the same
// name that runs elsewhere by now is another; and why a pod is not evicted is told.
type wire struct {
	clientset.Interface // nil: nothing else is asked for
	api                 *api
	e                   *eviction
}

func (w *wire) Discovery() discovery.DiscoveryInterface { return w.api.discovery }
func (w *wire) AppsV1() apps.AppsV1Interface            { return appsWire{w.api.apps, w.e} }
func (w *wire) CoreV1() core.CoreV1Interface            { return coreWire{w.api.core, w.e} }
func (w *wire) PolicyV1() policy.PolicyV1Interface      { return policyWire{w.api.policy, w.api.core, w.e} }

type coreWire struct {
	core.CoreV1Interface
	e *eviction
}

func (w coreWire) Pods(namespace string) core.PodInterface {
	return podWire{w.CoreV1Interface.Pods(namespace), namespace, w.e}
}

type podWire struct {
	core.PodInterface
	namespace string
	e         *eviction
}

// Get asks for a pod until the server answers.
func (w podWire) Get(ctx context.Context, name string, o metav1.GetOptions) (p *corev1.Pod, err error) {
	err = w.e.ask(ctx, func(ctx context.Context) (err error) {
		p, err = w.PodInterface.Get(ctx, name, o)
		return err
	}, func(why string) {
		w.e.holdsUp(word(w.namespace)+"/"+word(name), why, "try again when the API server is well", false)
	})
	return p, err
}

// List asks for pods until the server answers. kubectl's code makes a text of an error: it is kept as it was.
func (w podWire) List(ctx context.Context, o metav1.ListOptions) (list *corev1.PodList, err error) {
	err = w.e.ask(ctx, func(ctx context.Context) (err error) {
		list, err = w.PodInterface.List(ctx, o)
		return err
	}, w.e.waits)
	w.e.unlisted = err
	return list, err
}

type appsWire struct {
	apps.AppsV1Interface
	e *eviction
}

func (w appsWire) DaemonSets(namespace string) apps.DaemonSetInterface {
	return daemonSetWire{w.AppsV1Interface.DaemonSets(namespace), w.e}
}

type daemonSetWire struct {
	apps.DaemonSetInterface
	e *eviction
}

// Get asks for a DaemonSet until the server answers.
func (w daemonSetWire) Get(ctx context.Context, name string, o metav1.GetOptions) (d *appsv1.DaemonSet, err error) {
	err = w.e.ask(ctx, func(ctx context.Context) (err error) {
		d, err = w.DaemonSetInterface.Get(ctx, name, o)
		return err
	}, w.e.waits)
	return d, err
}

// ask puts a question until the server answers: each time at most as long as an answer may take, all in all until ctx ends. Each failure is told.
func (e *eviction) ask(ctx context.Context, question func(context.Context) error, failed func(why string)) error {
	for {
		within, cancel := context.WithTimeout(ctx, e.actor.pace.answer)
		err := question(within)
		cancel()
		if err == nil || answered(err) && !apierrors.IsTooManyRequests(err) || ctx.Err() != nil || e.once {
			return err
		}
		failed(explain(err, "").text)
		doze(ctx, e.actor.pace.poll)
	}
}

// waits says that nothing can begin yet.
func (e *eviction) waits(why string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.say(text("cordoned; waits: " + why))
}

func doze(ctx context.Context, wait time.Duration) {
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

type policyWire struct {
	policy.PolicyV1Interface
	core core.CoreV1Interface
	e    *eviction
}

func (w policyWire) Evictions(namespace string) policy.EvictionInterface {
	return evictionWire{w.PolicyV1Interface.Evictions(namespace), w.core, w.e}
}

type evictionWire struct {
	policy.EvictionInterface
	core core.CoreV1Interface
	e    *eviction
}

// Evict asks for the eviction of the very pod that was on the node. What may change is told as 429, which kubectl's code takes as "again in a while".
func (w evictionWire) Evict(ctx context.Context, eviction *policyv1.Eviction) error {
	name := word(eviction.Namespace) + "/" + word(eviction.Name)
	if eviction.DeleteOptions == nil {
		eviction.DeleteOptions = &metav1.DeleteOptions{}
	}
	eviction.DeleteOptions.Preconditions = &metav1.Preconditions{UID: w.e.uid(name)}
	within, cancel := context.WithTimeout(ctx, w.e.actor.pace.answer)
	err := w.EvictionInterface.Evict(within, eviction)
	cancel()
	switch {
	case err == nil:
		w.e.told(name)
		return nil
	case ctx.Err() != nil:
		return err
	case apierrors.IsNotFound(err), apierrors.IsConflict(err) && w.replaced(ctx, eviction):
		w.e.isGone(name)
		return apierrors.NewNotFound(corev1.Resource("pods"), eviction.Name)
	case apierrors.IsConflict(err): // its kubelet was faster with its status
		return apierrors.NewTooManyRequests(err.Error(), 0)
	case apierrors.IsTooManyRequests(err):
		why, remedy := budget(err)
		w.e.holdsUp(name, why, remedy, false)
		return err
	case !answered(err):
		w.e.holdsUp(name, explain(err, "").text, "try again when the API server is well", false)
		return apierrors.NewTooManyRequests(err.Error(), 0)
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		w.e.holdsUp(name, text(plain(err)), "", false)
		return err
	}
	r := refusal(err, "create", "pods/eviction")
	w.e.holdsUp(name, r.Words, r.Remedy, true)
	return err
}

// replaced says whether another pod has the name of one that was to be evicted.
func (w evictionWire) replaced(ctx context.Context, eviction *policyv1.Eviction) bool {
	within, cancel := context.WithTimeout(ctx, w.e.actor.pace.answer)
	defer cancel()
	p, err := w.core.Pods(eviction.Namespace).Get(within, eviction.Name, metav1.GetOptions{})
	return apierrors.IsNotFound(err) || err == nil && !w.e.wanted(p)
}

// budget says which PodDisruptionBudget holds a pod, in the server's words.
func budget(err error) (why, remedy string) {
	if c, ok := apierrors.StatusCause(err, policyv1.DisruptionBudgetCause); ok {
		return text(c.Message), "`kubectl get pdb -A` shows what each budget waits for: more healthy pods elsewhere let this one go"
	}
	return text(plain(err)), "the API server is overloaded, or a budget is new: try again in a while"
}
