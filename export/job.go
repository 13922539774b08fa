package export

import (
	"foretop/fleet"
	"foretop/jobs"
	"foretop/jobs/layout"
)

type jobDocument struct {
	Key           string         `json:"key"`
	ID            string         `json:"id"`
	Name          word           `json:"name"`
	User          word           `json:"user"`
	Framework     word           `json:"framework"`
	Scheduler     word           `json:"scheduler"`
	Partition     word           `json:"partition"`
	State         word           `json:"state"`
	StateText     string         `json:"state_text"`
	Severity      string         `json:"severity"`
	Restarts      int            `json:"restarts"`
	Start         stamp          `json:"start"`
	EndLimit      stamp          `json:"end_limit"`
	World         number         `json:"world_size"`
	RanksSeen     int            `json:"ranks_seen"`
	MissingN      int            `json:"missing_ranks_count"`
	Missing       []int          `json:"missing_ranks"`
	Nodes         []string       `json:"nodes"`
	Ranks         []rankDoc      `json:"ranks"`
	GPUs          []jobDeviceDoc `json:"gpus"`
	GPUsIdle      int            `json:"gpus_idle"`
	PowerPct      number         `json:"power_percent_of_limit"`
	UtilPct       number         `json:"util_percent"`
	TensorPct     number         `json:"tensor_activity_percent"`
	SMPct         number         `json:"sm_activity_percent"`
	MemPct        number         `json:"mem_used_percent"`
	MemUsedBytes  number         `json:"mem_used_bytes"`
	MemTotalBytes number         `json:"mem_total_bytes"`
	TempC         number         `json:"temp_celsius"`
	ClockPct      number         `json:"sm_clock_percent_of_max"`
	NetBytesPerS  number         `json:"net_bytes_per_second"`
	Account       word           `json:"account"`
	Ended         stamp          `json:"ended"`
	Asked         string         `json:"scheduler_asked"`
	Told          *toldDoc       `json:"scheduler_says"`
	Log           *logDoc        `json:"log"`
	Findings      []findingDoc   `json:"findings"`
	Unwatched     []string       `json:"hosts_not_watched"`
	Leftovers     []leftoverDoc  `json:"leftovers"`
	Layout        *layoutDoc     `json:"layout"`
	LayoutTrouble word           `json:"layout_problem"`
	Libraries     []libraryDoc   `json:"libraries"`
}

// libraryDoc is a version of a library that ranks have loaded.
type libraryDoc struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Ranks   int    `json:"ranks_count"`
	Node    string `json:"first_node"`
}

// leftoverDoc is a process that should not hold GPUs any more.
type leftoverDoc struct {
	Node       string `json:"node"`
	PID        int32  `json:"pid"`
	StartTicks uint64 `json:"start_ticks"`
	GPUs       int    `json:"gpus_count"`
	Why        string `json:"why"`
}

// layoutDoc is how a job's ranks divide its work.
type layoutDoc struct {
	Text    string   `json:"text"`
	From    word     `json:"from"`
	PerGPU  bool     `json:"counts_gpus"`
	Chunks  number   `json:"pipeline_chunks"`
	Dims    []dimDoc `json:"dimensions"`
	Experts []dimDoc `json:"expert_dimensions"`
	Notes   []string `json:"notes"`
}

type dimDoc struct {
	Name string `json:"name"`
	Size int    `json:"size"`
}

func layoutOf(l *layout.Layout) *layoutDoc {
	if l == nil {
		return nil
	}
	dims := func(list []layout.Dim) []dimDoc {
		return listOf(list, func(d *layout.Dim) dimDoc { return dimDoc{d.Name, d.Size} })
	}
	return &layoutDoc{Text: l.String(), From: word(l.From), PerGPU: l.PerGPU, Chunks: known(float64(l.Virtual), l.Virtual > 1), Dims: dims(l.Dims), Experts: dims(l.Experts), Notes: orEmpty(l.Notes)}
}

// placeOf is where a rank stands, by the names of the layout's dimensions; empty where that is not known, and where GPUs are counted, of which a rank has several.
func placeOf(l *layout.Layout, names []string, rank int) map[string]int {
	if l == nil || l.PerGPU || rank < 0 || rank >= l.World {
		return map[string]int{}
	}
	place := make(map[string]int, len(names))
	for _, name := range names {
		place[name] = l.Coord(rank, name)
	}
	return place
}

