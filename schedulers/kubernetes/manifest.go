package kubernetes

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// ManifestOptions choose what a manifest says.
type ManifestOptions struct {
	Namespace string            // "" DoorNamespace
	Image     string            // with sh, nsenter and dd; "" DoorImage
	Nodes     map[string]string // labels of the nodes to be on; nil: all
	Users     []string          // to be bound to the roles to look: "ada", "group:oncall"
	Act       []string          // to be bound to the role to act
}

// quoted writes a string as YAML and JSON both read it.
func quoted(s string) string { return fmt.Sprintf("%q", s) }

// doorManifest is the DaemonSet by which foretop reaches nodes without SSH, and the rights that its users need. Nothing of foretop runs in it but what a user's foretop starts, as long as that runs.
const doorManifest = `# foretop's door into nodes without SSH: a pod that only waits, on each node, through which foretop starts its collector while somebody watches.
# Whoever may exec into these pods is root on their nodes: bind the role "foretop" with care.
apiVersion: v1
kind: Namespace
metadata:
  name: NAMESPACE
  labels:
    pod-security.kubernetes.io/enforce: privileged
---
apiVersion: apps/v1
kind: DaemonSet
metadata:
  namespace: NAMESPACE
  name: foretop
  labels: {app.kubernetes.io/name: foretop}
spec:
  selector:
    matchLabels: {app.kubernetes.io/name: foretop}
  updateStrategy:
    rollingUpdate: {maxUnavailable: 10%}
  template:
    metadata:
      labels: {app.kubernetes.io/name: foretop}
    spec:NODES
      automountServiceAccountToken: false
      enableServiceLinks: false
      hostPID: true      # the node's processes, and the way into its namespaces
      hostNetwork: true  # its network and RDMA devices
      hostIPC: true
      terminationGracePeriodSeconds: 1
      tolerations: [{operator: Exists}]  # on drained and unhealthy nodes too: those are the ones to look at
      containers:
        - name: door
          image: IMAGE
          command: [/bin/sh, -c, "trap 'exit 0' TERM; while :; do sleep 3600 & wait $!; done"]
          env: [{name: HOME, value: /root}]
          securityContext: {privileged: true, runAsUser: 0}
          resources:
            requests: {cpu: 10m, memory: 32Mi}
            limits: {memory: 256Mi}
          volumeMounts: [{name: tmp, mountPath: /tmp}]
      volumes: [{name: tmp, emptyDir: {sizeLimit: 64Mi}}]  # for the collector, on nodes without a shell of their own
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {namespace: NAMESPACE, name: foretop}
rules:
  - {apiGroups: [""], resources: [pods], verbs: [get, list]}
  - {apiGroups: [""], resources: [pods/exec], verbs: [get, create]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: foretop-view}
rules:
  - {apiGroups: [""], resources: [nodes, pods, namespaces], verbs: [get, list, watch]}
---
# What acting needs: to cordon and uncordon, to drain, and to cancel or requeue jobs of the kinds below. Bound to nobody unless it is asked for.
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: foretop-act}
rules:
  - {apiGroups: [""], resources: [nodes], verbs: [get, patch]}
  - {apiGroups: [""], resources: [pods], verbs: [get, list, delete]}
  - {apiGroups: [""], resources: [pods/eviction], verbs: [create]}
  - {apiGroups: [apps], resources: [daemonsets], verbs: [get]}  # a drain leaves their pods alone, if they are there
RULES`

// actBinding binds the role to act.
const actBinding = `---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: foretop-act}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: foretop-act}
subjects: [SUBJECTS]
`

// actRules are the rights to end jobs: to look at one, to delete it, and to suspend it where its kind has that.
func actRules() string {
	var out strings.Builder
	for _, w := range workloads {
		if w.kind == "pod" || w.kind == "daemonset" {
			continue // above
		}
		verbs := "[get, delete]"
		if w.suspend != nil {
			verbs = "[get, delete, patch]"
		}
		fmt.Fprintf(&out, "  - {apiGroups: [%s], resources: [%s], verbs: %s}\n", w.group, w.plural, verbs)
	}
	return out.String()
}

// doorBindings binds both roles to subjects.
const doorBindings = `---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {namespace: NAMESPACE, name: foretop}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: foretop}
subjects: [SUBJECTS]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: foretop-view}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: foretop-view}
subjects: [SUBJECTS]
`

// Manifest is what an administrator applies once so that foretop reaches nodes without SSH.
func Manifest(o ManifestOptions) string {
	nodes := ""
	if len(o.Nodes) > 0 {
		nodes = "\n      nodeSelector:"
		for _, key := range slices.Sorted(maps.Keys(o.Nodes)) {
			nodes += "\n        " + quoted(key) + ": " + quoted(o.Nodes[key])
		}
	}
	manifest := strings.Replace(doorManifest, "RULES", actRules(), 1)
	if len(o.Users) > 0 {
		manifest += strings.ReplaceAll(doorBindings, "SUBJECTS", subjects(o.Users))
	}
	if len(o.Act) > 0 {
		manifest += strings.ReplaceAll(actBinding, "SUBJECTS", subjects(o.Act))
	}
	return strings.NewReplacer("NAMESPACE", quoted(firstOf(o.Namespace, DoorNamespace)), "IMAGE", quoted(firstOf(o.Image, DoorImage)), "NODES", nodes).Replace(manifest)
}

// subjects are users and groups, as a binding names them.
func subjects(names []string) string {
	var out []string
	for _, u := range names {
		kind := "User"
		if name, ok := strings.CutPrefix(u, "group:"); ok {
			kind, u = "Group", name
		}
		out = append(out, fmt.Sprintf("{apiGroup: rbac.authorization.k8s.io, kind: %s, name: %q}", kind, u))
	}
	return strings.Join(out, ", ")
}
