package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"foretop/schedulers/kubernetes"
)

// newKubeManifest is `foretop kube-manifest`: what makes nodes of a Kubernetes cluster reachable that have no SSH.
func newKubeManifest() *cobra.Command {
	var o kubernetes.ManifestOptions
	var nodes []string
	cmd := &cobra.Command{
		Use:   "kube-manifest",
		Short: "Print the DaemonSet for Kubernetes nodes without SSH",
		Long: `Prints a manifest to apply once to a Kubernetes cluster whose nodes have no SSH: a privileged DaemonSet whose pods only wait. foretop then
starts its collector on a node through exec into the pod there, while somebody watches; nothing of foretop runs otherwise.

Who may exec into these pods is root on the nodes: the role that allows it is bound to nobody unless --user says so. Nor is the role
foretop-act, which lists the rights that drain, resume, cancel and requeue need, unless --act says so.`,
		Example: `# for all nodes with NVIDIA GPUs, and for the group oncall
foretop kube-manifest --nodes nvidia.com/gpu.present=true --user group:oncall | kubectl apply -f -
# from a registry of your own
foretop kube-manifest --image registry.example/busybox:1.37`,
		Args: cobra.NoArgs,
		RunE: running(func(cmd *cobra.Command, _ []string) error {
			for _, n := range nodes {
				key, value, ok := strings.Cut(n, "=")
				if !ok || key == "" {
					return usage(fmt.Errorf("--nodes %q: write LABEL=VALUE", n))
				}
				if o.Nodes == nil {
					o.Nodes = make(map[string]string)
				}
				o.Nodes[key] = value
			}
			_, err := fmt.Fprint(cmd.OutOrStdout(), kubernetes.Manifest(o))
			return err
		}),
	}
	cmd.Flags().StringVar(&o.Namespace, "namespace", kubernetes.DoorNamespace, "namespace of the DaemonSet")
	cmd.Flags().StringVar(&o.Image, "image", kubernetes.DoorImage, "image with sh, nsenter and dd")
	cmd.Flags().StringSliceVar(&nodes, "nodes", nil, "only on nodes with this `LABEL=VALUE`; may be repeated")
	cmd.Flags().StringSliceVar(&o.Users, "user", nil, "allow it to this `USER` or group:GROUP; may be repeated")
	cmd.Flags().StringSliceVar(&o.Act, "act", nil, "allow this `USER` or group:GROUP to drain nodes and to end jobs; may be repeated")
	return cmd
}
