package kubernetes

import (
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"foretop/schedulers"
)

// node is what is kept of one: all that is told but what its pods decide.
type node struct {
	told     schedulers.Node
	has      amounts
	cordoned bool
}

// trimNode keeps what is told of a node.
func trimNode(o *corev1.Node) *node {
	n := &node{has: amountsOf(o.Status.Allocatable), cordoned: o.Spec.Unschedulable}
	t := &n.told
	t.Name = word(o.Name)
	for _, a := range o.Status.Addresses {
		if a.Address == "" || len(t.Addresses) == maxAddresses {
			continue
		}
		if a.Type == corev1.NodeHostName {
			t.Hostname = word(a.Address)
		}
		if v := word(a.Address); !slices.Contains(t.Addresses, v) {
			t.Addresses = append(t.Addresses, v)
		}
	}
	t.GPUs = n.has.devices(n.has)
	t.BootID, t.MachineID = word(o.Status.NodeInfo.BootID), word(o.Status.NodeInfo.MachineID)
	t.Labels = labelsOf(o.Labels)
	for _, key := range models {
		if v := o.Labels[key]; v != "" {
			t.GPUModel = word(v)
			break
		}
	}
	n.judge(o)
	return n
}

// models are the labels that name a node's accelerators: GPU feature discovery, AMD's labeller, GKE, the instance type's own for AWS.
var models = []string{
	"nvidia.com/gpu.product",
	"amd.com/gpu.product-name",
	"cloud.google.com/gke-accelerator",
	"cloud.google.com/gke-tpu-accelerator",
	"aws.amazon.com/neuron.product",
	"k8s.amazonaws.com/accelerator",
}

// judge says in which condition a node is. A kubelet that is silent, or says that it is not ready, weighs more than a cordon.
func (n *node) judge(o *corev1.Node) {
	t := &n.told
	t.Condition, t.State = schedulers.Unreachable, "NotReady" // a node that never said anything
	t.Reason = "its kubelet never reported"
	var troubles []string
	for i := range o.Status.Conditions {
		c := &o.Status.Conditions[i]
		switch {
		case c.Type != corev1.NodeReady:
			// MemoryPressure, DiskPressure, PIDPressure, NetworkUnavailable; a problem detector's own
			if c.Status == corev1.ConditionTrue && len(t.Flags) < maxLabels && !harmless(c) {
				t.Flags = append(t.Flags, word(string(c.Type)))
				troubles = append(troubles, string(c.Type)+": "+firstOf(c.Message, c.Reason))
			}
		case c.Status == corev1.ConditionTrue:
			t.Condition, t.State, t.Reason = schedulers.Usable, "Ready", ""
		case c.Status == corev1.ConditionUnknown:
			t.State, t.Reason, t.ReasonAt = "NotReady", text(firstOf(c.Message, c.Reason)), c.LastTransitionTime.Time
		default:
			t.Condition = schedulers.Down
			t.State, t.Reason, t.ReasonAt = "NotReady", text(firstOf(c.Message, c.Reason)), c.LastTransitionTime.Time
		}
	}
	taints := n.judgeTaints(o)
	slices.Sort(t.Flags)
	t.Flags = append([]string{t.State}, t.Flags...)
	if n.cordoned {
		t.Flags = append(t.Flags, "SchedulingDisabled")
		t.State += ",SchedulingDisabled"
	}
	if t.Reason == "" {
		t.Reason = text(strings.Join(append(troubles, taints...), "; "))
	}
	if t.Condition == schedulers.Usable && n.cordoned {
		t.Condition = schedulers.Draining // Drained when nothing runs there: see picture
	}
	if s, ok := o.Annotations[drainReason]; ok && n.cordoned { // who cordoned it here said why: that comes first
		reason, by, at := parseMark(s)
		others := t.Reason
		t.Reason, t.ReasonBy, t.ReasonAt = reason, word(by), at
		if others != "" {
			t.Reason = text(reason + "; " + others)
		}
	}
}

// harmless are conditions that are true on a healthy node: those of known problem detectors say what is wrong, a few others what is well.
func harmless(c *corev1.NodeCondition) bool {
	return strings.HasSuffix(string(c.Type), "Ready") || strings.HasSuffix(string(c.Type), "Healthy") || strings.HasSuffix(string(c.Type), "Available")
}

