package ui

import (
	"context"
	"io"
	"sync/atomic"
	"testing"
	"time"

	"foretop/fleet"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"
)

// counter counts what is written to the terminal.
type counter struct{ bytes atomic.Int64 }

func (c *counter) Write(p []byte) (int, error) {
	c.bytes.Add(int64(len(p)))
	return len(p), nil
}

// BenchmarkTerminalBytes runs the real renderer at 200×60 while one GPU in fifty changes its number each second, and reports the bytes a frame: the budget
// of DESIGN.md, section 9, is 8 KB a second.
func BenchmarkTerminalBytes(b *testing.B) {
	base := hang()
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	var out counter
	input, keyboard := io.Pipe() // nobody types
	defer keyboard.Close()
	p := tea.NewProgram(New(Options{Source: &testSource{snap: base}, Location: time.UTC, Profile: colorprofile.TrueColor}), tea.WithContext(ctx), tea.WithOutput(&out),
		tea.WithInput(input), tea.WithWindowSize(200, 60), tea.WithColorProfile(colorprofile.TrueColor), tea.WithoutSignals())
	done := make(chan error, 1)
	go func() { _, err := p.Run(); done <- err }()
	time.Sleep(300 * time.Millisecond)
	first := out.bytes.Load()
	b.ResetTimer()
	for i := range b.N {
		s := later(base, time.Duration(i+1)*time.Second)
		s.Jobs = append([]*fleet.Job(nil), base.Jobs...)
		job := *base.Jobs[0]
		job.GPUs = append([]fleet.GPURef(nil), job.GPUs...)
		for k := i % 50; k < len(job.GPUs); k += 50 {
			g := *job.GPUs[k].GPU
			g.PowerW = fleet.Reading(140 + (i*37+k*11)%400)
			job.GPUs[k].GPU = &g
		}
		s.Jobs[0] = &job
		p.Send(SnapshotMsg{s})
		time.Sleep(40 * time.Millisecond) // a frame of the renderer's, and some
	}
	b.ReportMetric(float64(out.bytes.Load()-first)/float64(b.N), "B/frame")
	b.ReportMetric(float64(first), "B-first-frame")
	p.Quit()
	if err := <-done; err != nil {
		b.Fatal(err)
	}
}
