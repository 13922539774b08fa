package collectors

import (
	"bytes"

	"foretop/telemetry"
	"foretop/telemetry/facts"
)

// maxEnvBytes bounds what is kept of one process's environment: none that is no attack comes near it.
const maxEnvBytes = 24 << 10

// parseEnviron picks the chosen keys out of /proc/PID/environ; nothing else of it is kept. A process that rewrote its title (setproctitle) has overwritten
// its environment: then what still looks sound is returned and the state says so.
func parseEnviron(b []byte, keys map[string]bool) (env map[string]string, state facts.EnvState) {
	if len(b) == 0 {
		return nil, facts.EnvState_ENV_READ
	}
	state = facts.EnvState_ENV_READ
	left := maxEnvBytes
	for first := true; len(b) > 0; first = false {
		var e []byte
		e, b, _ = bytes.Cut(b, []byte{0})
		key, value, ok := bytes.Cut(e, []byte{'='})
		if first && (!ok || !isName(key)) || len(e) == 0 && len(b) > 0 {
			state = facts.EnvState_ENV_CLOBBERED
		}
		if !ok || !keys[string(key)] {
			continue
		}
		if env == nil {
			env = map[string]string{}
		}
		// A key that is there twice: the first is the one that getenv finds.
		if _, twice := env[string(key)]; !twice {
			text := telemetry.Clean(string(value), telemetry.EnvValueBytes(string(key)))
			if left -= len(key) + len(text); left >= 0 {
				env[string(key)] = text
			}
		}
	}
	return env, state
}

// isName says whether b is the name of an environment variable.
func isName(b []byte) bool {
	for i, c := range b {
		if c != '_' && (c|0x20 < 'a' || c|0x20 > 'z') && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return len(b) > 0
}

// rankVars say that a process is a rank of something, in the order of precedence: torchrun inside srun is what torchrun says.
var rankVars = []string{"RANK", "OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "PALS_RANKID", "JSM_NAMESPACE_RANK", "MV2_COMM_WORLD_RANK", "FLUX_TASK_RANK",
	"TF_CONFIG", "JAX_PROCESS_ID", "TPU_WORKER_ID", "SLURM_PROCID"}

// rankOf gives the words by which an environment names a rank, equal for all processes that inherited it; empty when it names none. RANK by
// itself is not enough: operators set it for a whole pod.
func rankOf(env map[string]string) string {
	for _, k := range rankVars {
		v, ok := env[k]
		if !ok {
			continue
		}
		switch k {
		case "RANK":
			ok = env["LOCAL_RANK"] != "" || env["TORCHELASTIC_RUN_ID"] != "" || env["WORLD_SIZE"] != ""
		case "SLURM_PROCID":
			ok = env["SLURM_JOB_ID"] != ""
		case "TPU_WORKER_ID":
			ok = env["TPU_WORKER_HOSTNAMES"] != ""
		}
		if !ok {
			continue
		}
		return k + "=" + v + " " + env["TORCHELASTIC_RUN_ID"] + " " + env["MASTER_PORT"] + " " + env["SLURM_STEP_ID"]
	}
	return ""
}
