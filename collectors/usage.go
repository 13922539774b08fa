package collectors

import (
	"cmp"
	"context"
	"fmt"
	"hash/fnv"
	"slices"

	"foretop/telemetry/facts"
)

const (
	topProcesses = 20
	stateEvery   = 3  // of the looks at base level
	stateAgain   = 60 // seconds, after which what has not changed is told again at base level
	busyPermille = 50 // of a core, from which a process does something
	idleEvery    = 4  // looks between two at a process that used no CPU: a node has thousands of those
)

// usageReader tells what processes use. At detail level it reads every process's stat, and tells the told ones and the busiest others; at base level it looks at the told
// ones alone, seldom, and tells them when one was stopped, went to sleep in the kernel, or began or ceased to do anything: a hang can be told by it.
type usageReader struct {
	m    *machine
	buf  []byte
	busy []busyProc
	pass int

	sum  uint64 // of what was told last at base level
	told int64  // when, by the node's monotonic clock
}

type busyProc struct {
	p        *proc
	words    seenProc // what it was called at the last walk
	stat     procStat
	permille uint32
	measured bool // permille is: it was looked at before
}

func newUsage(m *machine) reader { return &usageReader{m: m} }

func (r *usageReader) close() {}

func (r *usageReader) read(context.Context) error {
	r.pass++
	detail := r.m.board.detail.Load()
	if !detail && r.pass%stateEvery != 0 {
		return nil
	}
	seen, all := r.m.procs.last()
	if detail && !all {
		r.m.board.moved.Store(true) // a walk shows them
		if seen == nil {
			return nil
		}
	}
	u := &facts.Usage{}
	r.busy = r.busy[:0]
	for _, p := range seen {
		b := busyProc{p: p.proc, words: p}
		if !p.told && !detail || p.idle && !p.told && (r.pass+int(p.pid))%idleEvery != 0 || !r.look(&b) {
			continue
		}
		if p.told {
			if b.measured { // a share of nothing would read as 0 %
				u.Told = append(u.Told, usageOf(&b))
			}
		} else if b.permille > 0 {
			r.busy = busiest(r.busy, b)
		}
	}
	slices.SortFunc(u.Told, func(a, b *facts.ProcessUsage) int { return cmp.Compare(a.Pid, b.Pid) })
	if !detail && !r.news(u) {
		return nil
	}
	for i := range r.busy {
		b := &r.busy[i]
		one := usageOf(b)
		one.Comm, one.Command = b.words.comm, b.words.command
		var err error
		if r.buf, err = r.m.root.Read(procPath(b.p.pid, "status"), r.buf); err == nil {
			if s := parseProcStatus(r.buf); s.hasUID {
				one.User = r.m.users.name(s.uid)
			}
		}
		u.Top = append(u.Top, one)
	}
	r.m.board.mu.Lock()
	r.m.board.usage = u
	r.m.board.mu.Unlock()
	return nil
}

// news says whether what the told processes do is to be told at base level.
func (r *usageReader) news(u *facts.Usage) bool {
	sum := fnv.New64a()
	for _, p := range u.Told {
		state := p.State
		if state == "R" || state == "S" {
			state = "" // these change all the time
		}
		fmt.Fprintf(sum, "%d %d %s %t\n", p.Pid, p.StartTicks, state, p.CpuPermille >= busyPermille)
	}
	now := r.m.clock.MonoMS()
	if sum.Sum64() == r.sum && now-r.told < stateAgain*1000 || len(u.Told) == 0 && r.sum == sum.Sum64() {
		return false
	}
	r.sum, r.told = sum.Sum64(), now
	return true
}

// busiest puts b among the topProcesses busiest, if it is one of them.
func busiest(list []busyProc, b busyProc) []busyProc {
	at := len(list)
	for at > 0 && (b.permille > list[at-1].permille || b.permille == list[at-1].permille && b.p.pid < list[at-1].p.pid) {
		at--
	}
	if at == topProcesses {
		return list
	}
	if len(list) < topProcesses {
		list = append(list, b)
	}
	copy(list[at+1:], list[at:])
	list[at] = b
	return list
}

// look reads a process's stat and works out its share of a core since the last look.
func (r *usageReader) look(b *busyProc) bool {
	var err error
	if r.buf, err = r.m.root.Read(procPath(b.p.pid, "stat"), r.buf); err != nil {
		return false
	}
	p := b.p
	if !parseProcStat(r.buf, &b.stat) || b.stat.startTicks != p.start {
		return false
	}
	b.stat.comm = nil
	now := r.m.clock.MonoMS()
	if b.measured = p.usageSeen && now > p.usageMS; b.measured {
		b.permille = uint32(grown(b.stat.cpuTicks, p.cpuTicks) * tickMS * 1000 / uint64(now-p.usageMS))
	}
	p.idle = b.measured && b.permille == 0
	p.usageSeen, p.usageMS, p.cpuTicks = true, now, b.stat.cpuTicks
	return true
}

func usageOf(b *busyProc) *facts.ProcessUsage {
	return &facts.ProcessUsage{Pid: b.p.pid, StartTicks: b.p.start, CpuMs: b.stat.cpuTicks * tickMS, RssBytes: b.stat.rssBytes,
		Threads: b.stat.threads, State: string(rune(b.stat.state)), CpuPermille: b.permille}
}
