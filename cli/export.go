package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"foretop/export"
	"foretop/fleet"
)

// exportEvery is how often a new picture is taken for scrapes: no Prometheus asks more often.
const exportEvery = time.Second

// newExport is `foretop export`: the fleet for a Prometheus server, which keeps the history.
func newExport(opts *options) *cobra.Command {
	var (
		listen  string
		what    choice
		noHooks bool
	)
	cmd := &cobra.Command{
		Use:   "export [NODE...]",
		Short: "Publish the fleet for Prometheus",
		Long: `Watches the fleet as the screen does, and publishes it at http://ADDRESS/metrics in OpenMetrics, or in Prometheus's text format for whoever asks for that. What dcgm-exporter and node_exporter publish has their names; everything else is foretop_*. export/METRICS.md lists all of it, and how much there is of it.

Anybody who reaches the address can read names of nodes, users and jobs: it is this machine's loopback unless you say otherwise. It runs until it is ended, by Ctrl-C or SIGTERM.

The configuration file's hooks are told what begins to be wrong: hooks/EVENTS.md.`,
		ValidArgsFunction: opts.completeNodes,
		Example: `foretop export --all
foretop export --listen 127.0.0.1:9400 'gpu[001-064]'
# and in prometheus.yml
scrape_configs:
  - job_name: foretop
    honor_labels: true
    static_configs: [{targets: ["127.0.0.1:9400"]}]`,
		RunE: running(func(cmd *cobra.Command, args []string) error {
			cfg, names, err := opts.loadFor(args)
			if err != nil {
				return err
			}
			l, err := listenOn(listen)
			if err != nil {
				return err
			}
			defer l.Close()
			told, err := openHooks(cmd.Context(), cfg, titleOf(names, what), noHooks, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			defer told.Close()
			what.who = opts.openTerminal()
			c, err := openChosen(cmd.Context(), cfg, askingPool(cfg, what.who), names, what)
			if err != nil {
				return err
			}
			defer c.Close()
			c.found.keep(cfg)
			fmt.Fprintf(cmd.ErrOrStderr(), "foretop: publishing %s at http://%s/metrics%s\n", c.title, l.Addr(), openTo(l.Addr()))
			looked := func(*fleet.Snapshot) {}
			if c.follower != nil {
				looked = c.follower.looked
			}
			return c.serve(cmd.Context(), l, telling(looked, told))
		}),
	}
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:9400", "the `ADDRESS:PORT` to publish at; :9400 is every address of this machine")
	cmd.Flags().BoolVar(&noHooks, "no-hooks", false, "tell the configuration's hooks nothing: another foretop does")
	opts.addSSH(cmd)
	what.add(cmd, "publish")
	return cmd
}

func listenOn(address string) (net.Listener, error) {
	if _, _, err := net.SplitHostPort(address); err != nil {
		return nil, usage(fmt.Errorf("--listen %q: write an address and a port, such as 127.0.0.1:9400", address))
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("%w; --listen names another address or port", err)
	}
	return l, nil
}

// openTo warns of an address that others than this machine reach.
func openTo(a net.Addr) string {
	if t, ok := a.(*net.TCPAddr); ok && t.IP.IsLoopback() {
		return ", to this machine only"
	}
	return ": whoever reaches this machine can read it"
}

// serve answers scrapes until ctx ends.
func (s *station) serve(ctx context.Context, l net.Listener, looked func(*fleet.Snapshot)) error {
	failed := make(chan error, 2)
	looked(s.Publish())
	s.publish(ctx, exportEvery, looked, func(err error) { failed <- err })
	server := &http.Server{
		Handler: export.NewScrape(s.Snapshot), ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 10 * time.Second, IdleTimeout: 5 * time.Minute, MaxHeaderBytes: 16 << 10,
	}
	go func() { failed <- server.Serve(l) }()
	var err error
	select {
	case err = <-failed:
	case <-ctx.Done():
	}
	// A scrape that is being answered may end; a slow one is cut off.
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer cancel()
	if server.Shutdown(last) != nil {
		_ = server.Close()
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}
