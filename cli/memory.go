package cli

import (
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
)

// manyNodes is the size of a fleet from which memory is dearer than the time to look through it.
const manyNodes = 2500

// modestMemory sets the garbage collector for a program that holds much and makes little garbage: the heap grows by half before it collects, of many nodes by a quarter; offHeap is what
// will be taken outside its sight.
func modestMemory(nodes int, offHeap int64) {
	percent := 75
	if nodes > manyNodes {
		percent = 25
	}
	collect(percent, offHeap)
}

// replayGarbage is for a program that looks into a recording: it holds little, and each moment is made anew, so that collecting often is most of what a seek costs.
const replayGarbage = 300

// collect sets the garbage collector: by how much of itself the heap grows before it collects, in percent. Where a control group bounds this process, it collects harder before that bound is
// met. GOGC and GOMEMLIMIT, where they are set, go before it.
func collect(percent int, offHeap int64) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(percent)
	}
	if limit := memoryLimit("/proc/self/cgroup", "/sys/fs/cgroup"); limit > 0 && os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(max(limit/10*9-offHeap, 32<<20))
	}
}

// memoryLimit is the smallest limit of this process's control group and those above it, of either version of control groups; 0 for none.
func memoryLimit(self, root string) int64 {
	text, err := os.ReadFile(self)
	if err != nil {
		return 0
	}
	least := int64(0)
	for line := range strings.Lines(string(text)) {
		number, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
		controllers, path, _ := strings.Cut(rest, ":")
		n := int64(0)
		switch {
		case number == "0" && controllers == "":
			n = leastUp(root, path, "memory.max")
		case slices.Contains(strings.Split(controllers, ","), "memory"):
			n = leastUp(root+"/memory", path, "memory.limit_in_bytes")
		}
		if n > 0 && (least == 0 || n < least) {
			least = n
		}
	}
	return least
}

// unlimited is what version 1 writes for no limit: the largest number of whole pages.
const unlimited = 1 << 62

// leastUp is the smallest number in a file of a folder and of those above it, 0 where there is none.
func leastUp(root, path, file string) (least int64) {
	for {
		if v, err := os.ReadFile(root + path + "/" + file); err == nil {
			if n, err := strconv.ParseInt(strings.TrimSpace(string(v)), 10, 64); err == nil && n < unlimited && (least == 0 || n < least) {
				least = n
			}
		}
		at := strings.LastIndexByte(path, '/')
		if at < 0 {
			return least
		}
		path = path[:at]
	}
}
