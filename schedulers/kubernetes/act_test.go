package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"foretop/schedulers"
	"foretop/scripts/testbed"
)

// acting is an Actor whose words a test reads.
type acting struct {
	*Actor
	t *testing.T
	k *testbed.Kube

	mu   sync.Mutex
	said []string
}

func act(t *testing.T, k *testbed.Kube, kubeconfig, user string) *acting {
	t.Helper()
	a := &acting{Actor: New(Options{Kubeconfig: kubeconfig}).Actor(user), t: t, k: k}
	a.pace = actPace{answer: time.Minute, retry: 50 * time.Millisecond, poll: 50 * time.Millisecond}
	return a
}

func (a *acting) say(words string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.said = append(a.said, words)
}

func (a *acting) words() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return strings.Join(a.said, "\n")
}

// awaits waits for words.
func (a *acting) awaits(words string) {
	a.t.Helper()
	for end := time.Now().Add(patience); !strings.Contains(a.words(), words); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			a.t.Fatalf("never said %q, but:\n%s", words, a.words())
		}
	}
}

func (a *acting) do(o schedulers.Order) {
	a.t.Helper()
	if err := a.Do(a.t.Context(), o, a.say); err != nil {
		a.t.Fatalf("%s %s%s: %v\nsaid:\n%s", o.Verb, o.Node, o.Job, err, a.words())
	}
}

// refuses does what is refused, and gives the words.
func (a *acting) refuses(o schedulers.Order, words ...string) string {
	a.t.Helper()
	err := a.Do(a.t.Context(), o, a.say)
	var refused *schedulers.RefusedError
	if !errors.As(err, &refused) {
		a.t.Fatalf("%s %s%s: %v, want it refused", o.Verb, o.Node, o.Job, err)
	}
	for _, w := range words {
		if !strings.Contains(refused.Error(), w) {
			a.t.Errorf("%s %s%s: %q does not say %q", o.Verb, o.Node, o.Job, refused.Error(), w)
		}
	}
	return refused.Error()
}

// runsOut does what ends at its timeout with these words; one that is too short for this machine is doubled. {} in the words is the timeout.
func (a *acting) runsOut(o schedulers.Order, words ...string) string {
	a.t.Helper()
	for o.Timeout = time.Second; ; o.Timeout *= 2 {
		err := a.Do(a.t.Context(), o, a.say)
		var refused *schedulers.RefusedError
		if err == nil || !errors.As(err, &refused) {
			a.t.Fatalf("drain %s: %v", o.Node, err)
		}
		said := refused.Error()
		if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(said, strings.ReplaceAll(w, "{}", o.Timeout.String())) }) {
			return said
		}
		if o.Timeout > patience/4 {
			a.t.Fatalf("drain %s in %s: %q does not say all of %q", o.Node, o.Timeout, said, words)
		}
	}
}

func (a *acting) mark(node string) schedulers.NodeMark {
	a.t.Helper()
	m, err := a.Mark(a.t.Context(), node)
	must(a.t, err)
	return m
}

func (a *acting) looks(o schedulers.Order, want bool, words string) {
	a.t.Helper()
	so, said, err := a.Look(a.t.Context(), o)
	if err != nil || so != want || !strings.Contains(said, words) {
		a.t.Errorf("look %s %s%s: %t, %q, %v", o.Verb, o.Node, o.Job, so, said, err)
	}
}

func (a *acting) patch(path, body string) {
	a.t.Helper()
	_, err := a.k.Do(http.MethodPatch, path, "application/merge-patch+json", []byte(body))
	must(a.t, err)
}

func (a *acting) delete(path string) {
	a.t.Helper()
	_, err := a.k.Do(http.MethodDelete, path, "", nil)
	must(a.t, err)
}

func nodeOf(name string) string {
	return fmt.Sprintf(`{apiVersion: v1, kind: Node, metadata: {name: %s}, status: {allocatable: {cpu: "96", pods: "110", nvidia.com/gpu: "8"}, conditions: [{type: Ready, status: "True"}]}}
---
`, name)
}

// podOf is a running pod; owner is "" or KIND/NAME. (Those of Jobs would be ended by kwok.)
func podOf(node, name, owner, more string) string {
	refs := ""
	if kind, of, ok := strings.Cut(owner, "/"); ok {
		refs = fmt.Sprintf(", ownerReferences: [{apiVersion: apps/v1, kind: %s, name: %s, uid: 00000000-0000-0000-0000-000000000001, controller: true}]", kind, of)
	}
	return fmt.Sprintf(`{apiVersion: v1, kind: Pod, metadata: {namespace: team, name: %s, labels: {app: %[1]s}%s}, spec: {nodeName: %s, terminationGracePeriodSeconds: 1, containers: [{name: main, image: i}]%s}, status: {phase: Running, conditions: [{type: Ready, status: "True"}]}}
---
`, name, refs, node, more)
}

