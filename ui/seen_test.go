package ui

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"foretop/fleet"

	tea "charm.land/bubbletea/v2"
)

// While nodes wait to be connected, those on screen are told: the page of the table, and after a move the page that is there then.
func TestSeenNodes(t *testing.T) {
	snap := &fleet.Snapshot{At: time.Unix(1_800_000_000, 0)}
	for i := range 300 {
		snap.Nodes = append(snap.Nodes, &fleet.Node{Name: fmt.Sprintf("gpu%03d", i+1), State: fleet.Waiting})
	}
	snap.Totals = fleet.Totals{Nodes: 300}
	var told [][]string
	m := tea.Model(New(Options{Seen: func(nodes []string) { told = append(told, slices.Clone(nodes)) }}))
	var do func(tea.Msg)
	run := func(cmd tea.Cmd) {
		if cmd == nil {
			return
		}
		switch msg := cmd().(type) {
		case tea.BatchMsg:
			for _, c := range msg {
				if c != nil {
					if inner, ok := c().(seenMsg); ok {
						do(inner)
					}
				}
			}
		case seenMsg:
			do(msg)
		}
	}
	do = func(msg tea.Msg) {
		var cmd tea.Cmd
		m, cmd = m.Update(msg)
		_ = m.View()
		run(cmd)
	}
	do(tea.WindowSizeMsg{Width: 120, Height: 40})
	do(SnapshotMsg{snap})
	do(tea.KeyPressMsg{Code: '2', Text: "2"})
	do(SnapshotMsg{snap})
	if len(told) == 0 {
		t.Fatal("nothing was told")
	}
	first := told[len(told)-1]
	if len(first) < 25 || len(first) > 40 || first[0] != "gpu001" {
		t.Errorf("first page: %v", first)
	}
	do(tea.KeyPressMsg{Code: 'G', Text: "G"})
	do(SnapshotMsg{snap})
	if last := told[len(told)-1]; len(last) != len(first) || last[len(last)-1] != "gpu300" {
		t.Errorf("last page: %v", last)
	}
	n := len(told)
	do(SnapshotMsg{snap})
	if len(told) != n {
		t.Error("told again what was told")
	}
}
