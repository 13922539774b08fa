package cli

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"foretop/config"
	"foretop/fleet"
	"foretop/scripts/testbed"
	"foretop/sshpool"
)

// followed is what a choice watches over time.
type followed struct {
	*chosen
	t testing.TB

	mu    sync.Mutex
	ever  map[string]time.Time // each node that was in a snapshot, and when it was last
	last  *fleet.Snapshot
	names []string // of the last
}

func follow(t testing.TB, cfg config.Config, ssh sshpool.Config, c choice) *followed {
	t.Helper()
	ssh.Payload = collectorSet(t)
	opened, err := openChosen(t.Context(), cfg, ssh, nil, c)
	if err != nil {
		t.Fatal(err)
	}
	f := &followed{chosen: opened, t: t, ever: map[string]time.Time{}}
	f.publish(context.Background(), look, f.see, func(err error) { panic(err) })
	t.Cleanup(f.Close)
	return f
}

func (f *followed) see(s *fleet.Snapshot) {
	f.follower.looked(s)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.last, f.names = s, nil
	for _, n := range s.Nodes {
		f.names = append(f.names, n.Name)
		f.ever[n.Name] = s.At
	}
}

// await waits for a snapshot. Slurm is asked every 15 s.
func (f *followed) await(what string, ok func(*fleet.Snapshot) bool) *fleet.Snapshot {
	f.t.Helper()
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(look / 2) {
		f.mu.Lock()
		s := f.last
		f.mu.Unlock()
		if s != nil && ok(s) {
			return s
		}
		if time.Now().After(end) {
			var states []string
			if s != nil {
				for _, n := range s.Nodes {
					states = append(states, n.Name+" "+n.State.String()+" "+n.Cause)
				}
				for _, p := range s.Schedulers {
					if p.Problem != nil {
						states = append(states, p.Problem.Text)
					}
				}
			}
			f.t.Fatalf("no %s; nodes: %s", what, strings.Join(states, "; "))
		}
	}
}

func liveNodes(s *fleet.Snapshot) (names []string) {
	for _, n := range s.Nodes {
		if n.State == fleet.Live {
			names = append(names, n.Name)
		}
	}
	return names
}

// What is mine is the nodes of my running jobs, as Slurm says, asked through a login node: two of eight for a job of two, none but the login node when it has
// ended, and never one of somebody else's.
func TestBedSlurmMine(t *testing.T) {
	t.Parallel()
	bed := testbed.Nodes(t, 9)
	slurm := testbed.Slurm(t, testbed.SlurmOptions{On: bed, GPUs: -1})
	login := bed.Names()[8]
	cfg := config.Default()
	cfg.Slurm.Login = login
	_, err := slurm.Submit("bob", "-w", "node005", "--wrap", "sleep 600")
	must(t, err)
	f := follow(t, cfg, sshpool.Config{ConfigFile: bed.SSHConfig}, choice{user: "ann"})
	f.await("word of Slurm", func(s *fleet.Snapshot) bool { return len(s.Schedulers) == 1 && !s.Schedulers[0].At.IsZero() })

	id, err := slurm.Submit("ann", "--job-name", "pair", "-w", "node[002-003]", "-N2", "--ntasks-per-node=1", "--wrap", "srun sleep 600")
	must(t, err)
	f.await("the job's nodes", func(s *fleet.Snapshot) bool { return slices.Equal(liveNodes(s), []string{"node002", "node003", login}) })
	s := f.await("the job", func(s *fleet.Snapshot) bool { return s.Job("slurm/"+id) != nil && s.Job("slurm/"+id).Told != nil })
	if j := s.Job("slurm/" + id); j.Name != "pair" || j.User != "ann" || len(j.Nodes) != 2 {
		t.Errorf("job %+v", j)
	}

	_, err = slurm.Run("ann", "scancel", id)
	must(t, err)
	f.await("its nodes to be left", func(s *fleet.Snapshot) bool { return len(s.Nodes) == 1 && s.Nodes[0].Name == login })
	left := time.Now()
	for _, name := range []string{"node002", "node003"} {
		for {
			running, err := bed.Node(name).Processes("foretop-collector")
			must(t, err)
			if len(running) == 0 {
				break
			}
			if since := time.Since(left); since > 2*time.Second+slack {
				t.Fatalf("%s: the collector runs on %v after the node was left: %v", name, since, running)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	t.Logf("no collector %v after the nodes were left", time.Since(left))
	f.mu.Lock()
	defer f.mu.Unlock()
	for name := range f.ever {
		if name != "node002" && name != "node003" && name != login {
			t.Errorf("%s was watched", name)
		}
	}
}

// A node that lets in only who has a job there is refused in its own words, and tried again when its jobs change: not before.
func TestBedSlurmRefused(t *testing.T) {
	t.Parallel()
	bed := testbed.Nodes(t, 3, testbed.SSHD("Banner /etc/ssh/refusal"))
	closed := bed.Node("node002")
	shut := func(script string) {
		t.Helper()
		_, err := closed.Exec("sh", "-c", script)
		must(t, err)
	}
	shut("echo 'Access denied by pam_slurm_adopt: you have no active jobs on this node' >/etc/ssh/refusal; mv /etc/ssh/authorized_keys /etc/ssh/away")
	slurm := testbed.Slurm(t, testbed.SlurmOptions{On: bed, GPUs: -1})
	cfg := config.Default()
	cfg.Slurm.Login = "node003"
	f := follow(t, cfg, sshpool.Config{ConfigFile: bed.SSHConfig}, choice{slurm: []string{"train"}, user: "ann"})
	refused := func(s *fleet.Snapshot) bool {
		n := s.Node("node002")
		return n != nil && n.State == fleet.Refused && strings.Contains(n.Cause, "no active jobs on this node")
	}
	f.await("the refusal", func(s *fleet.Snapshot) bool {
		return slices.Equal(liveNodes(s), []string{"node001", "node003"}) && refused(s)
	})
	shut("mv /etc/ssh/away /etc/ssh/authorized_keys")
	asked := f.await("one more answer of Slurm's", func(s *fleet.Snapshot) bool { return !s.Schedulers[0].At.IsZero() }).Schedulers[0].At
	time.Sleep(5 * time.Second)
	if s := f.Snapshot(); !refused(s) {
		t.Errorf("it was tried again without any news: Slurm answered at %v, the node is %v", asked, s.Node("node002").State)
	}
	_, err := slurm.Submit("ann", "-w", "node002", "--wrap", "sleep 600")
	must(t, err)
	f.await("the node, after its jobs changed", func(s *fleet.Snapshot) bool { return s.Node("node002").State == fleet.Live })
}
