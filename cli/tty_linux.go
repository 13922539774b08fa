package cli

import "golang.org/x/sys/unix"

const getTermios, setTermiosFlush = unix.TCGETS, unix.TCSETSF
