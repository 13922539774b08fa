package config

import (
	"maps"
	"slices"
	"strings"
)

// Topology is what nodes share: of each kind of thing (rack, leaf, PDU) the things by name, and the node set that shares it.
//
//	topology:
//	  rack: {r12: "gpu[001-016]", r13: "gpu[017-032]"}
type Topology map[string]map[string]string

func (t Topology) validate(g Groups) error {
	for _, kind := range slices.Sorted(maps.Keys(t)) {
		if kind == "" || strings.ContainsFunc(kind, func(r rune) bool { return r != ' ' && notInGroupName(r) }) {
			return wrong("topology."+kind, "a kind of place has letters, digits, blanks, - and _ only: rack, leaf, power feed")
		}
		for _, name := range slices.Sorted(maps.Keys(t[kind])) {
			if name == "" || strings.ContainsFunc(name, func(r rune) bool { return r != '.' && notInGroupName(r) }) {
				return wrong("topology."+kind+"."+name, "a name has letters, digits, -, _ and . only")
			}
			if _, err := g.Expand(t[kind][name]); err != nil {
				return wrong("topology."+kind+"."+name, "%w", err)
			}
		}
	}
	return nil
}

// Places are what each node shares with others, as people call it: "rack r12". The file was checked when it was read.
func (t Topology) Places(g Groups) map[string][]string {
	places := map[string][]string{}
	for _, kind := range slices.Sorted(maps.Keys(t)) {
		for _, name := range slices.Sorted(maps.Keys(t[kind])) {
			nodes, _ := g.Expand(t[kind][name])
			for _, node := range nodes {
				places[node] = append(places[node], kind+" "+name)
			}
		}
	}
	return places
}