const agents = `{apiVersion: apps/v1, kind: DaemonSet, metadata: {namespace: team, name: agent}, spec: {selector: {matchLabels: {app: agent}}, template: {metadata: {labels: {app: agent}}, spec: {containers: [{name: main, image: i}]}}}}
---
`

// Orders to a real API server. What no kubelet confirms comes first; then kwok plays the kubelets.
func TestActor(t *testing.T) {
	k := testbed.StartKube(t)
	k.Apply(agents)
	t.Run("cordon", func(t *testing.T) { cordons(t, k) })
	t.Run("denied", func(t *testing.T) { denied(t, k) })
	t.Run("silent node", func(t *testing.T) { silentNode(t, k) })
	t.Run("another cluster", func(t *testing.T) { anotherCluster(t, k) })
	t.Run("jobs", func(t *testing.T) { endsJobs(t, k) })
	t.Run("requeue", func(t *testing.T) { requeues(t, k) })
	t.Run("namesake", func(t *testing.T) { namesake(t, k) })
	k.Kwok()
	t.Run("evict", func(t *testing.T) { evicts(t, k) })
	t.Run("budget", func(t *testing.T) { budgets(t, k) })
	t.Run("away", func(t *testing.T) { serverAway(t, k) })
}

// cordons: the reason with who and when; somebody else's stays unless it is added to; an undo only while ours is still there.
func cordons(t *testing.T, k *testbed.Kube) {
	k.Apply(nodeOf("c1") + podOf("c1", "c1-agent", "DaemonSet/agent", "") + podOf("c1", "c1-main", "", ""))
	ann, bob := act(t, k, k.Kubeconfig, "ann"), act(t, k, k.Kubeconfig, "bob [root@x]")
	reason := "Xid 79 GPU3 \"$(reboot)\" `id` <&> [foretop/ann]"
	drain := schedulers.Order{Verb: schedulers.Drain, Node: "c1", Reason: reason + "\x1b]0;x\x07\n"}
	ann.looks(drain, false, "it takes work")
	before := time.Now().Add(-time.Second)
	ann.do(drain)
	m := ann.mark("c1")
	if !m.Draining || !strings.HasPrefix(m.Reason, reason) || strings.ContainsAny(m.Reason, "\x1b\x07\n") || m.By != "ann" || m.At.Before(before) || m.At.After(time.Now()) || !slices.Equal(m.Left, []string{"team/c1-main"}) {
		t.Errorf("mark %+v", m)
	}
	ann.looks(drain, true, reason)
	evict := drain
	evict.Evict = true
	ann.looks(evict, false, "team/c1-main")
	w := look(t, Options{Kubeconfig: k.Kubeconfig})
	p := w.await("the reason", func(p *schedulers.Picture) bool { return find(p, "c1").ReasonBy == "ann" })
	if n := find(p, "c1"); n.Reason != m.Reason || !n.ReasonAt.Equal(m.At) {
		t.Errorf("the picture has %q by %q at %s", n.Reason, n.ReasonBy, n.ReasonAt)
	}
	// Somebody else.
	bob.do(schedulers.Order{Verb: schedulers.Drain, Node: "c1", Reason: "fan"})
	if again := bob.mark("c1"); again.Reason != m.Reason || again.By != "ann" || !strings.Contains(bob.words(), "cordoned already, which stays") {
		t.Errorf("mark %+v, said %s", again, bob.words())
	}
	undo := schedulers.Order{Verb: schedulers.Resume, Node: "c1", UnlessSeen: &schedulers.NodeMark{Reason: "fan"}}
	bob.refuses(undo, "not as it was left", "ann")
	bob.do(schedulers.Order{Verb: schedulers.Drain, Node: "c1", Reason: "fan", Append: true})
	if both := bob.mark("c1"); both.Reason != m.Reason+"; fan" || both.By != "bob (root@x)" {
		t.Errorf("mark %+v", both)
	}
	bob.refuses(undo, "not as it was left")
	ann.refuses(schedulers.Order{Verb: schedulers.Resume, Node: "c1", UnlessSeen: &schedulers.NodeMark{Reason: m.Reason}}, "not as it was left", "fan")
	ann.looks(schedulers.Order{Verb: schedulers.Resume, Node: "c1"}, false, "fan")
	ann.do(schedulers.Order{Verb: schedulers.Resume, Node: "c1"})
	if m := ann.mark("c1"); m.Draining || m.Reason != "" || m.By != "" {
		t.Errorf("mark %+v", m)
	}
	ann.do(schedulers.Order{Verb: schedulers.Resume, Node: "c1"}) // once more
	// An undo, while nobody touched it.
	ann.do(schedulers.Order{Verb: schedulers.Drain, Node: "c1", Reason: "fan"})
	ann.do(undo)
	if ann.mark("c1").Draining {
		t.Error("undone, and still cordoned")
	}
	// A cordon without a reason is somebody's too.
	ann.patch("/api/v1/nodes/c1", `{"spec":{"unschedulable":true}}`)
	ann.do(schedulers.Order{Verb: schedulers.Drain, Node: "c1", Reason: "fan"})
	ann.refuses(undo, "no reason is given")
	ann.do(schedulers.Order{Verb: schedulers.Drain, Node: "c1", Reason: "fan", Append: true})
	if m := ann.mark("c1"); m.Reason != "(cordoned by others) fan" {
		t.Errorf("mark %+v", m)
	}
	ann.refuses(undo, "not as it was left")
	ann.do(schedulers.Order{Verb: schedulers.Resume, Node: "c1"})
	for _, name := range []string{"", "nowhere", "../pods", "c1/status", "c1%2fstatus", "..", "c1\n", "\x1b[2J", "$(reboot)", strings.Repeat("n", 4000)} {
		for _, verb := range []schedulers.Verb{schedulers.Drain, schedulers.Resume} {
			if words := ann.refuses(schedulers.Order{Verb: verb, Node: name, Reason: "fan"}); strings.ContainsAny(words, "\x1b\n") {
				t.Errorf("%q", words)
			}
		}
	}
	if m := ann.mark("c1"); m.Draining {
		t.Errorf("mark %+v", m)
	}
}

