package kubernetes

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func amountsFrom(pairs map[string]string) amounts {
	list := corev1.ResourceList{}
	for k, v := range pairs {
		list[corev1.ResourceName(k)] = resource.MustParse(v)
	}
	return amountsOf(list)
}

func TestDevices(t *testing.T) {
	trn := amountsFrom(map[string]string{"aws.amazon.com/neuron": "16", "aws.amazon.com/neurondevice": "16", "aws.amazon.com/neuroncore": "32", "cpu": "128"})
	h100 := amountsFrom(map[string]string{"nvidia.com/gpu": "8", "nvidia.com/gpumem": "640000", "rdma/hca": "8"})
	for what, c := range map[string]struct {
		asks map[string]string
		on   amounts
		want int
	}{
		"one GPU":                  {map[string]string{"nvidia.com/gpu": "1"}, h100, 1},
		"not an accelerator":       {map[string]string{"rdma/hca": "8", "gpu.intel.com/millicores": "500", "nvidia.com/gpumem": "1000"}, h100, 0},
		"half a chip":              {map[string]string{"aws.amazon.com/neuroncore": "1"}, trn, 1},
		"three halves":             {map[string]string{"aws.amazon.com/neuroncore": "3"}, trn, 2},
		"both names of the same":   {map[string]string{"aws.amazon.com/neuron": "4", "aws.amazon.com/neuroncore": "8"}, trn, 4},
		"the other name":           {map[string]string{"aws.amazon.com/neurondevice": "4"}, trn, 4},
		"cores, nobody knows more": {map[string]string{"aws.amazon.com/neuroncore": "8"}, nil, 8},
		"partitions":               {map[string]string{"nvidia.com/mig-1g.10gb": "2", "nvidia.com/mig-3g.40gb": "1"}, nil, 3},
		"others":                   {map[string]string{"amd.com/gpu": "1", "gpu.intel.com/xe": "1", "google.com/tpu": "1", "habana.ai/gaudi": "1", "huawei.com/Ascend910": "1"}, nil, 5},
	} {
		if got := amountsFrom(c.asks).devices(c.on); got != c.want {
			t.Errorf("%s: %d, want %d", what, got, c.want)
		}
	}
	if n := trn.devices(trn); n != 16 {
		t.Errorf("a node of 16 chips has %d", n)
	}
}

// What follows an option, and what assigns something, may be secret.
func TestCommandOf(t *testing.T) {
	for _, c := range []struct {
		command, args []string
		want          string
	}{
		{[]string{"torchrun", "--nproc-per-node=8", "train.py"}, nil, "torchrun"},
		{[]string{"python3", "train.py"}, []string{"--token", "hunter2"}, "python3 train.py"},
		{[]string{"env", "TOKEN=hunter2", "python3"}, nil, "env"},
		{[]string{"/bin/sh", "-c", "curl -H 'Authorization: hunter2' x"}, nil, "/bin/sh"},
		{nil, []string{"https://user:hunter2@x/", "y"}, ""},
		{[]string{"a", "b", "c", "d", "e"}, nil, "a b c d"},
		{nil, nil, ""},
	} {
		if got := commandOf(&corev1.Container{Command: c.command, Args: c.args}); got != c.want {
			t.Errorf("%q %q: %q, want %q", c.command, c.args, got, c.want)
		}
	}
}

func TestUserOf(t *testing.T) {
	for want, m := range map[string]metav1.ObjectMeta{
		"ml":       {Namespace: "ml"},
		"ada":      {Namespace: "ml", Labels: map[string]string{"owner": "team", "user": "ada"}},
		"grace":    {Namespace: "ml", Annotations: map[string]string{"hub.jupyter.org/username": "grace"}, Labels: map[string]string{"user": "x"}},
		"research": {Namespace: "research", Labels: map[string]string{"workflows.argoproj.io/creator": "system-serviceaccount-argo-argo-server", "user": "system:serviceaccount:a:b"}},
	} {
		if got := userOf(&m); got != want {
			t.Errorf("%+v: %q, want %q", m, got, want)
		}
	}
}

func TestManifestHolds(t *testing.T) {
	m := Manifest(ManifestOptions{Namespace: "watch", Image: "registry.example/b:1", Nodes: map[string]string{"gpu": "yes"}, Users: []string{"ada", "group:oncall"}})
	for _, want := range []string{`namespace: "watch"`, `image: "registry.example/b:1"`, `"gpu": "yes"`, `kind: Group, name: "oncall"`, "hostPID: true", "privileged: true"} {
		if !strings.Contains(m, want) {
			t.Errorf("no %s in:\n%s", want, m)
		}
	}
	if bare := Manifest(ManifestOptions{}); strings.Contains(bare, "Binding") || strings.Contains(bare, "nodeSelector") || !strings.Contains(bare, `image: "busybox:1.37"`) {
		t.Error(bare)
	}
}
