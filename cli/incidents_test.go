package cli

import (
	"testing"
	"time"

	"foretop/config"
	"foretop/fleet"
)

// What is said of an incident lasts over a restart, and nodes fold by what only the configuration and ssh know of them.
func TestIncidentsLastAndFoldByPlace(t *testing.T) {
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	cfg := config.Default()
	cfg.Topology = config.Topology{"rack": {"r1": "gpu[1-3]"}}
	at := time.Now()
	snap := &fleet.Snapshot{At: at}
	for _, name := range []string{"gpu1", "gpu2", "gpu3", "gpu4", "gpu5"} {
		snap.Nodes = append(snap.Nodes, &fleet.Node{Name: name, State: fleet.Lost, Since: at, LastFrame: at})
	}
	jump := ""
	open := func() (*incidents, []fleet.Incident) {
		i := newIncidents(func(string) string { return jump })
		i.keep(cfg)
		return i, i.fold(snap, nil)
	}
	i, list := open()
	if len(list) != 3 || list[0].Fold+list[1].Fold+list[2].Fold != "rack r1" {
		t.Fatalf("%+v", list)
	}
	rack := ""
	for k := range list {
		if list[k].Fold != "" {
			rack = list[k].ID
		}
	}
	i.Mark([]string{rack}, fleet.Acknowledged, time.Time{})
	i.Looked()
	i.Close()
	i, list = open()
	for k := range list {
		if in := &list[k]; in.New || (in.Mark.Kind == fleet.Acknowledged) != (in.ID == rack) {
			t.Errorf("after a restart: %s new %t, %s", in.ID, in.New, in.Mark.Kind)
		}
	}
	i.Close()
	jump = "login1"
	i, list = open()
	defer i.Close()
	if len(list) != 1 || list[0].Fold != "jump host login1" || list[0].Of != 5 {
		t.Errorf("%+v", list)
	}
}
