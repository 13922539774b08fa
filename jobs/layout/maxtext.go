package layout

import (
	"fmt"
	"slices"
)

// meshAxes are the axes of MaxText's mesh in their order, slowest first (mesh_axes in its base.yml), the word of their options, and what they are here.
var meshAxes = []struct{ option, name string }{
	{"diloco", Replicate}, {"data", DP}, {"pipeline", PP}, {"fsdp", Shard}, {"fsdp_transpose", Shard}, {"sequence", CP}, {"context", CP},
	{"context_usp_ulysses", SP}, {"context_autoregressive", CP}, {"tensor", TP}, {"tensor_transpose", TP}, {"tensor_sequence", TP}, {"expert", EP},
	{"autoregressive", TP},
}

// maxTextKeys are MaxText's options: the sizes of each axis within a slice (ici) and over slices (dcn).
func maxTextKeys() []string {
	var keys []string
	for _, a := range meshAxes {
		keys = append(keys, "ici_"+a.option+"_parallelism", "dcn_"+a.option+"_parallelism")
	}
	return keys
}

// maxText computes as create_hybrid_device_mesh does (jax/_src/mesh_utils.py): each axis has a part within a slice and one over slices, and on GPUs a
// node is a slice. It counts devices, not processes. How a TPU's mesh follows its torus is not computed.
func maxText(r *reader, job Job, l *Layout) error {
	if job.GPUs <= 0 || job.Local <= 0 {
		return fmt.Errorf("a JAX mesh counts devices, and those of a process, or the processes of a node, are not known")
	}
	if word := r.word("hardware"); word == "tpu" {
		return fmt.Errorf("on TPUs the mesh follows the torus: which device is where is not computed")
	}
	devices, node := job.World*job.GPUs, job.Local*job.GPUs
	if devices%node != 0 {
		return fmt.Errorf("%d devices are not whole nodes of %d", devices, node)
	}
	var ici, dcn []Dim
	for _, a := range slices.Backward(meshAxes) {
		within, over := 1, 1
		if a.option == "fsdp" {
			within = rest
		}
		if a.option == "data" {
			over = rest
		}
		ici = append(ici, Dim{a.name, r.size(within, "ici_"+a.option+"_parallelism")})
		dcn = append(dcn, Dim{a.name, r.size(over, "dcn_"+a.option+"_parallelism")})
	}
	if r.err != nil {
		return r.err
	}
	inner, err := spread(node, "devices of it", ici...)
	if err != nil {
		return fmt.Errorf("within a node %w", err)
	}
	outer, err := spread(devices/node, "nodes", dcn...)
	if err != nil {
		return fmt.Errorf("over nodes %w", err)
	}
	l.World, l.PerGPU = devices, true
	l.Dims = append(inner, outer...)
	return nil
}
