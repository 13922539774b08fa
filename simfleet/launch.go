package simfleet

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"foretop/telemetry"
	"foretop/telemetry/facts"
)

// Processes are those that hold an accelerator, are ranks or launchers, at a moment. The version changes whenever another list is due.
func (n *Node) Processes(at time.Duration) (version uint64, list []*facts.Process) {
	for i := range n.slots {
		list = append(list, n.processesOf(i, at)...)
	}
	return n.ProcessVersion(at), append(list, n.tenants(at)...)
}

// processesOf are those of one slot's job; none while it has none here.
func (n *Node) processesOf(i int, at time.Duration) []*facts.Process {
	s := n.slots[i]
	generation, since, up := s.job.run(at)
	if !up || n.killed(s, at) {
		return nil
	}
	l := launch{node: n, job: s.job, member: s.member, generation: generation, since: since, at: at}
	l.pid = int32(21000 + 9000*i + int(n.id(s.job.key, uint64(generation))%4000))
	l.processes()
	return l.list
}

// ProcessVersion is the version of [Node.Processes] without the cost of the list.
func (n *Node) ProcessVersion(at time.Duration) (version uint64) {
	for _, s := range n.slots {
		generation, _, up := s.job.run(at)
		if !up || n.killed(s, at) {
			version = hash(version, s.job.key)
			continue
		}
		version = hash(version, s.job.key, uint64(generation)+1)
	}
	return version
}

// launch writes down the processes that a launcher makes on one node.
type launch struct {
	node       *Node
	job        *job
	member     int
	generation int
	since, at  time.Duration
	pid        int32
	list       []*facts.Process
}

type env map[string]string

func (l *launch) processes() {
	switch l.job.launcher {
	case torchrunSlurm:
		agent := l.add(0, "torchrun", l.torchrunCommand()+" "+l.script(), l.slurm(l.member, 0, len(l.job.member)))
		agent.Launcher = true
		l.workers(agent.Pid, "/usr/bin/python3 -u "+l.script(), func(local int) env { return l.torch(l.slurm(l.member, 0, len(l.job.member)), local) })
	case torchrunAlone:
		agent := l.add(0, "torchrun", "/home/"+l.job.user+"/venv/bin/python /home/"+l.job.user+"/venv/bin/torchrun --standalone --nproc-per-node 8 "+l.script(), env{})
		agent.Launcher = true
		l.workers(agent.Pid, "/home/"+l.job.user+"/venv/bin/python -u "+l.script(), func(local int) env { return l.torch(env{}, local) })
	case kubernetes:
		agent := l.add(0, "torchrun", "/usr/bin/python3 /usr/local/bin/torchrun "+l.script(), l.pod())
		agent.Launcher = true
		l.workers(agent.Pid, "/usr/bin/python3 -u "+l.script(), func(local int) env { return l.torch(l.pod(), local) })
	case srunRanks:
		l.workers(0, l.script(), func(local int) env {
			e := l.slurm(l.member*l.job.ranks+local, local, l.job.world())
			e["MASTER_ADDR"], e["MASTER_PORT"] = l.first(), strconv.Itoa(20000+l.job.id%9000)
			return e
		})
	case jaxSlurm:
		l.workers(0, l.script(), func(int) env { return l.slurm(l.member, 0, len(l.job.member)) })
	case mpirun:
		l.mpirun()
	case deepspeed:
		l.deepspeed()
	case plain:
		l.plain()
	case alone:
		l.hold(l.add(0, "python3", l.job.script, env{}), l.job.device, 0)
	}
}

// tenants are the processes on the parts of this node's GPUs: who has one has had it since before the fleet's time.
func (n *Node) tenants(at time.Duration) (list []*facts.Process) {
	boot, _ := n.booted(at)
	since := boot + 3*hour
	for i := range n.machine.parts {
		p := &n.machine.parts[i]
		t := p.tenant
		if t == nil || at < since {
			continue
		}
		pid := int32(61200 + 41*i)
		list = append(list, &facts.Process{
			Pid: pid, Ppid: pid - 1, NsPids: []int32{pid}, PidNamespace: 4026531836, Uid: (&job{shape: shape{user: t.user}}).uid(), User: t.user, Comm: t.comm, Command: t.command,
			StartTicks: uint64((since - boot) / (10 * time.Millisecond)), StartWallMs: n.wall(since).UnixMilli(), Cgroup: fmt.Sprintf("/user.slice/user-%d.slice", pid),
			Env: env{"CUDA_VISIBLE_DEVICES": n.partUUID(i)}, EnvState: facts.EnvState_ENV_READ, RssBytes: uint64(3 * gib), CpuMs: uint64((at - since).Milliseconds() / 20),
			Held: []*facts.Held{{Gpu: uint32(p.gpu), Part: uint32(i + 1), MemoryBytes: uint64(t.memory), MemoryKnown: true}}, Cwd: "/home/" + t.user,
		})
	}
	return list
}

// configFiles is what stands in the configuration files that the jobs name, as far as it is of use here.
var configFiles = map[string]string{
	"gemma9b.toml":  "[parallelism]\ndata_parallel_replicate_degree = 1\ntensor_parallel_degree = 4\n",
	"ds_zero3.json": "{\"bf16\": {\"enabled\": true}, \"zero_optimization\": {\"stage\": 3}}",
}

