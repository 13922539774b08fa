package collectors

import (
	"bufio"
	"context"
	"errors"
	"strconv"
	"sync"
	"time"
)

const (
	maxJournalLine = 64 << 10
	journalSilence = 5 * time.Second // a journal that may be read has the boot's lines; one without any is not shown to this user
)

// pauses are how long a program that ended is left alone before it is started again: twice as long each time, until it has run for as long as most.
type pauses struct{ first, most time.Duration }

func journalPauses() pauses { return pauses{first: 5 * time.Second, most: 5 * time.Minute} }

// journal follows the kernel's lines in systemd's journal: journalctl, started once and streamed; started again where it ended.
type journal struct {
	m     *machine
	ctx   context.Context
	close func()
	last  uint64 // sequence of the last line told

	mu      sync.Mutex
	lines   int
	ended   error
	isEnded bool // and has not spoken since
	began   int64
}

// journalArgs: the last lines of this boot first, then what comes.
var journalArgs = []string{"-k", "-f", "-o", "json", "-n", "2000", "--no-pager",
	"--output-fields=MESSAGE,PRIORITY,SYSLOG_FACILITY,_KERNEL_DEVICE,_SOURCE_MONOTONIC_TIMESTAMP,__MONOTONIC_TIMESTAMP,__REALTIME_TIMESTAMP"}

func startJournal(ctx context.Context, m *machine, p pauses) (*journal, error) {
	ctx, cancel := context.WithCancel(ctx)
	c, err := startChild(ctx, m.children, "journalctl", journalArgs...)
	if err != nil {
		cancel()
		return nil, err
	}
	m.kernel.begin(viaJournal)
	j := &journal{m: m, ctx: ctx, close: cancel, began: m.clock.MonoMS()}
	go j.keep(c, p)
	return j, nil
}

// keep follows one journalctl after another until the source is closed.
func (j *journal) keep(c *child, p pauses) {
	for pause := p.first; ; {
		began := time.Now()
		err := j.follow(c)
		if time.Since(began) >= p.most {
			pause = p.first
		}
		for c = nil; c == nil; pause = min(2*pause, p.most) {
			j.mu.Lock()
			j.isEnded, j.ended = true, err
			j.mu.Unlock()
			select {
			case <-j.ctx.Done():
				return
			case <-time.After(pause):
			}
			c, err = startChild(j.ctx, j.m.children, "journalctl", journalArgs...)
		}
	}
}

// follow takes what a journalctl says until it ends.
func (j *journal) follow(c *child) error {
	in := bufio.NewScanner(c.out)
	in.Buffer(make([]byte, 0, 4<<10), maxJournalLine)
	known := j.last // one that was started again begins with lines that are told
	for in.Scan() {
		r, err := parseJournal(in.Bytes())
		if err != nil {
			continue
		}
		j.mu.Lock()
		j.lines++
		j.isEnded, j.ended = false, nil
		j.mu.Unlock()
		if r.sequence <= known || r.facility != 0 { // the journal has what programs write to /dev/kmsg among the kernel's
			continue
		}
		known = 0 // from here on all is new, also what is stamped earlier
		// The journal's lines are numbered by their time, so that a later collector knows which were told.
		r.sequence = max(r.sequence, j.last+1)
		j.last = r.sequence
		for !j.m.kernel.room() { // the pipe holds the rest back
			select {
			case <-c.gone:
				return c.end()
			case <-time.After(time.Second):
			}
		}
		j.m.kernel.seen(r.sequence)
		j.m.kernel.put(&r)
	}
	return errors.Join(in.Err(), c.end())
}

// condition says how it goes.
func (j *journal) condition(nowMS int64) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case j.isEnded && j.lines == 0, j.lines == 0 && nowMS-j.began > journalSilence.Milliseconds():
		return denied("neither /dev/kmsg nor the journal of the kernel may be read", kernelRemedy)
	case j.isEnded && j.ended != nil:
		return errors.New("journalctl ended and will be started again: " + j.ended.Error())
	case j.isEnded:
		return errors.New("journalctl ended and will be started again")
	case j.lines == 0:
		return undecided("asking the journal, for /dev/kmsg may not be read")
	}
	return remark("from the journal: /dev/kmsg may not be read")
}

var errNoMessage = errors.New("not a journal entry")

// parseJournal parses one line of journalctl -o json. A message that is not UTF-8 comes as a list of bytes; a repeated field as a list of strings.
// The wall time is that of the journal's own stamp, less the time that the line took to get there.
func parseJournal(b []byte) (r kernelRecord, err error) {
	var e struct{ Message, Priority, Facility, Device, Source, Arrived, Wall string }
	hasMessage := false
	isEntry := scanJournal(b, func(name, text string) {
		switch name {
		case "MESSAGE":
			e.Message, hasMessage = text, true
		case "PRIORITY":
			e.Priority = text
		case "SYSLOG_FACILITY":
			e.Facility = text
		case "_KERNEL_DEVICE":
			e.Device = text
		case "_SOURCE_MONOTONIC_TIMESTAMP":
			e.Source = text
		case "__MONOTONIC_TIMESTAMP":
			e.Arrived = text
		case "__REALTIME_TIMESTAMP":
			e.Wall = text
		}
	})
	if !isEntry || !hasMessage {
		return r, errNoMessage
	}
	arrived, err := strconv.ParseInt(e.Arrived, 10, 64)
	us, noSource := strconv.ParseInt(e.Source, 10, 64)
	switch {
	case err != nil && noSource != nil:
		return r, errNoMessage
	case noSource != nil:
		us = arrived
	case err != nil:
		arrived = us
	}
	us, arrived = max(us, 0), max(arrived, 0)
	r = kernelRecord{sequence: uint64(us), level: 6, stampUS: us, text: []byte(e.Message), device: []byte(e.Device)}
	if level, err := strconv.ParseUint(e.Priority, 10, 3); err == nil {
		r.level = uint32(level)
	}
	if wall, err := strconv.ParseInt(e.Wall, 10, 64); err == nil && wall > 0 {
		r.wallUS = wall - (arrived - us)
	}
	if facility, err := strconv.ParseUint(e.Facility, 10, 8); err == nil {
		r.facility = facility
	}
	return r, nil
}
