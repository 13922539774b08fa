package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"foretop/fleet"
	"foretop/schedulers/kubernetes"
	"foretop/sshpool"
	"foretop/telemetry/facts"
)

// newDoctor is `foretop doctor`: the way to nodes, step by step, for whoever wants to know why one is not live.
func newDoctor(opts *options) *cobra.Command {
	d := doctor{}
	var kube string
	cmd := &cobra.Command{
		Use:   "doctor [NODE...]",
		Short: "Walk the way to nodes step by step, and say what to change",
		Long: `Reaches each node once, as foretop does when it watches it, and says of each step how long it took and what came of it: what ssh's configuration makes of the name, the transport, name look-up, TCP, key exchange, host key, login with each key that was offered, jump hosts with the same steps of their own, the login shell, the folder for the collector, the collector itself, and how each of its sources does. Where it ends, it says why and what to change.

It asks nothing and writes nothing, but for the collector that it starts. Of several nodes those with the same outcome are told once; -v walks through all. Without nodes it is this machine.

Exit codes: 0 all nodes were reached, 3 some node was not.`,
		ValidArgsFunction: opts.completeNodes,
		Example: `foretop doctor gpu017
foretop doctor 'gpu[001-064]'
foretop doctor --json @train | jq -r '.nodes[] | select(.reached | not) | [.node, .cause] | @tsv'`,
		RunE: running(func(cmd *cobra.Command, args []string) error {
			if d.timeout <= 0 {
				return usage(fmt.Errorf("--timeout %v: it is more than 0", d.timeout))
			}
			cfg, names, err := opts.loadFor(args)
			if err != nil {
				return err
			}
			targets := targetsOf(names)
			if cmd.Flags().Changed("kube") {
				kubernetes.Silence()
				o := kubernetes.Options{Context: kube}
				if !kubernetes.HasConfig(o) {
					return fmt.Errorf("--kube %s: no kubeconfig has such a context: see `kubectl config get-contexts`", kube)
				}
				door := kubeDoor(o, cfg.Kube.Namespace)
				for i := range targets {
					targets[i].Door = door
				}
			}
			found := d.examine(cmd.Context(), poolConfig(cfg), targets)
			if cfg.Kube.Exec && !cmd.Flags().Changed("kube") {
				otherWay(found)
			}
			if d.json {
				err = writeDiagnoses(cmd.OutOrStdout(), found)
			} else {
				_, err = io.WriteString(cmd.OutOrStdout(), tellDiagnoses(found, d.verbose, marksFor(utf8Locale(os.Getenv)), terminalWidth()))
			}
			if err != nil {
				return err
			}
			if slices.ContainsFunc(found, func(f diagnosis) bool { return !f.reached }) {
				return &failure{code: codeNotLive}
			}
			return nil
		}),
	}
	f := cmd.Flags()
	f.BoolVar(&d.json, "json", false, "print JSON: nodes with their steps and sources")
	f.BoolVarP(&d.verbose, "verbose", "v", false, "walk through every node")
	f.DurationVar(&d.timeout, "timeout", 90*time.Second, "how long a node may take; then the step at which it stalled is named")
	f.StringVar(&kube, "kube", "", "reach the nodes through the API of the Kubernetes `CONTEXT`, as kubernetes.exec does")
	opts.addSSH(cmd)
	return cmd
}

// otherWay adds to the remedies of nodes that SSH did not reach that the configuration has another way.
func otherWay(found []diagnosis) {
	const words = "kubernetes.exec is set: doctor --kube CONTEXT walks the way through the cluster, which foretop takes for its nodes where SSH does not lead there"
	for i := range found {
		switch f := &found[i]; {
		case f.reached:
		case f.remedy == "":
			f.remedy = words
		default:
			f.remedy += "; or, " + words
		}
	}
}

// doctor examines nodes.
type doctor struct {
	json, verbose bool
	timeout       time.Duration // for a node to be reached; its sources have sourcesWait more
}

