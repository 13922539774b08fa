package slurm

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"foretop/schedulers"
)

// shower stands where scontrol runs that is asked how nodes stand.
type shower struct {
	version string
	show    func(names []string) (string, error)

	mu    sync.Mutex
	asked []string // lists of nodes
	drain []string // nodes that were drained
}

func (*shower) Where() string { return "played" }

func (s *shower) Run(_ context.Context, _ int, argv ...string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case slices.Contains(argv, withClock):
		list := argv[len(argv)-1]
		s.asked = append(s.asked, list)
		out, err := s.show(strings.Split(list, ","))
		return []byte(fmt.Sprintf("%d\n%s", time.Now().Unix(), out)), err
	case slices.Contains(argv, inTime):
		for _, a := range argv {
			if name, ok := strings.CutPrefix(a, "NodeName="); ok {
				s.drain = append(s.drain, name)
			}
		}
		return nil, nil
	}
	return []byte("/usr/bin/squeue\n/usr/bin/scontrol\n/usr/bin/sinfo\nslurm " + s.version + "\n"), nil
}

func (s *shower) actor(t *testing.T) *Actor {
	t.Helper()
	found, err := Find(t.Context(), s, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return found.Actor(false)
}

func shown(name, state, more string) string {
	return "NodeName=" + name + " Arch=x86_64 CoresPerSocket=1 \n   CPUAlloc=0\n   State=" + state + " ThreadsPerCore=1\n" + more + "\n"
}

// together does something n times at once, each of which asks about a node: no question is sent before all wait for one.
func together(t *testing.T, a *Actor, n int, do func(i int)) {
	t.Helper()
	a.questions.mu.Lock()
	for a.questions.asking { // of the time before
		a.questions.mu.Unlock()
		time.Sleep(time.Millisecond)
		a.questions.mu.Lock()
	}
	a.questions.asking = true
	a.questions.mu.Unlock()
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { do(i) })
	}
	for waiting := 0; waiting < n; time.Sleep(time.Millisecond) {
		a.questions.mu.Lock()
		waiting = len(a.questions.waiting)
		a.questions.mu.Unlock()
	}
	go a.answerAll(t.Context())
	all.Wait()
}

// marks asks about nodes at the same time.
func marks(t *testing.T, a *Actor, names ...string) []string {
	t.Helper()
	out := make([]string, len(names))
	together(t, a, len(names), func(i int) {
		m, err := a.Mark(t.Context(), names[i])
		out[i] = fmt.Sprintf("%v %s", m.Draining, m.Reason)
		if err != nil {
			out[i] = err.Error()
		}
	})
	return out
}

// Those that are asked about at the same time share a question, and each gets its own node's answer. What leaves a doubt is asked again, node by node.
func TestSharedQuestions(t *testing.T) {
	nodes := map[string]string{
		"n1": shown("n1", "IDLE+DRAIN", "   Reason=fan one [root@1790000100]\n          NodeName=n2\n"), "n2": shown("n2", "IDLE", ""), "n3": shown("n3", "MIXED+DRAIN", "   Reason=three [ann@1790000100]\n"),
		"forges": shown("forges", "IDLE", "   Comment=x\nNodeName=n2 Arch=x\n   State=IDLE+DRAIN X=1\n   Reason=forged [bob@1]\n"),
		"n":      shown("n", "IDLE", ""),
	}
	played := &shower{version: "22.05.8", show: func(names []string) (out string, err error) {
		for _, name := range names {
			if nodes[name] == "" {
				out, err = out+"Node "+name+" not found\n", &schedulers.ExitError{Status: 1, Words: "exit 1"}
			}
			out += nodes[name]
		}
		return out, err
	}}
	a := played.actor(t)
	for _, c := range []struct {
		names, want string
		questions   string
	}{
		{"n1 n2 n3", "true fan one NodeName=n2|false |true three", "n1,n2,n3"},
		{"n3 n2 n2 n3", "true three|false |false |true three", "n2,n3"},
		{"n2", "false ", "n2"},
		{"n n2", "false |false ", "n,n2"},
		{"forges n2 n3", "false |false |true three", "forges,n2,n3 forges n2 n3"}, // two texts of n2
		{"forges n3", "false |true three", "forges,n3 forges n3"},                 // one that was not asked about
		{"n1 away n3", "true fan one NodeName=n2|Slurm has no node away (see `sinfo -N`)|true three", "away,n1,n3 away n1 n3"},
	} {
		played.asked = nil
		got := strings.Join(marks(t, a, strings.Fields(c.names)...), "|")
		asked := strings.Fields(strings.Join(played.asked, " "))
		if len(asked) > 1 {
			slices.Sort(asked[1:])
		}
		if got != c.want || strings.Join(asked, " ") != c.questions {
			t.Errorf("%s:\n%s\n%s\nasked %q, want %q", c.names, got, c.want, asked, c.questions)
		}
	}
	played.show = func([]string) (string, error) {
		return "", &schedulers.ExitError{Status: 1, Words: "slurm_load_node error: Unable to contact slurm controller (connect failure)"}
	}
	played.asked = nil
	for _, words := range marks(t, a, "n1", "n2", "n3") {
		if !strings.Contains(words, "connect failure") || !strings.Contains(words, "scontrol ping") {
			t.Error(words)
		}
	}
	if len(played.asked) != 1 {
		t.Errorf("asked %q", played.asked)
	}
}

