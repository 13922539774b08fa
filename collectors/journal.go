package collectors

import (
	"bufio"
	"context"
	"errors"
	"strconv"
	"sync"
	"time"

	"foretop/telemetry"
	"foretop/telemetry/facts"
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
	"--output-fields=MESSAGE,PRIORITY,_SOURCE_MONOTONIC_TIMESTAMP,__MONOTONIC_TIMESTAMP"}

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
		if r.Sequence <= known {
			continue
		}
		known = 0 // from here on all is new, also what is stamped earlier
		// The journal's lines are numbered by their time, so that a later collector knows which were told.
		r.Sequence = max(r.Sequence, j.last+1)
		j.last = r.Sequence
		for !j.m.kernel.room() { // the pipe holds the rest back
			select {
			case <-c.gone:
				return c.end()
			case <-time.After(time.Second):
			}
		}
		j.m.kernel.seen(r.Sequence)
		j.m.kernel.put(r)
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
func parseJournal(b []byte) (*facts.KernelRecord, error) {
	var e struct{ Message, Priority, Source, Arrived string }
	hasMessage := false
	isEntry := scanJournal(b, func(name, text string) {
		switch name {
		case "MESSAGE":
			e.Message, hasMessage = text, true
		case "PRIORITY":
			e.Priority = text
		case "_SOURCE_MONOTONIC_TIMESTAMP":
			e.Source = text
		case "__MONOTONIC_TIMESTAMP":
			e.Arrived = text
		}
	})
	if !isEntry || !hasMessage {
		return nil, errNoMessage
	}
	us, err := strconv.ParseInt(e.Source, 10, 64)
	if err != nil {
		if us, err = strconv.ParseInt(e.Arrived, 10, 64); err != nil {
			return nil, errNoMessage
		}
	}
	level, err := strconv.ParseUint(e.Priority, 10, 3)
	if err != nil {
		level = 6
	}
	us = max(us, 0)
	return &facts.KernelRecord{Sequence: uint64(us), Level: uint32(level), MonoUs: us, Text: telemetry.Clean(e.Message, maxKernelText)}, nil
}
