//go:build !unix

package sshpool

// windowChanges never tells.
func windowChanges() (changes <-chan struct{}, stop func()) { return nil, func() {} }
