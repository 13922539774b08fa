package findings

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"foretop/fleet"
	"foretop/simfleet"
	"foretop/telemetry"
	"foretop/telemetry/facts"
)

// sim is a simulated fleet told to a real one, second by second of virtual time.
type sim struct {
	t     testing.TB
	model *simfleet.Model
	fleet *fleet.Fleet
	at    time.Duration
	nodes []*simNode
	level telemetry.Level
}

// simNode is one node's collector.
type simNode struct {
	*simfleet.Node
	phase    time.Duration // when in a second it reads
	boot     string
	up       bool
	enc      telemetry.Encoder
	version  uint64
	sequence uint64
	noted    uint64        // version of what its sources say
	used     time.Duration // when it last told what processes use
}

func newSim(t testing.TB, nodes int, seed uint64, scenario string) *sim {
	t.Helper()
	s, err := simfleet.Parse("test", []byte(scenario))
	if err != nil {
		t.Fatal(err)
	}
	m, err := simfleet.NewModel(simfleet.ModelOptions{Nodes: nodes, Seed: seed, Scenario: s, Epoch: noon})
	if err != nil {
		t.Fatal(err)
	}
	return playing(t, m)
}

func playing(t testing.TB, m *simfleet.Model) *sim {
	return playingSome(t, m, func(string) bool { return true })
}

// playingSome tells only some of the nodes.
func playingSome(t testing.TB, m *simfleet.Model, some func(name string) bool) *sim {
	s := &sim{t: t, model: m}
	s.fleet = fleet.New(fleet.Options{Now: func() time.Time { return noon.Add(s.at) }, Rules: Rules(), Nodes: len(m.Nodes())})
	for i, n := range m.Nodes() {
		if !some(n.Name()) {
			continue
		}
		s.nodes = append(s.nodes, &simNode{Node: n, phase: time.Duration(i*617%1000) * time.Millisecond})
		s.fleet.Add(n.Name())
	}
	return s
}

// step lets a second pass and publishes at its end.
func (s *sim) step() *fleet.Snapshot {
	for _, n := range s.nodes {
		s.tell(n, s.at+n.phase)
	}
	s.at += time.Second
	return s.fleet.Publish()
}

func (s *sim) tell(n *simNode, at time.Duration) {
	switch c := n.Condition(at); {
	case c.Dead:
		if n.up {
			n.up = false
			s.fleet.SetStatus(n.Name(), fleet.Status{State: fleet.Lost, Cause: "connection refused"})
		}
		return
	case c.Frozen, c.HalfOpen:
		return
	}
	if !n.up || n.boot != n.BootID(at) {
		if n.boot != n.BootID(at) {
			n.sequence = 0
		}
		n.up, n.boot, n.version, n.noted, n.enc = true, n.BootID(at), 0, 0, telemetry.Encoder{}
		s.fleet.SetStatus(n.Name(), fleet.Status{State: fleet.Live})
		s.say(n, telemetry.KindHello, n.Hello(at), at)
		s.say(n, telemetry.KindInventory, n.Inventory(), at)
	}
	n.Sample(at, s.level, func(st *telemetry.State, mono time.Duration) {
		s.apply(n, telemetry.KindSample, n.enc.Encode(nil, st, 1, mono.Milliseconds(), s.level, false), at)
	})
	if n.version == 0 || n.version != n.ProcessVersion(at) {
		version, list := n.Processes(at)
		n.version = version
		s.say(n, telemetry.KindProcesses, &facts.Processes{Whole: true, Set: list}, at)
	}
	if version, notes := n.Notes(at); version != n.noted {
		n.noted = version
		s.say(n, telemetry.KindSourceNotes, &facts.SourceNotes{Notes: notes}, at)
	}
	if at-n.used >= 6*time.Second || n.used == 0 {
		n.used = at
		s.say(n, telemetry.KindUsage, n.ToldUsage(at), at)
	}
	if lines := n.KernelLog(at, n.sequence); len(lines) > 0 {
		n.sequence = lines[len(lines)-1].Sequence
		s.say(n, telemetry.KindKernelLog, &facts.KernelLog{Records: lines, Via: "kmsg"}, at)
	}
}

