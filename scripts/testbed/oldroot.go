package testbed

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// OldRoot is a copy, for the test alone, of a root with Debian 11's C library (glibc 2.31) for amd64 or arm64. The first use on a machine fetches it
// (scripts/oldroot.sh, some seconds); later ones find it in the user's cache. Without a mirror the test fails in CI and is skipped elsewhere.
func OldRoot(t testing.TB, arch string) string {
	t.Helper()
	Need(t, "apt-get", "dpkg-deb")
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	cached := filepath.Join(cache, "foretop-test", "debian11-"+arch)
	if _, err := os.Stat(filepath.Join(cached, "bin", "sh")); err != nil {
		if said, err := exec.Command("sh", filepath.Join(moduleRoot(t), "scripts", "oldroot.sh"), cached, arch).CombinedOutput(); err != nil {
			require(t, []string{"Debian 11's C library is not to be had: " + err.Error() + ": " + string(said)})
		}
	}
	root := filepath.Join(t.TempDir(), "root")
	if said, err := exec.Command("cp", "-a", cached, root).CombinedOutput(); err != nil {
		t.Fatalf("copy %s: %v: %s", cached, err, said)
	}
	return root
}
