package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

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
