package layout

import (
	"strings"
	"testing"
)

// TestWhatCannotBeIsSaid shows the words for sizes that do not fit, settings that contradict each other, and what cannot be known.
func TestWhatCannotBeIsSaid(t *testing.T) {
	type set = map[string]string
	job := Job{World: 48, Local: 8, GPUs: 1}
	for name, c := range map[string]struct {
		said Said
		job  Job
		want string
	}{
		"not divisible":       {Said{Flags: set{"tensor_model_parallel_size": "8", "pipeline_model_parallel_size": "4"}}, job, "tp 8 × pp 4 = 32 does not divide 48 ranks"},
		"one size":            {Said{Flags: set{"tensor_model_parallel_size": "7"}}, job, "tp 7 does not divide 48 ranks"},
		"experts":             {Said{Flags: set{"tensor_model_parallel_size": "8", "expert_model_parallel_size": "4"}}, job, "of the experts etp 8 × ep 4 = 32 does not divide 48 ranks"},
		"world unknown":       {Said{Flags: set{"tensor_model_parallel_size": "8"}}, Job{}, "how many ranks there should be is not known"},
		"said twice":          {Said{Flags: set{"tensor_model_parallel_size": Twice}}, job, "tensor_model_parallel_size is given more than once, with different values (flags)"},
		"no number":           {Said{Flags: set{"tensor_model_parallel_size": "x"}}, job, `tensor_model_parallel_size is "x", which is no size`},
		"weight shards":       {Said{Flags: set{"tensor_model_parallel_size": "4", "tensor_parallel_num_weight_shards": "6"}}, job, "tensor_parallel_num_weight_shards 6 is no multiple of tp 4"},
		"fixed sizes":         {Said{Env: set{"PARALLELISM_CONFIG_TP_SIZE": "4", "PARALLELISM_CONFIG_DP_SHARD_SIZE": "4"}}, job, "tp 4 × dp_shard 4 = 16, but there are 48 ranks"},
		"two left open":       {Said{Flags: set{"data_parallel_shard_degree": "-1", "data_parallel_replicate_degree": "-1"}}, job, "dp_shard and dp_replicate are both left open"},
		"huge":                {Said{Flags: set{"tensor_model_parallel_size": "1000000", "pipeline_model_parallel_size": "1000000"}}, job, "tp 1000000 × pp 1000000 is more than there can be"},
		"pipeline in code":    {Said{Flags: set{"deepspeed": "true"}}, job, "whether DeepSpeed runs a pipeline is said in the program only"},
		"HSDP without nodes":  {Said{Env: set{"FSDP_SHARDING_STRATEGY": "HYBRID_SHARD"}}, Job{World: 8}, "FSDP shards within each node"},
		"strategy":            {Said{Env: set{"FSDP_SHARDING_STRATEGY": "MAGIC"}}, job, `the sharding strategy "magic" is not known`},
		"TPU":                 {Said{Flags: set{"hardware": "tpu", "ici_fsdp_parallelism": "8"}}, Job{World: 4, Local: 1, GPUs: 8}, "on TPUs the mesh follows the torus"},
		"JAX without devices": {Said{Flags: set{"hardware": "gpu", "ici_fsdp_parallelism": "8"}}, Job{World: 4}, "a JAX mesh counts devices"},
		"JAX within a node":   {Said{Flags: set{"hardware": "gpu", "ici_fsdp_parallelism": "3"}}, Job{World: 4, Local: 1, GPUs: 8}, "within a node dp_shard 3, but there are 8 devices of it"},
		"file unread":         {Said{Flags: set{"tensor_parallel_degree": "8"}, Files: []File{{Name: "a.toml", Trouble: "it is not there"}}}, job, "a.toml: it is not there"},
		"YAML of Megatron":    {Said{Flags: set{"tensor_model_parallel_size": "8"}, Files: []File{{Name: "a.yaml", Trouble: "it is not there"}}}, job, "a.yaml: it is not there"},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := c.said.Layout(c.job)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, %v; want %s", l, err, c.want)
			}
		})
	}
	if l, err := (&Said{Flags: set{"num_layers": "8"}}).Layout(job); l != nil || err != nil {
		t.Errorf("nothing was said, but %v, %v", l, err)
	}
	// DeepSpeed's own file leaves nothing of Megatron's options open.
	s := Said{Flags: set{"tensor_model_parallel_size": "8"}, Files: []File{{Name: "ds.json", Trouble: "it is not there"}}}
	if l, err := s.Layout(job); err != nil || l.String() != "tp 8 · dp 6" {
		t.Errorf("%v, %v", l, err)
	}
}