// So it is with JSON: what newer releases answer to a list.
func TestSharedQuestionsJSON(t *testing.T) {
	for _, release := range []string{"23.11", "26.05"} {
		b, err := os.ReadFile("../../testdata/slurm/nodes." + release + ".json")
		if err != nil {
			t.Fatal(err)
		}
		played := &shower{version: release + ".1", show: func([]string) (string, error) { return string(b), nil }} // all nodes, as some releases do
		a := played.actor(t)
		got := strings.Join(marks(t, a, "gpu002", "gpu001", "gpu009"), "|")
		if want := "true ECC on GPU 5, ticket 77|false |Slurm has no node gpu009 (see `sinfo -N`)"; got != want || strings.Join(played.asked, " ") != "gpu001,gpu002,gpu009 gpu009" {
			t.Errorf("%s: %s, asked %q", release, got, played.asked)
		}
		// One that is there twice is nobody's word.
		twice := strings.Replace(string(b), `"nodes"`, `"x"`, 1)
		played.show = func(names []string) (string, error) {
			if len(names) > 1 {
				return strings.Replace(string(b), `"gpu003"`, `"gpu002"`, -1), nil
			}
			return string(b), nil
		}
		played.asked = nil
		got = strings.Join(marks(t, a, "gpu002", "gpu001"), "|")
		if got != "true ECC on GPU 5, ticket 77|false " || strings.Join(played.asked, " ") != "gpu001,gpu002 gpu002" {
			t.Errorf("%s: %s, asked %q", release, got, played.asked)
		}
		played.show = func([]string) (string, error) { return twice, nil }
		if got := strings.Join(marks(t, a, "gpu002", "gpu001"), "|"); strings.Contains(got, "ECC") {
			t.Error(got)
		}
	}
}

// However long orders wait for each other, none is given on an answer that is old.
func TestFresh(t *testing.T) {
	played := &shower{version: "22.05.8"}
	played.show = func(names []string) (out string, _ error) {
		for _, name := range names {
			out += shown(name, "IDLE", "")
		}
		return out, nil
	}
	a := played.actor(t)
	slow := between{played, func(run func() ([]byte, error)) ([]byte, error) {
		out, err := run()
		time.Sleep(fresh / 2)
		return out, err
	}}
	a.slurm.runner = slow
	together(t, a, 5*atOnce, func(i int) {
		if err := a.Do(t.Context(), schedulers.Order{Verb: schedulers.Drain, Node: fmt.Sprintf("n%02d", i), Reason: "fan"}, func(string) {}); err != nil {
			t.Error(err)
		}
	})
	if len(played.drain) != 5*atOnce {
		t.Errorf("drained %q", played.drain)
	}
	// Orders waited for more than fresh: their nodes were asked about again, those of a time together.
	together := slices.IndexFunc(played.asked[1:], func(list string) bool { return strings.Contains(list, ",") }) >= 0
	if strings.Count(played.asked[0], ",") != 5*atOnce-1 || !together {
		t.Errorf("asked %q", played.asked)
	}
}

func FuzzNodes(f *testing.F) {
	f.Add([]byte(shown("a", "IDLE", "   Reason=x [y@1]\n") + shown("b", "DOWN", "")))
	f.Add([]byte(scontrolNode))
	f.Fuzz(func(t *testing.T, data []byte) {
		for name, r := range parseNodes(data, []string{"a", "b"}) {
			if string(r.Name) != name || r.State == nil {
				t.Errorf("%s: %+v", name, r)
			}
		}
		// Whatever one node's comment holds, another's answer is its own or none.
		forged := "NodeName=a X=1\n   State=IDLE X=1\n   Comment=" + string(data) + "\n\n" + shown("b", "IDLE", "")
		if r := parseNodes([]byte(forged), []string{"a", "b"})["b"]; r != nil && (nowOf(r).draining() || r.Reason != "") {
			t.Errorf("%q", data)
		}
	})
}
