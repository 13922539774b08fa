package kubernetes

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"

	corev1 "k8s.io/api/core/v1"
)

// accelerators are the extended resources that stand for accelerators. A partition counts as one: a MIG device, a time-sliced share, a virtual NPU.
// Names end in * where only the beginning is known.
//
// Sources: the device plugins' own documentation (k8s-device-plugin, ROCm k8s-device-plugin, intel-device-plugins, GKE TPUs, aws-neuron, Habana, mind-cluster).
var accelerators = []struct {
	name   string
	coarse string // the same hardware, counted by a larger unit or under another name: of both, only that is counted
}{
	{name: "nvidia.com/gpu"},
	{name: "nvidia.com/gpu.shared"},
	{name: "nvidia.com/mig-*"},
	{name: "amd.com/*"},
	{name: "gpu.intel.com/i915"},
	{name: "gpu.intel.com/xe"},
	{name: "google.com/tpu"},
	{name: "aws.amazon.com/neuron"},
	{name: "aws.amazon.com/neurondevice", coarse: "aws.amazon.com/neuron"},
	{name: "aws.amazon.com/neuroncore", coarse: "aws.amazon.com/neuron"},
	{name: "habana.ai/gaudi"},
	{name: "huawei.com/Ascend*"},
}

// amount is how many of one resource.
type amount struct {
	resource string
	n        int
}

// amounts are those of accelerators, few, in the order of their names.
type amounts []amount

// accelerator says whether a resource is one.
func accelerator(resource string) bool {
	for _, a := range accelerators {
		if beginning, ok := strings.CutSuffix(a.name, "*"); ok && strings.HasPrefix(resource, beginning) || resource == a.name {
			return true
		}
	}
	return false
}

// coarse is the larger unit of a resource, "" without one.
func coarse(resource string) string {
	for _, a := range accelerators {
		if a.name == resource {
			return a.coarse
		}
	}
	return ""
}

// amountsOf takes the accelerators out of a list of resources.
func amountsOf(list corev1.ResourceList) amounts {
	var out amounts
	for resource, quantity := range list {
		if n := count(quantity); n > 0 && accelerator(string(resource)) {
			out = append(out, amount{word(string(resource)), n})
		}
	}
	slices.SortFunc(out, func(a, b amount) int { return strings.Compare(a.resource, b.resource) })
	return out[:min(len(out), maxResources)]
}

// maxCount is more accelerators than a node has.
const maxCount = 1 << 12

func count(q resource.Quantity) int {
	return int(min(max(q.Value(), 0), maxCount))
}

// add gives the sum of both.
func (a amounts) add(b amounts) amounts { return a.merge(b, func(x, y int) int { return x + y }) }

// most gives the larger of both, resource by resource.
func (a amounts) most(b amounts) amounts { return a.merge(b, func(x, y int) int { return max(x, y) }) }

func (a amounts) merge(b amounts, with func(x, y int) int) amounts {
	if len(b) == 0 {
		return a
	}
	out := slices.Clone(a)
	for _, y := range b {
		if i := slices.IndexFunc(out, func(x amount) bool { return x.resource == y.resource }); i >= 0 {
			out[i].n = min(with(out[i].n, y.n), maxCount)
		} else if len(out) < maxResources {
			out = append(out, y)
		}
	}
	return out
}

func (a amounts) of(resource string) int {
	for _, x := range a {
		if x.resource == resource {
			return x.n
		}
	}
	return 0
}

// devices is how many accelerators these are on a node that has all those of has. What is given out by a smaller unit counts as parts of the larger one, rounded up.
func (a amounts) devices(has amounts) int {
	n := 0
	for _, x := range a {
		whole, parts := has.of(coarse(x.resource)), has.of(x.resource)
		switch {
		case whole == 0 || parts < whole:
			n += x.n
		case a.of(coarse(x.resource)) > 0: // counted already
		default:
			n += (x.n*whole + parts - 1) / parts
		}
	}
	return n
}
