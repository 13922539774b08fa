//go:build linux && cgo

package main

import (
	"bytes"
	"compress/gzip"
	"debug/elf"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// What build.sh makes must start on every glibc since 2.17 (RHEL 7), bind lazily, and stay small: it travels to each node.
func TestBuild(t *testing.T) {
	const maxBytes, maxSent = 3584 << 10, 1_300_000
	for arch, c := range map[string]struct {
		compiler string
		machine  elf.Machine
	}{
		"amd64": {"x86_64-linux-gnu-gcc", elf.EM_X86_64},
		"arm64": {"aarch64-linux-gnu-gcc", elf.EM_AARCH64},
	} {
		t.Run(arch, func(t *testing.T) {
			if _, err := exec.LookPath(c.compiler); err != nil && os.Getenv("CI") == "" {
				t.Skipf("%s is missing", c.compiler)
			}
			out := filepath.Join(t.TempDir(), "foretop-nvml")
			if said, err := exec.Command("sh", "build.sh", arch, out).CombinedOutput(); err != nil {
				t.Fatalf("build.sh %s: %v\n%s", arch, err, said)
			}
			f, err := elf.Open(out)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if f.Machine != c.machine {
				t.Errorf("built for %v", f.Machine)
			}
			symbols, err := f.ImportedSymbols()
			if err != nil {
				t.Fatal(err)
			}
			versions := map[string]int{}
			for _, s := range symbols {
				if s.Version == "" {
					continue // NVML's own, found at run time
				}
				versions[s.Version]++
				if newer(s.Version, "GLIBC_2.17") {
					t.Errorf("%s needs %s", s.Name, s.Version)
				}
			}
			t.Logf("needed symbol versions: %v", versions)
			if len(versions) == 0 {
				t.Error("no versions found: the check checks nothing")
			}
			needed, _ := f.DynString(elf.DT_NEEDED)
			for _, lib := range []string{"libc.so.6", "libdl.so.2", "libpthread.so.0"} {
				if !slices.Contains(needed, lib) {
					t.Errorf("%s is not among the needed libraries %v", lib, needed)
				}
			}
			if len(needed) != 3 {
				t.Errorf("needed libraries %v, want three", needed)
			}
			flags, _ := f.DynValue(elf.DT_FLAGS)
			flags1, _ := f.DynValue(elf.DT_FLAGS_1)
			for _, v := range flags {
				if elf.DynFlag(v)&elf.DF_BIND_NOW != 0 {
					t.Error("bound at start: it dies where the driver lacks a function")
				}
			}
			for _, v := range flags1 {
				if elf.DynFlag1(v)&elf.DF_1_NOW != 0 {
					t.Error("bound at start: it dies where the driver lacks a function")
				}
			}
			size, sent := sizes(t, out)
			t.Logf("%d bytes, %d gzipped", size, sent)
			if size > maxBytes || sent > maxSent {
				t.Errorf("%d bytes, %d gzipped; at most %d and %d", size, sent, maxBytes, maxSent)
			}
		})
	}
}

// newer compares GLIBC_x.y.z names.
func newer(a, b string) bool {
	parse := func(s string) []int {
		var out []int
		for p := range strings.SplitSeq(strings.TrimPrefix(s, "GLIBC_"), ".") {
			n, err := strconv.Atoi(p)
			if err != nil {
				return []int{1 << 30} // GLIBC_PRIVATE, GLIBC_ABI_…: newer than anything
			}
			out = append(out, n)
		}
		return out
	}
	return slices.Compare(parse(a), parse(b)) > 0
}

func TestNewer(t *testing.T) {
	for _, v := range []string{"GLIBC_2.34", "GLIBC_2.17.1", "GLIBC_PRIVATE", "GLIBC_ABI_DT_RELR", "GLIBC_3"} {
		if !newer(v, "GLIBC_2.17") {
			t.Errorf("%s is taken as old", v)
		}
	}
	for _, v := range []string{"GLIBC_2.2.5", "GLIBC_2.17", "GLIBC_2.3.3"} {
		if newer(v, "GLIBC_2.17") {
			t.Errorf("%s is taken as new", v)
		}
	}
}

func sizes(t *testing.T, path string) (size, sent int) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var z bytes.Buffer
	w, _ := gzip.NewWriterLevel(&z, gzip.BestCompression)
	w.Write(b)
	w.Close()
	return len(b), z.Len()
}

func TestBuildNamesTheMissingCompiler(t *testing.T) {
	cmd := exec.Command("sh", "build.sh", "arm64", filepath.Join(t.TempDir(), "x"))
	cmd.Env = append(os.Environ(), "CC=no-such-compiler")
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState.ExitCode() != 3 || !strings.Contains(string(out), "no C compiler for linux/arm64: no-such-compiler") ||
		!strings.Contains(string(out), "apt-get install gcc-aarch64-linux-gnu") {
		t.Errorf("%v: %s", err, out)
	}
}

// The reader stays small and apart: no protobuf, no network, no SSH, nothing of ours but the pipe's words.
func TestDependencies(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	allowed := map[string]bool{"foretop/telemetry": true, "foretop/collectors/nvml/pipe": true, "foretop/collectors/foretop-nvml": true}
	seen := map[string]bool{}
	for dep := range strings.Lines(string(out)) {
		dep = strings.TrimSpace(dep)
		if strings.HasPrefix(dep, "foretop/") {
			seen[dep] = true
		}
		for _, never := range []string{"google.golang.org/protobuf", "net", "golang.org/x/crypto"} {
			if dep == never || strings.HasPrefix(dep, never+"/") && never != "net" {
				t.Errorf("depends on %s", dep)
			}
		}
	}
	if !maps.Equal(seen, allowed) {
		t.Errorf("depends on %v, want %v", slices.Sorted(maps.Keys(seen)), slices.Sorted(maps.Keys(allowed)))
	}
}
