package slurm

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"foretop/schedulers"
	"foretop/scripts/testbed"
)

// beside runs commands beside a real controller, as one of its users.
type beside struct {
	bed  *testbed.SlurmBed
	user string
}

func (b beside) Where() string { return "the controller" }

func (b beside) Run(ctx context.Context, limit int, argv ...string) ([]byte, error) {
	cmd, err := b.bed.Command(ctx, b.user, argv...)
	if err != nil {
		return nil, err
	}
	return Local{Env: cmd.Env}.Run(ctx, limit, cmd.Args...)
}

// live is a real Slurm with what the tests ask of it.
type live struct {
	*testing.T
	bed *testbed.SlurmBed
	s   *Slurm
	b   *newest
}

// newest is the last round.
type newest struct{ p *schedulers.Picture }

func start(t *testing.T, nodes int) *live {
	t.Helper()
	bed := testbed.Slurm(t, testbed.SlurmOptions{Nodes: nodes})
	s, err := Find(t.Context(), beside{bed, "ann"}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return &live{t, bed, s, &newest{}}
}

func (l *live) run(user string, argv ...string) string {
	l.Helper()
	out, err := l.bed.Run(user, argv...)
	if err != nil {
		l.Fatal(err)
	}
	return out
}

func (l *live) submit(user string, options ...string) string {
	l.Helper()
	id, err := l.bed.Submit(user, options...)
	if err != nil {
		l.Fatal(err)
	}
	return id
}

// until asks until what is said holds of the picture.
func (l *live) until(what string, holds func(*schedulers.Picture) bool) *schedulers.Picture {
	l.Helper()
	deadline := time.Now().Add(90 * time.Second)
	for {
		l.b.p = l.s.round(l.Context(), l.b.p)
		if l.b.p.Problem == nil && holds(l.b.p) {
			return l.b.p
		}
		if time.Now().After(deadline) {
			l.Fatalf("never: %s; the last picture: %+v, problem %+v\nsqueue:\n%s", what, l.b.p, l.b.p.Problem, l.run("root", "squeue", "-a", "-t", "all"))
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func job(p *schedulers.Picture, id string) schedulers.Job {
	for _, j := range p.Jobs {
		if j.ID == id {
			return j
		}
	}
	return schedulers.Job{}
}

func node(p *schedulers.Picture, name string) schedulers.Node {
	for _, n := range p.Nodes {
		if n.Name == name {
			return n
		}
	}
	return schedulers.Node{}
}

// forms runs a test in each form that this Slurm can be asked in.
func (l *live) forms(f func(form)) {
	for _, asked := range []form{formJSON, formText} {
		l.s.jobForm, l.s.nodeForm, l.b.p = asked, asked, nil
		f(asked)
		if l.s.jobForm != asked || l.s.nodeForm != asked {
			l.Errorf("it was not asked in form %d to the end: %d, %d", asked, l.s.jobForm, l.s.nodeForm)
		}
	}
}

// asSlurmSays asks until all jobs and nodes are as squeue and sinfo print them right after: the scheduler works meanwhile.
func (l *live) asSlurmSays() *schedulers.Picture {
	l.Helper()
	deadline := time.Now().Add(60 * time.Second)
	for {
		p := l.s.round(l.Context(), nil)
		diff := cmp.Diff(l.slurmSays(), weSay(p))
		if p.Problem == nil && diff == "" {
			return p
		}
		if time.Now().After(deadline) {
			l.Fatalf("never the same (-Slurm +we), problem %+v:\n%s", p.Problem, diff)
		}
		time.Sleep(200 * time.Millisecond)
	}
}

func (l *live) slurmSays() []string {
	l.Helper()
	var out []string
	for line := range strings.Lines(l.run("root", "env", "SLURM_TIME_FORMAT=%s", "SLURM_BITSTR_LEN=0", "squeue", "-h", "-a", "-t", "all", "-o", "job %A %i %T %u %P %D %N %Z %V")) {
		out = append(out, strings.Join(strings.Fields(line), " "))
	}
	for line := range strings.Lines(l.run("root", "sinfo", "-h", "-N", "-p", "train", "-o", "node %N %T %G %E %o")) {
		// What the backfill scheduler has planned changes by the second.
		line = strings.NewReplacer(" planned ", " idle ", "mixed- ", "mixed ", "idle- ", "idle ").Replace(line)
		out = append(out, strings.TrimSpace(line))
	}
	slices.Sort(out)
	return out
}

func weSay(p *schedulers.Picture) []string {
	var out []string
	for _, j := range p.Jobs {
		line := fmt.Sprintf("job %s %s %s %s %s %d %s %s %d", strings.TrimPrefix(j.Key, "slurm/"), j.ID, j.State, j.User, j.Partition, j.NodesN, Fold(j.Nodes), j.WorkDir, j.SubmitAt.Unix())
		out = append(out, strings.Join(strings.Fields(line), " "))
	}
	for _, n := range p.Nodes {
		out = append(out, fmt.Sprintf("node %s %s gpu:%s:%d %s %s", n.Name, strings.ToLower(sinfoState(n)), n.GPUModel, n.GPUs, or(n.Reason, "none"), n.Addresses[len(n.Addresses)-1]))
	}
	slices.Sort(out)
	return out
}

// sinfoState is a node's state in sinfo's one word.
func sinfoState(n schedulers.Node) string {
	mark := ""
	if slices.Contains(n.Flags, "NOT_RESPONDING") {
		mark = "*"
	}
	switch n.Condition {
	case schedulers.Draining, schedulers.Drained, schedulers.Down:
		return n.Condition.String() + mark
	}
	return n.Flags[0] + mark
}

func (l *live) equal(what string, want, got []string) {
	l.Helper()
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(want, got) {
		l.Errorf("%s: Slurm says\n%s\nand we\n%s", what, strings.Join(want, "\n"), strings.Join(got, "\n"))
	}
}

func atoi(t *testing.T, s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// indices are a job's GPUs as scontrol prints them: "node001 [0 1]".
func (l *live) indices(id string) []string {
	var out []string
	// A het job is shown with all its parts; a job's name may hold line ends.
	for record := range strings.SplitSeq("\n"+l.run("root", "scontrol", "-d", "-o", "show", "job", id), "\nJobId=") {
		if !strings.HasPrefix(record, id+" ") {
			continue
		}
		for _, part := range strings.Split(record, " Nodes=")[1:] {
			nodes, rest, _ := strings.Cut(part, " ")
			_, detail, _ := strings.Cut(rest, " GRES=")
			detail, _, _ = strings.Cut(detail, " ")
			names, err := Expand(nodes, 100)
			if err != nil {
				l.Fatal(err)
			}
			for _, n := range names {
				out = append(out, n+" "+fmt.Sprint(gpuIndices(detail)))
			}
		}
	}
	return out
}

func ours(j schedulers.Job) []string {
	var out []string
	for n, indices := range j.GPUsOn {
		out = append(out, n+" "+fmt.Sprint(indices))
	}
	return out
}

func or(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