// grant gives a user a right on the whole cluster, and waits until the API server knows; "" takes it back.
func grant(t *testing.T, k *testbed.Kube, name, user, rule, verb, group, resource, sub string) {
	t.Helper()
	if rule == "" {
		_, err := k.Do(http.MethodDelete, "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/"+name, "", nil)
		must(t, err)
	} else {
		k.Apply(fmt.Sprintf(`{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: %[1]s}, rules: [%[3]s]}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {name: %[1]s}, roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: %[1]s}, subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: %[2]s}]}
`, name, user, rule))
	}
	mayBy(t, k, user, verb, group, resource, sub, rule != "")
}

// mayBy waits until the API server allows a user something, or no longer.
func mayBy(t *testing.T, k *testbed.Kube, user, verb, group, resource, sub string, want bool) {
	t.Helper()
	review := fmt.Appendf(nil, `{"apiVersion":"authorization.k8s.io/v1","kind":"SubjectAccessReview","spec":{"user":%q,"resourceAttributes":{"verb":%q,"group":%q,"resource":%q,"subresource":%q,"namespace":"team"}}}`, user, verb, group, resource, sub)
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		b, err := k.Do(http.MethodPost, "/apis/authorization.k8s.io/v1/subjectaccessreviews", "application/json", review)
		must(t, err)
		if strings.Contains(string(b), `"allowed":true`) == want {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s may %s %s: never %t", user, verb, resource, want)
		}
	}
}

