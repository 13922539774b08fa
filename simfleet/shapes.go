package simfleet

import "time"

// launcher says who started a job's processes, and so which variables they carry.
type launcher uint8

const (
	torchrunSlurm launcher = iota // srun, one torchrun a node, its workers
	torchrunAlone                 // torchrun --standalone, no scheduler
	srunRanks                     // plain srun: a task a GPU
	mpirun
	deepspeed  // the deepspeed launcher over pdsh
	jaxSlurm   // srun: a task a node, which holds all GPUs of it
	kubernetes // torchrun inside pods
	plain      // a process that somebody started
	alone      // one process that holds all GPUs of its node
)

// shape is a kind of job that the fleet runs. nodes is how many it has in a fleet of 64.
type shape struct {
	role     string // how scenarios name it
	name     string
	user     string
	launcher launcher
	nodes    int
	gpus     int    // of each node, from the first free one
	ranks    int    // processes a node
	works    int    // GPUs that it truly uses; 0: all
	script   string // the command without the launcher's part
	beside   bool   // it is put on the node of the job before it
	tasks    int    // Slurm array tasks: each a job of its own
	ran      time.Duration
	limit    time.Duration // of Slurm, 0: none
	pattern  pattern
}

const (
	second = time.Second
	minute = time.Minute
	hour   = time.Hour
)

// otherShapes are the jobs of machines that are not like the others.
func otherShapes() []shape {
	return []shape{
		{role: "mi300x", name: "sdxl-turbo", user: "ines", launcher: torchrunAlone, nodes: 1, gpus: 8, ranks: 8, ran: 6 * hour,
			script: "train_sdxl.py --mixed_precision bf16 --train_batch_size 16 --gradient_checkpointing --use_ema",
			pattern: pattern{step: 1900 * time.Millisecond, compute: 0.79, comm: 0.12, power: 0.9, tensor: 0.4, sm: 0.8, dram: 0.5, memGiB: 148.2, nvlinkGBs: 130,
				checkpointEvery: 6 * minute, checkpointFor: 6 * second, load: 20 * second, hostGiB: 140, shmGiB: 20, cores: 41, readMBs: 380, writeMBs: 1100}},
		{role: "tpu", name: "gemma-tpu", user: "hugo", launcher: alone, nodes: 1, gpus: 8, ranks: 1, ran: 11 * hour,
			script: "python -m MaxText.train MaxText/configs/base.yml run_name=gemma-tpu hardware=tpu ici_fsdp_parallelism=8 per_device_batch_size=2",
			pattern: pattern{step: 2700 * time.Millisecond, compute: 0.88, comm: 0.08, power: 0.8, tensor: 0.6, sm: 0.8, dram: 0.5, memGiB: 13.4,
				checkpointEvery: 8 * minute, checkpointFor: 7 * second, load: 30 * second, hostGiB: 60, shmGiB: 2, cores: 12, readMBs: 70, writeMBs: 400}},
	}
}

