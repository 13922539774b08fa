package simfleet

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// Parse reads a scenario file; name is for messages. It is strict: what it does not know is an error that names the line and the nearest word. testdata/scenarios/README.md
// documents the format.
func Parse(name string, text []byte) (*Scenario, error) {
	s := &Scenario{Name: strings.TrimSuffix(name, ".yaml")}
	p := scenarioParser{file: name}
	f, err := parser.ParseBytes(text, 0)
	if err != nil {
		var broken *yaml.SyntaxError
		if errors.As(err, &broken) && broken.Token != nil {
			return nil, fmt.Errorf("parse %s: line %d: %s", name, broken.Token.Position.Line, broken.Message)
		}
		return nil, fmt.Errorf("parse %s: %w", name, err)
	}
	if len(f.Docs) != 1 || f.Docs[0].Body == nil {
		return nil, fmt.Errorf("parse %s: one YAML document is wanted, there are %d", name, len(f.Docs))
	}
	p.scenario(s, f.Docs[0].Body)
	if p.err != nil {
		return nil, fmt.Errorf("parse %w", p.err)
	}
	return s, nil
}

// scenarioParser keeps the first error: later ones often follow from it.
type scenarioParser struct {
	file string
	err  error
}

func (p *scenarioParser) fail(n ast.Node, format string, args ...any) {
	if p.err == nil {
		p.err = fmt.Errorf("%s: line %d: %s", p.file, n.GetToken().Position.Line, fmt.Sprintf(format, args...))
	}
}

// fields calls the handler of each key of a mapping.
func (p *scenarioParser) fields(n ast.Node, what string, handlers map[string]func(ast.Node)) {
	m, ok := n.(*ast.MappingNode)
	if !ok {
		p.fail(n, "%s must be a list of \"key: value\"", what)
		return
	}
	seen := make(map[string]bool)
	for _, v := range m.Values {
		key := v.Key.GetToken().Value
		handle, known := handlers[key]
		switch {
		case !known:
			p.fail(v.Key, "%s has no key %q%s", what, key, nearest(key, slices.Sorted(maps.Keys(handlers))))
		case seen[key]:
			p.fail(v.Key, "%s has the key %q twice", what, key)
		default:
			seen[key] = true
			handle(v.Value)
		}
	}
}

func (p *scenarioParser) scenario(s *Scenario, n ast.Node) {
	p.fields(n, "a scenario", map[string]func(ast.Node){
		"name":   func(v ast.Node) { s.Name = p.text(v) },
		"repeat": func(v ast.Node) { s.Repeat = p.duration(v) },
		"faults": func(v ast.Node) {
			list, ok := v.(*ast.SequenceNode)
			if !ok {
				p.fail(v, "faults must be a list")
				return
			}
			for _, item := range list.Values {
				s.Faults = append(s.Faults, p.fault(item, "fault"))
			}
		},
		"phases": func(v ast.Node) {
			list, ok := v.(*ast.SequenceNode)
			if !ok {
				p.fail(v, "phases must be a list")
				return
			}
			for _, item := range list.Values {
				s.Faults = append(s.Faults, p.fault(item, "phase"))
			}
		},
	})
	for _, f := range s.Faults {
		if p.err == nil && s.Repeat > 0 && f.At+f.For > s.Repeat {
			p.err = fmt.Errorf("%s: line %d: the fault lasts until %v, the scenario starts again after %v", p.file, f.Line, f.At+f.For, s.Repeat)
		}
	}
}

// fault reads one fault, or one phase: word is the key that says which.
func (p *scenarioParser) fault(n ast.Node, word string) Fault {
	f := Fault{GPU: -1, Port: 0, Factor: 1.7, Flaps: 3, BytesPerSecond: 2000, Line: n.GetToken().Position.Line}
	given := make(map[string]ast.Node)
	note := func(key string, set func(ast.Node)) func(ast.Node) {
		return func(v ast.Node) { given[key] = v; set(v) }
	}
	p.fields(n, "a "+word, map[string]func(ast.Node){
		"at":               note("at", func(v ast.Node) { f.At = p.duration(v) }),
		"for":              note("for", func(v ast.Node) { f.For = p.duration(v) }),
		word:               note(word, func(v ast.Node) { f.Kind = Kind(p.text(v)) }),
		"node":             note("node", func(v ast.Node) { f.Node = p.text(v) }),
		"job":              note("job", func(v ast.Node) { f.Job = p.text(v) }),
		"member":           note("member", func(v ast.Node) { f.Member = p.number(v, 0, MaxNodes) }),
		"gpu":              note("gpu", func(v ast.Node) { f.GPU = p.number(v, 0, gpusPerNode-1) }),
		"port":             note("port", func(v ast.Node) { f.Port = p.number(v, 0, numPorts-1) }),
		"factor":           note("factor", func(v ast.Node) { f.Factor = p.factor(v) }),
		"flaps":            note("flaps", func(v ast.Node) { f.Flaps = p.number(v, 1, 100) }),
		"bytes_per_second": note("bytes_per_second", func(v ast.Node) { f.BytesPerSecond = p.number(v, 1, 1<<30) }),
		"restart":          note("restart", func(v ast.Node) { f.Restart = p.truth(v) }),
		"reboot":           note("reboot", func(v ast.Node) { f.Reboot = p.truth(v) }),
	})
	p.check(n, &f, given, word)
	return f
}

