package kubernetes

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"foretop/schedulers"
	"foretop/scripts/testbed"
)

// evicts: pods that a controller makes anew go; those of a DaemonSet stay; bare ones and emptyDirs hold everything up until one says so.
func evicts(t *testing.T, k *testbed.Kube) {
	volume := ", volumes: [{name: v, emptyDir: {}}]"
	k.Apply(nodeOf("e1") + podOf("e1", "e1-job", "ReplicaSet/r", "") + podOf("e1", "e1-agent", "DaemonSet/agent", "") + podOf("e1", "e1-bare", "", "") + podOf("e1", "e1-dir", "ReplicaSet/r", volume))
	ann := act(t, k, k.Kubeconfig, "ann")
	drain := schedulers.Order{Verb: schedulers.Drain, Node: "e1", Reason: "fan", Evict: true, Timeout: patience}
	ann.refuses(drain, "e1 is cordoned, but no pod was evicted", "team/e1-bare", "team/e1-dir", "Ctrl-d in the drain's form, --delete-emptydir-data", "Ctrl-p in the drain's form, --force")
	if m := ann.mark("e1"); !m.Draining || !slices.Equal(m.Left, []string{"team/e1-bare", "team/e1-dir", "team/e1-job"}) {
		t.Errorf("mark %+v", m)
	}
	drain.Force = true
	if words := ann.refuses(drain, "team/e1-dir", "--delete-emptydir-data"); strings.Contains(words, "e1-bare") || strings.Contains(words, "--force") || strings.Contains(words, "override") {
		t.Errorf("said %s", words)
	}
	drain.EmptyDir = true
	drain.Grace = 1500 * time.Millisecond
	ann.do(drain)
	if m := ann.mark("e1"); !m.Draining || m.Reason != "fan" || len(m.Left) > 0 {
		t.Errorf("mark %+v", m)
	}
	if _, err := k.Do(http.MethodGet, "/api/v1/namespaces/team/pods/e1-agent", "", nil); err != nil {
		t.Errorf("the DaemonSet's pod: %v", err)
	}
	for _, want := range []string{"told to end: team/e1-job", "3 of 3 pods are gone", "3 pods gone, none is left"} {
		if !strings.Contains(ann.words(), want) {
			t.Errorf("never said %q, but:\n%s", want, ann.words())
		}
	}
	ann.looks(drain, true, "no pod is left")
	ann.do(drain) // nothing is left to do
	ann.do(schedulers.Order{Verb: schedulers.Resume, Node: "e1"})
}

// budgets: a pod that its PodDisruptionBudget holds is waited for, named after the timeout, and goes once it may; the others went meanwhile.
func budgets(t *testing.T, k *testbed.Kube) {
	k.Apply(nodeOf("b1") + podOf("b1", "b1-held", "ReplicaSet/r", "") + podOf("b1", "b1-free", "ReplicaSet/r", "") + `{apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {namespace: team, name: quorum}, spec: {minAvailable: 1, selector: {matchLabels: {app: b1-held}}}}
`)
	pdb := "/apis/policy/v1/namespaces/team/poddisruptionbudgets/quorum"
	set := func(allowed int) {
		k.SetStatus(pdb, fmt.Sprintf(`{"status":{"observedGeneration":1,"disruptionsAllowed":%d,"currentHealthy":1,"desiredHealthy":1,"expectedPods":1}}`, allowed))
	}
	ann := act(t, k, k.Kubeconfig, "ann")
	drain := schedulers.Order{Verb: schedulers.Drain, Node: "b1", Reason: "fan", Evict: true}
	ann.runsOut(drain, "team/b1-held (The disruption budget quorum", "kubectl get pdb") // not computed yet
	set(0)
	ann.runsOut(drain, "after {} 1 of 1 pod is left: team/b1-held (The disruption budget quorum needs 1 healthy pods and has 1 currently)")
	if m := ann.mark("b1"); !slices.Equal(m.Left, []string{"team/b1-held"}) {
		t.Errorf("mark %+v", m)
	}
	drain.Timeout = patience
	done := make(chan error, 1)
	again := act(t, k, k.Kubeconfig, "ann")
	go func() { done <- again.Do(t.Context(), drain, again.say) }()
	again.awaits("team/b1-held waits: The disruption budget quorum")
	set(1)
	must(t, <-done)
	again.looks(drain, true, "no pod is left")
}

