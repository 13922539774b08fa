package findings

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"foretop/fleet"
	"foretop/simfleet"
)

// claim is one thing that was said: on a node, or of a job.
type claim struct {
	at         time.Duration // when it was first said
	rule, text string
	node       string // of a problem; "" a verdict
	gpu, port  int
	job        string   // the job's name
	nodes      []string // of the job
	suspects   []fleet.Suspect
	severity   fleet.Severity
}

// first is whom it accuses first.
func (c *claim) first() (fleet.Suspect, bool) {
	if len(c.suspects) == 0 {
		return fleet.Suspect{}, false
	}
	return c.suspects[0], true
}

// key is the same for what is said again a second later.
func (c *claim) key() string {
	if c.node != "" {
		subject, _, _ := strings.Cut(c.text, ":")
		return fmt.Sprintf("%s %d %d %s", c.node, c.gpu, c.port, subject)
	}
	s, _ := c.first()
	return fmt.Sprintf("%s %s %s", c.job, c.rule, s)
}

// claims are what a snapshot says, notices too.
func claims(s *fleet.Snapshot, at time.Duration) (list []claim) {
	for _, n := range s.Nodes {
		for i := range n.Problems {
			if p := &n.Problems[i]; p.Severity >= fleet.Notice {
				list = append(list, claim{at: at, rule: p.Rule, text: p.Text, node: n.Name, gpu: p.GPU, port: p.Port, severity: p.Severity})
			}
		}
	}
	for _, j := range s.Jobs {
		found := j.Findings
		if !j.Ended.IsZero() {
			found = []fleet.Verdict{{Rule: "job.ended", Text: j.StateText, Severity: j.Severity}}
		}
		for _, v := range found {
			if v.Severity >= fleet.Notice {
				list = append(list, claim{at: at, rule: v.Rule, text: v.Text, gpu: -1, port: -1, job: j.Name, nodes: j.Nodes, suspects: v.Suspects, severity: v.Severity})
			}
		}
	}
	return list
}

// expected says, of a kind of fault, which claim names it and its culprit, and how soon that should be.
type expected struct {
	class string // hardware, hang, straggler, other
	names func(c *claim, a *simfleet.Aim) bool
}

// onGPU is a problem of the GPU, or a verdict that accuses it first.
func onGPU(c *claim, a *simfleet.Aim) bool {
	s, ok := c.first()
	return c.node == a.Node && c.gpu == a.GPU || ok && s.Node == a.Node && s.GPU == a.GPU && a.GPU >= 0
}

// onRank is a verdict that accuses the rank first.
func onRank(c *claim, a *simfleet.Aim) bool {
	s, ok := c.first()
	return ok && s.Rank == a.Rank && s.Node == a.Node
}

func onNode(c *claim, a *simfleet.Aim) bool {
	s, ok := c.first()
	return c.node == a.Node && c.gpu < 0 && c.port < 0 || ok && s.Node == a.Node && s.GPU < 0 && s.Rank < 0
}

func onPort(c *claim, a *simfleet.Aim) bool {
	s, ok := c.first()
	return c.node == a.Node && c.port == a.Port || ok && s.Node == a.Node && s.Port == a.Port
}

// ofItsJob is a verdict about a job that runs where the fault came down.
func ofItsJob(c *claim, a *simfleet.Aim) bool { return slices.Contains(c.nodes, a.Node) }

func byRule(id string, culprit func(*claim, *simfleet.Aim) bool) func(*claim, *simfleet.Aim) bool {
	return func(c *claim, a *simfleet.Aim) bool { return c.rule == id && culprit(c, a) }
}

func either(x, y func(*claim, *simfleet.Aim) bool) func(*claim, *simfleet.Aim) bool {
	return func(c *claim, a *simfleet.Aim) bool { return x(c, a) || y(c, a) }
}

