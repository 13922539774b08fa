//go:build !linux

package sshpool

import "time"

// awake is a clock that goes on while this machine sleeps: the wall's, which may be set, and then shows an absence that was none.
func awake() time.Duration { return time.Duration(time.Now().UnixNano()) }
