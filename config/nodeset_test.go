package config

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestExpand(t *testing.T) {
	tests := map[string]struct {
		sets []string
		want string // separated by spaces
	}{
		"one name":             {[]string{"gpu001"}, "gpu001"},
		"range keeps padding":  {[]string{"gpu[008-011,070]"}, "gpu008 gpu009 gpu010 gpu011 gpu070"},
		"range without":        {[]string{"gpu[8-11]"}, "gpu8 gpu9 gpu10 gpu11"},
		"padding grows":        {[]string{"n[98-101]"}, "n98 n99 n100 n101"},
		"padding outgrown":     {[]string{"n[098-0101]"}, ""},
		"zero":                 {[]string{"n[0-2]"}, "n0 n1 n2"},
		"step":                 {[]string{"n[0-10/2]"}, "n0 n2 n4 n6 n8 n10"},
		"step past the end":    {[]string{"n[01-10/4]"}, "n01 n05 n09"},
		"several brackets":     {[]string{"r[1-2]n[01-02]"}, "r1n01 r1n02 r2n01 r2n02"},
		"touching brackets":    {[]string{"n[1-2][3-4]"}, "n13 n14 n23 n24"},
		"text after":           {[]string{"gpu[1-2]-ib.example.org"}, "gpu1-ib.example.org gpu2-ib.example.org"},
		"comma list":           {[]string{"b,a,gpu[2,1]"}, "b a gpu2 gpu1"},
		"spaces":               {[]string{" a  b,\tc , d\n"}, "a b c d"},
		"spaces in brackets":   {[]string{"n[1, 3-4]"}, "n1 n3 n4"},
		"repeats":              {[]string{"a,b,a", "n[1-2,2-3]", "b"}, "a b n1 n2 n3"},
		"user and port":        {[]string{"ann@gpu[1-3]:2222"}, "ann@gpu1:2222 ann@gpu2:2222 ann@gpu3:2222"},
		"user with brackets":   {[]string{"u[1-2]@h"}, "u1@h u2@h"},
		"addresses":            {[]string{"10.0.0.[1-3]"}, "10.0.0.1 10.0.0.2 10.0.0.3"},
		"v6 plain":             {[]string{"::1,fe80::1%eth0"}, "::1 fe80::1%eth0"},
		"v6 in brackets":       {[]string{"[::1]:22,[2001:db8::1]"}, "[::1]:22 [2001:db8::1]"},
		"v6 with user, zone":   {[]string{"user@[fe80::1%eth0]:22"}, "user@[fe80::1%eth0]:22"},
		"numbers only":         {[]string{"[1-3]"}, "1 2 3"},
		"eighteen digits":      {[]string{"n[999999999999999998-999999999999999999]"}, "n999999999999999998 n999999999999999999"},
		"group":                {[]string{"x,@train"}, "x gpu1 gpu2 x1"},
		"group within a group": {[]string{"@all"}, "gpu1 gpu2 x1 login"},
	}
	groups := Groups{"train": "gpu[1-2],x1", "all": "@train,login"}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := groups.Expand(test.sets...)
			if test.want == "" {
				if err == nil {
					t.Fatalf("Expand(%q) = %q, want an error", test.sets, got)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(strings.Fields(test.want), got); diff != "" {
				t.Errorf("Expand(%q) (-want +got)\n%s", test.sets, diff)
			}
		})
	}
}

