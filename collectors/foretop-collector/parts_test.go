package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"foretop/scripts/testbed"
)

// parts are the programs that tests run, each built once, as make builds them for nodes.
var parts struct {
	sync.Mutex
	dir   string
	built map[string]error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if parts.dir != "" {
		os.RemoveAll(parts.dir)
	}
	os.Exit(code)
}

// part gives the path of something that make builds; every user may read it.
func part(t testing.TB, name string, make func(out string) *exec.Cmd) string {
	t.Helper()
	parts.Lock()
	defer parts.Unlock()
	if parts.dir == "" {
		dir, err := os.MkdirTemp("", "foretop-collector-test")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		parts.dir, parts.built = dir, map[string]error{}
	}
	path := filepath.Join(parts.dir, name)
	err, done := parts.built[name]
	if !done {
		c := make(path)
		if said, failed := c.CombinedOutput(); failed != nil {
			err = fmt.Errorf("run %v: %w\n%s", c.Args, failed, said)
		}
		parts.built[name] = err
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// collectorFor is foretop-collector for linux/arch.
func collectorFor(t testing.TB, arch string) string {
	return part(t, "foretop-collector-"+arch, func(out string) *exec.Cmd {
		c := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w -buildid=", "-o", out, ".")
		c.Env = append(os.Environ(), "CGO_ENABLED=0", "GOARCH="+arch)
		return c
	})
}

// readerFor is foretop-nvml for linux/arch, which takes a C compiler for it.
func readerFor(t testing.TB, arch string) string {
	t.Helper()
	testbed.Need(t, compilers[arch])
	return part(t, "foretop-nvml-"+arch, func(out string) *exec.Cmd {
		return exec.Command("sh", "../foretop-nvml/build.sh", arch, out)
	})
}

// driverFor is a folder with the played libnvidia-ml.so.1 for linux/arch.
func driverFor(t testing.TB, arch string) string {
	t.Helper()
	testbed.Need(t, compilers[arch])
	return part(t, "driver-"+arch, func(out string) *exec.Cmd {
		c := exec.Command("sh", "../../testdata/nvml/build.sh", out)
		c.Env = append(os.Environ(), "CC="+compilers[arch])
		return c
	})
}

var compilers = map[string]string{"amd64": "x86_64-linux-gnu-gcc", "arm64": "aarch64-linux-gnu-gcc"}

// needLinux ends a test that runs Linux's programs elsewhere.
func needLinux(t testing.TB) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("these programs run on Linux")
	}
}

// fileSizes are a file's bytes, as it is and as it is sent.
func fileSizes(t testing.TB, path string) (size, sent int) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var z bytes.Buffer
	w, err := gzip.NewWriterLevel(&z, gzip.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	w.Write(b)
	w.Close()
	return len(b), z.Len()
}