// sourcesWait is how long a live node's sources may take to give their first answers: the collector calls one stuck after less.
const sourcesWait = 12 * time.Second

// diagnosis is what was found out about one node.
type diagnosis struct {
	name          string
	state         fleet.State
	reached       bool // its collector runs and speaks
	steps         []sshpool.Step
	stalled       string // the step at which it stood when its time was over; "": at none
	cause, remedy string // why it was not reached
	hello         *facts.Hello
	sources       []fleet.Source
	took          time.Duration
}

// examine reaches each target once, all at a time as the pool's pacing lets them, and gives what was found in the targets' order.
func (d *doctor) examine(ctx context.Context, ssh sshpool.Config, targets []sshpool.Target) []diagnosis {
	ssh.LookOnly = true
	once := 1000 * time.Hour // no node is tried twice
	ssh.Timing.BackoffMin, ssh.Timing.BackoffNear, ssh.Timing.BackoffMax, ssh.Timing.BackoffLong, ssh.Timing.TrustLook = once, once, once, once, once
	names := make([]string, len(targets))
	for i := range targets {
		targets[i].Trace = &sshpool.Trace{}
		names[i] = targets[i].Name
	}
	begun := time.Now()
	s := openStation(fleet.Options{}, ssh, targets)
	defer s.Close()
	detail := len(targets) <= detailNodes // what each source costs
	if detail {
		s.Watch(names)
	}
	found := make([]diagnosis, len(targets))
	live := make([]time.Time, len(targets))
	left := len(targets)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for left > 0 {
		stopped := false
		select {
		case <-tick.C:
		case <-ctx.Done():
			stopped = true
		}
		snap, now := s.Publish(), time.Now()
		for i, t := range targets {
			n := snap.Node(t.Name)
			if found[i].name != "" || n == nil {
				continue
			}
			if n.State == fleet.Live && live[i].IsZero() {
				live[i] = now
			}
			late := stopped || now.Sub(begun) > d.timeout
			switch {
			case !live[i].IsZero():
				if n.State == fleet.Live && !sourcesTold(n, detail) && now.Sub(live[i]) < sourcesWait && !stopped {
					continue
				}
			case n.State.Pending() && !late:
				continue
			}
			found[i] = diagnose(n, t.Trace.Steps())
			if found[i].took = now.Sub(begun); !live[i].IsZero() {
				found[i].took = live[i].Sub(begun)
			}
			left--
		}
	}
	return found
}

// sourcesTold says that each source of a live node has given an answer, and where detail was asked for that it came.
func sourcesTold(n *fleet.Node, detail bool) bool {
	return len(n.Sources) > 0 && !slices.ContainsFunc(n.Sources, func(s fleet.Source) bool { return s.State == facts.SourceState_SOURCE_UNKNOWN }) &&
		(!detail || slices.ContainsFunc(n.Sources, func(s fleet.Source) bool { return s.CallUS.Known() }))
}

// diagnose says what a node came to.
func diagnose(n *fleet.Node, steps []sshpool.Step) diagnosis {
	f := diagnosis{name: n.Name, state: n.State, cause: n.Cause, remedy: n.Remedy, hello: n.Hello, sources: n.Sources}
	for _, s := range steps {
		if s.Name != "turn" || s.End != sshpool.StepDone || s.Took > time.Second { // to wait for one's turn is news only where it is long
			f.steps = append(f.steps, s)
		}
	}
	f.reached = n.State == fleet.Live && n.Hello != nil
	switch {
	case f.reached:
		f.cause, f.remedy = "", ""
	case n.State == fleet.Live:
		f.cause, f.remedy = "the collector runs and says nothing", "look at what runs on the node: it may be overloaded"
		f.steps = append(f.steps, sshpool.Step{Name: "stream", End: sshpool.StepFailed, Cause: f.cause, Remedy: f.remedy})
	case n.State.Pending():
		f.stalls()
	}
	return f
}

