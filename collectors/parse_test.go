package collectors

import (
	"strings"
	"testing"

	"foretop/telemetry"
	"foretop/telemetry/facts"

	"github.com/google/go-cmp/cmp"
)

// Broken inputs give an error or nothing, never a made-up reading.
func TestBrokenInputs(t *testing.T) {
	for _, in := range []string{"", "\n", "cpu\n", "cpu  1 2 3\n", "cpu  1 2 x 4\n", "cpu  -1 2 3 4\n", "intr 5\n", "cpu0 1 2 3 4\n", "cpu 99999999999999999999 1 1 1\n", "cpu 1 2 3 18446744073709551615\n"} {
		var s cpuStat
		if err := parseStat([]byte(in), &s, true); err == nil {
			t.Errorf("parseStat took %q", in)
		}
	}
	for _, in := range []string{"", "MemTotal", "MemTotal:\n", "MemTotal: x kB\n", "MemFree: 5 kB\n", "MemTotal: 99999999999999999 kB\n"} {
		if _, err := parseMeminfo([]byte(in)); err == nil {
			t.Errorf("parseMeminfo took %q", in)
		}
	}
	for _, in := range []string{"", "1.0", "1.0 2.0", "x 1 2", "-1.0 2.0 3.0", "1.x 2 3"} {
		if _, ok := parseLoad([]byte(in)); ok {
			t.Errorf("parseLoad took %q", in)
		}
	}
	for _, in := range []string{"", "8 0 sda", "8 0 sda 1 2 3", "8 0 sda 1 2 3 4 5 6 7 8 9 x", "8 0 sda 1 2 99999999999999999999 4 5 6 7 8 9 10"} {
		if _, _, ok := parseDisk([]byte(in)); ok {
			t.Errorf("parseDisk took %q", in)
		}
	}
	for _, in := range []string{"", "1", "1 x", "1 (x", "1 x) S 2", ")(", "1 (x) S", "1 (x) SS 1 2 3", "1 (x) S 1 1 1 1 -1 0 0 0 0 0 5 5 0 0 20 0 1 0 y 1 1"} {
		var s procStat
		if parseProcStat([]byte(in), &s) {
			t.Errorf("parseProcStat took %q", in)
		}
	}
	for _, in := range []string{"", "6,1,2", ";", "6,1;x", "a,1,2,-;x", "6,-1,2,-;x", "6,1,99999999999999999999999,-;x"} {
		if _, err := parseKmsg([]byte(in)); err == nil {
			t.Errorf("parseKmsg took %q", in)
		}
	}
	for _, in := range []string{"", "{", "[]", "{}", `{"MESSAGE":5}`, `{"MESSAGE":"x"}`, `{"MESSAGE":[300],"__MONOTONIC_TIMESTAMP":"1"}`, `{"MESSAGE":null,"__MONOTONIC_TIMESTAMP":"1"}`} {
		if r, err := parseJournal([]byte(in)); err == nil {
			t.Errorf("parseJournal took %q: %v", in, r)
		}
	}
	for _, in := range []string{"", "400", "400 Mb/sec", "x Gb/sec", "-1 Gb/sec (4X)"} {
		if v := parseRate([]byte(in)); v != telemetry.Absent {
			t.Errorf("parseRate made %d of %q", v, in)
		}
	}
	for _, in := range []string{"", "x", "36 35 98:0 / /x rw", "36 35 98:0 / x rw - ext4 /dev/x rw", "36 35 98:0 / /x rw - ", "36"} {
		if _, f, ok := parseMount([]byte(in)); ok {
			t.Errorf("parseMount made %v of %q", f, in)
		}
	}
	if c := parseCPUInfo(nil); c.Threads != 0 {
		t.Errorf("CPUs out of nothing: %v", c)
	}
}

