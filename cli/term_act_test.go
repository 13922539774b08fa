package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"foretop/scripts/testbed"
)

// actBed is a real Slurm on real nodes. Each walk has nodes of its own and opens the program on them, in a terminal of its own.
type actBed struct {
	*testbed.Bed
	ctl    *testbed.SlurmBed
	canary string // a file that must be nowhere: hostile text would make it, were it seen by a shell
}

const (
	actLogin = "node010" // Slurm's controller, where root logs in
	actSpare = "node009" // it is drained from the beginning: where that is shown Slurm has told its nodes
	actFiles = "/srv/act"
	// actWithin is how long anything may take that is waited for: Slurm is asked every 15 s.
	actWithin = 90 * time.Second
)

// rankProgram is a rank that waits for the others. It calls itself as its first argument says.
const rankProgram = `import sys
import time

def all_reduce():
    time.sleep(100000)

if len(sys.argv) > 1:
    with open("/proc/self/comm", "w") as name:
        name.write(sys.argv[1])
all_reduce()
`

// noteProgram writes its arguments down, each in a line of its own.
const noteProgram = "#!/bin/sh\nprintf '%s\\n' \"$@\" >/tmp/noted\n"

// stoppingControl is scontrol, but for the moment that a test waits for: right before an order is sent, the controller is stopped, or stopped and killed.
const stoppingControl = `#!/bin/sh
case " $* " in
*" State=DRAIN "*)
	controller=$(cat /run/slurm-bed/slurmctld.pid)
	if [ -e /run/stop ]; then
		rm /run/stop
		kill -STOP "$controller"
	elif [ -e /run/kill ]; then
		rm /run/kill
		kill -STOP "$controller"
		(sleep 2; kill -KILL "$controller") >/dev/null 2>&1 &
	fi
	;;
esac
exec /usr/bin/scontrol "$@"
`

func newActBed(t *testing.T) *actBed {
	t.Helper()
	testbed.Need(t, "tmux", "vim", "htop", "python3")
	canary := fmt.Sprintf("/tmp/foretop-canary-%d-%d", os.Getpid(), time.Now().UnixNano())
	files := t.TempDir()
	must(t, os.Chmod(files, 0o755))
	must(t, os.Chmod(filepath.Dir(files), 0o755))
	control, cancel := filepath.Join(files, "scontrol"), filepath.Join(files, "scancel")
	must(t, os.WriteFile(cancel, []byte("#!/bin/sh\nexec /usr/bin/scancel \"$@\"\n"), 0o755)) // it is looked for beside scontrol
	must(t, os.WriteFile(filepath.Join(files, "train.py"), []byte(rankProgram), 0o644))
	must(t, os.WriteFile(filepath.Join(files, "song"), []byte("hot"+strings.Join(songOf(canary), "")+"\n"), 0o644))
	must(t, os.WriteFile(filepath.Join(files, "note"), []byte(noteProgram), 0o755))
	must(t, os.WriteFile(control, []byte(stoppingControl), 0o755))
	opts := []testbed.Option{testbed.Bind(files, actFiles), testbed.On(actLogin, testbed.User("root"), testbed.Bind(control, "/usr/local/bin/scontrol"), testbed.Bind(cancel, "/usr/local/bin/scancel"))}
	for _, o := range played(t, "gpus 2\ngpu 1 lost\n") {
		opts = append(opts, testbed.On("node001", o))
	}
	for _, o := range played(t, "gpus 1\ngpu 0 uuid "+songOf(canary)[0]+"\n") {
		opts = append(opts, testbed.On("node008", o))
	}
	bed := testbed.Nodes(t, 10, opts...)
	b := &actBed{bed, testbed.Slurm(t, testbed.SlurmOptions{On: bed, GPUs: -1}), canary}
	_, err := b.ctl.Run("root", "scontrol", "update", "NodeName="+actSpare, "State=DRAIN", "Reason=spare")
	must(t, err)
	return b
}

