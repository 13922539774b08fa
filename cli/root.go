package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

const rootLong = `foretop is htop for an AI training fleet: every job, rank and GPU of many nodes, live over SSH, in one terminal.
Nothing needs to be installed on a node.

Exit codes: 0 done, 1 an error, 2 the command line was wrong, 3 some node is not live (snapshot).`

// newRoot builds the whole command tree. It holds no state of its own, so tests may build many.
func newRoot() *cobra.Command {
	opts := &options{}
	root := &cobra.Command{
		Use:   "foretop",
		Short: "htop for an AI training fleet",
		Long:  rootLong,
		Args:  cobra.ArbitraryArgs,
	}
	opts.addConfig(root)
	root.AddCommand(newNodes(opts), newVersion())
	root.SetHelpCommand(newHelp(root))
	root.SetFlagErrorFunc(flagError)
	return root
}

// newHelp is cobra's help command, but for an unknown topic being an error that names the nearest.
func newHelp(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:   "help [command]",
		Short: "Help about any command",
		RunE: func(_ *cobra.Command, args []string) error {
			topic, rest, err := root.Find(args)
			if err != nil || len(rest) > 0 {
				return usage(fmt.Errorf("no help on %q%s", strings.Join(args, " "), didYouMean(args[0], commandNames(root))))
			}
			topic.InitDefaultHelpFlag()
			topic.InitDefaultVersionFlag()
			return topic.Help()
		},
	}
}
