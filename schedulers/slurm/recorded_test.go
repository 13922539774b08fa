package slurm

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"foretop/schedulers"
)

const t0 = 1790000000

func at(seconds int64) time.Time { return time.Unix(t0+seconds, 0).UTC() }

// recordedJobs is what testdata/slurm/jobs.*.json say, each in the words of its release.
func recordedJobs() []schedulers.Job {
	job := func(id string, j schedulers.Job) schedulers.Job {
		j.Key, j.SubmitAt = "slurm/"+id, at(0)
		if j.ID == "" {
			j.ID = id
		}
		if j.User == "" {
			j.User, j.WorkDir, j.Command = "ann", "/home/ann/run", "/home/ann/run/train.sh"
		}
		if j.LogFile == "" && j.Key != "slurm/102" {
			j.LogFile = j.WorkDir + "/slurm-" + id + ".out"
		}
		j.Account, j.QOS, j.Partition = "nlp", "normal", "train"
		j.NodesN, j.Tasks = max(j.NodesN, len(j.Nodes), 1), max(j.Tasks, 1)
		return j
	}
	return []schedulers.Job{
		job("101", schedulers.Job{Name: "llama-70b", Phase: schedulers.Running, State: "RUNNING", Nodes: []string{"gpu001", "gpu002"}, Tasks: 8, GPUs: 8, Restarts: 2,
			GPUsOn:  map[string][]int{"gpu001": {0, 1, 2, 3}, "gpu002": {0, 2, 4, 6}},
			StartAt: at(60), LimitAt: at(60 + 86400), LogFile: "/home/ann/run/logs/llama-70b-101.out"}),
		job("102", schedulers.Job{ID: "102_[2-9%1]", Name: "sweep", Phase: schedulers.Pending, State: "PENDING", Reason: "JobArrayTaskLimit", GPUs: 2}),
		job("103", schedulers.Job{ID: "102_1", Name: "sweep", Phase: schedulers.Running, State: "RUNNING", Nodes: []string{"gpu001"}, GPUs: 2,
			GPUsOn: map[string][]int{"gpu001": {4, 5}}, StartAt: at(120), LimitAt: at(120 + 1800), LogFile: "/home/ann/run/slurm-102_1.out"}),
		job("105", schedulers.Job{ID: "105+0", Name: "het", Phase: schedulers.Running, State: "RUNNING", Nodes: []string{"gpu001"}, GPUs: 1,
			GPUsOn: map[string][]int{"gpu001": {6}}, StartAt: at(180), LimitAt: at(780)}),
		job("106", schedulers.Job{ID: "105+1", Name: "het", Phase: schedulers.Running, State: "RUNNING", Nodes: []string{"gpu002"}, GPUs: 2,
			GPUsOn: map[string][]int{"gpu002": {1, 3}}, StartAt: at(180), LimitAt: at(780)}),
		job("107", schedulers.Job{Name: "big", User: "bob", WorkDir: "/home/bob", Command: "/home/bob/big.sh", Phase: schedulers.Pending, State: "PENDING", Reason: "Resources",
			NodesN: 4, Tasks: 4, GPUs: 32, StartAt: at(90000)}),
		job("108", schedulers.Job{Name: "after", User: "bob", WorkDir: "/home/bob", Phase: schedulers.Pending, State: "PENDING", Reason: "Dependency", Dependency: "afterok:107(unfulfilled)"}),
		job("109", schedulers.Job{Name: "broken", Phase: schedulers.Ended, State: "FAILED", Reason: "NonZeroExitCode", Nodes: []string{"gpu002"}, StartAt: at(10), EndAt: at(40), ExitCode: "3:0"}),
		job("110", schedulers.Job{Name: "killed", Phase: schedulers.Ended, State: "CANCELLED", Nodes: []string{"gpu002"}, StartAt: at(10), EndAt: at(50), ExitCode: "0:9"}),
		job("111", schedulers.Job{Name: "ends", Phase: schedulers.Completing, State: "COMPLETED+COMPLETING", Nodes: []string{"gpu002"}, GPUs: 1,
			GPUsOn: map[string][]int{"gpu002": {7}}, StartAt: at(20), LimitAt: at(320)}),
	}
}

