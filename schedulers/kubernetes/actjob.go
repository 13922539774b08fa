package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"foretop/schedulers"
)

// jobRef is the object that a job's key names: "kubernetes/NAMESPACE/KIND/NAME", the kind in lower case.
type jobRef struct{ namespace, kind, name string }

func parseJob(key string) (jobRef, error) {
	parts := strings.Split(key, "/")
	if len(parts) != 4 || parts[0] != Kind {
		return jobRef{}, &schedulers.RefusedError{Words: text(fmt.Sprintf("%q is no key of a job of Kubernetes", key))}
	}
	r := jobRef{parts[1], parts[2], parts[3]}
	err := checkName("namespace", r.namespace)
	if err == nil {
		err = checkName("kind", r.kind)
	}
	if err == nil {
		err = checkName(r.kind, r.name)
	}
	return r, err
}

// workloads are the kinds whose jobs are told (owner.go), with the group that they are of: names of kinds are used more than once. Suspend is where one that can be stopped and begun again says so.
// Sources: each project's API reference.
var workloads = []struct {
	kind    string // as in a job's key
	group   string
	is      string // the object's own kind; "" the same
	plural  string
	suspend []string
}{
	{"job", "batch", "", "jobs", []string{"spec", "suspend"}},
	{"jobset", "jobset.x-k8s.io", "", "jobsets", []string{"spec", "suspend"}},
	{"trainjob", "trainer.kubeflow.org", "", "trainjobs", []string{"spec", "suspend"}},
	{"pytorchjob", "kubeflow.org", "", "pytorchjobs", runPolicy},
	{"tfjob", "kubeflow.org", "", "tfjobs", runPolicy},
	{"mpijob", "kubeflow.org", "", "mpijobs", runPolicy},
	{"xgboostjob", "kubeflow.org", "", "xgboostjobs", runPolicy},
	{"paddlejob", "kubeflow.org", "", "paddlejobs", runPolicy},
	{"jaxjob", "kubeflow.org", "", "jaxjobs", runPolicy},
	{"rayjob", "ray.io", "", "rayjobs", []string{"spec", "suspend"}},
	{"raycluster", "ray.io", "", "rayclusters", nil},
	{"rayservice", "ray.io", "", "rayservices", nil},
	{"leaderworkerset", "leaderworkerset.x-k8s.io", "", "leaderworkersets", nil},
	{"vcjob", "batch.volcano.sh", "job", "jobs", nil},
	{"workflow", "argoproj.io", "", "workflows", nil},
	{"deployment", "apps", "", "deployments", nil},
	{"statefulset", "apps", "", "statefulsets", nil},
	{"replicaset", "apps", "", "replicasets", nil},
	{"daemonset", "apps", "", "daemonsets", nil},
	{"pod", "", "", "pods", nil},
}

var runPolicy = []string{"spec", "runPolicy", "suspend"}

// jobCalls are what an order about a job comes to.
func jobCalls(o schedulers.Order) []string {
	r, err := parseJob(o.Job)
	if err != nil {
		return nil
	}
	what, suspend := r.kind, []string(nil)
	for _, w := range workloads {
		if w.kind == r.kind {
			what, suspend = strings.TrimSuffix(w.plural+"."+w.group, "."), w.suspend
		}
	}
	where := what + "/" + r.namespace + "/" + r.name
	switch {
	case o.Verb == schedulers.Cancel:
		return []string{"DELETE " + where + " " + plainJSON(deleteOptions(o, nil))}
	case suspend == nil:
		return nil
	}
	return []string{"PATCH " + where + " " + plainJSON(nested(suspend, true)), "PATCH " + where + " " + plainJSON(nested(suspend, false)) + ", once its pods are gone and no queue does so"}
}

// deleteOptions are kubectl's: what the object made goes after it.
func deleteOptions(o schedulers.Order, u *unstructured.Unstructured) metav1.DeleteOptions {
	background := metav1.DeletePropagationBackground
	d := metav1.DeleteOptions{PropagationPolicy: &background}
	if s := int64(seconds(o.Grace)); s >= 0 {
		d.GracePeriodSeconds = &s
	}
	if u != nil {
		uid := u.GetUID()
		d.Preconditions = &metav1.Preconditions{UID: &uid}
	}
	return d
}

func nested(path []string, value any) any {
	for _, key := range slices.Backward(path) {
		value = map[string]any{key: value}
	}
	return value
}

