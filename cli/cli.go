// Package cli is foretop's command line: one file a subcommand, each reading its flags, laying them over the
// configuration file and wiring the other packages. Nothing else imports it but main.
//
// What a run ends with is its exit code, the same for every subcommand:
//
//	0    it did what was asked
//	1    an error, named on standard error; of run: a command failed on some node, or took too long
//	2    the command line was wrong: an unknown flag, command or node set
//	3    some node is not live (snapshot, doctor) or was not reached (run), or something was not done (drain, resume), each named with its cause
//	4    some finding is critical (snapshot --findings): it outranks 3
//	130  run was interrupted
//
// With --worst, run ends with the largest exit code of the commands instead, 255 where one has none.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"charm.land/fang/v2"
	"github.com/spf13/cobra"
)

// Exit codes.
const (
	codeOK       = 0
	codeError    = 1
	codeUsage    = 2
	codeNotLive  = 3
	codeCritical = 4
)

// Main runs the command line that the process was started with and gives its exit code.
func Main() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	root := newRoot()
	err := fang.Execute(ctx, root,
		fang.WithVersion(version()),
		fang.WithErrorHandler(func(w io.Writer, _ fang.Styles, err error) { printError(w, err) }))
	return exitCode(err)
}

// failure is an error of a command that was understood. Every other error that reaches Main is about the command line.
type failure struct {
	code int
	err  error // nil: all that is to be said was said
}

func (f *failure) Error() string {
	if f.err == nil {
		return ""
	}
	return f.err.Error()
}

func (f *failure) Unwrap() error { return f.err }

// usage is an error of the command line: the same code as cobra's own.
func usage(err error) error { return &failure{codeUsage, err} }

// running marks the errors of a command as its own, to tell them from those of its command line.
func running(run func(*cobra.Command, []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		err := run(cmd, args)
		var known *failure
		if err == nil || errors.As(err, &known) {
			return err
		}
		return &failure{codeError, err}
	}
}

func exitCode(err error) int {
	var f *failure
	switch {
	case err == nil:
		return codeOK
	case errors.As(err, &f):
		return f.code
	}
	return codeUsage
}

func printError(w io.Writer, err error) {
	text := err.Error()
	if text == "" {
		return
	}
	fmt.Fprintf(w, "foretop: %s\n", text)
}

// takes refuses fewer words than least, or more than most where that is given, with the question that they answer.
func takes(question string, least int, most ...int) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) < least || len(most) > 0 && len(args) > most[0] {
			return usage(errors.New(question))
		}
		return nil
	}
}
