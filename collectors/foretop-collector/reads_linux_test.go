package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The collector only reads: while it runs it has no file open for writing but its own output, and listens on no socket of any kind.
func TestOnlyReads(t *testing.T) {
	s := start(t, collectorFor(t, runtime.GOARCH))
	proc := fmt.Sprintf("/proc/%d", s.Process.Pid)
	looks := 0
	for limit := time.Now().Add(3 * time.Second); time.Now().Before(limit); time.Sleep(5 * time.Millisecond) {
		fds, err := os.ReadDir(proc + "/fd")
		if err != nil {
			t.Fatal(err)
		}
		for _, fd := range fds {
			path, err := os.Readlink(filepath.Join(proc, "fd", fd.Name()))
			if err != nil {
				continue // closed meanwhile
			}
			looks++
			if inode, ok := strings.CutPrefix(path, "socket:["); ok && listens(t, proc, strings.TrimSuffix(inode, "]")) {
				t.Errorf("it listens: fd %s", fd.Name())
			}
			if n, err := strconv.Atoi(fd.Name()); err != nil || n <= 2 || !strings.HasPrefix(path, "/") {
				continue
			}
			info, err := os.ReadFile(filepath.Join(proc, "fdinfo", fd.Name()))
			if err != nil {
				continue
			}
			if mode := openMode(string(info)); mode != 0 && path != os.DevNull {
				t.Errorf("%s is open for writing (mode %d)", path, mode)
			}
		}
	}
	if looks < 100 {
		t.Errorf("only %d files were looked at", looks)
	}
}

// openMode gives O_RDONLY, O_WRONLY or O_RDWR of a file, by its fdinfo.
func openMode(info string) int64 {
	for line := range strings.Lines(info) {
		if flags, ok := strings.CutPrefix(line, "flags:"); ok {
			n, _ := strconv.ParseInt(strings.TrimSpace(flags), 8, 64)
			return n & 3
		}
	}
	return -1
}

// listens looks a socket up in the tables of its network namespace: state 0A of TCP, a bound UDP port without a peer, or an accepting Unix socket.
func listens(t *testing.T, proc, inode string) bool {
	t.Helper()
	for _, table := range []string{"tcp", "tcp6", "udp", "udp6"} {
		b, err := os.ReadFile(proc + "/net/" + table)
		if err != nil {
			continue // no IPv6 here
		}
		for line := range strings.Lines(string(b)) {
			f := strings.Fields(line)
			if len(f) > 9 && f[9] == inode && (f[3] == "0A" || strings.HasPrefix(table, "udp")) {
				return true
			}
		}
	}
	b, err := os.ReadFile(proc + "/net/unix")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) > 6 && f[6] == inode && f[3] == "00010000" { // __SO_ACCEPTCON
			return true
		}
	}
	return false
}
