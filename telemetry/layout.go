package telemetry

import "strings"

// layoutKeys are the only settings of a command line or of a configuration file named there that leave a node for the sake of a job's parallel layout,
// by name without its dashes and without what stands before its last dot, "-" written "_". A value is a number, or one of the words given here: nothing
// else of a file or an option is ever told. Package jobs/layout says whose they are.
var layoutKeys = map[string][]string{
	// Megatron-LM, NeMo, Megatron-DeepSpeed, GPT-NeoX
	"tensor_model_parallel_size": nil, "pipeline_model_parallel_size": nil, "context_parallel_size": nil, "expert_model_parallel_size": nil,
	"expert_tensor_parallel_size": nil, "num_layers_per_virtual_pipeline_stage": nil, "num_virtual_stages_per_pipeline_rank": nil,
	"virtual_pipeline_model_parallel_size": nil, "num_layers": nil, "num_distributed_optimizer_instances": nil, "tensor_parallel_num_weight_shards": nil,
	"expert_tensor_parallel_num_weight_shards": nil, "ds_sequence_parallel_size": nil, "pipe_parallel_size": nil, "model_parallel_size": nil,
	"use_tp_pp_dp_mapping": yesNo,
	// torchtitan
	"data_parallel_replicate_degree": nil, "data_parallel_shard_degree": nil, "data_parallel_degree": nil, "context_parallel_degree": nil,
	"tensor_parallel_degree": nil, "pipeline_parallel_degree": nil, "expert_parallel_degree": nil, "expert_tensor_parallel_degree": nil,
	// FSDP
	"fsdp": sharding, "sharding_strategy": sharding, "fsdp_sharding_strategy": sharding,
	// DeepSpeed
	"deepspeed": yesNo, "zero_stage": nil, "mics_shard_size": nil, "sequence_parallel_size": nil, "autotp_size": nil, "pipeline_parallel_size": nil,
	// MaxText
	"hardware":               {"tpu", "gpu", "gpu_multiprocess", "cpu"},
	"ici_diloco_parallelism": nil, "ici_data_parallelism": nil, "ici_pipeline_parallelism": nil, "ici_fsdp_parallelism": nil, "ici_fsdp_transpose_parallelism": nil,
	"ici_sequence_parallelism": nil, "ici_context_parallelism": nil, "ici_context_usp_ulysses_parallelism": nil, "ici_context_autoregressive_parallelism": nil,
	"ici_tensor_parallelism": nil, "ici_tensor_transpose_parallelism": nil, "ici_tensor_sequence_parallelism": nil, "ici_expert_parallelism": nil,
	"ici_autoregressive_parallelism": nil,
	"dcn_diloco_parallelism":         nil, "dcn_data_parallelism": nil, "dcn_pipeline_parallelism": nil, "dcn_fsdp_parallelism": nil, "dcn_fsdp_transpose_parallelism": nil,
	"dcn_sequence_parallelism": nil, "dcn_context_parallelism": nil, "dcn_context_usp_ulysses_parallelism": nil, "dcn_context_autoregressive_parallelism": nil,
	"dcn_tensor_parallelism": nil, "dcn_tensor_transpose_parallelism": nil, "dcn_tensor_sequence_parallelism": nil, "dcn_expert_parallelism": nil,
	"dcn_autoregressive_parallelism": nil,
}

var (
	yesNo    = []string{"true", "false", "1", "0"}
	sharding = []string{"full_shard", "shard_grad_op", "no_shard", "hybrid_shard", "hybrid_shard_zero2", "_hybrid_shard_zero2", "1", "2", "3", "4", "5"}
)

// LayoutTwice stands for the value of a setting that is there more than once, with different values in different places.
const LayoutTwice = "!"

// MaxLayoutFiles bounds how many configuration files of a process are read.
const MaxLayoutFiles = 4

// LayoutKey says whether a setting is one of those that are told.
func LayoutKey(name string) bool {
	_, ok := layoutKeys[name]
	return ok
}

// layoutSettings collects settings. Of a name that comes twice from the same place the last holds; from different ones neither.
type layoutSettings struct {
	values map[string]string
	places map[string]string // what stood before the name
}

