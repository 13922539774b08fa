package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// validate expands every group once, so that a mistake in the file is told with its line and not when a group is used.
func (g Groups) validate() error {
	for _, name := range slices.Sorted(maps.Keys(g)) {
		if name == "" || strings.ContainsFunc(name, notInGroupName) {
			return wrong("groups."+name, "a group's name has letters, digits, - and _ only")
		}
		if _, err := g.Expand(g[name]); err != nil {
			return wrong("groups."+name, "%w", err)
		}
	}
	return nil
}

func notInGroupName(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
}

// hint says what to write instead of a group that is not there.
func (g Groups) hint(name string) string {
	names := slices.Sorted(maps.Keys(g))
	if near, ok := Nearest(name, names); ok {
		return fmt.Sprintf("did you mean @%s?", near)
	}
	if len(names) == 0 {
		return "the configuration file names none (groups: in foretop's config.yaml)"
	}
	const shown = 8
	if len(names) > shown {
		names = append(names[:shown], "…")
	}
	return "the configuration file names " + strings.Join(names, ", ")
}
