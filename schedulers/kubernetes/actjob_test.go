package kubernetes

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"foretop/schedulers"
	"foretop/scripts/testbed"
)

// jobKinds are kinds of workloads as their projects define them, as far as it matters here; two of them have a name in common, and one has no entry in our table.
const jobKinds = `{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: pytorchjobs.kubeflow.org}, spec: {group: kubeflow.org, scope: Namespaced, names: {plural: pytorchjobs, kind: PyTorchJob}, versions: [{name: v1, served: true, storage: true, subresources: {status: {}}, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}]}}
---
{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: rayjobs.ray.io}, spec: {group: ray.io, scope: Namespaced, names: {plural: rayjobs, kind: RayJob}, versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object}}}}}]}}
---
{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: jobs.batch.volcano.sh}, spec: {group: batch.volcano.sh, scope: Namespaced, names: {plural: jobs, kind: Job}, versions: [{name: v1alpha1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}]}}
---
{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: trainings.one.example}, spec: {group: one.example, scope: Namespaced, names: {plural: trainings, kind: Training}, versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}]}}
---
{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: trainings.two.example}, spec: {group: two.example, scope: Namespaced, names: {plural: trainings, kind: Training}, versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}]}}
---
{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: sweeps.one.example}, spec: {group: one.example, scope: Namespaced, names: {plural: sweeps, kind: Sweep}, versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}]}}
---
{apiVersion: kubeflow.org/v1, kind: PyTorchJob, metadata: {namespace: team, name: llama}, spec: {}}
---
{apiVersion: kubeflow.org/v1, kind: PyTorchJob, metadata: {namespace: team, name: held, finalizers: [one.example/holds]}, spec: {}}
---
{apiVersion: ray.io/v1, kind: RayJob, metadata: {namespace: team, name: old}, spec: {}}
---
{apiVersion: batch.volcano.sh/v1alpha1, kind: Job, metadata: {namespace: team, name: same}}
---
{apiVersion: batch/v1, kind: Job, metadata: {namespace: team, name: same}, spec: {template: {spec: {restartPolicy: Never, containers: [{name: main, image: i}]}}}}
---
{apiVersion: one.example/v1, kind: Training, metadata: {namespace: team, name: which}}
---
{apiVersion: one.example/v1, kind: Sweep, metadata: {namespace: team, name: wide}}
---
`

func cancel(key string) schedulers.Order {
	return schedulers.Order{Verb: schedulers.Cancel, Job: "kubernetes/" + key}
}

func requeue(key string) schedulers.Order {
	return schedulers.Order{Verb: schedulers.Requeue, Job: "kubernetes/" + key}
}

// endsJobs: the object that a key names goes, and no other that is called the same.
func endsJobs(t *testing.T, k *testbed.Kube) {
	k.Apply(jobKinds)
	there := func(path string) bool {
		_, err := k.Do(http.MethodGet, path, "", nil)
		return err == nil
	}
	ann := act(t, k, k.Kubeconfig, "ann")
	for _, c := range []struct{ key, path, other string }{
		{"team/pytorchjob/llama", "/apis/kubeflow.org/v1/namespaces/team/pytorchjobs/llama", ""},
		{"team/vcjob/same", "/apis/batch.volcano.sh/v1alpha1/namespaces/team/jobs/same", "/apis/batch/v1/namespaces/team/jobs/same"},
		{"team/job/same", "/apis/batch/v1/namespaces/team/jobs/same", ""},
		{"team/sweep/wide", "/apis/one.example/v1/namespaces/team/sweeps/wide", ""},
	} {
		if !there(c.path) {
			t.Fatalf("%s is not there", c.path)
		}
		ann.looks(cancel(c.key), false, "there still")
		ann.do(cancel(c.key))
		if there(c.path) || c.other != "" && !there(c.other) {
			t.Errorf("%s: %t, the other %t", c.key, there(c.path), there(c.other))
		}
		ann.looks(cancel(c.key), true, "gone")
		ann.refuses(cancel(c.key), "not found", "it is gone")
	}
	ann.do(cancel("team/pytorchjob/held"))
	ann.awaits("finalizer one.example/holds")
	ann.looks(cancel("team/pytorchjob/held"), true, "told to end")
	ann.do(cancel("team/pytorchjob/held"))
	ann.patch("/apis/kubeflow.org/v1/namespaces/team/pytorchjobs/held", `{"metadata":{"finalizers":null}}`)
	ann.refuses(cancel("team/training/which"), "trainings.one.example; trainings.two.example")
	ann.refuses(cancel("team/jobset/x"), "knows no kind jobset of jobset.x-k8s.io")
	ann.refuses(cancel("team/nothing/x"), "knows no kind nothing")
	for _, key := range []string{"", "team", "team/job", "team/job/a/b", "../job/x", "team/job/..", "team/job/", "team//x", "team/job/x%2f..", "team/job/\x1b[2J", "team/$(id)/x\n"} {
		if words := ann.refuses(cancel(key)); strings.ContainsAny(words, "\x1b\n") {
			t.Errorf("%q", words)
		}
	}
	ann.refuses(schedulers.Order{Verb: "melt", Node: "x"}, "melt")
	ann.refuses(schedulers.Order{Verb: schedulers.Cancel, Job: "slurm/8123"}, "no key of a job of Kubernetes")
}

