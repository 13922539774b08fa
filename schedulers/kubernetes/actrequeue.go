package kubernetes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"foretop/schedulers"
)

// requeueMark is the annotation of a job that was requeued from here, "[USER@TIME]": by it an order is known again after a lost answer.
const requeueMark = "foretop/requeued"

// requeue stops a job and lets it begin anew, where its kind has a word for that: suspend. It is not deleted and created: that would be another job, without its history and what its queue knows of it.
func (a *Actor) requeue(ctx context.Context, x *api, o schedulers.Order, say func(string)) error {
	r, err := parseJob(o.Job)
	if err != nil {
		return err
	}
	path := suspendOf(r.kind)
	if path == nil {
		return &schedulers.RefusedError{
			Words:  text("Kubernetes has no requeue, and a " + r.kind + " cannot be suspended and begun again"),
			Remedy: "to delete it and create it anew makes another job: cancel it, and submit it again",
		}
	}
	objects, gvr, u, err := a.find(ctx, x, o.Job)
	if err != nil {
		return err
	}
	resource := gvr.GroupResource().String()
	if now, _, _ := unstructured.NestedBool(u.Object, path...); now {
		return &schedulers.RefusedError{Words: "it is suspended already: it waits", Remedy: "its queue, or who suspended it, lets it go on"}
	}
	if ended(u) {
		return &schedulers.RefusedError{Words: "it has ended", Remedy: "submit it again"}
	}
	mark := formatMark("", a.user, time.Now())
	patch := nested(path, true).(map[string]any)
	patch["metadata"] = map[string]any{"annotations": map[string]any{requeueMark: strings.TrimSpace(mark)}, "resourceVersion": u.GetResourceVersion()}
	a.remember(o.Job, strings.TrimSpace(mark))
	set := func(patch map[string]any) (*unstructured.Unstructured, error) {
		body, err := json.Marshal(patch)
		if err != nil {
			return nil, fmt.Errorf("encode a patch: %w", err)
		}
		within, cancel, c := a.begin(ctx, "patch", resource)
		defer cancel()
		u, err := objects.Patch(within, r.name, types.MergePatchType, body, metav1.PatchOptions{FieldManager: "foretop"})
		return u, c.fate(err)
	}
	if u, err = set(patch); err != nil {
		return err
	}
	if now, _, _ := unstructured.NestedBool(u.Object, path...); !now {
		return &schedulers.RefusedError{Words: text("this cluster's " + r.kind + " knows no " + strings.Join(path, ".")), Remedy: "cancel it, and submit it again"}
	}
	if queue := queued(u); queue != "" {
		say(text("suspended; the queue " + queue + " lets it go on"))
		return nil
	}
	say("suspended; waits for its pods to end")
	limit := o.Timeout
	if limit <= 0 {
		limit = schedulers.DrainTimeout
	}
	within, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for !suspended(u) {
		doze(within, a.pace.poll)
		if within.Err() != nil {
			return &schedulers.RefusedError{Words: text("it is suspended, but its controller has not said in " + limit.String() + " that its pods ended; it was not let go on"), Remedy: "set " + strings.Join(path, ".") + " to false when they have"}
		}
		asked, cancel := context.WithTimeout(within, a.pace.answer)
		next, err := objects.Get(asked, r.name, metav1.GetOptions{})
		cancel()
		switch {
		case err == nil:
			u = next
		case apierrors.IsNotFound(err):
			return refusal(err, "get", resource)
		}
	}
	_, err = set(nested(path, false).(map[string]any))
	var refused *schedulers.RefusedError
	switch {
	case err == nil:
		say("it waits to begin anew")
		return nil
	case errors.As(err, &refused):
		return &schedulers.RefusedError{Words: text("it is suspended, and was not let go on: " + refused.Words), Remedy: refused.Remedy}
	}
	return fmt.Errorf("it is suspended, and whether it was let go on is not known: %s: %w", explain(err, "").text, schedulers.ErrUnsure)
}

func suspendOf(kind string) []string {
	for _, w := range workloads {
		if w.kind == kind {
			return w.suspend
		}
	}
	return nil
}

// remember keeps what a job's last requeue from here left on it.
func (a *Actor) remember(job, mark string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.requeued == nil {
		a.requeued = map[string]string{}
	}
	a.requeued[job] = mark
}

// lookRequeue says whether a requeue from here was carried out: its mark is on the job, and the job is not kept suspended, unless by a queue.
func (a *Actor) lookRequeue(o schedulers.Order, u *unstructured.Unstructured) (bool, string, error) {
	r, err := parseJob(o.Job)
	if err != nil {
		return false, "", err
	}
	a.mu.Lock()
	mark := a.requeued[o.Job]
	a.mu.Unlock()
	now, _, _ := unstructured.NestedBool(u.Object, suspendOf(r.kind)...)
	switch {
	case mark == "" || u.GetAnnotations()[requeueMark] != mark:
		return false, "it was not suspended from here", nil
	case now && queued(u) == "":
		return false, "it is suspended, and was not let go on", nil
	}
	return true, "it was suspended, and goes on or waits in its queue", nil
}

// queued is the Kueue queue that lets a job go on by itself.
func queued(u *unstructured.Unstructured) string {
	return word(u.GetLabels()["kueue.x-k8s.io/queue-name"])
}

// suspended says whether a job's controller says that it has stopped.
func suspended(u *unstructured.Unstructured) bool {
	if s, _, _ := unstructured.NestedString(u.Object, "status", "jobDeploymentStatus"); s == "Suspended" { // KubeRay's
		return true
	}
	return condition(u, "Suspended")
}

// ended says whether a job is over.
func ended(u *unstructured.Unstructured) bool {
	return condition(u, "Complete") || condition(u, "Completed") || condition(u, "Succeeded") || condition(u, "Failed")
}

func condition(u *unstructured.Unstructured, name string) bool {
	list, _, _ := unstructured.NestedSlice(u.Object, "status", "conditions")
	for _, one := range list {
		if c, ok := one.(map[string]any); ok && c["type"] == name && c["status"] == "True" {
			return true
		}
	}
	return false
}
