package collectors

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"foretop/collectors/kernfs"
	"foretop/telemetry"
)

// Limits of what is told of stacks.
const (
	stacksAtOnce  = 4
	stackTime     = 15 * time.Second // of one process
	pySpyTime     = 10 * time.Second
	maxThreads    = 128       // of one process
	maxFrames     = 96        // of one thread
	maxFrameBytes = 200       // of one frame
	maxStackBytes = 64 << 10  // of one process's line
	maxPySpyBytes = 512 << 10 // of what py-spy prints
)

// stackTrace is where the threads of a process are.
type stackTrace struct {
	source  string // "py-spy", "kernel"; "" none
	threads []threadTrace
	more    int    // threads that are left out
	why     string // why there is no more than this
}

// threadTrace is where one thread is, the innermost frame first.
type threadTrace struct {
	id      string
	name    string
	state   string // py-spy's "idle", "active"; the kernel's letter
	wchan   string // the kernel function that it waits in
	syscall string // the number of the system call that it is in
	frames  []string
}

// mainStacks is `foretop-collector stacks [--blocking] PID:START…`: for each process a line of JSON that says where its threads are: by py-spy, where there is one, without stopping the process unless
// --blocking is given; else by what the kernel tells. It never reads variables. It gives 1 if of any process nothing could be read, 2 for arguments that are wrong.
func mainStacks(args []string, out, errs io.Writer) int {
	blocking := len(args) > 0 && args[0] == "--blocking"
	if blocking {
		args = args[1:]
	}
	list, err := parseProcessIDs(args)
	if err != nil {
		fmt.Fprintf(errs, "foretop-collector: stacks: %v\n", err)
		return 2
	}
	traces := make([]stackTrace, len(list))
	room := make(chan struct{}, stacksAtOnce)
	var all sync.WaitGroup
	for i, id := range list {
		all.Go(func() {
			room <- struct{}{}
			defer func() { <-room }()
			traces[i] = within(stackTime, func() stackTrace { return traceOf(id, blocking) })
		})
	}
	all.Wait()
	code := 0
	var line []byte
	for i, id := range list {
		if len(traces[i].threads) == 0 {
			code = 1
		}
		line = traces[i].append(line[:0], id)
		if _, err := out.Write(line); err != nil {
			return 1
		}
	}
	return code
}

// within gives up on a process that cannot be read: files of one that is stuck in the kernel may hang.
func within(limit time.Duration, read func() stackTrace) stackTrace {
	got := make(chan stackTrace, 1)
	go func() { got <- read() }()
	select {
	case t := <-got:
		return t
	case <-time.After(limit):
		return stackTrace{why: "no answer for " + limit.String() + ": it may be stuck in the kernel"}
	}
}

func traceOf(id processID, blocking bool) stackTrace {
	if err := id.check("/"); err != nil {
		if err == errUnseen {
			err = errGone
		}
		return stackTrace{why: err.Error()}
	}
	program, why := findPySpy(id)
	if program != "" {
		t, err := pySpy(program, id, blocking)
		if err == nil {
			return t
		}
		why = err.Error()
	}
	t := kernelStacks("/", id)
	if t.why == "" {
		t.why = why
	} else if len(t.threads) == 0 {
		t.why = why + "; " + t.why
	} else {
		t.why = why + "; kernel stacks: " + t.why
	}
	if err := id.check("/"); err != nil { // all of it was read of one process
		return stackTrace{why: errGone.Error()}
	}
	return t
}

// findPySpy looks in our own PATH, then where the process has its Python; the latter only for a process of our own user: nobody else's programs are run.
func findPySpy(id processID) (program, why string) {
	if p, err := exec.LookPath("py-spy"); err == nil {
		return p, ""
	}
	why = "no py-spy on this node"
	dir := "proc/" + strconv.Itoa(id.pid) + "/"
	root := kernfs.Root("/")
	status, err := root.Read(dir+"status", nil)
	s := parseProcStatus(status)
	if err != nil || !s.hasUID || int(s.uid) != os.Geteuid() || readLink(root, dir+"ns/mnt") != readLink(root, "proc/self/ns/mnt") {
		return "", why
	}
	var places []string
	env, _ := root.Read(dir+"environ", nil)
	for entry := range bytes.SplitSeq(env, []byte{0}) {
		name, value, _ := strings.Cut(string(entry), "=")
		switch name {
		case "VIRTUAL_ENV", "CONDA_PREFIX":
			places = append(places, value+"/bin")
		case "PATH":
			places = append(places, strings.Split(value, ":")...)
		}
	}
	if exe := readLink(root, dir+"exe"); exe != "" {
		places = append(places, filepath.Dir(exe))
	}
	for _, p := range places {
		if !filepath.IsAbs(p) {
			continue
		}
		p = filepath.Join(p, "py-spy")
		if info, err := os.Stat(p); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return p, ""
		}
	}
	return "", why
}