// requeues: suspended, and let go on once its controller says that its pods ended; a kind that cannot be is refused.
func requeues(t *testing.T, k *testbed.Kube) {
	job := func(name, labels string) string {
		return `{apiVersion: batch/v1, kind: Job, metadata: {namespace: team, name: ` + name + `, labels: {` + labels + `}}, spec: {template: {spec: {restartPolicy: Never, containers: [{name: main, image: i}]}}}}
---
`
	}
	k.Apply(job("again", "") + job("queued", "kueue.x-k8s.io/queue-name: gold") + job("stuck", "") + podOf("r1", "r1", "", ""))
	at := func(name string) string { return "/apis/batch/v1/namespaces/team/jobs/" + name }
	has := func(name, words string) bool {
		b, err := k.Do(http.MethodGet, at(name), "", nil)
		must(t, err)
		return strings.Contains(string(b), words)
	}
	ann := act(t, k, k.Kubeconfig, "ann")
	ann.refuses(requeue("team/pod/r1"), "no requeue", "cancel it, and submit it again")
	ann.refuses(requeue("team/deployment/x"), "cannot be suspended")
	ann.refuses(requeue("team/rayjob/old"), "knows no spec.suspend") // its definition has no such field
	ann.looks(requeue("team/job/again"), false, "not suspended from here")

	done := make(chan error, 1)
	go func() { done <- ann.Do(t.Context(), requeue("team/job/again"), ann.say) }()
	ann.awaits("waits for its pods to end")
	if !has("again", `"suspend":true`) || !has("again", `"foretop/requeued":"[ann@`) {
		t.Error("it is not suspended")
	}
	ann.looks(requeue("team/job/again"), false, "was not let go on")
	k.SetStatus(at("again"), `{"status":{"conditions":[{"type":"Suspended","status":"True"}]}}`)
	must(t, <-done)
	if !has("again", `"suspend":false`) {
		t.Error("it is still suspended")
	}
	ann.looks(requeue("team/job/again"), true, "")

	ann.do(requeue("team/job/queued"))
	ann.awaits("the queue gold lets it go on")
	ann.looks(requeue("team/job/queued"), true, "")
	ann.refuses(requeue("team/job/queued"), "suspended already")

	stuck := requeue("team/job/stuck")
	stuck.Timeout = time.Second
	ann.refuses(stuck, "it is suspended, but its controller has not said in 1s", "spec.suspend")
	ann.refuses(requeue("team/job/nothing"), "not found")
	if _, _, err := ann.Look(t.Context(), requeue("team/nothing/x")); !errors.As(err, new(*schedulers.RefusedError)) {
		t.Errorf("look: %v", err)
	}
}
