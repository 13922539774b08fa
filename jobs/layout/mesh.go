package layout

import (
	"fmt"
	"strings"
)

// titanKeys are the degrees of torchtitan (torchtitan/config): `--parallelism.NAME` or the same in its TOML file.
var titanKeys = []string{"data_parallel_replicate_degree", "data_parallel_shard_degree", "data_parallel_degree", "context_parallel_degree", "tensor_parallel_degree",
	"pipeline_parallel_degree", "expert_parallel_degree", "expert_tensor_parallel_degree"}

// titan computes as ParallelDims.build_mesh does (torchtitan/distributed/parallel_dims.py). A flag goes before the file.
func titan(r *reader, job Job, l *Layout) error {
	tp, cp, pp := r.size(1, "tensor_parallel_degree"), r.size(1, "context_parallel_degree"), r.size(1, "pipeline_parallel_degree")
	replicate, shard := r.size(1, "data_parallel_replicate_degree"), r.size(rest, "data_parallel_shard_degree", "data_parallel_degree")
	ep := r.size(1, "expert_parallel_degree")
	if r.err != nil {
		return r.err
	}
	var err error
	if l.Dims, err = grid(l.World, Dim{TP, tp}, Dim{CP, cp}, Dim{Shard, shard}, Dim{Replicate, replicate}, Dim{PP, pp}); err != nil || ep <= 1 {
		return err
	}
	etp := r.size(1, "expert_tensor_parallel_degree")
	if l.Experts, err = grid(l.World, Dim{ETP, etp}, Dim{EP, ep}, Dim{EDP, rest}, Dim{Replicate, replicate}, Dim{PP, pp}); err != nil {
		return fmt.Errorf("of the experts %w", err)
	}
	return nil
}

// accelerateKeys are the variables that `accelerate launch` sets (accelerate/utils/launch.py).
var accelerateKeys = []string{"PARALLELISM_CONFIG_DP_REPLICATE_SIZE", "PARALLELISM_CONFIG_DP_SHARD_SIZE", "PARALLELISM_CONFIG_TP_SIZE",
	"PARALLELISM_CONFIG_CP_SIZE", "PARALLELISM_CONFIG_SP_SIZE"}

// accelerate computes as ParallelismConfig does (accelerate/parallelism_config.py).
func accelerate(r *reader, job Job, l *Layout) error {
	size := func(name string) int { return r.size(1, "PARALLELISM_CONFIG_"+name+"_SIZE") }
	dims := []Dim{{TP, size("TP")}, {SP, size("SP")}, {CP, size("CP")}, {Shard, size("DP_SHARD")}, {Replicate, size("DP_REPLICATE")}}
	if r.err != nil {
		return r.err
	}
	all := 1
	for _, d := range dims {
		if d.Size != 1 {
			all = 2
		}
	}
	if all == 1 {
		dims = []Dim{{DP, rest}}
	}
	var err error
	if l.Dims, err = grid(l.World, dims...); err != nil && dims[1].Size > 1 { // DeepSpeed makes the groups then, and only sp counts
		l.Dims, err = grid(l.World, dims[1], Dim{DP, rest})
	}
	return err
}

// fsdpKeys say how PyTorch's FSDP shards: accelerate's variable, and options of the usual scripts.
var fsdpKeys = []string{"FSDP_SHARDING_STRATEGY", "fsdp_sharding_strategy", "sharding_strategy", "fsdp"}

// fsdp computes as FullyShardedDataParallel does (torch/distributed/fsdp/_init_utils.py): hybrid sharding shards over the ranks of a node.
func fsdp(r *reader, job Job, l *Layout) error {
	word := ""
	for _, key := range fsdpKeys {
		if word = strings.ToLower(r.word(key)); word != "" {
			break
		}
	}
	if r.err != nil {
		return r.err
	}
	var err error
	switch word {
	case "full_shard", "shard_grad_op", "1", "2":
		l.Dims, err = grid(l.World, Dim{Shard, rest})
	case "hybrid_shard", "hybrid_shard_zero2", "_hybrid_shard_zero2", "4", "5":
		if job.Local <= 0 {
			return fmt.Errorf("FSDP shards within each node, and the ranks of a node are not known, or not as many everywhere")
		}
		l.Framework = "HSDP"
		l.Dims, err = grid(l.World, Dim{Shard, job.Local}, Dim{Replicate, rest})
	case "no_shard", "3":
		l.Dims, err = grid(l.World, Dim{DP, rest})
	default:
		return fmt.Errorf("the sharding strategy %q is not known", word)
	}
	return err
}

// deepspeedKeys are keys of DeepSpeed's configuration file (deepspeed/runtime/config.py; zero_stage is its zero_optimization.stage), and that there is one.
var deepspeedKeys = []string{"mics_shard_size", "sequence_parallel_size", "autotp_size", "zero_stage", "deepspeed"}

// deepspeed computes as deepspeed/runtime/pipe/topology.py and zero/mics_utils.py do. A pipeline is made in code and mostly not to be seen: only the higher
// stages of ZeRO, which it does not go with, say that there is none.
func deepspeed(r *reader, job Job, l *Layout) error {
	tp, sp, pp, mics := r.size(1, "autotp_size"), r.size(1, "sequence_parallel_size"), stages(r), r.size(1, "mics_shard_size")
	stage := r.size(0, "zero_stage")
	if r.err != nil {
		return r.err
	}
	if stage > 0 {
		l.Notes = append(l.Notes, fmt.Sprintf("ZeRO stage %d", stage))
	}
	var err error
	switch {
	case mics > 1:
		l.Dims, err = grid(l.World, Dim{Shard, mics}, Dim{Replicate, rest})
	case stage == 3:
		l.Dims, err = grid(l.World, Dim{TP, tp}, Dim{SP, sp}, Dim{Shard, rest})
	case pp == 0 && stage < 2 && tp == 1 && sp == 1:
		return fmt.Errorf("whether DeepSpeed runs a pipeline is said in the program only")
	default:
		l.Dims, err = grid(l.World, Dim{TP, tp}, Dim{SP, sp}, Dim{DP, rest}, Dim{PP, max(1, pp)})
	}
	return err
}

// stages is how many pipeline stages DeepSpeed's examples were told; 0: it is not known.
func stages(r *reader) int {
	if r.word("pipeline_parallel_size") == "" {
		return 0
	}
	return r.size(1, "pipeline_parallel_size")
}