// stalls words a node whose time was over: the innermost step that had not ended.
func (f *diagnosis) stalls() {
	f.stalled = "start"
	var at *sshpool.Step
	for i := range f.steps {
		if f.steps[i].End == sshpool.StepOpen {
			at = &f.steps[i]
		}
	}
	if at == nil {
		f.cause = "stalled before the first step"
		return
	}
	f.stalled = at.Name
	where := at.Name
	if at.Hop != "" {
		where += " with jump host " + at.Hop
	}
	f.cause, f.remedy = fmt.Sprintf("stalled at %s for %s", where, spellTime(at.Took)), stallRemedies[at.Name]
	at.Cause, at.Remedy = f.cause, f.remedy
}

// stallRemedies say what to look at when a step does not end.
var stallRemedies = map[string]string{
	"resolve":      "look at Match exec and CanonicalizeHostname in your ssh configuration",
	"name":         "check this machine's DNS",
	"turn":         "many nodes share one server or jump host: ask for fewer at a time, or give --timeout more",
	"TCP":          "check that the node is up and that no firewall drops its port",
	"jump host":    "another node's login to the jump host is waited for: see its steps",
	"forwarding":   "check that the node is up and reachable from the jump host",
	"server":       "its sshd hangs or something else listens there: look at the node's console",
	"key exchange": "the node may be overloaded, or the path may lose large packets: check its load, and the MTU of a VPN on the way",
	"host key":     "look at the node's sshd log",
	"login":        "its account checks (PAM, LDAP, home folder) may hang, or your agent waits for a confirmation: look at the node's sshd log and at ssh-add -l",
	"ssh":          "try the same by hand: ssh NODE",
	"shell":        "the login shell's start-up files or the home folder may hang: try `ssh` and a command there",
	"folder":       "a file system may hang there: look at the folders named",
	"upload":       "the line may be slow, or the disk there may hang: give --timeout more",
	"collector":    "the collector does not start: look at the node's load and its kernel log",
}

// troubled are the sources that a person may have to do something about.
func (f *diagnosis) troubled() []fleet.Source {
	return slices.DeleteFunc(slices.Clone(f.sources), func(s fleet.Source) bool {
		return s.State == facts.SourceState_SOURCE_OK || s.State == facts.SourceState_SOURCE_UNSUPPORTED && s.Remedy == ""
	})
}

// outcome is what two nodes have in common that came to the same end for the same reason, their own names and addresses left out.
func (f *diagnosis) outcome() string {
	var b strings.Builder
	own := strings.NewReplacer(f.ownWords()...)
	fmt.Fprintln(&b, f.state, f.reached, f.stalled)
	if at := f.culprit(); at != nil {
		fmt.Fprintln(&b, at.Name, at.Hop)
	}
	if f.stalled == "" {
		fmt.Fprintln(&b, own.Replace(f.cause), own.Replace(f.remedy))
	}
	for _, s := range f.troubled() {
		fmt.Fprintln(&b, s.Name, s.State, own.Replace(s.Text), own.Replace(s.Remedy))
	}
	return b.String()
}

// ownWords pair what names this very node with a common word.
func (f *diagnosis) ownWords() []string {
	words := []string{}
	for _, s := range f.steps {
		if s.Name == "resolve" && s.Hop == "" && len(s.Said) > 0 {
			_, addr, _ := strings.Cut(s.Said[0], "@")
			words = append(words, s.Said[0], "NODE", addr, "NODE")
			if host, _, ok := strings.Cut(addr, ":"); ok {
				words = append(words, host, "NODE")
			}
		}
	}
	return append(words, f.name, "NODE")
}

// culprit is the step that failed or stalled; nil: none did.
func (f *diagnosis) culprit() *sshpool.Step {
	if f.reached {
		return nil
	}
	for i := len(f.steps) - 1; i >= 0; i-- {
		if s := &f.steps[i]; s.Cause != "" && (s.End == sshpool.StepFailed || s.End == sshpool.StepOpen) {
			return s
		}
	}
	return nil
}
