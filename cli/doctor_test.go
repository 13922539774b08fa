package cli

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"foretop/fleet"
	"foretop/sshpool"
	"foretop/telemetry/facts"

	"github.com/charmbracelet/x/ansi"
	"github.com/google/go-cmp/cmp"
)

// diagnosed is a diagnosis as the doctor makes one.
func diagnosed(name string, reached bool, steps ...sshpool.Step) diagnosis {
	f := diagnosis{name: name, state: fleet.Lost, reached: reached, took: 1234 * time.Millisecond, steps: append([]sshpool.Step{
		{Name: "resolve", Took: 5200 * time.Microsecond, End: sshpool.StepDone, Said: []string{"ann@" + name + ".cluster:22", "ssh read /home/ann/.ssh/config"}},
		{Name: "transport", End: sshpool.StepDone, Said: []string{"foretop's own client"}},
	}, steps...)}
	if reached {
		f.state = fleet.Live
		f.hello = &facts.Hello{Hostname: name, Os: "Debian", Kernel: "6.1", User: "ann", Build: "v1", Arch: "amd64"}
		f.sources = []fleet.Source{{Name: "cpu", State: facts.SourceState_SOURCE_OK, CallUS: 120, StuckS: fleet.Reading(math.NaN())}, {Name: "rdma", State: facts.SourceState_SOURCE_UNSUPPORTED, Text: "no RDMA devices"}}
	} else if at := f.culprit(); at != nil {
		f.cause, f.remedy = at.Cause, at.Remedy
	}
	return f
}

func refusedTCP(name string) sshpool.Step {
	return sshpool.Step{Name: "TCP", Took: 300 * time.Microsecond, End: sshpool.StepFailed, Said: []string{"10.0.0.63:22"}, Cause: "connection refused by " + name + ".cluster:22",
		Remedy: "the node is up, but no sshd listens on port 22: start it, or check the port"}
}

// Nodes that came to the same end are told once, in the order asked for, and one of each that is not well is walked through.
func TestDoctorWords(t *testing.T) {
	var found []diagnosis
	for i := 1; i <= 62; i++ {
		found = append(found, diagnosed(fmt.Sprintf("gpu%03d", i), true))
	}
	for _, name := range []string{"gpu063", "gpu064"} {
		found = append(found, diagnosed(name, false, refusedTCP(name)))
	}
	denied := diagnosed("gpu065", true)
	denied.sources = append(denied.sources, fleet.Source{Name: "kernel_log", State: facts.SourceState_SOURCE_DENIED, Text: "/dev/kmsg: operation not permitted", Remedy: "needs CAP_SYSLOG, or group adm"},
		fleet.Source{Name: "nvidia", State: facts.SourceState_SOURCE_STUCK, StuckS: 14})
	behind := diagnosed("gpu066", false, sshpool.Step{Name: "jump host", End: sshpool.StepDropped, Took: 2 * time.Second, Said: []string{"login1"}},
		sshpool.Step{Name: "server", Hop: "login1", End: sshpool.StepOpen, Took: 20 * time.Second})
	behind.state = fleet.Connecting
	behind.stalls()
	found = append(found, denied, behind)
	want := `+ gpu[001-062] (62): all well (1.23 s)
x gpu[063-064] (2): lost, TCP: connection refused by gpu063.cluster:22
    -> the node is up, but no sshd listens on port 22: start it, or check the port
! gpu065: reached (1.23 s), but not all is read
    kernel_log: not checked: denied: /dev/kmsg: operation not permitted -> needs CAP_SYSLOG, or group adm
    nvidia: stuck for 14 s
x gpu066: connecting, stalled at server with jump host login1 for 20 s
    -> its sshd hangs or something else listens there: look at the node's console

gpu063
  + resolve              5.2 ms  ann@gpu063.cluster:22
                                 ssh read /home/ann/.ssh/config
  + transport                    foretop's own client
  x TCP                  0.3 ms  10.0.0.63:22
                                 connection refused by gpu063.cluster:22
                                 -> the node is up, but no sshd listens on port 22: start it, or check the port

gpu066
  + resolve              5.2 ms  ann@gpu066.cluster:22
                                 ssh read /home/ann/.ssh/config
  + transport                    foretop's own client
  . jump host            2.00 s  login1
  o login1: server         20 s  stalled at server with jump host login1 for 20 s
                                 -> its sshd hangs or something else listens there: look at the node's console
`
	if diff := cmp.Diff(want, tellDiagnoses(found, false, marksFor(false), 0)); diff != "" {
		t.Error(diff)
	}
	want = `● gpu001: all well (1.23 s)

gpu001
  ● resolve              5.2 ms  ann@gpu001.cluster:22
                                 ssh read /home/ann/.ssh/config
  ● transport                    foretop's own client
  ● stream                       gpu001, Debian, 6.1, as ann
                                 collector v1 for amd64
  ● source cpu           0.1 ms  ok
  · source rdma                  none here: no RDMA devices
`
	if diff := cmp.Diff(want, tellDiagnoses(found[:1], false, marksFor(true), 0)); diff != "" {
		t.Error(diff)
	}
	for _, width := range []int{80, 200} {
		for line := range strings.Lines(tellDiagnoses(found, true, marksFor(true), width)) {
			if w := ansi.StringWidth(strings.TrimSuffix(line, "\n")); w > width {
				t.Errorf("%d cells of %d: %s", w, width, line)
			}
		}
	}
	if all := tellDiagnoses(found, true, marksFor(true), 0); strings.Count(all, "\n  ● transport") != len(found) {
		t.Error("-v does not walk through all nodes")
	}
}

func TestDoctorJSON(t *testing.T) {
	var b strings.Builder
	if err := writeDiagnoses(&b, []diagnosis{diagnosed("a", true), diagnosed("b", false, refusedTCP("b"))}); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Nodes []map[string]any
	}
	if err := json.Unmarshal([]byte(b.String()), &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Nodes) != 2 || got.Nodes[0]["reached"] != true || got.Nodes[0]["cause"] != nil || got.Nodes[1]["cause"] != "connection refused by b.cluster:22" || got.Nodes[1]["collector"] != nil {
		t.Errorf("%s", b.String())
	}
	steps := got.Nodes[1]["steps"].([]any)
	last := steps[len(steps)-1].(map[string]any)
	want := map[string]any{"step": "TCP", "jump_host": nil, "end": "failed", "seconds": 0.0003, "said": []any{"10.0.0.63:22"}, "cause": "connection refused by b.cluster:22",
		"remedy": "the node is up, but no sshd listens on port 22: start it, or check the port"}
	if diff := cmp.Diff(want, last); diff != "" {
		t.Error(diff)
	}
	source := got.Nodes[0]["sources"].([]any)[0].(map[string]any)
	if source["source"] != "cpu" || source["state"] != "ok" || source["call_seconds"] != 0.00012 || source["stuck_seconds"] != nil {
		t.Errorf("%v", source)
	}
}
