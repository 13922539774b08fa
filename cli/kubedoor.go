package cli

import (
	"context"
	"errors"
	"io"

	"foretop/schedulers/kubernetes"
	"foretop/sshpool"
)

// kubeDoor is the way into a cluster's nodes that have no SSH.
func kubeDoor(o kubernetes.Options, namespace string) *sshpool.Door {
	door := kubernetes.NewDoor(o, namespace)
	return &sshpool.Door{
		Name: "kubernetes " + o.Context,
		Run: func(ctx context.Context, node, command string, stdin io.Reader, stdout, stderr io.Writer) (int, error) {
			exit, err := door.Run(ctx, node, command, stdin, stdout, stderr)
			return exit, asDoorError(err)
		},
		Shell: func(ctx context.Context, node, command string, sizes func() (columns, lines int, ok bool), stdin io.Reader, stdout io.Writer) (int, error) {
			exit, err := door.Shell(ctx, node, command, sizes, stdin, stdout)
			return exit, asDoorError(err)
		},
	}
}

// asDoorError puts why no command runs into the pool's words.
func asDoorError(err error) error {
	var e *kubernetes.ExecError
	if errors.As(err, &e) {
		return &sshpool.DoorError{Cause: e.Cause, Remedy: e.Remedy, Refused: e.Refused, Err: e}
	}
	return err
}
