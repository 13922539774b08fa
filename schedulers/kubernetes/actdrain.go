package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/kubectl/pkg/drain"

	"foretop/schedulers"
)

// maxCalls bounds how many pods Commands names one by one.
const maxCalls = 64

// drainCalls are the calls of a drain.
func (a *Actor) drainCalls(o schedulers.Order) []string {
	mark := formatMark(o.Reason, a.user, time.Time{})
	mark = strings.Replace(mark, time.Time{}.UTC().Format(time.RFC3339), "NOW", 1)
	calls := []string{"PATCH nodes/" + word(o.Node) + " " + cordonPatch(mark).String()}
	if !o.Append {
		calls[0] += ", unless it is cordoned already"
	}
	if !o.Evict {
		return calls
	}
	var pods []string
	a.cluster.pods.each(func(p *pod) {
		if p.node == o.Node && p.holds() && p.workload.kind != "daemonset" {
			pods = append(pods, p.namespace+"/"+p.name)
		}
	})
	slices.Sort(pods)
	body := ""
	if s := seconds(o.Grace); s >= 0 {
		body = ` {"deleteOptions":{"gracePeriodSeconds":` + strconv.Itoa(s) + `}}`
	}
	for _, p := range pods[:min(len(pods), maxCalls)] {
		calls = append(calls, "POST pods/"+p+"/eviction"+body)
	}
	return append(calls, "POST pods/NAMESPACE/NAME/eviction"+body+" for each other pod on "+word(o.Node)+" but those of DaemonSets")
}

// seconds is a grace as the API has it; -1: the pod's own.
func seconds(d time.Duration) int {
	if d <= 0 {
		return -1
	}
	return int(min((d+time.Second-1)/time.Second, 1<<30))
}

// evict has the pods of a cordoned node go, with kubectl's own code, and says which have. It ends at the order's timeout whatever the node, the budgets and the server do.
func (a *Actor) evict(ctx context.Context, x *api, o schedulers.Order, say func(string)) error {
	limit := o.Timeout
	if limit <= 0 {
		limit = schedulers.DrainTimeout
	}
	within, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	e := &eviction{actor: a, say: say, pods: map[string]*evictee{}}
	h := &drain.Helper{
		Ctx: within, Client: &wire{api: x, e: e}, Force: o.Force, GracePeriodSeconds: seconds(o.Grace), IgnoreAllDaemonSets: true, Timeout: limit,
		DeleteEmptyDirData: o.EmptyDir, ChunkSize: page, EvictErrorRetryDelay: a.pace.retry, Out: io.Discard, ErrOut: io.Discard,
		OnPodDeletionOrEvictionFinished: func(p *corev1.Pod, _ bool, err error) {
			if err == nil {
				e.isGone(podName(p))
			}
		},
	}
	var list *drain.PodDeleteList
	err := e.ask(within, func(context.Context) error { return evictable(x) }, e.waits)
	if err == nil {
		var errs []error
		list, errs = h.GetPodsForDeletion(o.Node)
		switch {
		case e.unlisted != nil:
			err = e.unlisted
		case len(errs) > 0:
			err = held(errs)
		}
	}
	if err != nil {
		return cordonedBut(o.Node, err)
	}
	pods := list.Pods()
	e.want(pods)
	if err := h.DeleteOrEvictPods(pods); err == nil {
		say(text(several(len(pods), "pod") + " gone, none is left"))
		return nil
	}
	return e.ended(ctx, x, h, o.Node, limit)
}

// evictable makes sure that the server has the eviction that budgets are respected by: kubectl's code deletes where there is none.
func evictable(x *api) error {
	group, err := drain.CheckEvictionSupport(&wire{api: x})
	if err == nil && group != policyv1.SchemeGroupVersion {
		err = &schedulers.RefusedError{Words: "this API server has no eviction of policy/v1", Remedy: "Kubernetes 1.22 and later have it"}
	}
	return err
}

// cordonedBut says why a drain came no further than its cordon.
func cordonedBut(node string, err error) error {
	var refused *schedulers.RefusedError
	switch {
	case errors.As(err, &refused):
	case answered(err):
		refused = refusal(err, "list", "pods")
	default:
		why := explain(err, "")
		refused = &schedulers.RefusedError{Words: why.text, Remedy: why.remedy}
	}
	return &schedulers.RefusedError{Words: text(word(node) + " is cordoned, but no pod was evicted: " + refused.Words), Remedy: refused.Remedy}
}