func TestMoreThanSizes(t *testing.T) {
	type set = map[string]string
	for _, c := range []struct {
		said Said
		want string
	}{
		{Said{Flags: set{"tensor_model_parallel_size": "2", "pipeline_model_parallel_size": "4", "num_layers": "32", "num_layers_per_virtual_pipeline_stage": "2"}}, "tp 2 · pp 4 × 4 chunks · dp 4"},
		{Said{Flags: set{"pipeline_model_parallel_size": "4", "num_virtual_stages_per_pipeline_rank": "2"}}, "pp 4 × 2 chunks · dp 8"},
		{Said{Flags: set{"tensor_model_parallel_size": "1"}}, "dp 32"},
		{Said{Flags: set{"tensor_model_parallel_size": "2", "expert_model_parallel_size": "4", "expert_tensor_parallel_size": "1"}}, "tp 2 · dp 16 · ep 4"},
		{Said{Env: set{"FSDP_SHARDING_STRATEGY": "FULL_SHARD"}}, "shard 32"},
		{Said{Env: set{"FSDP_SHARDING_STRATEGY": "HYBRID_SHARD"}}, "replicas 4 · shard 8"},
		{Said{Flags: set{"deepspeed": "true"}, Files: []File{{Name: "ds.json", Keys: set{"zero_stage": "3"}}}}, "shard 32"},
		{Said{Env: set{"PARALLELISM_CONFIG_TP_SIZE": "1"}}, "dp 32"},
	} {
		l, err := c.said.Layout(Job{World: 32, Local: 8, GPUs: 1})
		if err != nil || l.String() != c.want {
			t.Errorf("%+v: %v, %v; want %s", c.said, l, err, c.want)
		}
	}
}

