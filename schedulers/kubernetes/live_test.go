package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"foretop/schedulers"
	"foretop/scripts/testbed"
)

// patience bounds every wait of these tests.
const patience = 3 * time.Minute

// watched is a cluster that is watched by a test.
type watched struct {
	*Cluster
	t testing.TB

	mu   sync.Mutex
	last *schedulers.Picture
	news chan struct{}
}

// look watches with short waits until the test ends.
func look(t testing.TB, o Options) *watched {
	t.Helper()
	w := &watched{Cluster: New(o), t: t, news: make(chan struct{}, 1)}
	w.pace = pace{first: 50 * time.Millisecond, last: time.Second, tell: 10 * time.Millisecond, probe: time.Minute}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.Watch(ctx, func(p *schedulers.Picture) {
			w.mu.Lock()
			w.last = p
			w.mu.Unlock()
			select {
			case w.news <- struct{}{}:
			default:
			}
		})
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return w
}

// await waits for a picture that is as wanted.
func (w *watched) await(what string, wanted func(*schedulers.Picture) bool) *schedulers.Picture {
	w.t.Helper()
	limit := time.After(patience)
	for {
		w.mu.Lock()
		p := w.last
		w.mu.Unlock()
		if p != nil && wanted(p) {
			return p
		}
		select {
		case <-w.news:
		case <-limit:
			w.t.Fatalf("%s: not in %s; the last picture: %s", what, patience, summary(p))
		}
	}
}

func summary(p *schedulers.Picture) string {
	if p == nil {
		return "none"
	}
	out := fmt.Sprintf("%d nodes, %d jobs, unseen %q", len(p.Nodes), len(p.Jobs), p.Unseen)
	if p.Problem != nil {
		out += fmt.Sprintf(", problem %q (%s)", p.Problem.Text, p.Problem.Remedy)
	}
	return out
}

func find(p *schedulers.Picture, node string) schedulers.Node {
	for _, n := range p.Nodes {
		if n.Name == node {
			return n
		}
	}
	return schedulers.Node{}
}

func findJob(p *schedulers.Picture, key string) schedulers.Job {
	for _, j := range p.Jobs {
		if j.Key == "kubernetes/"+key {
			return j
		}
	}
	return schedulers.Job{}
}

func read(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(fixtures, name))
	must(t, err)
	return string(b)
}

// The objects of the fixture, on a real API server: what is told of them, of changes, of limited rights, and of a server that goes away.
func TestRealServer(t *testing.T) {
	k := testbed.StartKube(t)
	k.Apply(read(t, "operators.yaml"))
	k.Apply(read(t, "cluster.yaml"))
	admin := look(t, Options{Kubeconfig: k.Kubeconfig})
	nodes, pods := fixture(t, "cluster.yaml")
	want := filled(t, nodes, pods).picture(time.Unix(2, 0))
	p := admin.await("all of the fixture", func(p *schedulers.Picture) bool {
		return len(p.Nodes) == len(want.Nodes) && len(p.Jobs) == len(want.Jobs)
	})
	likeGolden(t, p)
	if p.Cluster != "admin" || !strings.HasPrefix(p.Version, "v1.") || p.Problem != nil || p.Unseen != nil {
		t.Errorf("cluster %q, version %q, %s", p.Cluster, p.Version, summary(p))
	}
	for _, j := range p.Jobs {
		if time.Since(j.SubmitAt) > time.Hour {
			t.Errorf("%s was submitted at %s", j.Key, j.SubmitAt)
		}
		for _, x := range j.Pods {
			if len(x.UID) != 36 || x.UID != uidOf(t, k, j.Partition, x.Name) {
				t.Errorf("pod %s has uid %q", x.Name, x.UID)
			}
		}
	}
	t.Run("changes", func(t *testing.T) { changes(t, k, admin) })
	t.Run("rights", func(t *testing.T) { rights(t, k) })
	t.Run("credentials", func(t *testing.T) { credentials(t, k) })
	t.Run("door", func(t *testing.T) { opensDoor(t, k) })
	t.Run("away", func(t *testing.T) { goesAway(t, k, admin) })
}

