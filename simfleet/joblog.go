package simfleet

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// logFile is where Slurm writes what a job prints.
func (j *job) logFile() string { return fmt.Sprintf("/home/%s/logs/%s-%d.out", j.user, j.name, j.id) }

// logSteps is how many steps of a job are at the end of its log.
const logSteps = 120

// Log is the end of a job's log file at a moment, and when it was last written; false: there is no such file.
func (m *Model) Log(path string, at time.Duration) (text string, written time.Time, ok bool) {
	for _, j := range m.jobs {
		if j.logFile() == path {
			text, when := j.log(m.epoch, at)
			return text, m.epoch.Add(when), true
		}
	}
	return "", time.Time{}, false
}

// log writes the last steps of a job. While it stands still, nothing is written.
func (j *job) log(epoch time.Time, at time.Duration) (string, time.Duration) {
	if s, _, _ := j.stopAt(at); s != nil { // nobody writes any more
		at = s.from
	}
	s, base, work := j.span(at)
	begun := base + s.from
	pace := time.Duration(float64(j.pattern.step) * s.slow)
	done := j.age + work + s.work
	last := begun // when the last step ended
	if s.mode == running {
		done += time.Duration(float64(at-begun) / s.slow)
		last = at - time.Duration(float64(done%j.pattern.step)*s.slow)
	}
	var b strings.Builder
	line := func(when time.Duration, format string, args ...any) {
		b.WriteString(epoch.Add(when).UTC().Format("2006-01-02 15:04:05 ") + fmt.Sprintf(format, args...) + "\n")
	}
	step := int64(done / j.pattern.step)
	world := float64(len(j.member) * len(j.device))
	for k := max(1, step-logSteps+1); k <= step; k++ {
		when := last - time.Duration(step-k)*pace
		loss := 1.74 + 2.1/(1+float64(k)/900) + 0.04*hashUnit(j.key, uint64(k))
		line(when, "[rank0] step %d/250000 | loss: %.4f | grad norm: %.3f | lr: 1.5e-04 | step time: %.2f s | tokens/s: %.0f", k, loss, 0.4+0.3*hashUnit(j.key, uint64(k), 2),
			pace.Seconds()*(0.99+0.02*hashUnit(j.key, uint64(k), 3)), world*8192/pace.Seconds())
	}
	if s.mode == loading {
		line(begun, "[rank0] loading checkpoint /data/ckpt/%s/%s/step_%d", j.user, j.name, step/250*250)
	}
	return b.String(), last
}

// asksLog reads how many bytes of which file a command asks for that reads the end of a log: ... foretop-log 98304 '/home/ann/logs/8123.out'.
func asksLog(command string) (bytes int, path string, ok bool) {
	_, rest, ok := strings.Cut(command, " foretop-log ")
	if !ok {
		return 0, "", false
	}
	count, quoted, ok := strings.Cut(rest, " ")
	bytes, err := strconv.Atoi(count)
	return bytes, strings.Trim(quoted, "'"), ok && err == nil && bytes >= 0
}

// tell writes what that command prints, and gives its exit status.
func (h *host) tell(channel io.Writer, bytes int, path string) int {
	now := time.Now()
	text, written, ok := h.node.model.Log(path, h.fleet.At(now))
	if !ok {
		_, _ = io.WriteString(channel, "none\n")
		return 0
	}
	_, _ = fmt.Fprintf(channel, "ok %d %d %d\n", 1<<20+len(text), written.Unix(), now.Unix())
	_, _ = io.WriteString(channel, text[max(0, len(text)-bytes):])
	return 0
}
