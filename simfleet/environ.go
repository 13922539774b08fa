package simfleet

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"strings"

	"foretop/telemetry/facts"
)

// What each launcher puts into the environment of its processes: exactly the variables that the real one sets, of those that ever leave a node
// (telemetry.EnvKeys). Sources: torch/distributed/elastic/agent/server/local_elastic_agent.py, Slurm's src/common/env.c, Open MPI's and PMIx's
// documentation, deepspeed/launcher/launch.py.

// slurm is what every task of a Slurm step carries.
func (l *launch) slurm(task, local, tasks int) env {
	j := l.job
	e := env{
		"SLURM_JOB_ID": strconv.Itoa(j.id), "SLURM_JOB_NAME": j.name, "SLURM_JOB_USER": j.user, "SLURM_JOB_ACCOUNT": "research", "SLURM_JOB_PARTITION": "h100",
		"SLURM_CLUSTER_NAME": "bay", "SLURM_JOB_NUM_NODES": strconv.Itoa(len(j.member)), "SLURM_JOB_NODELIST": l.nodeList(),
		"SLURM_NTASKS": strconv.Itoa(tasks), "SLURM_PROCID": strconv.Itoa(task), "SLURM_LOCALID": strconv.Itoa(local), "SLURM_NODEID": strconv.Itoa(l.member),
		"SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": strconv.Itoa(tasks), "SLURM_JOB_GPUS": numbers(j.device), "SLURM_STEP_GPUS": numbers(j.device),
		"SLURM_JOB_START_TIME": strconv.FormatInt(l.node.wall(j.start).Unix(), 10), "SLURM_JOB_END_TIME": strconv.FormatInt(l.node.wall(j.start+j.limit).Unix(), 10),
		"SLURMD_NODENAME": l.node.name, "CUDA_VISIBLE_DEVICES": numbers(j.device),
	}
	if j.array > 0 {
		e["SLURM_ARRAY_JOB_ID"], e["SLURM_ARRAY_TASK_ID"] = strconv.Itoa(j.array), strconv.Itoa(j.task)
	}
	if l.generation > 0 {
		e["SLURM_RESTART_COUNT"] = strconv.Itoa(l.generation)
	}
	return e
}

// torch adds what an elastic agent gives its workers.
func (l *launch) torch(e env, local int) env {
	j := l.job
	run, addr, port := strconv.Itoa(j.id), l.first(), 29400+j.id%500
	switch j.launcher {
	case torchrunAlone:
		run, port = uuid(hash(j.key, uint64(l.generation))), 30000+int(hash(j.key, 3, uint64(l.generation))%25000)
	case kubernetes:
		run, addr, port = j.name, j.name+"-node-0-0."+j.name, 29500
	}
	world := strconv.Itoa(j.world())
	rank := strconv.Itoa(l.member*j.ranks + local)
	restarts := "0"
	if j.launcher != torchrunSlurm { // there the job is queued again, and the agent is new
		restarts = strconv.Itoa(min(l.generation, 3))
	}
	maps.Copy(e, env{
		"RANK": rank, "LOCAL_RANK": strconv.Itoa(local), "WORLD_SIZE": world, "LOCAL_WORLD_SIZE": strconv.Itoa(j.ranks),
		"GROUP_RANK": strconv.Itoa(l.member), "GROUP_WORLD_SIZE": strconv.Itoa(len(j.member)), "ROLE_RANK": rank, "ROLE_NAME": "default",
		"MASTER_ADDR": addr, "MASTER_PORT": strconv.Itoa(port), "TORCHELASTIC_RUN_ID": run, "TORCHELASTIC_RESTART_COUNT": restarts, "TORCHELASTIC_MAX_RESTARTS": "3",
	})
	return e
}

// pod is what a training operator gives the container of a pod.
func (l *launch) pod() env {
	j := l.job
	ids := make([]string, len(j.device))
	for i, g := range j.device {
		ids[i] = l.node.gpuUUID(g)
	}
	return env{
		"PET_NNODES": strconv.Itoa(len(j.member)), "PET_NPROC_PER_NODE": strconv.Itoa(j.ranks), "PET_NODE_RANK": strconv.Itoa(l.member),
		"PET_MASTER_ADDR": j.name + "-node-0-0." + j.name, "PET_MASTER_PORT": "29500", "PET_RDZV_ID": j.name, "NVIDIA_VISIBLE_DEVICES": strings.Join(ids, ","),
	}
}

