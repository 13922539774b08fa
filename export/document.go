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
	Incidents     []incidentDoc `json:"incidents"`
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
	d.Incidents = listOf(s.Incidents, func(i *fleet.Incident) incidentDoc { return incidentOf(i, s.At) })
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
