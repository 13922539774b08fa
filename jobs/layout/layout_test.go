package layout

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"foretop/telemetry"

	"github.com/google/go-cmp/cmp"
)

// vector is a configuration and what the framework's own code makes of it: the ranks of each communicator, by dimension. testdata/README.md says how.
type vector struct {
	Name, Source string
	World, Local int
	Args         []string
	Env          map[string]string
	Files        []struct{ Name, Text string }
	Groups       map[string][][]int
}

func vectors(t testing.TB) []vector {
	t.Helper()
	text, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var list []vector
	if err := json.Unmarshal(text, &list); err != nil {
		t.Fatal(err)
	}
	return list
}

// said is what the node tells of a vector's process, by the very functions that the collector calls.
func (v *vector) said(t testing.TB) Said {
	t.Helper()
	s := Said{Flags: telemetry.LayoutFlags(v.Args), Env: v.Env}
	named := telemetry.LayoutFiles(v.Args)
	for _, f := range v.Files {
		if !slices.ContainsFunc(named, func(n string) bool { return n == f.Name || strings.HasSuffix(n, "/"+f.Name) }) {
			t.Errorf("%s is not among the files that the command line names: %q", f.Name, named)
		}
		s.Files = append(s.Files, File{Name: f.Name, Keys: telemetry.LayoutText([]byte(f.Text))})
	}
	return s
}

func (v *vector) job() Job {
	if v.Local > 0 { // a process a node
		return Job{World: v.World / v.Local, Local: 1, GPUs: v.Local}
	}
	return Job{World: v.World, Local: min(8, v.World), GPUs: 1}
}

// TestAsTheFrameworkComputesIt holds every rank's place, from the command line on, against the framework's own code.
func TestAsTheFrameworkComputesIt(t *testing.T) {
	list := vectors(t)
	if len(list) < 20 {
		t.Fatalf("only %d configurations", len(list))
	}
	for _, v := range list {
		t.Run(v.Name, func(t *testing.T) {
			if v.Source == "" {
				t.Fatal("no source is named")
			}
			s := v.said(t)
			l, err := s.Layout(v.job())
			if err != nil || l == nil {
				t.Fatalf("%+v: %v, %v", s, l, err)
			}
			if l.World != v.World {
				t.Fatalf("world %d", l.World)
			}
			for _, name := range l.Names() {
				if name == EGTP {
					continue
				}
				if want, got := v.Groups[name], l.Groups(name); !equalGroups(want, got) {
					t.Errorf("%s (%s):\n got %v\nwant %v", name, l, got, want)
				}
			}
			for name, groups := range v.Groups {
				if l.Size(name) != len(groups[0]) {
					t.Errorf("%s is %d, want %d (%s)", name, l.Size(name), len(groups[0]), l)
				}
			}
			if l.From == "" {
				t.Error("where it was said is not said")
			}
		})
	}
}

// equalGroups compares lists of groups without regard to which group comes first.
func equalGroups(a, b [][]int) bool {
	sorted := func(g [][]int) [][]int {
		g = slices.Clone(g)
		slices.SortFunc(g, slices.Compare[[]int])
		return g
	}
	return cmp.Equal(sorted(a), sorted(b))
}

// TestThereAndBack shows that a rank's place names that rank alone.
func TestThereAndBack(t *testing.T) {
	for _, v := range vectors(t) {
		s := v.said(t)
		l, err := s.Layout(v.job())
		if err != nil {
			t.Fatal(err)
		}
		for rank := range l.World {
			if back := l.Rank(func(name string) int { return l.Coord(rank, name) }); back != rank {
				t.Fatalf("%s: rank %d comes back as %d", v.Name, rank, back)
			}
			for _, name := range l.Names() {
				peers := l.Peers(rank, name)
				if at := slices.Index(peers, rank); at != l.Coord(rank, name) {
					t.Fatalf("%s: rank %d is at %d of its %s group, not at %d", v.Name, rank, at, name, l.Coord(rank, name))
				}
				for _, p := range peers {
					dense, expert := l.Between(rank, p)
					if p != rank && dense != name && expert != name {
						t.Fatalf("%s: ranks %d and %d are peers along %s, not %q or %q", v.Name, rank, p, name, dense, expert)
					}
				}
			}
		}
	}
}

// TestEveryKeyIsTold holds what this package understands against what a node tells.
func TestEveryKeyIsTold(t *testing.T) {
	for _, key := range Keys() {
		if strings.ToUpper(key) == key {
			if !slices.Contains(telemetry.EnvKeys, key) {
				t.Errorf("no node tells the variable %s", key)
			}
		} else if !telemetry.LayoutKey(key) {
			t.Errorf("no node tells the setting %s", key)
		}
	}
}
