package hooks

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"foretop/config"
	"foretop/fleet"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// clock is a time that tests set.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// lines collects what is said.
type lines struct {
	mu   sync.Mutex
	list []string
}

func (l *lines) say(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = append(l.list, text)
}

func (l *lines) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.list, "\n")
}

// page is a real server that keeps what it is sent.
type page struct {
	*httptest.Server
	mu      sync.Mutex
	bodies  []string
	headers []http.Header
	answer  func(http.ResponseWriter, *http.Request, int) // by the number of the request, from 0; nil: 200
}

func serve(t testing.TB, answer func(http.ResponseWriter, *http.Request, int)) *page {
	p := &page{answer: answer}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		p.mu.Lock()
		n := len(p.bodies)
		p.bodies, p.headers = append(p.bodies, string(body)), append(p.headers, r.Header)
		p.mu.Unlock()
		if p.answer != nil {
			p.answer(w, r, n)
		}
	}))
	t.Cleanup(p.Close)
	return p
}

func (p *page) got() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.bodies...)
}

// events are those that came, decoded.
func (p *page) events(t testing.TB) []Event {
	t.Helper()
	var out []Event
	for _, body := range p.got() {
		var e Event
		if err := json.Unmarshal([]byte(body), &e); err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		out = append(out, e)
	}
	return out
}

// eventually waits for a condition, generously.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if holds() {
			return
		}
	}
	t.Fatal("never: " + what)
}

// set is hooks with a clock of the test.
type set struct {
	*Set
	*clock
	said lines
}

func open(t testing.TB, state string, c ...config.Hook) *set {
	t.Helper()
	s := &set{clock: &clock{at: noon}}
	s.start(t, state, c...)
	return s
}

func (s *set) start(t testing.TB, state string, c ...config.Hook) {
	t.Helper()
	var err error
	s.Set, err = Open(context.Background(), Options{Hooks: c, Fleet: "gpu[001-064]", Host: "login1", State: state, Say: s.said.say, Now: s.now, Getenv: func(name string) string {
		return map[string]string{"SECRET_URL": "http://user:passw0rd@127.0.0.1:1/s3cret-path?key=t0ken", "TOKEN": "Bearer s3cret-token"}[name]
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
}

// wrong is a snapshot of nodes with one critical finding each.
func wrong(nodes ...string) *fleet.Snapshot {
	s := &fleet.Snapshot{At: noon}
	for _, name := range nodes {
		s.Nodes = append(s.Nodes, &fleet.Node{Name: name, State: fleet.Live, Problems: []fleet.Problem{
			{Severity: fleet.Critical, Text: "GPU3 lost: fell off the bus", GPU: 3, Port: -1, Rule: "hw.gpu.lost", Since: noon, Evidence: []string{"NVRM: Xid 79"}, Remedy: "drain it", Cause: fleet.Hardware},
			{Severity: fleet.Warning, Text: "mlx5_0 flaps", GPU: -1, Port: -1, Rule: "hw.port"},
		}})
	}
	return s
}

func named(n int) []string {
	var out []string
	for i := range n {
		out = append(out, "gpu"+string(rune('a'+i/26))+string(rune('a'+i%26)))
	}
	return out
}