func TestParse(t *testing.T) {
	for _, c := range []struct {
		text string
		at   map[string]int // of rank 37 of 512
		want string         // or the error
	}{
		{"tp=8 pp=4 dp=16", map[string]int{TP: 5, PP: 0, DP: 1}, "tp 8 · pp 4 · dp 16"},
		{"tp=8 dp=16 pp=4", map[string]int{TP: 5, DP: 4, PP: 0}, "tp 8 · pp 4 · dp 16"},
		{"tp=8, pp=4, dp=16 order=tp-dp-pp", map[string]int{TP: 5, DP: 4, PP: 0}, "tp 8 · pp 4 · dp 16"},
		{"pp=4 dp=-1 tp=8 order=megatron", map[string]int{TP: 5, DP: 4, PP: 0}, "tp 8 · pp 4 · dp 16"},
		{"TP=2 CP=2 shard=* replicate=4", map[string]int{TP: 1, CP: 0, Shard: 9, Replicate: 0}, "tp 2 · cp 2 · replicas 4 · shard 32"},
		{"tp=2 ep=8 etp=1 dp=64 pp=4", map[string]int{TP: 1, DP: 18, PP: 0, EP: 5, EDP: 4}, "tp 2 · pp 4 · dp 64 · ep 8"},
		{"tp=8 pp=4 dp=15", nil, "tp 8 × pp 4 × dp 15 = 480, but there are 512 ranks"},
		{"tp=8 pp=4", nil, "tp 8 × pp 4 = 32, but there are 512 ranks"},
		{"tp=8 pp=4 ep=2 dp=16", nil, "experts over stages that are not counted last are not understood"},
		{"tp=2 dp=64 pp=4 ep=7", nil, "of the experts etp 2 × ep 7 × pp 4 = 56 does not divide 512 ranks"},
		{"tp", nil, `"tp" has no size`}, {"tp=", nil, "has no size"}, {"tp=0", nil, "tp=0 is no size"}, {"tp=x", nil, "tp=x is no size"}, {"xp=2", nil, `"xp" is no dimension`},
		{"tp=2 tp=2", nil, "tp is written twice"}, {"", nil, "no dimension is written"}, {"order=tp", nil, "no dimension is written"},
		{"tp=2 dp=256 order=tp", nil, "order=tp does not say where dp stands"}, {"tp=512 order=tp-xx", nil, `"xx" is no dimension`}, {"tp=99999999", nil, "is no size"},
		{strings.Repeat("tp=2 ", 50), nil, "more than 200 characters"},
	} {
		var l *Layout
		w, err := Parse(c.text)
		if err == nil {
			l, err = w.Layout(Job{World: 512})
		}
		if c.at == nil {
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%q: %v, want %s", c.text, err, c.want)
			}
			continue
		}
		if err != nil || l.String() != c.want {
			t.Errorf("%q: %v, %v; want %s", c.text, l, err, c.want)
			continue
		}
		for name, want := range c.at {
			if got := l.Coord(37, name); got != want {
				t.Errorf("%q: rank 37 is at %s %d, want %d", c.text, name, got, want)
			}
		}
	}
}

// FuzzSaid takes whatever a node says and a person writes: what comes out is a grid of all ranks, there and back, or an error.
func FuzzSaid(f *testing.F) {
	f.Add("tensor_model_parallel_size=2 expert_model_parallel_size=4", "tp=8 pp=4 dp=16", 64, 8, 1)
	f.Add("hardware=gpu ici_fsdp_parallelism=-1 dcn_data_parallelism=2", "shard=-1", 4, 1, 8)
	f.Add("data_parallel_shard_degree=-1 expert_parallel_degree=8", "tp=2 ep=8 etp=1 dp=64 pp=4", 512, 8, 1)
	f.Add("mics_shard_size=8 zero_stage=3", "order=megatron", 32, 8, 1)
	f.Fuzz(func(t *testing.T, settings, written string, world, local, gpus int) {
		world, local, gpus = world%4096, local%64, gpus%16
		s := Said{Flags: map[string]string{}, Env: map[string]string{}}
		for word := range strings.FieldsSeq(settings) {
			key, value, _ := strings.Cut(word, "=")
			s.Flags[key], s.Env[strings.ToUpper(key)] = value, value
		}
		job := Job{World: world, Local: local, GPUs: gpus}
		l, err := s.Layout(job)
		hold(t, l, err)
		if w, err := Parse(written); err == nil {
			l, err := w.Layout(job)
			hold(t, l, err)
		}
	})
}

func hold(t *testing.T, l *Layout, err error) {
	if (l != nil) && err != nil {
		t.Fatal("a layout and an error")
	}
	if l == nil {
		return
	}
	for _, grid := range [][]Dim{l.Dims, l.Experts} {
		all := 1
		for _, d := range grid {
			all *= d.Size
		}
		if len(grid) > 0 && all != l.World {
			t.Fatalf("%v are not %d ranks", grid, l.World)
		}
	}
	if l.World <= 0 || l.String() == "" {
		t.Fatalf("%+v", l)
	}
	for _, rank := range []int{0, l.World / 3, l.World - 1} {
		if back := l.Rank(func(name string) int { return l.Coord(rank, name) }); back != rank {
			t.Fatalf("rank %d comes back as %d in %+v", rank, back, l)
		}
	}
}
