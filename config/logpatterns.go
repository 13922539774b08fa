package config

import (
	"fmt"
	"regexp"
)

// LogPattern finds a number in the log files of jobs: the first group of the regular expression (RE2) is it.
type LogPattern struct {
	Name    string `yaml:"name"`    // as the screen calls it: "loss"
	Pattern string `yaml:"pattern"` // "loss[:= ]+([0-9.]+)"
}

// MaxLogPatterns is how many patterns are looked for at most.
const MaxLogPatterns = 12

// DefaultLogPatterns find what training programs commonly print: Megatron-LM, torchtitan, NeMo, DeepSpeed, Lightning, Hugging Face's Trainer, MaxText.
func DefaultLogPatterns() []LogPattern {
	const number = `([0-9]+(?:[.,][0-9]+)*(?:[eE][-+]?[0-9]+)?(?:\s?[kKMG]\b)?)`
	return []LogPattern{
		{"step", `(?i)\b(?:global_?|train(?:ing)?[ _])?(?:step|iteration|iter)s?\b['"]?\s*[:= ]\s*([0-9]+)`},
		{"loss", `(?i)\b(?:(?:lm|train|training|reduced_train|global_avg)[ _])?loss\b['"]?\s*[:=|]?\s*([0-9]+\.?[0-9]*(?:[eE][-+]?[0-9]+)?|nan|inf)`},
		{"step time", `(?i)(?:elapsed time per iteration \(ms\)|(?:step|iter(?:ation)?)[ _]?time(?:[ _]?\(?m?s\)?)?|train_step_timing in s|seconds)['"]?\s*[:=]\s*([0-9.]+(?:\s?(?:ms|s)\b)?)`},
		{"tokens/s", `(?i)(?:tokens?(?:/s|/sec(?:ond)?|[ _]per[ _]sec(?:ond)?)(?:/device|/gpu)?|tps|throughput)['"]?\s*[:=]\s*` + number},
		{"samples/s", `(?i)(?:samples?(?:/s|/sec(?:ond)?|[ _]per[ _]sec(?:ond)?))['"]?\s*[:=]\s*` + number},
		{"grad norm", `(?i)grad[ _]norm['"]?\s*[:=]\s*([0-9.]+(?:[eE][-+]?[0-9]+)?|nan|inf)`},
	}
}

func validLogPatterns(list []LogPattern) error {
	if len(list) > MaxLogPatterns {
		return wrong("log_patterns", "%d patterns: at most %d are looked for", len(list), MaxLogPatterns)
	}
	seen := map[string]bool{}
	for _, p := range list {
		switch {
		case p.Name == "":
			return wrong("log_patterns", "a pattern without a name: write {name: loss, pattern: 'loss: ([0-9.]+)'}")
		case seen[p.Name]:
			return wrong("log_patterns", "%s is there twice", p.Name)
		}
		seen[p.Name] = true
		if _, err := p.Compile(); err != nil {
			return wrong("log_patterns", "%v", err)
		}
	}
	return nil
}

// Compile makes the pattern ready to search with.
func (p LogPattern) Compile() (*regexp.Regexp, error) {
	expr, err := regexp.Compile(p.Pattern)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.Name, err)
	}
	if expr.NumSubexp() < 1 {
		return nil, fmt.Errorf("%s: no group: put brackets around the number, as in loss: ([0-9.]+)", p.Name)
	}
	return expr, nil
}
