package slurm

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// What follows reads the JSON of squeue, sinfo and scontrol of all versions that have it: openapi/v0.0.37 and 38 (21.08, 22.05) with plain numbers and one word a
// state, data_parser v0.0.39 to 46 (23.02 and later) with {set, infinite, number} and lists of words. Shapes: src/plugins/data_parser/*/parsers.c. A field of
// another shape than known is absent; it never loses the record.

// num is a number that may be absent or endless.
type num struct {
	n        int64
	set      bool
	infinite bool
}

func (v *num) UnmarshalJSON(b []byte) error {
	*v = num{}
	b = bytes.TrimSpace(b)
	if len(b) == 0 {
		return nil
	}
	if b[0] != '{' {
		v.n, v.set = parseNum(string(bytes.Trim(b, `"`)))
		return nil
	}
	// A job has dozens of these: they are worth reading without another decoder.
	v.infinite = bytes.HasPrefix(valueOf(b, `"infinite"`), []byte("true"))
	if bytes.HasPrefix(valueOf(b, `"set"`), []byte("true")) {
		digits := valueOf(b, `"number"`)
		if end := bytes.IndexAny(digits, ",} \t\r\n"); end >= 0 {
			digits = digits[:end]
		}
		v.n, v.set = parseNum(string(digits))
	}
	return nil
}

// valueOf is what follows a key, in quotes, in the text of an object; nil without it.
func valueOf(object []byte, key string) []byte {
	_, after, ok := bytes.Cut(object, []byte(key))
	if !ok {
		return nil
	}
	after, ok = bytes.CutPrefix(bytes.TrimLeft(after, " \t\r\n"), []byte(":"))
	if !ok {
		return nil
	}
	return bytes.TrimLeft(after, " \t\r\n")
}

func parseNum(s string) (int64, bool) {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return n, true
	}
	if f, err := strconv.ParseFloat(s, 64); err == nil && f > -1<<53 && f < 1<<53 {
		return int64(f), true
	}
	return 0, false
}

// or is the number, or another where there is none.
func (v num) or(other int64) int64 {
	if v.set {
		return v.n
	}
	return other
}

// words is a list of words, or one word.
type words []string

func (v *words) UnmarshalJSON(b []byte) error {
	*v = nil
	b = bytes.TrimSpace(b)
	switch {
	case len(b) == 0:
	case b[0] == '"':
		var s string
		if json.Unmarshal(b, &s) == nil {
			*v = words{s}
		}
	case b[0] == '[':
		var list []any
		if json.Unmarshal(b, &list) != nil {
			return nil
		}
		for _, e := range list {
			if s, ok := e.(string); ok {
				*v = append(*v, s)
			}
		}
	}
	return nil
}

// text is a string; a number is its digits, all else is "".
type text string

func (v *text) UnmarshalJSON(b []byte) error {
	*v = ""
	b = bytes.TrimSpace(b)
	switch {
	case len(b) == 0:
	case b[0] == '"':
		var s string
		if json.Unmarshal(b, &s) == nil {
			*v = text(s)
		}
	case b[0] == '-' || b[0] >= '0' && b[0] <= '9':
		*v = text(b)
	}
	return nil
}

// exitCode is a wait status (22.05), or {status, return_code, signal} (23.11 and later).
type exitCode struct{ code, signal int64 }

func (v *exitCode) UnmarshalJSON(b []byte) error {
	*v = exitCode{}
	var o struct {
		ReturnCode num `json:"return_code"`
		Signal     struct {
			ID num `json:"id"`
		} `json:"signal"`
	}
	if b = bytes.TrimSpace(b); len(b) > 0 && b[0] == '{' && bytes.Contains(b, []byte(`"return_code"`)) {
		// A signal of another shape is none; the code beside it still counts.
		_ = json.Unmarshal(b, &o)
		*v = exitCode{o.ReturnCode.or(0), o.Signal.ID.or(0)}
		return nil
	}
	var status num
	_ = status.UnmarshalJSON(b)
	*v = waitStatus(status.or(0))
	return nil
}

