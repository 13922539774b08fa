package testbed

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// kubePrograms gives the folder that holds kube-apiserver, etcd and kwok. They are built from the module in scripts/testbed/kube where they are not yet.
func kubePrograms(t testing.TB) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", filepath.Join(moduleRoot(t), "scripts", "testbed", "kube", "build.sh"))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("build the Kubernetes API server: %v\n%s", err, stderr.String())
	}
	return strings.TrimSpace(string(out))
}