func recordedNodes() []schedulers.Node {
	node := func(name, state string, n schedulers.Node) schedulers.Node {
		n.Name, n.Hostname, n.Addresses, n.Partitions = name, name, []string{name, name + "-ib"}, []string{"train", "debug"}
		n.State, n.Flags = state, strings.Split(state, "+")
		n.GPUs, n.GPUModel = 8, "h100"
		if !strings.Contains(state, "CLOUD") {
			n.BootAt = at(-86400)
		}
		return n
	}
	return []schedulers.Node{
		node("gpu001", "MIXED", schedulers.Node{Condition: schedulers.Usable, GPUsUsed: 7}),
		node("gpu002", "MIXED+COMPLETING+DRAIN", schedulers.Node{Condition: schedulers.Draining, GPUsUsed: 7, Reason: "ECC on GPU 5, ticket 77", ReasonBy: "root", ReasonAt: at(100)}),
		node("gpu003", "IDLE+DRAIN", schedulers.Node{Condition: schedulers.Drained, Reason: "link down", ReasonBy: "ops", ReasonAt: at(50)}),
		node("gpu004", "DOWN+NOT_RESPONDING", schedulers.Node{Condition: schedulers.Down, Reason: "Not responding", ReasonBy: "slurm", ReasonAt: at(70)}),
		node("gpu005", "IDLE+RESERVED", schedulers.Node{Condition: schedulers.Reserved, Labels: map[string]string{"reservation": "maint-1"}}),
		node("gpu006", "IDLE+CLOUD+POWERED_DOWN", schedulers.Node{Condition: schedulers.Starting}),
	}
}