// expectations are all kinds of faults that something is to be said of.
func expectations() map[simfleet.Kind]expected {
	mentions := func(word string) func(*claim, *simfleet.Aim) bool {
		return func(c *claim, _ *simfleet.Aim) bool { return strings.Contains(c.text, word) }
	}
	both := func(x, y func(*claim, *simfleet.Aim) bool) func(*claim, *simfleet.Aim) bool {
		return func(c *claim, a *simfleet.Aim) bool { return x(c, a) && y(c, a) }
	}
	return map[simfleet.Kind]expected{
		simfleet.NodeDies:           {"hardware", onNode},
		simfleet.NodeFreezes:        {"hardware", onNode},
		simfleet.HalfOpen:           {"hardware", onNode},
		simfleet.GPULost:            {"hardware", onGPU},
		simfleet.ThermalThrottle:    {"hardware", onGPU},
		simfleet.ECC:                {"hardware", onGPU},
		simfleet.RowRemap:           {"hardware", onGPU},
		simfleet.RecoveryAction:     {"hardware", onGPU},
		simfleet.SRAMThreshold:      {"hardware", onGPU},
		simfleet.NVLinkDown:         {"hardware", onGPU},
		simfleet.FabricUnregistered: {"hardware", onGPU},
		simfleet.LinkFlap:           {"hardware", onPort},
		simfleet.OOMKill: {"hardware", both(either(onNode, func(c *claim, a *simfleet.Aim) bool {
			s, ok := c.first()
			return ok && c.job == a.Job && s.Node == a.Node
		}), mentions("OOM"))},
		simfleet.Straggler: {"straggler", byRule("job.straggler", onGPU)},
		simfleet.NodeSlow:  {"straggler", byRule("job.straggler", onNode)},
		simfleet.CPUSteal:  {"straggler", byRule("job.straggler", onNode)},
		simfleet.NICSlow: {"straggler", either(onPort, byRule("job.straggler", func(c *claim, a *simfleet.Aim) bool {
			s, _ := c.first()
			return s.Node == a.Node && s.GPU == a.Port
		}))},
		simfleet.Hang: {"hang", byRule("job.hang", func(c *claim, a *simfleet.Aim) bool {
			if a.GPU >= 0 {
				return onRank(c, a)
			}
			return ofItsJob(c, a) && len(c.suspects) == 0
		})},
		simfleet.RankStopped:     {"hang", onRank},
		simfleet.Dataloader:      {"other", byRule("job.dataloader", func(c *claim, a *simfleet.Aim) bool { return ofItsJob(c, a) })},
		simfleet.CheckpointStall: {"other", byRule("job.checkpoint-stall", onNode)},
		simfleet.MemoryCreep: {"other", byRule("job.memory-creep", func(c *claim, a *simfleet.Aim) bool {
			if a.GPU >= 0 {
				return onGPU(c, a)
			}
			return onNode(c, a)
		})},
	}
}

// explains says that a claim is of what a fault does, though it may not name it: of its node, or of a job that it stops or slows, so long as nobody else is accused.
func explains(a *simfleet.Aim, c *claim) bool {
	if c.at < a.From || a.To < 1<<62 && c.at > a.To+150*time.Second {
		return false
	}
	if c.node != "" {
		return c.node == a.Node
	}
	if s, ok := c.first(); ok && a.Kind != simfleet.Dataloader {
		return s.Node == a.Node
	}
	return ofItsJob(c, a)
}

// tally counts one kind of fault, or all.
type tally struct {
	faults, named, wrong int
	times                []time.Duration
}

func (t *tally) add(o tally) {
	t.faults, t.named, t.wrong, t.times = t.faults+o.faults, t.named+o.named, t.wrong+o.wrong, append(t.times, o.times...)
}

func (t *tally) precision() float64 { return ratio(t.named, t.named+t.wrong) }
func (t *tally) recall() float64    { return ratio(t.named, t.faults) }

func (t *tally) f1() float64 {
	p, r := t.precision(), t.recall()
	if p+r == 0 {
		return 0
	}
	return 2 * p * r / (p + r)
}

func (t *tally) median() time.Duration {
	if len(t.times) == 0 {
		return 0
	}
	slices.Sort(t.times)
	return t.times[len(t.times)/2]
}

func ratio(a, b int) float64 {
	if b == 0 {
		return 1
	}
	return float64(a) / float64(b)
}

// trial is a scenario and what it is run over.
type trial struct {
	name     string
	scenario *simfleet.Scenario
	seed     uint64
	until    time.Duration
	wrong    []string
	missed   []string
}