// held says which pods kubectl's code takes only when it is told to, or not at all.
func held(errs []error) error {
	var words, remedies []string
	for _, err := range errs {
		s := err.Error()
		for _, f := range []struct{ flag, remedy string }{
			{" (use --delete-emptydir-data to override)", "to lose what is in their emptyDirs: Ctrl-d in the drain's form, --delete-emptydir-data on the command line"},
			{" (use --force to override)", "to end what nothing makes anew: Ctrl-p in the drain's form, --force on the command line"},
		} {
			if strings.Contains(s, f.flag) {
				s = strings.Replace(s, f.flag, "", 1)
				remedies = append(remedies, f.remedy)
			}
		}
		if strings.Contains(s, ` cannot get resource "daemonsets"`) {
			remedies = append(remedies, missing("get", "daemonsets"))
		}
		words = append(words, s)
	}
	slices.Sort(words)
	slices.Sort(remedies)
	return &schedulers.RefusedError{Words: text(strings.Join(words, "; ")), Remedy: strings.Join(slices.Compact(remedies), "; ")}
}

// ended says what is left on a node, and why.
func (e *eviction) ended(ctx context.Context, x *api, h *drain.Helper, node string, limit time.Duration) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s is cordoned; %s, and nobody waits for the rest: %w", word(node), e.tally(), schedulers.ErrUnsure)
	}
	look, cancel := context.WithTimeout(ctx, e.actor.pace.answer)
	defer cancel()
	h.Ctx, e.once = look, true
	list, _ := h.GetPodsForDeletion(node)
	if e.unlisted != nil {
		return fmt.Errorf("%s is cordoned; %s; what is left is not known, for %s: %w", word(node), e.tally(), explain(e.unlisted, "").text, schedulers.ErrUnsure)
	}
	var left []corev1.Pod
	for _, p := range list.Pods() {
		if e.wanted(&p) {
			left = append(left, p)
		}
	}
	if len(left) == 0 {
		e.say("no pod is left")
		return nil
	}
	n, err := e.actor.node(look, x, node)
	silent := err == nil && !ready(n)
	var words []string
	remedies := map[string]bool{}
	for i := range left {
		why, remedy := e.why(&left[i], silent)
		words = append(words, podName(&left[i])+" ("+why+")")
		remedies[remedy] = true
	}
	slices.Sort(words)
	when := "after " + limit.String() + " "
	if e.broken() {
		when = ""
	}
	return &schedulers.RefusedError{
		Words:  text(fmt.Sprintf("%s is cordoned, and %s%d of %s left: %s", word(node), when, len(left), plural(len(e.pods), "pod", "is", "are"), some(words))),
		Remedy: joined(remedies),
	}
}

// ready says whether a node's kubelet says so.
func ready(n *corev1.Node) bool {
	for i := range n.Status.Conditions {
		if c := &n.Status.Conditions[i]; c.Type == corev1.NodeReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// why says why a pod is still there, and what helps.
func (e *eviction) why(p *corev1.Pod, silent bool) (why, remedy string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	l := e.pods[podName(p)]
	switch {
	case p.DeletionTimestamp != nil && silent:
		return "it was told to end, and the node is NotReady: nobody there says that it did", "where the machine is surely off, `kubectl delete pod --force` forgets its pods"
	case p.DeletionTimestamp != nil && len(p.Finalizers) > 0:
		return "it was told to end, and the finalizer " + word(p.Finalizers[0]) + " holds it", "see to whom that finalizer belongs"
	case p.DeletionTimestamp != nil:
		return "it was told to end " + age(p.DeletionTimestamp, p.DeletionGracePeriodSeconds) + " ago and has not yet", "wait longer (Ctrl-t, --timeout), or give it less grace (Ctrl-g, --grace)"
	case l == nil || l.why == "":
		return "it was not told to end yet", "drain it again (e on the screen)"
	}
	return l.why, l.remedy
}

// age is how long ago a pod was told to end: its deletion time is when its grace is over.
func age(at *metav1.Time, grace *int64) string {
	t := at.Time
	if grace != nil {
		t = t.Add(-time.Duration(*grace) * time.Second)
	}
	return max(time.Since(t), 0).Round(time.Second).String()
}

func several(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}

func plural(n int, what, is, are string) string {
	if n == 1 {
		return several(n, what) + " " + is
	}
	return several(n, what) + " " + are
}

// some names the first few.
func some(names []string) string {
	const most = 8
	s := strings.Join(names[:min(len(names), most)], ", ")
	if len(names) > most {
		s += " and " + strconv.Itoa(len(names)-most) + " more"
	}
	return s
}

func joined(set map[string]bool) string {
	var list []string
	for s := range set {
		if s != "" {
			list = append(list, s)
		}
	}
	slices.Sort(list)
	return strings.Join(list, "; ")
}