func (s *sim) say(n *simNode, k telemetry.Kind, m facts.Message, at time.Duration) {
	b, err := facts.Encode(m)
	if err != nil {
		s.t.Fatal(err)
	}
	s.apply(n, k, b, at)
}

func (s *sim) apply(n *simNode, k telemetry.Kind, payload []byte, at time.Duration) {
	if r, err := s.fleet.Apply(n.Name(), k, payload, noon.Add(at)); err != nil || r.Whole {
		s.t.Fatalf("%s at %s, frame of kind %d: %v, whole %t", n.Name(), at, k, err, r.Whole)
	}
}

// accuses says whether a job's row names one rank among peers.
func accuses(j *fleet.Job) bool {
	return strings.Contains(j.StateText, "peers")
}

// TestNobodyIsAStragglerInAHealthyFleet looks for four minutes; under the race detector for two, at one fleet.
func TestNobodyIsAStragglerInAHealthyFleet(t *testing.T) {
	seeds, seconds := uint64(2), 240
	if slow && !soak() {
		seeds, seconds = 1, 120
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			s := newSim(t, 64, seed, "name: healthy\nfaults: []\n")
			for range seconds {
				jobs := s.step().Jobs
				if len(jobs) < 10 {
					t.Fatalf("after %s: %d jobs", s.at, len(jobs))
				}
				for _, j := range jobs {
					if accuses(j) || j.Severity >= fleet.Warning {
						t.Fatalf("after %s: %s: %s", s.at, j.Name, j.StateText)
					}
				}
			}
		})
	}
}

// TestAHealthyFleetIsQuiet looks at every node in full: there is nothing to be said of any.
func TestAHealthyFleetIsQuiet(t *testing.T) {
	t.Parallel()
	s := newSim(t, 64, 3, "name: healthy\nfaults: []\n")
	s.level = telemetry.Detail
	var names []string
	for _, n := range s.nodes {
		names = append(names, n.Name())
	}
	s.fleet.Watch(names)
	for range 66 { // what is read twice a minute is read three times
		for _, n := range s.step().Nodes {
			if len(n.Problems) > 0 {
				t.Fatalf("after %s: %s: %v", s.at, n.Name, say1(n.Problems))
			}
			if s.at > 5*time.Second && (n.GPUs[0].Detail == nil || len(n.Sources) == 0) {
				t.Fatalf("after %s: %s is not looked at", s.at, n.Name)
			}
		}
	}
}

// TestAcceleratorFaultsAreTold shows that what a driver says of a GPU becomes a problem within half a minute, and goes when it heals.
func TestAcceleratorFaultsAreTold(t *testing.T) {
	t.Parallel()
	s := newSim(t, 64, 1, `
name: accelerators
faults:
  - {at: 0s, fault: gpus-hidden, node: 62}
  - {at: 10s, for: 50s, fault: recovery-action, job: fsdp, gpu: 4}
  - {at: 10s, for: 50s, fault: sram-threshold, job: fsdp, member: 1, gpu: 2}
  - {at: 10s, for: 50s, fault: nvlink-down, job: fsdp, member: 2, gpu: 1}
  - {at: 10s, for: 50s, fault: fabric-unregistered, job: fsdp, member: 3, gpu: 7}
`)
	said := func(snap *fleet.Snapshot) map[string]bool {
		out := map[string]bool{}
		for _, n := range snap.Nodes {
			for _, p := range n.Problems {
				if !strings.HasPrefix(p.Text, "Xid") {
					out[n.Name+" "+p.Severity.String()+" "+p.Text] = true
				}
			}
		}
		return out
	}
	var now map[string]bool
	for s.at < 45*time.Second {
		now = said(s.step())
	}
	hidden := "gpu063 notice 4 more GPUs on the bus: not checked, not visible to this user"
	for _, want := range []string{
		hidden, "gpu033 warning GPU4 driver asks: drain it, then reset it", "gpu034 critical GPU2 SRAM errors beyond the maker's limit: replace it",
		"gpu035 warning GPU1 NVLink: 1 of 18 links down: 7", "gpu035 warning GPU1 NVLink: 1 recovery, 31 CRC errors, 4 replays",
		"gpu036 critical GPU7 cannot use NVLink: not registered: unknown error, configuration too few NVLinks",
	} {
		if !now[want] {
			t.Errorf("%q is not told", want)
		}
		delete(now, want)
	}
	for text := range now {
		t.Errorf("told too: %s", text)
	}
	for s.at < 95*time.Second {
		now = said(s.step())
	}
	delete(now, "gpu035 warning GPU1 NVLink: 1 recovery, 31 CRC errors, 4 replays")
	if len(now) != 1 || !now[hidden] {
		t.Errorf("afterwards: %v", now)
	}
}