func (l *launch) mpirun() {
	j := l.job
	hosts := make([]string, len(j.member))
	for i, m := range j.member {
		hosts[i] = l.node.model.nodes[m].name + ":" + strconv.Itoa(j.ranks)
	}
	space := fmt.Sprintf("%s@%d", "prterun-"+l.first()+"-"+strconv.Itoa(41000+j.id), 1)
	var daemon *facts.Process
	if l.member == 0 {
		daemon = l.add(0, "mpirun", fmt.Sprintf("mpirun -np %d -H %s -x NCCL_DEBUG=WARN %s", j.world(), strings.Join(hosts, ","), j.script), env{})
	} else {
		daemon = l.add(0, "prted", fmt.Sprintf("/opt/openmpi/bin/prted --prtemca ess_base_jobid %d --prtemca ess_base_vpid %d", j.id, l.member), env{})
	}
	daemon.Launcher = true
	l.workers(daemon.Pid, j.script, func(local int) env {
		rank, size := strconv.Itoa(l.member*j.ranks+local), strconv.Itoa(j.world())
		return env{"OMPI_COMM_WORLD_RANK": rank, "OMPI_COMM_WORLD_SIZE": size, "OMPI_COMM_WORLD_LOCAL_RANK": strconv.Itoa(local),
			"PMIX_NAMESPACE": space, "PMIX_RANK": rank}
	})
}

func (l *launch) deepspeed() {
	j := l.job
	world := make(map[string][]int, len(j.member))
	for _, m := range j.member {
		world[l.node.model.nodes[m].name] = j.device
	}
	info, _ := json.Marshal(world) // of strings and ints: it cannot fail
	agent := l.add(0, "python", fmt.Sprintf("/opt/venv/bin/python -u -m deepspeed.launcher.launch --world_info=%s --node_rank=%d --master_addr=%s --master_port=29500 %s",
		base64.URLEncoding.EncodeToString(info), l.member, l.first(), j.script), env{})
	agent.Launcher = true
	for local := range j.ranks {
		p := l.add(agent.Pid, "python", fmt.Sprintf("/opt/venv/bin/python -u %s --local_rank=%d", j.script, local), env{
			"MASTER_ADDR": l.first(), "MASTER_PORT": "29500", "WORLD_SIZE": strconv.Itoa(j.world()), "CROSS_RANK": strconv.Itoa(l.member),
			"CROSS_SIZE": strconv.Itoa(len(j.member)), "LOCAL_SIZE": strconv.Itoa(j.ranks), "RANK": strconv.Itoa(l.member*j.ranks + local),
			"LOCAL_RANK": strconv.Itoa(local), "CUDA_VISIBLE_DEVICES": numbers(j.device),
		})
		p.Rank = true
		l.hold(p, j.device[local:local+1], local)
	}
}

// plain writes down what somebody started by hand: a process that holds its GPUs, or a server with a worker a GPU.
func (l *launch) plain() {
	j := l.job
	p := l.add(0, "python", j.script, env{"CUDA_VISIBLE_DEVICES": numbers(j.device)})
	if len(j.device) == 1 {
		l.hold(p, j.device, 0)
		return
	}
	for i, g := range j.device {
		w := l.add(p.Pid, "VLLM::Worker_TP", fmt.Sprintf("VLLM::Worker_TP%d", i), nil)
		w.EnvState = facts.EnvState_ENV_CLOBBERED // vLLM names its workers with setproctitle
		l.hold(w, []int{g}, i)
	}
}

func numbers(list []int) string {
	var b strings.Builder
	for i, n := range list {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.Itoa(n))
	}
	return b.String()
}

func (l *launch) torchrunCommand() string {
	j := l.job
	return fmt.Sprintf("/usr/bin/python3 /usr/local/bin/torchrun --nnodes %d --nproc-per-node %d --rdzv-id %d --rdzv-backend c10d --rdzv-endpoint %s:%d",
		len(j.member), j.ranks, j.id, l.first(), 29400+j.id%500)
}
