package actions

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMerge(t *testing.T) {
	answers := []Answer{
		{Name: "n1", Output: "5.15\n"}, {Name: "n2", Output: "6.1\n"}, {Name: "n3", Output: "5.15"}, {Name: "n4", Output: "5.15\r\n"},
		{Name: "n5", Output: "6.1\n", Code: 2}, {Name: "n6", Code: -1, Why: "not connected"}, {Name: "n7", Code: -1, Why: "not connected"}, {Name: "n8", Output: "6.1\n", Cut: true}, {Name: "n9"},
	}
	groups := Merge(answers)
	if diff := cmp.Diff([]Group{
		{Names: []string{"n1", "n3", "n4"}, Output: "5.15"}, {Names: []string{"n2"}, Output: "6.1"}, {Names: []string{"n8"}, Output: "6.1", Cut: true}, {Names: []string{"n9"}},
		{Names: []string{"n5"}, Output: "6.1", Code: 2}, {Names: []string{"n6", "n7"}, Code: -1, Why: "not connected"},
	}, groups); diff != "" {
		t.Error(diff)
	}
	var out strings.Builder
	if err := WriteGroups(&out, groups, func(names []string) string { return strings.Join(names, ",") }, strings.ToUpper); err != nil {
		t.Error(err)
	}
	want := "---------------\nn1,n3,n4 (3)\n---------------\n5.15\n---------------\nn2\n---------------\n6.1\n---------------\nn8\n---------------\n6.1\n… there was more, which is not kept\n---------------\nn5\n---------------\n6.1\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
	OddFirst(groups)
	var order []string
	for i := range groups {
		order = append(order, groups[i].Names[0]+" "+groups[i].End())
	}
	if diff := cmp.Diff([]string{"n5 exited with exit code 2", "n6 not connected", "n2 ", "n8 ", "n9 ", "n1 "}, order); diff != "" {
		t.Error(diff)
	}
}

// What the screen of a run shows is made of a job's results.
func TestAnswers(t *testing.T) {
	list := Answers([]Result{
		{Target: "a", State: Done, Output: Output{Text: "x\n"}}, {Target: "b", State: Running}, {Target: "c", State: Failed, Words: "exit status 4", Output: Output{Text: "y", Code: 4, Cut: true}},
		{Target: "d", State: Unknown, Words: "sent, and no answer came", Output: Output{Text: "half", Code: -1}}, {Target: "e", State: NotStarted},
	})
	if diff := cmp.Diff([]Answer{{Name: "a", Output: "x\n"}, {Name: "c", Output: "y", Code: 4, Cut: true}, {Name: "d", Output: "half", Code: -1, Why: "sent, and no answer came"}, {Name: "e", Code: -1, Why: "not started"}}, list); diff != "" {
		t.Error(diff)
	}
}

// Groups that were given stay as they are while answers are added.
func TestMerger(t *testing.T) {
	var m Merger
	if i, j, k := m.Add(Answer{Name: "a", Output: "x\n"}), m.Add(Answer{Name: "b", Code: 1}), m.Add(Answer{Name: "c", Output: "x"}); i != 0 || j != 1 || k != 0 {
		t.Errorf("%d %d %d", i, j, k)
	}
	before := m.Groups()
	m.Add(Answer{Name: "d", Output: "x"})
	m.Add(Answer{Name: "e", Output: "y"})
	if len(before) != 2 || len(before[0].Names) != 2 || len(m.Groups()) != 3 || len(m.Groups()[0].Names) != 3 {
		t.Errorf("%v, %v", before, m.Groups())
	}
	for g, want := range map[*Group]int{{Code: 1}: 0, {Code: -1, Why: "lost"}: 1, {}: 2} {
		if got := g.Trouble(); got != want {
			t.Errorf("%+v: %d", g, got)
		}
	}
}
