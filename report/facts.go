package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"foretop/fleet"
)

// facts are what is known of the job, or the fleet, as it was last seen.
func (g *gathered) facts() (out []fact) {
	say := func(name, value string) {
		if value != "" {
			out = append(out, fact{plain(name), plain(value)})
		}
	}
	clock := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.In(g.opt.Location).Format(time.DateTime)
	}
	if j := g.job; j != nil {
		say("user", j.User)
		say("framework", strings.TrimSuffix(j.Framework+", "+j.Scheduler+" "+j.Partition, ",  "))
		say("ranks", ranks(j))
		say("layout", layoutText(j))
		say("started", clock(j.Start))
		say("ended", clock(j.Ended))
		say("at the end", j.StateText)
		if j.Log != nil {
			say("log file", j.Log.Path)
		}
		for i := range j.Libraries {
			l := &j.Libraries[i]
			say(l.Name, fmt.Sprintf("%s on %s", l.Version, many(l.Ranks, "rank")))
		}
	} else {
		say("jobs", fmt.Sprint(g.last.Totals.Jobs))
	}
	say("nodes", fmt.Sprintf("%d: %s", len(g.order), g.fold(g.order)))
	say("GPUs", g.hardware())
	say("drivers", g.drivers())
	return out
}

func ranks(j *fleet.Job) string {
	if j.World == 0 {
		return fmt.Sprint(len(j.Ranks))
	}
	text := fmt.Sprintf("%d of %d seen", len(j.Ranks), j.World)
	if j.MissingN > 0 {
		text += fmt.Sprintf(", %d missing: %s", j.MissingN, strings.Trim(strings.Join(strings.Fields(fmt.Sprint(j.Missing[:min(len(j.Missing), 16)])), ", "), "[]"))
	}
	return text
}

func layoutText(j *fleet.Job) string {
	if j.Layout == nil {
		return ""
	}
	return j.Layout.String()
}

// hardware counts devices by their names.
func (g *gathered) hardware() string {
	count := map[string]int{}
	for i := range g.devices {
		d := &g.devices[i]
		if n := g.nodes[d.node]; n != nil {
			if k := slices.IndexFunc(n.GPUs, func(x fleet.GPU) bool { return x.Index == d.gpu }); k >= 0 && n.GPUs[k].Info != nil {
				count[n.GPUs[k].Info.Name]++
			}
		}
	}
	return counted(count)
}

func (g *gathered) drivers() string {
	count := map[string]int{}
	for _, n := range g.nodes {
		if n.Inventory != nil && n.Inventory.GpuDriverVersion != "" {
			count[n.Inventory.GpuDriverVersion]++
		}
	}
	if len(count) == 1 {
		for v := range count {
			return v
		}
	}
	return counted(count)
}

// counted is "512 × A, 8 × B", the most first.
func counted(count map[string]int) string {
	var names []string
	for name := range count {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(-cmp.Compare(count[a], count[b]), cmp.Compare(a, b)) })
	var out []string
	for _, name := range names[:min(len(names), 6)] {
		out = append(out, fmt.Sprintf("%d × %s", count[name], name))
	}
	return strings.Join(out, ", ")
}