// add writes down one process that holds no GPU.
func (l *launch) add(parent int32, comm, command string, e env) *facts.Process {
	pid := l.pid
	l.pid += 3
	p := &facts.Process{
		Pid: pid, Ppid: parent, NsPids: []int32{pid}, PidNamespace: 4026531836, Uid: l.job.uid(), User: l.job.user, Comm: comm, Command: command,
		StartTicks: uint64(max(0, l.node.mono(l.at)-(l.at-l.since)) / (10 * time.Millisecond)), StartWallMs: l.node.wall(l.since).UnixMilli(),
		Cgroup: l.cgroup(), Env: e, EnvState: facts.EnvState_ENV_READ, RssBytes: uint64(420 * mib), Cwd: "/home/" + l.job.user + "/" + l.job.name,
		CpuMs: uint64(max(0, l.at-l.since).Milliseconds() / 400),
	}
	args := strings.Fields(command)
	p.LayoutFlags = telemetry.LayoutFlags(args)
	for _, name := range telemetry.LayoutFiles(args) {
		if keys := telemetry.LayoutText([]byte(configFiles[name])); len(keys) > 0 && comm != "torchrun" {
			p.LayoutFiles = append(p.LayoutFiles, &facts.LayoutFile{Name: name, Keys: keys})
		}
	}
	if parent == 0 {
		p.Ppid = pid - 2 // slurmstepd, a shell, containerd-shim
	}
	if l.job.launcher == kubernetes {
		p.NsPids = []int32{pid, 1 + 3*int32(len(l.list))}
		p.PidNamespace = 4026533000 + l.node.id(l.job.key)%900
		p.Cwd = "/workspace"
	}
	l.list = append(l.list, p)
	return p
}

// workers writes down the ranks of this node, each with its GPUs.
func (l *launch) workers(parent int32, command string, of func(local int) env) {
	each := len(l.job.device) / l.job.ranks
	for local := range l.job.ranks {
		p := l.add(parent, "python3", command, of(local))
		p.Rank = true
		p.Versions = l.libraries()
		l.hold(p, l.job.device[local*each:(local+1)*each], local*each)
	}
}

// libraries is what a rank has loaded, as a collector tells it.
func (l *launch) libraries() string {
	switch l.job.launcher {
	case jaxSlurm:
		return "jax 0.6.2, nccl 2.26.2, cuda 12.6.77, python 3.11"
	case kubernetes:
		return "torch 2.8.0a0+gitba56102, transformer-engine 2.5.0, nccl 2.27.3, cuda 12.9.79, python 3.12"
	}
	return "torch 2.7.1+cu126, nccl 2.26.2, cuda 12.6.77, python 3.12"
}

// hold gives a process its GPUs; first is the place of the first of them among the job's.
func (l *launch) hold(p *facts.Process, devices []int, first int) {
	for i, g := range devices {
		p.Held = append(p.Held, &facts.Held{Gpu: uint32(g), MemoryBytes: uint64(l.job.held(first + i)), MemoryKnown: true})
	}
	p.RssBytes = uint64((l.job.pattern.hostGiB - l.job.pattern.shmGiB) * 0.8 * float64(gib) / float64(l.job.ranks))
	p.CpuMs = uint64(max(0, l.at-l.since).Seconds() * 1000 * l.job.pattern.cores / float64(l.job.ranks))
}

// held is the memory of the job's i-th GPU of a node.
func (j *job) held(i int) int64 {
	if !j.uses(i) {
		return 530 * mib // a context and nothing in it
	}
	return int64(j.pattern.memGiB * float64(gib))
}

func (l *launch) script() string {
	stages := "1"
	if len(l.job.member)%4 == 0 {
		stages = "4"
	}
	return strings.ReplaceAll(l.job.script, "%PP%", stages)
}

func (l *launch) first() string { return l.node.model.nodes[l.job.member[0]].name }

// nodeList is the job's nodes as Slurm writes them.
func (l *launch) nodeList() string {
	names := l.node.model.nodes
	a, b := names[l.job.member[0]].name, names[l.job.member[len(l.job.member)-1]].name
	if a == b {
		return a
	}
	return "gpu[" + strings.TrimPrefix(a, "gpu") + "-" + strings.TrimPrefix(b, "gpu") + "]"
}

func (l *launch) cgroup() string {
	j := l.job
	switch j.launcher {
	case torchrunSlurm, srunRanks, jaxSlurm:
		task := 0
		if j.launcher == srunRanks {
			task = len(l.list)
		}
		return fmt.Sprintf("/system.slice/slurmstepd.scope/job_%d/step_0/user/task_%d", j.id, task)
	case kubernetes:
		pod := strings.ReplaceAll(l.podUID(), "-", "_")
		h := l.node.id(j.key, 7, uint64(l.generation))
		return fmt.Sprintf("/kubepods.slice/kubepods-pod%s.slice/cri-containerd-%016x%016x%016x%016x.scope", pod, h, scramble(h), scramble(h+1), scramble(h+2))
	}
	return fmt.Sprintf("/user.slice/user-%d.slice/session-%d.scope", j.uid(), 20+j.id%300)
}

func (l *launch) podUID() string { return uuid(l.node.id(l.job.key, 8)) }
