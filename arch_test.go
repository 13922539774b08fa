package main_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// mayImport is the order of the house: each package and what of ours it may import, itself. What is not written here
// may not be imported, and a package that is not written here may not be. Tests may import more.
//
// Data flows one way: node → bytes → frames → fleet → snapshot → cells. What says a node's words knows nothing of ours;
// what reaches a node knows neither the fleet nor the screen; the screen knows no SSH and no disk; cli wires.
var mayImport = map[string][]string{
	"telemetry":                    {},
	"telemetry/facts":              {"telemetry"},
	"telemetry/facts/gen":          {},
	"telemetry/facts/protofacts":   {}, // for tests
	"telemetry/protosample":        {}, // for a benchmark
	"collectors":                   {"telemetry", "telemetry/facts", "collectors/kernfs", "collectors/nvml", "collectors/accelerators", "collectors/ras"},
	"collectors/kernfs":            {},
	"collectors/accelerators":      {"telemetry", "telemetry/facts", "collectors/kernfs"},
	"collectors/nvml":              {"telemetry", "collectors/nvml/pipe"},
	"collectors/ras":               {"telemetry", "telemetry/facts"},
	"collectors/nvml/pipe":         {"telemetry"},
	"collectors/foretop-collector": {"telemetry", "collectors"},
	"collectors/foretop-nvml":      {"telemetry", "collectors/nvml/pipe"},
	"jobs":                         {"telemetry", "telemetry/facts"},
	"jobs/layout":                  {},
	"schedulers":                   {},
	"schedulers/slurm":             {"telemetry", "schedulers"},
	"schedulers/kubernetes":        {"telemetry", "schedulers"},
	"fleet":                        {"telemetry", "telemetry/facts", "jobs", "jobs/layout", "schedulers"},
	"recording":                    {"telemetry", "schedulers", "fleet"},
	"actions":                      {"telemetry", "telemetry/facts", "schedulers", "fleet"},
	"findings":                     {"telemetry", "telemetry/facts", "jobs", "jobs/layout", "schedulers", "fleet"},
	"export":                       {"telemetry", "telemetry/facts", "jobs", "jobs/layout", "schedulers", "fleet"},
	"export/overview":              {"telemetry", "telemetry/facts", "fleet"},
	"hooks":                        {"telemetry", "fleet", "config"},
	"report":                       {"telemetry", "fleet"},
	"journal":                      {"telemetry", "fleet"},
	"ui":                           {"telemetry", "telemetry/facts", "jobs", "jobs/layout", "schedulers", "fleet", "actions", "config"},
	"sshpool":                      {"telemetry", "sshpool/payload"},
	"sshpool/payload":              {},
	"simfleet":                     {"telemetry", "telemetry/facts", "schedulers"},
	"config":                       {"jobs/layout"},
	"scripts/testbed":              {},
	"scripts/testbed/cmd":          {"scripts/testbed"},
	"cli":                          {"actions", "collectors", "config", "export", "export/overview", "findings", "fleet", "hooks", "jobs", "jobs/layout", "journal", "recording", "report", "schedulers", "schedulers/slurm", "schedulers/kubernetes", "simfleet", "sshpool", "sshpool/payload", "telemetry", "telemetry/facts", "ui"},
	"":                             {"cli"},
}

