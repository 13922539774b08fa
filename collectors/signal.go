package collectors

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"foretop/collectors/kernfs"
)

// processID names one process for good: its number, and when it started (field 22 of /proc/PID/stat), by which it is told from a later one of that number.
type processID struct {
	pid   int
	start uint64
}

// maxTargets bounds the processes of one call.
const maxTargets = 1024

// parseProcessID reads "PID:START".
func parseProcessID(s string) (processID, error) {
	pid, start, ok := strings.Cut(s, ":")
	n, err := strconv.ParseUint(pid, 10, 31)
	ticks, err2 := strconv.ParseUint(start, 10, 64)
	if !ok || err != nil || err2 != nil || n < 2 { // 1 is init, 0 and -1 are many
		return processID{}, fmt.Errorf("%q is no process: write PID:START, as in 4123:98765", s)
	}
	return processID{int(n), ticks}, nil
}

func parseProcessIDs(args []string) (list []processID, err error) {
	switch {
	case len(args) == 0:
		return nil, errors.New("no process is named: write PID:START")
	case len(args) > maxTargets:
		return nil, fmt.Errorf("%d processes are too many: %d at once", len(args), maxTargets)
	}
	for _, a := range args {
		id, err := parseProcessID(a)
		if err != nil {
			return nil, err
		}
		list = append(list, id)
	}
	return list, nil
}

// Why a process was sent nothing.
var (
	errGone         = errors.New("gone")
	errOther        = errors.New("another process now")
	errNotPermitted = errors.New("not permitted: needs root or its owner")
	errUnseen       = errors.New("not seen in /proc") // it is gone, or /proc hides it (hidepid)
)

// check says whether a number is still that of the process that was meant. A process that has ended and is not waited for is gone; one whose first thread ended
// is not, as long as others run.
func (id processID) check(root kernfs.Root) error {
	b, err := root.Read("proc/"+strconv.Itoa(id.pid)+"/stat", nil)
	if err != nil {
		return errUnseen
	}
	var s procStat
	switch {
	case !parseProcStat(b, &s):
		return fmt.Errorf("its stat is not understood: %.80q", b)
	case s.startTicks != id.start:
		return errOther
	case (s.state == 'Z' || s.state == 'X') && s.threads <= 1:
		return errGone
	}
	return nil
}

// mainSignal is `foretop-collector signal SIG PID:START…`: it sends a signal to each process that is still the one which was meant, and says a line for each. SIG 0
// only looks whether they are there. It gives 1 if anything failed, 2 for arguments that are wrong. It reads the real /proc always: numbers of a played machine are not those that a signal goes to.
func mainSignal(args []string, out, errs io.Writer) int {
	if len(args) == 0 {
		fmt.Fprintln(errs, "foretop-collector: signal: write SIG PID:START…")
		return 2
	}
	number, name, ok := signalNumber(args[0])
	list, err := parseProcessIDs(args[1:])
	if !ok {
		err = fmt.Errorf("no such signal: %q", args[0])
	}
	if err != nil {
		fmt.Fprintf(errs, "foretop-collector: signal: %v\n", err)
		return 2
	}
	w := bufio.NewWriter(out)
	code := 0
	for _, id := range list {
		how, err := sendSignal(id, number)
		switch {
		case err != nil && !(number == 0 && errors.Is(err, errNotPermitted)): // who may not be asked is there
			code = 1
			fmt.Fprintf(w, "pid %d: %v\n", id.pid, err)
		case number == 0:
			fmt.Fprintf(w, "pid %d: there\n", id.pid)
		default:
			fmt.Fprintf(w, "pid %d: sent %s%s\n", id.pid, name, how)
		}
	}
	if w.Flush() != nil {
		return 1
	}
	return code
}
