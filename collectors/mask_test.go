package collectors

import (
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
		{"URL whose password has a slash", []string{"x", "postgres://u:pa/ss@host/db"}, "x postgres://***"},
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
		{"nothing", nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := maskCommand(c.args); got != c.want {
				t.Errorf("\ngot  %s\nwant %s", got, c.want)
			}
		})
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
	}
	f.Fuzz(func(t *testing.T, before, secret, after string, shape uint8) {
		maskCommand([]string{"x", before, secret, after}) // never panics, whatever it is
		if len(secret) < 6 || strings.ContainsFunc(secret, func(r rune) bool {
			return r <= ' ' || r > '~' || strings.ContainsRune("/@#?,;&|'\"{}[]()=:*", r)
		}) || strings.HasPrefix(secret, "--") || strings.Contains(before, secret) || strings.Contains(after, secret) {
			return
		}
		if bare := strings.ToLower(secret); bare == "bearer" || strings.Contains("https://user:@host/x authorization: bearer api_key --password --token bash run --secret", bare) {
			return
		}
		args := append([]string{"x"}, shapes[int(shape)%len(shapes)](secret)...)
		args = append(args, after)
		if got := maskCommand(args); strings.Contains(got, secret) {
			t.Errorf("%q shows %q: %q", args, secret, got)
		}
	})
}
