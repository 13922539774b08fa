package sshpool

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"

	"foretop/telemetry"
)

// askPassScript is what a system ssh starts for each thing that it asks (SSH_ASKPASS): it leaves the words in the master's folder, and waits there for the answer. What is only told,
// as "touch your key", is not answered; what is to be confirmed, not here.
const askPassScript = `#!/bin/sh
case ${SSH_ASKPASS_PROMPT:-} in none) exit 0 ;; confirm) exit 1 ;; esac
umask 077
d=${0%/*}
printf %s "$1" >"$d/words" && mv "$d/words" "$d/question" && exec cat "$d/answer"
`

// askPass has a master ask by the script. It has no terminal: an ssh that does not know SSH_ASKPASS_REQUIRE (before 8.4) asks the script too.
func (m *master) askPass() error {
	script := filepath.Join(m.folder, "ask")
	if err := os.WriteFile(script, []byte(askPassScript), 0o700); err != nil {
		return err
	}
	if err := makeFIFO(filepath.Join(m.folder, "answer")); err != nil {
		return err
	}
	ownSession(m.cmd)
	m.cmd.Env = append(os.Environ(), "SSH_ASKPASS="+script, "SSH_ASKPASS_REQUIRE=force")
	if os.Getenv("DISPLAY") == "" {
		m.cmd.Env = append(m.cmd.Env, "DISPLAY=:0")
	}
	return nil
}

// pass hands what the master asks to the person, and the answer back. It says whether there was anything. The wait ends with ctx, and with the master.
func (m *master) pass(ctx context.Context, asks *asks, a *ask) (answered bool, err error) {
	file := filepath.Join(m.folder, "question")
	words, err := os.ReadFile(file)
	if err != nil {
		return false, nil // nothing is asked
	}
	if err := os.Remove(file); err != nil {
		return false, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-m.exit.done:
			cancel()
		case <-ctx.Done():
		}
	}()
	prompt := Prompt{Text: telemetry.Clean(strings.TrimSpace(string(words)), maxPrompt)}
	answers, err := asks.talk(ctx, a, "", "", []Prompt{prompt})
	if err != nil {
		return false, err
	}
	defer wipe(answers)
	f, err := openFIFO(filepath.Join(m.folder, "answer"))
	for end := time.Now().Add(time.Second); err != nil && ctx.Err() == nil && time.Now().Before(end); f, err = openFIFO(filepath.Join(m.folder, "answer")) {
		time.Sleep(5 * time.Millisecond) // its reader is about to come
	}
	if err != nil {
		return false, err
	}
	_, err = f.Write(append(answers[0], '\n'))
	return true, errors.Join(err, f.Close())
}

// askedBySSH logs in by a system ssh whose questions a person answers: when there is one, who said so.
func (p *Pool) askedBySSH(ctx context.Context, r *Resolved, why string, via []string) (*sshCarrier, error) {
	o := aboutHost(AskInteractive, r, via)
	o.key += "\x00ssh" // ssh's words are its own: of what other hosts took nothing is used, and nothing is kept
	a, key, ok, err := p.asks.converse(o)
	if err != nil || !ok {
		return nil, p.sshAsksProblem(r, why, key, err)
	}
	c, err := p.loginBySSH(ctx, r, why, via, a)
	switch {
	case err == nil:
		p.asks.took(a, key, nil, false)
	case errors.Is(err, errClosed):
		return nil, p.sshAsksProblem(r, why, "", errClosed)
	case asProblem(err).state == NeedsAuth:
		p.asks.refused(a, notTaken(&sent{about: o}))
		return nil, p.sshAsksProblem(r, why, key, nil)
	default:
		p.asks.undecided(a, false)
		if ctx.Err() == nil {
			return nil, p.sshAsksProblem(r, why, key, nil)
		}
	}
	return c, err
}

// sshAsksProblem words a host whose ssh waits for a person.
func (p *Pool) sshAsksProblem(r *Resolved, why, key string, err error) *problem {
	who := r.User + "@" + r.HostName
	out := &problem{state: NeedsAuth, again: pauseHold, ask: key, cause: who + " asks for more than a key, by ssh (" + why + ")", remedy: "answer its questions",
		err: &AskedError{User: r.User, Host: r.HostName, Kind: AskInteractive, Closed: err != nil}}
	if err != nil {
		out.ask, out.remedy = "", "it was not answered, or wrongly: retry to be asked again, or log in by hand with ControlMaster, whose open connection is used: "+p.connectWords(r)
	}
	return out
}
