package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"foretop/config"
)

// options are the flags that several commands share.
type options struct {
	configFile string
	sshConfig  string
	batch      bool // nobody is asked
}

// addConfig gives a command, and those under it, the flag that names the configuration file.
func (o *options) addConfig(cmd *cobra.Command) {
	cmd.PersistentFlags().StringVar(&o.configFile, "config", "", "another configuration file than foretop/config.yaml in $XDG_CONFIG_HOME or ~/.config")
}

// load reads the configuration file. Where -F was given, it goes before the file's ssh.config.
func (o *options) load() (config.Config, error) {
	home, _ := os.UserHomeDir()
	path := o.configFile
	if path == "" {
		path = config.Path(os.Getenv, home)
	}
	cfg, err := config.Load(path, o.configFile != "", knownRules)
	if err != nil {
		return config.Config{}, err
	}
	if o.sshConfig != "" {
		cfg.SSH.Config = o.sshConfig
	} else {
		cfg.SSH.Config = inHome(cfg.SSH.Config, home)
	}
	return cfg, nil
}

// inHome puts the user's home folder for ~/ at the start of a path.
func inHome(path, home string) string {
	if rest, ok := strings.CutPrefix(path, "~/"); ok && home != "" {
		return filepath.Join(home, rest)
	}
	return path
}

// loadFor reads the configuration file, and gives the nodes that sets of the command line name with its groups.
func (o *options) loadFor(sets []string) (config.Config, []string, error) {
	cfg, err := o.load()
	if err != nil {
		return cfg, nil, err
	}
	names, err := expand(cfg, sets)
	return cfg, names, err
}

// expand gives the nodes that sets of the command line name, with the groups of the configuration.
func expand(cfg config.Config, sets []string) ([]string, error) {
	nodes, err := cfg.Groups.Expand(sets...)
	if err != nil {
		return nil, usage(err)
	}
	return nodes, nil
}

// didYouMean is the end of an error about a word that nothing has: the nearest word as a question, or nothing.
func didYouMean(word string, words []string) string {
	if near, ok := config.Nearest(word, words); ok {
		return fmt.Sprintf(": did you mean %s?", near)
	}
	return ""
}