func rankOf(r *fleet.Rank, l *layout.Layout, names []string) rankDoc {
	d := rankDoc{Rank: index(r.Rank), LocalRank: index(r.LocalRank), Node: r.Node, PID: r.PID, StartTicks: r.StartTicks, GPUs: orEmpty(r.GPUs),
		Inferred: r.Inferred, Task: word(r.Task), Pod: word(r.Pod), InnerPID: index(r.InnerPID), Place: placeOf(l, names, r.Rank)}
	if r.InnerPID == 0 {
		d.InnerPID = index(r.PID)
	}
	if r.Orphan != jobs.NotOrphan {
		d.Leftover = word(r.Orphan.String())
	}
	return d
}

type rankDoc struct {
	Rank       index  `json:"rank"`
	LocalRank  index  `json:"local_rank"`
	Node       string `json:"node"`
	PID        int32  `json:"pid"`
	StartTicks uint64 `json:"start_ticks"`
	GPUs       []int  `json:"gpus"`

	Inferred bool           `json:"inferred"`
	Task     word           `json:"task"`
	Pod      word           `json:"pod"`
	InnerPID index          `json:"container_pid"`
	Leftover word           `json:"leftover"`
	Place    map[string]int `json:"place"`
}

type jobDeviceDoc struct {
	Node      string `json:"node"`
	NodeState string `json:"node_state"`
	Index     int    `json:"index"`
	UUID      word   `json:"uuid"`
	Rank      index  `json:"rank"`
	Empty     bool   `json:"given_and_no_process"`
}

func jobOf(j *fleet.Job) jobDocument {
	var names []string
	if j.Layout != nil {
		names = j.Layout.Names()
	}
	return jobDocument{
		Key: j.Key, ID: j.ID, Name: word(j.Name), User: word(j.User), Framework: word(j.Framework), Scheduler: word(j.Scheduler), Partition: word(j.Partition),
		State: jobState(j.State), StateText: j.StateText, Severity: j.Severity.String(), Restarts: j.Restarts,
		Start: stamp(j.Start), EndLimit: stamp(j.EndLimit),
		World: known(float64(j.World), j.World > 0), RanksSeen: len(j.Ranks), MissingN: j.MissingN, Missing: orEmpty(j.Missing), Nodes: orEmpty(j.Nodes),
		Ranks: listOf(j.Ranks, func(r *fleet.Rank) rankDoc { return rankOf(r, j.Layout, names) }),
		GPUs: listOf(j.GPUs, func(g *fleet.GPURef) jobDeviceDoc {
			d := jobDeviceDoc{Node: g.Node, NodeState: g.State.String(), Index: g.Index, Rank: index(g.Rank), Empty: g.Empty}
			if g.GPU != nil {
				d.UUID = word(g.GPU.Info.Uuid)
			}
			return d
		}),
		GPUsIdle: j.IdleGPUs, PowerPct: number(j.PowerPct), UtilPct: number(j.UtilPct), TensorPct: number(j.TensorPct), SMPct: number(j.SMPct),
		MemPct: number(j.MemPct), MemUsedBytes: number(j.MemUsedBytes), MemTotalBytes: number(j.MemTotalBytes), TempC: number(j.TempC), ClockPct: number(j.ClockPct),
		NetBytesPerS: number(j.NetBytesPerS), Account: word(j.Account), Ended: stamp(j.Ended), Asked: askedWord(j.Asked), Told: toldOf(j.Told), Log: logOf(j.Log),
		Findings: listOf(j.Findings, func(f *fleet.Verdict) findingDoc {
			return findingDoc{Severity: f.Severity.String(), State: jobState(f.State), Text: f.Text}
		}),
		Unwatched: orEmpty(j.Unwatched),
		Leftovers: listOf(j.Leftovers, func(o *fleet.Leftover) leftoverDoc {
			return leftoverDoc{o.Node, o.PID, o.StartTicks, o.GPUs, o.Why.String()}
		}),
		Layout: layoutOf(j.Layout), LayoutTrouble: word(j.LayoutTrouble),
		Libraries: listOf(j.Libraries, func(l *fleet.Library) libraryDoc { return libraryDoc{l.Name, l.Version, l.Ranks, l.Node} }),
	}
}