// pySpy asks py-spy. The process is checked again afterwards: what was read is of the one that was meant, or nobody's.
func pySpy(program string, id processID, blocking bool) (stackTrace, error) {
	args := []string{"dump", "--pid", strconv.Itoa(id.pid)}
	if !blocking {
		args = append(args, "--nonblocking")
	}
	ctx, cancel := context.WithTimeout(context.Background(), pySpyTime)
	defer cancel()
	var out, errs bounded
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.WaitDelay = "/", &out, &errs, time.Second
	err := cmd.Run()
	var ended *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return stackTrace{}, fmt.Errorf("py-spy: no answer for %v", pySpyTime)
	case errors.As(err, &ended):
		return stackTrace{}, fmt.Errorf("py-spy: %s", pySpyWords(errs.b, ended))
	case err != nil:
		return stackTrace{}, fmt.Errorf("py-spy: %w", err)
	}
	if id.check("/") != nil {
		return stackTrace{}, errGone
	}
	t := parsePySpy(out.b)
	if len(t.threads) == 0 {
		return stackTrace{}, errors.New("py-spy: it shows no thread")
	}
	return t, nil
}

// pySpyWords is why py-spy failed.
func pySpyWords(said []byte, ended *exec.ExitError) string {
	text := strings.TrimSpace(string(said))
	if strings.Contains(text, "Permission Denied") || strings.Contains(text, "Operation not permitted") {
		return "not permitted: needs root, or the process's owner where kernel.yama.ptrace_scope is 0"
	}
	if i := strings.IndexByte(text, '\n'); i >= 0 {
		text = text[:i]
	}
	if text == "" {
		text = ended.String()
	}
	return telemetry.Clean(text, maxFrameBytes)
}

// bounded keeps the first of what is written.
type bounded struct{ b []byte }

func (w *bounded) Write(b []byte) (int, error) {
	w.b = append(w.b, b[:min(len(b), maxPySpyBytes-len(w.b))]...)
	return len(b), nil
}

// parsePySpy reads what `py-spy dump` prints. The process's command line, which may hold secrets, is in a line of its own and left out.
func parsePySpy(b []byte) stackTrace {
	t := stackTrace{source: "py-spy"}
	inside := false
	for len(b) > 0 {
		var l []byte
		l, b = kernfs.Line(b)
		line := string(l)
		switch rest, head := strings.CutPrefix(line, "Thread "); {
		case head:
			if inside = len(t.threads) < maxThreads; !inside {
				t.more++
				continue
			}
			t.threads = append(t.threads, parsePySpyThread(rest))
		case inside && strings.HasPrefix(line, "     "): // variables
		case inside && strings.HasPrefix(line, "    "):
			if th := &t.threads[len(t.threads)-1]; len(th.frames) < maxFrames {
				th.frames = append(th.frames, telemetry.Clean(strings.TrimSpace(line), maxFrameBytes))
			}
		default:
			inside = false
		}
	}
	return t
}

// parsePySpyThread reads `4123 (idle): "MainThread"`.
func parsePySpyThread(s string) threadTrace {
	head, name, _ := strings.Cut(s, ":")
	id, state, _ := strings.Cut(head, " ")
	return threadTrace{id: telemetry.Clean(id, 32), state: telemetry.Clean(strings.Trim(state, "()"), 32), name: telemetry.Clean(strings.Trim(strings.TrimSpace(name), `"`), 64)}
}

// append writes the line of a process. What is too long loses its last threads.
func (t *stackTrace) append(b []byte, id processID) []byte {
	b = append(b, `{"pid":`...)
	b = strconv.AppendInt(b, int64(id.pid), 10)
	b = append(b, `,"start":`...)
	b = strconv.AppendUint(b, id.start, 10)
	b = appendField(b, "source", t.source)
	b = appendField(b, "why", telemetry.Clean(t.why, 2*maxFrameBytes))
	b = append(b, `,"threads":[`...)
	more := t.more
	for i := range t.threads {
		before := len(b)
		if i > 0 {
			b = append(b, ',')
		}
		if b = t.threads[i].append(b); len(b) > maxStackBytes {
			b = b[:before]
			more += len(t.threads) - i
			break
		}
	}
	b = append(b, `],"more":`...)
	b = strconv.AppendInt(b, int64(more), 10)
	return append(b, "}\n"...)
}

func (t *threadTrace) append(b []byte) []byte {
	b = append(b, `{"id":`...)
	b = appendText(b, t.id)
	b = appendField(b, "name", t.name)
	b = appendField(b, "state", t.state)
	b = appendField(b, "wchan", t.wchan)
	b = appendField(b, "syscall", t.syscall)
	b = append(b, `,"frames":[`...)
	for i, f := range t.frames {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendText(b, f)
	}
	return append(b, "]}"...)
}

// appendField writes a field that is not empty.
func appendField(b []byte, name, value string) []byte {
	if value == "" {
		return b
	}
	b = append(b, `,"`+name+`":`...)
	return appendText(b, value)
}

// appendText writes clean text as JSON: without control characters only two need care. (encoding/json costs a node a tenth of a megabyte.)
func appendText(b []byte, s string) []byte {
	b = append(b, '"')
	for i := range len(s) {
		if s[i] == '"' || s[i] == '\\' {
			b = append(b, '\\')
		}
		b = append(b, s[i])
	}
	return append(b, '"')
}
