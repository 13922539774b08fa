package config

import (
	"strings"
	"testing"
)

// TestDefaultLogPatterns holds what the patterns find in lines as training programs print them.
func TestDefaultLogPatterns(t *testing.T) {
	for _, c := range []struct {
		line string
		want map[string]string
	}{
		{" [2026-03-01 12:00:00] iteration      250/  500000 | consumed samples: 256000 | elapsed time per iteration (ms): 11420.3 | learning rate: 1.500000E-04 | global batch size:  1024 | lm loss: 2.143211E+00 | loss scale: 1.0 | grad norm: 0.412 |",
			map[string]string{"step": "250", "loss": "2.143211E+00", "step time": "11420.3", "grad norm": "0.412"}},
		{"[titan] step: 1230  loss:  2.8412  grad_norm:  1.2031  memory: 60.4GiB(76.1%)  tps: 7,412  tflops: 412.10  mfu: 41.6%", map[string]string{"step": "1230", "loss": "2.8412", "tokens/s": "7,412", "grad norm": "1.2031"}},
		{"{'loss': 1.7321, 'grad_norm': 0.93, 'learning_rate': 2e-05, 'epoch': 0.41}", map[string]string{"loss": "1.7321", "grad norm": "0.93"}},
		{"completed step: 41, seconds: 4.213, TFLOP/s/device: 310.2, Tokens/s/device: 7770.1, total_weights: 524288, loss: 10.87", map[string]string{"step": "41", "step time": "4.213", "tokens/s": "7770.1", "loss": "10.87"}},
		{"Training epoch 0, iteration 12/99 | lr: 1e-05 | global_step: 12 | reduced_train_loss: 5.31 | train_step_timing in s: 3.44", map[string]string{"step": "12", "loss": "5.31", "step time": "3.44"}},
		{"steps: 100 loss: nan iter time (s): 3.550 samples/sec: 288.4", map[string]string{"step": "100", "loss": "nan", "step time": "3.550", "samples/s": "288.4"}},
		{"2026-03-01 12:00:00 [rank0] step 41233/250000 | loss: 2.1432 | grad norm: 0.412 | lr: 1.5e-04 | step time: 11.42 s | tokens/s: 412300", map[string]string{"step": "41233", "loss": "2.1432", "step time": "11.42 s", "tokens/s": "412300", "grad norm": "0.412"}},
		{"loading checkpoint shards", nil},
	} {
		for _, p := range DefaultLogPatterns() {
			expr, err := p.Compile()
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			if m := expr.FindAllStringSubmatch(c.line, -1); len(m) > 0 {
				got = strings.TrimSpace(m[len(m)-1][1])
			}
			if got != c.want[p.Name] {
				t.Errorf("%s is %q, want %q, in\n%s", p.Name, got, c.want[p.Name], c.line)
			}
		}
	}
}

func TestBadLogPatterns(t *testing.T) {
	many := make([]LogPattern, MaxLogPatterns+1)
	for _, c := range []struct {
		list []LogPattern
		want string
	}{
		{nil, ""}, {DefaultLogPatterns(), ""}, {many, "at most"}, {[]LogPattern{{"", "(a)"}}, "without a name"}, {[]LogPattern{{"a", "(a)"}, {"a", "(b)"}}, "twice"},
		{[]LogPattern{{"a", "("}}, "a: error parsing"}, {[]LogPattern{{"a", "a"}}, "put brackets"},
	} {
		err := validLogPatterns(c.list)
		if c.want == "" != (err == nil) || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v, want %q", c.list, err, c.want)
		}
	}
}
