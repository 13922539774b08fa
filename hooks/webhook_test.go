package hooks

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"foretop/config"

	"github.com/google/go-cmp/cmp"
)

func TestABodyOfOnesOwn(t *testing.T) {
	p := serve(t, nil)
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("first\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t, "", config.Hook{
		Name: "a", URL: p.URL, Body: `{"text": {{json (printf "%s %s: %s" (upper .Severity) .Subject .Text)}}, "n": {{json .Nodes}}}`,
		Headers: map[string]string{"X-Team": "gpu"}, HeadersEnv: map[string]string{"Authorization": "TOKEN"}, HeadersFile: map[string]string{"X-Key": file},
	})
	s.Look(wrong("gpu017"))
	eventually(t, "it is told", func() bool { return len(p.got()) == 1 })
	if got, want := p.got()[0], `{"text": "CRITICAL gpu017 GPU3: GPU3 lost: fell off the bus", "n": ["gpu017"]}`; got != want {
		t.Errorf("%s", got)
	}
	if h := p.headers[0]; h.Get("X-Team") != "gpu" || h.Get("Authorization") != "Bearer s3cret-token" || h.Get("X-Key") != "first" {
		t.Errorf("%v", h)
	}
	if err := os.WriteFile(file, []byte("second\n"), 0o600); err != nil { // it was renewed
		t.Fatal(err)
	}
	s.Look(wrong("gpu017", "gpu018"))
	eventually(t, "it is told", func() bool { return len(p.got()) == 2 })
	if h := p.headers[1]; h.Get("X-Key") != "second" {
		t.Errorf("%v", h)
	}
}

// TestSecretsAreInNoMessage fails in every way that there is.
func TestSecretsAreInNoMessage(t *testing.T) {
	const path = "/s3cret-path?key=t0ken"
	elsewhere := serve(t, nil)
	moved := serve(t, func(w http.ResponseWriter, _ *http.Request, _ int) {
		w.Header().Set("Location", elsewhere.URL+"/s3cret-path")
		w.WriteHeader(http.StatusTemporaryRedirect)
	})
	echo := serve(t, func(w http.ResponseWriter, r *http.Request, _ int) {
		w.WriteHeader(http.StatusInternalServerError)
		_ = r.Write(w)
	})
	silent := serve(t, func(_ http.ResponseWriter, r *http.Request, _ int) { <-r.Context().Done() })
	garbage := listen(t, "HTTP/9 s3cret-path\r\n\r\n")
	for name, u := range map[string]string{
		"nobody there": "http://user:passw0rd@127.0.0.1:1" + path, "no such host": "http://user:passw0rd@host.invalid" + path, "moved": moved.URL + path, "an error": echo.URL + path,
		"no answer": silent.URL + path, "no TLS": strings.Replace(echo.URL, "http:", "https:", 1) + path, "garbage": "http://" + garbage + path,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, "", config.Hook{Name: "a", URL: u, HeadersEnv: map[string]string{"Authorization": "TOKEN"}, Tries: 1, Timeout: time.Second})
			s.Look(wrong("gpu017"))
			eventually(t, "it is said", func() bool { return s.said.text() != "" })
			for _, secret := range []string{"s3cret", "t0ken", "passw0rd"} {
				if strings.Contains(s.said.text(), secret) {
					t.Errorf("it is said: %s", s.said.text())
				}
			}
			if name == "moved" && len(elsewhere.got()) > 0 {
				t.Error("it was followed")
			}
			t.Log(s.said.text())
		})
	}
}

// listen answers every connection with some text.
func listen(t *testing.T, text string) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = bufio.NewReader(c).ReadString('\n')
			_, _ = c.Write([]byte(text))
			c.Close()
		}
	}()
	return l.Addr().String()
}

func TestWhatCannotWorkIsSaidAtOnce(t *testing.T) {
	for name, tt := range map[string]struct {
		hook config.Hook
		want string
	}{
		"no variable":      {config.Hook{URLEnv: "NOWHERE"}, "variable NOWHERE holds nothing"},
		"no file":          {config.Hook{URLFile: "/nowhere/url"}, "/nowhere/url"},
		"no header":        {config.Hook{URL: "https://h.invalid", HeadersEnv: map[string]string{"X": "NOWHERE"}}, "header X: variable NOWHERE"},
		"no template":      {config.Hook{URL: "https://h.invalid", Body: "{{.Title"}, "unclosed action"},
		"no such field":    {config.Hook{URL: "https://h.invalid", Body: "{{.Titel}}"}, "Titel"},
		"no JSON":          {config.Hook{URL: "https://h.invalid", Body: `{"text": "{{.Title}}"}`}, "write {{json .Title}}"},
		"too much":         {config.Hook{URL: "https://h.invalid", ContentType: "text/plain", Body: `{{range $i, $e := .Evidence}}{{printf "%0300000d" 1}}{{end}}`}, "more than 256 KiB"},
		"no program":       {config.Hook{Command: []string{"no-such-program-here"}}, "no-such-program-here"},
		"no word":          {config.Hook{Command: []string{"true", "{{.Titel}}"}}, "Titel"},
		"no content type":  {config.Hook{URL: "https://h.invalid", ContentType: "a b"}, "content_type"},
		"a variable's URL": {config.Hook{URLEnv: "TOKEN"}, "it is no URL"},
	} {
		tt.hook.Name = "a"
		_, err := Open(context.Background(), Options{Hooks: []config.Hook{tt.hook}, Getenv: func(n string) string { return map[string]string{"TOKEN": "s3cret"}[n] }})
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestTheEventIsDocumented holds EVENTS.md and the code together.
func TestTheEventIsDocumented(t *testing.T) {
	text, err := os.ReadFile("EVENTS.md")
	if err != nil {
		t.Fatal(err)
	}
	var page, code []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| (\\w+) \\| ([a-z ]+) \\|").FindAllStringSubmatch(string(text), -1) {
		page = append(page, m[1]+" "+m[2]+" "+m[3])
	}
	for f := range reflect.TypeFor[Event]().Fields() {
		if !f.IsExported() {
			continue
		}
		kind := map[reflect.Kind]string{reflect.String: "text", reflect.Int: "integer", reflect.Bool: "boolean", reflect.Struct: "time", reflect.Slice: "list of texts"}[f.Type.Kind()]
		if f.Type == reflect.TypeFor[[]EventFinding]() {
			kind = "list of objects"
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		code = append(code, name+" "+f.Name+" "+kind)
	}
	slices.Sort(page)
	slices.Sort(code)
	if diff := cmp.Diff(code, page); diff != "" {
		t.Errorf("-code +EVENTS.md:\n%s", diff)
	}
}
