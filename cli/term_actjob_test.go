package cli

import (
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// jobStages are ways to each stage of each action on a job of two nodes, from the Jobs view.
var jobStages = map[string][]string{
	"cancel: how": {"C"}, "cancel: question": {"C", "Enter"}, "requeue: question": {"C", "Down", "Enter"},
	"signal: which": {"K"}, "signal: what": {"K", "*", "Enter"}, "signal: question": {"K", "*", "Enter", "Enter"}, "kill: question": {"K", "Space", "Enter", "End", "Enter"},
	"drain: which": {"D"}, "drain: reason": {"D", "*", "Enter"}, "drain: question": {"D", "Space", "Enter", "=x", "Enter"}, "resume: which": {"R"}, "resume: question": {"R", "*", "Enter"},
	"run: which": {"!"}, "run: command": {"!", "*", "Enter"}, "run: question": {"!", "*", "Enter", "=touch /tmp/ran", "Enter"}, "list": {"a"},
}

// A job of Slurm's: who works there is told, what is somebody else's takes a typed number; where its ranks are, a command on its nodes, a drain that lets it end, queued
// again, and cancelled.
func walkJobs(t *testing.T, b *actBed) {
	nodes := []string{"node002", "node003"}
	id, err := b.ctl.Submit("ann", "--job-name", "train", "-w", "node[002-003]", "-N2", "--ntasks-per-node=1", "--requeue", "-D", "/tmp", "--output", "/dev/null", "--wrap", "exec srun /usr/bin/python3 "+actFiles+"/train.py")
	must(t, err)
	a := b.open(t, opening{}, nodes...)
	a.do("1")
	a.WaitFor(`(?s)train.*ann`, actWithin)
	a.eventually("both ranks are seen", func() bool {
		a.do("K")
		s := a.WaitFor(`which processes|which\?|no process|no job`, 20*time.Second)
		a.leave("K")
		return strings.Contains(s, "rank 0, pid") && strings.Contains(s, "rank 1, pid")
	})
	a.nothingBy(jobStages, a.home, nodes...)

	a.do("S")
	stacks := a.WaitFor(`(?s)stacks of job `+id+`.*2 ranks.*rank`, actWithin)
	a.WaitFor(`(?s)ranks? 0|rank 0|0-1|0–1`, actWithin)
	t.Logf("stacks:\n%s", stacks)
	a.do("Escape")

	// A command on tagged nodes.
	a.eventually("two nodes are tagged", func() bool {
		a.do("U")
		for _, n := range nodes {
			a.pick(n)
			a.do("Space")
		}
		question := a.asks("!", `=echo "$(hostname)" >/tmp/ran`, "Enter")
		if strings.Contains(question, "on 2 nodes: node[002-003]") && strings.Contains(question, "the number of targets") {
			return true
		}
		a.leave("!")
		return false
	})
	a.answer("2")
	for _, n := range nodes {
		a.eventually("the command has run on "+n, func() bool {
			out, err := b.Node(n).Exec("cat", "/tmp/ran")
			return err == nil && out == n
		})
	}
	a.eventually("it is in the audit file", func() bool { return strings.Count(a.audited(), `"state":"done"`) == 3 }) // that of the stacks, and one of each node
	a.home()

	// Drained when idle: the job goes on.
	a.pick("node002")
	a.do("U")
	question := a.asks("D", "Tab", "C-u", "=pump", "Enter")
	for _, want := range []string{"drain 1 node: node002", "1 job of 1 user", "work of others: ann", "type 1, the number of targets"} {
		if !strings.Contains(question, want) {
			t.Errorf("no %q in\n%s", want, question)
		}
	}
	a.answer("1")
	a.WaitFor(`(?s)1 done.*to their end: `+id, actWithin)
	out, err := b.ctl.Run("root", "sinfo", "-h", "-N", "-p", "train", "-n", "node002", "-o", "%T|%E")
	must(t, err)
	if jobs, _ := b.ctl.Run("root", "squeue", "-h", "-o", "%A|%T", "-j", id); out != "draining|pump" || jobs != id+"|RUNNING" {
		t.Errorf("%s, %s", out, jobs)
	}
	a.do("Escape")
	a.WaitFor(`node002.*draining.*pump`, actWithin)
	a.asks("R")
	a.answer("y")
	a.WaitFor(`\b1 done`, actWithin)
	if got := b.reason(t, "node002"); got != "" {
		t.Errorf("resumed: %s", got)
	}
	a.home()

	// Queued again.
	a.do("g")
	if question = a.asks("C", "Down", "Enter"); !strings.Contains(question, "requeue job "+id) || !strings.Contains(question, "scontrol requeue "+id) {
		t.Errorf("another question:\n%s", question)
	}
	a.answer("1")
	a.WaitFor(`(?s)1 done.*queued again`, actWithin)
	out, err = b.ctl.Run("root", "scontrol", "show", "job", id)
	must(t, err)
	if !strings.Contains(out, "Restarts=1") || !strings.Contains(out, "JobState=PENDING") && !strings.Contains(out, "JobState=COMPLETING") {
		t.Errorf("after it was queued again:\n%s", out)
	}
	// Cancelled while it waits.
	a.home()
	a.do("p")
	a.WaitFor(`train`, actWithin)
	a.do("g")
	if question = a.asks("C", "Enter"); !strings.Contains(question, "scancel "+id) {
		t.Errorf("another question:\n%s", question)
	}
	a.answer("1")
	a.WaitFor(`\b1 done`, actWithin)
	a.eventually("the job has ended", func() bool {
		out, err := b.ctl.Run("root", "squeue", "-h", "-o", "%T", "-j", id)
		return err == nil && out == ""
	})
	a.home()
	a.press("q")
	a.left(0)
}

// anotherProcess gives a process's number to another one: it ends the first, and starts others until one gets the number.
const anotherProcess = `kill -KILL "$1"
while kill -0 "$1" 2>/dev/null; do sleep 0.02; done
for i in $(seq 500); do
	echo $(($1-1)) >/proc/sys/kernel/ns_last_pid
	setpriv --reuid="$(id -u ann)" --regid="$(id -g ann)" --clear-groups sleep 4321 </dev/null >/dev/null 2>&1 &
	[ $! = "$1" ] && exit 0
	kill -KILL $!
done
exit 1`

// A rank gets a signal; one whose number is another process's by then gets none, and that is said.
func walkProcesses(t *testing.T, b *actBed) {
	const name = "node006"
	n := b.Node(name)
	var pids [2]int
	for rank := range pids {
		pid, err := n.StartRank(map[string]string{"RANK": fmt.Sprint(rank), "WORLD_SIZE": "2", "LOCAL_RANK": fmt.Sprint(rank), "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": name, "MASTER_PORT": "29500", "TORCHELASTIC_RUN_ID": "by-hand"},
			"/usr/bin/python3", actFiles+"/train.py")
		must(t, err)
		pids[rank] = pid
	}
	there := func(pid int) string {
		ps, err := n.Processes(`.`)
		must(t, err)
		for _, p := range ps {
			if p.PID == pid && p.State != "Z" {
				return p.Command
			}
		}
		return ""
	}
	a := b.open(t, opening{}, name)
	a.WaitFor(`by-hand`, actWithin)
	a.eventually("both ranks are seen", func() bool {
		a.do("K")
		s := a.WaitFor(`which processes|which\?|no process|no job`, 20*time.Second)
		a.leave("K")
		return strings.Contains(s, "rank 0, pid") && strings.Contains(s, "rank 1, pid")
	})
	question := a.asks("K", "Down", "Space", "Enter", "Enter")
	if want := "pid " + strconv.Itoa(pids[1]) + " on " + name; !strings.Contains(question, want) || !strings.Contains(question, "TERM") || !strings.Contains(question, "work of others: ann") {
		t.Errorf("no %q in\n%s", want, question)
	}
	a.answer("1")
	a.WaitFor(`(?s)1 done.*sent .*TERM`, actWithin)
	a.eventually("rank 1 has ended", func() bool { return there(pids[1]) == "" })
	if there(pids[0]) == "" {
		t.Error("rank 0 has ended too")
	}
	a.do("Escape")

	a.eventually("rank 1 is seen no more", func() bool {
		a.do("K")
		s := a.WaitFor(`which processes|which\?|no process|no job`, 20*time.Second)
		a.leave("K")
		return !strings.Contains(s, "which processes")
	})
	if question = a.asks("K", "End", "Enter"); !strings.Contains(question, "pid "+strconv.Itoa(pids[0])+" on "+name) || !strings.Contains(question, "KILL") {
		t.Errorf("another question:\n%s", question)
	}
	_, err := n.Exec("sh", "-c", anotherProcess, "sh", strconv.Itoa(pids[0]))
	must(t, err)
	a.answer("1")
	a.WaitFor(`another process now|not seen any more|it changed`, actWithin)
	if got := there(pids[0]); got != "sleep 4321" {
		t.Errorf("the process that has the number now: %q", got)
	}
	_, err = n.Signal(`^sleep 4321`, syscall.SIGKILL)
	must(t, err)
	a.home()
	a.press("q")
	a.left(0)
}
