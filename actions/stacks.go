package actions

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"foretop/telemetry"
)

// Limits of what a node may tell of stacks.
const (
	stacksAtOnce   = 32      // nodes
	stacksACall    = 64      // processes
	stacksLimit    = 4 << 20 // bytes of one call's answer
	maxStackLine   = 128 << 10
	maxStackThread = 256
	maxStackFrame  = 128
	maxFrameText   = 256 // bytes of one frame
	maxStackWhy    = 512

	kernelSource = "kernel" // only what the kernel tells: the calls into it, none of the program's own
)

// Stack is where one process is.
type Stack struct {
	Process Process
	Source  string // "py-spy", [kernelSource]; "" nothing could be read
	Why     string // why there is nothing, or not more
	Threads []Thread
	More    int // threads that are left out
}

// Thread is where one thread is, the innermost frame first.
type Thread struct {
	ID      string
	Name    string
	State   string
	Wchan   string // the kernel function that it waits in, of the kernel's stacks
	Syscall string
	Frames  []string
}

// Stacks asks nodes' collectors where processes are: the answers come in the order of the processes, one for each. Without blocking no process is stopped; with it, py-spy
// stops each for as long as it reads, some milliseconds, and what it says is whole. answered, which may be nil, is told how many more processes it is known of; it
// is called from several goroutines.
func Stacks(ctx context.Context, door Door, processes []Process, blocking bool, answered func(int)) []Stack {
	out := make([]Stack, len(processes))
	var order []string
	byNode := map[string][]int{}
	for i, p := range processes {
		out[i].Process = p
		if byNode[p.Node] == nil {
			order = append(order, p.Node)
		}
		byNode[p.Node] = append(byNode[p.Node], i)
	}
	room := make(chan struct{}, stacksAtOnce)
	var all sync.WaitGroup
	for _, node := range order {
		all.Go(func() {
			room <- struct{}{}
			defer func() { <-room }()
			for part := range slices.Chunk(byNode[node], stacksACall) {
				stacksOf(ctx, door, node, out, part, blocking)
				if answered != nil {
					answered(len(part))
				}
			}
		})
	}
	all.Wait()
	return out
}

// stacksOf asks one node about some processes.
func stacksOf(ctx context.Context, door Door, node string, out []Stack, part []int, blocking bool) {
	args := []string{"stacks"}
	if blocking {
		args = append(args, "--blocking")
	}
	for _, i := range part {
		args = append(args, out[i].Process.key())
		out[i].Why = "the node told nothing of it"
	}
	answer, err := door.Tool(ctx, node, args, stacksLimit)
	got := parseStacks(answer.Text)
	for _, i := range part {
		s, ok := got[out[i].Process.key()]
		switch {
		case ok:
			s.Process = out[i].Process
			out[i] = s
		case err != nil:
			out[i].Why = telemetry.Clean(err.Error(), maxStackWhy)
		case answer.Code > 1: // 1: it could not read some
			out[i].Why = telemetry.Clean(fmt.Sprintf("the collector ended with exit status %d: %s", answer.Code, lastLine([]byte(answer.Text))), maxStackWhy)
		case answer.Cut:
			out[i].Why = "the node's answer is longer than is read"
		}
	}
}

// stackLine is a line of a collector's answer.
type stackLine struct {
	PID     int32          `json:"pid"`
	Start   uint64         `json:"start"`
	Source  string         `json:"source"`
	Why     string         `json:"why"`
	More    int            `json:"more"`
	Threads []threadOfLine `json:"threads"`
}

type threadOfLine struct {
	ID      string   `json:"id"`
	Name    string   `json:"name"`
	State   string   `json:"state"`
	Wchan   string   `json:"wchan"`
	Syscall string   `json:"syscall"`
	Frames  []string `json:"frames"`
}

// parseStacks reads what a collector says, by "PID:START"; lines that are something else, as those that a shell's start files print, are left out.
func parseStacks(text string) map[string]Stack {
	out := map[string]Stack{}
	for line := range strings.Lines(text) {
		var l stackLine
		if len(line) > maxStackLine || !strings.HasPrefix(line, "{") || json.Unmarshal([]byte(line), &l) != nil || l.PID <= 0 {
			continue
		}
		s := Stack{Source: telemetry.Clean(l.Source, 32), Why: telemetry.Clean(l.Why, maxStackWhy), More: min(max(l.More, 0), 1<<20)}
		if n := len(l.Threads) - maxStackThread; n > 0 {
			l.Threads, s.More = l.Threads[:maxStackThread], s.More+n
		}
		for _, t := range l.Threads {
			th := Thread{ID: telemetry.Clean(t.ID, 32), Name: telemetry.Clean(t.Name, 64), State: telemetry.Clean(t.State, 32), Wchan: telemetry.Clean(t.Wchan, 64), Syscall: telemetry.Clean(t.Syscall, 32)}
			for _, f := range t.Frames[:min(len(t.Frames), maxStackFrame)] {
				th.Frames = append(th.Frames, telemetry.Clean(f, maxFrameText))
			}
			s.Threads = append(s.Threads, th)
		}
		out[strconv.Itoa(int(l.PID))+":"+strconv.FormatUint(l.Start, 10)] = s
	}
	return out
}

