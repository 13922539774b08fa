package jobs

import (
	"strconv"
	"strings"

	"foretop/telemetry/facts"
)

// maxAncestors bounds the walk to a process's ancestors, which a hostile node may have closed to a ring.
const maxAncestors = 16

// identify says who a process belongs to by its own words and its ancestors'. byPID finds the other processes of the same node, nil where one is not told.
func identify(p *facts.Process, byPID func(int32) *facts.Process) (Role, claim) {
	v := viewOf(p)
	v.byPID = byPID
	c := claims(&v)
	if c.strength < sharedRun {
		inherit(&c, p, byPID)
	}
	if c.rankStrength != noRank && c.world > 0 && c.rank >= c.world {
		c.rankStrength, c.rank = noRank, 0
	}
	held := len(p.GetHeld()) > 0
	if c.strength == saysNothing && held {
		c = unspoken(p)
	}
	role := RoleHelper
	switch {
	case isLauncher(p):
		role, c.rankStrength = RoleLauncher, noRank
	case c.strength == saysNothing:
		role = RoleNone
	case c.rankStrength != noRank && !isWrapper(p):
		role = RoleRank
	case c.server:
		role = RoleServer
	case held:
		role = RoleWorker
	}
	return role, c
}

// claims joins what the families say: the strongest for the job, the strongest for the rank, and everything else from whoever knows it.
func claims(v *view) claim {
	var c claim
	underRay := isRayWorker(v)
	for i := range families {
		n := families[i].find(v)
		if underRay && n.rankStrength != noRank && n.rankStrength != torchRank {
			n.rankStrength, n.framework = noRank, "" // its raylet's words: srun counted raylets
		}
		if n.strength > c.strength {
			c.adoptJob(&n)
		}
		if n.rankStrength > c.rankStrength {
			c.adoptRank(&n)
		}
		c.fill(&n)
	}
	return c
}

func (c *claim) adoptJob(n *claim) {
	c.strength, c.job, c.nodeLocal, c.id = n.strength, n.job, n.nodeLocal, n.id
}

func (c *claim) adoptRank(n *claim) {
	c.rankStrength, c.framework, c.run, c.runHere = n.rankStrength, n.framework, n.run, n.runHere
	c.task = n.task
	c.rank, c.local, c.world, c.localWorld, c.agent, c.restart = n.rank, n.local, n.world, n.localWorld, n.agent, n.restart
}

func (c *claim) fill(n *claim) {
	fill(&c.name, n.name)
	fill(&c.user, n.user)
	fill(&c.partition, n.partition)
	fill(&c.cluster, n.cluster)
	fill(&c.scheduler, n.scheduler)
	fill(&c.sluid, n.sluid)
	fill(&c.step, n.step)
	fill(&c.also, n.also)
	fill(&c.pod, n.pod)
	fill(&c.container, n.container)
	fill(&c.nodeName, n.nodeName)
	fill(&c.task, n.task)
	if c.hosts == "" {
		c.hosts = n.hosts
	}
	c.hostsN = max(c.hostsN, n.hostsN)
	c.expect = max(c.expect, n.expect)
	if c.podRank == 0 {
		c.podRank, c.podWorld = n.podRank, n.podWorld
	}
	c.launched = c.launched || n.launched
	c.spawned = c.spawned || n.spawned
	c.server = c.server || n.server
	if c.framework == "" {
		c.framework = n.framework
	}
	c.requeue = max(c.requeue, n.requeue)
	c.endLimitMS = max(c.endLimitMS, n.endLimitMS)
}

// own is what an ancestor's claim must not give: it is true of that process alone.
type own struct {
	task              string
	expect, podRank   int
	launched, spawned bool
	server            bool
}

func (c *claim) own() own { return own{c.task, c.expect, c.podRank, c.launched, c.spawned, c.server} }

func (c *claim) keep(o own) {
	c.task, c.expect, c.podRank, c.launched, c.spawned, c.server = o.task, o.expect, o.podRank, o.launched, o.spawned, o.server
}

func fill(to *string, from string) {
	if *to == "" {
		*to = from
	}
}

// inherit gives a process the job of its nearest ancestor that knows more. Its rank, if it has one, stays its own.
func inherit(c *claim, p *facts.Process, byPID func(int32) *facts.Process) {
	for range maxAncestors {
		if p.GetPpid() <= 1 || p.GetPpid() == p.GetPid() {
			return
		}
		if p = byPID(p.GetPpid()); p == nil {
			return
		}
		v := viewOf(p)
		n := claims(&v)
		if n.strength <= c.strength {
			continue
		}
		own := c.own()
		c.adoptJob(&n)
		c.fill(&n)
		c.keep(own)
		if c.rankStrength == noRank || c.rankStrength == mpiRank && c.runHere && n.strength == sharedRun && n.framework == "mpi" { // Hydra's proxy knows the run
			c.run, c.runHere, c.framework = n.run, n.runHere, n.framework
		}
		return
	}
}

// unspoken is the claim of a process that holds an accelerator and says nothing of a job. The cgroup holds the session or container; numbers in the
// program's name (worker 3 of 8, a pipe's number) do not tell jobs apart.
func unspoken(p *facts.Process) claim {
	name := program(p)
	like := strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return -1
		}
		return r
	}, name)
	return claim{ties: ties{
		strength:  holdsGPU,
		nodeLocal: true,
		job:       "process/" + digest(strconv.FormatUint(uint64(p.GetUid()), 10), p.GetUser(), p.GetCgroup(), like),
		name:      name,
	}}
}
