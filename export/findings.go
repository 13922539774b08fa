package export

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"foretop/fleet"
)

// FindingsOptions say which findings are written, and what is known of how they were looked for.
type FindingsOptions struct {
	Least   fleet.Severity // leave out what is less; Fine and Notice: nothing
	Watched time.Duration  // for how long the fleet was looked at: rules that need longer were not checked
}

// longRules is how long the rules about time need at most to say their first word: that ranks wait, that one is slower than its peers.
const longRules = time.Minute

type findingsDoc struct {
	SchemaVersion int           `json:"schema_version"`
	Time          stamp         `json:"time"`
	Watched       number        `json:"watched_seconds"`
	Nodes         int           `json:"nodes"`
	Live          int           `json:"nodes_live"`
	NotChecked    []string      `json:"not_checked"`
	Counts        countsDoc     `json:"counts"`
	Incidents     []incidentDoc `json:"incidents"`
	Findings      []statedDoc   `json:"findings"`
}

type countsDoc struct {
	Critical     int `json:"critical"`
	Warning      int `json:"warning"`
	Notice       int `json:"notice"`
	OutOfService int `json:"out_of_service"`
}

type statedDoc struct {
	ID           string   `json:"id"`
	Rule         word     `json:"rule"`
	Severity     string   `json:"severity"`
	Alarms       bool     `json:"alarms"`
	Subject      string   `json:"subject"`
	Text         string   `json:"text"`
	Since        stamp    `json:"since"`
	Evidence     []string `json:"evidence"`
	Remedy       word     `json:"remedy"`
	Cause        word     `json:"likely_cause"`
	Node         word     `json:"node"`
	GPU          index    `json:"gpu"`
	GPUUUID      word     `json:"gpu_uuid"`
	Port         word     `json:"rdma_port"`
	Job          word     `json:"job"`
	JobID        word     `json:"job_id"`
	JobName      word     `json:"job_name"`
	User         word     `json:"user"`
	OutOfService bool     `json:"out_of_service"`
	Incident     word     `json:"incident"`
	Mark         word     `json:"mark"`
	MarkedBy     word     `json:"marked_by"`
}

// FindingsJSON writes what is wrong, and only that, as one indented document; FINDINGS.md lists its fields.
func FindingsJSON(w io.Writer, s *fleet.Snapshot, opt FindingsOptions) error {
	buffered := bufio.NewWriterSize(w, 16<<10)
	e := json.NewEncoder(buffered)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(statedDocument(s, opt)); err != nil {
		return fmt.Errorf("encode findings: %w", err)
	}
	if err := buffered.Flush(); err != nil {
		return fmt.Errorf("write findings: %w", err)
	}
	return nil
}

func statedDocument(s *fleet.Snapshot, opt FindingsOptions) *findingsDoc {
	list := s.Stated(opt.Least)
	d := &findingsDoc{
		SchemaVersion: SchemaVersion, Time: stamp(s.At), Watched: number(opt.Watched.Seconds()), Nodes: s.Totals.Nodes, Live: s.Totals.ByState[fleet.Live],
		NotChecked: orEmpty(notChecked(s, opt.Watched)), Incidents: []incidentDoc{}, Findings: listOf(list, statedOf),
	}
	for i := range s.Incidents {
		if in := &s.Incidents[i]; in.Severity >= opt.Least {
			d.Incidents = append(d.Incidents, incidentOf(in, s.At))
		}
	}
	for i := range list {
		d.Counts.add(&list[i])
	}
	return d
}

func (c *countsDoc) add(f *fleet.Stated) {
	switch {
	case f.KnownBad:
		c.OutOfService++
	case f.Severity == fleet.Critical:
		c.Critical++
	case f.Severity == fleet.Warning:
		c.Warning++
	default:
		c.Notice++
	}
}