// waitStatus is what wait(2) gave for the batch script.
func waitStatus(n int64) exitCode { return exitCode{n >> 8 & 0xff, n & 0x7f} }

func (v exitCode) String() string {
	return strconv.FormatInt(v.code, 10) + ":" + strconv.FormatInt(v.signal, 10)
}

// stepID is where the SLUID stands, from 25.11 on.
type stepID struct {
	SLUID text `json:"sluid"`
}

func (v *stepID) UnmarshalJSON(b []byte) error {
	type plain stepID
	*v = stepID{}
	_ = json.Unmarshal(b, (*plain)(v)) // another shape: no SLUID
	return nil
}

// hosts are the nodes of an allocation in the order that gres_detail has: "allocated_nodes":[{"nodename":"gpu001", …}] up to 24.05's v0.0.40, then
// "nodes":{"allocation":[{"name":"gpu001", …}]}. Beside each name stand all the node's cores, so that this is most of an answer: only the names are looked for.
type hosts []string

func (v *hosts) UnmarshalJSON(b []byte) error {
	*v = nil
	key := `"name"`
	if bytes.Contains(b, []byte(`"nodename"`)) {
		key = `"nodename"`
	}
	for value := valueOf(b, key); value != nil; value = valueOf(value, key) {
		name, _, ok := bytes.Cut(bytes.TrimPrefix(value, []byte(`"`)), []byte(`"`))
		if !ok || value[0] != '"' || bytes.IndexByte(name, '\\') >= 0 || len(*v) >= maxHosts {
			*v = nil
			return nil
		}
		*v = append(*v, string(name))
	}
	return nil
}

const maxHosts = 1 << 16

// jobJSON is one record of squeue --json.
type jobJSON struct {
	JobID          num      `json:"job_id"`
	ArrayJobID     num      `json:"array_job_id"`
	ArrayTaskID    num      `json:"array_task_id"`
	ArrayTasks     text     `json:"array_task_string"`
	HetJobID       num      `json:"het_job_id"`
	HetOffset      num      `json:"het_job_offset"`
	StepID         stepID   `json:"step_id"`
	Name           text     `json:"name"`
	UserName       text     `json:"user_name"`
	UserID         num      `json:"user_id"`
	Account        text     `json:"account"`
	Partition      text     `json:"partition"`
	QOS            text     `json:"qos"`
	Cluster        text     `json:"cluster"`
	State          words    `json:"job_state"`
	Reason         text     `json:"state_reason"`
	Description    text     `json:"state_description"`
	Nodes          text     `json:"nodes"`
	NodeCount      num      `json:"node_count"`
	Tasks          num      `json:"tasks"`
	BatchHost      text     `json:"batch_host"`
	Batch          bool     `json:"batch_flag"`
	Restarts       num      `json:"restart_cnt"`
	Submit         num      `json:"submit_time"`
	Start          num      `json:"start_time"`
	End            num      `json:"end_time"`
	Limit          num      `json:"time_limit"` // minutes
	GRESDetail     words    `json:"gres_detail"`
	TRESAlloc      text     `json:"tres_alloc_str"`
	TRESRequested  text     `json:"tres_req_str"`
	TRESPerJob     text     `json:"tres_per_job"`
	TRESPerNode    text     `json:"tres_per_node"`
	TRESPerTask    text     `json:"tres_per_task"`
	Exit           exitCode `json:"exit_code"`
	Command        text     `json:"command"`
	WorkDir        text     `json:"current_working_directory"`
	Stdout         text     `json:"standard_output"`
	StdoutExpanded text     `json:"stdout_expanded"`
	Dependency     text     `json:"dependency"`
	Resources      hosts    `json:"job_resources"`
}

