package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// flagError puts an error of the flags into foretop's words and names the nearest flag, or the command that has it.
func flagError(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	var missing *pflag.ValueRequiredError
	var invalid *pflag.InvalidValueError
	switch {
	case errors.As(err, &unknown):
		err = unknownFlag(cmd, unknown)
	case errors.As(err, &missing):
		err = fmt.Errorf("--%s needs a value: %s", missing.GetFlag().Name, missing.GetFlag().Usage)
	case errors.As(err, &invalid):
		err = fmt.Errorf("--%s %s: %s is needed", invalid.GetFlag().Name, invalid.GetValue(), kindOfValue(invalid.GetFlag().Value.Type()))
	}
	return usage(fmt.Errorf("%w\n%s --help lists the flags", err, cmd.CommandPath()))
}

// kindOfValue words what a flag takes, by pflag's name of its type.
func kindOfValue(kind string) string {
	switch kind {
	case "duration":
		return "a time such as 5s"
	case "int", "uint64":
		return "a whole number"
	case "bool":
		return "true or false"
	}
	return "another value"
}

func unknownFlag(cmd *cobra.Command, unknown *pflag.NotExistError) error {
	name := unknown.GetSpecifiedName()
	if unknown.GetSpecifiedShortnames() != "" {
		return fmt.Errorf("unknown flag -%s of %s", name, cmd.CommandPath())
	}
	var own []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { own = append(own, "--"+f.Name) })
	if hint := didYouMean("--"+name, own); hint != "" {
		return fmt.Errorf("unknown flag --%s%s", name, hint)
	}
	if others := commandsWith(cmd.Root(), name); len(others) > 0 {
		return fmt.Errorf("unknown flag --%s of %s: it belongs to %s", name, cmd.CommandPath(), strings.Join(others, ", "))
	}
	return fmt.Errorf("unknown flag --%s of %s", name, cmd.CommandPath())
}

// commandsWith names the commands that have a flag.
func commandsWith(root *cobra.Command, flag string) []string {
	var with []string
	for _, cmd := range root.Commands() {
		if !cmd.Hidden && cmd.LocalFlags().Lookup(flag) != nil {
			with = append(with, cmd.CommandPath())
		}
	}
	return with
}

// commandNames are the words that may stand first on the command line.
func commandNames(root *cobra.Command) []string {
	var names []string
	for _, cmd := range root.Commands() {
		if !cmd.Hidden {
			names = append(names, cmd.Name())
		}
	}
	return names
}