// nobodySang asserts that no hostile text was seen by a shell, here or on a node.
func (b *actBed) nobodySang(t *testing.T) {
	t.Helper()
	if _, err := os.Lstat(b.canary); err == nil {
		t.Errorf("%s: a shell here has seen hostile text", b.canary)
		os.Remove(b.canary)
	}
	for _, n := range b.Nodes {
		if !n.Running() {
			continue
		}
		if out, err := n.Exec("sh", "-c", `ls "$1"* 2>/dev/null || :`, "sh", b.canary); err != nil || out != "" {
			t.Errorf("%s: a shell has seen hostile text: %s %v", n.Name, out, err)
		}
	}
}

// state is all that an action could change on nodes: what Slurm says of them, its jobs there, and what runs there.
func (b *actBed) state(t *testing.T, nodes ...string) string {
	t.Helper()
	list := strings.Join(nodes, ",")
	said, err := b.ctl.Run("root", "sinfo", "-h", "-N", "-p", "train", "-n", list, "-o", "%n|%T|%u|%E")
	must(t, err)
	jobs, err := b.ctl.Run("root", "squeue", "-h", "-w", list, "-o", "%A|%T|%r")
	must(t, err)
	out := strings.ReplaceAll(said, "*|", "|") + "\n" + jobs + "\n" // a star: it did not answer lately
	for _, name := range nodes {
		ps, err := b.Node(name).Processes(`train\.py`)
		must(t, err)
		for _, p := range ps {
			out += fmt.Sprintf("%s %d %v %s\n", name, p.PID, p.State == "T", p.Command)
		}
	}
	return out
}

// reason is why a node is drained, as Slurm says: "root|fan"; "" it is not.
func (b *actBed) reason(t *testing.T, node string) string {
	t.Helper()
	out, err := b.ctl.Run("root", "sinfo", "-h", "-R", "-p", "train", "-n", node, "-o", "%u|%E")
	must(t, err)
	return strings.TrimSpace(out)
}

// opening is how a walk opens the program.
type opening struct {
	w, h    int      // 120×40 where 0
	login   string   // actLogin where ""
	audit   string   // a file of its own where ""
	config  string   // further lines of the configuration file
	actions string   // the same of its actions, indented
	args    []string // before the nodes
}

// acting is the program on some of the nodes.
type acting struct {
	*screen
	bed     *actBed
	audit   string
	config  string // its file
	dir     string // its home
	pressed int    // keys so far; what is typed into a line is none
}

func (b *actBed) open(t *testing.T, o opening, nodes ...string) *acting {
	t.Helper()
	if o.w == 0 {
		o.w, o.h = 120, 40
	}
	home := t.TempDir()
	a := &acting{bed: b, dir: home, audit: o.audit, config: filepath.Join(home, "config.yaml")}
	if a.audit == "" {
		a.audit = filepath.Join(home, "audit.jsonl")
	}
	if o.login == "" {
		o.login = actLogin
	}
	nodes = append(nodes, actSpare)
	live := len(nodes)
	if !slices.Contains(nodes, o.login) {
		live++ // orders go through it
	}
	must(t, os.WriteFile(a.config, []byte(fmt.Sprintf("slurm: {login: %s}\n%sactions:\n  audit: %s\n%s", o.login, o.config, a.audit, o.actions)), 0o600))
	argv := append([]string{foretopProgram(t), "--config", a.config, "-F", b.SSHConfig}, append(o.args, nodes...)...)
	a.screen = &screen{testbed.NewTerm(t, o.w, o.h, []string{"HOME=" + home}, argv...), t, o.w, o.h}
	a.WaitFor(fmt.Sprintf(`%d live`, live), actWithin)
	return a
}

