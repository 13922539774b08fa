package cli

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/charmbracelet/x/term"
	"github.com/spf13/cobra"

	"foretop/config"
)

// maxSetBytes bounds what `foretop nodes` reads: 100,000 names of 160 bytes.
const maxSetBytes = 16 << 20

// newNodes is `foretop nodes`: node sets to names and back, for scripts and for trying a set out.
func newNodes(opts *options) *cobra.Command {
	var fold bool
	cmd := &cobra.Command{
		Use:   "nodes [SET...]",
		Short: "Expand node sets, or fold names into them",
		Long: `Expands node sets to names, one a line, in the order written and each once; with --fold, folds them into one short set.
Sets are read from standard input where none is named.

A set is a comma list of names (as ssh takes them), names with numbers in brackets (several brackets, padding kept, steps as [0-10/2])
and @group from the configuration file.`,
		Example: `# one name a line
foretop nodes 'gpu[001-003],x1'
# several brackets
foretop nodes 'r[1-4]n[01-08]'
# names from elsewhere, folded
sinfo -hN -o %N | foretop nodes --fold`,
		RunE: running(func(cmd *cobra.Command, args []string) error {
			cfg, err := opts.load()
			if err != nil {
				return err
			}
			if len(args) == 0 {
				if args, err = readSets(cmd.InOrStdin()); err != nil {
					return err
				}
			}
			names, err := expand(cfg, args)
			if err != nil {
				return err
			}
			if fold {
				names = []string{strings.Join(config.Fold(names), ",")}
			}
			return printLines(cmd.OutOrStdout(), names)
		}),
	}
	cmd.Flags().BoolVarP(&fold, "fold", "f", false, "fold the names into one set")
	return cmd
}

// readSets reads sets from standard input; empty lines are left out.
func readSets(in io.Reader) ([]string, error) {
	if f, ok := in.(*os.File); ok && term.IsTerminal(f.Fd()) {
		return nil, usage(fmt.Errorf("no node set: name one, such as 'gpu[001-003]', or pipe names in"))
	}
	text, err := io.ReadAll(io.LimitReader(in, maxSetBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read standard input: %w", err)
	}
	if len(text) > maxSetBytes {
		return nil, fmt.Errorf("read standard input: more than %d MiB", maxSetBytes>>20)
	}
	var sets []string
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" {
			sets = append(sets, line)
		}
	}
	if len(sets) == 0 {
		return nil, usage(fmt.Errorf("no node set: standard input is empty"))
	}
	return sets, nil
}

func printLines(out io.Writer, lines []string) error {
	w := bufio.NewWriter(out)
	for _, line := range lines {
		w.WriteString(line)
		w.WriteByte('\n')
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("write names: %w", err)
	}
	return nil
}
