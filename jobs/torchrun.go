package jobs

import "strings"

// torchrun reads what torch elastic's agent (torch/distributed/elastic/agent/server/local_elastic_agent.py), DeepSpeed's launcher
// (deepspeed/launcher/launch.py), accelerate's, which is elastic's with words of its own (accelerate/utils/launch.py), and people with a script of their own put
// into the environment of a rank.
func torchrun(v *view) claim {
	_, elastic := v.env["TORCHELASTIC_RUN_ID"]
	_, local := v.env["LOCAL_RANK"]
	rank, ok := v.number("RANK")
	if !ok {
		return claim{}
	}
	if !local && !elastic && !ownRank(v) { // an agent's, or a pod-level RANK: the pod's number, not a process's, unless it turns out that each pod has one
		if world := v.size("WORLD_SIZE"); world > rank && v.env["MASTER_ADDR"] != "" && v.env["MASTER_PORT"] != "" {
			return claim{ties: ties{podRank: rank + 1, podWorld: world}}
		}
		return claim{}
	}
	c := claim{ties: ties{
		rankStrength: torchRank,
		framework:    "torch",
		world:        v.size("WORLD_SIZE"),
		localWorld:   v.size("LOCAL_WORLD_SIZE", "LOCAL_SIZE"),
		hostsN:       v.size("GROUP_WORLD_SIZE", "CROSS_SIZE"),
		agent:        v.numberOr("GROUP_RANK", -1),
		restart:      v.numberOr("TORCHELASTIC_RESTART_COUNT", 0),
		launched:     elastic,
	}, rank: rank, local: v.numberOr("LOCAL_RANK", -1)}
	switch {
	case v.env["ACCELERATE_MIXED_PRECISION"] != "":
		c.framework = "accelerate"
	case elastic:
		c.framework = "torchrun"
	case v.env["CROSS_SIZE"] != "" && v.env["LOCAL_SIZE"] != "":
		c.framework, c.agent, c.launched = "deepspeed", v.numberOr("CROSS_RANK", -1), true
	}
	c.ofRun(v, v.env["TORCHELASTIC_RUN_ID"], v.env["MASTER_ADDR"], v.env["MASTER_PORT"])
	return c
}

// ofRun fills in which run of torch's it is: by the run id, else by the master.
func (c *claim) ofRun(v *view, id, addr, port string) {
	if id == "none" {
		id = "" // torchrun's default, the same for everybody
	}
	addr = strings.ToLower(strings.TrimSuffix(addr, "."))
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
}

// agentOfTorchrun reads what an elastic agent was started with, on its command line or as PET_* (torch/distributed/run.py), so that a run is known, and how many
// ranks it should have, though none of them is seen. Which run it is stands there only with a run id or a fixed master.
func agentOfTorchrun(v *view) claim {
	if !runsTorchrun(v.p.GetCommand()) {
		return claim{}
	}
	o := options(v.p.GetCommand(), "nnodes", "nproc-per-node", "rdzv-id", "master-addr", "master-port", "rdzv-backend", "rdzv-endpoint", "standalone")
	get := func(option, variable string) string {
		if s := o[option]; s != "" {
			return s
		}
		return v.env[variable]
	}
	var c claim
	nodes, most, ranged := strings.Cut(get("nnodes", "PET_NNODES"), ":")
	if n, ok := parseIndex(nodes); ok && n > 0 && (!ranged || nodes == most) {
		c.hostsN = n
		if per, ok := parseIndex(get("nproc-per-node", "PET_NPROC_PER_NODE")); ok && per > 0 && per <= MaxWorld/n {
			c.expect = n * per
		}
	}
	id, addr, port := get("rdzv-id", "PET_RDZV_ID"), get("master-addr", "PET_MASTER_ADDR"), get("master-port", "PET_MASTER_PORT")
	if id == "none" {
		id = ""
	}
	static := o["rdzv-backend"] == "" || o["rdzv-backend"] == "static"
	end := hostOf(strings.ToLower(get("rdzv-endpoint", "PET_RDZV_ENDPOINT")))
	if _, alone := o["standalone"]; alone || static && addr == "" || !static && (id == "" || end == "" || isLoopback(end)) {
		return c
	}
	if port == "" {
		port = "29500"
	}
	if !static {
		addr = "" // the agents agree on one, which the workers are told
	}
	c.framework = "torchrun"
	c.ofRun(v, id, addr, port)
	return c
}

func runsTorchrun(command string) bool {
	for i, w := range firstWords(command) {
		if base := baseName(w); i <= 1 && base == "torchrun" || w == "torch.distributed.run" || w == "torch.distributed.launch" {
			return true
		}
		if strings.HasSuffix(w, ".py") {
			return false
		}
	}
	return false
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
