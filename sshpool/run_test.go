package sshpool

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"foretop/telemetry"
)

// TestRunBesideTheStream shows that commands run over the stream's connection, that their output is bounded, and that one which hangs costs nothing but itself.
func TestRunBesideTheStream(t *testing.T) {
	var silent atomic.Bool
	collect := stoppable(&silent)
	key := newSigner(t)
	s := newServer(t, func(r *request) {
		switch {
		case r.command == "hello":
			_, _ = io.WriteString(r, "from the node")
			r.exit(0)
		case r.command == "fail":
			_, _ = io.WriteString(r.Stderr(), "no such thing\n")
			r.exit(3)
		case r.command == "flood":
			_, _ = io.WriteString(r, strings.Repeat("x", 5000))
			r.exit(0)
		case r.command == "hang":
			<-r.ended
		default:
			if _, ok := telemetry.NonceIn(r.command); ok {
				collect(r)
			}
		}
	}, key.PublicKey())
	p, rec := newTestPool(t, Config{})
	ctx := context.Background()
	if _, err := p.Run(ctx, "n", "hello", 100); !errors.Is(err, ErrNotLive) {
		t.Fatalf("before it is there: %v", err)
	}
	p.Add(Target{Name: "n", Resolved: s.resolved(key)})
	rec.reached("n", Live, 0)
	if out, err := p.Run(ctx, "n", "hello", 100); err != nil || string(out) != "from the node" {
		t.Fatalf("%q, %v", out, err)
	}
	if _, err := p.Run(ctx, "n", "fail", 100); err == nil || !strings.Contains(err.Error(), "exit status 3") {
		t.Fatalf("a failure: %v", err)
	}
	if _, err := p.Run(ctx, "n", "flood", 100); err == nil || !strings.Contains(err.Error(), "more than 100 bytes") {
		t.Fatalf("a flood: %v", err)
	}
	short, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
	defer cancel()
	if _, err := p.Run(short, "n", "hang", 100); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("one that hangs: %v", err)
	}
	if out, err := p.Run(ctx, "n", "hello", 100); err != nil || string(out) != "from the node" {
		t.Fatalf("after it: %q, %v", out, err)
	}
	rec.line("n", "tick")
}