// pick selects a node in the Nodes view, once Slurm has told its nodes.
func (a *acting) pick(node string) {
	a.t.Helper()
	a.do("2")
	a.WaitFor(actSpare+`.*drained`, actWithin)
	a.do("g")
	a.eventually(node+" is selected", func() bool {
		for range 20 {
			if strings.Contains(a.Screen(), "▸ "+node) {
				return true
			}
			time.Sleep(20 * time.Millisecond)
		}
		a.do("j")
		return false
	})
}

// do presses keys, one after another; words behind "=" are typed.
func (a *acting) do(keys ...string) {
	a.t.Helper()
	for _, k := range keys {
		if text, ok := strings.CutPrefix(k, "="); ok {
			a.Type(text)
			continue
		}
		a.pressed++
		a.press(k)
	}
}

// asks does that and waits for the question that it leads to.
func (a *acting) asks(keys ...string) string {
	a.t.Helper()
	a.do(keys...)
	return a.WaitFor(`do it\?|it cannot be done`, 20*time.Second)
}

var typedSoFar = regexp.MustCompile(`, the number of targets, and Enter: (\d*)_`)

// answer answers the question: "y", or a number and Enter. What comes before it could be read does not count, so it is given again until it does.
func (a *acting) answer(text string) {
	a.t.Helper()
	a.pressed++
	for end := time.Now().Add(30 * time.Second); !time.Now().After(end); {
		s := a.Screen()
		if !strings.Contains(s, "do it?") {
			return
		}
		typed := typedSoFar.FindString(s)
		switch m := typedSoFar.FindStringSubmatch(s); {
		case text == "y" || m != nil && m[1] == "":
			a.Type(text)
		case m != nil && m[1] == text:
			a.Keys("Enter")
		case m != nil:
			a.Keys("BSpace")
		}
		for until := time.Now().Add(2 * time.Second); time.Now().Before(until); time.Sleep(30 * time.Millisecond) {
			if now := a.Screen(); !strings.Contains(now, "do it?") || typedSoFar.FindString(now) != typed {
				break
			}
		}
	}
	a.t.Fatalf("the answer %s does not count:\n%s", text, a.Screen())
}

// leave presses Escape until no action is on the screen.
func (a *acting) leave(after string) {
	a.t.Helper()
	for range 40 {
		if s := a.Screen(); !strings.Contains(s, "Esc leaves") && !strings.Contains(s, "Esc: no") {
			return
		}
		a.press("Escape")
	}
	a.t.Fatalf("after %s nothing leads back:\n%s", after, a.Screen())
}

// audited is what the audit file holds.
func (a *acting) audited() string {
	b, err := os.ReadFile(a.audit)
	if err != nil {
		return ""
	}
	return string(b)
}

// says waits until the screen says something, in lines of whatever length.
func (a *acting) says(words string) {
	a.t.Helper()
	a.eventually("it says "+words, func() bool { return strings.Contains(strings.Join(strings.Fields(a.Screen()), " "), words) })
}

// eventually waits until something is so.
func (a *acting) eventually(what string, ok func() bool) {
	a.t.Helper()
	for end := time.Now().Add(actWithin); !ok(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			a.t.Fatalf("%s: it does not come to be so:\n%s", what, a.Screen())
		}
	}
}

// Acting from the keyboard, on a real Slurm, through a real terminal.
func TestTermAct(t *testing.T) {
	t.Parallel()
	b := newActBed(t)
	var walks sync.WaitGroup // all at once: they mostly wait
	for name, walk := range map[string]func(*testing.T, *actBed){
		"drain": walkDrain, "jobs": walkJobs, "processes": walkProcesses, "readonly": walkReadOnly, "audit": walkAudit, "refused": walkRefused, "hostile": walkHostile, "shell": walkShell,
	} {
		walks.Go(func() { t.Run(name, func(t *testing.T) { walk(t, b) }) })
	}
	walks.Wait()
	t.Run("controller", func(t *testing.T) { walkController(t, b) })
	b.nobodySang(t)
}
