package collectors

import (
	"context"
	"os"
	"strconv"
	"syscall"

	"foretop/collectors/kernfs"
	"foretop/telemetry"
)

// selfReader states what the collector costs: its own CPU time and memory, those of the programs it started, and the bytes it sent.
type selfReader struct {
	m     *machine
	statm *kernfs.File
}

// newSelf reads its own process, so it reads the machine's /proc whatever the root is.
func newSelf(m *machine) reader {
	return &selfReader{m: m, statm: kernfs.Root("").Hold("proc/self/statm")}
}

func (r *selfReader) close() { r.statm.Close() }

func (r *selfReader) read(context.Context) error {
	cpu, rss := r.m.children.cost()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return os.NewSyscallError("getrusage", err)
	}
	cpu += uint64(u.Utime.Nano()+u.Stime.Nano()) / 1000
	b, err := r.statm.Read()
	if err == nil {
		_, b = kernfs.Field(b)
		pages, _, _ := kernfs.Leading(b)
		rss += pages * uint64(os.Getpagesize())
	}
	r.m.board.mu.Lock()
	defer r.m.board.mu.Unlock()
	s := &r.m.board.state
	r.m.board.read(telemetry.GroupSelf, r.m.clock.MonoMS())
	s.SetUint(telemetry.SelfCPUUS, 0, cpu)
	if err == nil {
		s.SetUint(telemetry.SelfRSSBytes, 0, rss)
	}
	s.SetUint(telemetry.SelfSentBytes, 0, r.m.sent())
	if n := r.m.board.stretch(); err == nil && n > 1 {
		return remark(strconv.Itoa(int(r.m.board.crowd.Load())) + " collectors run on this node: each reads it every " + strconv.Itoa(int(n)) + " s while nobody looks at it closely")
	}
	return err
}