// TestAStragglerIsFound lets one GPU of a job be slow, among all jobs of a fleet; under the race detector the job is alone.
func TestAStragglerIsFound(t *testing.T) {
	for _, tt := range []struct {
		job, name   string
		member, gpu int
		factor      float64
	}{
		{"deepspeed", "dpo_train.py", 1, 3, 1.9},
		{"pretrain", "llama3-70b-pt", 27, 6, 1.5},
		{"fsdp", "gemma-9b-sft", 2, 5, 1.6},
		{"finetune", "finetune_whisper.py", 0, 7, 1.8},
	} {
		t.Run(tt.job, func(t *testing.T) {
			t.Parallel()
			s := newSim(t, 64, 1, fmt.Sprintf("name: straggler\nfaults:\n  - {at: 20s, for: 50s, fault: straggler, job: %s, member: %d, gpu: %d, factor: %g}\n", tt.job, tt.member, tt.gpu, tt.factor))
			if aims := s.model.Aims(); slow && !soak() {
				s = playingSome(t, s.model, func(name string) bool { return slices.Contains(aims[0].Nodes, name) })
			}
			found, told := time.Duration(0), 0
			for s.at < 100*time.Second {
				for _, j := range s.step().Jobs {
					if !accuses(j) {
						continue
					}
					i := 8*tt.member + tt.gpu
					if j.Name != tt.name || !strings.HasPrefix(j.StateText, who(&j.GPUs[i])+" ") || j.GPUs[i].Index != tt.gpu {
						t.Fatalf("after %s: %s: %s", s.at, j.Name, j.StateText)
					}
					told++
					if found == 0 {
						found = s.at
						t.Logf("after %s: %s", s.at-20*time.Second, j.StateText)
					}
				}
			}
			if found == 0 || found > 55*time.Second {
				t.Fatalf("found after %s", found-20*time.Second)
			}
			if told < int((70*time.Second-found)/time.Second) {
				t.Errorf("told in %d s only: it flickers", told)
			}
		})
	}
}

func TestTheDemosFaultsReachTheirJobs(t *testing.T) {
	m, err := simfleet.NewModel(simfleet.ModelOptions{Nodes: 64, Seed: 1, Scenario: simfleet.Demo(), Epoch: noon})
	if err != nil {
		t.Fatal(err)
	}
	s := playing(t, m)
	told := map[string]bool{}
	for s.at < 150*time.Second {
		for _, j := range s.step().Jobs {
			told[j.Name+": "+j.StateText] = true
		}
	}
	for _, want := range []string{
		"gemma-9b-sft: gpu035 GPU5 too hot (rank 21)",
		"llama3-70b-pt: gpu017 GPU3 lost (rank 131)",
		"llama3-70b-pt: no progress 30 s · suspect rank 131",
		"clip-vitl: ended 5 s ago: OOM kill on gpu043 (python3)",
		"dpo_train.py: rank 11 slower? power ",
	} {
		found := false
		for text := range told {
			found = found || strings.HasPrefix(text, want)
		}
		if !found {
			t.Errorf("%q was never told", want)
		}
	}
	if t.Failed() {
		for text := range told {
			if !strings.HasSuffix(text, ": running") {
				t.Log(text)
			}
		}
	}
}
