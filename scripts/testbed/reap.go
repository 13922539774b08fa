package testbed

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Everything a bed leaves outside its namespaces (a folder, a bridge) bears its owner's name: process id and start time.
const ownerWord = "foretop-bed-"

func ownerPrefix() string {
	pid := os.Getpid()
	return fmt.Sprintf("%s%d-%s-", ownerWord, pid, startTime(pid))
}

// startTime is field 22 of /proc/PID/stat (clock ticks since boot); empty when there is no such process.
func startTime(pid int) string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	// The command's name, field 2, is in brackets and may hold anything.
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(fields) < 20 {
		return ""
	}
	return fields[19]
}

// ownerGone says whether this is the name of something whose owner is no more.
func ownerGone(name string) bool {
	rest, ok := strings.CutPrefix(name, ownerWord)
	if !ok {
		return false
	}
	var pid int
	var start string
	if n, _ := fmt.Sscanf(strings.ReplaceAll(rest, "-", " "), "%d %s", &pid, &start); n != 2 {
		return false
	}
	return startTime(pid) != start
}

// reap removes the bridges, folders and cgroups of beds whose process died without closing them. Their nodes died with it.
func reap() {
	aliases, _ := filepath.Glob("/sys/class/net/ftb*/ifalias")
	for _, path := range aliases {
		alias, err := os.ReadFile(path)
		if err == nil && ownerGone(strings.TrimSpace(string(alias))) {
			// Another run may be reaping the same one.
			_ = ip("link", "del", filepath.Base(filepath.Dir(path)))
		}
	}
	groups, _ := filepath.Glob(filepath.Join(freezer, ownerWord+"*"))
	for _, dir := range groups {
		if name := filepath.Base(dir); ownerGone(name) {
			_ = removeGroups(name)
		}
	}
	dirs, _ := filepath.Glob(filepath.Join(os.TempDir(), ownerWord+"*"))
	for _, dir := range dirs {
		if ownerGone(filepath.Base(dir)) {
			_ = os.RemoveAll(dir)
		}
	}
}
