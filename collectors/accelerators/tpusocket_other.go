//go:build !linux

package accelerators

import (
	"errors"
	"time"
)

// dialLocal: TPUs are driven by Linux only.
func dialLocal(int, time.Time) (socket, error) { return nil, errors.ErrUnsupported }