// mustNotReach names what a package may not depend on at any distance, by the beginning of the import path.
var mustNotReach = map[string][]string{
	"collectors/foretop-collector": {"charm.land/", "github.com/charmbracelet/", "golang.org/x/crypto", "k8s.io/", "google.golang.org/protobuf", "github.com/NVIDIA/", "github.com/spf13/",
		"encoding/json", "regexp", "net/http"}, // each costs every node a tenth of a megabyte and more
	"collectors/foretop-nvml": {"charm.land/", "github.com/charmbracelet/", "golang.org/x/crypto", "k8s.io/", "google.golang.org/protobuf", "github.com/spf13/"},
	"collectors/ras":          {"net", "os/exec", "encoding/json", "regexp"},
	"telemetry":               {"google.golang.org/protobuf", "net", "os/exec"},
	"telemetry/facts":         {"google.golang.org/protobuf", "net", "os/exec"},
	"jobs":                    {"charm.land/", "golang.org/x/crypto", "os/exec", "net"},
	"schedulers":              {"charm.land/", "golang.org/x/crypto", "os/exec", "net"},
	"schedulers/slurm":        {"charm.land/", "golang.org/x/crypto", "k8s.io/"},
	"schedulers/kubernetes":   {"charm.land/", "golang.org/x/crypto/ssh"},
	"fleet":                   {"charm.land/", "golang.org/x/crypto", "os/exec"},
	"export":                  {"charm.land/", "golang.org/x/crypto", "os/exec"},
	"export/overview":         {"charm.land/", "golang.org/x/crypto/ssh", "os/exec"},
	"recording":               {"charm.land/", "golang.org/x/crypto", "os/exec", "net/http"},
	"journal":                 {"charm.land/", "golang.org/x/crypto", "os/exec", "net/http"},
	"report":                  {"charm.land/", "golang.org/x/crypto", "os/exec"},
	"ui":                      {"golang.org/x/crypto", "k8s.io/", "net/http"},
	"sshpool":                 {"charm.land/", "google.golang.org/protobuf", "k8s.io/"},
	"config":                  {"charm.land/", "golang.org/x/crypto", "os/exec"},
}

const module = "foretop"

// listed is what go list says of one package.
type listed struct {
	ImportPath string
	Imports    []string
	Deps       []string
	CgoFiles   []string
	Standard   bool
}

// goList runs go list for linux, where every package of ours builds; cgo is on, so that its use shows.
func goList(t *testing.T, args ...string) []listed {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-e", "-json=ImportPath,Imports,Deps,CgoFiles,Standard"}, args...)...)
	cmd.Env = append(os.Environ(), "GOOS=linux", "CGO_ENABLED=1")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	var packages []listed
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
}

func TestImportDirections(t *testing.T) {
	packages := goList(t, "./...")
	if len(packages) == 0 {
		t.Fatal("go list names no package")
	}
	for _, p := range packages {
		own := ours(p.ImportPath)
		allowed, known := mayImport[own]
		if !known {
			t.Errorf("%s is not in the table of this test: say there what of ours it may import", p.ImportPath)
			continue
		}
		for _, imported := range p.Imports {
			if isOurs(imported) && !slices.Contains(allowed, ours(imported)) {
				t.Errorf("%s imports %s; of ours it may import only %q", p.ImportPath, imported, allowed)
			}
		}
		for _, prefix := range mustNotReach[own] {
			for _, dep := range p.Deps {
				if matches(dep, prefix) {
					t.Errorf("%s depends on %s", p.ImportPath, dep)
				}
			}
		}
	}
}

// The node program must run on any Linux, so nothing beneath it may need a C library.
func TestCollectorWithoutCgo(t *testing.T) {
	for _, p := range goList(t, "-deps", "./collectors/foretop-collector") {
		if !p.Standard && len(p.CgoFiles) > 0 {
			t.Errorf("foretop-collector depends on %s, which uses cgo: %q", p.ImportPath, p.CgoFiles)
		}
	}
}

// The table must not allow circles: a package that it lets import another may not be let back, at any distance.
func TestTableHasNoCircle(t *testing.T) {
	var reaches func(from, to string, seen map[string]bool) bool
	reaches = func(from, to string, seen map[string]bool) bool {
		if seen[from] {
			return false
		}
		seen[from] = true
		for _, next := range mayImport[from] {
			if next == to || reaches(next, to, seen) {
				return true
			}
		}
		return false
	}
	for own := range mayImport {
		if reaches(own, own, map[string]bool{}) {
			t.Errorf("the table lets %q import itself in a circle", own)
		}
	}
}

func isOurs(path string) bool { return path == module || strings.HasPrefix(path, module+"/") }

func ours(path string) string { return strings.TrimPrefix(strings.TrimPrefix(path, module), "/") }

// matches says whether an import path is the one named, lies under it, or begins with it where it ends in a slash.
func matches(path, named string) bool {
	return path == named || strings.HasPrefix(path, strings.TrimSuffix(named, "/")+"/")
}
