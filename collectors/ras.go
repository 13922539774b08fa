package collectors

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"foretop/collectors/kernfs"
	"foretop/collectors/ras"
	"foretop/telemetry/facts"
)

// NCCL's RAS is asked only when the front end asks for it: a question costs the whole job a little, for the RAS threads of all its processes answer. There is one
// question at a time, and a pause after it, whatever the front end says. Only processes that this collector told are asked for, and only where their own kernel says that
// somebody of their own user listens in their own network: no address is taken from anybody's word but for its port.
const (
	rasPort     = 28028            // NCCL_RAS_ADDR says another
	rasFirst    = 2 * time.Second  // of the first word: a RAS thread that runs says it at once
	rasLimit    = 25 * time.Second // of the whole answer from then on: RAS gathers twice, 10 s at most each
	rasApart    = 5 * time.Second  // from the end of a question to the next
	rasTried    = 8                // processes of a question
	rasAgain    = 5                // connections of a question: all ranks of a job on a node listen on one port, and the kernel chooses among them
	maxTCPTable = 1 << 20          // listening sockets stand first in it
)

// rasAsker asks.
type rasAsker struct {
	root   kernfs.Root
	clock  Clock
	board  *board
	first  time.Duration // rasFirst
	limit  time.Duration // rasLimit
	busy   atomic.Bool
	ended  atomic.Int64 // when the last question ended, monotonic ms; 0 none did
	answer func(*facts.RAS)
}

// ask has a question answered, later. One that comes while another is open, or too soon after it, is passed over: who asked asks again.
func (r *rasAsker) ask(ctx context.Context, q *facts.AskRAS) {
	if len(q.Processes) == 0 || !r.busy.CompareAndSwap(false, true) {
		return
	}
	if at := r.ended.Load(); at != 0 && r.clock.MonoMS()-at < rasApart.Milliseconds() {
		r.busy.Store(false)
		return
	}
	go func() {
		defer r.busy.Store(false)
		defer func() { r.ended.Store(max(r.clock.MonoMS(), 1)) }()
		r.answer(r.answerTo(ctx, q))
	}()
}

// rasTrouble is why there is no report.
type rasTrouble struct {
	text, remedy string
	absent       bool // and there will be none
}

func (t *rasTrouble) Error() string { return t.text }

// answerTo asks of the first of the processes that can be asked.
func (r *rasAsker) answerTo(ctx context.Context, q *facts.AskRAS) (a *facts.RAS) {
	began := r.clock.MonoMS()
	defer func() {
		if p := recover(); p != nil {
			a = &facts.RAS{Trouble: fmt.Sprintf("fault in the collector: %v", p)}
		}
		a.Sequence, a.Pid, a.StartTicks, a.TookMs = q.Sequence, q.Processes[0].Pid, q.Processes[0].StartTicks, r.clock.MonoMS()-began
	}()
	var first error
	for _, k := range q.Processes[:min(len(q.Processes), rasTried)] {
		at, err := r.find(k)
		if err == nil {
			if a, err = r.converse(ctx, at); err == nil {
				return a
			}
			first = err // whoever else listens there says the same
			break
		}
		if first == nil {
			first = err
		}
	}
	t := &rasTrouble{}
	if !errors.As(first, &t) {
		t = &rasTrouble{text: first.Error()}
	}
	return &facts.RAS{Trouble: t.text, Remedy: t.remedy, Absent: t.absent}
}

// rasPlace is where a process's RAS can be asked.
type rasPlace struct {
	listener
	namespace string // file of its network namespace; "" ours
}

// find finds where a process's RAS listens.
func (r *rasAsker) find(k *facts.ProcessKey) (rasPlace, error) {
	p := r.told(k)
	if p == nil || (processID{int(k.Pid), k.StartTicks}).check(r.root) != nil {
		return rasPlace{}, &rasTrouble{text: "pid " + strconv.Itoa(int(k.Pid)) + " is gone"}
	}
	if p.Env["NCCL_RAS_ENABLE"] == "0" {
		return rasPlace{}, &rasTrouble{"it is switched off: NCCL_RAS_ENABLE is 0 in the job's environment", "start the job without it", true}
	}
	port, err := rasPortOf(p.Env["NCCL_RAS_ADDR"])
	if err != nil {
		return rasPlace{}, err
	}
	at := rasPlace{}
	ours, theirs := readLink(r.root, "proc/self/ns/net"), readLink(r.root, procPath(k.Pid, "ns/net"))
	switch {
	case theirs == "":
		return rasPlace{}, &rasTrouble{text: "another user's process: in which network it is may not be seen", remedy: "needs root, or the job's owner"}
	case theirs != ours:
		at.namespace = r.root.Path(procPath(k.Pid, "ns/net"))
	}
	var all []listener
	for _, name := range []string{"net/tcp", "net/tcp6"} {
		all = append(all, parseListeners(readSome(r.root.Path(procPath(k.Pid, name)), maxTCPTable), port)...)
	}
	foreign := false
	for _, l := range all {
		if l.uid == p.Uid {
			at.listener = l
			return at, nil
		}
		foreign = true
	}
	if foreign {
		return rasPlace{}, &rasTrouble{text: fmt.Sprintf("port %d is another user's there: RAS of this job could not listen", port), remedy: "give each job its own NCCL_RAS_ADDR", absent: true}
	}
	return rasPlace{}, &rasTrouble{text: fmt.Sprintf("nothing listens on port %d where the job runs", port), remedy: "NCCL offers it from 2.24.3 on, once its first communicator is there", absent: true}
}

