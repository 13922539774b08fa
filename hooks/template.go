package hooks

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"text/template"
	"time"

	"foretop/fleet"
)

// words are what templates may call beside what text/template has.
var words = template.FuncMap{
	"json": func(v any) (string, error) { // quoted: {"text": {{json .Title}}}
		b, err := json.Marshal(v)
		return string(b), err
	},
	"join":  func(sep string, list []string) string { return strings.Join(list, sep) },
	"upper": strings.ToUpper,
}

// maxFilled bounds what a template comes to.
const maxFilled = 256 << 10

// parseTemplate reads a template, and tries it on an event that has everything.
func parseTemplate(name, text string) (*template.Template, error) {
	t, err := template.New(name).Funcs(words).Option("missingkey=error").Parse(text)
	if err != nil {
		return nil, err
	}
	for _, e := range samples() {
		if _, err := fill(t, &e); err != nil {
			return nil, err
		}
	}
	return t, nil
}

func fill(t *template.Template, e *Event) ([]byte, error) {
	var b bounded
	if err := t.Execute(&b, e); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// bounded is a buffer that is full at some time.
type bounded struct{ bytes.Buffer }

func (b *bounded) Write(p []byte) (int, error) {
	if b.Len()+len(p) > maxFilled {
		return 0, fmt.Errorf("it comes to more than %d KiB", maxFilled>>10)
	}
	return b.Buffer.Write(p)
}

// samples are events as there may be, to try templates on: with all that breaks what is not quoted.
func samples() []Event {
	const rough = `say "no" \ {or} 'not' <b>&amp;</b> $HOME`
	f := fleet.Stated{ID: "hw.xid-79@gpu017/GPU3", Rule: "hw.xid", Severity: fleet.Critical, Text: rough, Evidence: []string{rough}, Remedy: rough, Node: "gpu017", GPU: 3, GPUUUID: "GPU-5c1f", Port: "mlx5_0", JobName: rough}
	one := findingEvent(&f, Options{Fleet: rough, Host: rough}, time.Unix(1, 0))
	one.Kind = Began
	var more summary
	more.add(&one)
	more.add(&one)
	bare := findingEvent(&fleet.Stated{GPU: -1}, Options{}, time.Unix(1, 0))
	bare.Kind = Over
	return []Event{one, more.event(time.Unix(1, 0)), bare}
}

// errNotJSON is a body that would be refused.
var errNotJSON = errors.New(`what it comes to is no JSON: write {{json .Title}} where text goes, as in {"text": {{json .Title}}}`)

// checkJSON fails where a template makes something else of an event.
func checkJSON(t *template.Template) error {
	for _, e := range samples() {
		if b, err := fill(t, &e); err != nil || !json.Valid(b) {
			return errors.Join(errNotJSON, err)
		}
	}
	return nil
}
