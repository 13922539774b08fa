package kubernetes

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"

	"foretop/schedulers"
	"foretop/telemetry"
)

// drainReason is the annotation of a node that was cordoned from here: "REASON [USER@TIME]", the time as in RFC 3339.
const drainReason = "foretop/drain-reason"

const (
	maxReason = 512 // bytes of a reason, those that it was added to included
	maxUser   = 64
	maxLeft   = 256 // names of what is left on a node
)

// byline makes a user's name fit to stand in the annotation.
func byline(user string) string {
	return strings.NewReplacer("[", "(", "]", ")").Replace(telemetry.Clean(strings.TrimSpace(user), maxUser))
}

// formatMark writes the annotation.
func formatMark(reason, by string, at time.Time) string {
	return telemetry.Clean(strings.TrimSpace(reason), maxReason) + " [" + byline(by) + "@" + at.UTC().Format(time.RFC3339) + "]"
}

// parseMark reads it. What is not written as formatMark does is a reason of nobody's.
func parseMark(s string) (reason, by string, at time.Time) {
	s = telemetry.Clean(strings.TrimSpace(s), maxReason+2*maxUser)
	head, tail, ok := cutLast(" "+strings.TrimSuffix(s, "]"), " [")
	who, when, dated := cutLast(tail, "@")
	t, err := time.Parse(time.RFC3339, when)
	if !ok || !dated || err != nil || !strings.HasSuffix(s, "]") {
		return s, "", time.Time{}
	}
	return strings.TrimSpace(head), who, t
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// nodePatch is a merge patch of a node. Its resourceVersion makes the server refuse it when somebody else was faster.
type nodePatch struct {
	Metadata struct {
		Annotations     map[string]*string `json:"annotations,omitempty"`
		ResourceVersion string             `json:"resourceVersion,omitempty"`
	} `json:"metadata,omitzero"`
	Spec struct {
		Unschedulable bool `json:"unschedulable"`
	} `json:"spec"`
}

func (p nodePatch) String() string { return plainJSON(p) }

// plainJSON writes a value as a person would: no escapes that only a web page needs.
func plainJSON(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(v) // of maps, strings and flags
	return strings.TrimSpace(b.String())
}

func cordonPatch(mark string) (p nodePatch) {
	p.Spec.Unschedulable = true
	if mark != "" {
		p.Metadata.Annotations = map[string]*string{drainReason: &mark}
	}
	return p
}

func resumePatch() (p nodePatch) {
	p.Metadata.Annotations = map[string]*string{drainReason: nil}
	return p
}

// markOf is how a node is marked, without what is left on it.
func markOf(n *corev1.Node) (m schedulers.NodeMark) {
	m.Draining = n.Spec.Unschedulable
	if s, ok := n.Annotations[drainReason]; ok {
		m.Reason, m.By, m.At = parseMark(s)
		return m
	}
	for i := range n.Spec.Taints {
		if t := &n.Spec.Taints[i]; t.Key == corev1.TaintNodeUnschedulable && t.TimeAdded != nil {
			m.At = t.TimeAdded.Time
		}
	}
	return m
}

// markWords say how a node is marked.
func markWords(m schedulers.NodeMark) string {
	switch {
	case !m.Draining && m.Reason == "":
		return "it takes work"
	case !m.Draining:
		return "it takes work, though it has a reason not to: " + m.Reason
	case m.Reason == "":
		return "it is cordoned, and no reason is given"
	}
	by := ""
	if m.By != "" {
		by = " [" + m.By + "]"
	}
	return "it is cordoned: " + m.Reason + by
}

// cordon keeps new pods off a node, and leaves the reason on it. A node that is cordoned already stays as it is, unless the reason is to be added.
func (a *Actor) cordon(ctx context.Context, x *api, o schedulers.Order, say func(string)) error {
	return a.change(ctx, x, o.Node, say, func(m schedulers.NodeMark, marked bool) (*nodePatch, string, error) {
		reason := telemetry.Clean(strings.TrimSpace(o.Reason), maxReason)
		switch {
		case m.Draining && !o.Append:
			return nil, "it was cordoned already, which stays: " + markWords(m), nil
		case m.Draining && marked && m.Reason != "":
			reason = m.Reason + "; " + reason
		case m.Draining:
			reason = "(cordoned by others) " + reason
		}
		p := cordonPatch(formatMark(reason, a.user, time.Now()))
		return &p, "cordoned", nil
	})
}

// resume lets new pods on a node again and takes our reason off it.
func (a *Actor) resume(ctx context.Context, x *api, o schedulers.Order, say func(string)) error {
	return a.change(ctx, x, o.Node, say, func(m schedulers.NodeMark, marked bool) (*nodePatch, string, error) {
		if seen := o.UnlessSeen; seen != nil {
			same := marked && m.Draining && m.Reason == telemetry.Clean(strings.TrimSpace(seen.Reason), maxReason) &&
				(seen.By == "" || seen.By == m.By) && (seen.At.IsZero() || seen.At.Equal(m.At)) && m.By == a.user
			if !same {
				return nil, "", &schedulers.RefusedError{Words: text(o.Node + " is not as it was left: " + markWords(m)), Remedy: "resume it instead, if that is right"}
			}
		}
		if !m.Draining && !marked {
			return nil, "it took work already", nil
		}
		p := resumePatch()
		return &p, "it takes work again", nil
	})
}

// tries is how often a change is begun anew because somebody else changed the node between the look at it and the change: kubelets do so all the time.
const tries = 20

// change looks at a node and changes it as decide says: a patch, none when nothing is to do, and words. The patch is taken by the server only if the node is still the one that was looked at.
func (a *Actor) change(ctx context.Context, x *api, name string, say func(string), decide func(m schedulers.NodeMark, marked bool) (*nodePatch, string, error)) error {
	var last error
	for range tries {
		n, err := a.node(ctx, x, name)
		if err != nil {
			return err
		}
		_, marked := n.Annotations[drainReason]
		p, words, err := decide(markOf(n), marked)
		if err != nil {
			return err
		}
		if p == nil {
			say(text(words))
			return nil
		}
		p.Metadata.ResourceVersion = n.ResourceVersion
		within, cancel, c := a.begin(ctx, "patch", "nodes")
		_, err = x.core.Nodes().Patch(within, name, types.MergePatchType, []byte(p.String()), metav1.PatchOptions{FieldManager: "foretop"})
		cancel()
		if last = c.fate(err); !apierrors.IsConflict(err) {
			if last == nil {
				say(text(words))
			}
			return last
		}
	}
	return last
}

// node asks for one.
func (a *Actor) node(ctx context.Context, x *api, name string) (*corev1.Node, error) {
	within, cancel, c := a.begin(ctx, "get", "nodes")
	defer cancel()
	n, err := x.core.Nodes().Get(within, name, metav1.GetOptions{})
	return n, c.read(err)
}

// Mark is how a node is marked now. Left are its pods, "NAMESPACE/NAME", but those of DaemonSets, those that its kubelet was told of by files, and those that ended.
func (a *Actor) Mark(ctx context.Context, node string) (schedulers.NodeMark, error) {
	ctx = quiet(ctx)
	if err := checkName("node", node); err != nil {
		return schedulers.NodeMark{}, err
	}
	x, err := a.connect()
	if err != nil {
		return schedulers.NodeMark{}, err
	}
	n, err := a.node(ctx, x, node)
	if err != nil {
		return schedulers.NodeMark{}, err
	}
	m := markOf(n)
	m.Left, err = a.left(ctx, x, node)
	return m, err
}

// left are the pods of a node that a drain is about.
func (a *Actor) left(ctx context.Context, x *api, node string) (names []string, err error) {
	o := metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector("spec.nodeName", node).String(), Limit: page}
	for {
		within, cancel, c := a.begin(ctx, "list", "pods")
		list, err := x.core.Pods(metav1.NamespaceAll).List(within, o)
		cancel()
		if err := c.read(err); err != nil {
			return nil, err
		}
		for i := range list.Items {
			if p := &list.Items[i]; leaves(p) && len(names) < maxLeft {
				names = append(names, podName(p))
			}
		}
		if o.Continue = list.Continue; o.Continue == "" || len(names) == maxLeft {
			slices.Sort(names)
			return names, nil
		}
	}
}

// leaves says whether a pod is one that a drain takes away.
func leaves(p *corev1.Pod) bool {
	if _, mirror := p.Annotations[corev1.MirrorPodAnnotationKey]; mirror || p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed {
		return false
	}
	owner := controller(&p.ObjectMeta)
	return owner == nil || owner.Kind != "DaemonSet"
}

func podName(p *corev1.Pod) string { return word(p.Namespace) + "/" + word(p.Name) }

// lookNode says whether a node is as an order wants it.
func (a *Actor) lookNode(ctx context.Context, x *api, o schedulers.Order) (bool, string, error) {
	n, err := a.node(ctx, x, o.Node)
	if err != nil {
		return false, "", err
	}
	m := markOf(n)
	words := text(markWords(m))
	if o.Verb == schedulers.Resume || !o.Evict || !m.Draining {
		return m.Draining == (o.Verb == schedulers.Drain), words, nil
	}
	left, err := a.left(ctx, x, o.Node)
	switch {
	case err != nil:
		return false, "", err
	case len(left) > 0:
		return false, text(words + "; " + several(len(left), "pod") + " left: " + some(left)), nil
	}
	return true, text(words + "; no pod is left"), nil
}
