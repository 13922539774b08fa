package kubernetes

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"foretop/schedulers"
	"foretop/scripts/testbed"
)

// large fills a cluster with nodes of 8 GPUs and ten pods each, one of them of a job with accelerators over 8 nodes, as its watch would.
func large(b *testing.B, nodes int) *Cluster {
	c := New(Options{})
	ns, ps := &scope[node]{c.nodes, everywhere, func() {}}, &scope[pod]{c.pods, everywhere, func() {}}
	gpus := corev1.ResourceList{"nvidia.com/gpu": resource.MustParse("8"), "cpu": resource.MustParse("192")}
	for i := range nodes {
		name := fmt.Sprintf("gpu%05d", i)
		n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"topology.kubernetes.io/zone": "a", "kubernetes.io/hostname": name, "nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3"}}}
		n.Status.Allocatable = gpus
		n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}
		n.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: fmt.Sprintf("10.0.%d.%d", i/250, i%250)}, {Type: corev1.NodeHostName, Address: name}}
		must(b, ns.Add(n))
		for k := range 10 {
			p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ml", Name: fmt.Sprintf("pod-%d-%d", i, k), UID: "6a0f5b1e-3c1d-4a52-9d3e-0f2b6f6d0001"}}
			p.Spec.NodeName = name
			p.Spec.Containers = []corev1.Container{{Name: "main"}}
			p.Status.Phase = corev1.PodRunning
			if k == 0 {
				p.Labels = map[string]string{kubeflowName: fmt.Sprintf("job-%d", i/8), kubeflowRole: "worker", kubeflowIndex: fmt.Sprint(i % 8), kubeflowBy: "pytorchjob-controller", "user": "ada"}
				p.Spec.Containers[0].Resources.Limits = gpus
				p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "main", ContainerID: "containerd://" + fmt.Sprintf("%064d", i)}}
			}
			must(b, ps.Add(p))
		}
	}
	c.synced = time.Unix(1, 0)
	return c
}

// A picture of 5,000 nodes and 50,000 pods; B/node is what is kept of a node and its ten pods.
func BenchmarkPicture(b *testing.B) {
	before := heap()
	c := large(b, 5000)
	kept := heap() - before
	var p *schedulers.Picture
	b.ReportAllocs()
	for b.Loop() {
		p = c.picture(time.Unix(2, 0))
	}
	if len(p.Nodes) != 5000 || len(p.Jobs) != 625 {
		b.Fatal(len(p.Nodes), len(p.Jobs))
	}
	b.ReportMetric(float64(kept)/5000, "B/node")
	runtime.KeepAlive(c)
}

// A cluster of 1,000 nodes and 8,000 pods on a real API server, whose kubelets kwok plays: the time from nothing to a picture, what is kept, and what a watch costs while kubelets report.
func BenchmarkThousandNodes(b *testing.B) {
	k := testbed.StartKube(b)
	const nodes, each = 1000, 8
	k.Kwok()
	k.Apply(`{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"ml"}}`)
	k.ApplyMany(nodes*(1+each), func(i int) string {
		name := fmt.Sprintf("gpu%04d", i/(1+each))
		if i%(1+each) == 0 {
			return fmt.Sprintf(`{"apiVersion":"v1","kind":"Node","metadata":{"name":%q,"labels":{"topology.kubernetes.io/zone":"a"}},"status":{"allocatable":{"cpu":"192","pods":"110","nvidia.com/gpu":"8"},"capacity":{"cpu":"192","pods":"110","nvidia.com/gpu":"8"}}}`, name)
		}
		return fmt.Sprintf(`{"apiVersion":"v1","kind":"Pod","metadata":{"namespace":"ml","name":"p%d","labels":{"training.kubeflow.org/job-name":"job-%d","training.kubeflow.org/replica-type":"worker","training.kubeflow.org/replica-index":"%d"}},
"spec":{"nodeName":%q,"containers":[{"name":"main","image":"i","resources":{"limits":{"nvidia.com/gpu":"1"}}}]}}`, i, i/72, i%72, name)
	})
	whole := func(p *schedulers.Picture) bool {
		running := 0
		for _, j := range p.Jobs {
			if j.Phase == schedulers.Running {
				running++
			}
		}
		usable := 0
		for _, n := range p.Nodes {
			if n.Condition == schedulers.Usable && n.GPUsUsed == each {
				usable++
			}
		}
		return usable == nodes && running == len(p.Jobs)
	}
	settled := New(Options{Kubeconfig: k.Kubeconfig})
	if !quietly(b.Context(), settled, whole) {
		b.Fatal("kwok's nodes do not become ready")
	}
	var kept uint64
	for b.Loop() {
		before := heap()
		c := New(Options{Kubeconfig: k.Kubeconfig})
		c.pace.tell = 10 * time.Millisecond
		if !quietly(b.Context(), c, whole) {
			b.Fatal("no picture")
		}
		kept = heap() - before
		runtime.KeepAlive(c)
	}
	b.ReportMetric(float64(kept)/(1<<20), "MiB-kept")
	b.ReportMetric(float64(k.APIMemory())/(1<<20), "MiB-apiserver")
}

// heap is what lives on the heap.
func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// quietly waits for a picture without a test's patience.
func quietly(ctx context.Context, c *Cluster, enough func(*schedulers.Picture) bool) bool {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := false
	c.Watch(ctx, func(p *schedulers.Picture) {
		if enough(p) {
			done = true
			cancel()
		}
	})
	return done
}
