package testbed

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

// SlurmBed is a real Slurm, Debian's: a controller, a slurmd a node, and munge with a key of its own.
//
// Alone, all daemons share one PID and mount namespace of this machine, with the bed's accounts (ann, bob) and this machine's network: node001, node002, … are
// names on ports of their own, so beds run side by side, and Slurm's programs outside work with Env. On a Bed's nodes (SlurmOptions.On) each node is Slurm's
// node of the same name, its last one the controller, and Slurm's programs work on every node without more.
type SlurmBed struct {
	Dir   string   // temporary folder that holds everything
	Conf  string   // slurm.conf
	Env   []string // for programs outside of the namespace: SLURM_CONF; they know no ann
	Nodes []string // names

	options SlurmOptions
	head    *slurmPlace
	at      map[string]*slurmPlace // where a node's slurmd runs
	first   *boot                  // of a bed that is alone
}

// SlurmOptions says what a bed is like; zero is one node with eight GPUs.
type SlurmOptions struct {
	Nodes int      // 1 where 0; not with On
	GPUs  int      // a node; 8 where 0, none where negative
	Model string   // of the GPUs; "h100" where ""
	Conf  []string // further lines of slurm.conf
	On    *Bed     // its last node becomes the controller, the others the nodes
	// Cgroups has Slurm keep jobs in cgroups (proctrack/cgroup), with On only; without it, it follows parents.
	Cgroups bool
}

// slurmPlace is where daemons run.
type slurmPlace struct {
	dir     string // their folder, as they see it
	conf    string
	munged  sync.Once
	command func(ctx context.Context, user account, argv ...string) (*exec.Cmd, error)
}

// slurmTimeout bounds every wait for a daemon.
const slurmTimeout = 90 * time.Second

// Slurm starts a Slurm and ends it with the test.
func Slurm(t testing.TB, options SlurmOptions) *SlurmBed {
	t.Helper()
	require(t, slices.Concat(Missing(), missingPrograms("slurmctld", "slurmd", "squeue", "munged", "mount", "nsenter", "unshare"), missingCgroups(options)))
	bed, err := StartSlurm(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the controller says:\n%s", bed.logTail(3000))
		}
		if err := bed.Close(); err != nil {
			t.Errorf("close Slurm: %v", err)
		}
	})
	return bed
}

// StartSlurm is Slurm without a test around it: the caller closes the bed. It returns when every node is idle.
func StartSlurm(ctx context.Context, options SlurmOptions) (*SlurmBed, error) {
	reap()
	if options.Nodes == 0 {
		options.Nodes = 1
	}
	if options.GPUs == 0 {
		options.GPUs = 8
	}
	if options.Model == "" {
		options.Model = "h100"
	}
	var errs []error
	// Another bed may have taken the ports between the look and the use.
	for range 3 {
		bed, err := startSlurm(ctx, options)
		if err == nil {
			return bed, nil
		}
		errs = append(errs, fmt.Errorf("start Slurm: %w\n%s", err, bed.logTail(2000)), bed.Close())
		if options.On != nil || ctx.Err() != nil {
			break
		}
	}
	return nil, errors.Join(errs...)
}

func startSlurm(ctx context.Context, options SlurmOptions) (*SlurmBed, error) {
	b := &SlurmBed{options: options, at: map[string]*slurmPlace{}}
	key := make([]byte, 128)
	rand.Read(key)
	place := b.alone
	if options.On != nil {
		place = b.onNodes
	}
	conf, err := place()
	if err != nil {
		return b, err
	}
	if err := b.install(ctx, b.head, conf, key); err != nil {
		return b, err
	}
	if err := b.StartController(); err != nil {
		return b, err
	}
	var group errgroup.Group
	group.SetLimit(4)
	for _, name := range b.Nodes {
		group.Go(func() error {
			if err := b.install(ctx, b.at[name], conf, key); err != nil {
				return err
			}
			return b.startNode(name)
		})
	}
	if err := group.Wait(); err != nil {
		return b, err
	}
	return b, b.waitIdle(ctx)
}

