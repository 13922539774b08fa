package testbed

import (
	"bytes"
	"encoding/hex"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

// Machine lays out one of testdata/host's machines in a folder of the test and gives the folder, which stands for "/". In the archive "a -> b" is a
// symbolic link, cmdline and environ have lines where the kernel has NULs, and what ends in .hex is a binary file.
func Machine(t testing.TB, name string) string {
	t.Helper()
	archive, err := txtar.ParseFile(filepath.Join(moduleRoot(t), "testdata", "host", name+".txtar"))
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	for _, f := range archive.Files {
		file, target, isLink := strings.Cut(f.Name, " -> ")
		path := filepath.Join(root, file)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if isLink {
			err = os.Symlink(target, path)
		} else {
			data := f.Data
			if base := filepath.Base(file); base == "cmdline" || base == "environ" {
				data = bytes.ReplaceAll(data, []byte("\n"), []byte{0})
			}
			if name, isHex := strings.CutSuffix(path, ".hex"); isHex {
				path, data = name, fromHex(t, data)
			}
			err = os.WriteFile(path, data, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// fromHex reads a binary file as the fixtures write one: bytes in hexadecimal, XX*N for N of them, comments after '#'.
func fromHex(t testing.TB, text []byte) (data []byte) {
	t.Helper()
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		for _, word := range strings.Fields(line) {
			digits, times, repeated := strings.Cut(word, "*")
			n := 1
			if repeated {
				var err error
				if n, err = strconv.Atoi(times); err != nil {
					t.Fatal(err)
				}
			}
			b, err := hex.DecodeString(digits)
			if err != nil {
				t.Fatal(err)
			}
			data = append(data, bytes.Repeat(b, n)...)
		}
	}
	return data
}

// moduleRoot is the folder of go.mod, at or above the working folder.
func moduleRoot(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("no go.mod above the working folder")
		}
	}
}
