package export

import (
	"bufio"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var snake = regexp.MustCompile(`^[a-z][a-z0-9]*(_[a-z0-9]+)*$`)

// written collects what JSON has, as "path field: type".
func written(t *testing.T, path string, of reflect.Type, out *[]string) {
	for i := range of.NumField() {
		f := of.Field(i)
		if f.Anonymous {
			written(t, path, f.Type, out)
			continue
		}
		name := f.Tag.Get("json")
		if !snake.MatchString(name) {
			t.Errorf("%s: field %q is not snake_case", path, name)
		}
		below := strings.TrimPrefix(path+"."+name, ".")
		word, inner := typeWord(t, f.Type)
		*out = append(*out, path+" "+name+": "+word)
		if inner != nil {
			if f.Type.Kind() == reflect.Slice {
				below += "[]"
			}
			written(t, below, inner, out)
		}
	}
}

// typeWord is a field's type as the page writes it, and the object inside it.
func typeWord(t *testing.T, of reflect.Type) (string, reflect.Type) {
	switch of {
	case reflect.TypeFor[number]():
		return "number?", nil
	case reflect.TypeFor[yesNo]():
		return "boolean?", nil
	case reflect.TypeFor[stamp]():
		return "time?", nil
	case reflect.TypeFor[index]():
		return "integer?", nil
	case reflect.TypeFor[word]():
		return "text?", nil
	}
	switch of.Kind() {
	case reflect.String:
		return "text", nil
	case reflect.Bool:
		return "boolean", nil
	case reflect.Int, reflect.Int32, reflect.Int64, reflect.Uint32, reflect.Uint64:
		return "integer", nil
	case reflect.Struct:
		return "object", of
	case reflect.Pointer:
		return "object?", of.Elem()
	case reflect.Slice:
		w, inner := typeWord(t, of.Elem())
		return "list of " + w + "s", inner
	case reflect.Map:
		w, _ := typeWord(t, of.Elem())
		return "map of " + w + "s", nil
	}
	t.Fatalf("no word for %s", of)
	return "", nil
}

var quoted = regexp.MustCompile("`([^`]+)`")

// documented collects the same from a page.
func documented(t *testing.T, file string) []string {
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out []string
	paths := []string{""} // that the table is of
	for s := bufio.NewScanner(f); s.Scan(); {
		line := s.Text()
		if heading, ok := strings.CutPrefix(line, "## "); ok {
			paths = strings.Split(strings.TrimPrefix(heading, "The document"), " and ")
			continue
		}
		cells := strings.Split(line, "|")
		if len(cells) < 5 {
			continue
		}
		for _, m := range quoted.FindAllStringSubmatch(cells[1], -1) {
			for _, path := range paths {
				out = append(out, path+" "+m[1]+": "+strings.TrimSpace(cells[2]))
			}
		}
	}
	return out
}

func TestEveryFieldIsDocumentedAndEveryDocumentedFieldIsThere(t *testing.T) {
	var fields []string
	written(t, "", reflect.TypeFor[document](), &fields)
	page := documented(t, "SNAPSHOT.md")
	slices.Sort(fields)
	slices.Sort(page)
	if diff := cmp.Diff(fields, page); diff != "" {
		t.Errorf("-code +SNAPSHOT.md:\n%s", diff)
	}
	if len(fields) < 200 {
		t.Errorf("only %d fields", len(fields))
	}
}
