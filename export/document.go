package export

import (
	"bytes"
	"encoding/json"

	"foretop/fleet"
)

type document struct {
	SchemaVersion int           `json:"schema_version"`
	Time          stamp         `json:"time"`
	Sequence      uint64        `json:"sequence"`
	Totals        totalsDoc     `json:"totals"`
	Nodes         []nodeDoc     `json:"nodes"`
	Jobs          []jobDocument `json:"jobs"`
	Pending       []waitDoc     `json:"pending_jobs"`
	Users         []userDoc     `json:"users"`
	Schedulers    []schedDoc    `json:"schedulers"`
}

type totalsDoc struct {
	Nodes         int            `json:"nodes"`
	NodesByState  map[string]int `json:"nodes_by_state"`
	GPUs          int            `json:"gpus"`
	GPUsHeld      int            `json:"gpus_held"`
	GPUsIdle      int            `json:"gpus_idle"`
	GPUsBad       int            `json:"gpus_bad"`
	Jobs          int            `json:"jobs"`
	KernelLogRead int            `json:"nodes_with_kernel_log_read"`
	XidRead       int            `json:"nodes_with_xids_read"`
	Critical      int            `json:"problems_critical"`
	Warning       int            `json:"problems_warning"`
	KnownBad      int            `json:"problems_out_of_service"`
	Drained       int            `json:"nodes_drained"`
	Down          int            `json:"nodes_down_in_scheduler"`
	Pending       int            `json:"jobs_pending"`
}

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
}

type rankDoc struct {
	Rank       index  `json:"rank"`
	LocalRank  index  `json:"local_rank"`
	Node       string `json:"node"`
	PID        int32  `json:"pid"`
	StartTicks uint64 `json:"start_ticks"`
	GPUs       []int  `json:"gpus"`
}

type jobDeviceDoc struct {
	Node      string `json:"node"`
	NodeState string `json:"node_state"`
	Index     int    `json:"index"`
	UUID      word   `json:"uuid"`
	Rank      index  `json:"rank"`
	Empty     bool   `json:"given_and_no_process"`
}

func documentOf(s *fleet.Snapshot) *document {
	d := &document{
		SchemaVersion: SchemaVersion, Time: stamp(s.At), Sequence: s.Sequence,
		Totals: totalsOf(&s.Totals), Nodes: make([]nodeDoc, len(s.Nodes)), Jobs: make([]jobDocument, len(s.Jobs)),
	}
	for i, n := range s.Nodes {
		d.Nodes[i] = nodeOf(n, s.At)
	}
	for i, j := range s.Jobs {
		d.Jobs[i] = jobOf(j)
	}
	d.Pending, d.Users, d.Schedulers = pendingOf(s.Pending), usersOf(s.Users), listOf(s.Schedulers, schedOf)
	return d
}

func totalsOf(t *fleet.Totals) totalsDoc {
	byState := make(map[string]int, fleet.NumStates)
	for i, n := range t.ByState {
		byState[fleet.State(i).String()] = n
	}
	return totalsDoc{
		Nodes: t.Nodes, NodesByState: byState, GPUs: t.GPUs, GPUsHeld: t.GPUsHeld, GPUsIdle: t.GPUsIdle, GPUsBad: t.GPUsBad, Jobs: t.Jobs,
		KernelLogRead: t.KernelLogRead, XidRead: t.XidRead, Critical: t.Critical, Warning: t.Warning,
		KnownBad: t.KnownBad, Drained: t.Drained, Down: t.Down, Pending: t.Pending,
	}
}

func jobOf(j *fleet.Job) jobDocument {
	return jobDocument{
		Key: j.Key, ID: j.ID, Name: word(j.Name), User: word(j.User), Framework: word(j.Framework), Scheduler: word(j.Scheduler), Partition: word(j.Partition),
		State: jobState(j.State), StateText: j.StateText, Severity: j.Severity.String(), Restarts: j.Restarts,
		Start: stamp(j.Start), EndLimit: stamp(j.EndLimit),
		World: known(float64(j.World), j.World > 0), RanksSeen: len(j.Ranks), MissingN: j.MissingN, Missing: orEmpty(j.Missing), Nodes: orEmpty(j.Nodes),
		Ranks: listOf(j.Ranks, func(r *fleet.Rank) rankDoc {
			return rankDoc{Rank: index(r.Rank), LocalRank: index(r.LocalRank), Node: r.Node, PID: r.PID, StartTicks: r.StartTicks, GPUs: orEmpty(r.GPUs)}
		}),
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
	}
}

// encode is json.Marshal without the escapes meant for HTML.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
