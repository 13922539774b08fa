package collectors

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const pySpyText = `Process 25235: /usr/bin/python3 train.py --token=hunter2
Python v3.11.2 (/usr/bin/python3.11)

Thread 25235 (idle): "MainThread"
    all_reduce (torch/distributed/distributed_c10d.py:2501)
        Arguments:
            tensor: <Tensor at 0x7f>
    train (train.py:8)
    <module> (train.py:9)
Thread 0x7F66E7E34545 (active+gil): "data: ` + "\x1b" + `[2J"
    inner (x.py:3)

Subprocess of it
    not a frame (x.py:1)
`

func TestParsePySpy(t *testing.T) {
	got := parsePySpy([]byte(pySpyText))
	want := stackTrace{source: "py-spy", threads: []threadTrace{
		{id: "25235", name: "MainThread", state: "idle", frames: []string{"all_reduce (torch/distributed/distributed_c10d.py:2501)", "train (train.py:8)", "<module> (train.py:9)"}},
		{id: "0x7F66E7E34545", name: "data: \ufffd[2J", state: "active+gil", frames: []string{"inner (x.py:3)"}},
	}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(stackTrace{}, threadTrace{})); diff != "" {
		t.Error(diff)
	}
}

// lineOf is a process's line as who reads it sees it.
type lineOf struct {
	PID     int
	Start   uint64
	Source  string
	Why     string
	More    int
	Threads []struct {
		ID, Name, State, Wchan, Syscall string
		Frames                          []string
	}
}

// Whatever is read makes a line of JSON, and none that is too long.
func checkLine(t *testing.T, s stackTrace) lineOf {
	t.Helper()
	b := s.append(nil, processID{4, 5})
	var l lineOf
	if err := json.Unmarshal(b, &l); err != nil || l.PID != 4 || l.Start != 5 || len(l.Threads)+l.More != len(s.threads)+s.more {
		t.Errorf("%v: %+v of %q", err, l, b)
	}
	if len(b) > maxStackBytes+1000 || strings.Count(string(b), "\n") != 1 {
		t.Errorf("%d bytes", len(b))
	}
	return l
}

func TestStackLine(t *testing.T) {
	l := checkLine(t, stackTrace{source: "kernel", why: `say "why"`, threads: []threadTrace{{id: "4", state: "S", wchan: "futex_wait", syscall: "202", frames: []string{`a\b "c"`}}}})
	if l.Why != `say "why"` || l.Threads[0].Frames[0] != `a\b "c"` || l.Threads[0].Wchan != "futex_wait" {
		t.Errorf("%+v", l)
	}
	many := stackTrace{source: "py-spy"}
	for range 1000 {
		many.threads = append(many.threads, threadTrace{id: "1", frames: []string{strings.Repeat("x", maxFrameBytes), "y"}})
	}
	if l := checkLine(t, many); l.More < 500 || len(l.Threads) < 100 {
		t.Errorf("%d threads, %d more", len(l.Threads), l.More)
	}
}

func TestParseKernelStack(t *testing.T) {
	got := parseKernelStack("[<0>] hrtimer_nanosleep+0xb5/0x130\n[<0>] nvidia_ioctl+0x1/0x2 [nvidia]\nnoise\n[<ffffffff>] 0xffffffffffffffff\n")
	if diff := cmp.Diff([]string{"hrtimer_nanosleep", "nvidia_ioctl", "0xffffffffffffffff"}, got); diff != "" {
		t.Error(diff)
	}
	for text, want := range map[string]string{"230 0x1 0x1\n": "230", "running\n": "", "-1 0x7ff 0x7f\n": "", "": ""} {
		if got := parseSyscall(text); got != want {
			t.Errorf("%q: %q", text, got)
		}
	}
}

func FuzzPySpy(f *testing.F) {
	f.Add([]byte(pySpyText))
	f.Add([]byte("Thread (: \n    \x00\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s := parsePySpy(b)
		s.threads = append(s.threads, threadTrace{id: "k", frames: parseKernelStack(string(b)), syscall: parseSyscall(string(b))})
		checkLine(t, s)
	})
}