func TestExpandRefuses(t *testing.T) {
	tests := map[string]struct{ set, want string }{
		"nothing":             {"", "it is empty"},
		"blank":               {" \n", "it is empty"},
		"comma first":         {",a", "nothing before a comma"},
		"two commas":          {"a,,b", "nothing before a comma"},
		"comma last":          {"a,", "nothing after the last comma"},
		"open bracket":        {"a,gpu[1-3,b", `"gpu[1-3,b": "[" is never closed: write gpu[1-9]`},
		"nested bracket":      {"gpu[1-[2]]", "never closed"},
		"closing bracket":     {"gpu1-3]", `"]" without "["`},
		"empty brackets":      {"gpu[]", "write numbers, such as [1-4,7]"},
		"empty item":          {"gpu[1,,2]", "nothing between brackets or commas"},
		"letters":             {"gpu[a-c]", `"a" is not a number`},
		"open range":          {"gpu[1-]", `"" is not a number`},
		"negative":            {"gpu[-1]", `"" is not a number`},
		"signed":              {"gpu[+1-+2]", `"+1" is not a number`},
		"three ends":          {"gpu[1-2-3]", `"2-3" is not a number`},
		"backwards":           {"gpu[5-1]", "runs backwards: write 1-5"},
		"width of the end":    {"gpu[1-010]", `"1-010": the ends have different widths: write 001-010`},
		"width of the begin":  {"gpu[001-10]", "write 001-010"},
		"step zero":           {"gpu[1-9/0]", "the step is 0"},
		"step without range":  {"gpu[1/2]", "a step needs a range: write 1-99/2"},
		"too many":            {"gpu[0-100000]", "more than 100000 names"},
		"far too many":        {"gpu[0-999999999999999999]", "more than 100000 names"},
		"too many together":   {"a[0-399]b[0-399]", "more than 100000 names"},
		"overflowing product": {strings.Repeat("[0-99999]", 60), "more than 100000 names"},
		"too many in all":     {"a[1-60000],b[1-60000]", "more than 100000 names in all"},
		"too many repeats":    {"a[1-60000],a[1-60000]", "more than 100000 names in all"},
		"digits":              {"gpu[1-9999999999999999999]", "more than 18 digits"},
		"wide names":          {strings.Repeat("x", 500) + "[1-9999]" + strings.Repeat("y", 20), "longer than 512 bytes"},
		"option":              {"-oProxyCommand=x", `cannot begin with "-"`},
		"option as host":      {"ann@-oProxyCommand=x", `cannot begin with "-"`},
		"no host":             {"ann@", "write user@host"},
		"no user":             {"@", "there is no such group"},
		"unknown group":       {"@trian", "did you mean @train?"},
		"looping group":       {"@loop", "the group holds itself (@loop → @pool → @loop)"},
		"bad set in group":    {"@bad", `group @bad: node set "x[": "[" is never closed`},
		"port":                {"gpu1:ssh", `"ssh" is not a port`},
		"port too high":       {"gpu[1-3]:70000", `"70000" is not a port`},
		"url":                 {"ssh://gpu1", `'/' cannot stand`},
		"shell":               {"gpu1;reboot", `';' cannot stand`},
		"substitution":        {"gpu$(id)", `'$' cannot stand`},
		"escape sequence":     {"gpu\x1bc", "cannot stand"},
		"right to left":       {"gpu\u202e1", "cannot stand"},
		"broken UTF-8":        {"gpu\xff", "cannot stand"},
		"wild card":           {"gpu*", "cannot stand"},
		"v6 open":             {"[::1", "never closed"},
		"v6 wrong":            {"[::zz]:22", `"::zz" is not an IPv6 address`},
		"v6 port":             {"[::1]22", "write [::1]:22"},
		"v6 port word":        {"[::1]:x", "write [::1]:22"},
		"v6 zone":             {"fe80::1%$(id)", "cannot stand"},
		"v6 after text":       {"gpu[::1]", "is not a number"},
		"v6 hostile user":     {"a[b@[::1]", "cannot stand"},
	}
	groups := Groups{"train": "gpu[1-2]", "loop": "@pool", "pool": "a,@loop", "bad": "x["}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := groups.Expand(test.set)
			if err == nil {
				t.Fatalf("Expand(%.40q) = %d names, want an error", test.set, len(got))
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("Expand(%.40q)\n got %v\nwant %s", test.set, err, test.want)
			}
			if len(err.Error()) > 400 {
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
		})
	}
}

// A doubling chain of groups would stand for 2^40 names.
func TestExpandGroupsBound(t *testing.T) {
	groups := Groups{"g0": "a"}
	for i := 1; i <= 40; i++ {
		groups[fmt.Sprint("g", i)] = fmt.Sprintf("@g%d,@g%d", i-1, i-1)
	}
	if _, err := groups.Expand("@g40"); err == nil || !strings.Contains(err.Error(), "more than 100000 names") {
		t.Errorf("err = %.300v", err)
	}
}

// What a hostile range costs must not grow with what it asks for.
func TestExpandAllocatesNothingForRefused(t *testing.T) {
	for _, set := range []string{"a[0-999999999999999999]", strings.Repeat("[0-99999]", 60), "a[0-99999][0-99999]"} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, err := Expand(set); err == nil {
			t.Errorf("Expand(%.30q) is accepted", set)
		}
		runtime.ReadMemStats(&after)
		if bytes := after.TotalAlloc - before.TotalAlloc; bytes > 64<<10 {
			t.Errorf("Expand(%.30q) allocates %d bytes", set, bytes)
		}
	}
}

func FuzzExpand(f *testing.F) {
	for _, seed := range []string{
		"gpu[001-064,070]", "r[1-4]n[01-08]", "user@gpu[1-3]:2222", "[0-10/2]", "[::1]:22", "user@[fe80::1%eth0]:22",
		"a,b c", "a[", "a]", "a[1-", "a[9999999999999999999]", "@g", "a[1-2]@b[3-4]", "[[", "[:]", "@", "a@b@c", "a[0-9/0]",
	} {
		f.Add(seed)
	}
	groups := Groups{"g": "a[1-3],@h", "h": "b"}
	f.Fuzz(func(t *testing.T, set string) {
		names, err := groups.Expand(set)
		if err != nil {
			return
		}
		if len(names) == 0 || len(names) > MaxNodes {
			t.Fatalf("Expand(%q) = %d names", set, len(names))
		}
		seen := map[string]bool{}
		for _, name := range names {
			switch {
			case seen[name]:
				t.Fatalf("Expand(%q) repeats %q", set, name)
			case name == "" || len(name) > MaxNameBytes || strings.HasPrefix(name, "-") || strings.Contains(name, "@-"):
				t.Fatalf("Expand(%q) gives %q", set, name)
			case strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r == 0x7f || strings.ContainsRune("'\"`$;&|<>\\", r) }):
				t.Fatalf("Expand(%q) gives %q", set, name)
			}
			seen[name] = true
		}
		if len(names) > 2000 {
			names = names[:2000]
		}
		for _, name := range names {
			again, err := Expand(name)
			if err != nil || len(again) != 1 || again[0] != name {
				t.Fatalf("Expand(%q) = %q, %v: a name must stand for itself", name, again, err)
			}
		}
		checkFold(t, names)
	})
}
