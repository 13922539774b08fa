// Command cmd keeps a bed of real sshd nodes up until Ctrl-C, for a person who wants to try foretop on them:
//
//	go run ./scripts/testbed/cmd -n 4
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"foretop/scripts/testbed"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "testbed:", err)
		os.Exit(1)
	}
}

func run() error {
	n := flag.Int("n", 4, "how many nodes")
	user := flag.String("user", "ann", "who logs in: ann, bob or root")
	shell := flag.String("shell", "/bin/bash", "login shell")
	shared := flag.Bool("shared-home", false, "all nodes share one home folder")
	flag.Parse()
	if missing := testbed.Missing(); len(missing) > 0 {
		return errors.New(strings.Join(missing, "; ") + " (scripts/setup.sh installs it)")
	}
	opts := []testbed.Option{testbed.User(*user), testbed.Shell(*shell)}
	if *shared {
		opts = append(opts, testbed.SharedHome("all"))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	bed, err := testbed.Start(ctx, *n, opts...)
	if err != nil {
		return err
	}
	first, last := bed.Nodes[0].Name, bed.Nodes[*n-1].Name
	fmt.Println(bed.SSHConfig)
	fmt.Fprintf(os.Stderr, "%d nodes are up (%s to %s); Ctrl-C ends them. Try:\n", *n, first, last)
	fmt.Fprintf(os.Stderr, "  ssh -F %s %s\n", bed.SSHConfig, first)
	fmt.Fprintf(os.Stderr, "  foretop -F %s 'node[%s-%s]'\n", bed.SSHConfig, first[4:], last[4:])
	<-ctx.Done()
	return bed.Close()
}
