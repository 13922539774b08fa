package collectors

import (
	"errors"
	"hash/maphash"
	"io/fs"
	"strconv"
	"time"

	"foretop/collectors/kernfs"
)

const (
	probePatience  = time.Second
	maxAbandoned   = 4
	maxEnviron     = 256 << 10
	maxCommandRead = 16 << 10
)

// prober reads /proc/PID/cmdline and environ in a goroutine of its own. Both take the lock of the process's memory, so they may never return when
// that process hangs in the kernel, which is just when its node is looked at. A goroutine that does not answer is left behind.
type prober struct {
	root      kernfs.Root
	questions chan question
	reply     chan answer // of the goroutine that serves now
	patience  *time.Timer
	abandoned int
	seed      maphash.Seed
}

type question struct {
	pid   int32
	known bool
	sum   uint64
}

type answer struct {
	cmdline, environ []byte
	sum              uint64
	unchanged        bool // the command line is as it was: the environment was not read
	denied           bool
}

func newProber(root kernfs.Root) *prober {
	p := &prober{root: root, seed: maphash.MakeSeed(), patience: time.NewTimer(probePatience)}
	p.start()
	return p
}

func (p *prober) start() {
	p.questions, p.reply = make(chan question), make(chan answer, 1)
	go p.serve(p.questions, p.reply)
}

func (p *prober) close() { close(p.questions) }

func (p *prober) full() bool { return p.abandoned >= maxAbandoned }

// ask gives what a process says of itself, ok false when the read does not return. The bytes are valid until the next call.
func (p *prober) ask(pid int32, known bool, sum uint64) (a answer, ok bool) {
	if p.full() {
		return a, false
	}
	p.questions <- question{pid: pid, known: known, sum: sum}
	p.patience.Reset(probePatience)
	defer p.patience.Stop()
	select {
	case a = <-p.reply:
		return a, true
	case <-p.patience.C:
	}
	close(p.questions)
	p.abandoned++
	p.start()
	return a, false
}

func (p *prober) serve(questions chan question, reply chan answer) {
	var cmdline, environ []byte
	for q := range questions {
		var a answer
		var err error
		if cmdline, err = p.root.Read(procPath(q.pid, "cmdline"), cmdline); err != nil {
			cmdline = cmdline[:0]
		}
		cmdline = cmdline[:min(len(cmdline), maxCommandRead)]
		a.sum = maphash.Bytes(p.seed, cmdline)
		a.unchanged = q.known && a.sum == q.sum
		if !a.unchanged {
			environ, err = p.root.Read(procPath(q.pid, "environ"), environ)
			a.denied = errors.Is(err, fs.ErrPermission)
			a.cmdline, a.environ = cmdline, environ[:min(len(environ), maxEnviron)]
		}
		reply <- a
		if cap(environ) > maxEnviron {
			environ = nil
		}
	}
}

func procPath(pid int32, name string) string {
	return "proc/" + strconv.Itoa(int(pid)) + "/" + name
}