// denied: who may not is told which right is missing, and nothing is changed.
func denied(t *testing.T, k *testbed.Kube) {
	k.Apply(nodeOf("d1") + podOf("d1", "d1-main", "ReplicaSet/r", "") + nodeOf("d2") + podOf("d2", "d2-agent", "DaemonSet/agent", ""))
	ada, bob := act(t, k, k.User("ada", "team"), "ada"), act(t, k, k.User("bob", "team"), "bob")
	drain := schedulers.Order{Verb: schedulers.Drain, Node: "d1", Reason: "fan", Evict: true}
	ada.refuses(drain, `User "ada" cannot get resource "nodes"`, "the right to get nodes is missing")
	if _, _, err := ada.Look(t.Context(), drain); err == nil {
		t.Error("ada may look")
	}
	grant(t, k, "adas", "ada", `{apiGroups: [""], resources: [nodes], verbs: [get, patch]}`, "patch", "", "nodes", "")
	ada.refuses(drain, "d1 is cordoned, but no pod was evicted", `cannot list resource "pods"`, "the right to list pods is missing")
	ada.do(schedulers.Order{Verb: schedulers.Resume, Node: "d1"})
	if _, err := ada.Mark(t.Context(), "d1"); err == nil {
		t.Error("ada sees what is left")
	}
	grant(t, k, "adas", "ada", "", "patch", "", "nodes", "")

	grant(t, k, "bob-looks", "bob", `{apiGroups: [""], resources: [nodes, pods], verbs: [get, list]}`, "list", "", "pods", "")
	bob.refuses(drain, `User "bob" cannot patch resource "nodes"`, "the right to patch nodes is missing", "foretop kube-manifest")
	bob.refuses(schedulers.Order{Verb: schedulers.Cancel, Job: "kubernetes/team/pod/d1-main"}, `cannot delete resource "pods"`, "the right to delete pods is missing")
	if m := bob.mark("d1"); m.Draining || !slices.Equal(m.Left, []string{"team/d1-main"}) {
		t.Errorf("mark %+v", m)
	}
	grant(t, k, "bob-cordons", "bob", `{apiGroups: [""], resources: [nodes], verbs: [patch]}`, "patch", "", "nodes", "")
	bob.refuses(drain, "d1 is cordoned", `cannot create resource "pods/eviction"`, "the right to create pods/eviction is missing")
	if m := bob.mark("d1"); !m.Draining || m.By != "bob" {
		t.Errorf("mark %+v", m)
	}
	bob.refuses(schedulers.Order{Verb: schedulers.Drain, Node: "d2", Reason: "fan", Evict: true}, "d2 is cordoned", `cannot get resource "daemonsets"`, "the right to get daemonsets is missing")
	// What the manifest says is enough.
	k.Apply(Manifest(ManifestOptions{Users: []string{"ada"}, Act: []string{"bob"}}))
	mayBy(t, k, "bob", "create", "", "pods", "eviction", true)
	mayBy(t, k, "ada", "list", "", "nodes", "", true)
	bob.runsOut(drain, "d1 is cordoned, and after {} 1 of 1 pod is left: team/d1-main (it was told to end")
	bob.do(schedulers.Order{Verb: schedulers.Resume, Node: "d1"})
	bob.do(schedulers.Order{Verb: schedulers.Drain, Node: "d2", Reason: "fan", Evict: true})
	bob.refuses(schedulers.Order{Verb: schedulers.Cancel, Job: "kubernetes/team/job/nothing"}, "not found")
	ada.refuses(drain, `User "ada" cannot patch resource "nodes"`)
}

// silentNode: pods that nobody confirms to have ended are named after the timeout, and a node that takes part in nothing holds nobody up.
func silentNode(t *testing.T, k *testbed.Kube) {
	k.Apply(nodeOf("s1") + podOf("s1", "s1-a", "ReplicaSet/r", "") + podOf("s1", "s1-b", "ReplicaSet/r", "") + podOf("s1", "s1-agent", "DaemonSet/agent", ""))
	k.SetStatus("/api/v1/nodes/s1", `{"status":{"conditions":[{"type":"Ready","status":"Unknown","reason":"NodeStatusUnknown","message":"Kubelet stopped posting node status."}]}}`)
	ann := act(t, k, k.Kubeconfig, "ann")
	drain := schedulers.Order{Verb: schedulers.Drain, Node: "s1", Reason: "fan", Evict: true}
	words := ann.runsOut(drain, "s1 is cordoned, and after {} 2 of 2 pods are left", "team/s1-a (it was told to end, and the node is NotReady", "team/s1-b (", "kubectl delete pod --force")
	if strings.Contains(words, "agent") {
		t.Errorf("names a DaemonSet's pod: %s", words)
	}
	ann.awaits("told to end: team/s1-a")
	ann.looks(drain, false, "2 pods left: team/s1-a, team/s1-b")
	ann.delete("/api/v1/namespaces/team/pods/s1-a?gracePeriodSeconds=0")
	ann.delete("/api/v1/namespaces/team/pods/s1-b?gracePeriodSeconds=0")
	ann.looks(drain, true, "no pod is left")
	// Who stops waiting does not know.
	k.Apply(podOf("s1", "s1-c", "ReplicaSet/r", ""))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	drain.Timeout = time.Hour
	go func() { done <- ann.Do(ctx, drain, ann.say) }()
	ann.awaits("told to end: team/s1-c")
	cancel()
	if err := <-done; !errors.Is(err, schedulers.ErrUnsure) || !strings.Contains(err.Error(), "0 of 1 pod is gone") {
		t.Errorf("cancelled: %v", err)
	}
	ann.delete("/api/v1/namespaces/team/pods/s1-c?gracePeriodSeconds=0")
}
