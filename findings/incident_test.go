package findings

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"foretop/fleet"
	"foretop/schedulers"
	"foretop/telemetry/facts"
)

// yard is a fleet by hand: nodes of 8 GPUs behind leaves of four, and one job over some of them.
type yard struct {
	nodes []*fleet.Node
	jobs  []*fleet.Job
	at    time.Time
	was   []fleet.Incident
	fold  Folding
}

func newYard(nodes int) *yard {
	y := &yard{at: noon}
	for i := range nodes {
		n := &fleet.Node{Name: fmt.Sprintf("gpu%03d", i+1), State: fleet.Live, Since: noon.Add(-time.Hour), LastFrame: noon}
		for k := range 8 {
			n.GPUs = append(n.GPUs, fleet.GPU{Index: k, Info: &facts.GPU{Uuid: fmt.Sprintf("GPU-%d-%d", i+1, k)}})
		}
		n.Scheduled = []fleet.ScheduledNode{{Kind: "slurm", Node: &schedulers.Node{Name: n.Name, Labels: map[string]string{"topology": fmt.Sprintf("topo:root.leaf%d:%s", i/4+1, n.Name)}}}}
		y.nodes = append(y.nodes, n)
	}
	return y
}

// job makes one over whole nodes.
func (y *yard) job(id string, nodes ...int) *fleet.Job {
	j := &fleet.Job{Key: "slurm/" + id, ID: id}
	for _, i := range nodes {
		j.Nodes = append(j.Nodes, y.nodes[i].Name)
		for k := range 8 {
			j.GPUs = append(j.GPUs, fleet.GPURef{Node: y.nodes[i].Name, Index: k, Rank: len(j.GPUs), State: fleet.Live})
		}
	}
	y.jobs = append(y.jobs, j)
	return j
}

func (y *yard) has(node int, s fleet.Severity, gpu int, since time.Duration, text string) {
	p := fleet.Problem{Severity: s, Text: text, GPU: gpu, Port: -1}
	if since != -1 { // not known
		p.Since = noon.Add(since)
	}
	y.nodes[node].Problems = append(y.nodes[node].Problems, p)
}

func (y *yard) lose(node int, since time.Duration) {
	y.nodes[node].State, y.nodes[node].Since, y.nodes[node].Cause = fleet.Lost, noon.Add(since), "no route to host"
}

func judged(j *fleet.Job, s fleet.Severity, since time.Duration, text string) {
	j.Findings = append(j.Findings, fleet.Verdict{State: fleet.JobSuspect, Severity: s, Text: text, Since: noon.Add(since)})
}

// look folds at a time after noon.
func (y *yard) look(after time.Duration) []fleet.Incident {
	y.was = y.fold.Incidents(&fleet.Snapshot{At: noon.Add(after), Nodes: y.nodes, Jobs: y.jobs}, y.was)
	return y.was
}

func titles(list []fleet.Incident) string {
	var out []string
	for i := range list {
		out = append(out, fmt.Sprintf("%s %s [%d]", list[i].Severity, list[i].Title, len(list[i].Members)))
	}
	return strings.Join(out, "\n")
}

