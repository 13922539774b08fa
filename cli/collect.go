package cli

import (
	"github.com/spf13/cobra"

	"foretop/collectors"
)

// newCollect is what a node runs when it was given this executable itself, because no collector for it was built in. People never call it.
func newCollect() *cobra.Command {
	return &cobra.Command{
		Use:    "collect",
		Short:  "Stream this node's readings to the foretop that started it",
		Hidden: true,
		Args:   cobra.ArbitraryArgs,
		// What follows is the collector's, options too: "stacks --blocking PID:START".
		DisableFlagParsing: true,
		RunE: running(func(_ *cobra.Command, args []string) error {
			if code := collectors.Main(args); code != 0 {
				return &failure{code: code}
			}
			return nil
		}),
	}
}
