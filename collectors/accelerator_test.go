package collectors

import (
	"bufio"
	"context"
	"io"
	"testing"
	"time"
)

// A program that is ended takes those with it that it started: one of them would hold its pipes open.
func TestChildEndsWithItsOwn(t *testing.T) {
	kids := &children{}
	c, err := startChild(context.Background(), kids, "/bin/sh", "-c", "sleep 1000 & echo started; wait")
	if err != nil {
		t.Fatal(err)
	}
	out := bufio.NewReader(c.out)
	if line, err := out.ReadString('\n'); err != nil || line != "started\n" {
		t.Fatalf("%q %v", line, err)
	}
	done := make(chan error, 1)
	go func() {
		io.Copy(io.Discard, out)
		done <- c.end()
	}()
	c.kill()
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		t.Fatal("its output does not end")
	}
	if len(kids.pids) != 0 {
		t.Errorf("still counted: %v", kids.pids)
	}
}
