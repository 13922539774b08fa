package testbed

import (
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestSlowPTYTakesItsTime(t *testing.T) {
	s := SlowPTY(t, 10_000, "sh", "-c", "head -c 30000 /dev/zero | tr '\\0' x; echo end")
	s.WaitFor("end", patience)
	chunks := s.Chunks()
	var bytes int
	for _, c := range chunks {
		bytes += len(c.Bytes)
	}
	if want := 30_000 + len("end\r\n"); bytes != want || len(s.Output()) != want {
		t.Errorf("%d bytes in pieces, %d in all, want %d", bytes, len(s.Output()), want)
	}
	took := chunks[len(chunks)-1].At.Sub(chunks[0].At)
	if took < 2800*time.Millisecond {
		t.Errorf("30,000 bytes at 10,000 a second came in %v", took)
	}
	if got := s.WaitExit(patience); got != 0 {
		t.Errorf("exit status %d", got)
	}
}

// A program that writes more than the kernel holds is stopped by the line, not by us.
func TestSlowPTYBlocksItsProgram(t *testing.T) {
	s := SlowPTY(t, 1000, "sh", "-c", "head -c 100000 /dev/zero | tr '\\0' x; echo end")
	s.WaitFor("x{1000}", patience)
	select {
	case <-s.exited:
		t.Error("the program wrote 100,000 bytes to a line of 1,000 a second and ended at once")
	default:
	}
	s.SetRate(1 << 20)
	s.WaitFor("end", patience)
}

func TestSlowPTYEchoesKeys(t *testing.T) {
	s := SlowPTY(t, 4000, "sh", "-c", "stty -echo; echo ready; read -r word; echo \"<$word>\"; stty size")
	s.WaitFor("ready", patience)
	s.Resize(100, 30)
	if took := s.Echo("hello\r", "<hello>", patience); took < 0 || took > patience {
		t.Errorf("echo took %v", took)
	}
	s.WaitFor("30 100", patience)
}

func TestRestoredTellsWhatIsLeft(t *testing.T) {
	const enter = `saved=$(stty -g); stty raw -echo; printf '\033[?1049h\033[?25l\033[?2004h'; echo up; `
	for name, c := range map[string]struct{ leave, want string }{
		"all":     {`printf '\033[?2004l\033[?25h\033[?1049l'; stty $saved`, ""},
		"raw":     {`printf '\033[?2004l\033[?25h\033[?1049l'`, "settings changed: -icrnl"},
		"alt":     {`printf '\033[?2004l\033[?25h'; stty $saved`, "left on: the alternate screen"},
		"cursor":  {`printf '\033[?2004l\033[?1049l'; stty $saved`, "left on: a hidden cursor"},
		"again":   {`printf '\033[?2004l\033[?25h\033[?1049l\033[?25l'; stty $saved`, "left on: a hidden cursor"},
		"killed":  {`kill -KILL $$`, "settings changed"},
		"nothing": {`:`, "left on: bracketed paste"},
	} {
		t.Run(name, func(t *testing.T) {
			s := SlowPTY(t, 4000, "sh", "-c", enter+"read -r _; "+c.leave)
			s.WaitFor("up", patience)
			if err := s.Restored(); err == nil || !strings.Contains(err.Error(), "-icrnl") {
				t.Errorf("while the program runs: %v", err)
			}
			s.Type("\n")
			s.WaitExit(patience)
			switch err := s.Restored(); {
			case c.want == "" && err != nil:
				t.Errorf("restored, but: %v", err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

func TestSlowPTYSignals(t *testing.T) {
	s := SlowPTY(t, 4000, "sh", "-c", "trap 'echo bye; exit 3' TERM; echo up; while :; do sleep 0.05; done")
	s.WaitFor("up", patience)
	s.Signal(syscall.SIGTERM)
	if got := s.WaitExit(patience); got != 3 || !strings.Contains(string(s.Output()), "bye") {
		t.Errorf("exit status %d after %q", got, s.Output())
	}
	s = SlowPTY(t, 4000, "sleep", "1000")
	s.Signal(syscall.SIGKILL)
	if got := s.WaitExit(patience); got != 137 {
		t.Errorf("exit status %d, want 137", got)
	}
	// Ctrl-C reaches a program as the signal that its terminal makes of it.
	s = SlowPTY(t, 4000, "sh", "-c", "echo up; sleep 1000")
	s.WaitFor("up", patience)
	s.Type("\x03")
	if got := s.WaitExit(patience); got != 130 {
		t.Errorf("exit status %d, want 130", got)
	}
}
