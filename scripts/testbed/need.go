package testbed

import (
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// Missing says why this machine cannot have nodes; empty when it can. scripts/setup.sh installs what it names.
func Missing() []string {
	if runtime.GOOS != "linux" {
		return []string{"test nodes need Linux"}
	}
	if os.Getuid() != 0 {
		return []string{"test nodes need root"}
	}
	var missing []string
	if _, err := os.Stat(sshdPath); err != nil {
		missing = append(missing, "openssh-server is not installed")
	}
	return append(missing, missingPrograms("ssh", "ip", "mount", "pivot_root", "nsenter", "setsid")...)
}

// missingFor says what these options need beyond Missing.
func missingFor(n int, opts []Option) []string {
	var missing []string
	for i := 1; i <= n; i++ {
		s := settingsFor(nodeName(i), opts)
		programs := []string{s.shell}
		if s.freezable {
			programs = append(programs, "bindfs")
		}
		for _, m := range missingPrograms(programs...) {
			if !slices.Contains(missing, m) {
				missing = append(missing, m)
			}
		}
	}
	return missing
}

func missingPrograms(names ...string) []string {
	var missing []string
	for _, name := range names {
		if _, err := exec.LookPath(name); err != nil {
			missing = append(missing, name+" is not installed")
		}
	}
	return missing
}

// Need ends a test that lacks one of the programs: see require.
func Need(t testing.TB, programs ...string) {
	t.Helper()
	require(t, missingPrograms(programs...))
}

// NeedRoot ends a test that is not run by root on Linux: see require.
func NeedRoot(t testing.TB) {
	t.Helper()
	if runtime.GOOS != "linux" || os.Getuid() != 0 {
		require(t, []string{"it takes root on Linux"})
	}
}

// Require ends a test for what it lacks: see require.
func Require(t testing.TB, missing ...string) {
	t.Helper()
	require(t, missing)
}

// require ends a test that lacks something: a failure in CI, a skip elsewhere.
func require(t testing.TB, missing []string) {
	t.Helper()
	if len(missing) == 0 {
		return
	}
	why := strings.Join(missing, "; ") + " (scripts/setup.sh installs it)"
	if os.Getenv("CI") != "" {
		t.Fatal(why)
	}
	t.Skip(why)
}
