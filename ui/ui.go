// Package ui is the terminal front end: one Bubble Tea model whose screens are plain structs.
//
// It reads immutable snapshots of the fleet and draws them; it knows no SSH, no scheduler and no disk, and Update and View neither block nor
// read a clock: time is the snapshot's. What a person wants of the outside goes through [Source], in commands. Package cli makes the model
// with [New], runs it, and sends it a [SnapshotMsg] whenever the fleet has a new picture.
package ui

import (
	"fmt"

	"foretop/fleet"

	tea "charm.land/bubbletea/v2"
)

// Model is the whole front end. Make it with New.
type Model struct {
	opt           Options
	width, height int
	snap          *fleet.Snapshot
}

// New returns the model to run.
func New(opt Options) *Model { return &Model{opt: opt} }

// Init asks for the first snapshot and for the terminal's background.
func (m *Model) Init() tea.Cmd {
	return tea.Batch(tea.RequestBackgroundColor, func() tea.Msg { return SnapshotMsg{m.opt.Source.Snapshot()} })
}

// Update takes one message.
func (m *Model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case SnapshotMsg:
		m.snap = msg.Snapshot
	case tea.KeyPressMsg:
		if s := msg.String(); s == "q" || s == "ctrl+c" {
			return m, tea.Quit
		}
	}
	return m, nil
}

// View draws the screen.
func (m *Model) View() tea.View {
	text := "waiting for the first reading"
	if m.snap != nil {
		text = fmt.Sprintf("%d nodes, %d live", m.snap.Totals.Nodes, m.snap.Totals.ByState[fleet.Live])
	}
	v := tea.NewView(text)
	v.AltScreen = true
	return v
}
