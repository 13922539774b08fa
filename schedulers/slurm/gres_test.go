package slurm

import (
	"slices"
	"testing"
)

func TestGPUs(t *testing.T) {
	for _, c := range []struct {
		list   string
		n      int
		models []string
		ok     bool
	}{
		{"", 0, nil, false},
		{"(null)", 0, nil, false},
		{"gpu", 1, nil, true},
		{"gpu:8", 8, nil, true},
		{"gpu:h100", 1, []string{"h100"}, true},
		{"gpu:h100:8", 8, []string{"h100"}, true},
		{"gpu:h100:8(S:0-1),nic:2", 8, []string{"h100"}, true},
		{"gpu:h100:5(IDX:0-3,7)", 5, []string{"h100"}, true},
		{"gpu:a100:2(IDX:0-1),gpu:h100:1(IDX:4)", 3, []string{"a100", "h100"}, true},
		{"gpu:h100:0(IDX:N/A)", 0, []string{"h100"}, true},
		{"gres:gpu:h100:2", 2, []string{"h100"}, true},
		{"gres/gpu:2", 2, nil, true},
		{"gres/gpu:h100:2,gres/shard:4", 2, []string{"h100"}, true},
		{"cpu=32,mem=128G,node=2,billing=32,gres/gpu=8,gres/gpu:h100=8", 8, []string{"h100"}, true},
		{"cpu=1,gres/gpu:h100=3,gres/gpu:a100=1", 4, []string{"h100", "a100"}, true},
		{"cpu=32,mem=1M,node=2", 0, nil, false},
		{"gpu:1K", 1024, nil, true},
		{"gpu:h100:-3", 0, nil, false},
		{"gpu:h100:99999999999999999999", 0, nil, false},
		{"shard:h100:8,mps:100", 0, nil, false},
	} {
		n, models, ok := gpus(c.list)
		if n != c.n || ok != c.ok || !slices.Equal(models, c.models) {
			t.Errorf("%s: %d %q %v, want %d %q %v", c.list, n, models, ok, c.n, c.models, c.ok)
		}
	}
}

func TestGPUIndices(t *testing.T) {
	for detail, want := range map[string][]int{
		"gpu:h100:4(IDX:0-3)":                             {0, 1, 2, 3},
		"gpu:h100:3(IDX:0,2,4-4)":                         {0, 2, 4},
		"gpu:2(IDX:6-7)":                                  {6, 7},
		"gpu:a100:2(IDX:0-1),nic:1(IDX:5),gpu:h:1(IDX:4)": {0, 1, 4},
		"gpu:h100:0(IDX:N/A)":                             nil,
		"gpu:h100:2(S:0-1)":                               nil,
		"gpu:h100:2(IDX:3-1)":                             nil,
		"gpu:h100:2(IDX:0-99999999)":                      nil,
		"gpu:h100:2(IDX:0-":                               nil,
		"nic:2(IDX:0-1)":                                  nil,
	} {
		if got := gpuIndices(detail); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", detail, got, want)
		}
	}
}

func FuzzGRES(f *testing.F) {
	f.Add("gpu:h100:8(S:0-1),nic:2")
	f.Add("cpu=1,gres/gpu:h100=3")
	f.Add("gpu:h100:5(IDX:0-3,7")
	f.Fuzz(func(t *testing.T, s string) {
		if n, _, ok := gpus(s); n < 0 || n > 1<<30 || n > 0 && !ok {
			t.Errorf("%d %v", n, ok)
		}
		for _, i := range gpuIndices(s) {
			if i < 0 || i >= maxGPUs {
				t.Errorf("index %d", i)
			}
		}
	})
}
