package actions

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"foretop/fleet"
	"foretop/schedulers"
)

// cluster is a scheduler in memory, behind a connection that can be cut. An order that is on its way when that happens may still arrive.
type cluster struct {
	mu       sync.Mutex
	rand     *rand.Rand
	marks    map[string]schedulers.NodeMark
	orders   map[string]int // times that an order took effect, by node
	down     bool
	refuses  string
	arriving sync.WaitGroup
}

func newCluster(seed uint64) *cluster {
	return &cluster{rand: rand.New(rand.NewPCG(seed, 1)), marks: map[string]schedulers.NodeMark{}, orders: map[string]int{}}
}

func (c *cluster) Commands(o schedulers.Order) []string {
	return []string{"scontrol update NodeName=" + o.Node + " State=" + strings.ToUpper(string(o.Verb)) + " Reason=" + o.Reason}
}

func (c *cluster) wait(most time.Duration) {
	c.mu.Lock()
	d := time.Duration(c.rand.Int64N(int64(most)))
	c.mu.Unlock()
	time.Sleep(d)
}

func (c *cluster) cut() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.down
}

func (c *cluster) Do(_ context.Context, o schedulers.Order, say func(string)) error {
	say("asking")
	c.wait(200 * time.Millisecond)
	if c.cut() {
		return fmt.Errorf("%w: no route to host", ErrNotSent)
	}
	c.wait(100 * time.Millisecond) // it is on its way
	if c.refuses != "" {
		return &schedulers.RefusedError{Words: c.refuses}
	}
	if c.cut() {
		c.mu.Lock()
		arrives := c.rand.IntN(2) == 0
		c.mu.Unlock()
		if arrives {
			c.arriving.Go(func() { c.wait(orderSettles - time.Second); c.apply(o) })
		}
		return fmt.Errorf("connection reset: %w", schedulers.ErrUnsure)
	}
	c.apply(o)
	c.wait(100 * time.Millisecond) // the answer is on its way
	if c.cut() {
		return fmt.Errorf("connection reset: %w", schedulers.ErrUnsure)
	}
	return nil
}

func (c *cluster) apply(o schedulers.Order) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.marks[o.Node] = schedulers.NodeMark{Draining: o.Verb == schedulers.Drain, Reason: o.Reason, By: "ann"}
	c.orders[o.Node]++
}

func (c *cluster) Look(_ context.Context, o schedulers.Order) (bool, string, error) {
	c.wait(100 * time.Millisecond)
	if c.cut() {
		return false, "", errors.New("no route to host")
	}
	m, err := c.Mark(context.Background(), o.Node)
	return m.Draining == (o.Verb == schedulers.Drain), m.Reason, err
}

func (c *cluster) Mark(_ context.Context, node string) (schedulers.NodeMark, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.marks[node], nil
}

// fleetOf is a snapshot of nodes that a Slurm has, each proven.
func fleetOf(t testing.TB, n int) *fleet.Snapshot {
	t.Helper()
	f := fleet.New(fleet.Options{})
	for i := range n {
		f.Add(name(i))
	}
	s := f.Publish()
	for i, node := range s.Nodes {
		at := *node
		at.State = fleet.Live
		at.Scheduled = []fleet.ScheduledNode{{Kind: "slurm", Cluster: "bay", Node: &schedulers.Node{Name: node.Name}, Proof: fleet.ProofHost}}
		*s.Nodes[i] = at
	}
	return s
}

func name(i int) string { return fmt.Sprintf("gpu%04d", i+1) }

func names(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = name(i)
	}
	return out
}

func planner(c *cluster) *Planner {
	return &Planner{User: "ann", Quote: func(argv ...string) string { return strings.Join(argv, " ") }, Actor: func(string, string) schedulers.Actor { return c }}
}

func auditLines(t testing.TB, path string) []Line {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out []Line
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var l Line
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			t.Fatalf("%s: %v", lines.Text(), err)
		}
		out = append(out, l)
	}
	return out
}