// nodeJSON is one record of scontrol show nodes --json, and of sinfo --json of 22.05.
type nodeJSON struct {
	Name       text  `json:"name"`
	Hostname   text  `json:"hostname"`
	Address    text  `json:"address"`
	Partitions words `json:"partitions"`
	State      words `json:"state"`
	StateFlags words `json:"state_flags"`
	Reason     text  `json:"reason"`
	ReasonBy   text  `json:"reason_set_by_user"`
	ReasonAt   num   `json:"reason_changed_at"`
	GRES       text  `json:"gres"`
	GRESUsed   text  `json:"gres_used"`
	TRESUsed   text  `json:"tres_used"`
	Boot       num   `json:"boot_time"`
	Topology   text  `json:"topology"`
	Reserved   text  `json:"reservation"`
}

// answer is what stands around the records.
type answer struct {
	version string
	cluster string
	errors  []string
	found   bool // the list was there
	bad     int  // records that are none
}

// errNoJSON is an answer that is no JSON of Slurm's: this installation may have been built without it.
var errNoJSON = errors.New("no JSON")

// decode reads an answer and gives each record of its list to use, until use wants no more.
func decode[T any](data []byte, list string, use func(*T) bool) (answer, error) {
	var a answer
	d := json.NewDecoder(bytes.NewReader(data))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return a, fmt.Errorf("read %s: %w", list, errNoJSON)
	}
	more := true
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return a, fmt.Errorf("read %s: %w", list, err)
		}
		switch key {
		case list:
			t, err := d.Token()
			if err != nil {
				return a, fmt.Errorf("read %s: %w", list, err)
			}
			if t != json.Delim('[') {
				return a, fmt.Errorf("read %s: they are no list", list)
			}
			a.found = true
			for d.More() {
				var record T
				if err := decodeValue(d, &record); errors.Is(err, errShape) {
					a.bad++
				} else if err != nil {
					return a, fmt.Errorf("read %s: %w", list, err)
				}
				more = more && use(&record)
			}
			if _, err := d.Token(); err != nil {
				return a, fmt.Errorf("read %s: %w", list, err)
			}
		case "meta":
			var meta struct {
				Slurm struct { // "Slurm" up to 23.02: keys match in any case
					Release text `json:"release"`
					Cluster text `json:"cluster"`
				} `json:"slurm"`
			}
			if err := decodeValue(d, &meta); err != nil && !errors.Is(err, errShape) {
				return a, fmt.Errorf("read meta of %s: %w", list, err)
			}
			a.version, a.cluster = clean(string(meta.Slurm.Release)), clean(string(meta.Slurm.Cluster))
		case "errors":
			var all []struct {
				Error       text `json:"error"`
				Description text `json:"description"`
				Source      text `json:"source"`
			}
			if err := decodeValue(d, &all); err != nil && !errors.Is(err, errShape) {
				return a, fmt.Errorf("read errors of %s: %w", list, err)
			}
			for _, e := range all[:min(len(all), 8)] {
				a.errors = append(a.errors, clean(strings.Join([]string{string(e.Source), string(e.Error), string(e.Description)}, ": ")))
			}
		default:
			var skipped json.RawMessage
			if err := d.Decode(&skipped); err != nil {
				return a, fmt.Errorf("read %s: %w", list, err)
			}
		}
	}
	if _, err := d.Token(); err != nil {
		return a, fmt.Errorf("read %s: %w", list, err)
	}
	if !a.found && len(a.errors) == 0 {
		return a, fmt.Errorf("read %s: %w", list, errNoJSON)
	}
	return a, nil
}

// errShape is a value of another shape than wanted; the rest of the answer can be read.
var errShape = errors.New("another shape")

func decodeValue(d *json.Decoder, v any) error {
	err := d.Decode(v)
	var shape *json.UnmarshalTypeError
	if errors.As(err, &shape) {
		return errShape
	}
	return err
}
