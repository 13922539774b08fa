package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"foretop/actions"
	"foretop/scripts/testbed"
	"foretop/telemetry"
)

// songOf is what an attacker puts into text so that a shell, or a terminal, would obey: a shell would make the canary.
func songOf(canary string) []string {
	return []string{
		"$(touch " + canary + "-a)", "`touch " + canary + "-b`", "; touch " + canary + "-c;", "' ; touch " + canary + "-d; '", `" ; touch ` + canary + `-e; "`, "\ntouch " + canary + "-f\n", "${IFS}|touch${IFS}" + canary + "-g",
		"\x1b]0;owned\x07", "\x1b]52;c;b3duZWQ=\x07", "\x1b[31;5mred", "\x1bP+q544e\x1b\\", "\u009b31;5mred", "\u202egnp.exe", "\x1b[3;777H",
	}
}

// obeyed are pieces of a song that reach a terminal only where it was not cleaned.
var obeyed = []string{"\x1b]0;owned", "\x1b]52;c;b3du", "\x1b[31;5mred", "\x1bP+q544e", "\u009b31;5m", "\u202e", "\x1b[3;777H"}

// notSung asserts that what a program wrote to a terminal, or to a person, has nothing of the song that a terminal obeys, and that it has its harmless part.
func notSung(t *testing.T, where, raw, harmless string) {
	t.Helper()
	for _, bad := range obeyed {
		if i := strings.Index(raw, bad); i >= 0 {
			t.Errorf("%s: raw %q, after %q", where, bad, raw[max(0, i-80):i])
		}
	}
	if !strings.Contains(raw, harmless) {
		t.Errorf("%s: it has no %q: this test sees nothing\n%q", where, harmless, raw[max(0, len(raw)-2000):])
	}
}