// told is a process that the front end was told of, nil for none.
func (r *rasAsker) told(k *facts.ProcessKey) *facts.Process {
	r.board.mu.Lock()
	list := r.board.processes
	r.board.mu.Unlock()
	for _, p := range list {
		if p.Pid == k.Pid && p.StartTicks == k.StartTicks {
			return p
		}
	}
	return nil
}

// rasPortOf is the port that NCCL_RAS_ADDR names, "HOST:PORT"; the usual one where it is not set.
func rasPortOf(address string) (uint16, error) {
	if address == "" {
		return rasPort, nil
	}
	i := strings.LastIndexByte(address, ':')
	port, err := strconv.ParseUint(address[i+1:], 10, 16)
	if i < 0 || err != nil || port == 0 {
		return 0, &rasTrouble{text: fmt.Sprintf("NCCL_RAS_ADDR is %q in the job's environment, not HOST:PORT", address), absent: true}
	}
	return uint16(port), nil
}

// listener is a socket that listens.
type listener struct {
	address []byte // 4 or 16
	port    uint16
	uid     uint32
}

// parseListeners finds who listens on a port in /proc/PID/net/tcp or tcp6 (proc_net_tcp of the kernel's documentation): the state is 0A, and an address is written as
// words of 32 bits in the machine's order.
func parseListeners(b []byte, port uint16) (out []listener) {
	for len(b) > 0 && len(out) < 64 {
		var line []byte
		line, b = kernfs.Line(b)
		f := strings.Fields(string(line))
		if len(f) < 10 || f[3] != "0A" {
			continue
		}
		address, number, _ := strings.Cut(f[1], ":")
		n, err := strconv.ParseUint(number, 16, 16)
		uid, err2 := strconv.ParseUint(f[7], 10, 32)
		if err != nil || err2 != nil || uint16(n) != port || len(address) != 8 && len(address) != 32 {
			continue
		}
		l := listener{port: port, uid: uint32(uid)}
		for ; len(address) >= 8; address = address[8:] {
			w, err := strconv.ParseUint(address[:8], 16, 32)
			if err != nil {
				break
			}
			l.address = binary.NativeEndian.AppendUint32(l.address, uint32(w))
		}
		if len(address) == 0 {
			l.toLoopback()
			out = append(out, l)
		}
	}
	return out
}

// toLoopback makes of an address that stands for all of them the one of the machine itself.
func (l *listener) toLoopback() {
	for _, b := range l.address {
		if b != 0 {
			return
		}
	}
	if l.address[len(l.address)-1] = 1; len(l.address) == 4 {
		l.address[0] = 127
	}
}

// readSome reads the first limit bytes of a file; nothing where it cannot.
func readSome(path string, limit int64) []byte {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	b, _ := io.ReadAll(io.LimitReader(f, limit))
	return b
}

// errMute says that whoever took the connection says nothing.
var errMute = errors.New("it says nothing")

// converse asks and reads the report. All ranks of a job on a node listen on the same port, and the kernel gives a connection to any of them, a stopped or hung one as well: one that
// says nothing is left, and another connection made, which goes to another rank as likely as not.
func (r *rasAsker) converse(ctx context.Context, at rasPlace) (*facts.RAS, error) {
	mute := 0
	for {
		a, err := r.converseOnce(ctx, at)
		if !errors.Is(err, errMute) {
			return a, err
		}
		if mute++; mute == rasAgain || ctx.Err() != nil {
			return nil, &rasTrouble{text: fmt.Sprintf("no word on any of %d connections within %v each", mute, r.first), remedy: "the RAS threads of the processes that listen there may hang too"}
		}
	}
}

func (r *rasAsker) converseOnce(ctx context.Context, at rasPlace) (*facts.RAS, error) {
	conn, err := dialListener(at, r.first)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Now()) })()
	conn.SetDeadline(time.Now().Add(r.first))
	_, err = io.WriteString(conn, ras.Request)
	var a *facts.RAS
	var word [1]byte
	if err == nil {
		_, err = io.ReadFull(conn, word[:])
	}
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, errMute
	case errors.Is(err, io.EOF):
		return nil, ras.ErrNothing
	case err != nil:
		return nil, err
	}
	conn.SetDeadline(time.Now().Add(r.limit))
	if a, err = ras.Read(io.MultiReader(bytes.NewReader(word[:]), conn)); errors.Is(err, os.ErrDeadlineExceeded) {
		err = &rasTrouble{text: fmt.Sprintf("no whole answer within %v", r.limit), remedy: "the RAS thread of that process may hang too"}
	}
	return a, err
}
