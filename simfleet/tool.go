package simfleet

import (
	"encoding/json"
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"foretop/telemetry/facts"
)

// asksTool reads the arguments of a command that runs the node's collector for one answer: …exec "$d/c-$c" $a stacks 4123:98765;done…
func asksTool(command string) (args []string, ok bool) {
	_, rest, ok := strings.Cut(command, `/c-$c" $a `)
	words, _, ended := strings.Cut(rest, ";done")
	args = strings.Fields(words)
	return args, ok && ended && len(args) > 0
}

// tool answers as the collector's own commands do: signal and stacks.
func (h *host) tool(out, errs io.Writer, args []string) int {
	at := h.fleet.At(time.Now())
	switch args[0] {
	case "signal":
		if len(args) > 2 {
			return h.node.signal(out, args[1], args[2:], at)
		}
	case "stacks":
		return h.node.stacks(out, slices.DeleteFunc(args[1:], func(a string) bool { return strings.HasPrefix(a, "--") }), at)
	}
	fmt.Fprintf(errs, "this node is simulated: its collector has no %q\n", strings.Join(args, " "))
	return 2
}

// found is a process of the node's, by "PID:START", and the slot that it is of; slot nil: of none.
func (n *Node) found(key string, list []*facts.Process, at time.Duration) (p *facts.Process, s *slot, why string) {
	pid, start, _ := strings.Cut(key, ":")
	for _, p := range list {
		if strconv.Itoa(int(p.Pid)) != pid {
			continue
		}
		if strconv.FormatUint(p.StartTicks, 10) != start {
			return nil, nil, "another process now"
		}
		for i := range n.slots {
			for _, own := range n.processesOf(i, at) {
				if own.Pid == p.Pid {
					return p, &n.slots[i], ""
				}
			}
		}
		return p, nil, ""
	}
	return nil, nil, "not seen in /proc"
}

// signal plays a signal: one that ends a process ends its job with it, as a rank that dies does.
func (n *Node) signal(out io.Writer, name string, keys []string, at time.Duration) (code int) {
	number := map[string]int{"0": 0, "INT": 2, "KILL": 9, "TERM": 15}
	_, list := n.Processes(at)
	for _, key := range keys {
		pid, _, _ := strings.Cut(key, ":")
		_, s, why := n.found(key, list, at)
		sig, known := number[name]
		switch {
		case why != "":
		case name == "0":
			fmt.Fprintf(out, "pid %s: there\n", pid)
			continue
		case !known:
			why = "the demo's processes take TERM, INT and KILL only"
		case s == nil:
			why = "not permitted: needs root or its owner"
		}
		if why != "" {
			fmt.Fprintf(out, "pid %s: %s\n", pid, why)
			code = 1
			continue
		}
		end := fmt.Sprintf("0:%d", sig)
		if s.job.scheduler() == kubeKind { // whose operator makes pods anew
			n.model.requeue(s.job, at, requeueWait, end)
			fmt.Fprintf(out, "pid %s: sent %s; its job starts anew\n", pid, name)
			continue
		}
		n.model.stop(s.job, stop{from: at, to: forever, state: "FAILED", code: end})
		fmt.Fprintf(out, "pid %s: sent %s; its job ends with it\n", pid, name)
	}
	return code
}

// stackLine is a line of what the collector says of stacks.
type stackLine struct {
	PID     int32         `json:"pid"`
	Start   uint64        `json:"start"`
	Source  string        `json:"source,omitempty"`
	Why     string        `json:"why,omitempty"`
	Threads []stackThread `json:"threads,omitempty"`
}

type stackThread struct {
	ID     string   `json:"id"`
	Name   string   `json:"name"`
	State  string   `json:"state"`
	Frames []string `json:"frames"`
}

// stacks plays py-spy on the node's processes.
func (n *Node) stacks(out io.Writer, keys []string, at time.Duration) (code int) {
	_, list := n.Processes(at)
	w := json.NewEncoder(out)
	for _, key := range keys {
		var line stackLine
		_, _ = fmt.Sscanf(key, "%d:%d", &line.PID, &line.Start)
		p, s, why := n.found(key, list, at)
		switch {
		case why != "":
		case s == nil:
			why = "py-spy: not permitted: needs root or its owner"
		case !p.Rank && len(p.Held) == 0:
			line.Source, line.Threads = "py-spy", []stackThread{{ID: "1", Name: "MainThread", State: "idle", Frames: []string{"_invoke_run (torch/distributed/elastic/agent/server/api.py:914)", "run (torch/distributed/run.py:892)", "main (torchrun:8)"}}}
		default:
			local := 0
			for i, own := range n.ranksOf(s.job, at) {
				if own.Pid == p.Pid {
					local = i
				}
			}
			line.Source, line.Threads = "py-spy", []stackThread{{ID: "1", Name: "MainThread", State: "active", Frames: s.job.frames(s.member, local, at)}}
		}
		if line.Why = why; why != "" {
			code = 1
		}
		if w.Encode(line) != nil {
			return 1
		}
	}
	return code
}

