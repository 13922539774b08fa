package ui

import (
	"slices"
	"strconv"
	"strings"

	"foretop/config"
	"foretop/fleet"

	tea "charm.land/bubbletea/v2"
)

// drawAsk draws what is asked.
func (m *Model) drawAsk(a area) {
	switch {
	case !m.asking.keys:
		m.drawTyped(a)
	case m.asking.chosen != nil:
		m.drawAccept(a)
	default:
		m.drawHostKeys(a)
	}
}

// lines draws wrapped text from line y on, and gives the line after it.
func (a area) lines(y int, words string, st style) int {
	for _, l := range wrap(words, max(10, a.w-2), a.c.ascii) {
		a.cut(1, y, a.w-2, l, st)
		y++
	}
	return y
}

// nodeSet writes names as a node set.
func nodeSet(names []string) string { return strings.Join(config.Fold(slices.Clone(names)), ",") }

// drawTyped draws the question that is typed: what it is about first, then the server's own words as such, then the lines to fill in.
func (m *Model) drawTyped(a area) {
	s := &m.asking
	q := m.typedQuestion()
	if q == nil {
		words := "nothing more is asked · Esc leaves"
		if list := m.keyQuestions(); len(list) > 0 {
			words = "nothing more is asked but host keys: Esc, then Q"
		}
		a.lines(0, words, fg(colStrong))
		return
	}
	y := a.lines(0, askTitle(q), fg(colStrong).with(bold))
	y = a.lines(y, askFor(q), fg(colDim))
	if q.Words != "" {
		words := q.Words
		if q.Tries > 1 {
			words += ", " + strconv.Itoa(q.Tries) + " wrong so far"
		}
		y = a.lines(y, string(markWarning)+" "+words, fg(colWarn))
	}
	y++
	if said := strings.TrimSpace(q.Title + "  " + q.Text); said != "" {
		y = a.lines(y, q.Host+" says: "+said, style{})
	}
	switch {
	case s.sent || q.Busy:
		a.cut(1, y, a.w-2, "in talks with "+q.Host, fg(colDim))
		y++
	case len(q.Prompts) == 0:
		a.cut(1, y, a.w-2, "Enter asks "+q.Host+" what it wants to know", fg(colStrong))
		y++
	}
	for i := range min(len(s.fields), len(q.Prompts)) {
		y = m.drawAnswer(a, y, i, q)
	}
	keys := "Enter sends it · Esc: no answer, the nodes stay needs-auth · Ctrl-o: later"
	if more := len(m.typedQuestions()) - 1; more > 0 {
		keys += " · " + strconv.Itoa(more) + " more after it"
	}
	if len(m.keyQuestions()) > 0 && len(s.fields) < 2 {
		keys += " · Tab: host keys"
	}
	a.lines(y+1, keys, fg(colDim))
}

// drawAnswer draws one line to fill in. What is secret is never shown, its length neither.
func (m *Model) drawAnswer(a area, y, i int, q *fleet.Question) int {
	s := &m.asking
	p := q.Prompts[i]
	label := strings.TrimSpace(p.Text)
	switch {
	case q.Kind == fleet.AskPassphrase:
		label = "passphrase:"
	case q.Kind == fleet.AskPassword:
		label = "password:"
	case label == "":
		label = "answer:"
	}
	lines := wrap(label, max(10, a.w-14), a.c.ascii)
	for _, l := range lines[:len(lines)-1] {
		a.cut(1, y, a.w-2, l, fg(colStrong))
		y++
	}
	typed := ""
	switch {
	case p.Echo:
		typed = string(s.fields[i])
	case len(s.fields[i]) > 0:
		typed = "********"
	}
	x := a.text(1, y, lines[len(lines)-1]+" ", fg(colStrong))
	room := max(1, a.w-x-1)
	for textWidth(typed, a.c.ascii) >= room {
		typed = typed[1:]
	}
	x = a.text(x, y, strings.ToValidUTF8(typed, ""), style{})
	if i == s.field && !s.sent && a.shows(y) {
		m.frame.Cursor = tea.NewCursor(min(a.x+x, a.x+a.w-1), a.y+y)
	}
	return y + 1
}

// askTitle says what is wanted.
func askTitle(q *fleet.Question) string {
	who := q.User + "@" + q.Host
	if q.Jump {
		who += " (a jump host)"
	}
	switch q.Kind {
	case fleet.AskPassphrase:
		return "passphrase of the key " + q.File + ", which " + who + " would take"
	case fleet.AskPassword:
		return "password of " + who
	}
	return who + " has questions of its own"
}

// askFor says who waits for the answer, and what becomes of it.
func askFor(q *fleet.Question) string {
	words := ""
	if n := len(q.Nodes); n > 0 {
		words = count(n, "node") + " " + plural(n, "waits", "wait") + " for it: " + clip(nodeSet(q.Nodes), 160) + ". "
	}
	switch {
	case q.Kind == fleet.AskPassphrase:
		return words + "It opens the key for as long as foretop runs, and is not kept."
	case q.Jump:
		return words + "It is for this host alone. A password is kept in memory while foretop runs, a one-time code is not."
	case q.Kind == fleet.AskPassword:
		return words + "It is tried on " + q.Host + " first; once taken it is used for the others too, and kept in memory while foretop runs."
	}
	return words + "A password that " + q.Host + " takes is used for the others too, and kept in memory while foretop runs; a one-time code is used once."
}

// clip shortens text to n bytes or so.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + " …"
}

