package cli

import (
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"foretop/sshpool/payload"
)

// Whole-program tests use the real parts: nodes with sshd of their own (scripts/testbed), the collector and the NVML reader that `make` builds, the driver
// of testdata/nvml under the reader, and the program itself as a user has it, all in one file.

// parts are built programs in one folder, shared by the tests that run at the time.
type parts struct {
	dir   string
	users int
	built map[string]error
}

var (
	partsMu sync.Mutex
	shared  parts
)

// part builds what make gives into a shared folder, once, and returns its path. It goes with the last test that uses any.
func part(t testing.TB, name string, build func(out string) error) string {
	t.Helper()
	partsMu.Lock()
	defer partsMu.Unlock()
	if shared.users == 0 {
		dir, err := os.MkdirTemp("", "foretop-parts-")
		if err != nil {
			t.Fatal(err)
		}
		// Nodes' users read the driver through bind mounts.
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		shared = parts{dir: dir, built: map[string]error{}}
	}
	shared.users++
	t.Cleanup(func() {
		partsMu.Lock()
		defer partsMu.Unlock()
		if shared.users--; shared.users == 0 {
			os.RemoveAll(shared.dir)
		}
	})
	path := filepath.Join(shared.dir, name)
	err, done := shared.built[name]
	if !done {
		err = build(path)
		shared.built[name] = err
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// goBuild builds a package of this module as `make` does, but with the cache of an ordinary build.
func goBuild(pkg string, flags ...string) func(string) error {
	return func(out string) error {
		args := append([]string{"build", "-buildvcs=false", "-ldflags", "-s -w", "-o", out}, flags...)
		return run("go", append(args, pkg)...)
	}
}

func run(name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	return said(cmd.CombinedOutput())
}

// said is an error with the words of the program that ended in it.
func said(out []byte, err error) error {
	if err != nil {
		return &failure{codeError, &wordsError{err, string(out)}}
	}
	return nil
}

type wordsError struct {
	err   error
	words string
}

func (e *wordsError) Error() string { return e.err.Error() + ": " + e.words }

func collectorProgram(t testing.TB) string {
	return part(t, "foretop-collector", goBuild("foretop/collectors/foretop-collector"))
}

// readerProgram is the NVML reader; it needs Linux and its C compiler.
func readerProgram(t testing.TB) string {
	t.Helper()
	if _, err := exec.LookPath("gcc"); os.Getenv("CI") == "" && (err != nil || runtime.GOOS != "linux") {
		t.Skip("the NVML reader is built on Linux with gcc (scripts/setup.sh installs it)")
	}
	return part(t, "foretop-nvml", func(out string) error {
		return run("sh", "../collectors/foretop-nvml/build.sh", runtime.GOARCH, out)
	})
}

// playedDriver is libnvidia-ml.so.1 of testdata/nvml.
func playedDriver(t testing.TB) string {
	dir := part(t, "driver", func(out string) error { return run("sh", "../testdata/nvml/build.sh", out) })
	return filepath.Join(dir, "libnvidia-ml.so.1")
}

// collectorSet is what the pool puts on nodes.
func collectorSet(t testing.TB) *payload.Set {
	t.Helper()
	collector, err := payload.FromPath("foretop-collector", collectorProgram(t))
	if err != nil {
		t.Fatal(err)
	}
	reader, err := payload.FromPath("foretop-nvml", readerProgram(t))
	if err != nil {
		t.Fatal(err)
	}
	return payload.Of(&payload.Bundle{Platform: payload.Here(), Collector: collector, Reader: reader})
}

// foretopProgram is the whole program with this platform's collector and reader inside, as `make` builds it; nothing is written into the source tree.
func foretopProgram(t testing.TB) string {
	t.Helper()
	collector, reader := collectorProgram(t), readerProgram(t)
	return part(t, "foretop", func(out string) error {
		folder, err := filepath.Abs("../sshpool/payload")
		if err != nil {
			return err
		}
		replace := map[string]string{}
		for _, program := range []string{collector, reader} {
			name := filepath.Base(program) + "-" + runtime.GOOS + "-" + runtime.GOARCH + ".gz"
			packed := program + ".gz"
			if err := pack(program, packed); err != nil {
				return err
			}
			replace[filepath.Join(folder, name)] = packed
		}
		overlay, err := json.Marshal(map[string]any{"Replace": replace})
		if err != nil {
			return err
		}
		if err := os.WriteFile(out+".overlay", overlay, 0o600); err != nil {
			return err
		}
		return goBuild("foretop", "-overlay", out+".overlay")(out)
	})
}

func pack(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	defer out.Close()
	z := gzip.NewWriter(out)
	if _, err := io.Copy(z, in); err != nil {
		return err
	}
	return z.Close()
}
