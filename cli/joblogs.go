package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"foretop/config"
	"foretop/fleet"
)

// A job's log is read on the first of its nodes that is live, as the user who watches: what that user may not read is not shown. Of the job whose log is on screen its
// end is read, of the others only how old it is.
const (
	logBytes     = 96 << 10 // of the end of a file
	logEvery     = 3 * time.Second
	logAgeEvery  = 30 * time.Second
	logLimit     = 10 * time.Second // a file server may hang
	logLookEvery = time.Second
	logAges      = 64 // jobs whose log's age is kept
)

// logScript prints size, time of the last write and the node's clock, then the end of the file. $1 is how many bytes, $2 the file. Anything but a regular file is left
// alone: a device or a pipe would hang the reader.
const logScript = `f=$2; if [ ! -e "$f" ]; then echo none; elif [ ! -f "$f" ]; then echo special; elif [ ! -r "$f" ]; then echo denied; else echo "ok $(stat -L -c "%s %Y" "$f" 2>/dev/null || echo "- -") $(date +%s)"; [ "$1" = 0 ] || tail -c "$1" "$f"; fi`

// logCommand is the command line that reads the end of a file, for any login shell; "" where the path cannot be put into one.
func logCommand(path string, bytes int) string {
	if !strings.HasPrefix(path, "/") || strings.ContainsAny(path, "\\!\n\r\x00") {
		return ""
	}
	return fmt.Sprintf("exec /bin/sh -c '%s' foretop-log %d '%s'", strings.ReplaceAll(logScript, "'", `'\''`), bytes, strings.ReplaceAll(path, "'", `'\''`))
}

// parseLog reads what logScript printed. at is our clock.
func parseLog(l *fleet.LogTail, out []byte, bytes int, patterns []fleet.LogPattern) {
	head, body, _ := strings.Cut(string(out), "\n")
	words := strings.Fields(head)
	l.Size = -1
	switch {
	case len(words) == 0:
		l.Error = "the node answered nothing"
	case words[0] == "none":
		l.Error, l.Remedy = "no such file on "+l.Node, "its file system may not be mounted there"
	case words[0] == "special":
		l.Error = "it is no regular file"
	case words[0] == "denied":
		l.Error, l.Remedy = "no permission to read it", "ask its owner, or watch as one who may"
	case words[0] != "ok" || len(words) != 4:
		l.Error = "the node answered something else than was asked for"
	default:
		size, err := strconv.ParseInt(words[1], 10, 64)
		if err == nil && size >= 0 {
			l.Size = size
		}
		written, err1 := strconv.ParseInt(words[2], 10, 64)
		clock, err2 := strconv.ParseInt(words[3], 10, 64)
		if err1 == nil && err2 == nil && written > 0 { // the node's clock may differ from ours: the age does not
			age := time.Duration(max(0, min(clock-written, 10*365*86400))) * time.Second
			l.ModTime = l.At.Add(-age)
		}
		if bytes > 0 {
			l.Lines = fleet.LogLines(body, l.Size >= 0 && l.Size <= int64(bytes))
			l.Numbers = fleet.LogNumbers(l.Lines, patterns)
		}
	}
}

// jobLogs reads the logs of jobs for a station.
type jobLogs struct {
	fleet    *fleet.Fleet
	run      func(ctx context.Context, node, command string, limit int) ([]byte, error)
	patterns []fleet.LogPattern

	mu     sync.Mutex
	follow string               // key of the job whose log is on screen
	asked  map[string]time.Time // by job
	busy   int
	now    func() time.Time
}

func newJobLogs(f *fleet.Fleet, run func(context.Context, string, string, int) ([]byte, error)) *jobLogs {
	l := &jobLogs{fleet: f, run: run, asked: map[string]time.Time{}, now: time.Now}
	l.look(nil)
	return l
}

// look says which numbers to look for; none: the usual ones. It is called before work.
func (l *jobLogs) look(patterns []config.LogPattern) {
	if len(patterns) == 0 {
		patterns = config.DefaultLogPatterns()
	}
	l.patterns = nil
	for _, p := range patterns {
		if expr, err := p.Compile(); err == nil { // the configuration was checked
			l.patterns = append(l.patterns, fleet.LogPattern{Name: p.Name, Expr: expr})
		}
	}
}

