package collectors

import (
	"fmt"
	"strings"
	"syscall"
)

// Numbers of the calls, on every machine alike (since Linux 5.1 new calls have one number).
const (
	sysPidfdSendSignal = 424
	sysPidfdOpen       = 434
)

var signalNumbers = []struct {
	name   string
	number syscall.Signal
}{
	{"TERM", syscall.SIGTERM}, {"INT", syscall.SIGINT}, {"HUP", syscall.SIGHUP}, {"QUIT", syscall.SIGQUIT}, {"USR1", syscall.SIGUSR1}, {"USR2", syscall.SIGUSR2},
	{"CONT", syscall.SIGCONT}, {"STOP", syscall.SIGSTOP}, {"ABRT", syscall.SIGABRT}, {"KILL", syscall.SIGKILL}, {"0", 0},
}

// signalNumber knows a signal by its name, with SIG before it or not.
func signalNumber(word string) (number syscall.Signal, name string, ok bool) {
	word = strings.TrimPrefix(strings.ToUpper(word), "SIG")
	for _, s := range signalNumbers {
		if s.name == word {
			return s.number, s.name, true
		}
	}
	return 0, "", false
}

// sendSignal holds the process by a pidfd (Linux 5.3), sees that it is the one that was meant, and signals what it holds: between the two nobody else can come to be
// meant. Where the kernel has no pidfds, it looks and then kills, and says so.
func sendSignal(id processID, number syscall.Signal) (how string, err error) {
	fd, _, e := syscall.Syscall(sysPidfdOpen, uintptr(id.pid), 0, 0)
	switch e {
	case 0:
		defer syscall.Close(int(fd))
	case syscall.ESRCH:
		return "", errGone
	case syscall.EINVAL, syscall.ENOENT: // the number of a thread, of older and newer kernels
		return "", errOther
	default: // ENOSYS; EPERM in containers whose seccomp filter is older than the call
		return sendByNumber(id, number, e)
	}
	send := func(number syscall.Signal) syscall.Errno {
		_, _, e := syscall.Syscall6(sysPidfdSendSignal, fd, uintptr(number), 0, 0, 0, 0)
		return e
	}
	if err := id.check("/"); err != nil {
		return "", unseen(err, func() syscall.Errno { return send(0) })
	}
	if e = send(number); e == syscall.ENOSYS {
		return sendByNumber(id, number, e)
	}
	return "", signalError(e)
}

func sendByNumber(id processID, number syscall.Signal, why syscall.Errno) (how string, err error) {
	if err := id.check("/"); err != nil {
		return "", unseen(err, func() syscall.Errno {
			e, _ := syscall.Kill(id.pid, 0).(syscall.Errno)
			return e
		})
	}
	e, _ := syscall.Kill(id.pid, number).(syscall.Errno)
	return fmt.Sprintf(" by number, just after it was checked: no pidfd here (%v)", why), signalError(e)
}

// unseen tells a process that is gone from one that /proc hides.
func unseen(err error, ask func() syscall.Errno) error {
	switch {
	case err != errUnseen:
		return err
	case ask() == syscall.EPERM:
		return errNotPermitted
	}
	return errGone
}

func signalError(e syscall.Errno) error {
	switch e {
	case 0:
		return nil
	case syscall.ESRCH:
		return errGone
	case syscall.EPERM:
		return errNotPermitted
	}
	return e
}
