package collectors

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"foretop/collectors/kernfs"
	"foretop/scripts/testbed"
	"foretop/telemetry"
	"foretop/telemetry/facts"

	"github.com/google/go-cmp/cmp"
)

// container is a process in a fixture tree with a root of its own and a working directory in it.
func container(t *testing.T, root kernfs.Root, pid int, top, command string) {
	t.Helper()
	fakeProc(t, root, pid, 1, "python3", command, "RANK=0 LOCAL_RANK=0 WORLD_SIZE=8", "/", 10)
	if err := os.Symlink(top, root.Path(procPath(int32(pid), "root"))); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/work", root.Path(procPath(int32(pid), "cwd"))); err != nil {
		t.Fatal(err)
	}
}

// Files are found as the process finds them, and nothing but a regular one of a sane size is opened: a pipe would be waited for for ever.
func TestReadNamedFile(t *testing.T) {
	root := kernfs.Root(t.TempDir())
	top := kernfs.Root(t.TempDir())
	container(t, root, 12, string(top), "python3 t.py")
	write(t, top, "work/a.yaml", "relative")
	write(t, top, "conf/b.yaml", "absolute")
	write(t, top, "work/big.yaml", strings.Repeat("x", maxLayoutFile+1))
	write(t, top, "work/most.yaml", strings.Repeat("x", maxLayoutFile))
	write(t, root, "conf/outside.yaml", "the node's own")
	if err := os.Mkdir(top.Path("work/folder.yaml"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(top.Path("work/pipe.yaml"), 0o644); err != nil {
		t.Fatal(err)
	}
	for link, to := range map[string]string{"work/link.yaml": "/conf/b.yaml", "work/up.yaml": "../../../../../../conf/b.yaml", "work/null.yaml": "/dev/null", "work/loop.yaml": "loop.yaml",
		"work/outside.yaml": root.Path("conf/outside.yaml")} {
		if err := os.Symlink(to, top.Path(link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(top.Path("dev"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mknod(top.Path("dev/null"), syscall.S_IFCHR|0o666, 1<<8|3); err != nil && os.Geteuid() == 0 {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"a.yaml": "relative", "./a.yaml": "relative", "/conf/b.yaml": "absolute", "link.yaml": "absolute", "up.yaml": "absolute",
		"most.yaml": strings.Repeat("x", maxLayoutFile)} {
		if got, err := readNamedFile(root, 12, name); err != nil || string(got) != want {
			t.Errorf("%s: %.20q, %v", name, got, err)
		}
	}
	for name, want := range map[string]string{"big.yaml": "it is larger than 256 KiB", "folder.yaml": "it is no regular file", "pipe.yaml": "it is no regular file",
		"none.yaml": "it is not there", "loop.yaml": "it cannot be read", "outside.yaml": "it is not there"} {
		if got, err := readNamedFile(root, 12, name); err == nil || layoutTrouble(err) != want {
			t.Errorf("%s: %.20q, %v, want %s", name, got, err, want)
		}
	}
	if os.Geteuid() == 0 {
		if _, err := readNamedFile(root, 12, "null.yaml"); err == nil || layoutTrouble(err) != "it is no regular file" {
			t.Errorf("a device: %v", err)
		}
	}
	if _, err := readNamedFile(root, 99, "a.yaml"); err == nil {
		t.Error("of a process that is gone")
	}
}

// A real process: this one.
func TestReadNamedFileOfARealProcess(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("x.toml", []byte("tensor_parallel_degree = 8\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	whole, err := filepath.Abs("x.toml")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"x.toml", whole} {
		if got, err := readNamedFile("", int32(os.Getpid()), name); err != nil || len(got) == 0 {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

// What a rank's options and files say is told; a secret beside it is not.
func TestLayoutIsTold(t *testing.T) {
	root := kernfs.Root(t.TempDir())
	write(t, root, "proc/uptime", "1000.0 1\n")
	top := kernfs.Root(t.TempDir())
	write(t, top, "work/t.toml", "[metrics]\nwandb_key = \"5f4dcc3b5aa765d61d8327deb882cf99\"\n[parallelism]\ntensor_parallel_degree = 8\npipeline_parallel_degree = \"hunter2\"\n")
	container(t, root, 12, string(top), "python3 -m torchtitan.train --job.config_file t.toml --parallelism.context_parallel_degree=2 --parallelism.data_parallel_shard_degree hunter2"+
		strings.Repeat(" --x "+strings.Repeat("y", 60), 80)+" --parallelism.pipeline_parallel_degree 4")
	container(t, root, 13, string(top), "torchrun t.py --config t.toml")
	p := play(t, root, sourcesOf("process"))
	told := func() *facts.Process {
		p.m.board.mu.Lock()
		defer p.m.board.mu.Unlock()
		for _, f := range p.m.board.processes {
			if f.Pid == 12 {
				return f
			}
		}
		return &facts.Process{}
	}
	p.walk()
	for range 1000 {
		if p.walk(); len(told().LayoutFiles) > 0 && told().LayoutFiles[0].Trouble == "" {
			break
		}
	}
	f := told()
	if d := cmp.Diff(map[string]string{"context_parallel_degree": "2", "pipeline_parallel_degree": "4"}, f.LayoutFlags); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]*facts.LayoutFile{{Name: "t.toml", Keys: map[string]string{"tensor_parallel_degree": "8"}}}, f.LayoutFiles); d != "" {
		t.Error(d)
	}
	if len(f.Command) > maxCommandBytes {
		t.Error("the command line is not bounded")
	}
	raw, err := facts.Encode(&facts.Processes{Set: []*facts.Process{f}})
	if err != nil || strings.Contains(string(raw[len(f.Command):]), "5f4dcc3b") {
		t.Errorf("a secret left: %v", err)
	}
	// What rewrites its title keeps what it said.
	write(t, root, "proc/12/cmdline", "train: step 4711\x00")
	write(t, root, "proc/uptime", "100000.0 1\n") // when it is looked at again
	p.walk()
	if got := told(); got.Command != "train: step 4711" || len(got.LayoutFlags) != 2 || len(got.LayoutFiles) != 1 {
		t.Errorf("after a title: %q, %v, %v", got.Comm, got.LayoutFlags, got.LayoutFiles)
	}
}

// A file on a server that does not answer holds nothing up: its process is told all the same, and so are those after it; the file is when it can be read.
func TestStuckLayoutFile(t *testing.T) {
	root := kernfs.Root(t.TempDir())
	write(t, root, "proc/uptime", "1000.0 1\n")
	back := kernfs.Root(t.TempDir())
	write(t, back, "work/t.yaml", "tensor_model_parallel_size: 4\n")
	held := testbed.MountHeld(t, string(back))
	held.Hold("work/t.yaml")
	container(t, root, 12, held.Dir, "python3 t.py --config t.yaml")
	p := play(t, root, sourcesOf("process"))
	p.walk()
	container(t, root, 14, held.Dir, "python3 t.py --config t.yaml --tensor-model-parallel-size 2")
	for range 20 {
		p.walk()
	}
	if d := cmp.Diff([]string{"12 rank", "14 rank"}, p.told()); d != "" {
		t.Fatal(d)
	}
	files := func() (n int) {
		p.m.board.mu.Lock()
		defer p.m.board.mu.Unlock()
		for _, f := range p.m.board.processes {
			if len(f.LayoutFiles) == 1 && len(f.LayoutFiles[0].Keys) > 0 {
				n++
			} else if len(f.LayoutFiles) != 1 || f.LayoutFiles[0].Trouble != "it was not read yet" {
				t.Fatalf("%v", f.LayoutFiles)
			}
		}
		return n
	}
	if files() != 0 {
		t.Fatal("a file was read though it hangs")
	}
	held.Release()
	for range 10_000 {
		if p.walk(); files() == 2 {
			return
		}
	}
	t.Error("the files were never told after their server came back")
}

func FuzzLayoutOfCommand(f *testing.F) {
	f.Add([]byte("python3\x00t.py\x00--tensor-model-parallel-size\x008\x00--config\x00a.yaml"))
	f.Fuzz(func(t *testing.T, b []byte) {
		args := splitArgs(b)
		for k := range telemetry.LayoutFlags(args) {
			if !telemetry.LayoutKey(k) {
				t.Errorf("%q is told", k)
			}
		}
	})
}
