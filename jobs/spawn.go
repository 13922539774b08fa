package jobs

import (
	"strconv"
	"strings"

	"foretop/telemetry/facts"
)

// spawn finds the children of Python's multiprocessing (torch.multiprocessing.spawn, vLLM's workers and the like) that hold an accelerator: those of one parent are
// one job. Their environment is their parent's, and their command line says nothing else.
func spawn(v *view) claim {
	if !isSpawned(v.p) || len(v.p.GetHeld()) == 0 {
		return claim{}
	}
	parent := v.p.GetPpid()
	if v.byPID != nil {
		for range maxAncestors { // the children of a child belong to the same program
			up := v.byPID(parent)
			if up == nil || !isSpawned(up) || up.GetPpid() <= 1 {
				break
			}
			parent = up.GetPpid()
		}
	}
	c := claim{ties: ties{strength: spawnedRun, nodeLocal: true, spawned: true, launched: true, framework: "multiprocessing", agent: -1}}
	c.job = "spawn/" + digest(v.uid(), v.p.GetCgroup(), strconv.Itoa(int(parent)))
	return c
}

func isSpawned(p *facts.Process) bool {
	_, rest, ok := strings.Cut(p.GetCommand(), " -c from multiprocessing.")
	return ok && (strings.HasPrefix(rest, "spawn import") || strings.HasPrefix(rest, "forkserver import"))
}