func statedOf(f *fleet.Stated) statedDoc {
	d := statedDoc{
		ID: f.ID, Rule: word(f.Rule), Severity: f.Severity.String(), Alarms: f.Alarms(), Subject: f.Subject(), Text: f.Text, Since: stamp(f.Since), Evidence: orEmpty(f.Evidence), Remedy: word(f.Remedy),
		Node: word(f.Node), GPU: index(f.GPU), GPUUUID: word(f.GPUUUID), Port: word(f.Port), Job: word(f.Job), JobID: word(f.JobID), JobName: word(f.JobName), User: word(f.User), OutOfService: f.KnownBad,
		Incident: word(f.Incident), Mark: word(f.Mark.Kind.String()), MarkedBy: word(f.Mark.By),
	}
	if f.Cause != fleet.CauseUnknown {
		d.Cause = word(f.Cause.String())
	}
	return d
}

// incidentLine is an incident in one line.
func incidentLine(i *incidentDoc) string {
	text := "incident  " + i.Severity + "  " + i.Title
	if at := time.Time(i.Since); !at.IsZero() {
		text += "  since " + at.Local().Format("2006-01-02 15:04:05")
	}
	switch {
	case !time.Time(i.Until).IsZero():
		text += "  over"
	case i.KnownBad:
		text += "  out of service"
	case i.Mark != "":
		text += "  " + string(i.Mark)
	}
	return text + "  [" + i.ID + "]"
}

// notChecked says what "no finding" does not speak of.
func notChecked(s *fleet.Snapshot, watched time.Duration) []string {
	var out []string
	live := s.Totals.ByState[fleet.Live]
	if n := s.Totals.Nodes - live; n > 0 {
		out = append(out, plural(n, "node")+" not live")
	}
	if n := live - s.Totals.KernelLogRead; n > 0 {
		out = append(out, "kernel log of "+plural(n, "live node"))
	}
	if n := live - s.Totals.XidRead; n > 0 {
		out = append(out, "Xids of "+plural(n, "live node"))
	}
	if watched < longRules {
		out = append(out, fmt.Sprintf("what takes longer to see than the %s that were watched: hangs, stragglers, flapping", duration(watched)))
	}
	return out
}

// FindingsText writes the same for people and for grep: a line a finding, its evidence and remedy below it, then what was not checked.
func FindingsText(w io.Writer, s *fleet.Snapshot, opt FindingsOptions, width int) error {
	t := &text{w: bufio.NewWriter(w), width: width}
	d := statedDocument(s, opt)
	for i := range d.Incidents {
		t.line(incidentLine(&d.Incidents[i]))
	}
	for i := range d.Findings {
		f := &d.Findings[i]
		since := ""
		if at := time.Time(f.Since); !at.IsZero() {
			since = "  since " + at.Local().Format("2006-01-02 15:04:05")
		}
		severity := f.Severity
		if f.OutOfService {
			severity += ", out of service"
		}
		if f.Mark != "" {
			severity += ", " + string(f.Mark)
			if f.MarkedBy != "" {
				severity += " by " + string(f.MarkedBy)
			}
		}
		subject := f.Subject
		if f.JobName != "" && string(f.JobName) != string(f.JobID) {
			subject += " " + string(f.JobName)
		}
		t.line(severity + "  " + subject + "  " + f.Text + since + "  [" + f.ID + "]")
		for _, e := range f.Evidence {
			t.line("    " + e)
		}
		if f.Remedy != "" {
			t.line("    do: " + string(f.Remedy))
		}
	}
	c := &d.Counts
	summary := fmt.Sprintf("%d critical, %s, %s on %s", c.Critical, plural(c.Warning, "warning"), plural(c.Notice, "notice"), plural(d.Live, "live node"))
	if c.OutOfService > 0 {
		summary += fmt.Sprintf(", %d on nodes out of service", c.OutOfService)
	}
	t.line(summary)
	if len(d.NotChecked) > 0 {
		t.line("not checked: " + strings.Join(d.NotChecked, "; "))
	}
	if err := t.w.Flush(); err != nil {
		return fmt.Errorf("write findings: %w", err)
	}
	return nil
}
