package jobs

import (
	"path"
	"strings"

	"foretop/telemetry/facts"
)

// launchers are programs that start ranks and wait for them.
var launchers = map[string]bool{
	"torchrun": true, "srun": true, "slurmstepd": true, "mpirun": true, "mpiexec": true, "mpiexec.hydra": true, "orterun": true, "prterun": true,
	"orted": true, "prted": true, "prte": true, "hydra_pmi_proxy": true, "hydra_bstrap_pr": true, "pmi_proxy": true, "mpirun_rsh": true, "mpispawn": true,
	"jsrun": true, "aprun": true, "flux-shell": true, "deepspeed": true, "horovodrun": true, "pt_elastic": true, "raylet": true,
}

// launcherModules are the same as `python -m` starts them.
var launcherModules = map[string]bool{
	"torch.distributed.run": true, "torch.distributed.launch": true, "torch.distributed.launcher": true,
	"deepspeed.launcher.launch": true, "deepspeed.launcher.runner": true,
	"accelerate.commands.launch": true, "accelerate.commands.accelerate_cli": true,
}

// wrappers stay the parent of the real program and carry its variables.
var wrappers = map[string]bool{
	"sh": true, "bash": true, "dash": true, "zsh": true, "ksh": true, "csh": true, "tcsh": true, "fish": true, "busybox": true,
	"timeout": true, "time": true, "sudo": true, "su": true, "tee": true, "nohup": true, "tini": true, "dumb-init": true, "catatonit": true,
	"apptainer": true, "singularity": true, "starter": true, "starter-suid": true, "enroot": true, "docker": true, "podman": true, "conmon": true,
	"nsys": true, "ncu": true, "sleep": true, "tail": true, "tmux: server": true, "screen": true,
	"pt_data_worker": true, "pt_data_pin": true,
}

// interpreters are followed by the name of what they run.
var interpreters = map[string]bool{"python": true, "python2": true, "python3": true, "pypy3": true, "bash": true, "sh": true, "julia": true, "Rscript": true, "perl": true, "node": true, "java": true}

// isLauncher says whether the process starts ranks rather than being one.
func isLauncher(p *facts.Process) bool {
	if p.GetLauncher() || launchers[p.GetComm()] {
		return true
	}
	words := firstWords(p.GetCommand())
	for i, w := range words {
		base := path.Base(w)
		switch {
		case i <= 1 && launchers[base]:
			return true
		case base == "accelerate" && i <= 1 && i+1 < len(words) && words[i+1] == "launch":
			return true
		case w == "-m" && i+1 < len(words):
			return launcherModules[words[i+1]]
		case i > 0 && !strings.HasPrefix(w, "-"):
			return false
		}
	}
	return false
}

// isWrapper says whether the process only wraps, or serves, the one that works.
func isWrapper(p *facts.Process) bool { return wrappers[p.GetComm()] }

const (
	maxWords   = 12
	maxOptions = 96 // words of a command line that are looked at for options
)

// options reads the values of some options, "--nnodes=2" or "--nnodes 2", written with hyphens or underscores, named here with hyphens. What comes after the
// program's own script is not its launcher's.
func options(command string, names ...string) map[string]string {
	found := map[string]string{}
	for i := 0; i < maxOptions; i++ {
		var w string
		if w, command = cutWord(command); w == "" {
			break
		}
		if i > 1 && strings.HasSuffix(w, ".py") {
			break
		}
		if !strings.HasPrefix(w, "-") {
			continue
		}
		name, value, given := strings.Cut(strings.TrimLeft(w, "-"), "=")
		name = strings.ReplaceAll(name, "_", "-")
		for _, n := range names {
			if _, twice := found[n]; n != name || twice {
				continue
			}
			if next, _ := cutWord(command); !given && !strings.HasPrefix(next, "-") {
				value = next
			}
			found[n] = value
		}
	}
	return found
}

// optionValue finds "--name=value" or "--name value" anywhere in a command line.
func optionValue(command, name string) string {
	_, rest, ok := strings.Cut(command, "--"+name)
	if !ok || rest == "" || rest[0] != '=' && rest[0] != ' ' {
		return ""
	}
	value, _ := cutWord(rest[1:])
	return value
}

func cutWord(s string) (word, rest string) {
	word, rest, _ = strings.Cut(strings.TrimLeft(s, " "), " ")
	return word, rest
}

func firstWord(s string) string {
	word, _ := cutWord(s)
	return word
}

func baseName(word string) string { return path.Base(word) }

// firstWords cuts a command line; only its beginning matters.
func firstWords(command string) []string {
	var words []string
	for len(words) < maxWords {
		var w string
		if w, command = cutWord(command); w == "" {
			break
		}
		words = append(words, w)
	}
	return words
}

// program is what the process runs, in a word: "train.py" of "python -u /x/train.py --lr 3", "torch.foo" of "python -m torch.foo", else the
// program's own name.
func program(p *facts.Process) string {
	words := firstWords(p.GetCommand())
	if len(words) == 0 {
		return p.GetComm()
	}
	first := path.Base(words[0])
	if !interpreters[strings.TrimRight(first, "0123456789.")] && !interpreters[first] {
		return first
	}
	skip := false
	for i, w := range words[1:] {
		switch {
		case skip:
			skip = false
		case w == "-W" || w == "-X":
			skip = true
		case w == "-m" && i+2 < len(words):
			return words[i+2]
		case w == "-c":
			return first + " -c"
		case !strings.HasPrefix(w, "-"):
			return path.Base(w)
		}
	}
	return first
}
