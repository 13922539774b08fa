package cli

import (
	"os"
	"testing"

	"foretop/simfleet"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	simfleet.ChildMain()
	testscript.Main(m, map[string]func(){
		"foretop": func() { os.Exit(Main()) },
	})
}

// TestScripts runs the whole program on the command lines in testdata/script. `exits N foretop …` asserts an exit code.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("XDG_CONFIG_HOME", "")
			env.Setenv("TERM", "dumb")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits},
	})
}