// install writes a place's files and starts its munge, once.
func (b *SlurmBed) install(ctx context.Context, p *slurmPlace, conf string, key []byte) (err error) {
	p.munged.Do(func() {
		const script = `set -e; umask 022; mkdir -p "$1" "$1/munge" "$1/state" "$1/spool" "$1/gpu" "${2%/*}"; cd "$1"
			i=0; while [ $i -lt "$3" ]; do ln -sf /dev/null "gpu/$i"; i=$((i+1)); done
			(umask 077; head -c 128 >munge/key); cat >"$2"; : >"${2%/*}/gres.conf"; echo "$5" >"${2%/*}/cgroup.conf"
			[ "$3" -le 0 ] || echo "Name=gpu Type=$4 File=$1/gpu/[0-$(($3-1))]" >"${2%/*}/gres.conf"
			exec munged --key-file="$1/munge/key" --socket="$1/munge/socket" --pid-file="$1/munge/pid" --log-file="$1/munge/log" --seed-file="$1/munge/seed" --num-threads=2`
		var cmd *exec.Cmd
		if cmd, err = p.command(ctx, accounts[0], "sh", "-c", script, "sh", p.dir, p.conf, fmt.Sprint(b.options.GPUs), b.options.Model, b.cgroupConf()); err != nil {
			return
		}
		cmd.Stdin = strings.NewReader(string(key) + conf)
		_, err = output(cmd)
	})
	return err
}

// slurmConf is the configuration: one that reacts within seconds, and needs no database.
func (b *SlurmBed) slurmConf(controller string, port int, nodes []string) string {
	gres, track := "", "linuxproc"
	if b.options.Cgroups {
		track = "cgroup"
	}
	if b.options.GPUs > 0 {
		gres = fmt.Sprintf(" Gres=gpu:%s:%d", b.options.Model, b.options.GPUs)
	}
	lines := []string{
		"ClusterName=bed", "SlurmctldHost=" + controller, fmt.Sprintf("SlurmctldPort=%d", port),
		"SlurmUser=root", "SlurmdUser=root", "AuthType=auth/munge", "CredType=cred/munge", "AuthInfo=socket=" + b.head.dir + "/munge/socket",
		"StateSaveLocation=" + b.head.dir + "/state", "SlurmdSpoolDir=" + b.head.dir + "/spool/%n",
		"SlurmctldPidFile=" + b.head.dir + "/slurmctld.pid", "SlurmdPidFile=" + b.head.dir + "/slurmd.%n.pid",
		"SlurmctldLogFile=" + b.head.dir + "/slurmctld.log", "SlurmdLogFile=" + b.head.dir + "/slurmd.%n.log",
		"ProctrackType=proctrack/" + track, "TaskPlugin=task/none", "JobAcctGatherType=jobacct_gather/none", "MpiDefault=none", "SwitchType=switch/none",
		"AccountingStorageType=accounting_storage/none", "SelectType=select/cons_tres", "SelectTypeParameters=CR_Core", "GresTypes=gpu",
		"SchedulerType=sched/backfill", "SchedulerParameters=bf_interval=1,sched_min_interval=0", "SlurmdParameters=config_overrides",
		"SlurmdTimeout=6", "KillWait=1", "MinJobAge=600", "ReturnToService=1", "InactiveLimit=0", "Waittime=0",
	}
	// What the caller says comes before the nodes, where DEFAULT lines must stand.
	lines = append(lines, b.options.Conf...)
	lines = append(lines, "NodeName=DEFAULT CPUs=16 RealMemory=1000 State=UNKNOWN"+gres)
	lines = append(lines, nodes...)
	lines = append(lines, "PartitionName=train Nodes=ALL Default=YES MaxTime=UNLIMITED State=UP", "PartitionName=debug Nodes=ALL MaxTime=1:00:00 State=UP")
	return strings.Join(lines, "\n") + "\n"
}

// StartController starts the controller; with its saved state, where it ran before.
func (b *SlurmBed) StartController() error {
	return b.daemon(b.head, "slurmctld")
}

// StopController ends it in order: it saves its state.
func (b *SlurmBed) StopController() error {
	return b.kill(b.head, "slurmctld.pid", "TERM")
}