// resource finds what of the API a job's kind is.
func (a *Actor) resource(ctx context.Context, x *api, r jobRef) (schema.GroupVersionResource, error) {
	_, cancel, c := a.begin(ctx, "get", "the API's discovery")
	defer cancel()
	for _, w := range workloads {
		if w.kind != r.kind {
			continue
		}
		groups, err := x.discovery.ServerGroups()
		if err != nil {
			return schema.GroupVersionResource{}, c.read(err)
		}
		for i := range groups.Groups {
			if g := &groups.Groups[i]; g.Name == w.group {
				list, err := x.discovery.ServerResourcesForGroupVersion(g.PreferredVersion.GroupVersion)
				if err != nil {
					return schema.GroupVersionResource{}, c.read(err)
				}
				if found := ofKind(firstOf(w.is, w.kind), list); len(found) == 1 {
					return found[0], nil
				}
			}
		}
		return schema.GroupVersionResource{}, noKind(r, w.group)
	}
	_, lists, err := x.discovery.ServerGroupsAndResources()
	if len(lists) == 0 && err != nil {
		return schema.GroupVersionResource{}, c.read(err)
	}
	found := ofKind(r.kind, lists...)
	groups := map[string]bool{}
	for _, f := range found {
		groups[f.Resource+"."+f.Group] = true
	}
	switch {
	case len(groups) > 1:
		return schema.GroupVersionResource{}, &schedulers.RefusedError{Words: text("which of these " + r.kind + " is of is not known: " + joined(groups)), Remedy: "`kubectl delete` the one that is meant"}
	case len(found) > 0:
		return found[0], nil
	}
	return schema.GroupVersionResource{}, noKind(r, "")
}

func noKind(r jobRef, group string) error {
	words := "this API server knows no kind " + r.kind
	if group != "" {
		words += " of " + group
	}
	return &schedulers.RefusedError{Words: text(words)}
}

// ofKind are the resources of a kind, whatever the case of its name, that are in namespaces and can be deleted.
func ofKind(kind string, lists ...*metav1.APIResourceList) (found []schema.GroupVersionResource) {
	for _, list := range lists {
		gv, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			continue
		}
		for i := range list.APIResources {
			if r := &list.APIResources[i]; strings.EqualFold(r.Kind, kind) && r.Namespaced && !strings.Contains(r.Name, "/") && slices.Contains(r.Verbs, "delete") {
				found = append(found, gv.WithResource(r.Name))
			}
		}
	}
	return found
}

// find asks for a job's object.
func (a *Actor) find(ctx context.Context, x *api, key string) (dynamic.ResourceInterface, schema.GroupVersionResource, *unstructured.Unstructured, error) {
	r, err := parseJob(key)
	if err != nil {
		return nil, schema.GroupVersionResource{}, nil, err
	}
	gvr, err := a.resource(ctx, x, r)
	if err != nil {
		return nil, gvr, nil, err
	}
	objects := x.dynamic.Resource(gvr).Namespace(r.namespace)
	within, cancel, c := a.begin(ctx, "get", gvr.GroupResource().String())
	defer cancel()
	u, err := objects.Get(within, r.name, metav1.GetOptions{})
	return objects, gvr, u, c.read(err)
}

// cancel deletes a job's object: the very one that was looked at, and what it made goes after it.
func (a *Actor) cancel(ctx context.Context, x *api, o schedulers.Order, say func(string)) error {
	objects, gvr, u, err := a.find(ctx, x, o.Job)
	if err != nil {
		return err
	}
	if u.GetDeletionTimestamp() != nil {
		say("it was told to end already")
		return nil
	}
	within, cancel, c := a.begin(ctx, "delete", gvr.GroupResource().String())
	defer cancel()
	if err := c.fate(objects.Delete(within, u.GetName(), deleteOptions(o, u))); err != nil {
		return err
	}
	words := "deleted; its pods end"
	if f := u.GetFinalizers(); len(f) > 0 {
		words = "told to end; the finalizer " + f[0] + " may keep it for a while"
	}
	say(text(words))
	return nil
}

// lookJob says whether a job is gone, or on its way.
func (a *Actor) lookJob(ctx context.Context, x *api, o schedulers.Order) (bool, string, error) {
	_, _, u, err := a.find(ctx, x, o.Job)
	var refused *schedulers.RefusedError
	switch {
	case errors.As(err, &refused) && refused.Remedy == gone:
		return o.Verb == schedulers.Cancel, "it is gone", nil
	case err != nil:
		return false, "", err
	case u.GetDeletionTimestamp() != nil:
		return o.Verb == schedulers.Cancel, "it is told to end", nil
	case o.Verb == schedulers.Requeue:
		return a.lookRequeue(o, u)
	}
	return false, "it is there still", nil
}

// gone is the remedy of what is not found.
const gone = "it is gone"
