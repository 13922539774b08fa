package cli

import (
	"bufio"
	"fmt"
	"io"

	"foretop/actions"
)

// confirm asks until the answer is to what the action still comes to: now says what that is, by the time of each answer. It gives what was answered.
func confirm(in io.Reader, out io.Writer, p *actions.Preview, now func() *actions.Preview) (*actions.Preview, string, error) {
	lines := bufio.NewReader(in)
	for {
		answer, err := ask(lines, out, p)
		if err != nil || !p.Confirms(answer) {
			return p, answer, err
		}
		later := now()
		what := p.Changed(later)
		if len(what) == 0 {
			return p, answer, nil
		}
		for _, words := range what {
			fmt.Fprintln(out, "it changed meanwhile, and nothing is done yet: "+safe(words))
		}
		p = later
		tell(out, p)
	}
}
