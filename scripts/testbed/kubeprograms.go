package testbed

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
)

// kubePrograms gives the folder that holds kube-apiserver and kwok. They are built from the module in scripts/testbed/kube where they are not yet, which takes minutes, and stay in the user's
// cache folder for other runs.
func kubePrograms(t testing.TB) string {
	t.Helper()
	source := filepath.Join(moduleRoot(t), "scripts", "testbed", "kube")
	sum := sha256.New()
	for _, name := range []string{"go.mod", "go.sum", "build.sh"} {
		b, err := os.ReadFile(filepath.Join(source, name))
		if err != nil {
			t.Fatal(err)
		}
		sum.Write(b)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(cache, "foretop", fmt.Sprintf("kube-%s-%.6x", runtime.GOARCH, sum.Sum(nil)))
	if out, err := exec.CommandContext(t.Context(), "sh", filepath.Join(source, "build.sh"), dir).CombinedOutput(); err != nil {
		t.Fatalf("build the Kubernetes API server: %v\n%s", err, out)
	}
	return dir
}
