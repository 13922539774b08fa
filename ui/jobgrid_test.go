package ui

import (
	"strconv"
	"strings"
	"testing"
)

// TestJobsTakeIdleLines shows that the table has the lines that the grid does not use, and that what is still out of sight is told.
func TestJobsTakeIdleLines(t *testing.T) {
	f := &fixture{seed: 7}
	f.addNodes("gpu%03d", 1, 64, 8)
	for i := range 40 {
		f.addJob(strconv.Itoa(100+i), "job", "ann", "", i+1, i+1, 8, load{90, 90, 40, 60, 1e9})
	}
	snap := f.snapshot()
	all, jobs := *snap, snap.Jobs
	for _, c := range []struct {
		jobs int
		want string // "": all are seen
	}{{12, ""}, {16, ""}, {24, ""}, {40, " of 40 ↓"}} {
		few := all
		few.Jobs = jobs[:c.jobs]
		d := drive(&few, 120, 40, Options{})
		d.must(t)
		rows := strings.Count(d.text(), "● running")
		switch {
		case c.want == "" && (rows != c.jobs || strings.Contains(d.text(), "of "+strconv.Itoa(c.jobs)+" ↓")):
			t.Errorf("%d of %d jobs to be seen in\n%s", rows, c.jobs, d.text())
		case c.want != "":
			d.shows(t, strconv.Itoa(rows)+c.want)
			d.keys("G")
			d.shows(t, strconv.Itoa(c.jobs-rows+1)+"–"+strconv.Itoa(c.jobs)+" of 40 ↑")
		}
		if !strings.Contains(d.text(), "gpu0") {
			t.Errorf("no grid in\n%s", d.text())
		}
	}
}
