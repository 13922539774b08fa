package sshpool

import (
	"fmt"

	"golang.org/x/crypto/ssh"
)

// Term is the terminal that a shell is shown on.
type Term struct {
	Type           string // of terminfo: "xterm-256color"
	Columns, Lines int
	Env            map[string]string // LANG and LC_*: what the node's sshd does not want it leaves out
}

// ask asks for a terminal on a session's channel.
func (t *Term) ask(c ssh.Channel) error {
	for name, value := range t.Env {
		if _, err := c.SendRequest("env", false, ssh.Marshal(struct{ Name, Value string }{name, value})); err != nil {
			return err
		}
	}
	ok, err := c.SendRequest("pty-req", true, ssh.Marshal(struct {
		Term                                 string
		Columns, Lines, WidthPixel, HeightPx uint32
		Modes                                string
	}{t.Type, cells(t.Columns), cells(t.Lines), 0, 0, "\x00"}))
	if err == nil && !ok {
		err = &problem{state: Refused, again: pauseLong, cause: "the node's sshd gives no terminal", remedy: "check PermitTTY in its sshd_config and no-pty in authorized_keys"}
	}
	if err != nil {
		return fmt.Errorf("ask for a terminal: %w", err)
	}
	return nil
}

func windowOf(columns, lines int) []byte {
	return ssh.Marshal(struct{ Columns, Lines, WidthPixel, HeightPx uint32 }{cells(columns), cells(lines), 0, 0})
}

func cells(n int) uint32 { return uint32(min(max(n, 1), 1<<15)) }
