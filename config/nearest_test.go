package config

import "testing"

func TestNearest(t *testing.T) {
	candidates := []string{"demo", "nodes", "snapshot", "refresh", "theme", "gpu001", "gpu002"}
	tests := []struct{ word, want string }{
		{"dmeo", "demo"}, // swapped
		{"demmo", "demo"},
		{"snapsot", "snapshot"},
		{"refersh", "refresh"},
		{"node", "nodes"},
		{"gpu01", "gpu001"}, // the first of the equally near
		{"demo", "demo"},
		{"xyz", ""},
		{"x", ""},
		{"", ""},
		{"completely-different", ""},
	}
	for _, test := range tests {
		got, ok := Nearest(test.word, candidates)
		if got != test.want || ok != (test.want != "") {
			t.Errorf("Nearest(%q) = %q, %v, want %q", test.word, got, ok, test.want)
		}
	}
}

func TestSlips(t *testing.T) {
	tests := []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"abc", "acb", 1}, {"ca", "abc", 3}, {"kitten", "sitting", 3}, {"größe", "große", 1},
	}
	for _, test := range tests {
		if got := slips(test.a, test.b); got != test.want {
			t.Errorf("slips(%q, %q) = %d, want %d", test.a, test.b, got, test.want)
		}
	}
}
