package slurm

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestLogFile(t *testing.T) {
	job := logParts{id: 103, arrayID: 102, task: 7, restarts: 2, name: "llama 70b", user: "ann", host: "gpu001.corp", sluid: "sEKNKTV3WPV500", dir: "/home/ann/run", batch: true}
	plain := job
	plain.arrayID, plain.task = 0, -1
	for _, c := range []struct {
		job           logParts
		pattern, want string
	}{
		{plain, "", "/home/ann/run/slurm-103.out"},
		{job, "", "/home/ann/run/slurm-102_7.out"},
		{job, "logs/%x-%A_%a.out", "/home/ann/run/logs/llama 70b-102_7.out"},
		{plain, "/scratch/%u/%j/%A.log", "/scratch/ann/103/103.log"},
		{plain, "/s/%5j-%02a-%12j", "/s/00103-4294967294-0000000103"},
		{job, "/s/%3a.%b.%N.%n.%t.%s.%J.%r.%S", "/s/007.7.gpu001.0.0.batch.103.2.sEKNKTV3WPV500"},
		{plain, "/s/100%%-%q-%3q-%", "/s/100%-%q-%3q-%"},
		{plain, `/s/\%j`, "/s/%j"},
		{plain, "/dev/null", ""},
		{plain, "/s/%", "/s/%"},
		{plain, "/s/%9", "/s/%9"},
	} {
		p := c.job
		p.pattern = c.pattern
		if got := logFile(p); got != c.want {
			t.Errorf("%s: %s, want %s", c.pattern, got, c.want)
		}
	}
	interactive, part, homeless, filled := plain, job, plain, plain
	interactive.batch = false
	part.pendingArray = true
	homeless.dir = ""
	filled.pattern, filled.alreadyFilledPattern = "/s/100%j", true
	for want, p := range map[string]logParts{"": interactive, " ": part, "  ": homeless, "/s/100%j": filled} {
		if got := logFile(p); got != strings.TrimSpace(want) {
			t.Errorf("%+v: %q, want %q", p, got, want)
		}
	}
}

func FuzzLogFile(f *testing.F) {
	f.Add("logs/%x-%A_%a.out", "/home/ann", "name")
	f.Add("%99999999999999999999j", "", "%j")
	f.Fuzz(func(t *testing.T, pattern, dir, name string) {
		out := logFile(logParts{id: 1, task: -1, pattern: pattern, dir: dir, name: name, batch: true})
		if out != "" && !strings.HasPrefix(out, "/") && !strings.HasPrefix(out, dir) {
			t.Errorf("%q is not below %q", out, dir)
		}
		if len(out) > len(dir)+16+len(pattern)*(16+len(name)) {
			t.Errorf("%d bytes of %q", len(out), pattern)
		}
		_ = filepath.Clean(out)
	})
}
