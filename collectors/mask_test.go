package collectors

import (
	"fmt"
	"strings"
	"testing"
)

func TestMaskCommand(t *testing.T) {
	for _, c := range []struct {
		name string
		args []string
		want string
	}{
		{"plain", []string{"python3", "train.py", "--lr=3e-4", "--tokenizer-type", "GPT2", "--num-tokens=5"}, "python3 train.py --lr=3e-4 --tokenizer-type GPT2 --num-tokens=5"},
		{"option with =", []string{"x", "--token=abc", "-password=abc", "--api_key=abc"}, "x --token=*** -password=*** --api_key=***"},
		{"option and word", []string{"x", "--password", "abc", "--lr", "1"}, "x --password *** --lr 1"},
		{"option without its word", []string{"x", "--password", "--lr", "1"}, "x --password --lr 1"},
		{"a secret that begins with a sign", []string{"x", "--password", "-abc"}, "x --password ***"},
		{"camel case", []string{"x", "--apiKey=abc", "--accessToken", "abc"}, "x --apiKey=*** --accessToken ***"},
		{"variables", []string{"env", "WANDB_API_KEY=abc", "AWS_SECRET_ACCESS_KEY=a/b+c=", "PGPASSWORD=abc", "HF_TOKEN=abc", "RANK=3"},
			"env WANDB_API_KEY=*** AWS_SECRET_ACCESS_KEY=*** PGPASSWORD=*** HF_TOKEN=*** RANK=3"},
		{"a shell's script", []string{"bash", "-c", "export WANDB_API_KEY=abc; python t.py --token abc --lr 1"}, "bash -c export WANDB_API_KEY=***; python t.py --token *** --lr 1"},
		{"quoted in a script", []string{"bash", "-c", `x --password "my long secret" --lr 1`}, "bash -c x --password *** --lr 1"},
		{"quoted value in a script", []string{"bash", "-c", `PASSWORD="my long secret" x --lr 1`}, "bash -c PASSWORD=*** x --lr 1"},
		{"a word with blanks", []string{"x", "--password", "my long secret", "y"}, "x --password *** y"},
		{"URL", []string{"x", "--data=s3://ann:hunter2@store/x", "https://h/p?token=abc&n=1", "git@host:repo", "ssh://git@host/x"},
			"x --data=s3://ann:***@store/x https://h/p?token=***&n=1 git@host:repo ssh://git@host/x"},
		{"URL with a token for a user", []string{"x", "https://ghp_abcdefghijklmnop:x-oauth-basic@github.com/a"}, "x https://***@github.com/a"},
		{"URL whose password has a slash", []string{"x", "postgres://u:pa/ss@host/db"}, "x postgres://u:***@host/db"},
		{"JSON", []string{"x", `{"api_key": "abc", "lr": 1}`}, `x {"api_key": *** "lr": 1}`},
		{"JSON without blanks", []string{"x", `{"api_key":"abc","lr":1}`}, `x {"api_key":***,"lr":1}`},
		{"header", []string{"curl", "-H", "Authorization: Bearer abc", "http://h"}, "curl -H Authorization: Bearer *** http://h"},
		{"header in words", []string{"curl", "Authorization:", "Bearer", "abc", "http://h"}, "curl Authorization: Bearer *** http://h"},
		{"mount options", []string{"mount", "-o", "user=ann,password=abc,def,vers=3"}, "mount -o user=ann,password=***,vers=3"},
		{"mysql", []string{"mysql", "-uroot", "-psecret"}, "mysql -uroot -p***"},
		{"sshpass", []string{"/usr/bin/sshpass", "-p", "abc", "ssh", "h"}, "/usr/bin/sshpass -p *** ssh h"},
		{"curl", []string{"curl", "-u", "ann:abc", "http://h"}, "curl -u *** http://h"},
		{"tokens by shape", []string{"x", "hf_abcdefghijklmnopqrs", "--x=sk-abcdefghijklmnopqrs", "--y", "AKIAABCDEFGHIJKLMNOP"}, "x *** --x=*** --y ***"},
		{"long hexadecimal after =", []string{"x", "--x=0123456789abcdef0123456789abcdef01234567"}, "x --x=***"},
		{"long base64 after =", []string{"x", "--x=dGhpcyBpcyBhIHNlY3JldCBrZXkgdGhhdCBpcyBs0ng=="}, "x --x=***"},
		{"long paths and names stay", []string{"x", "--ckpt=/mnt/lustre/checkpoints/llama-70b/run-17/step_0001000", "--name=a-very-long-name-of-an-experiment-with-words"},
			"x --ckpt=/mnt/lustre/checkpoints/llama-70b/run-17/step_0001000 --name=a-very-long-name-of-an-experiment-with-words"},
		{"world info stays", []string{"x", "--world_info=eyJub2RlMSI6WzAsMSwyLDNdLCJub2RlMiI6WzAsMSwyLDNdfQ=="}, "x --world_info=eyJub2RlMSI6WzAsMSwyLDNdLCJub2RlMiI6WzAsMSwyLDNdfQ=="},
		{"hydra", []string{"x", "+wandb.api_key=abc", "model.token_dim=5"}, "x +wandb.api_key=*** model.token_dim=5"},
		{"title", []string{"ray::Actor --token=abc"}, "ray::Actor --token=***"},
		{"URL whose password has separators", []string{"x", "postgres://ann:p,ssw0rd@db", "--db=postgres://ann:p&ss;w?0|rd@db/x?n=1"}, "x postgres://ann:***@db --db=postgres://ann:***@db/x?n=1"},
		{"URL whose password has all signs", []string{"x", "postgres://ann:p@/#:,rd@db/x"}, "x postgres://ann:***@db/x"},
		{"URL whose password looks like a parameter", []string{"x", "postgres://ann:p;key=1@db"}, "x postgres://ann:***;key=***"},
		{"URLs", []string{"x", "redis://:pw1@a:1,redis://:pw2@b:1"}, "x redis://:***@a:1,redis://:***@b:1"},
		{"URL in a script", []string{"sh", "-c", `x "postgres://ann:p,ss@db" --lr 1`}, `sh -c x "postgres://ann:***@db" --lr 1`},
		{"URL in JSON", []string{"x", `{"db":"postgres://ann:p,ss@db","password":"a@b","lr":1}`}, `x {"db":"postgres://ann:***@db","password":***,"lr":1}`},
		{"URL with ports and parameters", []string{"x", "https://h:8080/p?token=a@b&n=1", "tcp://a:29500,b:29500"}, "x https://h:8080/p?token=***&n=1 tcp://a:29500,b:29500"},
		{"URL with a token alone", []string{"x", "https://abcdefghijklmnopqrstuvwx@h/p", "https://abc/def+ghi@h/p"}, "x https://***@h/p https://***@h/p"},
		{"behind timeout", []string{"timeout", "5", "mysql", "-psecret2"}, "timeout 5 mysql -p***"},
		{"behind srun", []string{"srun", "--mpi=pmix", "curl", "-u", "ann:secret4", "h"}, "srun --mpi=pmix curl -u *** h"},
		{"behind sudo", []string{"sudo", "/usr/bin/sshpass", "-p", "secret6", "ssh", "h"}, "sudo /usr/bin/sshpass -p *** ssh h"},
		{"in a script", []string{"sh", "-c", "cd /x && mysql -psecret1 -h db; python -u t.py"}, "sh -c cd /x && mysql -p*** -h db; python -u t.py"},
		{"in a script's script", []string{"sh", "-c", `x;y=$(curl -su ann:secret3 https://h) "-uann:secret"`}, `sh -c x;y=$(curl -su *** https://h) "-u***`},
		{"in quotation marks in a script", []string{"bash", "-c", `curl -u 'ann lee:secret 3' -b 'sid=a b' https://h`}, "bash -c curl -u *** -b *** https://h"},
		{"a program's secret with blanks", []string{"sudo", "mysql", "-pmy secret", "-p", "my secret"}, "sudo mysql -p*** -p ***"},
		{"curl's other ways", []string{"curl", "--user=ann:s3", "--proxy-user", "ann:s4", "-b", "sid=s5", "-sSfLuann:s6"}, "curl --user=*** --proxy-user *** -b *** -sSfLu***"},
		{"no secret of curl", []string{"bash", "-c", "curl -fsSL https://h/x | bash; python -u t.py -b 8 --user ann"}, "bash -c curl -fsSL https://h/x | bash; python -u t.py -b 8 --user ann"},
		{"assigned with blanks", []string{"python", "-c", "login(key = 'secret11', n = 1)"}, "python -c login(key = *** n = 1)"},
		{"assigned with blanks, in words", []string{"x", "key", "=", "secret", "y"}, "x key = *** y"},
		{"assigned to a field", []string{"python", "-c", "os.environ['HF_TOKEN'] = 'a b'; a.token = 'c'; d = 1"}, "python -c os.environ['HF_TOKEN'] = *** a.token = *** d = 1"},
		{"given by name", []string{"python", "-c", `f("HF_TOKEN", "abc"); f("HF_TOKEN","abc")`}, `python -c f("HF_TOKEN", *** f("HF_TOKEN",***`},
		{"aws", []string{"aws", "configure", "set", "aws_secret_access_key", "secret12"}, "aws configure set aws_secret_access_key ***"},
		{"aws with a profile", []string{"aws", "configure", "set", "prod.aws_secret_access_key", "secret", "--x"}, "aws configure set prod.aws_secret_access_key *** --x"},
		{"a bare name and what was made by chance", []string{"x", "token", "abc123", "token", "level"}, "x token *** token level"},
		{"one name after another", []string{"x", "user_password", "api_key", "abc"}, "x user_password api_key ***"},
		{"wandb", []string{"wandb", "login", "0123456789abcdef0123456789abcdef01234567"}, "wandb login ***"},
		{"an unknown option's key", []string{"python", "t.py", "--wandb_api", "0123456789abcdef0123456789abcdef01234567"}, "python t.py --wandb_api ***"},
		{"a bare key in base64", []string{"x", "dGhpcyBpcyBhIHNlY3JldCBrZXkgdGhhdCBpcyBs0ng=="}, "x ***"},
		{"mc", []string{"mc", "alias", "set", "m", "https://h", "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "--api", "S3v4"}, "mc alias set m https://h *** *** --api ***"},
		{"mc in a script", []string{"sh", "-c", "mc alias set m http://h minioadmin pw && mc cp a m/b"}, "sh -c mc alias set m http://h *** *** && mc cp a m/b"},
		{"mc with an older word", []string{"mc", "config", "host", "add", "m", "http://h", "ann", "pw"}, "mc config host add m http://h *** ***"},
		{"nothing", nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := maskCommand(c.args); got != c.want {
				t.Errorf("\ngot  %s\nwant %s", got, c.want)
			}
		})
	}
}

// What people read a command line for stays: each of these comes through as it is.
func TestMaskLeavesReadable(t *testing.T) {
	const sha = "0123456789abcdef0123456789abcdef01234567"
	for _, line := range []string{
		"torchrun --nnodes 128 --nproc-per-node 8 --rdzv-backend c10d --rdzv-endpoint node001:29500 --rdzv-id 4711 train.py --lr 1e-4 --min-lr 1e-5",
		"python3 -u pretrain_gpt.py --tensor-model-parallel-size 8 --seq-length 8192 --tokenizer-type HuggingFaceTokenizer --tokenizer-model /models/Llama-3-70B/tokenizer.model",
		"python -m torch.distributed.run --nnodes=2 --node_rank=1 --master_addr=10.0.0.1 /home/ann/src/train.py --config configs/llama3_70b.yaml",
		"python train.py --model meta-llama/Meta-Llama-3.1-405B-Instruct --dataset HuggingFaceFW/fineweb-edu --output_dir /mnt/lustre/ckpt/Llama-3.1-405B/run_0017/step_0001000",
		"python train.py --name Llama-3-70B-Instruct-SFT-GBS1024-LR3e-4-seed42 --arch Qwen2MoeForSequenceClassification --run exp_L3_70B_TP8_PP4_DP16_GBS1024_BF16_LR3e4_Seed42",
		"python train.py --name=Llama-3-70B-Instruct-SFT-GBS1024-LR3e-4-seed42 --arch=Wav2Vec2ForSequenceClassification",
		"python train.py --revision " + sha + " --model.revision=" + sha + " --commit " + sha,
		"bash -c git checkout " + sha + " && python t.py",
		"raylet --node_id=" + sha + sha[:16] + " --worker-id " + sha,
		"containerd-shim-runc-v2 -namespace moby -id " + sha + sha[:24] + " -address /run/containerd/containerd.sock",
		"python train.py model=llama trainer.max_steps=1000 +data.path=/data/tokens/a.bin ++optim.lr=1e-4 hydra.run.dir=/out/${now:%Y} data.mix=[a,b]",
		"srun --nodelist=node[001-016,020] -N 17 --ntasks-per-node=8 --gpus-per-node=8 --export=ALL,RANK=1 python train.py",
		"mpirun -np 64 -H node001:8,node002:8 -x NCCL_DEBUG=INFO -x HF_TOKEN -x WANDB_API_KEY python train.py",
		"docker run --gpus all -e HF_TOKEN nvcr.io/nvidia/pytorch:24.01-py3 python train.py",
		"enroot start docker://$oauthtoken@nvcr.io#nvidia/pytorch:24.01-py3",
		"pip install git+https://github.com/NVIDIA/TransformerEngine.git@v1.7 git+ssh://git@github.com/a/b.git",
		"apptainer exec oras://ghcr.io/a/b@sha256:" + sha + sha[:24] + " python t.py",
		"vllm serve /models/Mixtral-8x22B --gpu GPU-8f2c1b3d-5e6f-4a7b-8c9d-0e1f2a3b4c5d --id 123e4567-e89b-12d3-a456-426614174000",
		"bash -c export WANDB_API_KEY && python train.py; unset HF_TOKEN; echo $HF_TOKEN done",
		"bash -c for key in a b; do echo key; done",
		"bash /data/token/run.sh 5 run_token_classification.py 6 tokenizer.json 7 --num-tokens 8 --token-dim 9 server.key out",
		"kubectl create secret generic x pass through token level",
		"python -m run_token_classification squad --max_tokens 512 --special_tokens_file /x",
		"zip -r out.zip dir 7z x a.7z openssl version",
	} {
		if got := maskCommand(strings.Split(line, " ")); got != line {
			t.Errorf("in words\ngot  %s\nwant %s", got, line)
		}
		if got := maskCommand([]string{"sh", "-c", line}); got != "sh -c "+line {
			t.Errorf("as a script\ngot  %s\nwant sh -c %s", got, line)
		}
	}
}

func TestMaskCommandIsBounded(t *testing.T) {
	got := maskCommand([]string{"x", strings.Repeat("a ", 10_000), "--token=abc"})
	if len(got) > maxCommandBytes {
		t.Errorf("%d bytes", len(got))
	}
}

// A secret in any of the shapes that people use does not come through, whatever stands around it.
func FuzzMask(f *testing.F) {
	f.Add("--lr 1", "S3CR3Tvalue", "x=y", uint8(0))
	f.Add("", "ab,cd;ef", "", uint8(3))
	f.Add("'", "a'b", "\"", uint8(5))
	f.Add("--password", "q", "--token", uint8(2))
	shapes := []func(s string) []string{
		func(s string) []string { return []string{"--token=" + s} },
		func(s string) []string { return []string{"--password", s} },
		func(s string) []string { return []string{"API_KEY=" + s} },
		func(s string) []string { return []string{"https://user:" + s + "@host/x"} },
		func(s string) []string { return []string{"-H", "Authorization: Bearer " + s} },
		func(s string) []string { return []string{"bash", "-c", "run --secret=" + s} },
		func(s string) []string { return []string{"timeout", "5", "mysql", "-p" + s} },
		func(s string) []string { return []string{"srun", "curl", "-su", "ann:" + s, "h"} },
		func(s string) []string { return []string{"sh", "-c", "a;mysql -p'" + s + " x' -h db"} },
		func(s string) []string { return []string{"aws", "configure", "set", "aws_secret_access_key", s} },
		func(s string) []string { return []string{"sh", "-c", "mc alias set a http://h b " + s + " && x"} },
		func(s string) []string { return []string{"python", "-c", "login(key = '" + s + "')"} },
		func(s string) []string { return []string{"--db=postgres://user:,a;b&c?d|e/f#" + s + ",x@h/y?z=1"} },
	}
	f.Fuzz(func(t *testing.T, before, secret, after string, shape uint8) {
		maskCommand([]string{"x", before, secret, after}) // never panics, whatever it is
		if len(secret) < 6 || strings.ContainsFunc(secret, func(r rune) bool {
			return r <= ' ' || r > '~' || strings.ContainsRune("/@#?,;&|'\"{}[]()=:*", r)
		}) || strings.HasPrefix(secret, "--") || strings.Contains(before, secret) || strings.Contains(after, secret) {
			return
		}
		if strings.HasPrefix(secret, "-") || nameAlone(secret) == named { // an option, and the name of the next, rather than a value
			return
		}
		if bare := strings.ToLower(secret); isScheme(bare) || strings.Contains(strings.ToLower(fmt.Sprint(shapes[int(shape)%len(shapes)](""))), bare) {
			return
		}
		args := append([]string{"x", before}, shapes[int(shape)%len(shapes)](secret)...)
		args = append(args, after)
		if got := maskCommand(args); strings.Contains(got, secret) {
			t.Errorf("%q shows %q: %q", args, secret, got)
		}
	})
}
