package hooks

import (
	"cmp"
	"time"

	"foretop/fleet"
	"foretop/telemetry"
)

// eventVersion is the version of Event, its field version: fields are added, never renamed or given another meaning without a new one.
const eventVersion = 1

// Kinds of events.
const (
	Began   = "began"   // it was not told before
	Worse   = "worse"   // it was, and is more severe now
	Over    = "over"    // it was told, and is gone
	Summary = "summary" // of what is more than a hook may be told one by one
)

// Event is what a hook is told: the fields of templates, and of the JSON. EVENTS.md lists them; a test holds both together.
type Event struct {
	Version  int            `json:"version"`
	Kind     string         `json:"kind"`
	ID       string         `json:"id"`
	Time     time.Time      `json:"time"`
	Severity string         `json:"severity"`
	Title    string         `json:"title"`
	Subject  string         `json:"subject"`
	Text     string         `json:"text"`
	Rule     string         `json:"rule"`
	Since    time.Time      `json:"since,omitzero"`
	Evidence []string       `json:"evidence"`
	Remedy   string         `json:"remedy"`
	Cause    string         `json:"likely_cause"`
	Node     string         `json:"node"`
	GPU      int            `json:"gpu"`
	GPUUUID  string         `json:"gpu_uuid"`
	Port     string         `json:"rdma_port"`
	Job      string         `json:"job"`
	JobID    string         `json:"job_id"`
	JobName  string         `json:"job_name"`
	User     string         `json:"user"`
	Nodes    []string       `json:"nodes"`
	Jobs     []string       `json:"jobs"`
	Incident bool           `json:"incident"`
	Findings []EventFinding `json:"findings"`
	Fleet    string         `json:"fleet"`
	Host     string         `json:"host"`
	Count    int            `json:"count"`
	Critical int            `json:"critical"`
	Warning  int            `json:"warning"`
	Notice   int            `json:"notice"`
	First    []string       `json:"first"`

	severity fleet.Severity
	ids      []string // that are known to be told once it was delivered
}

// EventFinding is one finding of an incident, its root first.
type EventFinding struct {
	Subject  string    `json:"subject"`
	Rule     string    `json:"rule"`
	Severity string    `json:"severity"`
	Text     string    `json:"text"`
	Since    time.Time `json:"since,omitzero"`
}

// Bounds of an event: what goes out is small whatever a node says.
const (
	maxText     = 1 << 10 // bytes of one text
	maxEvidence = 8
	maxNodes    = 50
	maxMembers  = 20
)

// candidate is something that stands in a snapshot. Its event is made only where it is told.
type candidate struct {
	id       string
	severity fleet.Severity
	rules    []string // by which it is chosen: all of an incident's
	silent   bool     // somebody asked for silence about it, or knows of it: it stands, and is not told
	event    func() Event
}

// candidatesOf are all things that stand in a snapshot, worst first.
func candidatesOf(s *fleet.Snapshot, opt Options, now time.Time) []candidate {
	var out []candidate
	if opt.Incidents {
		for i := range s.Incidents {
			if in := &s.Incidents[i]; in.Until.IsZero() && len(in.Members) > 0 && in.Severity > fleet.Fine {
				c := candidate{id: plain(in.ID), severity: in.Severity, event: func() Event { return incidentEvent(in, s, opt, now) }}
				for k := range in.Members {
					c.rules = append(c.rules, in.Members[k].Rule)
				}
				out = append(out, c)
			}
		}
		return out
	}
	list := s.Stated(fleet.Notice)
	for i := range list {
		f := &list[i]
		out = append(out, candidate{plain(f.ID), f.Severity, []string{f.Rule}, f.KnownBad || f.Mark.Hides(now), func() Event { return findingEvent(f, opt, now) }})
	}
	return out
}

func findingEvent(f *fleet.Stated, opt Options, now time.Time) Event {
	e := Event{
		Version: eventVersion, ID: plain(f.ID), Time: now, Severity: f.Severity.String(), Title: plain(f.Line()), Subject: plain(f.Subject()), Text: plain(f.Text), Rule: plain(f.Rule), Since: f.Since,
		Evidence: plains(f.Evidence, maxEvidence), Remedy: plain(f.Remedy), Node: plain(f.Node), GPU: f.GPU, GPUUUID: plain(f.GPUUUID), Port: plain(f.Port),
		Job: plain(f.Job), JobID: plain(f.JobID), JobName: plain(f.JobName), User: plain(f.User), Nodes: []string{}, Jobs: []string{}, Findings: []EventFinding{}, First: []string{},
		Fleet: plain(opt.Fleet), Host: plain(opt.Host), severity: f.Severity,
	}
	if f.Cause != fleet.CauseUnknown {
		e.Cause = f.Cause.String()
	}
	if e.Node != "" {
		e.Nodes = []string{e.Node}
	}
	if e.Job != "" {
		e.Jobs = []string{e.Job}
	}
	e.ids = []string{e.ID}
	return e
}

func incidentEvent(in *fleet.Incident, s *fleet.Snapshot, opt Options, now time.Time) Event {
	root := in.Root()
	e := Event{
		Version: eventVersion, ID: plain(in.ID), Time: now, Severity: in.Severity.String(), Title: plain(in.Title), Subject: plain(root.Where()), Text: plain(root.Text), Rule: plain(root.Rule), Since: in.Since,
		Evidence: plains(root.Evidence, maxEvidence), Remedy: plain(root.Remedy), Node: plain(root.Subject.Node), GPU: root.Subject.GPU, Job: plain(root.Subject.Job), JobID: plain(root.Subject.ID),
		Port: plain(root.Subject.Part), Nodes: plains(in.Nodes, maxNodes), Jobs: plains(in.Jobs, maxNodes), Incident: true, Findings: []EventFinding{}, First: []string{},
		Fleet: plain(opt.Fleet), Host: plain(opt.Host), severity: in.Severity,
	}
	if root.Subject.GPU >= 0 {
		e.GPUUUID = plain(root.Subject.UUID)
	}
	if root.Cause != fleet.CauseUnknown {
		e.Cause = root.Cause.String()
	}
	if e.Job == "" && len(in.Jobs) > 0 {
		e.Job = plain(in.Jobs[0])
	}
	for i := range in.Members {
		f := &in.Members[i]
		if i < maxMembers {
			e.Findings = append(e.Findings, EventFinding{plain(f.Where()), plain(f.Rule), f.Severity.String(), plain(f.Text), f.Since})
		}
	}
	for _, j := range s.Jobs {
		if plain(j.Key) == e.Job && e.Job != "" {
			e.JobID, e.JobName, e.User = plain(cmp.Or(j.ID, e.JobID)), plain(j.Name), plain(j.User)
			break
		}
	}
	e.ids = []string{e.ID}
	return e
}

// plain is text from nodes as it may go out: bounded, in one line, without control characters.
func plain(s string) string { return telemetry.Clean(s, maxText) }

func plains(list []string, most int) []string {
	out := make([]string, 0, min(len(list), most))
	for _, s := range list[:min(len(list), most)] {
		out = append(out, plain(s))
	}
	return out
}
