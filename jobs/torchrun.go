package jobs

import "strings"

// torchrun reads what torch elastic's agent (torch/distributed/elastic/agent/server/local_elastic_agent.py), DeepSpeed's launcher
// (deepspeed/launcher/launch.py) and people with a script of their own put into the environment of a rank.
func torchrun(v *view) claim {
	_, elastic := v.env["TORCHELASTIC_RUN_ID"]
	_, local := v.env["LOCAL_RANK"]
	rank, ok := v.number("RANK")
	if !ok || !local && !elastic {
		return claim{} // an agent's, or a pod-level RANK: the pod's number, not a process's
	}
	c := claim{
		rankStrength: torchRank,
		framework:    "torch",
		rank:         rank,
		local:        v.numberOr("LOCAL_RANK", -1),
		world:        v.size("WORLD_SIZE"),
		localWorld:   v.size("LOCAL_WORLD_SIZE", "LOCAL_SIZE"),
		agent:        v.numberOr("GROUP_RANK", -1),
		restart:      v.numberOr("TORCHELASTIC_RESTART_COUNT", 0),
	}
	switch {
	case elastic:
		c.framework = "torchrun"
	case v.env["CROSS_SIZE"] != "" && v.env["LOCAL_SIZE"] != "":
		c.framework, c.agent = "deepspeed", v.numberOr("CROSS_RANK", -1)
	}
	id := v.env["TORCHELASTIC_RUN_ID"]
	if id == "none" {
		id = "" // torchrun's default, the same for everybody
	}
	addr, port := strings.ToLower(strings.TrimSuffix(v.env["MASTER_ADDR"], ".")), v.env["MASTER_PORT"]
	c.runHere = isLoopback(addr)
	c.run = "run " + id + " " + addr + " " + port
	switch {
	case c.runHere:
		c.strength, c.nodeLocal = localRun, true
		c.job = "torchrun/" + digest(v.uid(), id, port)
		c.id = ":" + port
	case id != "":
		c.strength = sharedRun
		c.job = "torchrun/" + digest(v.uid(), id)
	case addr != "":
		c.strength = sharedRun
		c.job = "torchrun/" + digest(v.uid(), addr, port)
		c.id = addr + ":" + port
	default:
		c.strength, c.nodeLocal = localRun, true
		c.job = "torchrun/" + digest(v.uid())
	}
	if id != "" {
		c.id = id
	}
	return c
}

// isLoopback says whether a master's address means "this node" wherever it is read.
func isLoopback(addr string) bool {
	switch addr {
	case "localhost", "localhost.localdomain", "localhost4", "localhost6", "ip6-localhost", "ip6-loopback":
		return true
	}
	addr = strings.Trim(addr, "[]")
	if strings.HasPrefix(addr, "127.") {
		return strings.Trim(addr, "0123456789.") == ""
	}
	return addr == "::1" || addr == "0.0.0.0" || addr == "::" || addr == "0:0:0:0:0:0:0:1"
}
