package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Actions is how things are done.
type Actions struct {
	Audit string `yaml:"audit"` // the file in which each action is written down; "" $XDG_STATE_HOME/foretop/audit.jsonl
	// Journal has each written to systemd's journal too: what it does not take is not begun.
	Journal bool `yaml:"journal"`
	// Commands here for nodes that no scheduler has: a word each, with {node} and {reason} in them; none: such nodes are not drained.
	Drain  []string       `yaml:"drain"`
	Resume []string       `yaml:"resume"`
	Custom []CustomAction `yaml:"custom"`
}

// CustomAction is a command of one's own, on a key or in the list of actions.
type CustomAction struct {
	Name    string   `yaml:"name"`
	Key     string   `yaml:"key"`     // "" none: it is in the list only
	Scope   string   `yaml:"scope"`   // node, gpu, process, job
	Command []string `yaml:"command"` // a word each; {node} and the like stand for the target's, and stay one word whatever is in them
	Here    bool     `yaml:"here"`    // on this machine; else on the node
	Quiet   bool     `yaml:"quiet"`   // it changes nothing: it is not asked about
}

// MaxCustom is how many custom actions there may be.
const MaxCustom = 40

// Scopes are what a custom action may be about, with the places that its command may have.
func Scopes() map[string][]string {
	return map[string][]string{
		"node":    {"node"},
		"gpu":     {"node", "gpu", "uuid", "pci"},
		"process": {"node", "pid", "user", "rank"},
		"job":     {"job", "user", "name"},
	}
}

var commandPlace = regexp.MustCompile(`\{([a-z_]+)\}`)

func (a Actions) validate() error {
	for key, words := range map[string][]string{"actions.drain": a.Drain, "actions.resume": a.Resume} {
		if err := placesIn(key, words, []string{"node", "reason"}); err != nil {
			return err
		}
		if len(words) > 0 && !slices.ContainsFunc(words, func(w string) bool { return strings.Contains(w, "{node}") }) {
			return wrong(key, "it does not say which node: write {node} where its name goes")
		}
	}
	if len(a.Custom) > MaxCustom {
		return wrong("actions.custom", "%d actions: at most %d", len(a.Custom), MaxCustom)
	}
	names, keys := map[string]bool{}, map[string]bool{}
	for i, c := range a.Custom {
		key := fmt.Sprintf("actions.custom[%d]", i)
		places, known := Scopes()[c.Scope]
		switch {
		case c.Name == "":
			return wrong(key, "name is missing")
		case names[c.Name]:
			return wrong(key+".name", "%s is there twice", c.Name)
		case len(c.Command) == 0 || c.Command[0] == "":
			return wrong(key, "command is missing: write a list of words, as [scontrol, show, node, '{node}']")
		case !known:
			return wrong(key+".scope", "%q: write node, gpu, process or job", c.Scope)
		case c.Scope == "job" && !c.Here:
			return wrong(key, "a job is on many nodes: here: true runs the command on this machine")
		case c.Key != "" && len([]rune(c.Key)) != 1:
			return wrong(key+".key", "%q is not one character", c.Key)
		case c.Key != "" && keys[c.Key]:
			return wrong(key+".key", "%s is there twice", c.Key)
		case strings.Contains(c.Command[0], "{"):
			return wrong(key+".command", "which program is run may not depend on the target")
		}
		if err := placesIn(key+".command", c.Command, places); err != nil {
			return err
		}
		names[c.Name], keys[c.Key] = true, true
	}
	return nil
}

func placesIn(key string, words, known []string) error {
	for _, w := range words {
		for _, found := range commandPlace.FindAllStringSubmatch(w, -1) {
			if !slices.Contains(known, found[1]) {
				return wrong(key, "{%s} stands for nothing here: there is {%s}", found[1], strings.Join(known, "}, {"))
			}
		}
	}
	return nil
}
