package kubernetes

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"foretop/schedulers"
)

// playedNode is an API server with one node, which answers changes of it as a test says. It counts them.
func playedNode(t *testing.T, answer func(w http.ResponseWriter, n int64)) (*Actor, *atomic.Int64) {
	t.Helper()
	var changes atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.Method == http.MethodGet {
			_, _ = io.WriteString(w, `{"kind":"Node","apiVersion":"v1","metadata":{"name":"n1","resourceVersion":"7"}}`)
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		answer(w, changes.Add(1))
	}))
	t.Cleanup(server.Close)
	path := filepath.Join(t.TempDir(), "config")
	must(t, os.WriteFile(path, fmt.Appendf(nil, `{apiVersion: v1, kind: Config, current-context: x, contexts: [{name: x, context: {cluster: x, user: x}}], clusters: [{name: x, cluster: {server: "%s"}}], users: [{name: x, user: {token: x}}]}`, server.URL), 0o600))
	return New(Options{Kubeconfig: path}).Actor("ann"), &changes
}

func says(code int, reason, message string) func(http.ResponseWriter, int64) {
	return func(w http.ResponseWriter, _ int64) {
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(code)
		fmt.Fprintf(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","code":%d,"reason":%q,"message":%q}`, code, reason, message)
	}
}

// What an answer, or none, says of an order; it is sent once, whatever the answer.
func TestFate(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer func(http.ResponseWriter, int64)
		unsure bool
		words  string
		times  int64
	}{
		{"the connection is lost after the order", func(w http.ResponseWriter, _ int64) {
			c, _, err := w.(http.Hijacker).Hijack()
			must(t, err)
			c.Close()
		}, true, "closed the connection", 1},
		{"half an answer", func(w http.ResponseWriter, _ int64) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, `{"kind":"No`)
		}, true, "", 1},
		{"its store gives no answer", says(500, "InternalError", "etcdserver: request timed out"), true, "request timed out", 1},
		{"something before it is unwell", says(503, "ServiceUnavailable", "no backend"), true, "no backend", 1},
		{"it gave up", says(504, "Timeout", "request did not complete within the allotted timeout"), true, "allotted timeout", 1},
		{"no API server at all", func(w http.ResponseWriter, _ int64) {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(502)
			_, _ = io.WriteString(w, "<html>\x1b]0;x\x07")
		}, true, "", 1},
		{"overloaded", says(429, "TooManyRequests", "too many requests"), false, "overloaded", 1},
		{"denied by a rule", says(403, "Forbidden", "admission webhook \"w\" denied the request: not on Fridays\x1b[2J\n"), false, "a rule of the cluster denies to patch nodes", 1},
		{"no right", says(403, "Forbidden", `nodes "n1" is forbidden: User "ada" cannot patch resource "nodes" in API group "" at the cluster scope`), false, "the right to patch nodes is missing", 1},
		{"logged out", says(401, "Unauthorized", "Unauthorized"), false, "log in again", 1},
		{"somebody is always faster", says(409, "Conflict", "the object has been modified"), false, "somebody changed it meanwhile", tries},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, changes := playedNode(t, c.answer)
			err := a.Do(t.Context(), schedulers.Order{Verb: schedulers.Drain, Node: "n1", Reason: "fan"}, func(string) {})
			var refused *schedulers.RefusedError
			if err == nil || errors.Is(err, schedulers.ErrUnsure) != c.unsure || errors.As(err, &refused) == c.unsure || errors.Is(err, schedulers.ErrNotSent) || !strings.Contains(err.Error(), c.words) || strings.ContainsAny(err.Error(), "\x1b\x07\n") {
				t.Errorf("%v", err)
			}
			if n := changes.Load(); n != c.times {
				t.Errorf("sent %d times", n)
			}
		})
	}
	t.Run("faster once", func(t *testing.T) {
		a, changes := playedNode(t, func(w http.ResponseWriter, n int64) {
			if n == 1 {
				says(409, "Conflict", "the object has been modified")(w, n)
				return
			}
			_, _ = io.WriteString(w, `{"kind":"Node","apiVersion":"v1","metadata":{"name":"n1"}}`)
		})
		if err := a.Do(t.Context(), schedulers.Order{Verb: schedulers.Resume, Node: "n1"}, func(string) {}); err != nil || changes.Load() != 0 {
			t.Errorf("nothing to resume: %v, sent %d times", err, changes.Load())
		}
		if err := a.Do(t.Context(), schedulers.Order{Verb: schedulers.Drain, Node: "n1", Reason: "fan"}, func(string) {}); err != nil || changes.Load() != 2 {
			t.Errorf("%v, sent %d times", err, changes.Load())
		}
	})
	t.Run("no configuration", func(t *testing.T) {
		a := New(Options{Kubeconfig: filepath.Join(t.TempDir(), "none")}).Actor("ann")
		if err := a.Do(t.Context(), schedulers.Order{Verb: schedulers.Drain, Node: "n1", Reason: "fan"}, func(string) {}); !errors.Is(err, schedulers.ErrNotSent) {
			t.Error(err)
		}
	})
}