// judgeTaints takes the taints that keep work away: not those that say only that a node has accelerators, nor those that repeat its conditions.
func (n *node) judgeTaints(o *corev1.Node) []string {
	t := &n.told
	var words []string
	for i := range o.Spec.Taints {
		taint := &o.Spec.Taints[i]
		if taint.Key == corev1.TaintNodeUnschedulable {
			n.cordoned = true
			if taint.TimeAdded != nil && t.ReasonAt.IsZero() {
				t.ReasonAt = taint.TimeAdded.Time
			}
			continue
		}
		if accelerator(taint.Key) || strings.HasPrefix(taint.Key, "node.kubernetes.io/") || taint.Effect == corev1.TaintEffectPreferNoSchedule || len(words) == maxTaints {
			continue
		}
		w := taint.Key
		if taint.Value != "" {
			w += "=" + taint.Value
		}
		words = append(words, "taint "+w+":"+string(taint.Effect))
		t.Flags = append(t.Flags, word("taint "+w))
		if taint.TimeAdded != nil && t.ReasonAt.IsZero() {
			t.ReasonAt = taint.TimeAdded.Time
		}
		switch {
		case t.Condition != schedulers.Usable:
		case leaving(taint.Key):
			t.Condition = schedulers.Draining
		case taint.Key == "node.cloudprovider.kubernetes.io/uninitialized" || strings.HasSuffix(taint.Key, "/startup-taint"):
			t.Condition = schedulers.Starting
		case !kept(taint.Key):
			t.Condition = schedulers.Reserved
		}
	}
	return words
}

// leaving knows the taints of an autoscaler or a cloud that takes the node away, or of a controller that repairs it.
func leaving(key string) bool {
	for _, k := range []string{"ToBeDeletedByClusterAutoscaler", "karpenter.sh/disrupted", "karpenter.sh/disruption",
		"cloud.google.com/impending-node-termination", "aws-node-termination-handler/", "node.cloudprovider.kubernetes.io/shutdown"} {
		if key == k || strings.HasSuffix(k, "/") && strings.HasPrefix(key, k) {
			return true
		}
	}
	return false
}

// kept knows the taints by which whole pools are kept for a kind of work: roles, pools, accelerators by other names.
func kept(key string) bool {
	for _, part := range []string{"node-role.kubernetes.io/", "nodepool", "node-group", "gke-accelerator", "sku", "gpu", "accelerator"} {
		if strings.Contains(key, part) {
			return true
		}
	}
	return false
}

// labelsOf keeps the labels that say where a node is and what it is.
func labelsOf(all map[string]string) map[string]string {
	out := make(map[string]string)
	for key, value := range all {
		if placing(key) {
			out[word(key)] = word(value)
		}
	}
	if len(out) > maxLabels {
		keys := make([]string, 0, len(out))
		for key := range out {
			keys = append(keys, key)
		}
		slices.Sort(keys)
		for _, key := range keys[maxLabels:] {
			delete(out, key)
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// places are the labels of where a node is, or what their keys contain or begin with.
var places = struct{ exact, begins, contains []string }{
	exact: []string{"kubernetes.io/hostname", "kubernetes.io/arch", "node.kubernetes.io/instance-type", "nvidia.com/gpu.clique", "cloud.google.com/gke-nodepool",
		"eks.amazonaws.com/nodegroup", "agentpool"},
	begins:   []string{"topology.kubernetes.io/", "topology.k8s.aws/", "cloud.google.com/gce-topology-", "oci.oraclecloud.com/host.", "node-role.kubernetes.io/"},
	contains: []string{"rack", "leaf", "spine", "topology", "superpod", "scalable-unit"},
}

func placing(key string) bool {
	if slices.Contains(places.exact, key) {
		return true
	}
	for _, p := range places.begins {
		if strings.HasPrefix(key, p) {
			return true
		}
	}
	for _, p := range places.contains {
		if strings.Contains(key, p) {
			return true
		}
	}
	return false
}

// since gives the earlier of two times, where both are known.
func since(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