// run plays a trial with the nodes that its faults' jobs run on, and gives what came of each kind.
func (tr *trial) run(t testing.TB) map[simfleet.Kind]*tally {
	m, err := simfleet.NewModel(simfleet.ModelOptions{Nodes: 64, Seed: tr.seed, Scenario: tr.scenario, Epoch: noon})
	if err != nil {
		t.Fatal(err)
	}
	aims := slices.DeleteFunc(m.Aims(), func(a simfleet.Aim) bool { return isPhase(a.Kind) })
	watched := map[string]bool{}
	for _, a := range m.Aims() {
		watched[a.Node] = true
		for _, n := range a.Nodes {
			watched[n] = true
		}
	}
	s := playingSome(t, m, func(name string) bool { return watched[name] })
	said := map[string]*claim{}
	for s.at < tr.until {
		snap := s.step()
		for _, c := range claims(snap, s.at) {
			if k := c.key(); said[k] == nil {
				said[k] = &c
			} else if said[k].severity < c.severity {
				said[k].severity, said[k].text = c.severity, c.text
			}
		}
	}
	out := map[simfleet.Kind]*tally{}
	all := expectations()
	for i := range aims {
		a := &aims[i]
		x, ok := all[a.Kind]
		if !ok {
			continue
		}
		y := out[a.Kind]
		if y == nil {
			y = &tally{}
			out[a.Kind] = y
		}
		y.faults++
		best := time.Duration(-1)
		for _, c := range said {
			if c.at >= a.From && x.names(c, a) && (best < 0 || c.at < best) {
				best = c.at
			}
		}
		if best < 0 {
			tr.missed = append(tr.missed, fmt.Sprintf("%s: %s on %s GPU %d rank %d is not named", tr.name, a.Kind, a.Node, a.GPU, a.Rank))
			continue
		}
		y.named++
		y.times = append(y.times, best-a.From)
	}
	for _, c := range said {
		if c.severity > fleet.Notice && !slices.ContainsFunc(aims, func(a simfleet.Aim) bool { return explains(&a, c) }) {
			kind := simfleet.Kind("healthy")
			if len(aims) > 0 {
				kind = aims[0].Kind
			}
			if out[kind] == nil {
				out[kind] = &tally{}
			}
			out[kind].wrong++
			tr.wrong = append(tr.wrong, fmt.Sprintf("%s: after %s: %s%s %s (%s, suspects %v)", tr.name, c.at, c.node, c.job, c.text, c.rule, c.suspects))
		}
	}
	return out
}

func isPhase(k simfleet.Kind) bool {
	switch k {
	case simfleet.Evaluation, simfleet.SoloEvaluation, simfleet.Compilation, simfleet.Checkpoint, simfleet.SoloCheckpoint, simfleet.Away:
		return true
	}
	return false
}

// soak says that the long form of tests is wanted.
func soak() bool { return os.Getenv("FORETOP_SOAK") == "1" }

// report prints a table of tallies and returns the sum of all.
func report(t *testing.T, tallies map[simfleet.Kind]*tally) (all tally, classes map[string]*tally) {
	t.Helper()
	classes = map[string]*tally{}
	expect := expectations()
	var kinds []simfleet.Kind
	for k := range tallies {
		kinds = append(kinds, k)
	}
	slices.SortFunc(kinds, func(a, b simfleet.Kind) int {
		return cmp.Or(cmp.Compare(expect[a].class, expect[b].class), cmp.Compare(a, b))
	})
	var b strings.Builder
	line := func(class, name string, y *tally) {
		fmt.Fprintf(&b, "%-10s %-20s %6d %6d %6d %9.3f %7.3f %6.3f %8s\n", class, name, y.faults, y.named, y.wrong, y.precision(), y.recall(), y.f1(), y.median())
	}
	fmt.Fprintf(&b, "\n%-10s %-20s %6s %6s %6s %9s %7s %6s %8s\n", "class", "fault", "faults", "named", "wrong", "precision", "recall", "F1", "median")
	for _, k := range kinds {
		class := expect[k].class
		line(class, string(k), tallies[k])
		if classes[class] == nil {
			classes[class] = &tally{}
		}
		classes[class].add(*tallies[k])
		all.add(*tallies[k])
	}
	for _, class := range []string{"hardware", "hang", "straggler", "other"} {
		if y := classes[class]; y != nil {
			line(class, "all", y)
		}
	}
	line("", "all", &all)
	t.Log(b.String())
	return all, classes
}
