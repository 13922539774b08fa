package kubernetes

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"foretop/schedulers"
)

// played is an API server of a few lines, for what a real one does not do on demand: refuse, say nonsense, hang. It speaks JSON, as old ones do, and knows no watch-list: so lists come in pages.
type played struct {
	*httptest.Server
	t testing.TB

	mu     sync.Mutex
	nodes  []*corev1.Node
	pods   []*corev1.Pod
	answer func(w http.ResponseWriter, r *http.Request) bool // in place of what it would do; nil: as usual
	pages  int
	quit   chan struct{}
}

func play(t testing.TB) *played {
	p := &played{t: t, quit: make(chan struct{})}
	p.nodes, p.pods = fixture(t, "cluster.yaml")
	p.Server = httptest.NewTLSServer(p)
	t.Cleanup(func() {
		close(p.quit)
		p.CloseClientConnections()
		p.Close()
	})
	return p
}

func (p *played) kubeconfig() string {
	path := filepath.Join(p.t.TempDir(), "config")
	must(p.t, os.WriteFile(path, fmt.Appendf(nil, `{"apiVersion":"v1","kind":"Config","current-context":"played","contexts":[{"name":"played","context":{"cluster":"c","user":"u","namespace":"ml"}}],
"clusters":[{"name":"c","cluster":{"server":%q,"insecure-skip-tls-verify":true}}],"users":[{"name":"u","user":{"token":"t"}}]}`, p.URL), 0o600))
	return path
}

func (p *played) instead(f func(w http.ResponseWriter, r *http.Request) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answer = f
}

func (p *played) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	answer := p.answer
	p.mu.Unlock()
	if answer != nil && answer(w, r) {
		return
	}
	w.Header().Set("Content-Type", "application/json")
	query := r.URL.Query()
	switch {
	case r.URL.Path == "/version":
		fmt.Fprint(w, `{"gitVersion":"v1.20.0"}`)
	case query.Get("sendInitialEvents") != "":
		status(w, http.StatusUnprocessableEntity, "Invalid", "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled")
	case query.Get("watch") != "":
		w.(http.Flusher).Flush()
		select {
		case <-r.Context().Done():
		case <-p.quit:
		}
	default:
		p.list(w, r)
	}
}

// list gives pages of as many as asked for, after those that the token counts.
func (p *played) list(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	limit, from := len(p.pods)+len(p.nodes), 0
	fmt.Sscan(r.URL.Query().Get("limit"), &limit)
	fmt.Sscan(r.URL.Query().Get("continue"), &from)
	p.pages++
	meta := metav1.ListMeta{ResourceVersion: "7"}
	next := func(all int) int {
		to := min(from+limit, all)
		if to < all {
			meta.Continue = fmt.Sprint(to)
		}
		return to
	}
	if strings.HasSuffix(r.URL.Path, "/nodes") {
		out := corev1.NodeList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "NodeList"}}
		for _, n := range p.nodes[from:next(len(p.nodes))] {
			out.Items = append(out.Items, *n)
		}
		out.ListMeta = meta
		_ = json.NewEncoder(w).Encode(out)
		return
	}
	out := corev1.PodList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "PodList"}}
	for _, x := range p.pods[from:next(len(p.pods))] {
		out.Items = append(out.Items, *x)
	}
	out.ListMeta = meta
	_ = json.NewEncoder(w).Encode(out)
}

func status(w http.ResponseWriter, code int, reason, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(map[string]any{"apiVersion": "v1", "kind": "Status", "status": "Failure", "reason": reason, "message": message, "code": code})
}

