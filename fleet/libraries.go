package fleet

import (
	"cmp"
	"slices"
	"strings"

	"foretop/telemetry"
	"foretop/telemetry/facts"
)

const (
	maxLibraries    = 32
	maxLibraryBytes = 64
)

// librariesOf counts which versions of libraries the ranks of a job have loaded. Most ranks say the same, word for word.
func librariesOf(j *Job, processes map[string][]*facts.Process) []Library {
	said := map[string]*Library{} // by the whole text, with a rank's node
	var texts []string
	for i := range j.Ranks {
		r := &j.Ranks[i]
		p := processOf(processes[r.Node], r.PID, r.StartTicks)
		if p == nil || p.Versions == "" {
			continue
		}
		l := said[p.Versions]
		if l == nil {
			if len(said) == maxLibraries {
				continue
			}
			l = &Library{Node: r.Node}
			said[p.Versions] = l
			texts = append(texts, p.Versions)
		}
		l.Ranks++
	}
	var all []Library
	for _, text := range texts {
		for part := range strings.SplitSeq(text, ", ") {
			name, version, _ := strings.Cut(part, " ")
			name, version = telemetry.Clean(name, maxLibraryBytes), telemetry.Clean(version, maxLibraryBytes)
			at := slices.IndexFunc(all, func(l Library) bool { return l.Name == name && l.Version == version })
			switch {
			case name == "" || version == "":
			case at >= 0:
				all[at].Ranks += said[text].Ranks
			case len(all) < maxLibraries:
				all = append(all, Library{name, version, said[text].Ranks, said[text].Node})
			}
		}
	}
	order := map[string]int{}
	for _, l := range all {
		if _, ok := order[l.Name]; !ok {
			order[l.Name] = len(order)
		}
	}
	slices.SortStableFunc(all, func(a, b Library) int {
		return cmp.Or(cmp.Compare(order[a.Name], order[b.Name]), -cmp.Compare(a.Ranks, b.Ranks))
	})
	return all
}
