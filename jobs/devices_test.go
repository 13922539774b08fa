package jobs

import (
	"slices"
	"testing"

	"foretop/telemetry/facts"
)

func TestDevices(t *testing.T) {
	n := on("n")
	for _, tt := range []struct {
		name  string
		env   string
		held  []uint32
		local int
		want  []int
	}{
		{"held wins", "CUDA_VISIBLE_DEVICES=0,1", []uint32{5, 3, 5}, 0, []int{3, 5}},
		{"held beyond the inventory is not believed", "", []uint32{9, 4000000000}, 0, nil},
		{"one by local rank", "CUDA_VISIBLE_DEVICES=4,5,6,7", nil, 2, []int{6}},
		{"virtual local rank: a list of one", "CUDA_VISIBLE_DEVICES=3", nil, 0, []int{3}},
		{"no local rank: all of them", "CUDA_VISIBLE_DEVICES=5,4", nil, -1, []int{4, 5}},
		{"local rank beyond the list", "CUDA_VISIBLE_DEVICES=4,5", nil, 3, nil},
		{"UUID prefix", "CUDA_VISIBLE_DEVICES=GPU-06,GPU-02345678", nil, 1, []int{2}},
		{"UUID prefix of several", "CUDA_VISIBLE_DEVICES=GPU-0", nil, 0, nil},
		{"MIG slice", "CUDA_VISIBLE_DEVICES=MIG-GPU-04345678-aaaa/1/0", nil, 0, []int{4}},
		{"a bad entry ends the list", "CUDA_VISIBLE_DEVICES=1,-1,2", nil, -1, []int{1}},
		{"none visible", "CUDA_VISIBLE_DEVICES=", nil, 0, nil},
		{"counted from 0 inside a step", "CUDA_VISIBLE_DEVICES=0,1 SLURM_STEP_GPUS=6,7", nil, 1, []int{7}},
		{"physical, as the step says", "CUDA_VISIBLE_DEVICES=6,7 SLURM_STEP_GPUS=6,7", nil, 1, []int{7}},
		{"relative and too many", "CUDA_VISIBLE_DEVICES=0,1,2 SLURM_STEP_GPUS=6,7", nil, 1, nil},
		{"a job's range", "SLURM_JOB_GPUS=4-7", nil, 3, []int{7}},
		{"a range without end", "SLURM_JOB_GPUS=0-2000000000", nil, 3, nil},
		{"a container's", "NVIDIA_VISIBLE_DEVICES=GPU-01,GPU-03 CUDA_VISIBLE_DEVICES=0,1", nil, 1, []int{3}},
		{"a container's all says nothing", "NVIDIA_VISIBLE_DEVICES=all", nil, 1, nil},
		{"AMD's word", "ROCR_VISIBLE_DEVICES=2,3", nil, 1, []int{3}},
		{"nothing: perhaps a CPU job", "", nil, 1, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := holding(proc(1, 0, "x", tt.env), tt.held...)
			n.Processes = []*facts.Process{p}
			a := assembly{nodes: []NodeFacts{n}}
			m := member{own: &IdentifyAll(n.Processes)[0], local: int32(tt.local)}
			if got := a.devices(&m); !slices.Equal(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}
