package report

import (
	"bufio"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"time"

	"foretop/fleet"
)

//go:embed page.html
var pageText string

// page is the template. All that it is filled with goes through html/template's escapes: nothing of a node's is ever marked as safe.
var page = template.Must(template.New("page").Parse(pageText))

// html writes the report as one page.
func (s *story) html(w io.Writer) error {
	buffered := bufio.NewWriterSize(w, 64<<10)
	if err := page.Execute(buffered, s.view()); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	if err := buffered.Flush(); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

// view is the story in the words that templates print.
type view struct {
	Title, Span, Zone, Written, By, Of string
	Summary, Unseen                    []string
	Facts                              []fact
	Incidents                          []incidentView
	Findings                           []findingView
	Timeline                           []lineView
	Maps                               []drawing
	MapsNote                           string
	Kernel                             []kernelView
	Acts                               []actView
	ActsNote                           string
	Cut                                cut
}

type findingView struct {
	Class, Sign, Severity   string
	Subject, Text, From, To string
	Rule, ID, Remedy, Cause string
	Evidence                []string
	OutOfService            bool
	Again                   int
}

type lineView struct{ Class, Sign, At, What string }

type kernelView struct {
	Class, Sign, At, Node, Means, Text, Count string
}

type actView struct{ At, Who, What, Target, State, Words string }

func (s *story) view() *view {
	v := &view{
		Title: s.Title, Span: s.day(s.From) + " to " + s.day(s.To), Zone: s.From.In(s.where).Format("MST, UTC-07:00"), Written: s.day(s.Written), By: s.By, Of: s.Of,
		Summary: s.Summary, Unseen: s.Unseen, Facts: s.Facts, MapsNote: s.MapsNote, ActsNote: s.ActsNote, Cut: s.Cut,
	}
	for i := range s.Incident {
		v.Incidents = append(v.Incidents, s.incident(&s.Incident[i]))
	}
	for i := range s.Episodes {
		v.Findings = append(v.Findings, s.finding(&s.Episodes[i]))
	}
	for i := range s.Timeline {
		e := &s.Timeline[i]
		l := lineView{severityClass(e.Severity), sign(e.Severity), s.moment(e.At), e.What}
		switch e.Kind {
		case over:
			l.Class, l.Sign = "over", "✓"
		case acted:
			l.Class, l.Sign = "acted", "→"
		}
		v.Timeline = append(v.Timeline, l)
	}
	for i := range s.Maps {
		v.Maps = append(v.Maps, s.drawn(&s.Maps[i]))
	}
	for i := range s.Kernel {
		l := &s.Kernel[i]
		k := kernelView{severityClass(l.Severity), sign(l.Severity), s.moment(l.At), l.Node, l.Means, l.Text, ""}
		if l.Count > 1 {
			k.Count = fmt.Sprintf("%d times until %s", l.Count, s.moment(l.Last))
		}
		if l.NVML {
			k.Text = "the driver's own word: " + k.Text
		}
		v.Kernel = append(v.Kernel, k)
	}
	for i := range s.Acts {
		a := &s.Acts[i]
		v.Acts = append(v.Acts, actView{s.moment(a.At), a.Who, a.What, a.Target, a.State, a.Words})
	}
	return v
}

func (s *story) finding(e *episode) findingView {
	f := findingView{
		Class: severityClass(e.Severity), Sign: sign(e.Severity), Severity: e.Severity.String(), Subject: e.Subject(), Text: e.Text, From: s.moment(e.Begin), To: "stood at the end",
		Rule: e.Rule, ID: e.ID, Remedy: e.Remedy, Evidence: e.Evidence, OutOfService: e.KnownBad, Again: e.Again,
	}
	if e.JobName != "" && e.JobName != e.JobID {
		f.Subject += " " + e.JobName
	}
	if !e.End.IsZero() {
		f.To = "over by " + s.moment(e.End)
	}
	if e.Cause != fleet.CauseUnknown {
		f.Cause = e.Cause.String()
	}
	return f
}

// clock is a time of the report's day; moment has its day where that is another.
func (s *story) clock(t time.Time) string { return t.In(s.where).Format(time.TimeOnly) }

// tick is a time on an axis.
func (s *story) tick(t time.Time) string {
	if s.To.Sub(s.From) > 24*time.Hour {
		return t.In(s.where).Format("01-02 15:04")
	}
	return s.clock(t)
}

func (s *story) moment(t time.Time) string {
	if a, b := t.In(s.where), s.From.In(s.where); a.Year() != b.Year() || a.YearDay() != b.YearDay() || s.To.Sub(s.From) > 24*time.Hour {
		return a.Format(time.DateTime)
	}
	return s.clock(t)
}

func (s *story) day(t time.Time) string { return t.In(s.where).Format(time.DateTime) }

// sign tells a severity by shape, where colours are not seen.
func sign(s fleet.Severity) string {
	return [...]string{"●", "○", "▲", "✖"}[min(s, fleet.Critical)]
}

func severityClass(s fleet.Severity) string { return s.String() }
