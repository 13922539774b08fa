package ui

import (
	"fmt"
	"strings"
	"time"
)

// missing says that something is not there: any more, or at the moment on screen. was is what it then was not: "watched".
func (m *Model) missing(what, was string) string {
	if m.away() {
		return what + " was not " + was + " at " + m.momentWords(m.moment())
	}
	return what + " is not " + was + " any more"
}

// goneWords says that the selected row is not there at this moment; "" it is.
func (m *Model) goneWords() string {
	l := m.rows()
	if l == nil || l.gone == "" {
		return ""
	}
	switch m.place() {
	case placeJobs:
		return m.missing("job "+jobID(l.gone), "seen")
	case placeUsers:
		return m.missing(userName(l.gone), "seen")
	case placeRanks:
		return m.missing("the selected rank", "seen")
	}
	return m.missing(l.gone, "watched")
}

// goneInfo is the line about what is selected where it is not there.
func (m *Model) goneInfo(words string) [][]span {
	return [][]span{{{string(markUnknown) + " " + words, fg(colStale)}, {"  it stays selected until another is", fg(colDim)}}}
}

// lost is the GPU that the cursor was put on, where the grid does not have it at this moment.
func (v *gridView) lost() (words string, ok bool) {
	if !v.moved || v.plan != nil || v.index < 0 {
		return "", false
	}
	if at, ok := v.find(v.node, v.index); ok {
		if ref := v.at(at); ref != nil && ref.Node == v.node && ref.Index == v.index {
			return "", false
		}
	}
	return fmt.Sprintf("%s GPU %d", v.node, v.index), true
}

// spanWords are how charts call their time: "last 15 min", or until when.
func (m *Model) spanWords() string {
	if m.away() {
		return "15 min until " + m.momentWords(m.moment())
	}
	return "last 15 min"
}

// nowWord stands before a curve's last value.
func (m *Model) nowWord() string {
	if m.away() {
		return "then"
	}
	return "now"
}

// waitingWords are said while there is no picture yet.
func (m *Model) waitingWords() string {
	switch {
	case !m.opt.Replay || m.opt.Past == nil:
		return "foretop: waiting for the first picture of the fleet"
	case m.notice != "":
		return "foretop: " + m.notice
	}
	return "foretop: reading the recording " + m.opt.Name
}

// pauseHint is what Z does while the screen is paused.
func (m *Model) pauseHint() string {
	switch {
	case m.opt.Replay && m.travel.play.on:
		return "stop"
	case m.opt.Replay && m.opt.Past != nil:
		return "play"
	case m.away():
		return "back to now"
	}
	return "go on"
}

// stillWords say why nothing acts while the screen shows what was; "" it shows what is.
func (m *Model) stillWords(what string) string {
	switch {
	case m.opt.Replay:
		return "this is a recording: nothing can be done to what it shows"
	case m.away():
		return "the screen shows " + m.momentWords(m.moment()) + ": Z goes back to now, then " + what
	case m.paused:
		return "the screen is paused: Z goes on, then " + what
	}
	return ""
}

// parseMoment reads what follows ":at": now, end, start, -5m (before the end), a time of day, or a date and a time of day. Of a time of day that has come several times
// in what is kept it is the last.
func parseMoment(text string, k *kept, zone *time.Location) (time.Time, error) {
	if !k.ok {
		return time.Time{}, fmt.Errorf("nothing is kept yet")
	}
	switch text {
	case "now", "end":
		return k.to, nil
	case "start":
		return k.from, nil
	}
	if d, err := time.ParseDuration(text); err == nil {
		if d > 0 {
			return time.Time{}, fmt.Errorf("what will be is not known: -%s is so long ago", text)
		}
		return k.to.Add(d), nil
	}
	for _, layout := range []string{"2006-01-02 15:04:05", "2006-01-02 15:04"} {
		if at, err := time.ParseInLocation(layout, text, zone); err == nil {
			return at, nil
		}
	}
	for _, layout := range []string{"15:04:05", "15:04"} {
		at, err := time.ParseInLocation(layout, text, zone)
		if err != nil {
			continue
		}
		last := k.to.In(zone)
		for day := range 2 {
			that := time.Date(last.Year(), last.Month(), last.Day()-day, at.Hour(), at.Minute(), at.Second(), 0, zone)
			if !that.After(last) {
				return that, nil
			}
		}
	}
	return time.Time{}, fmt.Errorf("%q is no moment: 12:03:41, 2026-11-24 12:03, -5m, start or end", text)
}

func (m *Model) checkMoment(text string) error {
	switch {
	case m.opt.Past == nil:
		return fmt.Errorf("no past is kept here")
	case text == "":
		return fmt.Errorf("which moment?")
	}
	k := m.travel.kept
	if !m.travels() || !m.travel.told { // it is not known yet what is kept: only the words are looked at
		k = kept{to: m.today(), ok: true}
	}
	_, err := parseMoment(text, &k, m.opt.Location)
	return err
}

// goToTyped goes to the moment that was typed.
func (m *Model) goToTyped(text string) {
	if !m.paused && !m.opt.Replay {
		if text == "now" || m.latest == nil {
			return
		}
		m.freeze()
	}
	if !m.travel.told {
		m.travel.line = text
		return
	}
	at, err := parseMoment(text, &m.travel.kept, m.opt.Location)
	if err != nil {
		m.notice = err.Error()
		return
	}
	if text == "now" && !m.opt.Replay {
		m.backToNow()
		return
	}
	m.goTo(at, true)
}

// keptLines are what the help says of the past.
func (m *Model) keptLines() []helpLine {
	if m.opt.Past == nil {
		return nil
	}
	lines := []helpLine{{}, {head: "Time"}}
	if k := &m.travel.kept; m.travel.told && k.ok {
		lines = append(lines, helpLine{key: "kept", say: strings.TrimSpace(k.words + ", from " + m.momentWords(k.from) + " to " + m.momentWords(k.to) + ", " + count(len(k.marks), "finding"))})
	}
	return append(lines,
		helpLine{key: ":at", say: "12:03:41, 2026-11-24 12:03, -5m, start or end: to that moment"},
		helpLine{key: string(markMoment), say: "on the time bar: the moment shown; the other shapes there are findings that began then. A click goes there"})
}