// Job names, process names, what ranks say of themselves, a GPU's UUID, reasons and node names that would be obeyed are shown as text and given to programs as one
// word each, by the screen, the command line and actions of one's own alike.
func walkHostile(t *testing.T, b *actBed) {
	const name = "node008"
	n := b.Node(name)
	song := strings.Join(songOf(b.canary), "")
	_, err := b.ctl.Submit("ann", "--job-name", "hot"+song, "-w", name, "-D", "/tmp", "--output", "/dev/null", "--wrap", "exec srun /usr/bin/python3 "+actFiles+"/train.py")
	must(t, err)
	for rank := range 2 {
		_, err := n.StartRank(map[string]string{"RANK": "01"[rank : rank+1], "WORLD_SIZE": "2", "LOCAL_RANK": "01"[rank : rank+1], "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "$(touch " + b.canary + "-h)", "MASTER_PORT": "29500", "TORCHELASTIC_RUN_ID": "cold" + song},
			"/usr/bin/python3", actFiles+"/train.py", "\x1b]0;o\x07$(id)", song)
		must(t, err)
	}
	noted := filepath.Join(t.TempDir(), "noted")
	a := b.open(t, opening{w: 200, h: 50, actions: `  custom:
  - {name: note the job, key: W, scope: job, here: true, command: [sh, -c, 'printf "%s\n" "$1" "$2" >"$0"', ` + noted + `, "{name}", "--user={user}"]}
  - {name: note the GPU, key: X, scope: gpu, command: [` + actFiles + `/note, "{uuid}", "pci={pci}"]}
`}, name)
	record := filepath.Join(t.TempDir(), "raw")
	a.Record(record)
	a.WaitFor(`(?s)hot.*cold|cold.*hot`, actWithin)
	only := func(word string) {
		t.Helper()
		a.home()
		a.press("/")
		a.Type(word)
		a.press("Enter")
		a.eventually("only "+word, func() bool {
			s := a.Screen()
			return strings.Contains(s, "1 of ") || strings.Count(s, "hot$(")+strings.Count(s, "cold$(") >= 1
		})
		a.do("g")
	}
	clean := telemetry.Clean("hot"+song, 1<<10)

	// Signals and stacks name processes.
	only("cold")
	a.eventually("a process is named", func() bool {
		a.do("K")
		s := a.WaitFor(`which processes|which\?|no process|no job`, 20*time.Second)
		a.leave("K")
		return strings.Contains(s, "rank 0, pid") && strings.Contains(s, "rank 1, pid")
	})
	a.asks("K", "*", "Enter", "Enter")
	a.leave("K")
	a.do("S")
	a.WaitFor(`stacks of job`, actWithin)
	a.do("Escape")
	// An action of one's own on the job: its name is one word.
	only("hot")
	if question := a.asks("W"); !strings.Contains(question, "note the job") {
		t.Errorf("another question:\n%s", question)
	}
	a.answer("1")
	a.WaitFor(`\b1 done`, actWithin)
	got, err := os.ReadFile(noted)
	must(t, err)
	told, user, _ := strings.Cut(strings.TrimSuffix(string(got), "\n"), "\n")
	if !strings.HasPrefix(clean, strings.TrimSuffix(told, "…")) || len(told) < 40 || user != "--user=ann" {
		t.Errorf("noted %q", got)
	}
	// One on the GPU, on the node.
	a.home()
	a.pick(name)
	a.do("Enter")
	if question := a.asks("X"); !strings.Contains(question, "GPU 0 of "+name) {
		t.Errorf("another question:\n%s", question)
	}
	a.answer("1")
	a.WaitFor(`\b1 done`, actWithin)
	if out, err := n.Exec("cat", "/tmp/noted"); err != nil || !strings.HasPrefix(out, "$(touch /tmp/foretop-canary") || strings.Count(out, "\n") != 1 {
		t.Errorf("noted on the node: %q %v", out, err)
	}
	// A reason, typed and pasted; then one that somebody else set, raw.
	a.home()
	a.pick(name)
	a.do("D", "C-u", `=hot "$(touch `+b.canary+`-i)" `)
	a.Paste("\x1b]0;owned\x07\ny\n1\n\x1b[31;5mred; touch " + b.canary + "-j")
	a.asks("Enter")
	a.answer("1")
	a.WaitFor(`\b1 done`, actWithin)
	reason, ok := strings.CutPrefix(b.reason(t, name), "root|")
	if !ok || telemetry.Clean(reason, 1<<10) != reason || !strings.HasPrefix(reason, `hot "$(touch `+b.canary+`-i)" `) || !strings.HasSuffix(reason, "red; touch "+b.canary+"-j") {
		t.Errorf("sinfo -R: %q", reason)
	}
	a.do("Escape")
	a.WaitFor(name+`.*drain.*hot`, actWithin)
	_, err = b.ctl.Run("root", "scontrol", "update", "NodeName="+name, "Reason=worn"+strings.ReplaceAll(song, "\n", ""))
	must(t, err)
	a.WaitFor(name+`.*worn`, actWithin)
	if question := a.asks("R"); !strings.Contains(question, "resume 1 node: "+name) {
		t.Errorf("another question:\n%s", question)
	}
	a.answer("y")
	a.WaitFor(`(?s)1 done.*worn`, actWithin)
	a.home()
	for _, way := range [][]string{{"1", "Enter"}, {"1", "o"}, {"2", "g", "Enter"}, {"2", "g", "L"}, {"4"}, {"1", "p"}} { // wherever words of nodes stand
		a.do(way...)
		a.whole(strings.Join(way, " "))
		a.home()
	}
	a.press("q")
	a.left(0)
	raw, err := os.ReadFile(record)
	must(t, err)
	notSung(t, "the screen", string(raw), "$(touch "+b.canary)
	hostileCommands(t, b, a, name)
}

// hostileCommands has the command line say and do the same.
func hostileCommands(t *testing.T, b *actBed, a *acting, name string) {
	song := songOf(b.canary)
	reason := "hot" + strings.Join(song, "")
	code, printed := a.command("-F", b.SSHConfig, "drain", name, "--reason", reason, "--dry-run")
	if code != codeOK {
		t.Errorf("drain --dry-run: exit code %d: %s", code, printed)
	}
	notSung(t, "drain --dry-run", printed, "NodeName="+name)
	code, printed = a.command("-F", b.SSHConfig, "drain", name, "--reason", reason, "--yes")
	if code != codeOK {
		t.Errorf("drain: exit code %d: %s", code, printed)
	}
	notSung(t, "drain", printed, "$(touch "+b.canary)
	if got := b.reason(t, name); got != "root|"+telemetry.Clean(reason, 256) {
		t.Errorf("sinfo -R: %q", got)
	}
	if code, printed = a.command("-F", b.SSHConfig, "resume", name, "--yes"); code != codeOK {
		t.Errorf("resume: exit code %d: %s", code, printed)
	}
	notSung(t, "resume", printed, "$(touch "+b.canary)
	// What is printed to a pipe comes as it is; each word has reached the program as it was.
	words := append([]string{"-F", b.SSHConfig, "run", name, "--", "printf", "%s|"}, song...)
	if code, printed = a.command(words...); code != codeOK || !strings.Contains(strings.ReplaceAll(printed, "\n"+name+": ", "\n"), strings.Join(song, "|")) {
		t.Errorf("run: exit code %d: %q", code, printed)
	}
	code, printed = a.command("audit")
	if code != codeOK {
		t.Errorf("audit: exit code %d: %s", code, printed)
	}
	notSung(t, "audit", printed, "$(touch "+b.canary)
	code, printed = a.command("audit", "--json")
	for line := range strings.Lines(printed) {
		var l actions.Line
		if err := json.Unmarshal([]byte(line), &l); err != nil || l.ID == "" {
			t.Errorf("%v: %s", err, line)
		}
	}
	if code != codeOK {
		t.Errorf("audit --json: exit code %d", code)
	}
	notSung(t, "audit --json", printed, "$(touch "+b.canary)
	// Names that would be options, or that a shell or a terminal would obey.
	for _, bad := range append([]string{"-oProxyCommand=touch " + b.canary + "-k", "-F" + b.canary, "a@-oProxyCommand=touch " + b.canary + "-l", "x y", "", strings.Join(song, "")}, song[:3]...) {
		for _, args := range [][]string{{"drain", "--reason", "x", "--yes", "--wait", "1s", "--", bad}, {"resume", "--yes", "--wait", "1s", "--", bad}, {"run", "--connect", "1s", bad, "--", "id"}} {
			code, printed := a.command(append([]string{"-F", a.proxied()}, args...)...)
			if code == codeOK {
				t.Errorf("%q: exit code %d: %s", args, code, printed)
			}
			for _, o := range obeyed {
				if strings.Contains(printed, o) {
					t.Errorf("%q: raw %q in %q", args, o, printed)
				}
			}
		}
	}

	// The same on a terminal, where nothing comes as it is.
	go1 := filepath.Join(t.TempDir(), "go")
	script := `while [ ! -e "$1" ]; do sleep 0.05; done; shift; "$@"; echo over; exec sleep 1000`
	argv := []string{"sh", "-c", script, "sh", go1, foretopProgram(t), "--config", a.config, "-F", b.SSHConfig, "run", name, "--", "cat", actFiles + "/song"}
	term := testbed.NewTerm(t, 120, 40, []string{"HOME=" + a.dir}, argv...)
	record := filepath.Join(t.TempDir(), "raw")
	term.Record(record)
	must(t, os.WriteFile(go1, nil, 0o600))
	term.WaitFor(`(?m)^over`, actWithin)
	for end := time.Now().Add(actWithin); ; time.Sleep(50 * time.Millisecond) {
		raw, err := os.ReadFile(record)
		if err == nil && strings.Contains(string(raw), "over\r\n") {
			notSung(t, "run on a terminal", string(raw), "hot$(touch "+b.canary)
			break
		}
		if time.Now().After(end) {
			t.Fatalf("what the terminal got does not come: %v %q", err, raw)
		}
	}
}

// proxied is an ssh_config that has a host's name go to a shell, as ssh's own rules would.
func (a *acting) proxied() string {
	path := filepath.Join(a.dir, "proxied")
	must(a.t, os.WriteFile(path, []byte("Host *\n\tProxyCommand /bin/false %h %n %r\n"), 0o600))
	return path
}
