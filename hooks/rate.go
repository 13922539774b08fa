package hooks

import (
	"fmt"
	"time"

	"foretop/fleet"
)

// bucket lets through so many at once, and so many an hour. It is used by one goroutine.
type bucket struct {
	burst, left float64
	perSecond   float64
	at          time.Time
}

func newBucket(burst, perHour int) bucket {
	return bucket{burst: float64(burst), left: float64(burst), perSecond: float64(perHour) / 3600}
}

// room is how many may go now.
func (b *bucket) room(now time.Time) int {
	if b.at.IsZero() || now.Before(b.at) {
		b.at = now
	}
	b.left = min(b.burst, b.left+now.Sub(b.at).Seconds()*b.perSecond)
	b.at = now
	return int(b.left)
}

// take lets one go.
func (b *bucket) take(now time.Time) {
	b.room(now)
	b.left--
}

// Bounds of a summary.
const (
	maxFirst = 20
	maxIDs   = 2000
)

// summary counts what is not told one by one.
type summary struct {
	Count    int
	byWord   map[string]int
	first    []string
	ids      []string
	severity fleet.Severity
	of       Event // the first
}

// add counts an event, or what a summary counted that was not delivered.
func (s *summary) add(e *Event) {
	if s.byWord == nil {
		s.byWord = map[string]int{}
		s.of = *e
	}
	s.severity = max(s.severity, e.severity)
	s.ids = append(s.ids, e.ids[:min(len(e.ids), maxIDs-min(maxIDs, len(s.ids)))]...)
	if e.Kind == Summary {
		s.Count += e.Count
		s.byWord["critical"] += e.Critical
		s.byWord["warning"] += e.Warning
		s.byWord["notice"] += e.Notice
		s.first = append(s.first, e.First[:min(len(e.First), maxFirst-min(maxFirst, len(s.first)))]...)
		return
	}
	s.Count++
	s.byWord[e.Severity]++
	if len(s.first) < maxFirst {
		title := e.Title
		if e.Kind == Over {
			title = "over: " + title
		}
		s.first = append(s.first, title)
	}
}

// event is the summary as it is told; of one event it is that.
func (s *summary) event(now time.Time) Event {
	if s.Count == 1 && s.of.Kind != Summary {
		return s.of
	}
	e := Event{
		Version: eventVersion, Kind: Summary, Time: now, Severity: s.severity.String(), Fleet: s.of.Fleet, Host: s.of.Host, GPU: -1, Evidence: []string{}, Nodes: []string{}, Jobs: []string{}, Findings: []EventFinding{},
		Count: s.Count, Critical: s.byWord["critical"], Warning: s.byWord["warning"], Notice: s.byWord["notice"], First: s.first, severity: s.severity, ids: s.ids,
	}
	e.Title = fmt.Sprintf("%d more: %d critical, %d warning, %d notice", e.Count, e.Critical, e.Warning, e.Notice)
	if len(s.first) > 0 {
		e.Title += "; first: " + s.first[0]
	}
	e.Text = e.Title
	return e
}
