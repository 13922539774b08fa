package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"foretop/config"
	"foretop/findings"
	"foretop/fleet"
	"foretop/journal"
)

// incidents folds what is found into incidents: with what is known of where nodes are, and of what was found and said before.
type incidents struct {
	*journal.Book
	places map[string][]string // of the configuration file
	jump   func(node string) string
}

// newIncidents remembers as long as the program runs; see keep.
func newIncidents(jump func(node string) string) *incidents {
	return &incidents{Book: journal.Open("", whoAmI(), time.Now), jump: jump}
}

// Close ends the keeping. Of none it is none.
func (i *incidents) Close() {
	if i != nil {
		i.Book.Close()
	}
}

// keep takes what the configuration file says of where nodes are, and has what is said and found outlast the program: in findings.jsonl beside the audit file. It is called before the first
// snapshot is published.
func (i *incidents) keep(cfg config.Config) {
	i.places = cfg.Topology.Places(cfg.Groups)
	path, err := statePath("findings.jsonl")
	if err != nil {
		fmt.Fprintln(os.Stderr, "foretop: acknowledgements last only until it ends: "+err.Error())
		return
	}
	i.Book.Close()
	i.Book = journal.Open(path, whoAmI(), time.Now)
}

// fold is fleet.Rules.Incidents.
func (i *incidents) fold(s *fleet.Snapshot, before []fleet.Incident) []fleet.Incident {
	f := findings.Folding{Places: i.placesOf, Denied: i.Denied}
	return i.Note(f.Incidents(s, before), s.At)
}

func (i *incidents) placesOf(node string) []string {
	places := i.places[node]
	if host := i.jump(node); host != "" {
		places = append(places[:len(places):len(places)], "jump host "+host)
	}
	return places
}

// statePath is a file in the user's state folder.
func statePath(name string) (string, error) {
	state := os.Getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(state) {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", err
		}
		state = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(state, "foretop", name), nil
}
