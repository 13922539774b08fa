package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"os"
	"path/filepath"
	"time"

	tea "charm.land/bubbletea/v2"

	"foretop/actions"
	"foretop/config"
	"foretop/schedulers"
	"foretop/sshpool"
)

// demoHands are hands on the simulated fleet: what is done is done to the model, previewed, confirmed and written down as everywhere. Nothing is run on this machine, and the
// audit file is one of its own, which goes with it.
type demoHands struct {
	*hands
	folder string // of the audit file; "" none
}

// newDemoHands makes them for a demo. Nothing is written before something is done; Close removes it.
func newDemoHands(ctx context.Context, cfg config.Config, d *demo) *demoHands {
	user := whoAmI()
	h := &hands{pool: d.pool, desk: actions.Desk{User: user, From: thisHost()}}
	h.ctx, h.stop = context.WithCancel(ctx)
	h.planner = actions.Planner{
		User: user, Fold: fold, Quote: sshpool.Quote, World: "demo", Away: "the demo runs nothing on this machine",
		Door: demoDoor{door{d.pool}},
		Actor: func(kind, cluster string) schedulers.Actor {
			if a := d.sim.Actor(kind, cluster, user, d.ask); a != nil {
				return a
			}
			return nil
		},
	}
	if cfg.ReadOnly {
		h.refusal, h.desk.ReadOnly = readOnlyWords, readOnlyWords
		return &demoHands{hands: h}
	}
	folder := filepath.Join(os.TempDir(), "foretop-demo-"+rand.Text())
	h.desk.Audit = actions.OpenAudit(filepath.Join(folder, "audit.jsonl"), nil)
	return &demoHands{h, folder}
}

// Close ends the audit file, and removes it.
func (h *demoHands) Close() {
	h.hands.Close()
	if h.folder != "" {
		_ = os.RemoveAll(h.folder)
	}
}

// Shell is refused: there is none to be had.
func (h *demoHands) Shell(string, *actions.Process) tea.ExecCommand { return noShell{} }

// noShell says that a simulated node has no shell.
type noShell struct{}

func (noShell) SetStdin(io.Reader)  {}
func (noShell) SetStdout(io.Writer) {}
func (noShell) SetStderr(io.Writer) {}

// Run says so.
func (noShell) Run() error {
	time.Sleep(rendererStops)
	return errors.New("the demo's nodes are simulated: they have no shell")
}

// demoDoor says of what a simulated node printed that it was played.
type demoDoor struct{ door }

const playedWords = "(played: the demo's nodes are simulated)\n"

// Run runs one of the few commands that simulated nodes have.
func (d demoDoor) Run(ctx context.Context, node string, argv []string, limit int) (actions.Output, error) {
	out, err := d.door.Run(ctx, node, argv, limit)
	if err == nil && out.Code == 0 {
		out.Text += playedWords
	}
	return out, err
}