// shapes is the fleet's day. The first is the big one: it takes half of the fleet; the others repeat in larger fleets.
func shapes() []shape {
	return []shape{
		{role: "pretrain", name: "llama3-70b-pt", user: "ann", launcher: torchrunSlurm, nodes: 32, gpus: 8, ranks: 8, ran: 41 * hour, limit: 96 * hour,
			script: "pretrain_gpt.py --tensor-model-parallel-size 8 --pipeline-model-parallel-size %PP% --sequence-parallel --use-distributed-optimizer --num-layers 80 --hidden-size 8192 --num-attention-heads 64 --group-query-attention --num-query-groups 8 --seq-length 8192 --micro-batch-size 1 --global-batch-size 1024 --bf16 --transformer-impl transformer_engine --data-path /data/tokens/c4-llama3 --save /data/ckpt/ann/llama3-70b-pt --save-interval 250",
			pattern: pattern{step: 11400 * time.Millisecond, compute: 0.81, comm: 0.15, power: 0.955, tensor: 0.47, sm: 0.86, dram: 0.44, memGiB: 71.3, netGBs: 38, nvlinkGBs: 210,
				checkpointEvery: 7 * minute, checkpointFor: 14 * second, load: 32 * second, hostGiB: 390, shmGiB: 24, cores: 34, readMBs: 90, writeMBs: 2600}},
		{role: "fsdp", name: "gemma-9b-sft", user: "cy", launcher: torchrunSlurm, nodes: 8, gpus: 8, ranks: 8, ran: 5 * hour, limit: 8 * hour,
			script: "train.py --job.config_file gemma9b.toml --parallelism.data_parallel_shard_degree=-1 --training.batch_size 2 --training.seq_len 4096",
			pattern: pattern{step: 2300 * time.Millisecond, compute: 0.74, comm: 0.2, power: 0.91, tensor: 0.44, sm: 0.82, dram: 0.5, memGiB: 60.4, netGBs: 31, nvlinkGBs: 160,
				checkpointEvery: 4 * minute, checkpointFor: 9 * second, dipEvery: 70 * second, dipFor: 2 * second, load: 18 * second, hostGiB: 240, shmGiB: 16, cores: 28, readMBs: 240, writeMBs: 1800}},
		{role: "srun", name: "clip-vitl", user: "gita", launcher: srunRanks, nodes: 4, gpus: 8, ranks: 8, ran: 14 * hour, limit: 24 * hour,
			script: "python -u main.py --model ViT-L-14 --train-data /data/laion/{00000..41455}.tar --batch-size 512 --precision amp_bf16 --workers 12 --dist-url env://",
			pattern: pattern{step: 820 * time.Millisecond, compute: 0.7, comm: 0.12, power: 0.82, tensor: 0.36, sm: 0.77, dram: 0.55, memGiB: 48.8, netGBs: 14, nvlinkGBs: 40,
				checkpointEvery: 10 * minute, checkpointFor: 5 * second, dipEvery: 33 * second, dipFor: 3 * second, load: 14 * second, hostGiB: 180, shmGiB: 60, cores: 97, readMBs: 1900, writeMBs: 700}},
		{role: "jax", name: "t5x-xl-v2", user: "hugo", launcher: jaxSlurm, nodes: 4, gpus: 8, ranks: 1, ran: 27 * hour, limit: 48 * hour,
			script: "python -m MaxText.train MaxText/configs/base.yml run_name=t5x-xl-v2 hardware=gpu ici_fsdp_parallelism=8 dcn_data_parallelism=-1 per_device_batch_size=4 steps=60000",
			pattern: pattern{step: 4200 * time.Millisecond, compute: 0.84, comm: 0.12, power: 0.94, tensor: 0.51, sm: 0.88, dram: 0.46, memGiB: 72.1, netGBs: 22, nvlinkGBs: 240,
				checkpointEvery: 6 * minute, checkpointFor: 8 * second, load: 38 * second, hostGiB: 150, shmGiB: 4, cores: 18, readMBs: 60, writeMBs: 1500}},
		{role: "deepspeed", name: "dpo-7b", user: "bob", launcher: deepspeed, nodes: 2, gpus: 8, ranks: 8, ran: 3 * hour,
			script: "dpo_train.py --model_name_or_path mistral-7b-sft --deepspeed ds_zero3.json --beta 0.1 --per_device_train_batch_size 4 --gradient_checkpointing --output_dir /data/ckpt/bob/dpo-7b",
			pattern: pattern{step: 3600 * time.Millisecond, compute: 0.66, comm: 0.28, power: 0.88, tensor: 0.38, sm: 0.78, dram: 0.52, memGiB: 54.2, netGBs: 26, nvlinkGBs: 120,
				checkpointEvery: 5 * minute, checkpointFor: 11 * second, load: 22 * second, hostGiB: 310, shmGiB: 12, cores: 22, readMBs: 40, writeMBs: 1200}},
		{role: "mpi", name: "conformer-asr", user: "ines", launcher: mpirun, nodes: 2, gpus: 8, ranks: 8, ran: 9 * hour,
			script: "python train_asr.py --config conformer_l.yaml --horovod --manifest /data/asr/train_41kh.json --amp O2",
			pattern: pattern{step: 1300 * time.Millisecond, compute: 0.62, comm: 0.16, power: 0.78, tensor: 0.29, sm: 0.71, dram: 0.48, memGiB: 39.5, netGBs: 11, nvlinkGBs: 50,
				checkpointEvery: 8 * minute, checkpointFor: 4 * second, dipEvery: 41 * second, dipFor: 2500 * time.Millisecond, load: 12 * second, hostGiB: 130, shmGiB: 30, cores: 71, readMBs: 850, writeMBs: 500}},
		{role: "k8s", name: "qwen-rlhf", user: "1000", launcher: kubernetes, nodes: 2, gpus: 8, ranks: 8, ran: 7 * hour,
			script: "/workspace/rlhf/train.py --config configs/qwen14b_grpo.yaml --actor.micro_batch 2 --rollout.n 8",
			pattern: pattern{step: 19 * second, compute: 0.55, comm: 0.2, power: 0.84, tensor: 0.31, sm: 0.69, dram: 0.6, memGiB: 74.6, netGBs: 17, nvlinkGBs: 90,
				checkpointEvery: 9 * minute, checkpointFor: 10 * second, load: 26 * second, hostGiB: 420, shmGiB: 48, cores: 40, readMBs: 30, writeMBs: 1100}},
		{role: "eval", name: "eval-mmlu", user: "bob", launcher: srunRanks, nodes: 1, gpus: 8, ranks: 1, works: 1, ran: 95 * minute, limit: 2 * hour,
			script: "python -m lm_eval --model hf --model_args pretrained=/data/ckpt/bob/dpo-7b,dtype=bfloat16 --tasks mmlu,arc_challenge,gsm8k --batch_size 16",
			pattern: pattern{step: 1900 * time.Millisecond, compute: 0.6, comm: 0, power: 0.55, tensor: 0.18, sm: 0.5, dram: 0.55, memGiB: 17.9,
				dipEvery: 25 * second, dipFor: 6 * second, load: 15 * second, hostGiB: 42, shmGiB: 1, cores: 3, readMBs: 20}},
		{role: "finetune", name: "whisper-ft", user: "dana", launcher: torchrunAlone, nodes: 1, gpus: 8, ranks: 8, ran: 50 * minute,
			script: "finetune_whisper.py --model large-v3 --language de --fp16 --per-device-batch 24",
			pattern: pattern{step: 640 * time.Millisecond, compute: 0.68, comm: 0.1, power: 0.8, tensor: 0.33, sm: 0.74, dram: 0.5, memGiB: 44.1, nvlinkGBs: 60,
				checkpointEvery: 3 * minute, checkpointFor: 4 * second, dipEvery: 29 * second, dipFor: 2 * second, load: 9 * second, hostGiB: 95, shmGiB: 22, cores: 52, readMBs: 420, writeMBs: 900}},
		{role: "sweep", name: "lora-sweep", user: "eve", launcher: srunRanks, nodes: 1, gpus: 2, ranks: 2, tasks: 4, ran: 38 * minute, limit: 4 * hour,
			script: "python lora_sft.py --base llama3-8b --rank 32 --lr 2e-4 --dataset openhermes",
			pattern: pattern{step: 1500 * time.Millisecond, compute: 0.78, comm: 0.1, power: 0.87, tensor: 0.4, sm: 0.8, dram: 0.47, memGiB: 33.6, nvlinkGBs: 30,
				checkpointEvery: 4 * minute, checkpointFor: 2 * second, load: 11 * second, hostGiB: 22, shmGiB: 3, cores: 9, readMBs: 35, writeMBs: 300}},
		{role: "serve", name: "vllm", user: "finn", launcher: plain, nodes: 1, gpus: 4, ranks: 1, ran: 122 * hour,
			script: "/home/finn/venv/bin/python -m vllm.entrypoints.openai.api_server --model mixtral-8x7b-instruct --tensor-parallel-size 4 --gpu-memory-utilization 0.9 --port 8000",
			pattern: pattern{step: 210 * time.Millisecond, compute: 0.42, comm: 0.1, power: 0.6, tensor: 0.14, sm: 0.4, dram: 0.66, memGiB: 71.9, nvlinkGBs: 35,
				dipEvery: 19 * second, dipFor: 7 * second, load: 40 * second, hostGiB: 61, shmGiB: 8, cores: 6}},
		{role: "notebook", name: "notebook", user: "eve", launcher: plain, nodes: 1, gpus: 1, ranks: 1, ran: 6 * hour, beside: true,
			script: "/home/eve/miniforge3/bin/python -m ipykernel_launcher -f /home/eve/.local/share/jupyter/runtime/kernel-5f0c2f7a.json",
			pattern: pattern{step: 900 * time.Millisecond, compute: 0.5, comm: 0, power: 0.5, tensor: 0.12, sm: 0.42, dram: 0.3, memGiB: 11.2,
				dipEvery: 80 * second, dipFor: 55 * second, load: 3 * second, hostGiB: 12, cores: 1}},
		{role: "script", name: "embed", user: "hugo", launcher: plain, nodes: 1, gpus: 1, ranks: 1, ran: 140 * minute, beside: true,
			script: "python embed_corpus.py --model e5-large --shard 17/64 --out /data/emb/hugo",
			pattern: pattern{step: 350 * time.Millisecond, compute: 0.86, comm: 0, power: 0.74, tensor: 0.35, sm: 0.8, dram: 0.4, memGiB: 21.4,
				load: 5 * second, hostGiB: 19, cores: 4, readMBs: 55, writeMBs: 20}},
	}
}
