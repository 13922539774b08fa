package nvml

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"foretop/collectors/nvml/pipe"
)

// A program that is stuck in the driver cannot be killed, and outlives its collector. Were another started with each new connection, or by each of a
// user's collectors, they would pile up in the driver. So before one is started, this user's processes of its name are looked at: one that does not
// move for [silentAfter] is stuck, and none is started beside it until it is gone or moves. A process tells by its name whether it is in a call
// (pipe.MarkBusy), and that stays readable when it is killed in there; all that this needs is /proc.

// procState is what /proc says of one.
type procState struct {
	comm    string
	state   byte // R, S, D, Z, …
	threads int
}

// suspicion tells by what a process may be in the driver: a word that changes when it moves on; "" it is not.
type suspicion func(p procState, name string) string

// inDriver is for foretop-nvml, which says so itself. One that was killed and whose main thread is gone has others that are not.
func inDriver(p procState, name string) string {
	if strings.HasPrefix(p.comm, name+pipe.MarkBusy) {
		return p.comm
	}
	return dying(p, name)
}

// inUninterruptibleSleep is for programs that say nothing of themselves.
func inUninterruptibleSleep(p procState, name string) string {
	if p.comm == name && p.state == 'D' {
		return "D"
	}
	return dying(p, name)
}

func dying(p procState, name string) string {
	if p.state == 'Z' && p.threads > 1 && strings.HasPrefix(p.comm, name) {
		return "Z"
	}
	return ""
}

const lookAgain = 100 * time.Millisecond

// alone waits until no process of that name and this user is stuck in the driver, and says so meanwhile. It is false when ctx ended.
func (s *Source) alone(ctx context.Context, name string, suspect suspicion) bool {
	name = name[:min(len(name), pipe.MaxMark)]
	moving := map[int]bool{} // seen to move: never stuck since
	for ctx.Err() == nil {
		first := s.suspects(name, suspect, moving)
		if len(first) == 0 {
			return ctx.Err() == nil
		}
		since := time.Now()
		for pause := lookAgain; len(first) > 0; {
			if !sleep(ctx, pause) {
				return false
			}
			for pid, mark := range first {
				p, ok := readProcess(s.opt.Root, pid)
				if !ok || suspect(p, name) != mark {
					delete(first, pid)
					moving[pid] = ok
				}
			}
			if stuckFor := time.Since(since); len(first) > 0 && stuckFor > silentAfter {
				pause = time.Second
				s.sayStuck(beside(name, first), stuckFor)
			}
		}
	}
	return false
}

func beside(name string, stuck map[int]string) string {
	pid := 0
	for p := range stuck {
		if pid == 0 || p < pid {
			pid = p
		}
	}
	return fmt.Sprintf("%s, process %d of this user, is in the driver and does not return: none is started beside it", name, pid)
}

// suspects are this user's processes that may be stuck, with their marks.
func (s *Source) suspects(name string, suspect suspicion, moving map[int]bool) map[int]string {
	found := map[int]string{}
	folder, err := os.Open(s.opt.Root + "/proc")
	if err != nil {
		return found
	}
	defer folder.Close()
	names, _ := folder.Readdirnames(-1)
	for _, n := range names {
		pid, err := strconv.Atoi(n)
		if err != nil || pid <= 0 || moving[pid] || pid == os.Getpid() || !isMine(s.opt.Root+"/proc/"+n) {
			continue
		}
		if p, ok := readProcess(s.opt.Root, pid); ok {
			if mark := suspect(p, name); mark != "" {
				found[pid] = mark
			}
		}
	}
	return found
}

// readProcess reads /proc/PID/stat: that file takes no lock which a stuck process may hold.
func readProcess(root string, pid int) (procState, bool) {
	b, err := os.ReadFile(root + "/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return procState{}, false
	}
	return parseProcess(string(b))
}

// parseProcess takes the name, the state and the number of threads (fields 2, 3 and 20) of a line of /proc/PID/stat. The name is in parentheses and may hold
// anything, parentheses too.
func parseProcess(line string) (p procState, ok bool) {
	from, to := strings.IndexByte(line, '('), strings.LastIndexByte(line, ')')
	if from < 0 || to < from {
		return p, false
	}
	fields := strings.Fields(line[to+1:])
	if len(fields) < 18 || len(fields[0]) != 1 {
		return p, false
	}
	threads, err := strconv.Atoi(fields[17])
	return procState{line[from+1 : to], fields[0][0], threads}, err == nil
}
