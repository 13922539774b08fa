package facts

import (
	"fmt"
	"runtime"
	"testing"
)

// bigHello, bigInventory and bigProcesses are what a node with eight accelerators, nine ports and a hundred processes of interest says.
func bigHello() *Hello {
	return &Hello{ProtocolMajor: 1, Build: "v0.3.0-12-gb9aa5e1", BootId: "8778dbaf-5194-442b-9e86-946d98999aa8", MachineId: "3d1219c7c4c5404aaa1f6d2a48adfda4",
		Hostname: "gpu017.cluster.example", Os: "Ubuntu 22.04.4 LTS", Kernel: "5.15.0-105-generic", Arch: "amd64", Uid: 1004, User: "ann",
		MonoMs: 864_000_123, WallMs: 1_795_440_000_000, Pid: 77123, PidNamespace: 4026531836}
}

func bigInventory() *Inventory {
	m := &Inventory{Cpu: &CPU{Model: "Intel(R) Xeon(R) Platinum 8480C", Sockets: 2, Cores: 112, Threads: 224, NumaNodes: 2}, MemoryTotalBytes: 2 << 40,
		GpuDriverVersion: "550.90.07", CudaVersion: "12.4", Product: "NVIDIA DGXH100"}
	for g := range uint32(8) {
		pci := fmt.Sprintf("0000:%02x:00.0", 0x1b+g*16)
		m.Gpus = append(m.Gpus, &GPU{Uuid: fmt.Sprintf("GPU-5f2c1d1e-0b4a-4c55-9d0a-6f2b1c3d4e%02x", g), Name: "NVIDIA H100 80GB HBM3", Pci: pci, Minor: int32(g),
			MemoryTotalBytes: 81559 << 20, Serial: fmt.Sprintf("16512230%05d", g), Vbios: "96.00.89.00.01", ComputeCapability: "9.0", NumaNode: int32(g / 4),
			Vendor: "nvidia", PciPath: "pci0000:15/0000:15:01.0/0000:16:00.0/0000:17:01.0/" + pci, Driver: "550.90.07", Architecture: "Hopper",
			BoardPart: "692-2G520-0200-000", Firmware: "550.90.07", Inforom: "G520.0200.00.05", ModuleId: int32(g), CpuAffinity: "0-55,112-167"})
		for l := range uint32(18) {
			m.GpuLinks = append(m.GpuLinks, &GPULink{Gpu: g, Link: l, Kind: "NVLink", Remote: "switch", RemotePci: fmt.Sprintf("0000:%02x:00.0", 5+l%4), Version: 4})
		}
	}
	for p := range uint32(9) {
		pci := fmt.Sprintf("0000:%02x:00.0", 0x18+p*16)
		m.Ports = append(m.Ports, &Port{Device: fmt.Sprintf("mlx5_%d", p), Port: 1, LinkLayer: "InfiniBand", Netdev: fmt.Sprintf("ibp%ds0", 24+p), Pci: pci,
			Firmware: "28.39.1002", Guid: fmt.Sprintf("a088:c203:0091:%04x", p), NumaNode: int32(p / 5), Rate: "400 Gb/sec (4X NDR)", Driver: "mlx5_core",
			PciPath: "pci0000:15/0000:15:01.0/0000:16:00.0/0000:17:00.0/" + pci, Lid: 100 + p, SmLid: 1, HcaType: "MT4129", BoardId: "MT_0000000838",
			Gid: fmt.Sprintf("fe80:0000:0000:0000:a088:c203:0091:%04x", p), SystemGuid: "a088:c203:0091:0000"})
		for c := range 80 {
			m.HwCounters = append(m.HwCounters, &HWCounter{Port: p, Name: fmt.Sprintf("rx_some_counter_%d", c)})
		}
	}
	for i := range 16 {
		m.Nets = append(m.Nets, &Net{Name: fmt.Sprintf("ens%df0", i), Driver: "mlx5_core", Physical: true, Pci: "0000:29:00.0", NumaNode: int32(i % 2)})
		m.Disks = append(m.Disks, &Disk{Name: fmt.Sprintf("nvme%dn1", i), Model: "SAMSUNG MZWLO3T8HCLS-00A07", SizeBytes: 3840 << 30})
		m.Sources = append(m.Sources, &Source{Name: fmt.Sprintf("source_%d", i), EveryMs: 1000})
		m.Calls = append(m.Calls, &Call{Source: 3, Name: fmt.Sprintf("nvmlDeviceGetSomething%d", i)})
	}
	for _, mount := range []string{"/", "/boot", "/raid", "/home", "/scratch"} {
		m.Filesystems = append(m.Filesystems, &Filesystem{Mount: mount, Device: "/dev/md1", Type: "ext4"})
	}
	return m
}

