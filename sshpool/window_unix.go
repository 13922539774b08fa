//go:build unix

package sshpool

import (
	"os"
	"os/signal"
	"syscall"
)

// windowChanges tells when this process's terminal may have another size, until stop.
func windowChanges() (changes <-chan struct{}, stop func()) {
	signals, told, done := make(chan os.Signal, 1), make(chan struct{}, 1), make(chan struct{})
	signal.Notify(signals, syscall.SIGWINCH)
	go func() {
		for {
			select {
			case <-signals:
			case <-done:
				return
			}
			select {
			case told <- struct{}{}:
			default:
			}
		}
	}()
	return told, func() {
		signal.Stop(signals)
		close(done)
	}
}
