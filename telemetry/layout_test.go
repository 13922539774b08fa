package telemetry

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLayoutFlags(t *testing.T) {
	type set = map[string]string
	for line, want := range map[string]set{
		"p.py --tensor-model-parallel-size 8 --pipeline-model-parallel-size=4":                                  {"tensor_model_parallel_size": "8", "pipeline_model_parallel_size": "4"},
		"p.py --use-tp-pp-dp-mapping --tensor-model-parallel-size 2":                                            {"use_tp_pp_dp_mapping": "true", "tensor_model_parallel_size": "2"},
		"p.py --tensor-model-parallel-size 8 --tensor-model-parallel-size 4":                                    {"tensor_model_parallel_size": "4"}, // argparse: the last holds
		"p.py model.tensor_model_parallel_size=4 ++model.context_parallel_size=2":                               {"tensor_model_parallel_size": "4", "context_parallel_size": "2"},
		"p.py a.actor.tensor_model_parallel_size=2 a.rollout.tensor_model_parallel_size=4":                      {"tensor_model_parallel_size": LayoutTwice},
		"p.py a.actor.tensor_model_parallel_size=2 a.rollout.tensor_model_parallel_size=2":                      {"tensor_model_parallel_size": "2"},
		"p.py --parallelism.tensor-parallel-degree 4 --parallelism.data_parallel_shard_degree=-1":               {"tensor_parallel_degree": "4", "data_parallel_shard_degree": "-1"},
		"p.py --tensor-model-parallel-size eight --context-parallel-size 12345678 --expert-model-parallel-size": nil,
		"p.py --tensor-model-parallel-size hf_secretsecretsecret --api-key 8":                                   nil,
		"p.py tensor_model_parallel_size 8":                                                                     nil, // words of a text
		"p.py --deepspeed ds.json --fsdp full_shard":                                                            {"deepspeed": "true", "fsdp": "full_shard"},
		"p.py --deepspeed_config=ds.json --hardware gpu":                                                        {"deepspeed": "true", "hardware": "gpu"},
		"t.py hardware=gpu ici_fsdp_parallelism=-1 run_name=secret":                                             {"hardware": "gpu", "ici_fsdp_parallelism": "-1"},
		"t.py hardware=secret":                  nil,
		"t.py --sharding_strategy HYBRID_SHARD": {"sharding_strategy": "hybrid_shard"},
		"":                                      nil,
	} {
		if d := cmp.Diff(want, LayoutFlags(strings.Fields(line))); d != "" {
			t.Errorf("%s (-want +got)\n%s", line, d)
		}
	}
	if got := LayoutFlags([]string{"t.py", "--fsdp", "full_shard auto_wrap"}); got["fsdp"] != "full_shard" {
		t.Errorf("%v", got)
	}
}

func TestLayoutFiles(t *testing.T) {
	for line, want := range map[string][]string{
		"python t.py --config a.yaml --config_file=b.yml --deepspeed ds.json": {"a.yaml", "b.yml", "ds.json"},
		"python -m torchtitan.train --job.config_file ./x.toml":               {"./x.toml"},
		"python t.py --config-path=/c --config-name gpt3":                     {"/c/gpt3.yaml"},
		"python t.py --config-name=gpt3.yaml":                                 {"gpt3.yaml"},
		"python -m MaxText.train MaxText/configs/base.yml run_name=x.yml":     {"MaxText/configs/base.yml"},
		"python t.py --data train.json tokens.json":                           nil,
		"python t.py --config /etc/shadow --config .yaml":                     nil,
		"python t.py --config a.yaml --config a.yaml":                         {"a.yaml"},
		"python t.py 1.yml 2.yml 3.yml 4.yml 5.yml":                           {"1.yml", "2.yml", "3.yml", "4.yml"},
		"python t.py --config":                                                nil,
		"":                                                                    nil,
	} {
		if d := cmp.Diff(want, LayoutFiles(strings.Fields(line))); d != "" {
			t.Errorf("%s (-want +got)\n%s", line, d)
		}
	}
}

func TestLayoutText(t *testing.T) {
	type set = map[string]string
	for text, want := range map[string]set{
		"model:\n  tensor_model_parallel_size: 8 # of a node\n  pipeline_model_parallel_size: 4\n":             {"tensor_model_parallel_size": "8", "pipeline_model_parallel_size": "4"},
		"{\"zero_optimization\": {\"offload\": {\"device\": \"cpu\"}, \"stage\": 3}, \"train_batch_size\": 8}": {"zero_stage": "3"},
		"zero_optimization:\n  stage: 2\n":                                         {"zero_stage": "2"},
		"{\"optimizer\": {\"stage\": 3}}":                                          nil,
		"[parallelism]\ntensor_parallel_degree = 8\nx = [1, 2]\n":                  {"tensor_parallel_degree": "8"},
		"# tensor_parallel_degree = 8\n":                                           nil,
		"tensor_parallel_degree = \"8\"":                                           {"tensor_parallel_degree": "8"},
		"tensor_parallel_degree = 8 * 2\n":                                         nil,
		"tensor_model_parallel_size: ${oc.env:TP}\n":                               nil,
		"tensor_model_parallel_size: 'hunter2'\n":                                  nil,
		"a:\n  tensor_model_parallel_size: 8\nb:\n  tensor_model_parallel_size: 4": {"tensor_model_parallel_size": LayoutTwice},
		"a: it's\ntensor_model_parallel_size: 8\n":                                 {"tensor_model_parallel_size": "8"},
		"\"pipe-parallel-size\": 4,\n":                                             {"pipe_parallel_size": "4"},
		"{\"a\": \"x\\\"y\", \"model_parallel_size\":2}":                           {"model_parallel_size": "2"},
		"use_tp_pp_dp_mapping: True\r\ncontext_parallel_size: 2\r\n":               {"use_tp_pp_dp_mapping": "true", "context_parallel_size": "2"},
		"": nil, "\"": nil, "tensor_parallel_degree": nil, "tensor_parallel_degree=": nil, "{{{{": nil, "}}}": nil,
	} {
		if d := cmp.Diff(want, LayoutText([]byte(text))); d != "" {
			t.Errorf("%q (-want +got)\n%s", text, d)
		}
	}
}

// Whatever a file or a command line holds, nothing but known names with numbers and known words is told.
func FuzzLayout(f *testing.F) {
	f.Add("{\"zero_optimization\": {\"stage\": 3}}")
	f.Add("[a]\ntensor_parallel_degree = 8 # x\n'pipe-parallel-size': 4")
	f.Add("p.py --tensor-model-parallel-size 8 a.b.context_parallel_size=2 --fsdp full_shard --config x.yaml --config-path /c --config-name d")
	f.Fuzz(func(t *testing.T, text string) {
		args := strings.Fields(text)
		for _, found := range []map[string]string{LayoutText([]byte(text)), LayoutFlags(args)} {
			for name, value := range found {
				if told, ok := layoutValue(name, value); value != LayoutTwice && (!ok || told != value) {
					t.Errorf("%q = %q is told", name, value)
				}
			}
		}
		if files := LayoutFiles(args); len(files) > MaxLayoutFiles {
			t.Errorf("%d files", len(files))
		}
	})
}
