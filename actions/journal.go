package actions

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"
)

// JournalSocket is where systemd's journal takes lines.
const JournalSocket = "/run/systemd/journal/socket"

// Limits of a line for the journal.
const (
	journalPatience = time.Second // for it to be taken
	maxJournal      = 32 << 10    // bytes of all commands: a line is one datagram, of which the kernel takes some 200 KiB
)

// ErrJournal is a line that systemd's journal did not take.
var ErrJournal = errors.New("systemd's journal takes no line")

// Journal is systemd's journal as another place of the audit. It is told by its own protocol, a datagram a line: unlike the library for it, this waits for a journal that is stuck only for a time.
type Journal struct{ socket string }

// OpenJournal is the journal behind a socket, JournalSocket but for tests. Nothing is opened before there is a line: the journal may be started anew at any time.
func OpenJournal(socket string) *Journal { return &Journal{socket} }

// Send has a line taken. That it is on disk nobody is told: the journal's own settings say what it keeps, and how many lines of one sender in a time.
func (j *Journal) Send(l Line) error {
	conn, err := net.DialTimeout("unixgram", j.socket, journalPatience)
	if err == nil {
		defer conn.Close()
		if err = conn.SetWriteDeadline(time.Now().Add(journalPatience)); err == nil {
			_, err = conn.Write(journalEntry(l))
		}
	}
	if err != nil {
		return fmt.Errorf("%w: %w (actions.journal in the configuration file asks for it)", ErrJournal, err)
	}
	return nil
}

// journalEntry is a line in the journal's native protocol (https://systemd.io/JOURNAL_NATIVE_PROTOCOL): fields with their values' lengths, so that nothing in a value begins another field.
func journalEntry(l Line) []byte {
	var b []byte
	field := func(name, value string) {
		if value == "" {
			return
		}
		b = append(append(b, name...), '\n')
		b = binary.LittleEndian.AppendUint64(b, uint64(len(value)))
		b = append(append(b, value...), '\n')
	}
	priority := "5" // notice
	if l.State == Failed.String() || l.State == Unknown.String() {
		priority = "4" // warning
	}
	field("MESSAGE", l.text())
	field("PRIORITY", priority)
	field("SYSLOG_IDENTIFIER", "foretop")
	field("FORETOP_TIME", l.Time.Format(time.RFC3339Nano))
	field("FORETOP_ID", l.ID)
	field("FORETOP_USER", l.User)
	field("FORETOP_FROM", l.From)
	field("FORETOP_ACTION", string(l.Action))
	field("FORETOP_TARGET", l.Target)
	field("FORETOP_WHERE", l.Where)
	room := maxJournal
	for i, c := range l.Command {
		if room -= len(c); room < 0 {
			field("FORETOP_COMMAND", fmt.Sprintf("… and %d more: the audit file has them", len(l.Command)-i))
			break
		}
		field("FORETOP_COMMAND", c)
	}
	field("FORETOP_REASON", l.Reason)
	field("FORETOP_STATE", l.State)
	field("FORETOP_WORDS", l.Words)
	return b
}

// text is a line for people: "ann: drain gpu017 done: drained".
func (l Line) text() string {
	var b strings.Builder
	b.WriteString(l.User + ": " + string(l.Action) + " " + l.Target + " " + l.State)
	if l.Reason != "" && l.State == Starts {
		b.WriteString(", because " + l.Reason)
	}
	if l.Words != "" {
		b.WriteString(": " + l.Words)
	}
	return b.String()
}
