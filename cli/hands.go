package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"

	"foretop/actions"
	"foretop/config"
	"foretop/fleet"
	"foretop/schedulers"
	"foretop/sshpool"
)

// hands do what is confirmed on the screen or on the command line: they join the planner, which knows how things are done, with the desk, which does them.
type hands struct {
	ctx     context.Context
	stop    context.CancelFunc
	jobs    sync.WaitGroup // that are carried out
	closed  sync.Once
	planner actions.Planner
	desk    actions.Desk
	refusal string
	pool    *sshpool.Pool

	mu      sync.Mutex
	reasons []string // of drains, the latest first
}

const readOnlyWords = "nothing can be done: started with --readonly, or readonly: true is in the configuration file"

// thisHost is what the audit file calls this machine.
func thisHost() string {
	name, err := os.Hostname()
	if err != nil {
		return "?"
	}
	return name
}

// newHands makes them for what is chosen. Nothing is opened before it is needed; Close ends the audit file.
func newHands(ctx context.Context, cfg config.Config, c *chosen) *hands {
	h := &hands{pool: c.pool}
	h.ctx, h.stop = context.WithCancel(ctx)
	user := whoAmI()
	h.planner = actions.Planner{
		User: user, Fold: fold, Quote: sshpool.Quote, Drain: cfg.Actions.Drain, Resume: cfg.Actions.Resume,
		Door:  door{c.pool},
		Actor: func(kind, cluster string) schedulers.Actor { return c.actor(kind, cluster) },
	}
	h.desk = actions.Desk{User: user, From: thisHost()}
	if cfg.ReadOnly {
		h.refusal = readOnlyWords
		h.desk.ReadOnly = h.refusal
		return h
	}
	var err error
	if h.desk.Audit, err = openAudit(cfg); err != nil {
		h.refusal = err.Error()
		h.desk.ReadOnly = h.refusal
		return h
	}
	go h.remember(h.desk.Audit.Path()) // a file system that does not answer costs the reasons, not the screen
	return h
}

// lastWords is how long those who are at work get to write down how it stands.
const lastWords = 5 * time.Second

// Close ends what is carried out, as far as it can be, and the audit file once nobody writes to it any more.
func (h *hands) Close() {
	h.stop()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		h.jobs.Wait()
		if h.desk.Audit != nil {
			h.closed.Do(h.desk.Audit.Close)
		}
	}()
	select {
	case <-ended:
	case <-time.After(lastWords):
	}
}

// openAudit opens what actions are written down in.
func openAudit(cfg config.Config) (*actions.Audit, error) {
	path, err := auditPath(cfg)
	if err != nil {
		return nil, err
	}
	if cfg.Actions.Journal {
		return actions.OpenAudit(path, actions.OpenJournal(actions.JournalSocket).Send), nil
	}
	return actions.OpenAudit(path, nil), nil
}

// auditPath is the file in which actions are written down.
func auditPath(cfg config.Config) (string, error) {
	if cfg.Actions.Audit != "" {
		home, _ := os.UserHomeDir()
		path := inHome(cfg.Actions.Audit, home)
		if !filepath.IsAbs(path) {
			return "", fmt.Errorf("actions.audit in the configuration file is %s: write a whole path, or one that begins with ~/", path)
		}
		return path, nil
	}
	path, err := statePath("audit.jsonl")
	if err != nil {
		return "", fmt.Errorf("no place for the audit file: %w (set actions.audit in the configuration file)", err)
	}
	return path, nil
}

// Preview says what an intent comes to.
func (h *hands) Preview(s *fleet.Snapshot, in actions.Intent) *actions.Preview {
	return h.planner.Preview(s, in)
}

// Start has it done.
func (h *hands) Start(p *actions.Preview, answer string) (*actions.Job, error) {
	j, err := h.desk.Start(h.ctx, p, answer)
	if err == nil {
		h.jobs.Go(func() { <-j.Done() })
	}
	if err == nil && p.Intent.Kind == actions.Drain {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.reasons = slices.Insert(slices.DeleteFunc(h.reasons, func(r string) bool { return r == p.Intent.Reason }), 0, p.Intent.Reason)
	}
	return j, err
}

// Shell is an interactive shell on a node. It is written down as everything else.
func (h *hands) Shell(node string, at *actions.Process) tea.ExecCommand {
	place := sshpool.ShellAt{}
	target := node
	if at != nil {
		place = sshpool.ShellAt{PID: int(at.PID), Start: at.StartTicks, Enter: true}
		target = at.String()
	}
	return &noted{h.pool.Shell(h.ctx, node, place), &h.desk, actions.Line{Action: actions.Shell, Target: target, Where: node}}
}

// noted is a shell that is written down before it starts and after it ended.
type noted struct {
	*sshpool.Shell
	desk *actions.Desk
	line actions.Line
}

// rendererStops is how long Bubble Tea's renderer takes at most to stop when the terminal is given away. It stops its clock after it said that it had; where the terminal is back
// by then, that is the next renderer's clock, and nothing is drawn any more. So nothing that is given the terminal may give it back at once.
const rendererStops = 100 * time.Millisecond

// Run gives it the terminal until it ends.
func (n *noted) Run() error {
	time.Sleep(rendererStops)
	if err := n.desk.Note(&n.line, actions.Starts, ""); err != nil {
		return err
	}
	err := n.Shell.Run()
	state, words := actions.Done.String(), ""
	if err != nil {
		state, words = actions.Failed.String(), err.Error()
	}
	if noted := n.desk.Note(&n.line, state, words); err == nil {
		err = noted
	}
	return err
}

// Stacks asks where processes are, as it was confirmed.
func (h *hands) Stacks(p *actions.Preview, answer string, answered func(int)) ([]actions.Stack, error) {
	return h.desk.Stacks(h.ctx, p, answer, answered)
}

// Refusal is why nothing may be done; "" it may.
func (h *hands) Refusal() string { return h.refusal }

// User is who acts.
func (h *hands) User() string { return h.planner.User }

// maxPastReasons bounds how many are offered.
const maxPastReasons = 20

// Reasons are those that drains were given, the latest first, each once.
func (h *hands) Reasons() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.reasons)
}

// remember takes up the reasons that the audit file has.
func (h *hands) remember(path string) {
	var out []string
	lines, _ := readAudit(path)
	for _, l := range slices.Backward(lines) {
		if l.Action == actions.Drain && l.State == actions.Starts && l.Reason != "" && !slices.Contains(out, l.Reason) && len(out) < maxPastReasons {
			out = append(out, l.Reason)
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, r := range out {
		if !slices.Contains(h.reasons, r) {
			h.reasons = append(h.reasons, r)
		}
	}
}

// maxAuditRead bounds how much of an audit file is read: its end.
const maxAuditRead = 8 << 20

// readAudit reads an audit file; what is no line of one is left out.
func readAudit(path string) ([]actions.Line, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil {
		return nil, err
	} else if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no regular file", path)
	} else if from := info.Size() - maxAuditRead; from > 0 {
		if _, err := f.Seek(from, 0); err != nil {
			return nil, err
		}
	}
	var out []actions.Line
	scan := bufio.NewScanner(f)
	scan.Buffer(nil, 1<<20)
	for scan.Scan() {
		var l actions.Line
		if json.Unmarshal(scan.Bytes(), &l) == nil && l.ID != "" {
			out = append(out, l)
		}
	}
	return out, scan.Err()
}

// actor is who takes orders for a scheduler; nil: nobody does.
func (c *chosen) actor(kind, cluster string) schedulers.Actor {
	if c.follower == nil {
		return nil
	}
	return c.follower.actor(kind, cluster)
}
