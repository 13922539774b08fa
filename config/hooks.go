package config

import (
	"errors"
	"fmt"
	"net/textproto"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"
)

// Hook is a command or a webhook that `foretop export` and `foretop record` have told of what begins to be wrong.
type Hook struct {
	Name string `yaml:"name"`
	// Where it goes: a command here, or a webhook. What is secret comes from a variable of the environment, or from a file that is read anew each time.
	Command []string `yaml:"command"` // a word each, every one but the first a template; none of a shell's
	URL     string   `yaml:"url"`
	URLEnv  string   `yaml:"url_env"`
	URLFile string   `yaml:"url_file"`
	// Of a webhook's headers the values; or the variables or files that hold them.
	Headers     map[string]string `yaml:"headers"`
	HeadersEnv  map[string]string `yaml:"headers_env"`
	HeadersFile map[string]string `yaml:"headers_file"`
	Body        string            `yaml:"body"`         // a template; "" the event as JSON
	ContentType string            `yaml:"content_type"` // "" application/json
	// What it is told of.
	MinSeverity string   `yaml:"min_severity"` // notice, warning or critical; "" critical
	Rules       []string `yaml:"rules"`        // patterns of rules' ids, as hw.*; none: all
	Except      []string `yaml:"except"`       // patterns of those that it is not told of
	Over        bool     `yaml:"over"`         // it is told as well when something is over
	// How much of it.
	Burst   int           `yaml:"burst"`    // so many at once; 0: 5
	PerHour int           `yaml:"per_hour"` // so many in an hour; 0: 20. What is more comes as one summary
	Again   time.Duration `yaml:"again"`    // what comes again is told only where it was gone for so long; 0: 1h
	Timeout time.Duration `yaml:"timeout"`  // of one try; 0: 10s
	Tries   int           `yaml:"tries"`    // 0: 4 of a webhook, 1 of a command
}

// Bounds of hooks.
const (
	MaxHooks       = 20
	MaxHookTries   = 10
	MaxHookBurst   = 100
	MaxHookPerHour = 1000
	MinHookTimeout = time.Second
	MaxHookTimeout = time.Minute
	MaxHookAgain   = 7 * 24 * time.Hour
)

var hookSeverities = []string{"notice", "warning", "critical"}

func validHooks(hooks []Hook) error {
	if len(hooks) > MaxHooks {
		return wrong("hooks", "%d hooks: at most %d", len(hooks), MaxHooks)
	}
	names := map[string]bool{}
	for i := range hooks {
		h := &hooks[i]
		key := fmt.Sprintf("hooks[%d]", i)
		switch {
		case h.Name == "" || strings.ContainsAny(h.Name, "\n\r\t"):
			return wrong(key, "name is missing: it says in words which hook failed")
		case names[h.Name]:
			return wrong(key+".name", "%s is there twice", h.Name)
		}
		names[h.Name] = true
		if err := h.validate(key); err != nil {
			return err
		}
	}
	return nil
}

func (h *Hook) validate(key string) error {
	ways := 0
	for _, there := range []bool{len(h.Command) > 0, h.URL != "", h.URLEnv != "", h.URLFile != ""} {
		if there {
			ways++
		}
	}
	switch {
	case ways != 1:
		return wrong(key, "it needs exactly one of command, url, url_env and url_file")
	case len(h.Command) > 0 && (h.Command[0] == "" || strings.Contains(h.Command[0], "{{")):
		return wrong(key+".command", "its first word is the program, which may not depend on what is told")
	case len(h.Command) > 0 && (h.Body != "" || h.ContentType != "" || len(h.Headers)+len(h.HeadersEnv)+len(h.HeadersFile) > 0):
		return wrong(key, "body, content_type and headers are a webhook's: a command gets the event as JSON on its standard input")
	case h.MinSeverity != "" && !slices.Contains(hookSeverities, h.MinSeverity):
		return wrong(key+".min_severity", "%s", notOneOf(h.MinSeverity, hookSeverities))
	case h.Burst < 0 || h.Burst > MaxHookBurst:
		return wrong(key+".burst", "%d is not between 1 and %d", h.Burst, MaxHookBurst)
	case h.PerHour < 0 || h.PerHour > MaxHookPerHour:
		return wrong(key+".per_hour", "%d is not between 1 and %d", h.PerHour, MaxHookPerHour)
	case h.Again < 0 || h.Again > MaxHookAgain:
		return wrong(key+".again", "%v is not between 0s and %v", h.Again, MaxHookAgain)
	case h.Timeout != 0 && (h.Timeout < MinHookTimeout || h.Timeout > MaxHookTimeout):
		return wrong(key+".timeout", "%v is not between %v and %v", h.Timeout, MinHookTimeout, MaxHookTimeout)
	case h.Tries < 0 || h.Tries > MaxHookTries:
		return wrong(key+".tries", "%d is not between 1 and %d", h.Tries, MaxHookTries)
	}
	if h.URL != "" {
		if err := CheckHookURL(h.URL); err != nil {
			return wrong(key+".url", "%v", err)
		}
	}
	if err := h.validHeaders(key); err != nil {
		return err
	}
	for name, patterns := range map[string][]string{"rules": h.Rules, "except": h.Except} {
		for _, p := range patterns {
			if _, err := path.Match(p, ""); err != nil || p == "" {
				return wrong(key+"."+name, "%q is no pattern: write a rule's id, or hw.* for all that begin so", p)
			}
		}
	}
	return nil
}

func (h *Hook) validHeaders(key string) error {
	seen := map[string]bool{}
	for section, headers := range map[string]map[string]string{"headers": h.Headers, "headers_env": h.HeadersEnv, "headers_file": h.HeadersFile} {
		for name, value := range headers {
			canonical := textproto.CanonicalMIMEHeaderKey(name)
			switch {
			case !isHeaderName(name):
				return wrong(key+"."+section, "%q is no header's name", name)
			case seen[canonical]:
				return wrong(key+"."+section, "%s is there twice", name)
			case value == "" || strings.ContainsAny(value, "\r\n"):
				return wrong(key+"."+section, "%s has no value, or one of several lines", name)
			case canonical == "Host" || canonical == "Content-Length" || canonical == "Content-Type":
				return wrong(key+"."+section, "%s is not set here (content_type is a key of its own)", name)
			}
			seen[canonical] = true
		}
	}
	return nil
}

// isHeaderName says that a name is a token of RFC 9110, section 5.6.2.
func isHeaderName(name string) bool {
	for _, r := range name {
		if r > '~' || r <= ' ' || strings.ContainsRune("\"(),/:;<=>?@[\\]{}", r) {
			return false
		}
	}
	return name != ""
}

// CheckHookURL says what is wrong with a webhook's URL, and never what it is.
func CheckHookURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return errors.New("it is no URL of a webhook: write https://HOST/PATH")
	}
	return nil
}
