package ui

import (
	"time"

	"foretop/config"
	"foretop/fleet"

	"github.com/charmbracelet/colorprofile"
)

// Source is where the screens get what they show, and where their wishes go. Its methods are called from commands, never from Update or View;
// they may be called from several goroutines at a time.
type Source interface {
	// Snapshot is the latest one. It is asked for once, at the start; later ones arrive as a SnapshotMsg.
	Snapshot() *fleet.Snapshot
	// History is the past of one quantity, oldest first, NaN where nothing is known. It may be empty.
	History(fleet.Query) []float64
	// Watch says which nodes are on screen in full: they, and only they, are to be asked for the detail level.
	Watch(nodes []string)
	// Follow says whose job's log is on screen, by the job's key; "" none. Only that one is read.
	Follow(job string)
	// Retry asks for a node to be dialled now; "" means every node that is not live.
	Retry(node string)
}

// SnapshotMsg brings the screen the next picture of the fleet. The wiring sends at most a few a second: the latest wins.
type SnapshotMsg struct{ *fleet.Snapshot }

// Options are what the screens need to know from the start. Only Source must be set.
type Options struct {
	Source Source
	// Seen is told which nodes are on screen while not all are connected; nil: nobody minds.
	Seen   func(nodes []string)
	Actor  Actor                 // nil: nothing can be done, only seen
	Asker  Asker                 // nil: nothing can be answered
	Keeper Keeper                // nil: nothing is kept of what is said of incidents
	Past   Past                  // nil: only the present
	Replay bool                  // the fleet is a recording: nothing is live
	Custom []config.CustomAction // beside those that are built in
	Name   string                // what the fleet is called in the title; may be empty
	ASCII  bool                  // draw with ASCII characters only, for LANG=C
	Theme  string                // one of config.Themes(); "" is "auto": the terminal is asked for its background
	Metric string                // what the grid shows at first: one of config.Metrics(); "" is "power"
	Mouse  bool                  // take clicks and the wheel from the terminal
	// Profile is how many colours the terminal has; Unknown: as the terminal itself says (tea.ColorProfileMsg). For tests.
	Profile colorprofile.Profile
	// Location is the time zone of clocks; nil: time.Local.
	Location *time.Location
}
