package cli

import (
	"errors"
	"strings"
	"testing"
)

// What follows `collect` is the collector's: its options are none of foretop's.
func TestCollectTakesOptions(t *testing.T) {
	for _, args := range []string{"collect stacks --blocking", "collect stacks --blocking 1:x"} {
		root := newRoot()
		root.SetArgs(strings.Fields(args))
		err := root.Execute()
		var code *failure
		if !errors.As(err, &code) || code.code != 2 {
			t.Errorf("%s: %v", args, err)
		}
	}
}
