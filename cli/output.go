package cli

import (
	"os"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"
)

// line is the way to the terminal, and knows how long it is. Over a thin line everything written waits in buffers that nobody here sees, and every key's echo
// behind it. So after each picture the terminal is asked where its cursor is: when the answer comes, all before it was read. The longer that took, the
// longer the line is then left free, so that most keys find it so. A terminal that never answers is taken for fast, as long as writes do not block.
//
// It is the file itself for whoever asks (Bubble Tea looks for a terminal's descriptor).
type line struct {
	*os.File
	now func() time.Time

	mu     sync.Mutex
	writes int       // in progress
	asked  time.Time // when the terminal was asked; zero: it was not, or answered
	free   time.Time // until when the line is left free
	deaf   bool      // the terminal does not answer
	heard  bool      // it has answered
	slow   int       // slow answers in a row
	last   time.Duration
}

func newLine(f *os.File) *line { return &line{File: f, now: time.Now} }

const (
	quickAnswer = 150 * time.Millisecond // an answer this quick calls for no pause: half a second would be noticed
	mostRest    = 12                     // how much longer, at most, the line is left free than a picture took
	longestRest = 20 * time.Second
	deafAfter   = 3 * time.Second // a terminal that did not answer by then never will, and of one that does the answer was lost, unless it is this slow
)

// Write writes to the terminal.
func (l *line) Write(b []byte) (int, error) {
	l.mu.Lock()
	l.writes++
	l.mu.Unlock()
	n, err := l.File.Write(b)
	l.mu.Lock()
	l.writes--
	l.mu.Unlock()
	return n, err
}

// ready says that a new picture may be sent.
func (l *line) ready() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	if waited := now.Sub(l.asked); !l.asked.IsZero() {
		switch {
		case l.writes == 0 && waited > max(deafAfter, 5*l.last):
			l.deaf, l.asked = !l.heard, time.Time{}
		default:
			return false
		}
	}
	return l.writes == 0 && !now.Before(l.free)
}

// ask notes that the terminal is about to be asked; false where that is of no use, or it already was.
func (l *line) ask() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.deaf || !l.asked.IsZero() {
		return false
	}
	l.asked = l.now()
	return true
}

// answered notes the terminal's answer; false when it was not asked.
func (l *line) answered() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.asked.IsZero() {
		return false
	}
	now := l.now()
	l.last = now.Sub(l.asked)
	l.asked, l.heard = time.Time{}, true
	if l.last <= quickAnswer {
		l.slow = 0
		return true
	}
	// One slow answer may be a hiccup, as at the start; a line that stays slow is given more and more room.
	if l.slow++; l.slow == 1 {
		return true
	}
	l.free = now.Add(min(l.last*time.Duration(min(mostRest, 1<<min(l.slow-1, 8))), longestRest))
	return true
}

// afterPicture is how long the renderer takes at most to have written a picture: the question must come behind it.
const afterPicture = 40 * time.Millisecond

// picture sends a picture if the line is free, and then asks the terminal. It blocks while the program is busy.
func (l *line) picture(program *tea.Program, msg tea.Msg) {
	if !l.ready() {
		return
	}
	program.Send(msg)
	time.AfterFunc(afterPicture, func() {
		if l.ask() {
			program.Send(tea.RequestCursorPosition())
		}
	})
}

// filter takes the terminal's answers out of what the screen is told. On the first line of a terminal an answer reads like the key F3 with modifiers.
func (l *line) filter(_ tea.Model, msg tea.Msg) tea.Msg {
	switch msg := msg.(type) {
	case tea.CursorPositionMsg:
		l.answered()
		return nil
	case tea.KeyPressMsg:
		if msg.Code == tea.KeyF3 && l.answered() {
			return nil
		}
	}
	return msg
}
