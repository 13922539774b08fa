package ui

import (
	"slices"
	"strings"
	"testing"

	"foretop/fleet"
	"foretop/jobs"
)

// TestStateColumn shows that where a job stands still can be read with its place, whatever else has to go.
func TestStateColumn(t *testing.T) {
	for _, c := range []struct{ w, least int }{{80, 28}, {100, 28}, {119, 28}, {120, 34}, {160, 34}, {200, 34}} {
		for _, limits := range []jobsHave{{}, {limits: true}, {logs: true}, {limits: true, logs: true}} {
			placed := placeColumns(jobColumns(limits, c.w), c.w)
			state := placed[len(placed)-1]
			if state.id != "state" || state.cells < c.least || state.x+state.cells > c.w {
				t.Errorf("%d columns, %+v: %s has %d cells from %d, want %d at least", c.w, limits, state.id, state.cells, state.x, c.least)
			}
		}
	}
}

// TestUnknownJobState shows that a state this version has no word for is marked by how bad it is, and said in its own words.
func TestUnknownJobState(t *testing.T) {
	for _, c := range []struct {
		severity fleet.Severity
		want     rune
	}{{fleet.Fine, markNotice}, {fleet.Notice, markNotice}, {fleet.Warning, markWarning}, {fleet.Critical, markCritical}} {
		j := &fleet.Job{State: 99, Severity: c.severity, StateText: "ended: 8 ranks went away"}
		if got := jobMark(j).r; got != c.want {
			t.Errorf("%s: %q, want %q", c.severity, got, c.want)
		}
		if got := jobText(j); got != j.StateText {
			t.Errorf("%q", got)
		}
	}
	if got := jobWord(fleet.JobEnded); got != "ended" {
		t.Errorf("filters name an ended job %q", got)
	}
	if got := jobText(&fleet.Job{State: 99}); strings.TrimSpace(got) == "" {
		t.Error("a state without words")
	}
}

// TestRanksAreDescribed shows what is known of a rank beside its numbers, where anything is.
func TestRanksAreDescribed(t *testing.T) {
	snap := scheduled()
	j := *snap.Jobs[0]
	j.Ranks = slices.Clone(j.Ranks)
	r := &j.Ranks[131]
	r.Inferred, r.Task, r.Pod, r.InnerPID, r.Orphan = true, "worker 131", "llama-worker-131", 77, jobs.LauncherGone
	snap.Jobs[0] = &j
	d := drive(snap, 120, 40, Options{})
	d.keys("enter", "tab", "tab")
	d.shows(t, "TASK", "131?", "worker 131 …", "▲ left ov")
	d = drive(snap, 200, 60, Options{})
	d.keys("enter", "tab", "tab")
	d.shows(t, "131?", "(its number is inferred, it does not say it)", "worker 131 llama-worker-131", "pid 77 in there")
	d = drive(snap, 80, 24, Options{})
	d.keys("enter", "tab", "tab")
	d.lacks(t, "TASK")
}
