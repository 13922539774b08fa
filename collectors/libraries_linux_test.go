package collectors

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"foretop/collectors/kernfs"
	"foretop/scripts/testbed"
)

// What a process has loaded tells which framework it runs, and in which version; folders of packages are those that the process sees.
func TestReadLibraries(t *testing.T) {
	const head = "7f0000000000-7f0000001000 r-xp 00000000 fd:01 1234                       "
	at := func(paths ...string) string {
		return head + strings.Join(paths, "\n"+head) + "\n7ffc0-7ffd0 rw-p 0 00:00 0 [stack]\n"
	}
	const venv, debian = "/opt/venv/lib/python3.12/site-packages", "/usr/lib/python3/dist-packages"
	for name, c := range map[string]struct {
		maps, want string
		packages   map[string][]string // names, by folder
	}{
		"torch from PyPI, with its own NCCL": {
			at(venv+"/torch/lib/libtorch_cuda.so", venv+"/nvidia/nccl/lib/libnccl.so.2", venv+"/nvidia/cuda_runtime/lib/libcudart.so.12", "/usr/lib/x86_64-linux-gnu/libc.so.6"),
			"torch 2.7.1+cu126, nccl 2.26.2, cuda 12.6.77, python 3.12",
			map[string][]string{venv: {"torch-2.7.1+cu126.dist-info", "nvidia_nccl_cu12-2.26.2.dist-info", "nvidia_cuda_runtime_cu12-12.6.77.dist-info", "numpy-2.1.0.dist-info", "torch", "jax-0.4.dist-info"}},
		},
		"the node's own NCCL and MPI": {
			at(venv+"/torch/lib/libtorch_cuda.so (deleted)", "/usr/lib/x86_64-linux-gnu/libnccl.so.2.21.5", "/opt/hpcx/lib/libmpi.so.40.30.6"),
			"torch 2.7.1, nccl 2.21.5, mpi 40.30.6, python 3.12",
			map[string][]string{venv: {"torch-2.7.1.dist-info", "nvidia_nccl_cu12-2.26.2.dist-info"}},
		},
		"Debian's":                    {at(debian + "/torch/_C.cpython-311-x86_64-linux-gnu.so"), "torch 1.13.0a0+gitunknown", map[string][]string{debian: {"torch-1.13.0a0+gitunknown.egg-info"}}},
		"an egg":                      {at(debian + "/tensorflow/libtensorflow.so.2"), "tensorflow 2.15.0", map[string][]string{debian: {"tensorflow_cpu-2.15.0-py3.11.egg-info"}}},
		"JAX":                         {at(venv + "/jaxlib/xla_extension.so"), "jax 0.10.2, python 3.12", map[string][]string{venv: {"jax-0.10.2.dist-info", "jaxlib-0.10.1.dist-info"}}},
		"an environment that is gone": {at(venv + "/torch/lib/libtorch.so"), "python 3.12", nil},
		"nothing of interest":         {at("/usr/bin/bash", "/memfd:x", "/dev/nvidia0"), "", nil},
		"versions that are none": {at(venv+"/torch/lib/libtorch.so", "/x/libnccl.so.\x1b[31m.2", "/x/libmpi.so.40"), "python 3.12",
			map[string][]string{venv: {"torch-\x1b[2J.dist-info", "torch-.dist-info", "torch-two.dist-info", "torch-1" + strings.Repeat("0", 100) + ".dist-info"}}},
		"no maps": {"", "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			root, top := kernfs.Root(t.TempDir()), kernfs.Root(t.TempDir())
			container(t, root, 12, string(top), "python3 t.py")
			write(t, root, "proc/12/maps", c.maps)
			for dir, names := range c.packages {
				for _, n := range names {
					if err := os.MkdirAll(filepath.Join(top.Path(dir), n), 0o755); err != nil {
						t.Fatal(err)
					}
				}
			}
			if got := readLibraries(root, 12); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
	if got := readLibraries(kernfs.Root(t.TempDir()), 99); got != "" {
		t.Errorf("of a process that is gone: %q", got)
	}
}

// A real process that has loaded a real framework says its version.
func TestReadLibrariesOfTorch(t *testing.T) {
	testbed.Need(t, "/usr/bin/python3")
	cmd := exec.Command("/usr/bin/python3", "-c", "import torch, sys; print(torch.__version__, flush=True); sys.stdin.read()")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("python with torch (scripts/setup.sh installs it): %v", err)
		}
	}()
	line := make([]byte, 100)
	n, _ := out.Read(line)
	version, _, _ := strings.Cut(strings.TrimSpace(string(line[:n])), "+")
	got := readLibraries("/", int32(cmd.Process.Pid))
	if version == "" || !strings.HasPrefix(got, "torch "+version) {
		t.Errorf("%q, it says %q itself", got, version)
	}
}

// Ranks are asked for their libraries once they had time to load them, and what they say is told; launchers and strangers are not asked.
func TestLibrariesAreTold(t *testing.T) {
	root, top := kernfs.Root(t.TempDir()), kernfs.Root(t.TempDir())
	write(t, root, "proc/uptime", "4.0 1\n")
	container(t, root, 12, string(top), "python3 t.py")
	container(t, root, 13, string(top), "torchrun t.py")
	for _, pid := range []string{"12", "13"} {
		write(t, root, "proc/"+pid+"/maps", "7f-80 r-xp 0 00:00 0   /usr/lib/x86_64-linux-gnu/libnccl.so.2.21.5\n")
	}
	p := play(t, root, sourcesOf("process"))
	told := func(pid int32) string {
		p.m.board.mu.Lock()
		defer p.m.board.mu.Unlock()
		for _, f := range p.m.board.processes {
			if f.Pid == pid {
				return f.Versions
			}
		}
		return ""
	}
	for range 10 {
		p.walk()
	}
	if got := told(12); got != "" {
		t.Errorf("a process of 4 s said %q", got)
	}
	until := func(want string) {
		t.Helper()
		for range 1000 {
			if p.walk(); told(12) == want {
				return
			}
		}
		t.Errorf("it says %q, not %q", told(12), want)
	}
	write(t, root, "proc/uptime", "6.0 1\n")
	until("nccl 2.21.5")
	if got := told(13); got != "" {
		t.Errorf("a launcher said %q", got)
	}
	write(t, root, "proc/12/maps", "7f-80 r-xp 0 00:00 0   /usr/lib/x86_64-linux-gnu/libnccl.so.2.21.5\n7f-80 r-xp 0 00:00 0   /usr/lib/libmpi.so.40.1\n")
	write(t, root, "proc/uptime", "21.0 1\n")
	until("nccl 2.21.5, mpi 40.1")
}