// A server that neither streams lists nor speaks protobuf gives the same picture, page by page.
func TestOldServer(t *testing.T) {
	p := play(t)
	for i := range 1200 {
		p.pods = append(p.pods, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "web", Name: fmt.Sprintf("web-%d", i)}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c"}}}})
	}
	w := look(t, Options{Kubeconfig: p.kubeconfig()})
	got := w.await("a picture", func(x *schedulers.Picture) bool { return len(x.Jobs) > 0 && len(x.Nodes) > 0 })
	likeGolden(t, got)
	if got.Version != "v1.20.0" || got.Cluster != "played" {
		t.Errorf("version %q, cluster %q", got.Version, got.Cluster)
	}
	if kept := len(w.pods.kept[everywhere]); kept > len(p.pods)-1200 {
		t.Errorf("%d pods are kept", kept)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pages < 5 {
		t.Errorf("%d pages were asked for", p.pages)
	}
}

// Whatever a server does, it is said in words, and the picture comes once it behaves.
func TestServerTroubles(t *testing.T) {
	for what, c := range map[string]struct {
		answer func(w http.ResponseWriter, r *http.Request) bool
		words  string
	}{
		"unauthorized": {func(w http.ResponseWriter, r *http.Request) bool {
			status(w, 401, "Unauthorized", "Unauthorized")
			return true
		}, "does not take these credentials"},
		"forbidden": {func(w http.ResponseWriter, r *http.Request) bool {
			status(w, 403, "Forbidden", `pods is forbidden: User "ada" cannot list resource "pods"`)
			return true
		}, `User "ada" cannot list`},
		"nonsense": {func(w http.ResponseWriter, r *http.Request) bool {
			fmt.Fprint(w, "<html>\x1b[31mlogin here")
			return true
		}, "does not tell"},
		"closes": {func(w http.ResponseWriter, r *http.Request) bool { panic(http.ErrAbortHandler) }, "closed the connection"},
		"overloaded": {func(w http.ResponseWriter, r *http.Request) bool {
			status(w, 503, "ServiceUnavailable", "apiserver is shutting down")
			return true
		}, "unable to handle"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			p := play(t)
			p.instead(c.answer)
			w := look(t, Options{Kubeconfig: p.kubeconfig()})
			got := w.await("a problem", func(x *schedulers.Picture) bool { return x.Problem != nil })
			if !strings.Contains(got.Problem.Text, c.words) || got.Problem.Remedy == "" || got.Problem.Since.IsZero() || !got.At.IsZero() || strings.Contains(got.Problem.Text, "\x1b") {
				t.Errorf("said %+v", *got.Problem)
			}
			p.instead(nil)
			w.await("a picture", func(x *schedulers.Picture) bool { return x.Problem == nil && len(x.Jobs) > 0 })
			// The same later: what was seen stays.
			p.instead(c.answer)
			p.CloseClientConnections()
			got = w.await("a problem again", func(x *schedulers.Picture) bool { return x.Problem != nil })
			if len(got.Jobs) == 0 || len(got.Nodes) == 0 || got.At.IsZero() || time.Since(got.At) > patience {
				t.Errorf("the last picture is gone: %s", summary(got))
			}
		})
	}
}

// A configuration that is not there, or not one, is a problem with a remedy, and is looked for again.
func TestConfigTroubles(t *testing.T) {
	p := play(t)
	good, err := os.ReadFile(p.kubeconfig())
	must(t, err)
	for what, c := range map[string]struct{ config, context, words string }{
		"none":         {"", "", "no such file"},
		"not YAML":     {"{", "", "yaml"},
		"no context":   {string(good), "other", `context "other" does not exist`},
		"no current":   {`{"apiVersion":"v1","kind":"Config"}`, "", "no kubeconfig with a current context"},
		"no such name": {strings.Replace(string(good), "127.0.0.1", "nowhere.invalid", 1), "", "nowhere.invalid"},
		"no program":   {strings.Replace(string(good), `{"token":"t"}`, `{"exec":{"apiVersion":"client.authentication.k8s.io/v1","command":"no-such-login","interactiveMode":"IfAvailable","installHint":"get it"}}`, 1), "", "no-such-login that the kubeconfig names is not installed: get it"},
	} {
		t.Run(what, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "config")
			if c.config != "" {
				must(t, os.WriteFile(path, []byte(c.config), 0o600))
			}
			w := look(t, Options{Kubeconfig: path, Context: c.context})
			got := w.await("a problem", func(x *schedulers.Picture) bool { return x.Problem != nil })
			if !strings.Contains(got.Problem.Text, c.words) || got.Problem.Remedy == "" {
				t.Errorf("said %+v", *got.Problem)
			}
			if c.context == "" {
				must(t, os.WriteFile(path, good, 0o600))
				w.await("a picture", func(x *schedulers.Picture) bool { return x.Problem == nil && len(x.Jobs) > 0 })
			}
		})
	}
}
