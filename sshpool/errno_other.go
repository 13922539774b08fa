//go:build !unix

package sshpool

import "strings"

func isRefused(err error) bool { return strings.Contains(err.Error(), "refused") }
func isFull(err error) bool    { return strings.Contains(err.Error(), "too many open files") }
func isReset(err error) bool   { return strings.Contains(err.Error(), "reset") }
func isNoRoute(err error) bool { return strings.Contains(err.Error(), "unreachable") }
