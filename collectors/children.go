package collectors

import (
	"bytes"
	"strconv"
	"sync"

	"foretop/collectors/kernfs"
)

// children are the programs that the collector started and keeps: their cost is its own.
type children struct {
	mu   sync.Mutex
	pids map[int]*kernfs.File // /proc/PID/stat
}

func (c *children) add(pid int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pids == nil {
		c.pids = map[int]*kernfs.File{}
	}
	c.pids[pid] = kernfs.Root("").Hold("proc/" + strconv.Itoa(pid) + "/stat")
}

func (c *children) remove(pid int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f := c.pids[pid]; f != nil {
		f.Close()
		delete(c.pids, pid)
	}
}

// cost is the CPU time and resident memory of all that run, in µs and bytes.
func (c *children) cost() (cpuUS, rss uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range c.pids {
		b, err := f.Read()
		if err != nil {
			continue
		}
		var s procStat
		if parseProcStat(b, &s) {
			cpuUS += s.cpuTicks * tickMS * 1000
			rss += s.rssBytes
		}
	}
	return cpuUS, rss
}

// afterName is what follows the command name of a /proc/PID/stat line: the name may hold anything, brackets and blanks included.
func afterName(b []byte) (name, rest []byte, ok bool) {
	i, j := bytes.IndexByte(b, '('), bytes.LastIndexByte(b, ')')
	if i < 0 || j < i {
		return nil, nil, false
	}
	return b[i+1 : j], b[j+1:], true
}