// namesake: a pod that was made anew elsewhere under the name of one that was to go is left alone. (Not with kwok, which deletes by name: at times the namesake of what it saw go.)
func namesake(t *testing.T, k *testbed.Kube) {
	k.Apply(nodeOf("m1") + nodeOf("m2") + podOf("m1", "m-0", "StatefulSet/m", "") + `{apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {namespace: team, name: one}, spec: {minAvailable: 1, selector: {matchLabels: {app: m-0}}}}
`)
	k.SetStatus("/apis/policy/v1/namespaces/team/poddisruptionbudgets/one", `{"status":{"observedGeneration":1,"disruptionsAllowed":0,"currentHealthy":1,"desiredHealthy":1,"expectedPods":1}}`)
	ann := act(t, k, k.Kubeconfig, "ann")
	done := make(chan error, 1)
	go func() {
		done <- ann.Do(t.Context(), schedulers.Order{Verb: schedulers.Drain, Node: "m1", Reason: "fan", Evict: true, Timeout: patience}, ann.say)
	}()
	ann.awaits("team/m-0 waits")
	ann.delete("/api/v1/namespaces/team/pods/m-0?gracePeriodSeconds=0")
	k.Apply(podOf("m2", "m-0", "StatefulSet/m", ""))
	k.SetStatus("/apis/policy/v1/namespaces/team/poddisruptionbudgets/one", `{"status":{"observedGeneration":1,"disruptionsAllowed":1,"currentHealthy":2,"desiredHealthy":1,"expectedPods":2}}`)
	must(t, <-done)
	b, err := k.Do(http.MethodGet, "/api/v1/namespaces/team/pods/m-0", "", nil)
	if err != nil || strings.Contains(string(b), "deletionTimestamp") {
		t.Errorf("the namesake on m2: %s, %v", b, err)
	}
}

// anotherCluster: a kubeconfig that names another server by now gets no order, for its nodes may have the same names.
func anotherCluster(t *testing.T, k *testbed.Kube) {
	k.Apply(nodeOf("a1"))
	good, err := os.ReadFile(k.Kubeconfig)
	must(t, err)
	path := filepath.Join(t.TempDir(), "config")
	must(t, os.WriteFile(path, good, 0o600))
	ann := act(t, k, path, "ann")
	ann.do(schedulers.Order{Verb: schedulers.Drain, Node: "a1", Reason: "fan"})
	must(t, os.WriteFile(path, []byte(strings.Replace(string(good), "127.0.0.1", "localhost", 1)), 0o600))
	ann.refuses(schedulers.Order{Verb: schedulers.Resume, Node: "a1"}, "names another cluster", "localhost", "127.0.0.1", "--kube")
	must(t, os.WriteFile(path, good, 0o600))
	if !ann.mark("a1").Draining {
		t.Error("resumed")
	}
}

// serverAway: what cannot be sent is told apart; a drain goes on when the server is back.
func serverAway(t *testing.T, k *testbed.Kube) {
	k.Apply(nodeOf("w1") + podOf("w1", "w1-held", "ReplicaSet/r", "") + `{apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {namespace: team, name: holds}, spec: {minAvailable: 1, selector: {matchLabels: {app: w1-held}}}}
`)
	status := "/apis/policy/v1/namespaces/team/poddisruptionbudgets/holds"
	k.SetStatus(status, `{"status":{"observedGeneration":1,"disruptionsAllowed":0,"currentHealthy":1,"desiredHealthy":1,"expectedPods":1}}`)
	ann, bob := act(t, k, k.Kubeconfig, "ann"), act(t, k, k.Kubeconfig, "bob")
	drain := schedulers.Order{Verb: schedulers.Drain, Node: "w1", Reason: "fan", Evict: true, Timeout: 2 * patience}
	done := make(chan error, 1)
	go func() { done <- ann.Do(t.Context(), drain, ann.say) }()
	ann.awaits("team/w1-held waits: The disruption budget holds")
	k.StopAPI()
	ann.awaits("team/w1-held waits: the API server")
	err := bob.Do(t.Context(), schedulers.Order{Verb: schedulers.Drain, Node: "w1", Reason: "fan"}, bob.say)
	if !errors.Is(err, schedulers.ErrNotSent) || errors.Is(err, schedulers.ErrUnsure) || !strings.Contains(err.Error(), "refuses connections") {
		t.Errorf("nobody listens: %v", err)
	}
	if _, _, err := bob.Look(t.Context(), drain); err == nil {
		t.Error("nobody listens, and one looks")
	}
	short := drain
	short.Timeout = time.Second
	k.RestartAPI()
	k.SetStatus(status, `{"status":{"observedGeneration":1,"disruptionsAllowed":1,"currentHealthy":1,"desiredHealthy":1,"expectedPods":1}}`)
	must(t, <-done)
	bob.looks(drain, true, "no pod is left")
	// A drain that ends while the server is away does not know what is left.
	k.Apply(podOf("w1", "w1-last", "ReplicaSet/r", "") + `{apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {namespace: team, name: last}, spec: {minAvailable: 1, selector: {matchLabels: {app: w1-last}}}}
`)
	short.Timeout = 30 * time.Second
	go func() { done <- bob.Do(t.Context(), short, bob.say) }()
	bob.awaits("team/w1-last waits: The disruption budget last")
	k.StopAPI()
	if err := <-done; !errors.Is(err, schedulers.ErrUnsure) || !strings.Contains(err.Error(), "what is left is not known") {
		t.Errorf("gone for good: %v", err)
	}
	k.RestartAPI()
	bob.looks(short, false, "1 pod left: team/w1-last")
}
