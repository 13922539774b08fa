//go:build unix

package nvml

import (
	"os"
	"syscall"
)

// isMine says whether a file belongs to this user.
func isMine(path string) bool {
	info, err := os.Lstat(path)
	if err != nil {
		return false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == os.Geteuid()
}
