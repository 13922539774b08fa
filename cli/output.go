package cli

import (
	"os"
	"sync"
	"time"
)

// pacedOutput is the terminal, and knows when it is slow: over a thin line a write blocks once the buffers between are full, and every key would wait for all
// that is in them. It learns how many bytes a second go through and says when what was written should have been read, so that new pictures wait
// for that while keys do not.
//
// It is the file itself for whoever asks (Bubble Tea looks for a terminal's descriptor).
type pacedOutput struct {
	*os.File
	now func() time.Time

	mu     sync.Mutex
	rate   float64   // bytes a second; 0: never seen to block
	clear  time.Time // when the terminal should have read everything
	writes int       // in progress
}

func newPacedOutput(f *os.File) *pacedOutput { return &pacedOutput{File: f, now: time.Now} }

// slowWrite is when a write counts as having blocked.
const slowWrite = 25 * time.Millisecond

// Write writes to the terminal.
func (p *pacedOutput) Write(b []byte) (int, error) {
	p.mu.Lock()
	p.writes++
	p.mu.Unlock()
	start := p.now()
	n, err := p.File.Write(b)
	p.wrote(n, start, p.now())
	return n, err
}

func (p *pacedOutput) wrote(n int, start, end time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.writes--
	switch took := end.Sub(start); {
	case took > slowWrite:
		seen := float64(n) / took.Seconds()
		if p.rate == 0 {
			p.rate = seen
		}
		p.rate += (seen - p.rate) / 4
	case p.rate > 0 && end.After(p.clear):
		p.rate *= 1.02 // it may have become faster: try, little by little
	}
	if p.rate > 0 {
		if p.clear.Before(start) {
			p.clear = start
		}
		p.clear = p.clear.Add(time.Duration(float64(n) / p.rate * float64(time.Second)))
	}
	if p.rate > 4<<20 {
		p.rate = 0
	}
}

// ready says that a new picture would be drawn at once. On a slow line it leaves as long a pause after each picture as the picture took: then most
// keys find the line free.
func (p *pacedOutput) ready() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.writes > 0 {
		return false
	}
	return p.rate == 0 || !p.now().Before(p.clear)
}
