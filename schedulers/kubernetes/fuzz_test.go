package kubernetes

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"foretop/schedulers"
	"foretop/telemetry"
)

// Whatever an API server says of nodes and pods, what is told is bounded and clean, and nothing panics.
func FuzzPicture(f *testing.F) {
	nodes, pods := fixture(f, "cluster.yaml")
	for i, p := range pods {
		x, err := json.Marshal(p)
		must(f, err)
		n, err := json.Marshal(nodes[i%len(nodes)])
		must(f, err)
		f.Add(n, x)
	}
	f.Add([]byte(`{"status":{"conditions":[{"type":"Ready"},{"type":"Ready","status":"True"}],"allocatable":{"nvidia.com/gpu":"9e30","aws.amazon.com/neuroncore":"-1"}}}`),
		[]byte(`{"spec":{"containers":[{"resources":{"limits":{"nvidia.com/gpu":"1e9"}},"command":["a\u001b[2J"]}]},"status":{"phase":"?"}}`))
	f.Fuzz(func(t *testing.T, node, pod []byte) {
		var n corev1.Node
		var x corev1.Pod
		if json.Unmarshal(node, &n) != nil || json.Unmarshal(pod, &x) != nil {
			return // nothing that the client would hand over
		}
		x.Spec.NodeName = n.Name
		y := x
		y.Name += "2"
		p := filled(t, []*corev1.Node{&n}, []*corev1.Pod{&x, &y}).picture(time.Unix(2, 0))
		checkStrings(t, reflect.ValueOf(*p))
		for _, n := range p.Nodes {
			if n.GPUs < -1 || n.GPUs > maxCount*maxResources || n.GPUsUsed < -1 || len(n.Addresses) > maxAddresses || len(n.Labels) > maxLabels || len(n.Flags) > maxLabels+maxTaints+2 {
				t.Errorf("node %+v", n)
			}
		}
		for _, j := range p.Jobs {
			if j.Restarts < 0 || j.GPUs < -1 || len(j.Pods) > 2 {
				t.Errorf("job %+v", j)
			}
		}
	})
}

// checkStrings looks at every string in a value.
func checkStrings(t *testing.T, v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		if s := v.String(); len(s) > schedulers.MaxText || !telemetry.IsClean([]byte(strings.ReplaceAll(s, "\ufffd", ""))) {
			t.Errorf("a string of %d bytes: %.200q", len(s), s)
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			return
		}
		for i := range v.NumField() {
			checkStrings(t, v.Field(i))
		}
	case reflect.Slice:
		for i := range v.Len() {
			checkStrings(t, v.Index(i))
		}
	case reflect.Map:
		for _, k := range v.MapKeys() {
			checkStrings(t, k)
			checkStrings(t, v.MapIndex(k))
		}
	case reflect.Pointer:
		if !v.IsNil() {
			checkStrings(t, v.Elem())
		}
	}
}
