package cli

import (
	"os"
	"path/filepath"
	"testing"
)

func TestMemoryLimit(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	self := write("self", "1:name=systemd:/x\n0::/user.slice/user-1.slice\n")
	if got := memoryLimit(self, dir+"/fs"); got != 0 {
		t.Fatalf("without limits: %d", got)
	}
	write("fs/user.slice/user-1.slice/memory.max", "max\n")
	write("fs/user.slice/memory.max", "536870912\n")
	write("fs/memory.max", "9999999999\n")
	if got := memoryLimit(self, dir+"/fs"); got != 512<<20 {
		t.Fatalf("limit: %d", got)
	}
	old := write("old", "8:cpu,cpuacct:/x\n4:memory:/jobs/one\n1:name=systemd:/\n0::/\n")
	write("v1/memory/memory.limit_in_bytes", "9223372036854771712\n")
	write("v1/memory/jobs/one/memory.limit_in_bytes", "9223372036854771712\n")
	if got := memoryLimit(old, dir+"/v1"); got != 0 {
		t.Fatalf("version 1 without limits: %d", got)
	}
	write("v1/memory/jobs/memory.limit_in_bytes", "268435456\n")
	if got := memoryLimit(old, dir+"/v1"); got != 256<<20 {
		t.Fatalf("limit of version 1: %d", got)
	}
	if got := memoryLimit(dir+"/missing", dir); got != 0 {
		t.Fatalf("no control group: %d", got)
	}
}
