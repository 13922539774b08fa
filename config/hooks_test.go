package config

import (
	"strings"
	"testing"
)

func TestHooks(t *testing.T) {
	for name, tt := range map[string]struct{ text, want string }{
		"all of a webhook": {`
hooks:
  - {name: a, url_env: X, headers: {X-A: b}, headers_env: {Authorization: Y}, headers_file: {X-Key: /f}, body: 'x', content_type: text/plain, min_severity: warning, rules: ['hw.*'], except: [hw.x], over: true, burst: 3, per_hour: 9, again: 5m, timeout: 5s, tries: 2}
  - {name: b, command: [notify, '{{.Title}}']}
  - {name: c, url: 'https://h/x'}
`, ""},
		"no name":     {"hooks:\n  - {url: 'https://h/x'}\n", "2: hooks[0]: name is missing"},
		"twice":       {"hooks:\n  - {name: a, url: 'https://h/x'}\n  - {name: a, url: 'https://h/y'}\n", "3: hooks[1].name: a is there twice"},
		"no way":      {"hooks:\n  - {name: a}\n", "exactly one of command, url, url_env and url_file"},
		"two ways":    {"hooks:\n  - {name: a, url: 'https://h/x', command: [x]}\n", "exactly one of"},
		"program":     {"hooks:\n  - {name: a, command: ['{{.Node}}']}\n", "its first word is the program"},
		"body":        {"hooks:\n  - {name: a, command: [x], body: y}\n", "are a webhook's"},
		"severity":    {"hooks:\n  - {name: a, command: [x], min_severity: critcal}\n", "did you mean critical?"},
		"no url":      {"hooks:\n  - {name: a, url: 's3cret'}\n", "it is no URL of a webhook"},
		"scheme":      {"hooks:\n  - {name: a, url: 'ftp://h/s3cret'}\n", "it is no URL of a webhook"},
		"header":      {"hooks:\n  - {name: a, url: 'https://h/x', headers: {'a b': c}}\n", "is no header's name"},
		"host":        {"hooks:\n  - {name: a, url: 'https://h/x', headers: {host: c}}\n", "is not set here"},
		"two headers": {"hooks:\n  - {name: a, url: 'https://h/x', headers: {x-a: c}, headers_env: {X-A: d}}\n", "is there twice"},
		"pattern":     {"hooks:\n  - {name: a, url: 'https://h/x', rules: ['[']}\n", "is no pattern"},
		"burst":       {"hooks:\n  - {name: a, url: 'https://h/x', burst: 1000}\n", "hooks[0].burst: 1000 is not between"},
		"tries":       {"hooks:\n  - {name: a, url: 'https://h/x', tries: 11}\n", "hooks[0].tries"},
		"timeout":     {"hooks:\n  - {name: a, url: 'https://h/x', timeout: 1ms}\n", "hooks[0].timeout"},
		"again":       {"hooks:\n  - {name: a, url: 'https://h/x', again: 1000h}\n", "hooks[0].again"},
		"hour":        {"hooks:\n  - {name: a, url: 'https://h/x', per_hour: -1}\n", "hooks[0].per_hour"},
		"unknown key": {"hooks:\n  - {name: a, url: 'https://h/x', min_severty: x}\n", "did you mean min_severity?"},
	} {
		cfg, err := parse([]byte(tt.text))
		switch {
		case tt.want == "" && (err != nil || len(cfg.Hooks) != 3):
			t.Errorf("%s: %v", name, err)
		case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		case err != nil && strings.Contains(err.Error(), "s3cret"):
			t.Errorf("%s tells the URL: %v", name, err)
		}
	}
}