// Nodes whose kubelets kwok plays: they become ready and run what is bound to them.
func TestKwok(t *testing.T) {
	k := testbed.StartKube(t)
	k.Kwok()
	w := look(t, Options{Kubeconfig: k.Kubeconfig})
	for i := range 8 {
		k.Apply(fmt.Sprintf(`{apiVersion: v1, kind: Node, metadata: {name: gpu%[1]d}, status: {allocatable: {cpu: "96", pods: "110", nvidia.com/gpu: "8"}, capacity: {cpu: "96", pods: "110", nvidia.com/gpu: "8"}}}
---
{apiVersion: v1, kind: Pod, metadata: {namespace: ml, name: vllm-%[1]d, labels: {leaderworkerset.sigs.k8s.io/name: vllm, leaderworkerset.sigs.k8s.io/group-index: "0", leaderworkerset.sigs.k8s.io/worker-index: "%[1]d"}},
 spec: {nodeName: gpu%[1]d, containers: [{name: main, image: i, resources: {limits: {nvidia.com/gpu: "8"}}}]}}
`, i))
	}
	p := w.await("eight nodes and a job that runs on them", func(p *schedulers.Picture) bool {
		j := findJob(p, "ml/leaderworkerset/vllm")
		return len(p.Nodes) == 8 && j.State == "Running" && len(j.Pods) == 8
	})
	for _, n := range p.Nodes {
		if n.Condition != schedulers.Usable || n.GPUs != 8 || n.GPUsUsed != 8 {
			t.Errorf("%s: %v, %d of %d given out", n.Name, n.Condition, n.GPUsUsed, n.GPUs)
		}
	}
	if j := findJob(p, "ml/leaderworkerset/vllm"); j.GPUs != 64 || j.NodesN != 8 || j.Pods[0].Role != "leader-0" || j.Pods[7].Index != 7 {
		t.Errorf("%+v", j)
	}
}

func uidOf(t *testing.T, k *testbed.Kube, namespace, name string) string {
	b, err := k.Do(http.MethodGet, "/api/v1/namespaces/"+namespace+"/pods/"+name, "", nil)
	must(t, err)
	_, rest, _ := strings.Cut(string(b), `"uid":"`)
	for strings.HasPrefix(rest, "00000000-") { // an owner's
		_, rest, _ = strings.Cut(rest, `"uid":"`)
	}
	uid, _, _ := strings.Cut(rest, `"`)
	return uid
}

// changes are told as they come: a cordon, a kubelet that falls silent, a pod that is asked to end and goes.
func changes(t *testing.T, k *testbed.Kube, admin *watched) {
	patch := func(path, body string) {
		t.Helper()
		_, err := k.Do(http.MethodPatch, path, "application/merge-patch+json", []byte(body))
		must(t, err)
	}
	patch("/api/v1/nodes/gpu001", `{"spec":{"unschedulable":true}}`)
	admin.await("gpu001 cordoned", func(p *schedulers.Picture) bool { return find(p, "gpu001").Condition == schedulers.Draining })
	patch("/api/v1/nodes/gpu001", `{"spec":{"unschedulable":false}}`)
	admin.await("gpu001 usable", func(p *schedulers.Picture) bool { return find(p, "gpu001").Condition == schedulers.Usable })
	k.SetStatus("/api/v1/nodes/gpu001", `{"status":{"conditions":[{"type":"Ready","status":"Unknown","reason":"NodeStatusUnknown","message":"Kubelet stopped posting node status.","lastTransitionTime":"2026-03-02T11:00:00Z"}]}}`)
	p := admin.await("gpu001 unreachable", func(p *schedulers.Picture) bool { return find(p, "gpu001").Condition == schedulers.Unreachable })
	if n := find(p, "gpu001"); n.ReasonAt.UTC().Format(time.DateTime) != "2026-03-02 11:00:00" || !strings.Contains(n.Reason, "stopped posting") {
		t.Errorf("gpu001: %+v", n)
	}
	_, err := k.Do(http.MethodDelete, "/api/v1/namespaces/ml/pods/horovod-worker-0", "", nil)
	must(t, err)
	p = admin.await("a pod that ends", func(p *schedulers.Picture) bool {
		return strings.Contains(findJob(p, "ml/mpijob/horovod").State, "Terminating")
	})
	if n := find(p, "gpu001"); n.GPUsUsed != 8 {
		t.Errorf("a pod that still ends has no GPU: %d of gpu001 are given out", n.GPUsUsed)
	}
	_, err = k.Do(http.MethodDelete, "/api/v1/namespaces/ml/pods/horovod-worker-0?gracePeriodSeconds=0", "", nil)
	must(t, err)
	p = admin.await("a job that ended", func(p *schedulers.Picture) bool { return findJob(p, "ml/mpijob/horovod").Key == "" })
	if n := find(p, "gpu001"); n.GPUsUsed != 7 {
		t.Errorf("%d of gpu001 are given out", n.GPUsUsed)
	}
}

