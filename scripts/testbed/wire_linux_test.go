package testbed

import (
	"bytes"
	"net"
	"testing"
	"time"
)

// A wire's weather is as it says: what comes, how late, and how fast.
func TestWire(t *testing.T) {
	bed := Nodes(t, 1)
	wire, err := bed.Nodes[0].Wire(Weather{Delay: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer wire.Close()
	greet := func(within time.Duration) (time.Duration, error) {
		begun := time.Now()
		c, err := net.DialTimeout("tcp", net.JoinHostPort(wire.Addr, "22"), within)
		if err != nil {
			return 0, err
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(within))
		b := make([]byte, 8)
		if _, err := c.Read(b); err != nil {
			return 0, err
		}
		if !bytes.HasPrefix(b, []byte("SSH-2.0-")) {
			t.Errorf("greeting %q", b)
		}
		return time.Since(begun), nil
	}
	took, err := greet(20 * time.Second)
	if err != nil || took < 400*time.Millisecond {
		t.Errorf("two round trips of 200 ms: %v, %v", took, err)
	}
	wire.Set(Weather{})
	if took, err = greet(20 * time.Second); err != nil {
		t.Errorf("fair: %v, %v", took, err)
	}
	wire.Set(Weather{Loss: 0.3, Jitter: 20 * time.Millisecond})
	for range 30 {
		if _, err = greet(30 * time.Second); err != nil {
			t.Errorf("30 %% lost: %v", err)
		}
		if wire.Lost() > 0 {
			break
		}
	}
	if wire.Lost() == 0 {
		t.Error("nothing was lost")
	}
	wire.Set(Weather{Hole: true})
	if _, err = greet(700 * time.Millisecond); err == nil {
		t.Error("something came through a hole")
	}
}