// The calls that a person reads before they are made.
func TestCommands(t *testing.T) {
	c := New(Options{})
	into := &scope[pod]{c.pods, everywhere, func() {}}
	for _, p := range []struct {
		name, node string
		phase      corev1.PodPhase
		owner      string
	}{{"llama-1", "gpu001", "Running", "Job"}, {"llama-0", "gpu001", "Pending", "Job"}, {"over", "gpu001", "Succeeded", "Job"}, {"dcgm", "gpu001", "Running", "DaemonSet"}, {"other", "gpu002", "Running", "Job"}} {
		o := gpuPod(p.name, p.node, p.phase)
		yes := true
		o.OwnerReferences = []metav1.OwnerReference{{Kind: p.owner, Name: "j", Controller: &yes}}
		must(t, into.Add(o))
	}
	a := c.Actor("ann")
	for _, x := range []struct {
		order schedulers.Order
		want  []string
	}{
		{schedulers.Order{Verb: schedulers.Drain, Node: "gpu001", Reason: `fan "<3>" $(id)`}, []string{
			`PATCH nodes/gpu001 {"metadata":{"annotations":{"foretop/drain-reason":"fan \"<3>\" $(id) [ann@NOW]"}},"spec":{"unschedulable":true}}, unless it is cordoned already`}},
		{schedulers.Order{Verb: schedulers.Drain, Node: "gpu001", Reason: "fan", Append: true, Evict: true, Grace: 1500 * time.Millisecond}, []string{
			`PATCH nodes/gpu001 {"metadata":{"annotations":{"foretop/drain-reason":"fan [ann@NOW]"}},"spec":{"unschedulable":true}}`,
			`POST pods/team/llama-0/eviction {"deleteOptions":{"gracePeriodSeconds":2}}`,
			`POST pods/team/llama-1/eviction {"deleteOptions":{"gracePeriodSeconds":2}}`,
			`POST pods/NAMESPACE/NAME/eviction {"deleteOptions":{"gracePeriodSeconds":2}} for each other pod on gpu001 but those of DaemonSets`}},
		{schedulers.Order{Verb: schedulers.Resume, Node: "gpu001"}, []string{
			`PATCH nodes/gpu001 {"metadata":{"annotations":{"foretop/drain-reason":null}},"spec":{"unschedulable":false}}`}},
		{cancel("team/pytorchjob/llama"), []string{`DELETE pytorchjobs.kubeflow.org/team/llama {"propagationPolicy":"Background"}`}},
		{cancel("team/pod/x"), []string{`DELETE pods/team/x {"propagationPolicy":"Background"}`}},
		{cancel("team/sweep/x"), []string{`DELETE sweep/team/x {"propagationPolicy":"Background"}`}},
		{requeue("team/pytorchjob/llama"), []string{
			`PATCH pytorchjobs.kubeflow.org/team/llama {"spec":{"runPolicy":{"suspend":true}}}`,
			`PATCH pytorchjobs.kubeflow.org/team/llama {"spec":{"runPolicy":{"suspend":false}}}, once its pods are gone and no queue does so`}},
		{requeue("team/deployment/x"), nil},
		{schedulers.Order{Verb: schedulers.Drain, Node: "\x1b[2J\n"}, []string{`PATCH nodes/` + word("\x1b[2J\n") + ` {"metadata":{"annotations":{"foretop/drain-reason":" [ann@NOW]"}},"spec":{"unschedulable":true}}, unless it is cordoned already`}},
	} {
		if d := cmp.Diff(x.want, a.Commands(x.order)); d != "" {
			t.Errorf("%+v:\n%s", x.order, d)
		}
	}
}

func gpuPod(name, node string, phase corev1.PodPhase) *corev1.Pod {
	gpu := corev1.ResourceList{"nvidia.com/gpu": resource.MustParse("1")}
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: name},
		Spec:   corev1.PodSpec{NodeName: node, Containers: []corev1.Container{{Name: "main", Resources: corev1.ResourceRequirements{Limits: gpu}}}},
		Status: corev1.PodStatus{Phase: phase}}
}

// FuzzMark: what is written is read again, and what anybody wrote harms nobody.
func FuzzMark(f *testing.F) {
	for _, s := range []string{"", "fan", "fan [ann@2026-03-02T11:00:00Z]", "Xid 79 [foretop/ann] [ann@x]", " [@2026-03-02T11:00:00Z]", "a [b@c@2026-03-02T11:00:00Z]", "[", "]", " [@]", "\x1b]0;x\x07 [a]b@2026-03-02T11:00:00Z]", strings.Repeat("[", 4096)} {
		f.Add(s, "ann")
		f.Add("fan", s)
	}
	at := time.Date(2026, 3, 2, 11, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, reason, by string) {
		r, _, _ := parseMark(reason)
		if strings.ContainsFunc(r, func(r rune) bool { return r < ' ' || r == 0x7f }) || len(r) > 2*maxReason {
			t.Errorf("read %q", r)
		}
		r, b, when := parseMark(formatMark(reason, by, at))
		once := formatMark(r, b, when)
		if b != byline(by) || !when.Equal(at) || once != formatMark(reason, by, at) && strings.TrimSpace(r) != "" {
			t.Errorf("%q by %q: read %q by %q at %s", reason, by, r, b, when)
		}
	})
}

// FuzzJobKey: a key names an object by four plain segments, or nothing.
func FuzzJobKey(f *testing.F) {
	for _, s := range []string{"kubernetes/team/job/x", "kubernetes/../job/x", "kubernetes/team/job/%2e%2e", "kubernetes/team/job/x\n", "kubernetes////", "slurm/1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, key string) {
		r, err := parseJob(key)
		if err != nil {
			return
		}
		if parts := []string{r.namespace, r.kind, r.name}; Kind+"/"+strings.Join(parts, "/") != key || slices.ContainsFunc(parts, func(s string) bool { return s == "" || s == "." || s == ".." || strings.ContainsAny(s, "/%\x1b\n") }) {
			t.Errorf("%q: %+v", key, r)
		}
	})
}
