package layout

import "fmt"

// megatronKeys are the options of Megatron-LM (megatron/training/arguments.py, megatron/core/model_parallel_config.py), of which NeMo's configuration
// has the same names, and of Megatron-DeepSpeed (megatron/arguments.py).
var megatronKeys = []string{
	"tensor_model_parallel_size", "pipeline_model_parallel_size", "context_parallel_size", "expert_model_parallel_size", "expert_tensor_parallel_size",
	"num_layers_per_virtual_pipeline_stage", "num_virtual_stages_per_pipeline_rank", "num_distributed_optimizer_instances",
	"tensor_parallel_num_weight_shards", "expert_tensor_parallel_num_weight_shards", "ds_sequence_parallel_size",
}

// megatron computes as initialize_model_parallel does (megatron/core/parallel_state.py).
func megatron(r *reader, job Job, l *Layout) error {
	m := megatronSizes{
		tp: r.size(1, "tensor_model_parallel_size"), pp: r.size(1, "pipeline_model_parallel_size"), cp: r.size(1, "context_parallel_size"),
		sp: r.size(1, "ds_sequence_parallel_size"), ep: r.size(1, "expert_model_parallel_size"), gtp: 1, egtp: 1,
		ppFirst: r.yes("use_tp_pp_dp_mapping"),
	}
	m.etp = r.size(m.tp, "expert_tensor_parallel_size")
	var err error
	if m.gtp, err = shards(r, m.tp, "tensor_parallel_num_weight_shards"); err == nil && m.ep > 1 {
		m.egtp, err = shards(r, m.etp, "expert_tensor_parallel_num_weight_shards")
	}
	if err != nil {
		return err
	}
	if m.pp > 1 {
		l.Virtual = chunks(r, m.pp)
	}
	if n := r.size(1, "num_distributed_optimizer_instances"); n > 1 {
		l.Notes = append(l.Notes, fmt.Sprintf("%d instances of the distributed optimizer", n))
	}
	if r.err != nil {
		return r.err
	}
	return m.compute(l)
}

// shards is how often a weight is split beyond tensor parallel.
func shards(r *reader, tp int, key string) (int, error) {
	n := r.size(tp, key)
	if n < 1 || tp < 1 || n%tp != 0 {
		return 1, fmt.Errorf("%s %d is no multiple of tp %d", key, n, tp)
	}
	return n / tp, nil
}

// chunks is how many pieces of the model a pipeline rank has; 0 where it cannot be told.
func chunks(r *reader, pp int) int {
	if n := r.size(0, "num_virtual_stages_per_pipeline_rank", "virtual_pipeline_model_parallel_size"); n > 0 {
		return n
	}
	each, layers := r.size(0, "num_layers_per_virtual_pipeline_stage"), r.size(0, "num_layers")
	if each <= 0 || layers <= 0 || layers%pp != 0 || layers/pp%each != 0 {
		return 0
	}
	return layers / pp / each
}

// megatronSizes are the sizes of Megatron's dimensions.
type megatronSizes struct {
	tp, gtp, cp, sp, pp int
	ep, etp, egtp       int
	ppFirst             bool // pipeline stages before data parallel replicas
}

func (m *megatronSizes) compute(l *Layout) error {
	tail := []Dim{{DP, rest}, {PP, m.pp}}
	if m.ppFirst {
		tail = []Dim{{PP, m.pp}, {DP, rest}}
	}
	var err error
	if l.Dims, err = grid(l.World, append([]Dim{{TP, m.tp}, {GTP, m.gtp}, {CP, m.cp}, {SP, m.sp}}, tail...)...); err != nil {
		return err
	}
	if m.ep <= 1 {
		return nil
	}
	for i := range tail {
		if tail[i].Name == DP {
			tail[i].Name = EDP
		}
	}
	experts := append([]Dim{{ETP, m.etp}, {EP, m.ep}, {EGTP, m.egtp}}, tail...)
	if l.Experts, err = grid(l.World, experts...); err != nil {
		return fmt.Errorf("of the experts %w", err)
	}
	// Megatron takes only grids whose pipelines are the same.
	if before, after := stride(l.Dims, PP), stride(l.Experts, PP); m.pp > 1 && before != after {
		l.Experts = nil
		l.Notes = append(l.Notes, "the experts' pipelines would not be those of the other layers: their grid is not shown")
	}
	return nil
}

// stride is how far apart neighbours along a dimension are.
func stride(dims []Dim, name string) int {
	n := 1
	for _, d := range dims {
		if d.Name == name {
			return n
		}
		n *= d.Size
	}
	return 0
}

// accelerateMegatronKeys are the variables that `accelerate launch` sets for Megatron-LM (accelerate/utils/launch.py).
var accelerateMegatronKeys = []string{"MEGATRON_LM_TP_DEGREE", "MEGATRON_LM_PP_DEGREE", "MEGATRON_LM_CONTEXT_PARALLEL_SIZE",
	"MEGATRON_LM_EXPERT_MODEL_PARALLEL_SIZE", "MEGATRON_LM_EXPERT_TENSOR_PARALLEL_SIZE"}

func accelerateMegatron(r *reader, job Job, l *Layout) error {
	m := megatronSizes{tp: r.size(1, "MEGATRON_LM_TP_DEGREE"), pp: r.size(1, "MEGATRON_LM_PP_DEGREE"), cp: r.size(1, "MEGATRON_LM_CONTEXT_PARALLEL_SIZE"),
		ep: r.size(1, "MEGATRON_LM_EXPERT_MODEL_PARALLEL_SIZE"), sp: 1, gtp: 1, egtp: 1}
	m.etp = r.size(m.tp, "MEGATRON_LM_EXPERT_TENSOR_PARALLEL_SIZE")
	if r.err != nil {
		return r.err
	}
	return m.compute(l)
}

// neoxKeys are the keys of GPT-NeoX's configuration (megatron/neox_arguments), whose ranks stand as in DeepSpeed's PipeModelDataParallelTopology.
var neoxKeys = []string{"pipe_parallel_size", "model_parallel_size"}

func neox(r *reader, job Job, l *Layout) error {
	m := megatronSizes{tp: r.size(1, "model_parallel_size"), pp: r.size(1, "pipe_parallel_size"), cp: 1, sp: r.size(1, "sequence_parallel_size"), gtp: 1, egtp: 1}
	if r.err != nil {
		return r.err
	}
	return m.compute(l)
}
