package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// maxFileBytes bounds the configuration file: far more than 100,000 names in groups need.
const maxFileBytes = 4 << 20

// Path is where the configuration file stands when no other is named: foretop/config.yaml in the folder that
// XDG_CONFIG_HOME names, else in ~/.config. getenv is os.Getenv, and home the user's home folder.
func Path(getenv func(string) string, home string) string {
	folder := getenv("XDG_CONFIG_HOME")
	if !filepath.IsAbs(folder) { // the XDG rules: a relative one is to be ignored
		folder = filepath.Join(home, ".config")
	}
	return filepath.Join(folder, "foretop", "config.yaml")
}

// Load reads the file at path over the defaults. A file that is not there gives the defaults, unless it must be there.
// An error names file, line, key and what to write instead. Checks are of what only the caller knows; they answer as [Unknown] does.
func Load(path string, must bool, checks ...func(Config) error) (Config, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) && !must {
		return Default(), nil
	}
	if err != nil {
		return Config{}, fmt.Errorf("read configuration: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err != nil {
		return Config{}, fmt.Errorf("read configuration: %w", err)
	}
	if len(text) > maxFileBytes {
		return Config{}, fmt.Errorf("read configuration %s: it is larger than %d MiB", path, maxFileBytes>>20)
	}
	cfg, err := parse(text, checks...)
	if err != nil {
		return Config{}, fmt.Errorf("%s:%w", path, err) // the error begins with the line
	}
	return cfg, nil
}

// parse reads a whole file over the defaults. Its errors begin with the line: `3: unknown key "refersh"`.
func parse(text []byte, checks ...func(Config) error) (Config, error) {
	cfg := Default()
	decoder := yaml.NewDecoder(bytes.NewReader(text), yaml.Strict(), yaml.CustomUnmarshaler(parseDuration))
	switch err := decoder.Decode(&cfg); {
	case errors.Is(err, io.EOF): // nothing but comments
		return Default(), nil
	case err != nil:
		return Config{}, explain(text, err)
	}
	for _, check := range append([]func(Config) error{Config.Validate}, checks...) {
		if err := check(cfg); err != nil {
			return Config{}, explain(text, err)
		}
	}
	return cfg, nil
}

// Unknown is the error of a word under a key, written with dots and brackets (findings.off[0]), that is none of those there are. It names the nearest.
func Unknown(key, word string, words []string) error { return wrong(key, "%s", notOneOf(word, words)) }

func parseDuration(d *time.Duration, text []byte) error {
	v, err := time.ParseDuration(strings.TrimSpace(string(text)))
	if err != nil {
		return wrong("refresh", "%q is not a time: write it with its unit, such as 500ms or 2s", strings.TrimSpace(string(text)))
	}
	*d = v
	return nil
}

// explain puts an error into the user's words, the line first.
func explain(text []byte, err error) error {
	var unknown *yaml.UnknownFieldError
	var kind *yaml.TypeError
	var shape *yaml.UnexpectedNodeTypeError
	var other yaml.Error
	if value, ok := asValueError(err); ok {
		return fmt.Errorf("%d: %w", lineOf(text, value.Key), value)
	}
	switch {
	case errors.As(err, &unknown):
		return fmt.Errorf("%d: %s", line(unknown.Token), unknownKey(unknown.Token))
	case errors.As(err, &kind):
		return fmt.Errorf("%d: %s is not %s", line(kind.Token), quote(kind.Token), inWords(kind.DstType))
	case errors.As(err, &shape):
		return fmt.Errorf("%d: %s stands where keys are expected: write `key: value`, one a line", line(shape.Token), quote(shape.Token))
	case errors.As(err, &other):
		return fmt.Errorf("%d: %s", line(other.GetToken()), other.GetMessage())
	}
	return fmt.Errorf("1: %w", err)
}

func unknownKey(t *token.Token) string {
	word := quote(t)
	known := keysOf(reflect.TypeFor[Config](), "")
	if t != nil {
		if near, ok := Nearest(t.Value, lastWords(known)); ok {
			return fmt.Sprintf("unknown key %s: did you mean %s?", word, near)
		}
	}
	return fmt.Sprintf("unknown key %s: the keys are %s", word, strings.Join(known, ", "))
}

// keysOf gives every key that the file can hold, written with dots, in the order of the struct.
func keysOf(t reflect.Type, before string) []string {
	var keys []string
	for field := range t.Fields() {
		key := before + field.Tag.Get("yaml")
		keys = append(keys, key)
		inner := field.Type
		if inner.Kind() == reflect.Slice { // of sections
			inner = inner.Elem()
		}
		if inner.Kind() == reflect.Struct {
			keys = append(keys, keysOf(inner, key+".")...)
		}
	}
	return keys
}

func lastWords(keys []string) []string {
	words := make([]string, len(keys))
	for i, key := range keys {
		words[i] = key[strings.LastIndexByte(key, '.')+1:]
	}
	return words
}

func inWords(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Int:
		return "a whole number"
	case reflect.Int64:
		return "a time: write it with its unit, such as 500ms or 2s"
	case reflect.String:
		return "text: write one value, in quotes where it holds brackets first"
	}
	return "what stands here"
}

// lineOf finds the line of a key written with dots, or the last line of it that is there; 1 when none is.
func lineOf(text []byte, key string) int {
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		return 1
	}
	builder := (&yaml.PathBuilder{}).Root()
	found := 1
	for word := range strings.SplitSeq(key, ".") {
		name, index, listed := strings.Cut(strings.TrimSuffix(word, "]"), "[")
		builder = builder.Child(name)
		if n, err := strconv.ParseUint(index, 10, 31); listed && err == nil {
			builder = builder.Index(uint(n))
		}
		node, err := builder.Build().FilterFile(file)
		if err != nil {
			break
		}
		found = line(node.GetToken())
	}
	return found
}

func line(t *token.Token) int {
	if t == nil || t.Position == nil {
		return 1
	}
	return t.Position.Line
}

func quote(t *token.Token) string {
	if t == nil {
		return "this"
	}
	return fmt.Sprintf("%q", short(t.Value))
}
