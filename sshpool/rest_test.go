package sshpool

import (
	"io"
	"runtime"
	"testing"
	"time"
	"weak"
)

// What came with the start line is held until it is read, not as long as the stream.
func TestFirstBytesAreLetGo(t *testing.T) {
	p, rec := newTestPool(t, Config{})
	out, in := io.Pipe()
	n := newNode(p, Target{Name: "n"})
	s := &started{process: &process{stdout: out, stderr: newTail(), exit: newExit()}, rest: make([]byte, 8<<10)}
	held := weak.Make(&s.rest[0])
	read := make(chan struct{})
	rec.serve = func(_ string, r io.Reader) error {
		if _, err := io.ReadFull(r, make([]byte, 8<<10)); err != nil {
			t.Error(err)
		}
		close(read)
		_, err := io.Copy(io.Discard, r)
		return err
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = n.stream(newLocalCarrier(), s)
	}()
	<-read
	for limit := time.Now().Add(patience); held.Value() != nil; time.Sleep(10 * time.Millisecond) {
		runtime.GC()
		if time.Now().After(limit) {
			t.Error("still held")
			break
		}
	}
	in.Close()
	s.process.exit.set(0, "")
	close(s.process.stderr.done)
	<-ended
	runtime.KeepAlive(s)
}