// KillController ends it with SIGKILL: it forgets what it did in the last seconds.
func (b *SlurmBed) KillController() error {
	return b.kill(b.head, "slurmctld.pid", "KILL")
}

// StartNode starts a node's slurmd again, and on a Bed the node before it.
func (b *SlurmBed) StartNode(name string) error { return b.startNode(name) }

func (b *SlurmBed) startNode(name string) error {
	return b.daemon(b.place(name), b.inGroup(name, []string{"slurmd", "-N", name})...)
}

// KillNode ends a node's slurmd with SIGKILL; its steps run on.
func (b *SlurmBed) KillNode(name string) error {
	return b.kill(b.place(name), "slurmd."+name+".pid", "KILL")
}

func (b *SlurmBed) place(name string) *slurmPlace {
	p, ok := b.at[name]
	if !ok {
		panic("testbed: no node " + name)
	}
	return p
}

func (b *SlurmBed) daemon(p *slurmPlace, argv ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), slurmTimeout)
	defer cancel()
	cmd, err := p.command(ctx, accounts[0], argv...)
	if err != nil {
		return err
	}
	cmd.WaitDelay = time.Second // a daemon may keep the pipes
	_, err = output(cmd)
	return err
}

func (b *SlurmBed) kill(p *slurmPlace, pidFile, signal string) error {
	ctx, cancel := context.WithTimeout(context.Background(), slurmTimeout)
	defer cancel()
	cmd, err := p.command(ctx, accounts[0], "sh", "-c", `p=$(cat "$1") && kill -s "$2" "$p" && while [ -d "/proc/$p" ] && ! grep -q '^State:.Z' "/proc/$p/status"; do sleep 0.05; done`, "sh", p.dir+"/"+pidFile, signal)
	if err != nil {
		return err
	}
	_, err = output(cmd)
	return err
}

// Command prepares a command beside the controller, as root, ann or bob, in their home folder.
func (b *SlurmBed) Command(ctx context.Context, user string, argv ...string) (*exec.Cmd, error) {
	for _, a := range accounts {
		if a.name == user {
			return b.head.command(ctx, a, append([]string{"sh", "-c", `cd; exec "$@"`, "sh"}, argv...)...)
		}
	}
	return nil, fmt.Errorf("no user %q: root, ann or bob", user)
}

// Run runs a command as Command does and returns what it prints, without the last line end.
func (b *SlurmBed) Run(user string, argv ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), slurmTimeout)
	defer cancel()
	cmd, err := b.Command(ctx, user, argv...)
	if err != nil {
		return "", err
	}
	return output(cmd)
}

// Submit gives a job to Slurm as that user: sbatch with these options. It returns the job's number.
func (b *SlurmBed) Submit(user string, options ...string) (string, error) {
	out, err := b.Run(user, append([]string{"sbatch", "--parsable"}, options...)...)
	id, _, _ := strings.Cut(out, ";")
	return id, err
}

// waitIdle returns when every node is idle.
func (b *SlurmBed) waitIdle(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, slurmTimeout)
	defer cancel()
	for {
		cmd, err := b.Command(ctx, "root", "sinfo", "-h", "-p", "train", "-t", "idle", "-o", "%D")
		if err != nil {
			return err
		}
		out, err := output(cmd)
		if err == nil && out == fmt.Sprint(len(b.Nodes)) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %d idle nodes: %q: %w", len(b.Nodes), out, errors.Join(err, ctx.Err()))
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Close ends all that the bed started, jobs included, and removes its files. A second Close does nothing.
func (b *SlurmBed) Close() error {
	var errs []error
	if b.first != nil {
		errs = append(errs, b.first.end())
		b.first = nil
	}
	if b.Dir != "" {
		errs = append(errs, os.RemoveAll(b.Dir))
		b.Dir = ""
	}
	return errors.Join(errs...)
}

// logTail is the end of the controller's log.
func (b *SlurmBed) logTail(bytes int) string {
	if b.head == nil || b.options.On != nil {
		return ""
	}
	log, err := os.ReadFile(filepath.Join(b.head.dir, "slurmctld.log"))
	if err != nil {
		return err.Error()
	}
	return string(log[max(0, len(log)-bytes):])
}
