package findings

import (
	"fmt"
	"time"

	"foretop/fleet"
)

// When a log is silent.
const (
	logLeast = time.Minute      // beside a hang
	logLong  = 5 * time.Minute  // of itself, while GPUs do nothing
	logTimes = 5                // so many times the longest pause that it made while GPUs worked
	logOld   = 15 * time.Second // a log that was not looked at for so long says nothing
)

// logTrail is how a job writes its log: the longest pause between two lines while it worked.
type logTrail struct {
	last  time.Time // ModTime at the last look
	pause time.Duration
	grew  int
	long  int // pauses that were too long
}

func (t *logTrail) note(j *fleet.Job, at time.Time) {
	if j.Log == nil || j.Log.ModTime.IsZero() || j.Log.ModTime.Equal(t.last) {
		return
	}
	if gap := j.Log.ModTime.Sub(t.last); !t.last.IsZero() && t.grew > 0 {
		if gap > max(logLeast, logTimes*t.pause) { // it was told: it teaches when it comes again and again
			if t.long++; t.long >= 3 {
				t.pause = gap
			}
		} else {
			t.pause = max(t.pause, gap)
		}
	}
	if !t.last.IsZero() {
		t.grew++
	}
	t.last = j.Log.ModTime
}

// silent is for how long the log is silent, when that is longer than it should be; 0: it is not, or nothing is known. A log that never grew says nothing.
func (t *logTrail) silent(j *fleet.Job, at time.Time) time.Duration {
	l := j.Log
	if l == nil || l.ModTime.IsZero() || t.grew < 2 || at.Sub(l.At) > logOld {
		return 0
	}
	if age := at.Sub(l.ModTime); age > max(logLeast, logTimes*t.pause) {
		return age
	}
	return 0
}

// silent tells a job whose GPUs do nothing while its log says nothing: nothing shows that it goes on.
func silent(c *jobCase) answer {
	w := c.w
	switch {
	case c.j.Log == nil || c.j.Log.ModTime.IsZero():
		return answer{unchecked: "its log is not read"}
	case w.log.grew < 2:
		return answer{unchecked: "its log has not grown since it is watched"}
	}
	age := w.log.silent(c.j, c.at)
	if age == 0 || age < logLong || w.phase == waiting || w.phase == saving {
		return answer{}
	}
	v := fleet.Verdict{State: fleet.JobRunning, Severity: fleet.Notice, Since: c.j.Log.ModTime, Text: "log silent for " + span(age),
		Evidence: []string{fmt.Sprintf("%s was last written %s ago; its longest pause before: %s", short(c.j.Log.Path, 100), span(age), span(w.log.pause))},
		Remedy:   "look at its stacks: is it at work at all?"}
	rests := w.rests.lasts(c.at)
	if w.phase == resting && w.rests.learned() && rests > max(logLong, 2*w.rests.longest(c.at)) {
		v.State, v.Severity = fleet.JobSuspect, fleet.Warning
		v.Text = fmt.Sprintf("no progress %s: GPUs do nothing, log silent", span(rests))
		v.Evidence = append(v.Evidence, fmt.Sprintf("its GPUs do nothing for %s; the longest before: %s", span(rests), span(w.rests.longest(c.at))))
	}
	return says(v)
}
