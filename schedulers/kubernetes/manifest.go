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
	Users     []string          // to be bound to the role: "ada", "group:oncall"
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
`

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
	manifest := doorManifest
	if len(o.Users) > 0 {
		var subjects []string
		for _, u := range o.Users {
			kind := "User"
			if name, ok := strings.CutPrefix(u, "group:"); ok {
				kind, u = "Group", name
			}
			subjects = append(subjects, fmt.Sprintf("{apiGroup: rbac.authorization.k8s.io, kind: %s, name: %q}", kind, u))
		}
		manifest += strings.ReplaceAll(doorBindings, "SUBJECTS", strings.Join(subjects, ", "))
	}
	return strings.NewReplacer("NAMESPACE", quoted(firstOf(o.Namespace, DoorNamespace)), "IMAGE", quoted(firstOf(o.Image, DoorImage)), "NODES", nodes).Replace(manifest)
}