// A thousand drains, and the network is pulled at a random moment and plugged in again later: what is reported is what happened, nothing was done twice, and the
// audit file has each step's beginning and its end.
func TestDrainsWithTheNetworkPulled(t *testing.T) {
	seeds := uint64(6)
	if os.Getenv("FORETOP_SOAK") != "" {
		seeds = 50
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "audit.jsonl")
			synctest.Test(t, func(t *testing.T) {
				const n = 1000
				c := newCluster(seed)
				audit := OpenAudit(path, nil)
				defer audit.Close()
				desk := &Desk{Audit: audit, User: "ann", From: "login1"}
				p := planner(c).Preview(fleetOf(t, n), Intent{Kind: Drain, Nodes: names(n), Reason: "fan"})
				if p.Trouble != "" || p.Count != n {
					t.Fatalf("%+v", p)
				}
				j, err := desk.Start(t.Context(), p, fmt.Sprint(n))
				if err != nil {
					t.Fatal(err)
				}
				c.wait(8 * time.Second)
				c.mu.Lock()
				c.down = true
				c.mu.Unlock()
				c.wait(2 * time.Minute)
				c.mu.Lock()
				c.down = false
				c.mu.Unlock()
				<-j.Done()
				c.arriving.Wait()
				results, _ := j.Results()
				count := map[State]int{}
				for i, r := range results {
					count[r.State]++
					happened := c.orders[name(i)]
					if happened > 1 {
						t.Errorf("%s: done %d times", r.Target, happened)
					}
					if !r.State.Final() || (r.State == Done) != (happened == 1) {
						t.Errorf("%s: reported %s (%s), and it happened %d times", r.Target, r.State, r.Words, happened)
					}
				}
				begun, ended := map[string]int{}, map[string]string{}
				for _, l := range auditLines(t, path) {
					if l.State == Starts {
						begun[l.Target]++
						continue
					}
					if begun[l.Target] != 1 {
						t.Errorf("%s ended before it began", l.Target)
					}
					ended[l.Target] = l.State
				}
				for _, r := range results {
					if begun[r.Target] != 1 || ended[r.Target] != r.State.String() {
						t.Errorf("%s is %s; in the audit file it began %d times and ended %q", r.Target, r.State, begun[r.Target], ended[r.Target])
					}
				}
				t.Log(count)
			})
		})
	}
}

// Cancelling stops what has not started and nothing else.
func TestCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(1)
		audit := OpenAudit(filepath.Join(t.TempDir(), "audit"), nil)
		defer audit.Close()
		p := planner(c).Preview(fleetOf(t, 500), Intent{Kind: Drain, Nodes: names(500), Reason: "fan"})
		j, err := (&Desk{Audit: audit}).Start(t.Context(), p, "500")
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(700 * time.Millisecond)
		j.Cancel()
		j.Cancel()
		<-j.Done()
		results, _ := j.Results()
		done, not := 0, 0
		for i, r := range results {
			switch r.State {
			case Done:
				done++
			case NotStarted:
				not++
			}
			if (r.State == Done) != (c.orders[name(i)] == 1) {
				t.Errorf("%s: %s", r.Target, r.State)
			}
		}
		if done < width || not < 100 || done+not != 500 {
			t.Errorf("%d done, %d not started", done, not)
		}
	})
}

