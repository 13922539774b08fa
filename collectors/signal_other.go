//go:build !linux

package collectors

import (
	"errors"
	"syscall"
)

func signalNumber(word string) (number syscall.Signal, name string, ok bool) { return 0, word, true }

func sendSignal(processID, syscall.Signal) (how string, err error) {
	return "", errors.New("only Linux tells one process from a later one of its number")
}