func bigProcesses() *Processes {
	m := &Processes{Whole: true}
	for i := range int32(100) {
		env := map[string]string{"RANK": fmt.Sprint(128 + i), "LOCAL_RANK": fmt.Sprint(i), "WORLD_SIZE": "2048", "LOCAL_WORLD_SIZE": "8", "GROUP_RANK": "16",
			"MASTER_ADDR": "gpu001.cluster.example", "MASTER_PORT": "29500", "CUDA_VISIBLE_DEVICES": "0,1,2,3,4,5,6,7", "TORCHELASTIC_RUN_ID": "8213731",
			"SLURM_JOB_ID": "8213731", "SLURM_JOB_NAME": "llama-70b-pretrain", "SLURM_JOB_USER": "ann", "SLURM_JOB_PARTITION": "h100", "SLURM_NNODES": "256",
			"SLURM_NODEID": "16", "SLURM_PROCID": "16", "SLURM_LOCALID": "0", "SLURM_NTASKS": "256", "SLURM_STEP_ID": "0", "SLURM_JOB_NUM_NODES": "256"}
		m.Set = append(m.Set, &Process{Pid: 41235 + i, StartTicks: 86_400_000 + uint64(i), Ppid: 41200, NsPids: []int32{41235 + i, 7 + i}, PidNamespace: 4026533111,
			Uid: 1004, User: "ann", Comm: "python3", Command: "/opt/conda/bin/python3 -u train.py --config configs/llama-70b.yaml --tensor-parallel 8 --micro-batch 1",
			Cgroup: "/system.slice/slurmstepd.scope/job_8213731/step_0/user/task_0", Env: env, EnvState: EnvState_ENV_READ, StartWallMs: 1_795_440_000_000,
			Held: []*Held{{Gpu: uint32(i % 8), MemoryBytes: 71 << 30, MemoryKnown: true}}, Rank: true, CpuMs: 8_640_000, RssBytes: 90 << 30, Cwd: "/home/ann/llama"})
	}
	return m
}

func BenchmarkCodec(b *testing.B) {
	for _, c := range []struct {
		name  string
		m     Message
		fresh func() Message
	}{
		{"hello", bigHello(), func() Message { return new(Hello) }},
		{"inventory", bigInventory(), func() Message { return new(Inventory) }},
		{"processes", bigProcesses(), func() Message { return new(Processes) }},
	} {
		payload, err := Encode(c.m)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(c.name+"/encode", func(b *testing.B) {
			b.ReportAllocs()
			for range b.N {
				if _, err := Encode(c.m); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(len(payload)), "wire-B")
		})
		b.Run(c.name+"/decode", func(b *testing.B) {
			b.ReportAllocs()
			for range b.N {
				if err := Decode(payload, c.fresh()); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(c.name+"/kept", func(b *testing.B) {
			kept := make([]Message, 100)
			var before, after runtime.MemStats
			for range b.N {
				clear(kept)
				runtime.GC()
				runtime.ReadMemStats(&before)
				for i := range kept {
					kept[i] = c.fresh()
					if err := Decode(payload, kept[i]); err != nil {
						b.Fatal(err)
					}
				}
				runtime.GC()
				runtime.ReadMemStats(&after)
			}
			b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(len(kept)), "heap-B")
			runtime.KeepAlive(kept)
		})
	}
}
