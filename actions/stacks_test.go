package actions

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// stackDoor plays nodes' collectors: what each says of a process.
type stackDoor func(node, key string) string

func (d stackDoor) Run(context.Context, string, []string, int) (Output, error) {
	return Output{}, ErrNotSent
}

func (d stackDoor) Tool(_ context.Context, node string, args []string, _ int) (Output, error) {
	if node == "down" {
		return Output{Code: -1}, fmt.Errorf("%w: down is not connected", ErrNotSent)
	}
	text := "motd of the node\n"
	for _, key := range args[1:] {
		text += d(node, key)
	}
	return Output{Text: text}, nil
}

func rankOn(rank int, node string) Process {
	return Process{Node: node, PID: int32(1000 + rank), StartTicks: uint64(rank), Rank: rank}
}

func TestStacks(t *testing.T) {
	var processes []Process
	for rank := range 512 {
		processes = append(processes, rankOn(rank, fmt.Sprintf("gpu%03d", rank/128)))
	}
	processes = append(processes, rankOn(512, "down"))
	most := 0
	door := stackDoor(func(node, key string) string {
		pid, start, _ := strings.Cut(key, ":")
		frames := `"wait (threading.py:1)","all_reduce (torch/distributed/c10d.py:2501)","train (t.py:8)"`
		switch start {
		case "317", "318":
			frames = `"poll (selectors.py:1)","_next_data (torch/utils/data/dataloader.py:1133)","train (t.py:7)"`
		case "7":
			return fmt.Sprintf(`{"pid":%s,"start":%s,"why":"gone","threads":[],"more":0}`+"\n", pid, start)
		case "8":
			return "" // nothing at all
		}
		return fmt.Sprintf(`{"pid":%s,"start":%s,"source":"py-spy","threads":[{"id":"2","name":"pin \u001b[2J","frames":["x (y.py:1)"]},{"id":"1","name":"MainThread","state":"idle","frames":[%s]}],"more":3}`+"\n", pid, start, frames)
	})
	got := Stacks(t.Context(), door, processes, false, nil)
	for i, s := range got {
		if s.Process != processes[i] {
			t.Fatalf("%d is %v", i, s.Process)
		}
	}
	if s := StackSummary(got); s != "508 ranks in all_reduce (c10d.py), 3 not read: 7, 8, 512, 2 in _next_data (dataloader.py): 317, 318" {
		t.Error(s)
	}
	groups := MergeStacks(got)
	var shown []string
	for i := range groups {
		most = max(most, len(groups[i].Stacks))
		shown = append(shown, fmt.Sprintf("%d %s %s", len(groups[i].Stacks), groups[i].Where, groups[i].Why))
	}
	if diff := cmp.Diff([]string{"2 _next_data (dataloader.py) ", "508 all_reduce (c10d.py) ", "1  gone", "1  the node told nothing of it", "1  not sent: down is not connected"}, shown); diff != "" {
		t.Error(diff)
	}
	if !slices.Equal(groups[0].Ranks(), []int{317, 318}) || len(groups[0].Frames) != 3 {
		t.Errorf("%v", groups[0])
	}
	if name := got[0].Threads[0].Name; strings.ContainsRune(name, '\x1b') || got[0].More != 3 {
		t.Errorf("%q", name)
	}
}

// brokenDoor is a node whose collector does not know what it is asked.
type brokenDoor struct{}

func (brokenDoor) Run(context.Context, string, []string, int) (Output, error) {
	return Output{}, ErrNotSent
}

func (brokenDoor) Tool(context.Context, string, []string, int) (Output, error) {
	return Output{Text: "motd\nforetop-collector: no such \x1b[2Joption\n", Code: 2}, nil
}

// What a collector says that does nothing is told.
func TestStacksOfBrokenCollector(t *testing.T) {
	got := Stacks(t.Context(), brokenDoor{}, []Process{rankOn(1, "gpu1")}, true, nil)
	if want := "the collector ended with exit status 2: foretop-collector: no such \ufffd[2Joption"; got[0].Why != want {
		t.Errorf("%q", got[0].Why)
	}
}

// Kernel stacks say where by what is waited in.
func TestStackWhere(t *testing.T) {
	for text, want := range map[string]string{
		`{"pid":5,"start":5,"source":"kernel","threads":[{"id":"5","wchan":"futex_wait_queue","frames":["a"]}]}`: "futex_wait_queue",
		`{"pid":5,"start":5,"source":"kernel","threads":[{"id":"5","frames":["nvidia_ioctl"]}]}`:                 "nvidia_ioctl",
		`{"pid":5,"start":5,"source":"kernel","threads":[{"id":"5"}]}`:                                           "",
		`{"pid":5,"start":5,"source":"py-spy","threads":[{"id":"5","frames":["wait (x.py:1)"]}]}`:                "wait (x.py)",
		`{"pid":5,"start":5,"source":"py-spy","threads":[{"id":"5","frames":["Thread.run (a/b.py:975)"]}]}`:      "Thread.run (b.py)",
	} {
		s := parseStacks(text)["5:5"]
		if got := s.Where(); got != want {
			t.Errorf("%s: %q", text, got)
		}
	}
}

func FuzzStacks(f *testing.F) {
	f.Add(`{"pid":5,"start":5,"source":"py-spy","threads":[{"id":"5","frames":["wait (x.py:1)",""]}],"more":-4}`)
	f.Add("{\n{}\n")
	f.Fuzz(func(t *testing.T, text string) {
		var all []Stack
		for _, s := range parseStacks(text) {
			if s.More < 0 || len(s.Threads) > maxStackThread {
				t.Errorf("%+v", s)
			}
			all = append(all, s)
		}
		_ = StackSummary(all)
	})
}