// ranksOf are the processes of a job here that hold GPUs, in order.
func (n *Node) ranksOf(j *job, at time.Duration) (list []*facts.Process) {
	for i := range n.slots {
		if n.slots[i].job == j {
			list = slices.DeleteFunc(n.processesOf(i, at), func(p *facts.Process) bool { return len(p.Held) == 0 })
		}
	}
	return list
}

// frames are where a rank is at a moment, the innermost first.
func (j *job) frames(member, local int, at time.Duration) []string {
	file := j.file()
	step := func(line int) []string {
		return []string{fmt.Sprintf("train_step (%s:%d)", file, line), fmt.Sprintf("main (%s:%d)", file, line+240)}
	}
	lists := torchFrames
	if j.launcher == jaxSlurm || j.launcher == alone {
		lists = jaxFrames
	}
	place := j.standing(member, local, at)
	return append(slices.Clone(lists[place]), step(100+40*place)...)
}

// Places where ranks are.
const (
	inCompute = iota
	inCollective
	inLoader
	inLoading
	inDevice
)

var torchFrames = [...][]string{
	inCompute:    {"_engine_run_backward (torch/autograd/graph.py:824)", "backward (torch/_tensor.py:647)"},
	inCollective: {"all_reduce (torch/distributed/distributed_c10d.py:2810)", "wrapper (torch/distributed/c10d_logger.py:81)", "reduce_gradients (optim/distributed.py:233)"},
	inLoader:     {"_try_get_data (torch/utils/data/dataloader.py:1251)", "_next_data (torch/utils/data/dataloader.py:1458)", "__next__ (torch/utils/data/dataloader.py:733)"},
	inDevice:     {"synchronize (torch/cuda/__init__.py:1040)", "check_overflow (optim/grad_scaler.py:112)"},
	inLoading:    {"load (torch/serialization.py:1471)", "load_checkpoint (checkpoint.py:88)"},
}

var jaxFrames = [...][]string{
	inCompute:    {"__call__ (jax/_src/interpreters/pxla.py:1298)", "train_step (train.py:402)"},
	inCollective: {"block_until_ready (jax/_src/array.py:594)", "sync_global_devices (jax/experimental/multihost_utils.py:94)"},
	inLoader:     {"__next__ (grain/_src/python/data_loader.py:512)", "load_next_batch (train.py:88)"},
	inDevice:     {"block_until_ready (jax/_src/array.py:594)", "train_step (train.py:402)"},
	inLoading:    {"restore (orbax/checkpoint/checkpoint_manager.py:1390)", "setup_training_state (max_utils.py:517)"},
}

// file is the script's own name.
func (j *job) file() string {
	for _, w := range strings.Fields(j.script) {
		if strings.HasSuffix(w, ".py") {
			return path.Base(w)
		}
	}
	return "train.py"
}

// standing says where a rank is. Where a job stands still, all wait in a collective but the one that they wait for: it waits for its GPU, or, where
// that is well, for its data.
func (j *job) standing(member, local int, at time.Duration) int {
	s, base, work := j.span(at)
	if _, starts, last := j.stopAt(at); s.mode == loading || starts > 0 && at < last+j.pattern.load {
		return inLoading
	}
	rank := member*j.ranks + local
	each := max(len(j.device)/max(j.ranks, 1), 1)
	culprit := s.guilty && s.culprit.member == member && s.culprit.gpu/each == local
	if s.mode == stalled {
		if culprit {
			return inDevice
		}
		if !s.guilty && rank == int(j.key%uint64(j.world())) {
			return inLoader
		}
		return inCollective
	}
	if s.slow > 1 && s.guilty { // the others wait for the one that is slower
		if culprit {
			return inCompute
		}
		return inCollective
	}
	done := j.age + work + s.work + time.Duration(float64(at-base-s.from)/s.slow)
	part := float64(done%j.pattern.step) / float64(j.pattern.step)
	switch {
	case part < j.pattern.compute:
		return inCompute
	case part < j.pattern.compute+j.pattern.comm:
		return inCollective
	}
	return inLoader
}