func TestParseStat(t *testing.T) {
	var s cpuStat
	in := "cpu  10 1 5 100 7 2 3 4 0 0\ncpu0 5 1 2 50 3 1 2 2 0 0\ncpu3 5 0 3 50 4 1 1 2\nctxt 77\nprocesses 88\nprocs_running 3\nprocs_blocked 2\n"
	if err := parseStat([]byte(in), &s, true); err != nil {
		t.Fatal(err)
	}
	if s.all != (cpuTimes{10, 1, 5, 100, 7, 2, 3, 4}) || len(s.cores) != 4 || s.cores[3].iowait != 4 || s.cores[1] != (cpuTimes{}) {
		t.Errorf("got %+v", s)
	}
	if s.switches != 77 || s.forks != 88 || s.running != 3 || s.blocked != 2 {
		t.Errorf("got %+v", s)
	}
	// Linux 2.4 gave four numbers only.
	if err := parseStat([]byte("cpu 1 2 3 4\n"), &s, false); err != nil || s.all != (cpuTimes{user: 1, nice: 2, system: 3, idle: 4}) {
		t.Errorf("got %+v, %v", s.all, err)
	}
}

func TestParseProcStat(t *testing.T) {
	var s procStat
	line := "42 (a) (b\n) c) R 7 42 42 0 -1 2097216 1 2 3 4 100 50 0 0 -5 19 3 0 9999 123 25 18446744073709551615\n"
	if !parseProcStat([]byte(line), &s) {
		t.Fatal("refused")
	}
	if string(s.comm) != "a) (b\n) c" || s.state != 'R' || s.ppid != 7 || !s.kernel || s.cpuTicks != 150 || s.threads != 3 || s.startTicks != 9999 || s.rssBytes != 25*4096 {
		t.Errorf("got %+v", s)
	}
}

