package nvml

import (
	"slices"
	"testing"
	"time"

	"foretop/collectors/nvml/pipe"
	"foretop/telemetry"
)

var migLines = []string{"machine h200", "gpus 3", "wobble 0", "gpu 1 mig 1", "gpu 1 noinstance",
	"gpu 1 instance 1 0 3 1 71424 1024 80", "gpu 1 instance 1 1 3 2 71424 1024 80", // two compute instances share this GPU instance
	"gpu 1 instance 5 0 2 2 33280 512 44", "gpu 1 instance 9 0 1 1 16384 0 0",
	"gpu 1 proc 500 1048576 1 1", "gpu 1 proc 501 2097152 5 0", "gpu 2 proc 502 3145728"}

func TestMIG(t *testing.T) {
	t.Parallel()
	p := play(t, programs(t).driver, migLines...)
	p.until("instances and activity", func(r Report) bool {
		return len(r.Processes) == 3 && p.state.Get(telemetry.PartSMActivityPermille, 2) >= 0
	})
	r := p.slow()
	if r.Inventory.GPUs[0].MIG || !r.Inventory.GPUs[1].MIG {
		t.Errorf("MIG mode of %+v", r.Inventory.GPUs)
	}
	const uuid = "-5a5e-9d21-0000000"
	want := []pipe.Part{
		{GPU: 1, Name: "1c.3g.70gb", UUID: "MIG-5eed0001-0001" + uuid + "00001", Instance: 1},
		{GPU: 1, Name: "2c.3g.70gb", UUID: "MIG-5eed0001-0001" + uuid + "10001", Instance: 1, ComputeInstance: 1},
		{GPU: 1, Name: "2g.33gb", UUID: "MIG-5eed0001-0005" + uuid + "00001", Instance: 5},
		{GPU: 1, Name: "1g.16gb", UUID: "MIG-5eed0001-0009" + uuid + "00001", Instance: 9},
	}
	if !slices.Equal(r.Inventory.Parts, want) {
		t.Errorf("parts %+v, want %+v", r.Inventory.Parts, want)
	}
	p.want(telemetry.PartMemTotalBytes, 2, 33280<<20)
	p.want(telemetry.PartMemUsedBytes, 2, 512<<20)
	p.want(telemetry.PartUtilPct, 2, 48) // 96 % of 44/88
	p.want(telemetry.PartSMActivityPermille, 2, 440)
	p.want(telemetry.PartTensorActivityPermille, 2, 210)
	p.want(telemetry.PartSMActivityPermille, 3, 0)
	p.want(telemetry.PartECCUncorrected, 2, 0)
	p.want(telemetry.PartMemUsedBytes, 0, 1<<30)
	p.want(telemetry.PartSMActivityPermille, 0, telemetry.Absent) // it is that of both, and so of neither
	for _, m := range []telemetry.Metric{telemetry.GPUUtilPct, telemetry.GPUMemUtilPct, telemetry.GPUSMActivityPermille, telemetry.GPULinks} {
		p.want(m, 1, telemetry.Absent)
	}
	p.want(telemetry.GPUPowerMW, 1, 450000)
	p.want(telemetry.GPUProcesses, 1, 2)
	p.want(telemetry.GPUUtilPct, 0, 96)
	procs := []Process{{PID: 500, GPU: 1, Part: 2, MemoryBytes: 1 << 20, MemoryKnown: true, GPUInstance: 1}, {PID: 501, GPU: 1, Part: 3, MemoryBytes: 2 << 20, MemoryKnown: true, GPUInstance: 5},
		process(502, 2, 3<<20, true, -1)}
	if !slices.Equal(r.Processes, procs) {
		t.Errorf("processes %+v, want %+v", r.Processes, procs)
	}
}

// Mode and instances change while the driver runs: what was listed is listed anew, and nothing of the old stays.
func TestMIGChangesAtRunTime(t *testing.T) {
	t.Parallel()
	p := play(t, programs(t).driver, migLines...)
	r := p.until("instances", func(r Report) bool { return r.Inventory != nil && len(r.Inventory.Parts) == 4 })
	pid := r.PID
	p.change("machine h200", "gpus 3", "wobble 0", "gpu 1 mig 1", "gpu 1 instance 7 0 1 1 16384 5 22", "gpu 0 mig 1", "gpu 0 instance 3 0 2 2 33280 6 33")
	p.until("others", func(r Report) bool {
		return len(r.Inventory.Parts) == 2 && p.state.Get(telemetry.PartSMActivityPermille, 1) == 220
	})
	r = p.slow()
	if parts := r.Inventory.Parts; parts[0].GPU != 0 || parts[0].Instance != 3 || parts[1].Instance != 7 || !r.Inventory.GPUs[0].MIG {
		t.Errorf("inventory %+v", r.Inventory)
	}
	p.want(telemetry.PartSMActivityPermille, 0, 330)
	p.want(telemetry.GPUUtilPct, 0, telemetry.Absent)
	p.change("machine h200", "gpus 3", "wobble 0")
	p.until("no MIG", func(r Report) bool {
		return len(r.Inventory.Parts) == 0 && p.state.Get(telemetry.GPUSMActivityPermille, 0) == 880
	})
	r = p.slow()
	p.want(telemetry.GPUUtilPct, 0, 96)
	p.want(telemetry.GPULinksUp, 1, 18)
	if r.Inventory.GPUs[0].MIG || r.Inventory.GPUs[1].MIG || r.PID != pid || r.Health != OK {
		t.Errorf("%+v", r)
	}
}

// An event says that instances changed: it is not waited for the next slow round.
func TestMIGEventIsFollowedAtOnce(t *testing.T) {
	t.Parallel()
	p := playWith(t, programs(t).driver, func(o *Options) { o.Slow = time.Hour }, "machine h200", "gpus 1", "gpu 0 mig 1")
	p.next(2)
	p.change("machine h200", "gpus 1", "gpu 0 mig 1", "gpu 0 instance 2 0 1 1 16384 5 22", "event 1 0 100 0")
	p.until("the instance", func(r Report) bool { return len(r.Inventory.Parts) == 1 })
	var heard []Event
	p.until("the event", func(Report) bool {
		heard = append(heard, p.events()...)
		return len(heard) > 0
	})
	if heard[0].What != "mig_config" || heard[0].GPU != 0 {
		t.Errorf("%+v", heard)
	}
}

// With more instances than a round has turns for, each still gets its readings.
func TestManyInstances(t *testing.T) {
	t.Parallel()
	lines := []string{"machine h200", "gpu * mig 1"}
	for _, i := range []string{"1", "2", "3", "4", "5", "6", "7"} {
		lines = append(lines, "gpu * instance "+i+" 0 1 1 16384 10"+i+" 22")
	}
	p := play(t, programs(t).driver, lines...)
	p.until("56 instances", func(r Report) bool {
		if r.Inventory == nil || len(r.Inventory.Parts) != 56 {
			return false
		}
		for i := range 56 {
			if p.state.Get(telemetry.PartMemUsedBytes, i) != int64(101+i%7)<<20 || p.state.Get(telemetry.PartSMActivityPermille, i) == telemetry.Absent {
				return false
			}
		}
		return true
	})
}
