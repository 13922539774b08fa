package cli

import (
	"fmt"
	"os/exec"
	"testing"
	"time"

	"foretop/fleet"
	"foretop/schedulers/kubernetes"
	"foretop/scripts/testbed"
	"foretop/sshpool"
)

// A node of a Kubernetes cluster without SSH: the collector gets there and streams through the API server's exec into the pod of the DaemonSet, in the node's own namespaces. When nobody watches any more it goes,
// and when the API server dies it is lost and comes back.
func TestKubernetesNodeWithoutSSH(t *testing.T) {
	bed := testbed.Nodes(t, 1)
	node := bed.Nodes[0]
	kubelet := testbed.StartKubelet(t)
	kubelet.Command = func(argv []string) (*exec.Cmd, error) { return node.Command(t.Context(), argv...) }
	k := testbed.StartKube(t)
	k.Apply(fmt.Sprintf(`apiVersion: v1
kind: Node
metadata: {name: gpu001}
status:
  addresses: [{type: InternalIP, address: 127.0.0.1}]
  daemonEndpoints: {kubeletEndpoint: {Port: %d}}
---
apiVersion: v1
kind: Pod
metadata: {namespace: foretop, name: foretop-aaaaa, labels: {app.kubernetes.io/name: foretop}}
spec: {nodeName: gpu001, containers: [{name: door, image: busybox}]}
status: {phase: Running}
---
apiVersion: v1
kind: Node
metadata: {name: gpu002}
`, kubelet.Port))
	door := kubeDoor(kubernetes.Options{Kubeconfig: k.Kubeconfig}, "")
	o := observe(t, sshpool.Config{}, sshpool.Target{Name: "gpu001", Door: door}, sshpool.Target{Name: "gpu002", Door: door})
	o.allLive(time.Minute, "gpu001")
	o.reaches("gpu002", fleet.Refused, "no pod of foretop's DaemonSet on gpu002", time.Time{}, time.Minute)
	for _, n := range o.Snapshot().Nodes {
		if n.Name == "gpu001" && n.Hello.GetHostname() != node.Name {
			t.Errorf("the collector says it is on %q, not on %q", n.Hello.GetHostname(), node.Name)
		}
	}
	if ps := processes(t, node, collectorsOn); len(ps) != 1 {
		t.Errorf("collectors on the node: %v", ps)
	}

	actsThroughDoor(t, o, node)
	left := leftShell(t, o)
	runsThroughDoor(t, k)

	died := time.Now()
	k.StopAPI()
	left.lost()
	lost := o.reaches("gpu001", fleet.Lost, "the API server closed the connection", died, time.Minute)
	k.RestartAPI()
	o.pool.Retry("gpu001")
	o.reaches("gpu001", fleet.Live, "", lost.at, 2*time.Minute)
	eventually(t, time.Minute, func() string { return list(processes(t, node, "sleep 3456")) }) // its terminal is gone

	o.pool.Remove("gpu001")
	for end := time.Now().Add(time.Minute); ; time.Sleep(look) {
		ps := processes(t, node, programs)
		if len(ps) == 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("still on the node: %v", ps)
		}
	}
}
