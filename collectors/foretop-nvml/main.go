//go:build linux && cgo

// Command foretop-nvml reads NVIDIA GPUs through the driver's own library and says what it read over its standard output, in the words of
// collectors/nvml/pipe. It is a child of foretop-collector and of use to nobody else.
//
// Why a program of its own: a thread that is parked in the driver cannot be killed and keeps its process alive, the library may crash, or may
// refuse this machine's glibc. None of that may cost the node's other sources. It only reads; one call at a time, one GPU
// after the other, since the driver answers under locks that CUDA programs need as well. Only the wait for events (an Xid) is a call beside them, for
// those must get out when the others do not return.
//
// It exits when its standard input ends: the collector closed it, or is dead.
package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"time"

	"foretop/collectors/nvml/pipe"
	"foretop/telemetry"
)

const minPace = 200 * time.Millisecond // GPM needs samples 100 ms apart; nobody needs more than 5 Hz

func main() {
	runtime.GOMAXPROCS(1)
	debug.SetGCPercent(50)
	in := telemetry.NewFrameReader(os.Stdin, pipe.MaxFrame)
	first, ok := nextSettings(in)
	if !ok {
		os.Exit(0)
	}
	settings := make(chan pipe.Settings, 1)
	go func() {
		for {
			s, ok := nextSettings(in)
			if !ok {
				os.Exit(0) // also when another thread never comes back from the driver
			}
			select {
			case <-settings: // the last change was not taken up yet: it is out of date
			default:
			}
			settings <- s
		}
	}()
	out := newOutput(os.Stdout)
	w := &watch{out: out, mark: newMark(first.Name)}
	go w.run()
	st := run(first, settings, out, w)
	out.status(st)
	// The collector reads why, and starts a new reader when it is time: a fresh process is the one re-initialisation that also
	// takes in a replaced library.
	os.Exit(0)
}

// nextSettings is false at the end of the input, and where it makes no sense.
func nextSettings(in *telemetry.FrameReader) (pipe.Settings, bool) {
	for {
		kind, payload, err := in.Read()
		if err != nil {
			return pipe.Settings{}, false
		}
		if kind != pipe.KindSettings {
			continue
		}
		s, err := pipe.ParseSettings(payload)
		return s, err == nil
	}
}

func every(ms int, otherwise time.Duration) time.Duration {
	if ms <= 0 {
		return otherwise
	}
	return max(time.Duration(ms)*time.Millisecond, minPace)
}
