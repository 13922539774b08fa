package slurm

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"testing"
	"time"

	"foretop/schedulers"
	"foretop/scripts/testbed"
)

func TestLocal(t *testing.T) {
	testbed.Need(t, "sh", "sleep")
	local := Local{}
	var exit *schedulers.ExitError
	if out, err := local.Run(t.Context(), 10, "sh", "-c", "echo out; echo 'wrong\033' >&2; exit 3"); !errors.As(err, &exit) || exit.Status != 3 || exit.Words != "wrong\ufffd" || string(out) != "out\n" {
		t.Errorf("%q %v", out, err)
	}
	if out, err := local.Run(t.Context(), 10, "sh", "-c", "yes & sleep 600"); !errors.Is(err, schedulers.ErrTooMuch) || len(out) != 10 {
		t.Errorf("%q %v", out, err)
	}
	if out, err := local.Run(t.Context(), 10, "printf", "0123456789"); err != nil || len(out) != 10 {
		t.Errorf("%q %v", out, err)
	}
	if _, err := local.Run(t.Context(), 10, "there-is-no-such-program"); !errors.As(err, &exit) || exit.Status != 127 {
		t.Error(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	mark := fmt.Sprintf("600.%d", time.Now().UnixNano())
	if _, err := local.Run(ctx, 10, "sh", "-c", "sleep "+mark+" & sleep "+mark); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	if out, err := exec.Command("pgrep", "-f", "^sleep "+mark).Output(); err == nil {
		t.Errorf("still there: %s", out)
	}
}