// Nothing is done without a confirmation, without an audit file, or where nothing may be done.
func TestNothingIsDone(t *testing.T) {
	full := filepath.Join(t.TempDir(), "folder")
	if err := os.Mkdir(full, 0o700); err != nil {
		t.Fatal(err)
	}
	fifo := filepath.Join(t.TempDir(), "fifo")
	mkfifo(t, fifo)
	for what, c := range map[string]struct {
		desk         func(a *Audit) *Desk
		path, answer string
		nodes        int
		want         string
	}{
		"another answer":      {func(a *Audit) *Desk { return &Desk{Audit: a} }, "", "Y", 1, "not confirmed"},
		"no answer":           {func(a *Audit) *Desk { return &Desk{Audit: a} }, "", "", 1, "not confirmed"},
		"y for many":          {func(a *Audit) *Desk { return &Desk{Audit: a} }, "", "y", 2, "not confirmed"},
		"another number":      {func(a *Audit) *Desk { return &Desk{Audit: a} }, "", "3", 2, "not confirmed"},
		"no audit file":       {func(*Audit) *Desk { return &Desk{} }, "", "y", 1, "no audit file is configured"},
		"read-only":           {func(a *Audit) *Desk { return &Desk{Audit: a, ReadOnly: "started with --readonly"} }, "", "y", 1, "--readonly"},
		"a folder":            {func(a *Audit) *Desk { return &Desk{Audit: a} }, full, "y", 1, "is a directory"},
		"a pipe nobody reads": {func(a *Audit) *Desk { return &Desk{Audit: a} }, fifo, "y", 1, "no regular file"},
	} {
		t.Run(what, func(t *testing.T) {
			path := c.path
			if path == "" {
				path = filepath.Join(t.TempDir(), "audit")
			}
			a := OpenAudit(path, nil)
			defer a.Close()
			slurm := newCluster(1)
			p := planner(slurm).Preview(fleetOf(t, c.nodes), Intent{Kind: Drain, Nodes: names(c.nodes), Reason: "fan"})
			j, err := c.desk(a).Start(t.Context(), p, c.answer)
			words := ""
			if err != nil {
				words = err.Error()
			} else {
				<-j.Done()
				results, _ := j.Results()
				words = results[0].State.String() + ": " + results[0].Words
			}
			if !strings.Contains(words, c.want) || len(slurm.orders) > 0 {
				t.Errorf("%q, orders %v", words, slurm.orders)
			}
		})
	}
}

// What a scheduler refuses is told in its own words, and hostile words reach neither screen nor file raw.
func TestRefusedInItsOwnWords(t *testing.T) {
	c := newCluster(1)
	c.refuses = "slurm_update error: \x1b[31mAccess/permission denied\n\"$(reboot)\""
	path := filepath.Join(t.TempDir(), "deep", "er", "audit")
	var also []Line
	a := OpenAudit(path, func(l Line) error { also = append(also, l); return nil })
	defer a.Close()
	p := planner(c).Preview(fleetOf(t, 1), Intent{Kind: Drain, Nodes: names(1), Reason: "  \x1b]0;x\x07 $(reboot) `id`\n; rm -rf \"/\" "})
	j, err := (&Desk{Audit: a, User: "ann", From: "login1"}).Start(t.Context(), p, "y")
	if err != nil {
		t.Fatal(err)
	}
	<-j.Done()
	r, _ := j.Results()
	if r[0].State != Failed || !strings.Contains(r[0].Words, "Access/permission denied") || strings.ContainsAny(r[0].Words, "\x1b\n") {
		t.Errorf("%+v", r[0])
	}
	if strings.ContainsAny(p.Intent.Reason, "\x1b\x07\n") || !strings.Contains(p.Intent.Reason, "$(reboot) `id`") {
		t.Errorf("reason %q", p.Intent.Reason)
	}
	lines := auditLines(t, path)
	if len(lines) != 2 || lines[0].State != Starts || lines[1].State != "failed" || lines[0].Reason != p.Intent.Reason || lines[0].User != "ann" || !slices.Equal(lines[0].Command, p.Steps[0].Commands) || len(also) != 2 {
		t.Errorf("%+v", lines)
	}
	raw, err := os.ReadFile(path)
	if err != nil || strings.ContainsAny(strings.TrimSuffix(string(raw), "\n"), "\x1b") || strings.Count(string(raw), "\n") != 2 {
		t.Errorf("%q", raw)
	}
}
