package cli

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestHostAliases(t *testing.T) {
	home := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(home, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(".ssh/config", `# Host commented
Include clusters/*.conf ~/more "with space"
Host login1 login2 *.example.org !bad
  HostName 10.0.0.1
HOST=equals
	host "quoted name" tabbed # not-a-host
Match host matched
Host login1
Include config
`)
	write(".ssh/clusters/a.conf", "Host gpu001 gpu00?\nInclude clusters/b.conf")
	write(".ssh/clusters/b.conf", "Host gpu002")
	write(".ssh/clusters/c.txt", "Host not-included")
	write("more", "Host deep")
	write(".ssh/with space", "Host spaced")
	got := hostAliases(filepath.Join(home, ".ssh/config"), home)
	want := []string{"deep", "equals", "gpu001", "gpu002", "login1", "login2", "quoted name", "spaced", "tabbed"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if got := hostAliases(filepath.Join(home, "missing"), home); len(got) != 0 {
		t.Errorf("a missing file names %q", got)
	}
}