func TestParseCgroup(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"v2", "0::/system.slice/x\n", "/system.slice/x"},
		{"v1", "12:pids:/p\n9:devices:/slurm/uid_1/job_2\n4:freezer:/f\n1:name=systemd:/user.slice\n0::/\n", "/slurm/uid_1/job_2"},
		{"hybrid", "9:devices:/slurm/uid_1/job_2\n0::/system.slice/slurmstepd.scope/job_2\n", "/system.slice/slurmstepd.scope/job_2"},
		{"Slurm in one hierarchy", "6:freezer:/slurm_n1/uid_1/job_2/step_0\n5:devices:/system.slice/slurmd.service\n0::/system.slice/slurmd.service\n", "/slurm_n1/uid_1/job_2/step_0"},
		{"containers' memory", "4:cpu,cpuacct:/c\n3:memory:/kubepods/podx/y\n", "/kubepods/podx/y"},
		{"colons in a path", "0::/kubepods:cri:x\n", "/kubepods:cri:x"},
		{"root only", "0::/\n", "/"},
		{"nothing", "", ""},
		{"broken", "x\n1:y\n", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := parseCgroup([]byte(c.in)); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestParseEnviron(t *testing.T) {
	keys := toldKeys()
	for _, c := range []struct {
		name, in string
		env      map[string]string
		state    facts.EnvState
	}{
		{"chosen keys only", "HOME=/x\x00RANK=3\x00WANDB_API_KEY=abc\x00WORLD_SIZE=8\x00", map[string]string{"RANK": "3", "WORLD_SIZE": "8"}, facts.EnvState_ENV_READ},
		{"the first counts", "RANK=3\x00RANK=4\x00", map[string]string{"RANK": "3"}, facts.EnvState_ENV_READ},
		{"shell functions", "BASH_FUNC_module%%=() {  x\n}\x00RANK=1\x00", map[string]string{"RANK": "1"}, facts.EnvState_ENV_CLOBBERED},
		{"functions later", "A=b\x00BASH_FUNC_module%%=() {  x\n}\x00RANK=1\x00", map[string]string{"RANK": "1"}, facts.EnvState_ENV_READ},
		{"zeroed", "\x00\x00\x00\x00", nil, facts.EnvState_ENV_CLOBBERED},
		{"zeroed at the end", "RANK=1\x00\x00\x00\x00", map[string]string{"RANK": "1"}, facts.EnvState_ENV_CLOBBERED},
		{"a title", "ray::train_fn\x00\x00\x00", nil, facts.EnvState_ENV_CLOBBERED},
		{"empty", "", nil, facts.EnvState_ENV_READ},
		{"control characters", "RANK=\x1b[31m1\x00", map[string]string{"RANK": "�[31m1"}, facts.EnvState_ENV_READ},
		{"too long", "RANK=" + strings.Repeat("1", 5000) + "\x00", map[string]string{"RANK": strings.Repeat("1", telemetry.EnvValueBytes("RANK")-3) + "…"}, facts.EnvState_ENV_READ},
		{"a long list of hosts", "SLURM_JOB_NODELIST=" + strings.Repeat("n", 2000) + "\x00RANK=1\x00", map[string]string{"SLURM_JOB_NODELIST": strings.Repeat("n", 2000), "RANK": "1"}, facts.EnvState_ENV_READ},
	} {
		t.Run(c.name, func(t *testing.T) {
			env, state := parseEnviron([]byte(c.in), keys)
			if d := cmp.Diff(c.env, env); d != "" || state != c.state {
				t.Errorf("%s state %v", d, state)
			}
		})
	}
}

func TestIsLauncher(t *testing.T) {
	for line, want := range map[string]bool{
		"torchrun --nnodes 2 train.py":                          true,
		"/usr/bin/python3 /opt/venv/bin/torchrun train.py":      true,
		"/usr/bin/python3 -u -m torch.distributed.run train.py": true,
		"python3.11 -mtorch.distributed.launch x.py":            true,
		"python -W ignore -X dev /x/deepspeed.py y":             true,
		"srun -n 8 ./a.out":                                     true,
		"python3 train.py --launcher torchrun":                  false,
		"python3 -m train":                                      false,
		"python3 -c print('torchrun')":                          false,
		"vim torchrun":                                          false,
		"ray start --head":                                      true,
		"":                                                      false,
		"python3":                                               false,
		"python3 -m":                                            false,
		"python3 -m accelerate.commands.accelerate_cli launch x":      true,
		"/opt/mvapich2/bin/mpirun_rsh -np 4 -hostfile h ./a":          true,
		"/usr/lib/x86_64-linux-gnu/openmpi/bin/mpirun.openmpi -n 2 x": true,
	} {
		var args []string
		if line != "" {
			args = strings.Split(line, " ")
		}
		if got := isLauncher(args); got != want {
			t.Errorf("%q: %v", line, got)
		}
	}
}

func TestSpawned(t *testing.T) {
	for _, c := range []struct {
		args            []string
		spawned, titled bool
	}{
		// CPython 3.8 to 3.13, spawn and forkserver
		{[]string{"/usr/bin/python3", "-c", "from multiprocessing.spawn import spawn_main; spawn_main(tracker_fd=5, pipe_handle=7)", "--multiprocessing-fork"}, true, false},
		{[]string{"/usr/bin/python3", "-X", "dev", "-u", "-c", "from multiprocessing.spawn import spawn_main; spawn_main(tracker_fd=5, pipe_handle=7)"}, true, false},
		{[]string{"python", "-c", "from multiprocessing.forkserver import main; main(3, 4, ['__main__'], **{})"}, true, false},
		{[]string{"python", "-c", "from multiprocessing.resource_tracker import main;main(4)"}, false, false},
		{[]string{"python", "-c"}, false, false},
		{[]string{"ray::RayTrainWorker"}, false, true},
		{[]string{"ray::_RayTrainWorker__execute.get_next"}, false, true},
		{[]string{"ray::IDLE"}, false, false},
		{[]string{"x", "ray::RayTrainWorker"}, false, false},
		{nil, false, false},
	} {
		if s, r := spawned(c.args), titledRank(c.args); s != c.spawned || r != c.titled {
			t.Errorf("%q: spawned %v, titled %v", c.args, s, r)
		}
	}
}

func TestParseHidepid(t *testing.T) {
	for in, want := range map[string]bool{
		"22 27 0:21 / /proc rw,relatime - proc proc rw,hidepid=2":                     true,
		"22 27 0:21 / /proc rw,relatime - proc proc rw,gid=5,hidepid=invisible,x=1\n": true,
		"22 27 0:21 / /proc rw,relatime - proc proc rw,hidepid=1":                     false,
		"22 27 0:21 / /proc rw,relatime - proc proc rw":                               false,
		"22 27 0:21 / /mnt/proc rw,relatime - proc proc rw,hidepid=2":                 false,
	} {
		if got := parseHidepid([]byte(in)); got != want {
			t.Errorf("%q: %v", in, got)
		}
	}
}