// A cluster tells the same whatever release it has: one round of each, through the commands that it is asked with.
func TestRecorded(t *testing.T) {
	for _, release := range []string{"23.11", "24.05", "24.11", "25.05", "25.11", "26.05"} {
		t.Run(release, func(t *testing.T) {
			read := func(kind string) []byte {
				b, err := os.ReadFile(filepath.Join("../../testdata/slurm", kind+"."+release+".json"))
				if err != nil {
					t.Fatal(err)
				}
				return b
			}
			played := &played{version: release + ".2", config: "ClusterName = east\n", answer: func(program string, argv []string) ([]byte, error) {
				if program == "squeue" {
					return read("jobs"), nil
				}
				return read("nodes"), nil
			}}
			s := played.find(t)
			p := s.round(t.Context(), nil)
			if p.Problem != nil {
				t.Fatal(p.Problem)
			}
			jobs, nodes := recordedJobs(), recordedNodes()
			v, _, _ := parseVersion("slurm " + release + ".2")
			for i := range jobs {
				if !v.before(25, 11) {
					jobs[i].SLUID = map[string]string{"101": "sEKNKTV3WPV500", "102": "sEKNKTV3XA0000", "103": "sEKNKTV3XA0200", "105": "sEKNKTV4Y1G000", "106": "sEKNKTV4Y1G400", "107": "sEKNKTV5Z2H000",
						"108": "sEKNKTV60J0000", "109": "sEKNKTV61K0000", "110": "sEKNKTV62M0000", "111": "sEKNKTV63N0000"}[strings.TrimPrefix(jobs[i].Key, "slurm/")]
				}
			}
			for i := range nodes {
				if !v.before(25, 5) {
					if nodes[i].Labels == nil {
						nodes[i].Labels = map[string]string{}
					}
					nodes[i].Labels["topology"] = "topo:leaf1:" + nodes[i].Name
				}
			}
			if diff := cmp.Diff(jobs, p.Jobs); diff != "" {
				t.Errorf("jobs (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(nodes, p.Nodes); diff != "" {
				t.Errorf("nodes (-want +got):\n%s", diff)
			}
			if p.Cluster != "east" || p.Version != release+".2" || len(played.asked) != 2 {
				t.Errorf("cluster %s, version %s, asked %q", p.Cluster, p.Version, played.asked)
			}
		})
	}
}

// What Debian's 22.05 printed.
func TestRecordedOld(t *testing.T) {
	played := &played{version: "22.05.8", config: "ClusterName = bed\n", answer: func(program string, argv []string) ([]byte, error) {
		kind := map[string]string{"squeue": "jobs", "sinfo": "nodes"}[program]
		if kind == "" {
			return nil, &schedulers.ExitError{Status: 1, Words: "asked " + program}
		}
		return os.ReadFile("../../testdata/slurm/" + kind + ".22.05.json")
	}}
	p := played.find(t).round(t.Context(), nil)
	if p.Problem != nil {
		t.Fatal(p.Problem)
	}
	var got []string
	for _, j := range p.Jobs {
		limit := 0
		if !j.LimitAt.IsZero() {
			limit = int(j.LimitAt.Sub(j.StartAt).Minutes())
		}
		got = append(got, fmt.Sprint(j.Key, " ", j.ID, " ", j.Name, " ", j.User, " ", j.Phase, " ", j.Reason, " ", j.GPUs, j.GPUsOn, " ", j.LogFile, " ", j.ExitCode, " ", limit))
	}
	for _, n := range p.Nodes {
		got = append(got, fmt.Sprint(n.Name, " ", n.State, " ", n.Condition, " ", n.Reason, " ", n.ReasonBy, " ", n.GPUsUsed, "/", n.GPUs, " ", n.GPUModel))
	}
	want := []string{
		"slurm/1 1_[2-6%1] sweep ann pending JobArrayTaskLimit 2 map[]   0",
		"slurm/2 2 llama ann running  8 map[node001:[2 3 4 5] node002:[0 1 2 3]] /home/ann/log.000002.txt  60",
		"slurm/3 3+0 het ann running  1 map[node001:[6]] /home/ann/slurm-3.out  10",
		"slurm/4 3+1 het ann running  2 map[node002:[4 5]] /home/ann/slurm-4.out  10",
		"slurm/5 5 held bob pending JobHeldUser 3 map[] /home/bob/slurm-5.out  0",
		"slurm/6 6 failed bob ended NonZeroExitCode 0 map[] /home/bob/slurm-6.out 3:0 0",
		"slurm/7 1_1 sweep ann running  2 map[node001:[0 1]] /home/ann/sweep-1_1.out  30",
		"node001 MIXED usable   7/8 h100",
		"node002 MIXED+DRAIN draining ECC on GPU 5 root 6/8 h100",
		"node003 DOWN down power root 0/8 h100",
	}
	if diff := cmp.Diff(want, got); diff != "" || p.Cluster != "bed" {
		t.Error(p.Cluster, diff)
	}
}

// played stands where Slurm's programs run.
type played struct {
	version string
	answer  func(program string, argv []string) ([]byte, error)
	asked   []string // programs, without finding them and the configuration
	config  string
	limit   int
}

func (*played) Where() string { return "played" }

func (p *played) Run(_ context.Context, limit int, argv ...string) ([]byte, error) {
	p.limit = limit
	if argv[0] == "sh" {
		return []byte("Welcome!\n/usr/bin/squeue\n/usr/bin/scontrol\n/usr/bin/sinfo\nslurm " + p.version + "\n"), nil
	}
	for i, a := range argv {
		if strings.HasPrefix(a, "/usr/bin/") {
			program := filepath.Base(a)
			if slices.Contains(argv, "config") && p.config != "" {
				return []byte("Configuration data as of 2026\n" + p.config), nil
			}
			p.asked = append(p.asked, program)
			out, err := p.answer(program, argv[i:])
			if len(out) > limit {
				return out[:limit], schedulers.ErrTooMuch
			}
			return out, err
		}
	}
	return nil, &schedulers.ExitError{Status: 127, Words: "what is " + argv[0]}
}

func (p *played) find(t testing.TB) *Slurm {
	t.Helper()
	s, err := Find(t.Context(), p, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}
