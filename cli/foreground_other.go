//go:build !unix

package cli

func foreground(uintptr) bool { return true }
