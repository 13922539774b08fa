//go:build !linux

package collectors

import "errors"

func openEthtool() (ethtoolCall, func(), error) { return nil, nil, errors.ErrUnsupported }

func ethtoolBuffer() ([]byte, error) { return nil, errors.ErrUnsupported }

func forget([]byte) {}
