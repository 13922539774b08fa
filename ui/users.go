package ui

import (
	"math"
	"strconv"
	"strings"
	"time"

	"foretop/fleet"
)

// usersScreen is the table of persons: what each holds, and what of it does nothing; under it the idle GPUs of the selected one.
type usersScreen struct {
	list
	byKey  map[string]*fleet.User
	placed []placed
	page   int
}

// userColumns are the columns of the table.
func userColumns() []column {
	return []column{
		{id: "user", title: "USER", width: 8, ideal: 14},
		{id: "jobs", title: "JOBS", width: 4, right: true, drop: 6, down: true},
		{id: "waiting", title: "WAITING", width: 7, right: true, drop: 9, down: true},
		{id: "nodes", title: "NODES", width: 5, right: true, drop: 10, down: true},
		{id: "gpus", title: "GPUS", width: 5, right: true, down: true},
		{id: "used", title: "USED", width: 5, right: true, drop: 7, down: true},
		{id: "idle", title: "IDLE", width: 5, right: true, down: true},
		{id: "util", title: "UTIL", width: 4, ideal: 5, right: true, drop: 5, down: true},
		{id: "power", title: "POWER", width: 5, right: true, drop: 11, down: true},
		{id: "now", title: "IDLE FOR", width: 8, right: true, drop: 3, down: true},
		{id: "hours", title: "IDLE GPU-H", width: 10, right: true, drop: 2, down: true},
		{id: "held", title: "HELD GPU-H", width: 10, right: true, drop: 8, down: true},
		{id: "note", title: "", width: 4, rest: true},
	}
}

// refresh takes over a snapshot; force puts the rows in order whatever the cursor does.
func (s *usersScreen) refresh(snap *fleet.Snapshot, touched time.Time, force bool) {
	s.byKey = make(map[string]*fleet.User, len(snap.Users))
	rows := make([]rowKey, 0, len(snap.Users))
	for _, u := range snap.Users {
		s.byKey[u.Name] = u
		rows = append(rows, userRowKey(u, s.sort))
	}
	s.arrange(sortRows(rows, s.descending()), force || s.mayResort(snap.At, touched), snap.At)
}

func (s *usersScreen) descending() bool {
	for _, c := range userColumns() {
		if c.id == s.sort {
			return c.down != s.reverse
		}
	}
	return false
}

func userRowKey(u *fleet.User, by string) rowKey {
	k := rowKey{key: u.Name, num: math.NaN()}
	switch by {
	case "user":
		k.word = u.Name
	case "jobs":
		k.num = float64(u.Jobs)
	case "waiting":
		k.num = float64(u.Pending)
	case "nodes":
		k.num = float64(u.Nodes)
	case "gpus":
		k.num = float64(u.GPUs)
	case "used":
		k.num = float64(u.GPUs - u.Idle)
	case "idle":
		k.num = float64(u.Idle)
	case "util":
		k.num = float64(u.UtilPct)
	case "power":
		k.num = float64(u.PowerPct)
	case "now":
		if at := longestIdle(u); !at.IsZero() {
			k.num = -float64(at.Unix())
		}
	case "hours":
		k.num = u.IdleHours
	case "held":
		k.num = u.HeldHours
	}
	return k
}

// drawUsers draws the table, and under it the idle GPUs of the selected person.
func (m *Model) drawUsers(a area) {
	s := &m.users
	s.placed = placeColumns(userColumns(), a.w)
	table := a.h
	if a.h >= 12 {
		table = min(len(s.keys)+1, a.h-max(5, a.h*40/100))
		table = max(table, 4)
	}
	y := 0
	if a.h > 2 {
		drawHeader(a, 0, s.placed, s.sort, s.descending())
		y = 1
	}
	s.page = max(1, table-y)
	if len(s.keys) == 0 {
		say(a.sub(0, y, a.w, a.h-y), "nobody is seen: no process on these nodes holds a GPU, and no scheduler tells of a job", "2 shows the nodes")
		return
	}
	top, at := s.scroll(table-y), s.list.index()
	for i := top; i < len(s.keys) && y < table; i, y = i+1, y+1 {
		u := s.byKey[s.keys[i]]
		if u == nil {
			continue
		}
		drawRow(a, y, s.placed, i == at, false, true, func(box area, p *placed) { m.userCell(box, p, u) })
		m.hit(a, y, func() { s.moveTo(i) })
	}
	if a.h > table+1 {
		m.drawIdleGPUs(a.sub(0, table, a.w, a.h-table), s.byKey[s.selected()])
	}
}

