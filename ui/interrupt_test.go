package ui

import (
	"context"
	"io"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	uv "github.com/charmbracelet/ultraviolet"
)

// TestInterruptInsideAString types Esc and a key that begins a control string in one piece, as a slow link hands them over: Ctrl-C among what follows ends the program,
// and without it nothing does.
func TestInterruptInsideAString(t *testing.T) {
	for _, begins := range []string{"X", "P", "]", "^", "_", "[", "O", "-"} {
		for _, end := range []string{"\x03", ""} {
			r, w := io.Pipe()
			events := make(chan uv.Event, 64)
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			done := make(chan error, 1)
			go func() { done <- uv.NewTerminalReader(r, "xterm-256color").StreamEvents(ctx, events); close(events) }()
			if _, err := io.WriteString(w, "\x1b"+begins+"hm5 l"+end); err != nil {
				t.Fatal(err)
			}
			w.Close() // what is left is handed over at the end, as after its time
			d := drive(hang(), 80, 24, Options{})
			n := 0
			for e := range events {
				n++
				if k, ok := e.(uv.KeyPressEvent); ok {
					d.send(tea.KeyPressMsg(k))
				} else {
					d.send(e)
				}
			}
			if err := <-done; err != nil {
				t.Error(err)
			}
			cancel()
			if n == 0 || d.quit != (end != "") {
				t.Errorf("Esc %s…%q: %d events, quit %v", begins, end, n, d.quit)
			}
		}
	}
}
