package slurm

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestExpand(t *testing.T) {
	for list, want := range map[string]string{
		"":                         "",
		"gpu001":                   "gpu001",
		"login":                    "login",
		"gpu[001-003,40]":          "gpu001 gpu002 gpu003 gpu40",
		"gpu[8-11]":                "gpu8 gpu9 gpu10 gpu11",
		"gpu[08-11]":               "gpu08 gpu09 gpu10 gpu11",
		"gpu[998-1001]":            "gpu998 gpu999 gpu1000 gpu1001",
		"a,b[1-2],c":               "a b1 b2 c",
		"r[1-2]n[01-02]-ib":        "r1n01-ib r1n02-ib r2n01-ib r2n02-ib",
		"n[1,1]":                   "n1 n1",
		"x[000000000000000001]":    "x000000000000000001",
		"gpu001,,gpu002,":          "gpu001 gpu002",
		"rack[0-1]-[0-1].dc1.corp": "rack0-0.dc1.corp rack0-1.dc1.corp rack1-0.dc1.corp rack1-1.dc1.corp",
	} {
		got, err := Expand(list, 100)
		if err != nil || strings.Join(got, " ") != want {
			t.Errorf("%s: %v %v, want %s", list, got, err, want)
		}
	}
}

func TestExpandRefuses(t *testing.T) {
	for list, want := range map[string]string{
		"gpu[1-100]":               "more than 50 nodes",
		"gpu[1-40],cpu[1-11]":      "more than 50 nodes",
		"a[1-8]b[1-8]":             "more than 50 nodes",
		"gpu[0-999999999999]":      "more than 50 nodes",
		"gpu[2-1]":                 "backwards",
		"gpu[1":                    "not closed",
		"gpu1]":                    "was not open",
		"gpu[[1-2]]":               "a bracket in a bracket",
		"gpu[]":                    "is no number",
		"gpu[a-b]":                 "is no number",
		"gpu[-1]":                  "is no number",
		"gpu[1-2-3]":               "is no number",
		"gpu[0000000000000000001]": "is no number",
		strings.Repeat("a[1]", 9):  "brackets in a name",
		strings.Repeat("a", 2<<20): "longer than",
		"gpu[1-2],[":               "not closed",
	} {
		got, err := Expand(list, 50)
		if err == nil || got != nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40s: %v %v, want %s", list, got, err, want)
		}
	}
}

func TestFold(t *testing.T) {
	for names, want := range map[string]string{
		"":                                     "",
		"gpu001":                               "gpu001",
		"gpu003 gpu001 gpu002 gpu001":          "gpu[001-003]",
		"gpu001 gpu003":                        "gpu[001,003]",
		"gpu8 gpu9 gpu10 gpu11":                "gpu[8-11]",
		"gpu08 gpu09 gpu10":                    "gpu[08-10]",
		"gpu9 gpu010":                          "gpu[9,010]",
		"gpu099 gpu100 gpu999 gpu1000":         "gpu[099-100,999-1000]",
		"login a1-ib a2-ib a2-eth":             "a2-eth,a[1-2]-ib,login",
		"r1n01 r1n02 r2n01":                    "r1n[01-02],r2n01",
		"n0 n00 n1":                            "n[0-1,00]",
		"x99999999999999999998":                "x99999999999999999998",
		"b2 a":                                 "a,b2",
		"node001 node002 node004 node005 head": "head,node[001-002,004-005]",
	} {
		if got := Fold(strings.Fields(names)); got != want {
			t.Errorf("%s: %s, want %s", names, got, want)
		}
	}
}

// What is folded comes back, and what is expanded is bounded, whatever is said.
func FuzzHostlist(f *testing.F) {
	for _, s := range []string{"gpu[001-032,40]", "a[1-2]b[3-4]c", "x9 x10 x011", "n[", "]", "a,b", "gpu[08-11],gpu7", "0 00 000", "99 100"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		const max = 1000
		names, err := Expand(s, max)
		if err == nil && len(names) > max {
			t.Fatalf("%d names", len(names))
		}
		if err != nil && names != nil {
			t.Fatalf("names beside an error: %v", err)
		}
		if err != nil || strings.ContainsAny(strings.Join(names, ""), "[],") {
			names = strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune("[], \n", r) })
		}
		want := slices.DeleteFunc(slices.Clone(names), func(n string) bool { return n == "" })
		slices.Sort(want)
		want = slices.Compact(want)
		folded := Fold(names)
		if len(folded) > maxList {
			return
		}
		got, err := Expand(folded, len(names)+1)
		if err != nil {
			t.Fatalf("fold %q: %q: %v", names, folded, err)
		}
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" && len(want)+len(got) > 0 {
			t.Fatalf("fold %q: %s", folded, diff)
		}
	})
}
