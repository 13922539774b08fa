package cli

import (
	"os"
	"runtime/debug"
	"strconv"
	"strings"
)

// modestMemory sets the garbage collector for a program that holds much and makes little garbage: the heap grows by half before it collects, and where a
// control group bounds this process, it collects harder before that bound is met; offHeap is what will be taken outside its sight. GOGC and GOMEMLIMIT,
// where they are set, go before it.
func modestMemory(offHeap int64) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50)
	}
	if limit := memoryLimit("/proc/self/cgroup", "/sys/fs/cgroup"); limit > 0 && os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(max(limit/10*9-offHeap, 32<<20))
	}
}

// memoryLimit is the smallest memory.max of this process's control group and those above it (cgroup v2), 0 for none.
func memoryLimit(self, root string) int64 {
	text, err := os.ReadFile(self)
	if err != nil {
		return 0
	}
	path := ""
	for line := range strings.Lines(string(text)) {
		if p, ok := strings.CutPrefix(strings.TrimSpace(line), "0::"); ok {
			path = p
		}
	}
	least := int64(0)
	for {
		if v, err := os.ReadFile(root + path + "/memory.max"); err == nil {
			if n, err := strconv.ParseInt(strings.TrimSpace(string(v)), 10, 64); err == nil && (least == 0 || n < least) {
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