// Main is the thread that tells where a process is: Python's main thread, else the first. nil: nothing was read.
func (s *Stack) Main() *Thread {
	for i := range s.Threads {
		if s.Threads[i].Name == "MainThread" {
			return &s.Threads[i]
		}
	}
	if len(s.Threads) == 0 {
		return nil
	}
	return &s.Threads[0]
}

// plumbing are functions that stand at the top of many stacks and say nothing of what is waited for.
var plumbing = map[string]bool{
	"wrapper": true, "_wrapper": true, "wrapped": true, "inner": true, "decorate_context": true, "_fn": true, "_call_impl": true, "_wrapped_call_impl": true, "__call__": true, "<lambda>": true,
	"wait": true, "_wait": true, "acquire": true, "get": true, "poll": true, "select": true, "recv": true, "_recv": true, "_recv_bytes": true, "recv_bytes": true,
}

// Where says in a word or two where a process is: "all_reduce (distributed_c10d.py)", "futex_wait_queue"; "" it is not known.
func (s *Stack) Where() string {
	t := s.Main()
	if t == nil {
		return ""
	}
	if s.Source != "py-spy" {
		return or(t.Wchan, first(t.Frames))
	}
	for _, f := range t.Frames {
		if name, _, _ := strings.Cut(f, " "); !plumbing[name[strings.LastIndexByte(name, '.')+1:]] {
			return withoutLine(f)
		}
	}
	return withoutLine(first(t.Frames))
}

func first(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[0]
}

// withoutLine is a frame without its folder and the number of its line: "all_reduce (distributed_c10d.py)".
func withoutLine(frame string) string {
	name, file, ok := strings.Cut(frame, " (")
	if !ok {
		return frame
	}
	file = strings.TrimSuffix(file, ")")
	file, _, _ = strings.Cut(file[strings.LastIndexByte(file, '/')+1:], ":")
	return name + " (" + file + ")"
}

// StackGroup are processes that stand at the same place.
type StackGroup struct {
	Where  string
	Source string
	Frames []string // of the thread that tells, the innermost first
	Why    string   // where nothing was read, or only what the kernel tells
	Stacks []*Stack
}

// Ranks are the ranks of a group, in order; processes without one are left out.
func (g *StackGroup) Ranks() (ranks []int) {
	for _, s := range g.Stacks {
		if s.Process.Rank >= 0 {
			ranks = append(ranks, s.Process.Rank)
		}
	}
	slices.Sort(ranks)
	return slices.Compact(ranks)
}

// MergeStacks puts equal stacks together, the odd ones first: the smallest group, and at the end those of which nothing could be read.
func MergeStacks(stacks []Stack) []StackGroup {
	at := map[string]int{}
	var groups []StackGroup
	for i := range stacks {
		s := &stacks[i]
		g := StackGroup{Where: s.Where(), Source: s.Source, Why: s.Why}
		if t := s.Main(); t != nil {
			g.Frames, g.Why = t.Frames, ""
		}
		key := strings.Join(append([]string{g.Source, g.Where, g.Why}, g.Frames...), "\n")
		if g.Source == kernelSource { // of equal stacks of several nodes the first says why
			g.Why = s.Why
		}
		k, known := at[key]
		if !known {
			k = len(groups)
			at[key] = k
			groups = append(groups, g)
		}
		groups[k].Stacks = append(groups[k].Stacks, s)
	}
	slices.SortStableFunc(groups, func(a, b StackGroup) int {
		return cmp.Or(cmp.Compare(b2i(a.Source == ""), b2i(b.Source == "")), cmp.Compare(len(a.Stacks), len(b.Stacks)))
	})
	return groups
}

// StackSummary is a line for all: "510 ranks in all_reduce (c10d.py), 2 in _next_data (dataloader.py): 317, 318, 1 not read: 7". Who is where most are is not named.
func StackSummary(stacks []Stack) string {
	groups := MergeStacks(stacks)
	// Places, whatever the lines and callers: the largest first.
	at := map[string]int{}
	var places []StackGroup
	for _, g := range groups {
		where := "in " + g.Where
		switch {
		case g.Source == "":
			where = "not read"
		case g.Where == "":
			where = "running"
		}
		k, known := at[where]
		if !known {
			k = len(places)
			at[where] = k
			places = append(places, StackGroup{Where: where})
		}
		places[k].Stacks = append(places[k].Stacks, g.Stacks...)
	}
	slices.SortStableFunc(places, func(a, b StackGroup) int { return cmp.Compare(len(b.Stacks), len(a.Stacks)) })
	var parts []string
	for i := range places {
		p := &places[i]
		text := strconv.Itoa(len(p.Stacks)) + " " + p.Where
		if i == 0 {
			text = plural(len(p.Stacks), "rank") + " " + p.Where
		} else if ranks := p.Ranks(); len(ranks) > 0 {
			text += ": " + someRanks(ranks)
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, ", ")
}

// someRanks names ranks, the first few of many.
func someRanks(ranks []int) string {
	const most = 8
	words := make([]string, 0, most+1)
	for i, r := range ranks {
		if i == most {
			words = append(words, strconv.Itoa(len(ranks)-most)+" more")
			break
		}
		words = append(words, strconv.Itoa(r))
	}
	return strings.Join(words, ", ")
}
