package config

import (
	"strings"
	"testing"
)

func TestActions(t *testing.T) {
	show := CustomAction{Name: "show", Key: "X", Scope: "node", Command: []string{"scontrol", "show", "node", "{node}"}, Here: true}
	with := func(change func(*CustomAction)) Actions {
		c := show
		change(&c)
		return Actions{Custom: []CustomAction{c}}
	}
	for what, c := range map[string]struct {
		actions Actions
		want    string // "" it is fine
	}{
		"none":            {Actions{}, ""},
		"all":             {Actions{Drain: []string{"drain", "{node}", "--why={reason}"}, Resume: []string{"undrain", "{node}"}, Custom: []CustomAction{show, {Name: "diag", Scope: "gpu", Command: []string{"dcgmi", "diag", "-r", "1", "-i", "{gpu}"}}}}, ""},
		"no node":         {Actions{Drain: []string{"drain", "it"}}, "actions.drain: it does not say which node"},
		"another place":   {Actions{Resume: []string{"x", "{node}", "{pid}"}}, "actions.resume: {pid} stands for nothing here: there is {node}, {reason}"},
		"no name":         {with(func(c *CustomAction) { c.Name = "" }), "actions.custom[0]: name is missing"},
		"no command":      {with(func(c *CustomAction) { c.Command = nil }), "command is missing"},
		"a scope":         {with(func(c *CustomAction) { c.Scope = "rack" }), `actions.custom[0].scope: "rack": write node, gpu, process or job`},
		"a job elsewhere": {with(func(c *CustomAction) { c.Scope, c.Here, c.Command = "job", false, []string{"x", "{job}"} }), "a job is on many nodes"},
		"two characters":  {with(func(c *CustomAction) { c.Key = "ab" }), `"ab" is not one character`},
		"a program":       {with(func(c *CustomAction) { c.Command = []string{"{node}"} }), "may not depend on the target"},
		"a place":         {with(func(c *CustomAction) { c.Command = []string{"x", "{gpu}"} }), "{gpu} stands for nothing here"},
		"twice":           {Actions{Custom: []CustomAction{show, show}}, "show is there twice"},
		"a key twice":     {Actions{Custom: []CustomAction{show, {Name: "b", Key: "X", Scope: "node", Command: []string{"x"}}}}, "X is there twice"},
		"too many":        {Actions{Custom: make([]CustomAction, MaxCustom+1)}, "41 actions"},
	} {
		t.Run(what, func(t *testing.T) {
			cfg := Default()
			cfg.Actions = c.actions
			err := cfg.Validate()
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}
