package export

import (
	"time"

	"foretop/fleet"
)

type incidentDoc struct {
	ID       string       `json:"id"`
	Title    string       `json:"title"`
	Severity string       `json:"severity"`
	Since    stamp        `json:"since"`
	Until    stamp        `json:"until"`
	Asks     bool         `json:"asks_for_somebody"`
	New      bool         `json:"new"`
	Fold     word         `json:"folded_by"`
	Of       index        `json:"folded_of"`
	Nodes    []string     `json:"nodes"`
	Jobs     []string     `json:"jobs"`
	KnownBad bool         `json:"out_of_service"`
	Mark     word         `json:"mark"`
	By       word         `json:"marked_by"`
	MarkAt   stamp        `json:"marked_at"`
	Snooze   stamp        `json:"snoozed_until"`
	Findings []foundInDoc `json:"findings"`
	More     int          `json:"findings_more"`
}

// foundInDoc is a finding as a member of an incident.
type foundInDoc struct {
	Rule     string   `json:"rule"`
	Subject  string   `json:"subject"`
	Key      string   `json:"key"`
	Node     word     `json:"node"`
	GPU      index    `json:"gpu"`
	UUID     word     `json:"uuid"`
	Job      word     `json:"job"`
	Severity string   `json:"severity"`
	Text     string   `json:"text"`
	Cause    string   `json:"cause"`
	Since    stamp    `json:"since"`
	Until    stamp    `json:"until"`
	Evidence []string `json:"evidence"`
	Remedy   word     `json:"remedy"`
	Past     []stamp  `json:"seen_before"`
}

func incidentOf(i *fleet.Incident, at time.Time) incidentDoc {
	d := incidentDoc{
		ID: i.ID, Title: i.Title, Severity: i.Severity.String(), Since: stamp(i.Since), Until: stamp(i.Until), Asks: !i.Quiet(at), New: i.New,
		Fold: word(i.Fold), Of: index(i.Of), Nodes: orEmpty(i.Nodes), Jobs: orEmpty(i.Jobs), KnownBad: i.KnownBad,
		Mark: word(i.Mark.Kind.String()), By: word(i.Mark.By), MarkAt: stamp(i.Mark.At), Snooze: stamp(i.Mark.Until),
		Findings: listOf(i.Members, foundInOf), More: i.Cut,
	}
	if i.Fold == "" {
		d.Of = -1
	}
	return d
}

func foundInOf(f *fleet.Finding) foundInDoc {
	return foundInDoc{
		Rule: f.Rule, Subject: f.Where(), Key: f.Key(), Node: word(f.Subject.Node), GPU: index(f.Subject.GPU), UUID: word(f.Subject.UUID), Job: word(f.Subject.Job),
		Severity: f.Severity.String(), Text: f.Text, Cause: f.Cause.String(), Since: stamp(f.Since), Until: stamp(f.Until),
		Evidence: orEmpty(f.Evidence), Remedy: word(f.Remedy), Past: listOf(f.Past, func(t *time.Time) stamp { return stamp(*t) }),
	}
}