// drawHostKeys draws the list of keys that are not trusted, and below it all about the one under the cursor.
func (m *Model) drawHostKeys(a area) {
	s := &m.asking
	list := m.keyQuestions()
	if len(list) == 0 {
		words := "all host keys are trusted · Esc leaves"
		if n := len(m.typedQuestions()); n > 0 {
			words += " · Tab: " + count(n, "question") + " more"
		}
		a.lines(0, words, fg(colStrong))
		return
	}
	s.at = max(0, min(s.at, len(list)-1))
	a.cut(1, 0, a.w-2, "host keys that are not trusted: compare before you accept", fg(colStrong).with(bold))
	keys := "Enter: accept this one or the tagged ones · Space tags · * all · Esc: none"
	if n := len(m.typedQuestions()); n > 0 {
		keys += " · Tab: " + count(n, "question") + " more"
	}
	y := a.lines(1, keys, fg(colDim))
	about := min(8, max(3, a.h/3))
	body := a.sub(0, y+1, a.w, max(1, a.h-y-2-about))
	s.seen = max(1, body.h)
	s.top = scrollTo(s.top, s.at, s.seen, len(list))
	for i := s.top; i < len(list) && i < s.top+s.seen; i++ {
		m.drawHostKey(body.sub(0, i-s.top, body.w, 1), &list[i], i == s.at)
	}
	m.drawKeyAbout(a.sub(0, a.h-about, a.w, about), &list[s.at])
}

// drawHostKey draws one row.
func (m *Model) drawHostKey(a area, q *fleet.Question, here bool) {
	mark := "[ ]"
	st := style{}
	switch {
	case !q.Key.MayBeAccepted():
		mark, st = " "+string(markCritical)+" ", fg(colCrit)
	case m.asking.tagged[askKeyName(q)]:
		mark = "[x]"
	}
	what := q.Hosts[0]
	if n := len(q.Hosts); n > 1 {
		what = count(n, "host") + " with one key: " + clip(strings.Join(q.Hosts, ", "), 24)
	} else if n := len(q.Nodes); n > 1 {
		what += " (" + strconv.Itoa(n) + " nodes wait)"
	}
	words := mark + " " + q.Key.Verdict.String() + "  " + what + "  " + q.Key.Type + " " + q.Key.Fingerprint
	if here {
		a.fill(0, 0, a.w, style{bg: colCursorBG})
		words = "▸" + words
	} else {
		words = " " + words
	}
	a.cut(0, 0, a.w-1, words, st)
}

// drawKeyAbout says all about one key: a fingerprint that is cut cannot be compared.
func (m *Model) drawKeyAbout(a area, q *fleet.Question) {
	k := q.Key
	st := fg(colStrong)
	if !k.MayBeAccepted() {
		st = fg(colCrit)
	}
	y := a.lines(0, k.Type+" "+k.Fingerprint+": "+keyMeans(k), st)
	for _, known := range k.Known {
		y = a.lines(y, "known: "+known, style{})
	}
	if !k.MayBeAccepted() {
		if n := m.latest.Node(q.Nodes[0]); n != nil && n.Remedy != "" {
			y = a.lines(y, "what to do: "+n.Remedy, style{})
		}
	}
	y = a.lines(y, "hosts: "+clip(strings.Join(q.Hosts, ", "), 240), style{})
	if len(q.Hosts) > 1 {
		y = a.lines(y, string(markWarning)+" one key for several hosts: names of one machine, or machines that were copied from one", fg(colWarn))
	}
	a.lines(y, "nodes: "+clip(nodeSet(q.Nodes), 240), fg(colDim))
}

// keyMeans says what a verdict means.
func keyMeans(k *fleet.HostKey) string {
	switch k.Verdict {
	case fleet.KeyUnknown:
		return "no key of it is known yet"
	case fleet.KeyOtherKind:
		return "only keys of other kinds are known of it"
	case fleet.KeyStrict:
		return "no key of it is known yet, and StrictHostKeyChecking is yes: your ssh configuration lets nobody accept it"
	case fleet.KeyChanged:
		return "ANOTHER KEY IS KNOWN: the machine was set up anew, or somebody is listening in. It cannot be accepted here"
	case fleet.KeyRevoked:
		return "THIS KEY IS REVOKED: do not connect. It cannot be accepted here"
	}
	return "it is not valid for this host. It cannot be accepted here"
}

// drawAccept asks whether the chosen keys are to be accepted.
func (m *Model) drawAccept(a area) {
	s := &m.asking
	n := s.askHosts()
	y := a.lines(0, "accept "+count(len(s.chosen), "key")+" of "+count(n, "host")+"? Each is written to known_hosts, as ssh does", fg(colStrong).with(bold))
	y++
	for i := range s.chosen {
		if y >= a.h-2 {
			a.cut(1, y, a.w-2, "… and "+strconv.Itoa(len(s.chosen)-i)+" more", fg(colDim))
			break
		}
		q := &s.chosen[i]
		y = a.lines(y, q.Key.Type+" "+q.Key.Fingerprint+"  "+clip(strings.Join(q.Hosts, ", "), 120), style{})
	}
	words := "accept it? y: yes   Esc: no"
	if n > 1 {
		words = "accept them? type " + strconv.Itoa(n) + ", the number of hosts, and Enter: " + s.answer + "_   Esc: no"
	}
	a.cut(1, a.h-1, a.w-2, words, fg(colAccent).with(bold))
}
