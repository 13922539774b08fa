package cli

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"foretop/config"
	"foretop/fleet"
)

// addSSH gives a command the flags of its connections.
func (o *options) addSSH(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&o.sshConfig, "ssh-config", "F", "", "another ssh configuration file, as ssh -F takes it")
	cmd.Flags().BoolVar(&o.batch, "batch", false, "ask for nothing: no host key, passphrase, password or code")
}

// aliases are the host names that the ssh configuration spells out, for hints and completion.
func (o *options) aliases(cfg config.Config) []string {
	home, err := os.UserHomeDir()
	if err != nil {
		return nil
	}
	file := cfg.SSH.Config
	if file == "" {
		file = filepath.Join(home, ".ssh", "config")
	}
	return hostAliases(file, home)
}

// completeNodes offers host aliases and groups.
func (o *options) completeNodes(_ *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
	cfg, err := o.load()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	offers := o.aliases(cfg)
	for name := range cfg.Groups {
		offers = append(offers, "@"+name)
	}
	offers = slices.DeleteFunc(offers, func(s string) bool { return !strings.HasPrefix(s, begun) })
	slices.Sort(offers)
	return offers, cobra.ShellCompDirectiveNoFileComp
}

// resolves says whether a name is a host's. It asks the system's resolver, for a moment.
func resolves(name string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	_, err := net.DefaultResolver.LookupHost(ctx, name)
	return err == nil
}

// unresolved says that a node is not live because its name is nobody's: then the nearest known name helps.
func unresolved(n *fleet.Node) bool { return strings.HasPrefix(n.Cause, "name not found") }
