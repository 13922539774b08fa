package cli

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"foretop/fleet"
	"foretop/scripts/testbed"
	"foretop/sshpool"
)

// verdict waits until a job of the station has a finding that is as wanted, and returns it with the job.
func (o *observed) verdict(what string, within time.Duration, is func(*fleet.Job, *fleet.Verdict) bool) (*fleet.Job, fleet.Verdict) {
	o.t.Helper()
	for end := time.Now().Add(within); ; time.Sleep(look) {
		var said []string
		for _, j := range o.Snapshot().Jobs {
			for i := range j.Findings {
				v := &j.Findings[i]
				if is(j, v) {
					return j, *v
				}
				said = append(said, fmt.Sprintf("%s: %s: %s %v", j.ID, v.Rule, v.Text, v.Suspects))
			}
		}
		if time.Now().After(end) {
			o.t.Fatalf("%s is not said within %v; said is:\n%s", what, within, strings.Join(said, "\n"))
		}
	}
}

// A torchrun job over gloo on two nodes, in which one rank stops as by SIGSTOP: the others wait for it without a word, with no GPU to show it. It is named, with its rank
// and its node, by the states of real processes and what they use; when it goes on, nothing is said any more.
func TestBedHang(t *testing.T) {
	t.Parallel()
	needModule(t, "torch", "")
	l := newLaunch(t, 2)
	for _, n := range l.bed.Names() {
		l.start(n, map[string]string{"OMP_NUM_THREADS": "1"}, debianPy, "-m", "torch.distributed.run", "--nnodes", "2", "--nproc_per_node", "2", "--rdzv_backend", "c10d", "--rdzv_endpoint", "node001:29400",
			"--rdzv_id", "llm-7b", "--redirects", "1", "--tee", "1", "--log_dir", "/tmp/log", programsAt+"/steps_torch.py", "steps")
	}
	l.watch = observe(t, sshpool.Config{ConfigFile: l.bed.SSHConfig}, named(l.bed.Names()...)...)
	l.watch.allLive(2*time.Minute, l.bed.Names()...)
	ranks := l.met("steps", 4)
	hung := func(_ *fleet.Job, v *fleet.Verdict) bool { return v.Rule == "job.hang" }
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(look) { // all is well
		for _, j := range l.watch.Snapshot().Jobs {
			if slices.ContainsFunc(j.Findings, func(v fleet.Verdict) bool { return hung(j, &v) || v.Rule == "job.stopped" }) {
				t.Fatalf("said of a job that is well: %v", j.Findings)
			}
		}
	}
	victim := ranks[2]
	_, err := l.bed.Node(victim.Node).Exec("kill", "-STOP", fmt.Sprint(victim.PID))
	must(t, err)
	stopped := time.Now()
	want := fleet.SuspectRank(victim.Node, victim.Rank)
	_, v := l.watch.verdict("that a rank is stopped", 2*time.Minute, func(_ *fleet.Job, v *fleet.Verdict) bool { return v.Rule == "job.stopped" })
	t.Logf("after %.1f s: %s", time.Since(stopped).Seconds(), v.Text)
	if len(v.Suspects) != 1 || v.Suspects[0] != want {
		t.Errorf("suspects %v, want %v", v.Suspects, want)
	}
	j, v := l.watch.verdict("that the job hangs", 2*time.Minute, hung)
	t.Logf("after %.1f s: %s (%s)", time.Since(stopped).Seconds(), v.Text, strings.Join(v.Evidence, "; "))
	if len(v.Suspects) == 0 || v.Suspects[0] != want || v.Severity != fleet.Critical || j.ID != "llm-7b" {
		t.Errorf("job %s, %s, suspects %v: want %v", j.ID, v.Severity, v.Suspects, want)
	}
	_, err = l.bed.Node(victim.Node).Exec("kill", "-CONT", fmt.Sprint(victim.PID))
	must(t, err)
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(look) {
		s := l.watch.Snapshot()
		if !slices.ContainsFunc(s.Jobs, func(j *fleet.Job) bool {
			return slices.ContainsFunc(j.Findings, func(v fleet.Verdict) bool { return hung(j, &v) || v.Rule == "job.stopped" })
		}) {
			break
		}
		if time.Now().After(end) {
			t.Fatal("it is still said to hang")
		}
	}
}

// A file system of a node is filled to the last byte: that is told as critical within two readings of it, and no more once there is room again.
func TestBedDiskFull(t *testing.T) {
	t.Parallel()
	bed := testbed.Nodes(t, 1, testbed.Mount("/dev/shm", "size=96m"))
	o := observe(t, sshpool.Config{ConfigFile: bed.SSHConfig}, named(bed.Names()...)...)
	name := bed.Names()[0]
	o.allLive(2*time.Minute, name)
	await := func(what string, ok func(full bool, p *fleet.Problem) bool) {
		t.Helper()
		for end := time.Now().Add(2 * time.Minute); ; time.Sleep(look) {
			n := o.Snapshot().Node(name)
			i := slices.IndexFunc(n.Problems, func(p fleet.Problem) bool {
				return strings.HasPrefix(p.Text, "/dev/shm ") && strings.Contains(p.Text, "full")
			})
			var p *fleet.Problem
			if i >= 0 {
				p = &n.Problems[i]
			}
			if slices.ContainsFunc(n.FS, func(f fleet.Filesystem) bool { return f.Mount == "/dev/shm" }) && ok(i >= 0, p) {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("%s: problems %v, file systems %v", what, n.Problems, n.FS)
			}
		}
	}
	await("room at first", func(full bool, _ *fleet.Problem) bool { return !full })
	_, err := bed.Node(name).Exec("sh", "-c", "dd if=/dev/zero of=/dev/shm/rest bs=1M 2>/dev/null; test -s /dev/shm/rest")
	must(t, err)
	await("a full file system", func(full bool, p *fleet.Problem) bool { return full && p.Severity == fleet.Critical })
	_, err = bed.Node(name).Exec("rm", "/dev/shm/rest")
	must(t, err)
	await("room again", func(full bool, _ *fleet.Problem) bool { return !full })
}
