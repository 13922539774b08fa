package cli

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"foretop/config"
	"foretop/fleet"
	"foretop/simfleet"
	"foretop/sshpool"

	"golang.org/x/crypto/ssh"
)

// newDemo is `foretop demo`: the real program on a simulated fleet, which real SSH servers on loopback serve.
func newDemo(opts *options) *cobra.Command {
	var (
		screen   screenFlags
		sim      = simfleet.Options{Nodes: 64, Seed: 1}
		scenario string
	)
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Watch a simulated fleet",
		Long:  `Opens the screen on a simulated fleet: jobs of several frameworks, and faults that come and go. It is the real program; only the nodes and their schedulers are simulated, each node by an SSH server of its own on a loopback address. Every action may be tried: it is done to the simulation, and nowhere else. Nothing is read from or written to your SSH files, nor to your audit file.`,
		Args:  cobra.NoArgs,
		RunE: running(func(cmd *cobra.Command, _ []string) error {
			if sim.Nodes < 1 {
				return usage(fmt.Errorf("--nodes %d: a fleet has at least one", sim.Nodes))
			}
			cfg, err := opts.load()
			if err != nil {
				return err
			}
			if err := screen.over(cmd, &cfg); err != nil {
				return err
			}
			if sim.Scenario, err = readScenario(scenario); err != nil {
				return err
			}
			if err := needTerminal(); err != nil {
				return err
			}
			s, stop, err := openDemo(cmd.Context(), sim, layoutRules(cfg)...)
			if err != nil {
				return err
			}
			defer stop()
			hands := newDemoHands(cmd.Context(), cfg, s)
			defer hands.Close()
			return show(cmd.Context(), s.station, cfg, "demo", func(*fleet.Snapshot) {}, hands)
		}),
	}
	cmd.Flags().IntVar(&sim.Nodes, "nodes", sim.Nodes, "how many nodes of 8 GPUs")
	cmd.Flags().Uint64Var(&sim.Seed, "seed", sim.Seed, "another fleet with another seed, the same with the same")
	cmd.Flags().StringVar(&scenario, "scenario", "", "a scenario file (YAML) in place of the built-in one")
	screen.add(cmd)
	return cmd
}

// readScenario reads the file that says what goes wrong and when; without one it is the built-in scenario.
func readScenario(file string) (*simfleet.Scenario, error) {
	if file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read scenario: %w", err)
	}
	return simfleet.Parse(file, text)
}

// demoIdleAfter is when a held GPU counts as idle in the demo: nobody looks at it for the usual five minutes.
const demoIdleAfter = 20 * time.Second

// demo is a station that watches a simulated fleet.
type demo struct {
	*station
	sim   *simfleet.Fleet
	asked chan struct{} // its schedulers are asked soon
}

// ask has the played schedulers asked soon.
func (d *demo) ask() {
	select {
	case d.asked <- struct{}{}:
	default:
	}
}

// openDemo starts the simulated fleet and a station that watches it.
func openDemo(ctx context.Context, opt simfleet.Options, layouts ...fleet.LayoutRule) (*demo, func(), error) {
	sim, err := simfleet.Start(ctx, opt)
	if err != nil {
		return nil, nil, fmt.Errorf("start the simulated fleet: %w", err)
	}
	cfg := config.Default()
	watched := fleet.Options{IdleAfter: demoIdleAfter, Layouts: layouts}
	s := &demo{openRecorded(cfg, newBlackBox(cfg, nil, false, "demo", nil), watched, sshpool.Config{}, simTargets(sim.Nodes(), sim.Signer())), sim, make(chan struct{}, 1)}
	ctx, stop := context.WithCancel(ctx)
	s.tasks.Go(func() { s.schedule(ctx) })
	return s, func() {
		stop()
		s.Close()
		sim.Close()
	}, nil
}

// demoAsked is how often the played schedulers are asked.
const demoAsked = 5 * time.Second

// schedule tells the fleet what the played schedulers know.
func (d *demo) schedule(ctx context.Context) {
	tick := time.NewTicker(demoAsked)
	defer tick.Stop()
	for {
		for _, p := range d.sim.Model().Pictures(d.sim.At(time.Now())) {
			d.Scheduled(p)
		}
		select {
		case <-d.asked:
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// simTargets says how to reach simulated nodes without a file or a program of ssh's.
func simTargets(nodes []simfleet.NodeInfo, key ssh.Signer) []sshpool.Target {
	var targets []sshpool.Target
	for _, n := range nodes {
		targets = append(targets, sshpool.Target{Name: n.Name, Resolved: &sshpool.Resolved{
			Alias: n.Name, HostName: n.Addr, Port: n.Port, User: n.User, IdentityAgent: "none", IdentitiesOnly: true,
			HostKeys: []ssh.PublicKey{n.HostKey}, Signers: []ssh.Signer{key},
		}})
	}
	return targets
}