// Follow says whose job's log is on screen; "" none.
func (l *jobLogs) Follow(job string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.follow != job {
		l.follow = job
		delete(l.asked, job) // at once
	}
}

// work reads until ctx ends.
func (l *jobLogs) work(ctx context.Context) {
	tick := time.NewTicker(logLookEvery / 4)
	defer tick.Stop()
	var tasks sync.WaitGroup
	defer tasks.Wait()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		job, node, bytes := l.next(l.fleet.Snapshot())
		if job == nil {
			continue
		}
		tasks.Add(1)
		go func() {
			defer tasks.Done()
			l.read(ctx, job.Key, job.Told.LogFile, node, bytes)
			l.mu.Lock()
			l.busy--
			l.mu.Unlock()
		}()
	}
}

// next chooses the log that is due: that on screen before all others. Two are read at a time.
func (l *jobLogs) next(s *fleet.Snapshot) (job *fleet.Job, node string, bytes int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.busy >= 2 {
		return nil, "", 0
	}
	now := l.now()
	due := func(j *fleet.Job, every time.Duration) bool {
		return j != nil && j.Told != nil && j.Told.LogFile != "" && now.Sub(l.asked[j.Key]) >= every
	}
	take := func(j *fleet.Job, bytes int) (*fleet.Job, string, int) {
		node := liveNode(s, j)
		if node == "" {
			return nil, "", 0
		}
		l.asked[j.Key] = now
		l.busy++
		return j, node, bytes
	}
	if j := s.Job(l.follow); l.follow != "" && due(j, logEvery) {
		if j, node, bytes := take(j, logBytes); j != nil {
			return j, node, bytes
		}
	}
	ages := 0
	for _, j := range s.Jobs {
		if j.Told == nil || j.Told.LogFile == "" || !j.Ended.IsZero() {
			continue
		}
		if ages++; ages > logAges {
			break
		}
		if j.Key != l.follow && due(j, logAgeEvery) {
			if j, node, bytes := take(j, 0); j != nil {
				return j, node, bytes
			}
		}
	}
	if len(l.asked) > 4*logAges {
		for k, at := range l.asked {
			if now.Sub(at) > 2*logAgeEvery {
				delete(l.asked, k)
			}
		}
	}
	return nil, "", 0
}

// liveNode is the first of a job's nodes that can be asked; Slurm writes a job's output on its first.
func liveNode(s *fleet.Snapshot, j *fleet.Job) string {
	for _, name := range slices.Concat(j.Told.Watched, j.Nodes) {
		if n := s.Node(name); n != nil && n.State == fleet.Live {
			return name
		}
	}
	return ""
}

func (l *jobLogs) read(ctx context.Context, key, path, node string, bytes int) {
	tail := &fleet.LogTail{Path: path, Node: node, Size: -1}
	command := logCommand(path, bytes)
	if command == "" {
		tail.At, tail.Error = l.now(), "its path has characters that no shell takes safely"
		l.fleet.SetLog(key, tail)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, logLimit)
	defer cancel()
	out, err := l.run(ctx, node, command, bytes+4096)
	tail.At = l.now()
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		tail.Error, tail.Remedy = "no answer from "+node+" for 10 s", "the file system that it is on may hang"
	case err != nil && ctx.Err() != nil:
		return // we are leaving
	case err != nil:
		tail.Error = err.Error()
	default:
		parseLog(tail, out, bytes, l.patterns)
	}
	if was := l.fleet.Snapshot().Job(key); bytes == 0 && was != nil && was.Log != nil && tail.Error == "" { // only the age is new
		kept := *was.Log
		kept.At, kept.ModTime, kept.Size, kept.Error, kept.Remedy = tail.At, tail.ModTime, tail.Size, "", ""
		tail = &kept
	}
	l.fleet.SetLog(key, tail)
}