func (m *Model) userCell(a area, p *placed, u *fleet.User) {
	num := func(s string) {
		st := style{}
		if s == absent || s == "0" {
			st = fg(colDim)
		}
		a.right(0, 0, p.cells, s, st)
	}
	switch p.id {
	case "user":
		a.cut(0, 0, p.cells, userName(u.Name), fg(colStrong))
	case "jobs":
		num(strconv.Itoa(u.Jobs))
	case "waiting":
		num(strconv.Itoa(u.Pending))
	case "nodes":
		num(strconv.Itoa(u.Nodes))
	case "gpus":
		num(strconv.Itoa(u.GPUs))
	case "used":
		num(strconv.Itoa(u.GPUs - u.Idle))
	case "idle":
		if u.Idle > 0 {
			a.right(0, 0, p.cells, string(markIdle)+strconv.Itoa(u.Idle), fg(colWarn))
			return
		}
		num("0")
	case "util":
		num(formatPct(u.UtilPct))
	case "power":
		num(formatPct(u.PowerPct))
	case "now":
		if at := longestIdle(u); !at.IsZero() {
			num(formatAge(m.snap.At.Sub(at)))
			return
		}
		num(absent)
	case "hours":
		num(formatHours(u.IdleHours))
	case "held":
		num(formatHours(u.HeldHours))
	case "note":
		if u.Worst >= fleet.Warning {
			k := severityMark(u.Worst)
			a.text(0, 0, string(k.r), k.st)
		}
	}
}

// longestIdle is since when the GPU of theirs is idle that is so for longest; zero: there is none, or it is not known.
func longestIdle(u *fleet.User) time.Time {
	if len(u.IdleGPUs) == 0 {
		return time.Time{}
	}
	return u.IdleGPUs[0].Since
}

// userName is a person's name, or a word for those of whom it is not known.
func userName(name string) string {
	if name == "" {
		return "not known"
	}
	return name
}

// formatHours is an amount of GPU-hours: "0.4", "12", "3100".
func formatHours(h float64) string {
	if h < 0.05 {
		return "0"
	}
	return format3(h)
}

// drawIdleGPUs lists what a person holds and does not use, the longest first.
func (m *Model) drawIdleGPUs(a area, u *fleet.User) {
	a.repeat(0, 0, a.w, '─', fg(colDim))
	if u == nil {
		return
	}
	title := " " + userName(u.Name) + ": " + count(u.Idle, "idle GPU") + " of " + strconv.Itoa(u.GPUs) + " "
	if !u.Since.IsZero() {
		title += "· hours counted since " + m.clock(u.Since) + " "
	}
	a.text(2, 0, title, fg(colStrong))
	if len(u.IdleGPUs) == 0 {
		words := "no GPU of theirs is held and idle"
		if u.GPUs == 0 {
			words = "they hold no GPU"
			if u.Pending > 0 {
				words += "; waiting: " + count(u.Pending, "job") + " for " + count(u.Wanted, "GPU") + " (Enter shows them)"
			}
		}
		a.cut(tableIndent, 1, a.w-tableIndent, words, fg(colDim))
		return
	}
	for i, y := 0, 1; i < len(u.IdleGPUs) && y < a.h; i, y = i+1, y+1 {
		g := &u.IdleGPUs[i]
		if y == a.h-1 && i < u.Idle-1 {
			a.cut(tableIndent, y, a.w-tableIndent, "and "+strconv.Itoa(u.Idle-i)+" more", fg(colDim))
			return
		}
		since := "given by the scheduler, no process holds it"
		if !g.Since.IsZero() {
			since = "idle for " + formatAge(m.snap.At.Sub(g.Since)) + ", since " + m.clock(g.Since)
		}
		x := a.text(tableIndent, y, g.Node+" GPU "+strconv.Itoa(g.Index), fg(colStrong))
		words := []string{since, "job " + g.ID}
		if g.MemBytes.Known() {
			words = append(words, formatBytes(g.MemBytes)+" used")
		}
		a.cut(x, y, a.w-x, "  "+strings.Join(words, " · "), style{})
	}
}

// openUser shows the jobs of the selected person.
func (m *Model) openUser() {
	u := m.users.byKey[m.users.selected()]
	switch {
	case u == nil:
		m.notice = "nobody is selected"
		return
	case u.Name == "":
		m.notice = "whose these jobs are, is not known"
		return
	}
	m.view(screenJobs)
	m.jobs.clear()
	m.jobs.pending = u.Jobs == 0 && u.Pending > 0
	m.jobs.user = u.Name
	m.jobs.first()
	m.rearrange()
}

// clock is a moment as people say it: the time of day, with the date where that is another.
func (m *Model) clock(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	at, now := at.In(m.opt.Location), m.snap.At.In(m.opt.Location)
	if at.YearDay() == now.YearDay() && at.Year() == now.Year() {
		return at.Format("15:04:05")
	}
	return at.Format("Jan 2 15:04")
}
