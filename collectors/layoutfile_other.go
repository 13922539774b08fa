//go:build !linux

package collectors

import (
	"errors"
	"os"

	"foretop/collectors/kernfs"
)

// openNamedFile needs /proc of Linux.
func openNamedFile(kernfs.Root, int32, string) (*os.File, error) { return nil, errors.ErrUnsupported }

// openNamedDir needs /proc of Linux.
func openNamedDir(kernfs.Root, int32, string) (*os.File, error) { return nil, errors.ErrUnsupported }
