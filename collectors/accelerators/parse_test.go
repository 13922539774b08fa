package accelerators

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"foretop/collectors/kernfs"

	"github.com/google/go-cmp/cmp"
)

func TestScanJSON(t *testing.T) {
	walk := func(text string) (string, error) {
		var out []string
		err := scanJSON([]byte(text), func(path []jsonStep, v jsonValue) {
			var at strings.Builder
			for _, s := range path {
				if s.key != nil {
					at.WriteString("." + string(s.key))
				} else {
					fmt.Fprintf(&at, "[%d]", s.index)
				}
			}
			out = append(out, fmt.Sprintf("%s=%q/%v", at.String(), v.plain(), v.quoted))
		})
		return strings.Join(out, " "), err
	}
	for text, want := range map[string]string{
		`7`: `="7"/false`, ` "a\n\u00e9\"\\" `: `="a\né\"\\"/true`, `[]`: "", `{}`: "", ` { } `: "",
		`{"a":[1,{"b":null},true],"c":{"d":-1.5e3,"e":"x"}}`: `.a[0]="1"/false .a[1].b="null"/false .a[2]="true"/false .c.d="-1.5e3"/false .c.e="x"/true`,
		`[[[]],[2]]`: `[1][0]="2"/false`, `"\ud83d\q\u12"`: "=\"\ufffdqu12\"/true",
	} {
		if got, err := walk(text); err != nil || got != want {
			t.Errorf("%s: %v\n got %s\nwant %s", text, err, got, want)
		}
	}
	for _, bad := range []string{"", " ", "{", "[", `"`, `"\`, `{"a"}`, `{"a":}`, `{a:1}`, `[1,]`, `[1 2]`, `{"a":1,}`, `1 2`, `{}x`, `]`, `,`, strings.Repeat("[", 100) + strings.Repeat("]", 100)} {
		if got, err := walk(bad); err == nil {
			t.Errorf("%.20q: taken as %s", bad, got)
		}
	}
	for text, want := range map[string]float64{"1": 1, "0.25": 0.25, "1e-05": 1e-5, "42.01": 42.01, "-1": -1, "NaN": -1, "Inf": -1, "1e999": -1, "": -1, strings.Repeat("1", 40): -1} {
		got := -1.0
		if f, ok := (jsonValue{text: []byte(text)}).number(); ok {
			got = f
		}
		if got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}

func TestTPUMetric(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want []tpuSample
	}{
		"none":              {"metric { name: \"x\" }", nil},
		"a counter":         {`metric { metrics { attribute { key: "device-id" value { int_attr: 2 } } counter { as_int: 9 exemplar { value: 4 } } } }`, []tpuSample{{2, 9}}},
		"no attribute":      {`metric { metrics { gauge { as_int: 3 } } }`, []tpuSample{{0, 3}}},
		"no number":         {`metric { metrics { attribute { key: "device-id" value { } } gauge { as_int: 3 } } }`, []tpuSample{{0, 3}}},
		"a word":            {`metric { metrics { attribute { key: "size" value { string_attr: "8MB" } } gauge { as_int: 3 } } }`, nil},
		"a device too far":  {`metric { metrics { attribute { value { int_attr: 70000 } } gauge { as_int: 3 } } }`, nil},
		"a device below":    {`metric { metrics { attribute { value { int_attr: -1 } } gauge { as_int: 3 } } }`, nil},
		"no value":          {`metric { metrics { attribute { value { int_attr: 1 } } gauge { as_string: "x" } } metrics { attribute { value { int_attr: 1 } } } }`, nil},
		"no number at all":  {`metric { metrics { gauge { as_double: nan } } metrics { gauge { as_double: inf } } metrics { gauge { as_double: -1 } } metrics { gauge { as_int: -1 } } }`, nil},
		"a list in a list":  {`metric { metrics { attribute { key: "device_ordinal" value { kvlist_attr { attributes { key: "device_ordinal" value { int_attr: 4 } } } } } gauge { as_int: 3 } } }`, nil},
		"a distribution":    {`metric { metrics { distribution { count: 5 bucket_counts: 1 bucket_counts: 4 } } }`, nil},
		"a list without it": {`metric { metrics { attribute { key: "a" value { kvlist_attr { attributes { key: "core" value { int_attr: 4 } } } } } gauge { as_int: 3 } } }`, nil},
	} {
		b := message(t, c.text)[grpcPrefix:]
		got, err := parseTPUMetric(b, nil)
		if d := cmp.Diff(c.want, got, cmp.AllowUnexported(tpuSample{})); d != "" || err != nil {
			t.Errorf("%s: %v %s", name, err, d)
		}
		// Whatever end is cut off: an error, or less of it, never anything else.
		for i := range b {
			if cut, err := parseTPUMetric(b[:i], nil); err == nil && len(cut) > len(c.want) {
				t.Errorf("%s cut at %d: %v", name, i, cut)
			}
		}
	}
	for _, bad := range []string{"\x0a", "\x0a\xff", "\x0a\x05\x1a", "\x00", "\x07", "\x0b", "\x0d\x00", "\x09\x00", "\x0a\x02\x1a\x05", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"} {
		if got, err := parseTPUMetric([]byte(bad), nil); err == nil {
			t.Errorf("%q: %v", bad, got)
		}
	}
}

// A process that may not be looked into is counted, one that closes a node is seen to, and an old one that opens one is found in time.
func TestNodeHolders(t *testing.T) {
	root := kernfs.Root(t.TempDir())
	put(t, root, "proc/uptime", "1 1\n")
	put(t, root, "proc/10/stat", "")
	link(t, root, "proc/10/fd/0", "/dev/x1")
	link(t, root, "proc/10/fd/7", "/dev/x1")
	link(t, root, "proc/10/fd/8", "/dev/x0")
	put(t, root, "proc/11/stat", "")
	link(t, root, "proc/11/fd/8", "/dev/null")
	h := nodeHolders{root: root}
	find := func() string {
		t.Helper()
		list, err := h.find(func(target string) (uint32, bool) { return numbered(target, "/dev/x") })
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(list)
	}
	if got := find(); got != "[{10 0 0 0 false} {10 1 0 0 false}]" {
		t.Error(got)
	}
	for range youngWalks {
		find()
	}
	remove(t, root, "proc/10/fd/8")
	link(t, root, "proc/11/fd/9", "/dev/x5")
	if got := find(); !strings.HasPrefix(got, "[{10 1 0 0 false}") {
		t.Errorf("after one was closed: %s", got)
	}
	for range agedWalks {
		find()
	}
	if got := find(); got != "[{10 1 0 0 false} {11 5 0 0 false}]" {
		t.Errorf("after one was opened: %s", got)
	}
	if os.Geteuid() != 0 {
		if err := os.Chmod(root.Path("proc/11/fd"), 0); err != nil {
			t.Fatal(err)
		}
		if got := find(); h.foreign != 1 || got != "[{10 1 0 0 false}]" {
			t.Errorf("%d may not be looked into: %s", h.foreign, got)
		}
	}
	remove(t, root, "proc/10")
	remove(t, root, "proc/11")
	if got := find(); got != "[]" || len(h.seen) != 0 {
		t.Errorf("after all are gone: %s, %d known", got, len(h.seen))
	}
}

func TestFullAddress(t *testing.T) {
	for text, want := range map[string]string{
		"cc:00.0": "0000:cc:00.0", "0000:CC:1F.7": "0000:cc:1f.7", "00000000:cc:00.0": "", "cc:00": "", "": "", "0000:cc:00.": "", "0000/cc:00.0": "", "../..:00.0:x": "", "zz:00.0": "",
	} {
		if got := fullAddress(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
