//go:build linux && cgo

package main

import (
	"io"
	"os"
	"sync"
	"time"

	"foretop/collectors/nvml/pipe"
	"foretop/telemetry"
)

// output is the pipe to the collector. Safe for concurrent use: the watch speaks while the rounds are in the driver.
type output struct {
	mu   sync.Mutex
	w    *telemetry.FrameWriter
	last time.Time // when something was last written
}

func newOutput(w io.Writer) *output {
	return &output{w: telemetry.NewFrameWriter(w, pipe.MaxFrame), last: time.Now()}
}

func (o *output) frame(k telemetry.Kind, payload []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, err := o.w.Write(k, payload); err != nil {
		os.Exit(0) // the collector is gone
	}
	o.last = time.Now()
}

func (o *output) status(s pipe.Status) { o.frame(pipe.KindStatus, s.Append(nil)) }

func (o *output) silentFor() time.Duration {
	o.mu.Lock()
	defer o.mu.Unlock()
	return time.Since(o.last)
}
