package sshpool

import (
	"io"
	"testing"
	"time"

	"foretop/telemetry"
)

// What a configuration says of keepalives makes a silent host be given up sooner, never later.
func TestKeepalive(t *testing.T) {
	n := &node{pool: &Pool{cfg: Config{Timing: Timing{}.withDefaults()}}}
	const quiet = 2750 * time.Millisecond
	for _, c := range []struct {
		config        string
		reprobe, gone time.Duration
	}{
		{"", 5 * time.Second, 10 * time.Second},
		{"serveraliveinterval 0\nserveralivecountmax 3\n", 5 * time.Second, 10 * time.Second},
		{"serveraliveinterval 2\nserveralivecountmax 3\n", 2 * time.Second, 8750 * time.Millisecond},
		{"serveraliveinterval 1\nserveralivecountmax 1\n", time.Second, 3750 * time.Millisecond},
		{"serveraliveinterval 30\nserveralivecountmax 3\n", 5 * time.Second, 10 * time.Second},
		{"serveraliveinterval 3\nserveralivecountmax 0\n", 3 * time.Second, 10 * time.Second}, // ssh would wait for ever
	} {
		r, err := parseG([]byte("user ann\nhostname h\nport 22\n"+c.config), "h", testEnv(), nil)
		if err != nil {
			t.Fatal(err)
		}
		n.found.Store(r)
		if reprobe, gone := n.keepalive(quiet); reprobe != c.reprobe || gone != c.gone {
			t.Errorf("%q: asked every %v, given up after %v", c.config, reprobe, gone)
		}
	}
}

// A host that answers no keepalive is lost by its own configuration's count, long before ours.
func TestKeepaliveConfigured(t *testing.T) {
	key := newSigner(t)
	s := newServer(t, func(r *request) { // it says that the stream begins, and nothing more
		if nonce, ok := telemetry.NonceIn(r.command); ok {
			_, _ = io.WriteString(r, telemetry.StreamLine(nonce)+"tick\n")
		}
		<-r.ended
	}, key.PublicKey())
	s.set(func() { s.deaf = true })
	r := s.resolved(key)
	r.AliveEvery, r.AliveCount = 50*time.Millisecond, 2
	timing := quick()
	timing.Quiet, timing.Gone = 200*time.Millisecond, time.Hour
	p, rec := newTestPool(t, Config{Timing: timing})
	p.Add(Target{Name: "n", Resolved: r})
	_, at := rec.reached("n", Live, 0)
	st, _ := rec.reached("n", Lost, at)
	if st.Err == nil {
		t.Errorf("%+v", st)
	}
}
