package cli

import (
	"strings"
	"testing"

	"foretop/actions"
)

// An answer counts for what was read: where it comes to something else by then, that is said and asked anew.
func TestConfirm(t *testing.T) {
	read := &actions.Preview{Steps: []actions.Step{{Target: "gpu1", Commands: []string{"drain gpu1"}}}}
	busy := &actions.Preview{Steps: read.Steps, Affected: actions.Affected{Users: []string{"bob"}, Others: []string{"bob"}}, Count: 1}
	gone := &actions.Preview{Trouble: "gpu1: no such node is watched"}
	for _, c := range []struct {
		name, typed string
		now         []*actions.Preview // at each answer
		answer      string
		err, said   string
	}{
		{"as it was", "y\n", []*actions.Preview{read}, "y", "", ""},
		{"no", "n\n", nil, "n", "", ""},
		{"somebody's work began", "y\n1\n", []*actions.Preview{busy, busy}, "1", "", "nothing is done yet: work of bob is there now"},
		{"the old answer again", "y\ny\n", []*actions.Preview{busy}, "y", "", "type 1, the number"}, // which confirms nothing
		{"it cannot be done any more", "y\ny\n", []*actions.Preview{gone}, "", "no such node", "no such node is watched"},
		{"nobody is there", "", nil, "", "--yes", ""},
		{"nobody is there any more", "y\n", []*actions.Preview{busy}, "", "--yes", "work of bob"},
	} {
		var out strings.Builder
		asked := 0
		p, answer, err := confirm(strings.NewReader(c.typed), &out, read, func() *actions.Preview {
			asked++
			return c.now[asked-1]
		})
		if answer != c.answer || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) || !strings.Contains(out.String(), c.said) || asked != len(c.now) {
			t.Errorf("%s: %q, %v, asked %d times, said\n%s", c.name, answer, err, asked, out.String())
		}
		if err == nil && len(c.now) > 0 && p != c.now[len(c.now)-1] && c.name != "as it was" {
			t.Errorf("%s: another preview is carried out", c.name)
		}
		if c.name == "the old answer again" && p.Confirms(answer) {
			t.Error("the old answer confirms what is new")
		}
	}
}
