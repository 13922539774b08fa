//go:build !linux && !darwin

package cli

import "errors"

func foreground(uintptr) bool { return false }

func readsLines(uintptr, bool) (func(), error) { return nil, errors.ErrUnsupported }
