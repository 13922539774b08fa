package collectors

import (
	"cmp"
	"context"
	"slices"

	"foretop/telemetry/facts"
)

const (
	topProcesses = 20
	idleEvery    = 4 // looks between two at a process that used no CPU: a node has thousands of those
)

// usageReader tells what the told processes and the busiest others use, at detail level only: it reads every process's stat.
type usageReader struct {
	m    *machine
	buf  []byte
	busy []busyProc
	pass int
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
	if !r.m.board.detail.Load() {
		return nil
	}
	seen := r.m.procs.last()
	if seen == nil {
		r.m.board.moved.Store(true) // a walk shows them
		return nil
	}
	u := &facts.Usage{}
	r.pass++
	r.busy = r.busy[:0]
	for _, p := range seen {
		b := busyProc{p: p.proc, words: p}
		if p.idle && !p.told && (r.pass+int(p.pid))%idleEvery != 0 || !r.look(&b) {
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
