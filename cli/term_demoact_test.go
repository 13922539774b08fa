package cli

import (
	"strings"
	"testing"
	"time"
)

// In the demo a person drains a node and takes it back, with the keys and the questions of the real thing, and a shell that is refused leaves the screen whole.
func TestTermDemoDrain(t *testing.T) {
	t.Parallel()
	s := openScreen(t, 80, 24)
	s.press("2")
	s.press("/")
	s.Type("gpu060")
	s.press("Enter")
	s.WaitFor(`gpu060 +\S+ live`, 10*time.Second)
	s.press("D")
	s.Type("fan broken")
	s.press("Enter")
	question := s.WaitFor(`do it\?`, 10*time.Second)
	for _, want := range []string{"gpu060  demo slurm bay", "NodeName=gpu060 State=DRAIN 'Reason=fan broken'"} {
		if !strings.Contains(question, want) {
			t.Errorf("no %q in\n%s", want, question)
		}
	}
	time.Sleep(time.Second) // it is read
	s.press("y")
	s.WaitFor(`1 done`, 20*time.Second)
	s.press("Escape")
	s.WaitFor(`gpu060 +\S+ drained`, 20*time.Second)
	s.press("R")
	s.WaitFor(`do it\?`, 10*time.Second)
	time.Sleep(time.Second)
	s.press("y")
	s.WaitFor(`1 done`, 20*time.Second)
	s.press("Escape")
	s.WaitFor(`gpu060 +\S+ live`, 20*time.Second)
	for range 10 { // what gives the terminal back at once
		s.press("s")
		s.WaitFor(`they have no shell`, 10*time.Second)
		s.whole("a shell that is refused")
		s.press("Down")
	}
	s.press("q")
	s.left(0)
}