func (s *layoutSettings) put(place, name, value string, last bool) {
	value, ok := layoutValue(name, value)
	if !ok {
		return
	}
	if s.values == nil {
		s.values, s.places = map[string]string{}, map[string]string{}
	}
	if before, twice := s.values[name]; twice && before != value && !(last && s.places[name] == place) {
		value = LayoutTwice
	}
	s.values[name], s.places[name] = value, place
}

// layoutValue is a setting's value as it is told; ok is false for one that must not be, or of a name that is not known.
func layoutValue(name, value string) (string, bool) {
	words, known := layoutKeys[name]
	if !known {
		return "", false
	}
	if words == nil {
		return value, isCount(value)
	}
	for word := range strings.FieldsSeq(strings.ToLower(value)) { // --fsdp "full_shard auto_wrap"
		for _, w := range words {
			if word == w {
				return w, true
			}
		}
	}
	return "", false
}

// isCount says whether s is a whole number of at most seven digits, or -1.
func isCount(s string) bool {
	if s == "-1" {
		return true
	}
	return len(s) > 0 && len(s) <= 7 && strings.Trim(s, "0123456789") == ""
}

// LayoutFlags picks the settings of the parallel layout out of a command line: `--name value`, `--name=value`, `name=value`, each with dots before the
// name or without.
func LayoutFlags(args []string) map[string]string {
	var s layoutSettings
	for i, a := range args {
		option := strings.HasPrefix(a, "-")
		full, value, given := strings.Cut(strings.TrimLeft(a, "-+"), "=")
		if !option && !given {
			continue
		}
		place, name := settingName(full)
		if name == "deepspeed_config" {
			name, value = "deepspeed", "true"
		}
		next := ""
		if i+1 < len(args) {
			next = args[i+1]
		}
		switch {
		case name == "deepspeed": // what is named there is a file
			value = "true"
		case given:
		case name == "use_tp_pp_dp_mapping" && next != "false" && next != "0": // a switch: what follows is something else
			value = "true"
		default:
			value = next
		}
		s.put(place, name, value, true)
	}
	return s.values
}

// settingName cuts an option's or key's name at its last dot, in lower case, with "_" for "-".
func settingName(full string) (place, name string) {
	if len(full) > 128 {
		return "", ""
	}
	full = strings.ReplaceAll(strings.ToLower(full), "-", "_")
	if dot := strings.LastIndexByte(full, '.'); dot >= 0 {
		return full[:dot], full[dot+1:]
	}
	return "", full
}

// configOptions name a configuration file.
var configOptions = map[string]bool{"config": true, "config_file": true, "yaml_cfg": true, "deepspeed": true, "deepspeed_config": true, "ds_config": true, "conf": true,
	"cfg": true, "config_yaml": true, "conf_file": true, "recipe": true}

// LayoutFiles names the configuration files of a command line that may hold settings of the layout, as they are written there: those that an option
// names, NeMo's --config-path with --config-name, and YAML files by themselves. Only names that end like such a file's count.
func LayoutFiles(args []string) []string {
	var files []string
	add := func(name string) {
		if !isConfigFile(name) || len(files) >= MaxLayoutFiles {
			return
		}
		for _, f := range files {
			if f == name {
				return
			}
		}
		files = append(files, name)
	}
	folder, base := "", ""
	for i := 1; i < len(args); i++ {
		a := args[i]
		if !strings.HasPrefix(a, "-") {
			if !strings.HasSuffix(a, ".json") && !strings.Contains(a, "=") {
				add(a)
			}
			continue
		}
		full, value, given := strings.Cut(strings.TrimLeft(a, "-"), "=")
		if !given && i+1 < len(args) && !strings.HasPrefix(args[i+1], "-") {
			value = args[i+1]
		}
		switch _, name := settingName(full); {
		case name == "config_path":
			folder = value
		case name == "config_name":
			base = value
		case configOptions[name]:
			add(value)
		}
	}
	if base != "" {
		if !isConfigFile(base) {
			base += ".yaml"
		}
		if folder != "" {
			base = strings.TrimSuffix(folder, "/") + "/" + base
		}
		add(base)
	}
	return files
}

func isConfigFile(name string) bool {
	if len(name) > 1024 || strings.IndexByte(name, 0) >= 0 {
		return false
	}
	for _, end := range []string{".json", ".yaml", ".yml", ".toml"} {
		if strings.HasSuffix(name, end) && len(name) > len(end) {
			return true
		}
	}
	return false
}
