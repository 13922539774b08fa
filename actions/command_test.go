package actions

import (
	"context"
	"errors"
	"strings"
	"testing"

	"foretop/schedulers"
)

// A command here gives both its streams, bounded, and its exit status; what it could not do is told apart from what nobody knows.
func TestOutputHere(t *testing.T) {
	for _, c := range []struct {
		what  string
		argv  []string
		limit int
		want  Output
		err   error
	}{
		{"both streams", []string{"sh", "-c", "echo out; echo err >&2; exit 3"}, 100, Output{Text: "out\nerr\n", Code: 3}, nil},
		{"bounded", []string{"sh", "-c", "echo 123456789; exec echo 123456789"}, 12, Output{Text: "123456789\n12", Cut: true}, nil},
		{"just enough", []string{"echo", "1234"}, 5, Output{Text: "1234\n"}, nil},
		{"no such program", []string{"/no/such/program"}, 100, Output{Code: -1}, ErrNotSent},
		{"ended by a signal", []string{"sh", "-c", "kill -9 $$"}, 100, Output{Code: -1}, schedulers.ErrUnsure},
		{"its output is held open", []string{"sh", "-c", "sleep 2 & echo done"}, 100, Output{Text: "done\n"}, nil},
		{"words as they are", []string{"echo", "$(id)", "; rm -rf /"}, 100, Output{Text: "$(id) ; rm -rf /\n"}, nil},
	} {
		out, err := outputHere(t.Context(), c.argv, c.limit)
		if out != c.want || !errors.Is(err, c.err) {
			t.Errorf("%s: %+v, %v", c.what, out, err)
		}
	}
	words, err := runHere([]string{"sh", "-c", "echo one; echo two"})(t.Context(), nil)
	if words != "two" || err != nil {
		t.Errorf("%q, %v", words, err)
	}
	if _, err = runHere([]string{"sh", "-c", "echo why not; exit 2"})(t.Context(), nil); err == nil || err.Error() != "exit status 2: why not" {
		t.Error(err)
	}
}

// limits notes how much of an output is asked for.
type limits struct{ asked []int }

func (l *limits) Run(_ context.Context, _ string, _ []string, limit int) (Output, error) {
	l.asked = append(l.asked, limit)
	return Output{}, nil
}

func (l *limits) Tool(context.Context, string, []string, int) (Output, error) {
	return Output{}, ErrNotSent
}

// Outputs of many nodes find room together.
func TestOutputsFindRoom(t *testing.T) {
	for n, want := range map[int]int{1: commandLimit, 64: commandLimit, 128: commandLimit / 2, 5000: commandLeast} {
		door := &limits{}
		l := &Planner{User: "ann", Door: door, Quote: func(argv ...string) string { return strings.Join(argv, " ") }}
		p := l.Preview(fleetOf(t, n), Intent{Kind: Command, Nodes: names(n), Argv: []string{"uptime"}})
		if _, err := p.Steps[n-1].run(t.Context()); err != nil || len(door.asked) != 1 || door.asked[0] != want {
			t.Errorf("%d nodes: %v, %v", n, door.asked, err)
		}
	}
}

// A process whose number is not known is never a command's: pid 0 is this program's own group to kill(1).
func TestCommandOfUnknownProcess(t *testing.T) {
	l := &Planner{User: "ann", Door: &limits{}, Quote: func(argv ...string) string { return strings.Join(argv, " ") }}
	in := Intent{Kind: Custom, Argv: []string{"kill", "{pid}"}, Processes: []Process{{Node: names(2)[0], PID: 0, Rank: 3}, {Node: names(2)[1], PID: 41, Rank: 4}}}
	p := l.Preview(fleetOf(t, 2), in)
	if len(p.Steps) != 2 || p.Steps[0].Refused == "" || p.Steps[0].Commands != nil {
		t.Errorf("%+v", p.Steps)
	}
	if p.Steps[1].Refused != "" || len(p.Steps[1].Commands) != 1 || p.Steps[1].Commands[0] != "kill 41" {
		t.Errorf("%+v", p.Steps[1])
	}
}