// check says whether the fault makes sense.
func (p *scenarioParser) check(n ast.Node, f *Fault, given map[string]ast.Node, word string) {
	at := func(key string) ast.Node {
		if v := given[key]; v != nil {
			return v
		}
		return n
	}
	k, known := kinds[f.Kind]
	switch {
	case given[word] == nil && word == "fault":
		p.fail(n, "a fault needs the key \"fault\": what goes wrong")
	case given[word] == nil:
		p.fail(n, "a phase needs the key \"phase\": what the job does")
	case !known || k.phase != (word == "phase"):
		var words []string
		for kind, k := range kinds {
			if k.phase == (word == "phase") {
				words = append(words, string(kind))
			}
		}
		p.fail(at(word), "no %s is called %q%s", word, f.Kind, nearest(string(f.Kind), slices.Sorted(slices.Values(words))))
	case given["at"] == nil:
		p.fail(n, "a %s needs the key \"at\": when it comes", word)
	case k.phase && given["for"] == nil:
		p.fail(n, "a phase needs the key \"for\": how long it lasts")
	case (f.Node == "") == (f.Job == ""):
		p.fail(n, "a fault needs either \"node\" or \"job\": where it comes")
	case f.Job == "" && given["member"] != nil:
		p.fail(at("member"), "\"member\" counts the nodes of a \"job\"")
	case k.job && f.Job == "":
		p.fail(n, "%s falls upon a \"job\"", f.Kind)
	}
	for _, c := range []struct {
		key  string
		does bool
	}{{"gpu", k.gpu}, {"port", k.port}, {"factor", k.factor}, {"flaps", k.flaps}, {"bytes_per_second", k.rate}, {"restart", k.restart}, {"reboot", k.reboot}} {
		if given[c.key] != nil && !c.does {
			p.fail(at(c.key), "%s takes no %q", f.Kind, c.key)
		}
	}
	if k.always && (f.At != 0 || f.For != 0) {
		p.fail(n, "%s lasts from 0s to the end: it takes no \"for\"", f.Kind)
	}
	if k.gpu && f.GPU < 0 && !k.loose {
		f.GPU = 0
	}
	if f.Reboot && f.For < rebootLength+5*time.Second {
		p.fail(at("for"), "a reboot takes %v: the fault must last at least %v", rebootLength, rebootLength+5*time.Second)
	}
	if f.Kind == OOMKill && f.For > 0 && f.For < oomClimb+2*time.Second {
		p.fail(at("for"), "oom-kill needs at least %v: memory fills for %v before the kill", oomClimb+2*time.Second, oomClimb)
	}
}

func (p *scenarioParser) text(n ast.Node) string {
	if _, ok := n.(ast.ScalarNode); !ok {
		p.fail(n, "a word is wanted here")
		return ""
	}
	return n.GetToken().Value
}

func (p *scenarioParser) duration(n ast.Node) time.Duration {
	d, err := time.ParseDuration(p.text(n))
	if err != nil || d < 0 || d > 1000*time.Hour {
		p.fail(n, "%q is no duration such as 8s or 1m30s", p.text(n))
	}
	return d
}

func (p *scenarioParser) number(n ast.Node, low, high int) int {
	i, err := strconv.Atoi(p.text(n))
	if err != nil || i < low || i > high {
		p.fail(n, "%q is no number from %d to %d", p.text(n), low, high)
		return low
	}
	return i
}

func (p *scenarioParser) factor(n ast.Node) float64 {
	f, err := strconv.ParseFloat(p.text(n), 64)
	if err != nil || math.IsNaN(f) || f < 1 || f > 100 {
		p.fail(n, "%q is no factor from 1 to 100", p.text(n))
		return 1
	}
	return f
}

func (p *scenarioParser) truth(n ast.Node) bool {
	b, err := strconv.ParseBool(p.text(n))
	if err != nil {
		p.fail(n, "%q is neither true nor false", p.text(n))
	}
	return b
}

// jobWords are the words by which scenarios name jobs.
func jobWords() (words []string) {
	for _, s := range slices.Concat(shapes(), otherShapes()) {
		words = append(words, s.role, s.name)
	}
	return words
}

// nearest words the likeliest thing that was meant; "" when nothing is near.
func nearest(word string, of []string) string {
	best, least := "", max(2, len(word)/2)+1
	for _, w := range of {
		if d := distance(word, w); d < least {
			best, least = w, d
		}
	}
	if best == "" {
		return ": it is one of " + strings.Join(of, ", ")
	}
	return fmt.Sprintf(": did you mean %q?", best)
}

// distance is how many letters have to change (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
