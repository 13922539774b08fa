package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"foretop/fleet"
	"foretop/sshpool"
	"foretop/telemetry/facts"
)

// The JSON of `foretop doctor --json`: snake_case, units in names, null for what is not known.
type (
	doctorJSON struct {
		Nodes []nodeJSON `json:"nodes"`
	}
	nodeJSON struct {
		Node      string         `json:"node"`
		Reached   bool           `json:"reached"`
		State     string         `json:"state"`
		Seconds   float64        `json:"seconds"`
		StalledAt *string        `json:"stalled_at"`
		Cause     *string        `json:"cause"`
		Remedy    *string        `json:"remedy"`
		Steps     []stepJSON     `json:"steps"`
		Collector *collectorJSON `json:"collector"`
		Sources   []sourceJSON   `json:"sources"`
	}
	stepJSON struct {
		Step    string   `json:"step"`
		Hop     *string  `json:"jump_host"`
		End     string   `json:"end"` // done, failed, open, dropped
		Seconds float64  `json:"seconds"`
		Said    []string `json:"said"`
		Cause   *string  `json:"cause"`
		Remedy  *string  `json:"remedy"`
	}
	collectorJSON struct {
		Build    string `json:"build"`
		Hostname string `json:"hostname"`
		OS       string `json:"os"`
		Kernel   string `json:"kernel"`
		Arch     string `json:"arch"`
		User     string `json:"user"`
	}
	sourceJSON struct {
		Source       string   `json:"source"`
		State        string   `json:"state"` // ok, unsupported, denied, failing, stuck, unknown
		Text         *string  `json:"text"`
		Remedy       *string  `json:"remedy"`
		CallSeconds  *float64 `json:"call_seconds"`
		StuckSeconds *float64 `json:"stuck_seconds"`
	}
)

// writeDiagnoses writes what was found for programs.
func writeDiagnoses(w io.Writer, found []diagnosis) error {
	out := doctorJSON{Nodes: []nodeJSON{}}
	for _, f := range found {
		n := nodeJSON{Node: f.name, Reached: f.reached, State: f.state.String(), Seconds: seconds(f.took), StalledAt: unlessEmpty(f.stalled), Cause: unlessEmpty(f.cause), Remedy: unlessEmpty(f.remedy),
			Steps: []stepJSON{}, Sources: []sourceJSON{}}
		for _, s := range f.steps {
			end := map[sshpool.StepEnd]string{sshpool.StepDone: "done", sshpool.StepFailed: "failed", sshpool.StepOpen: "open", sshpool.StepDropped: "dropped"}[s.End]
			said := s.Said
			if said == nil {
				said = []string{}
			}
			n.Steps = append(n.Steps, stepJSON{s.Name, unlessEmpty(s.Hop), end, seconds(s.Took), said, unlessEmpty(s.Cause), unlessEmpty(s.Remedy)})
		}
		if h := f.hello; h != nil {
			n.Collector = &collectorJSON{h.Build, h.Hostname, h.Os, h.Kernel, h.Arch, h.User}
		}
		for _, s := range f.sources {
			n.Sources = append(n.Sources, sourceJSON{s.Name, stateWord(s.State), unlessEmpty(s.Text), unlessEmpty(s.Remedy), known(s.CallUS, 1e6), known(s.StuckS, 1)})
		}
		out.Nodes = append(out.Nodes, n)
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	if err := e.Encode(out); err != nil {
		return fmt.Errorf("write JSON: %w", err)
	}
	return nil
}

func stateWord(s facts.SourceState) string {
	switch s {
	case facts.SourceState_SOURCE_OK:
		return "ok"
	case facts.SourceState_SOURCE_UNSUPPORTED:
		return "unsupported"
	case facts.SourceState_SOURCE_DENIED:
		return "denied"
	case facts.SourceState_SOURCE_FAILING:
		return "failing"
	case facts.SourceState_SOURCE_STUCK:
		return "stuck"
	}
	return "unknown"
}

func unlessEmpty(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// known is a reading in parts of a unit; nil where it is not known.
func known(r fleet.Reading, parts float64) *float64 {
	if !r.Known() {
		return nil
	}
	v := float64(r) / parts
	return &v
}

// seconds are rounded to the microsecond.
func seconds(d time.Duration) float64 { return d.Round(time.Microsecond).Seconds() }
