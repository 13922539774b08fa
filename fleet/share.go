package fleet

import (
	"strconv"
	"strings"
	"sync"
	"unique"

	"foretop/telemetry/facts"
)

// sharedLists holds the lists of hw_counters that nodes told. Nodes of one kind have the same hundreds of files; one copy serves them all.
type sharedLists struct {
	mu    sync.Mutex
	lists map[string][]*facts.HWCounter
}

// maxSharedLists bounds how many kinds of node share; a fleet has a handful.
const maxSharedLists = 64

func (s *sharedLists) counters(list []*facts.HWCounter) []*facts.HWCounter {
	if len(list) == 0 {
		return nil
	}
	var key strings.Builder
	for _, c := range list {
		key.WriteString(strconv.Itoa(int(c.Port)))
		key.WriteByte(' ')
		key.WriteString(c.Name)
		key.WriteByte(0)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if known, ok := s.lists[key.String()]; ok {
		return known
	}
	if s.lists == nil {
		s.lists = map[string][]*facts.HWCounter{}
	}
	if len(s.lists) >= maxSharedLists { // whoever has one keeps it; what nobody tells any more goes
		clear(s.lists)
	}
	s.lists[key.String()] = list
	return list
}

// shareWords makes the ranks of a job hold the same strings once: of thousands of processes most words are equal.
func shareWords(p *facts.Process) {
	env := make(map[string]string, len(p.Env))
	for k, v := range p.Env {
		env[unique.Make(k).Value()] = unique.Make(v).Value()
	}
	p.Env = env
	for _, s := range []*string{&p.User, &p.Comm, &p.Command, &p.Cgroup, &p.Cwd} {
		*s = unique.Make(*s).Value()
	}
}