func TestFindingsFold(t *testing.T) {
	const crit, warn = fleet.Critical, fleet.Warning
	for _, tt := range []struct {
		name string
		make func(y *yard)
		want string
	}{
		{"nothing", func(y *yard) {}, ""},
		{"notices are no incidents", func(y *yard) { y.has(0, fleet.Notice, 1, 0, "GPU1 row remap pending") }, ""},
		{"a GPU that fell off and the hang that follows", func(y *yard) {
			j := y.job("8123", 0, 1, 2, 3)
			y.has(2, crit, 3, 0, "Xid 79 GPU3: fell off the bus")
			y.has(2, crit, 3, time.Second, "GPU3 lost: fell off the bus")
			judged(j, crit, 2*time.Second, "gpu003 GPU3 lost (rank 19)")
			judged(j, crit, 41*time.Second, "no progress 41 s · rank 19?")
		}, "critical gpu003 GPU3 Xid 79: fell off the bus → probably why job 8123: no progress, 41 s later [4]"},
		{"a job's word of its node is not the root", func(y *yard) {
			j := y.job("8123", 0, 1)
			judged(j, crit, 0, "gpu001 Xid 154 GPU4: driver asks: drain and reset (rank 4)")
			y.has(0, crit, 4, 0, "Xid 154 GPU4: driver asks: drain and reset")
		}, "critical gpu001 GPU4 Xid 154: driver asks: drain and reset → on job 8123 (rank 4) [2]"},
		{"the cause is found after what it caused", func(y *yard) {
			j := y.job("8123", 0, 1)
			judged(j, crit, 0, "no progress 20 s?")
			y.has(0, crit, 3, 10*time.Second, "Xid 79 GPU3: fell off the bus")
		}, "critical gpu001 GPU3 Xid 79: fell off the bus → probably why job 8123: no progress [2]"},
		{"what was there before explains nothing by itself", func(y *yard) {
			j := y.job("8123", 0, 1)
			y.has(0, warn, 3, -1, "GPU3 PCIe ×8 of ×16")
			y.nodes[0].Since = noon.Add(50 * time.Second)
			judged(j, crit, 41*time.Second, "no progress 41 s?")
		}, "critical job 8123: no progress? [1]\nwarning gpu001 GPU3 PCIe ×8 of ×16 [1]"},
		{"but it explains what names it", func(y *yard) {
			j := y.job("8131", 0, 1)
			y.has(1, warn, 5, -1, "GPU5 slowed: too hot (hardware)")
			y.nodes[1].Since = noon.Add(50 * time.Second)
			judged(j, warn, 41*time.Second, "gpu002 GPU5 too hot (rank 13)")
			judged(j, warn, 50*time.Second, "rank 13 slower? power 41 % of its limit, the others 88 %")
		}, "warning gpu002 GPU5 slowed: too hot (hardware) → probably why job 8131: rank 13 slower? power 41 % of its limit, the others 88 % [3]"},
		{"two faults of one job are two incidents", func(y *yard) {
			j := y.job("8123", 0, 1, 2, 3)
			y.has(0, warn, 1, -30*time.Second, "GPU1 slowed: too hot (hardware)")
			y.has(3, crit, 3, 0, "Xid 79 GPU3: fell off the bus")
			judged(j, crit, 20*time.Second, "no progress 20 s?")
		}, "critical gpu004 GPU3 Xid 79: fell off the bus → probably why job 8123: no progress, 20 s later [2]\nwarning gpu001 GPU1 slowed: too hot (hardware) [1]"},
		{"another job's GPU on the same node", func(y *yard) {
			j := y.job("1", 0)
			j.GPUs = j.GPUs[:4]
			y.has(0, crit, 6, 0, "Xid 79 GPU6: fell off the bus")
			judged(j, warn, 20*time.Second, "no progress 20 s?")
		}, "critical gpu001 GPU6 Xid 79: fell off the bus [1]\nwarning job 1: no progress? [1]"},
		{"a leaf's nodes go together", func(y *yard) {
			j := y.job("8140", 4, 5, 6, 7)
			for i := range 4 {
				y.lose(4+i, time.Duration(i)*time.Second)
			}
			judged(j, crit, 5*time.Second, "not checked: all 4 nodes lost")
		}, "critical leaf2: 4 of 4 nodes lost within 3 s → probably why job 8140: not checked: all 4 nodes lost, 5 s later [6]"},
		{"half of a leaf is enough, less is not", func(y *yard) {
			y.lose(0, 0)
			y.lose(1, time.Second)
			y.lose(4, time.Minute)
		}, "critical gpu005 lost: no route to host [1]\ncritical leaf1: 2 of 4 nodes lost within 1 s [3]"},
		{"not close enough in time", func(y *yard) {
			y.lose(0, 0)
			y.lose(1, 40*time.Second)
		}, "critical gpu002 lost: no route to host [1]\ncritical gpu001 lost: no route to host [1]"},
		{"a jump host for all", func(y *yard) {
			y.fold.Places = func(node string) []string {
				if node > "gpu008" {
					return nil
				}
				return []string{"jump host login1"}
			}
			for i := range 8 {
				y.lose(i, 0)
			}
		}, "critical jump host login1: 8 of 8 nodes lost within 1 s [9]"},
		{"a server that many mount", func(y *yard) {
			for i := range 12 {
				y.has(i, warn, -1, time.Duration(i)*time.Second, "nfs fs01: not responding")
				y.nodes[i].Scheduled = nil
			}
		}, "warning 12 nodes: nfs fs01: not responding within 11 s [13]"},
		{"eight GPUs of a node", func(y *yard) {
			for k := range 8 {
				y.has(0, crit, k, time.Second, fmt.Sprintf("Xid 79 GPU%d: fell off the bus", k))
			}
		}, "critical gpu001 GPU0 and 7 more Xid 79: fell off the bus [8]"},
		{"a node that dies of its GPU", func(y *yard) {
			y.has(0, crit, 2, 0, "Xid 79 GPU2: fell off the bus")
			y.lose(0, 30*time.Second)
		}, "critical gpu001 GPU2 Xid 79: fell off the bus [2]"},
		{"far apart on one node", func(y *yard) {
			y.has(0, warn, -1, -2*time.Hour, "/scratch 97 % full")
			y.has(0, warn, 2, 0, "GPU2 slowed: power brake")
		}, "warning gpu001 GPU2 slowed: power brake [1]\nwarning gpu001 /scratch 97 % full [1]"},
		{"a drained node asks for nobody", func(y *yard) {
			y.has(0, crit, 2, 0, "Xid 79 GPU2: fell off the bus")
			y.nodes[0].Scheduled[0].Node.Condition = schedulers.Drained
			y.has(1, warn, 2, 0, "GPU2 slowed: power brake")
		}, "warning gpu002 GPU2 slowed: power brake [1]\ncritical gpu001 GPU2 Xid 79: fell off the bus [1]"},
		{"a false alarm folds with nothing", func(y *yard) {
			y.fold.Denied = func(key string) bool { return key == "hw.xid 79@GPU-1-2" }
			y.has(0, crit, 2, 0, "Xid 79 GPU2: fell off the bus")
			y.has(0, warn, 2, 0, "GPU2 slowed: power brake")
		}, "warning gpu001 GPU2 slowed: power brake [1]\ncritical gpu001 GPU2 Xid 79: fell off the bus [1]"},
		{"an ended job and its OOM kill", func(y *yard) {
			j := y.job("9", 0)
			j.Ended, j.Severity, j.StateText, j.GPUs = noon.Add(3*time.Second), crit, "ended 5 s ago: OOM kill on gpu001 (python3)", nil
			y.has(0, warn, -1, 0, "OOM kill: python3 (pid 7)")
		}, "critical gpu001 OOM kill: python3 (pid 7) → probably why job 9: ended: OOM kill on gpu001 (python3), 3 s later [2]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			y := newYard(12)
			tt.make(y)
			if got := titles(y.look(time.Minute)); got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

// An incident keeps its ID while findings join and leave it, from its first to the end of its time on screen.
func TestAnIncidentStaysTheSame(t *testing.T) {
	y := newYard(8)
	j := y.job("8123", 0, 1)
	judged(j, fleet.Warning, 0, "no progress 20 s?")
	id := one(t, y.look(time.Second)).ID
	if id != "no progress@slurm/8123" {
		t.Errorf("id %q", id)
	}
	y.has(1, fleet.Critical, 3, 5*time.Second, "Xid 79 GPU3: fell off the bus")
	in := one(t, y.look(6*time.Second))
	if in.ID != id || in.Root().Rule != "hw.xid 79" || in.Severity != fleet.Critical {
		t.Errorf("then %q, root %q, %s", in.ID, in.Root().Rule, in.Severity)
	}
	j.Findings = nil
	in = one(t, y.look(7*time.Second))
	if in.ID != id || len(in.Members) != 2 || in.Members[1].Until.IsZero() || !in.Until.IsZero() {
		t.Errorf("without the hang: %+v", in)
	}
	y.nodes[1].Problems = nil
	in = one(t, y.look(8*time.Second))
	if in.ID != id || !in.Until.Equal(noon.Add(8*time.Second)) || in.Severity != fleet.Critical {
		t.Errorf("over: %+v", in)
	}
	y.has(1, fleet.Critical, 3, 60*time.Second, "Xid 79 GPU3: fell off the bus")
	in = one(t, y.look(time.Minute))
	if in.ID != id || !in.Until.IsZero() || !in.Since.Equal(noon) {
		t.Errorf("again: %+v", in)
	}
	y.nodes[1].Problems = nil
	y.look(2 * time.Minute)
	if in := one(t, y.look(11*time.Minute)); in.ID != id {
		t.Errorf("nine minutes later: %q", in.ID)
	}
	if list := y.look(13 * time.Minute); len(list) != 0 {
		t.Errorf("eleven minutes later: %s", titles(list))
	}
}

// What is found on a node that goes away holds on: nobody can see that it went.
func TestFindingsOfALostNodeHoldOn(t *testing.T) {
	y := newYard(4)
	y.has(0, fleet.Warning, 3, 0, "GPU3 slowed: too hot (hardware)")
	y.look(time.Second)
	y.lose(0, 20*time.Second)
	y.nodes[0].Problems = nil
	in := one(t, y.look(21*time.Second))
	if len(in.Members) != 2 || !in.Members[0].Until.IsZero() || !in.Until.IsZero() {
		t.Errorf("%+v", in)
	}
}

// The nodes of a leaf come back one after another: it is one incident all the time.
func TestALeafComesBackAsOneIncident(t *testing.T) {
	y := newYard(8)
	id := ""
	for i := range 4 {
		y.lose(i, time.Duration(i)*time.Second)
		in := one(t, y.look(time.Duration(i)*time.Second+time.Second))
		if id == "" {
			id = in.ID
		}
		if in.ID != id {
			t.Errorf("with %d nodes: %q, was %q", i+1, in.ID, id)
		}
	}
	for i := range 4 {
		y.nodes[i].State, y.nodes[i].Since = fleet.Live, noon.Add(time.Minute)
		in := one(t, y.look(time.Minute+time.Duration(i)*time.Second))
		if in.ID != id || in.Title != "leaf1: 4 of 4 nodes lost within 3 s" || in.Fold != "leaf1" || in.Of != 4 || len(in.Nodes) != 4 || in.Until.IsZero() != (i < 3) {
			t.Errorf("%d are back: %+v", i+1, in)
		}
	}
}

func one(t *testing.T, list []fleet.Incident) *fleet.Incident {
	t.Helper()
	if len(list) != 1 {
		t.Fatalf("%d incidents:\n%s", len(list), titles(list))
	}
	return &list[0]
}

func TestSymptom(t *testing.T) {
	for text, want := range map[string]string{
		"no progress 41 s · rank 131?": "no progress", "no progress 41 s?": "no progress", "no progress 41 s, suspect rank 131": "no progress, suspect rank 131",
		"completing for 12 min: an epilog that does not end?": "completing: an epilog that does not end", "rank 11 slower: clock 1230 MHz, peers 1980": "rank 11 slower: clock 1230 MHz, peers 1980",
		"12 s": "12 s", "": "",
	} {
		if got := symptom(text); got != want {
			t.Errorf("%q: %q, not %q", text, got, want)
		}
	}
}

func TestPlaceOf(t *testing.T) {
	for _, tt := range []struct{ key, value, want string }{
		{"topology", "topo:leaf1:gpu001", "leaf1"},
		{"topology", "leaf01", "leaf01"},
		{"topology", "default:spine2.sw17:gpu001", "leaf sw17"},
		{"topology", "gpu001", "leaf gpu001"},
		{"topology", "", ""},
		{"topology.kubernetes.io/rack", "r12", "rack r12"},
		{"topology.kubernetes.io/zone", "bay-1", "zone bay-1"},
		{"topology.k8s.aws/network-node-layer-3", "nn-7", "leaf nn-7"},
		{"topology.k8s.aws/network-node-layer-1", "nn-1", ""},
		{"cloud.google.com/gce-topology-subblock", "b7", "block b7"},
		{"example.com/leaf-switch", "leaf-7", "leaf-7"},
		{"nvidia.com/gpu.clique", "u.1", "NVLink domain u.1"},
		{"kubernetes.io/arch", "amd64", ""},
		{"reservation", "maint-1", ""},
	} {
		if got := placeOf(tt.key, tt.value, "gpu001"); got != tt.want {
			t.Errorf("%s=%s: %q, not %q", tt.key, tt.value, got, tt.want)
		}
	}
}

func FuzzIncidentWords(f *testing.F) {
	for _, s := range []string{"Xid 79 GPU3: fell off the bus", "no progress 41 s · rank 131?", "SXid", "Xid ", "/scratch 97 % full", "mlx5_0 down", "rank ", "ended 5 s ago", "ended ", "GPU3", " GPU3: "} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if k := kindOf(s, true); len(k) > 64 {
			t.Errorf("%d bytes", len(k))
		}
		ruleOf("", s, true)
		ruleOf("", s, false)
		symptom(s)
		steady(s)
		endedText(s)
		withoutGPU(s, 3)
		partIn(s)
		suspectOf(s, &fleet.Job{})
		names(s, "GPU3")
		placeOf("topology", s, "gpu001")
	})
}
