package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"foretop/config"
	"foretop/findings"
	"foretop/fleet"
)

// rulesOf are the rules that the configuration leaves on. It was checked when it was read.
func rulesOf(cfg config.Config) fleet.Rules {
	set, _ := findings.Without(cfg.Findings.Off...)
	return set.Rules()
}

// knownRules says which rule that is to be off there is none of.
func knownRules(cfg config.Config) error {
	for i, id := range cfg.Findings.Off {
		if findings.LookupRule(id) == nil {
			return config.Unknown(fmt.Sprintf("findings.off[%d]", i), id, findings.IDs())
		}
	}
	return nil
}

// newFindings is `foretop findings`: the table of rules.
func newFindings(opts *options) *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "findings [rules] [ID...]",
		Short: "List the rules that judge the fleet, and by what they do",
		Long: `Lists every rule by which foretop says that something is wrong: its id, how bad it can be, what it is about, what it says, by what it decides and what to do about it. With ids, or beginnings of them (hw., job.), only those.

A rule is switched off in the configuration file, by its id:

  findings:
    off: [hw.pcie, waste.idle]

One that is off is never asked; where it would have been, it is not checked.`,
		Example: `# all of them
foretop findings
# those about hardware
foretop findings rules hw.
# for a script
foretop findings --format json`,
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return append([]string{"rules"}, findings.IDs()...), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: running(func(cmd *cobra.Command, args []string) error {
			cfg, err := opts.load()
			if err != nil {
				return err
			}
			if len(args) > 0 && args[0] == "rules" {
				args = args[1:]
			}
			list, err := chooseRules(args)
			if err != nil {
				return usage(err)
			}
			switch format {
			case "text":
				return printRules(cmd.OutOrStdout(), list, cfg.Findings.Off)
			case "json":
				return printRulesJSON(cmd.OutOrStdout(), list, cfg.Findings.Off)
			}
			return usage(fmt.Errorf("--format %q: write text or json", format))
		}),
	}
	cmd.Flags().StringVar(&format, "format", "text", "text or json")
	return cmd
}

// chooseRules are the rules that ids, or beginnings of them, name: all where there are none.
func chooseRules(ids []string) ([]findings.Rule, error) {
	if len(ids) == 0 {
		return findings.Table(), nil
	}
	var list []findings.Rule
	named := map[string]bool{}
	for _, r := range findings.Table() {
		for _, id := range ids {
			if r.ID == id || strings.HasSuffix(id, ".") && strings.HasPrefix(r.ID, id) {
				named[id] = true
				list = append(list, r)
				break
			}
		}
	}
	for _, id := range ids {
		if !named[id] {
			return nil, fmt.Errorf("no rule is called %q%s", id, didYouMean(id, findings.IDs()))
		}
	}
	return list, nil
}

func printRules(w io.Writer, list []findings.Rule, off []string) error {
	var b strings.Builder
	for _, r := range list {
		state := ""
		if slices.Contains(off, r.ID) {
			state = " · off"
		}
		fmt.Fprintf(&b, "%s (%s, %s%s)\n    %s\n", r.ID, r.Subject, severities(r), state, r.What)
		if r.Doc != "" {
			fmt.Fprintf(&b, "    by: %s\n", r.Doc)
		}
		if r.Remedy != "" {
			fmt.Fprintf(&b, "    do: %s\n", r.Remedy)
		}
	}
	fmt.Fprintf(&b, "%d rules, %d of them off\n", len(list), countOff(list, off))
	_, err := io.WriteString(w, b.String())
	return err
}

func countOff(list []findings.Rule, off []string) (n int) {
	for _, r := range list {
		if slices.Contains(off, r.ID) {
			n++
		}
	}
	return n
}

// severities are those between which a rule speaks: "warning", "notice to critical".
func severities(r findings.Rule) string {
	if r.From == r.To {
		return r.To.String()
	}
	return r.From.String() + " to " + r.To.String()
}

// ruleDoc is one rule as `foretop findings --format json` writes it.
type ruleDoc struct {
	ID      string `json:"id"`
	Subject string `json:"subject"`
	From    string `json:"from"`
	To      string `json:"to"`
	What    string `json:"what"`
	By      string `json:"by"`
	Remedy  string `json:"remedy,omitempty"`
	On      bool   `json:"on"`
}

func printRulesJSON(w io.Writer, list []findings.Rule, off []string) error {
	docs := make([]ruleDoc, len(list))
	for i, r := range list {
		docs[i] = ruleDoc{r.ID, r.Subject, r.From.String(), r.To.String(), r.What, r.Doc, r.Remedy, !slices.Contains(off, r.ID)}
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(docs)
}