// rights: one who may see pods of one namespace sees these, and what else there is is said to be unseen; who may see nothing is told so, and sees once that is allowed.
func rights(t *testing.T, k *testbed.Kube) {
	k.Apply(`apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {namespace: ml, name: reader}
rules: [{apiGroups: [""], resources: [pods], verbs: [get, list, watch]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {namespace: ml, name: ada}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: ada}]
`)
	ada := look(t, Options{Kubeconfig: k.User("ada", "ml")})
	p := ada.await("the jobs of ml", func(p *schedulers.Picture) bool { return len(p.Jobs) > 0 })
	for _, j := range p.Jobs {
		if j.Partition != "ml" {
			t.Errorf("%s is told", j.Key)
		}
	}
	said := strings.Join(p.Unseen, "\n")
	if p.Problem != nil || !strings.Contains(said, "nodes are not seen") || !strings.Contains(said, "pods are seen in ml only") {
		t.Errorf("said: %s", summary(p))
	}
	if n := find(p, "gpu002"); n.GPUs != -1 || n.GPUsUsed != -1 || n.Condition != schedulers.Unknown || !slices.Equal(n.Addresses, []string{"10.0.0.2"}) {
		t.Errorf("a node that only pods name: %+v", n)
	}
	bob := look(t, Options{Kubeconfig: k.User("bob", "ml")})
	p = bob.await("nothing allowed", func(p *schedulers.Picture) bool { return p.Problem != nil })
	if !strings.Contains(p.Problem.Text, "forbidden") || !strings.Contains(p.Problem.Text, `"bob"`) || p.Problem.Remedy == "" || len(p.Jobs) > 0 || !p.At.IsZero() {
		t.Errorf("said: %s", summary(p))
	}
	k.Apply(`apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {namespace: ml, name: bob}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: bob}]
`)
	bob.await("allowed since", func(p *schedulers.Picture) bool { return p.Problem == nil && len(p.Jobs) > 0 })
	// What is taken away again is said, and what was seen stays.
	_, err := k.Do(http.MethodDelete, "/apis/rbac.authorization.k8s.io/v1/namespaces/ml/rolebindings/bob", "", nil)
	must(t, err)
}

// credentials that are not taken are a problem in words; a kubeconfig with others is taken up.
func credentials(t *testing.T, k *testbed.Kube) {
	good, err := os.ReadFile(k.Kubeconfig)
	must(t, err)
	path := filepath.Join(t.TempDir(), "config")
	must(t, os.WriteFile(path, []byte(strings.Replace(string(good), "token: admin", "token: expired", 1)), 0o600))
	w := look(t, Options{Kubeconfig: path})
	p := w.await("refused", func(p *schedulers.Picture) bool { return p.Problem != nil })
	if !strings.Contains(p.Problem.Text, "does not take these credentials") || !strings.Contains(p.Problem.Remedy, "log in again") {
		t.Errorf("said: %s", summary(p))
	}
	must(t, os.WriteFile(path, good, 0o600))
	w.await("the new credentials", func(p *schedulers.Picture) bool { return p.Problem == nil && len(p.Nodes) > 0 })
}

// opensDoor runs commands through the server's exec, which speaks WebSockets, on a kubelet that really runs them. What the manifest's role allows is enough.
func opensDoor(t *testing.T, k *testbed.Kube) {
	testbed.Need(t, "nsenter", "dd")
	kubelet := testbed.StartKubelet(t)
	k.Apply(fmt.Sprintf(`apiVersion: v1
kind: Node
metadata: {name: door001}
status:
  addresses: [{type: InternalIP, address: 127.0.0.1}]
  daemonEndpoints: {kubeletEndpoint: {Port: %d}}
  conditions: [{type: Ready, status: "True"}]
---
apiVersion: v1
kind: Pod
metadata: {namespace: foretop, name: foretop-aaaaa, labels: {app.kubernetes.io/name: foretop}}
spec: {nodeName: door001, containers: [{name: door, image: i}]}
status: {phase: Running}
`, kubelet.Port))
	d := NewDoor(Options{Kubeconfig: k.User("ada", "ml")}, "")
	_, err := d.Run(t.Context(), "door001", "true", strings.NewReader(""), io.Discard, io.Discard)
	var e *ExecError
	if !errors.As(err, &e) || !e.Refused || !strings.Contains(e.Cause, "forbidden") {
		t.Errorf("without the role: %v", err)
	}
	k.Apply(Manifest(ManifestOptions{Users: []string{"ada"}}))
	runsCommands(t, d, "door001")
	showsTerminal(t, d, "door001")
}

// goesAway: a server that dies is a problem, and what it said last stays; when it is back the picture goes on.
func goesAway(t *testing.T, k *testbed.Kube, admin *watched) {
	before := admin.await("a good picture", func(p *schedulers.Picture) bool { return p.Problem == nil })
	died := time.Now()
	k.StopAPI()
	p := admin.await("away", func(p *schedulers.Picture) bool { return p.Problem != nil })
	if len(p.Jobs) != len(before.Jobs) || len(p.Nodes) != len(before.Nodes) || p.At.IsZero() {
		t.Errorf("the last picture is gone: %s", summary(p))
	}
	if p.Problem.Since.Before(died) || p.Problem.Remedy == "" || !strings.Contains(p.Problem.Text, "the API server of admin") {
		t.Errorf("said: %s since %s", summary(p), p.Problem.Since)
	}
	k.RestartAPI()
	admin.Hurry()
	admin.await("back", func(p *schedulers.Picture) bool { return p.Problem == nil })
	_, err := k.Do(http.MethodPatch, "/api/v1/nodes/gpu003", "application/merge-patch+json", []byte(`{"spec":{"unschedulable":false}}`))
	must(t, err)
	admin.await("news after it came back", func(p *schedulers.Picture) bool { return find(p, "gpu003").Condition == schedulers.Usable })
}
