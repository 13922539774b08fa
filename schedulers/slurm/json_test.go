package slurm

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"foretop/schedulers"
	"foretop/telemetry"
)

func TestNumbers(t *testing.T) {
	for in, want := range map[string]num{
		`7`: {7, true, false}, `-7`: {-7, true, false}, `"7"`: {7, true, false}, `7.9`: {7, true, false}, `null`: {}, `"x"`: {}, `[]`: {}, `true`: {}, `1e400`: {},
		`{"set":true,"infinite":false,"number":7}`:  {7, true, false},
		`{"set":false,"infinite":false,"number":7}`: {},
		`{"set":false,"infinite":true,"number":0}`:  {0, false, true},
		`{"set":true,"infinite":false}`:             {},
		`{"set":"yes","number":7}`:                  {},
		`{"number":{},"set":true}`:                  {},
	} {
		var got num
		if err := got.UnmarshalJSON([]byte(in)); err != nil || got != want {
			t.Errorf("%s: %+v %v, want %+v", in, got, err, want)
		}
	}
}

func TestExitCodes(t *testing.T) {
	for in, want := range map[string]string{
		`768`: "3:0", `9`: "0:9", `0`: "0:0", `null`: "0:0",
		`{"set":true,"infinite":false,"number":256}`: "1:0",
		`{"status":["ERROR"],"return_code":{"set":true,"infinite":false,"number":3},"signal":{"id":{"set":false,"number":0},"name":""}}`:     "3:0",
		`{"status":["SIGNALED"],"return_code":{"set":false,"infinite":false,"number":0},"signal":{"id":{"set":true,"number":15},"name":""}}`: "0:15",
		`{"status":"SUCCESS","return_code":2,"signal":"x"}`: "2:0",
	} {
		var got exitCode
		if err := got.UnmarshalJSON([]byte(in)); err != nil || got.String() != want {
			t.Errorf("%s: %s %v, want %s", in, got, err, want)
		}
	}
}

func TestHosts(t *testing.T) {
	for in, want := range map[string]string{
		`{"nodes":"a[1-2]","allocated_nodes":[{"sockets":{"0":{}},"nodename":"a2","cpus_used":0},{"nodename" : "a1"}]}`: "a2 a1",
		`{"nodes":{"list":"a[1-2]","allocation":[{"index":0,"name":"a1","sockets":[]},{"index":1,"name":"a2"}]}}`:       "a1 a2",
		`{"nodes":{"allocation":[{"name":"a\"b"}]}}`:                                                                    "", `{"nodes":{"allocation":[{"name":7}]}}`: "", `{}`: "", `7`: "", `"name"`: "",
	} {
		var got hosts
		if err := got.UnmarshalJSON([]byte(in)); err != nil || strings.Join(got, " ") != want {
			t.Errorf("%s: %q %v, want %s", in, got, err, want)
		}
	}
}

// One record of another shape loses no other, and one field no other.
func TestShapes(t *testing.T) {
	const in = `{"x":{"jobs":[1]},"jobs":[7,{"job_id":1,"name":["a"],"nodes":{"a":1},"job_state":7,"exit_code":[],"gres_detail":"gpu:2(IDX:0-1)","batch_flag":"yes","time_limit":{}},
		null,{"job_id":"2","job_state":["RUNNING"],"job_resources":[],"step_id":"2"},{"job_id":2},{"job_id":-4},{"job_id":{"set":true,"number":3},"array_task_id":null}],"errors":[{"error":5}],"meta":7}`
	b := newBuilder()
	a, err := decode([]byte(in), "jobs", func(j *jobJSON) bool {
		r := j.record()
		b.add(&r)
		return true
	})
	var keys []string
	for _, j := range b.sorted() {
		keys = append(keys, j.Key+" "+j.State)
	}
	if got := strings.Join(keys, ","); err != nil || got != "slurm/1 ,slurm/2 RUNNING,slurm/3 " || a.bad != 2 || len(a.errors) != 1 {
		t.Errorf("%v %q %+v", err, got, a)
	}
}

func TestNoJSON(t *testing.T) {
	for in, noJSON := range map[string]bool{
		"": true, "squeue: error": true, "[]": true, "{}": true, `{"jobs":7}`: false, `{"jobs":[`: false, `{"jobs":[{"job_id":1}`: false, `{"jobs":[]`: false, `{"nodes":[]}`: true,
	} {
		if _, err := decode([]byte(in), "jobs", func(*jobJSON) bool { return true }); err == nil || errors.Is(err, errNoJSON) != noJSON {
			t.Errorf("%s: %v", in, err)
		}
	}
	if _, err := decode([]byte(`{"jobs":[]}`), "jobs", func(*jobJSON) bool { return true }); err != nil {
		t.Error(err)
	}
}

func FuzzJSON(f *testing.F) {
	recorded, err := filepath.Glob("../../testdata/slurm/*.json")
	if err != nil || len(recorded) == 0 {
		f.Fatal(recorded, err)
	}
	for _, path := range recorded {
		b, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		var all map[string]json.RawMessage
		if err := json.Unmarshal(b, &all); err != nil {
			f.Fatal(path, err)
		}
		// A record a seed: long ones are slow to change.
		for _, list := range []string{"jobs", "nodes"} {
			var records []json.RawMessage
			if all[list] != nil && json.Unmarshal(all[list], &records) == nil && len(records) > 0 {
				f.Add([]byte(`{"` + list + `":[` + string(records[0]) + `]}`))
			}
		}
	}
	f.Add([]byte(`{"jobs":[{"job_id":1,"job_state":"RUNNING","nodes":"a[1-2]","gres_detail":["gpu:1(IDX:0)","gpu:1(IDX:1)"],"job_resources":{"allocated_nodes":[{"nodename":"a2"},{"nodename":"a1"}]}}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		b := newBuilder()
		_, _ = decode(data, "jobs", func(j *jobJSON) bool {
			r := j.record()
			b.add(&r)
			return true
		})
		var nodes []schedulers.Node
		_, _ = decode(data, "nodes", func(r *nodeJSON) bool {
			if n, ok := b.node(r); ok {
				nodes = append(nodes, n)
			}
			return true
		})
		wholeNodes(b.sorted(), nodes)
		check(t, b.sorted(), nodes)
	})
}

// check says what must hold of whatever is told.
func check(t *testing.T, jobs []schedulers.Job, nodes []schedulers.Node) {
	t.Helper()
	text := func(s string) {
		if !telemetry.IsClean([]byte(s)) && strings.Trim(s, "\ufffd") != "" && !strings.Contains(s, "\ufffd") || len(s) > schedulers.MaxText+64 {
			t.Errorf("not clean: %q", s)
		}
	}
	when := func(at time.Time) {
		if !at.IsZero() && (at.Year() < 1970 || at.Year() > 9999) {
			t.Errorf("a time of the year %d", at.Year())
		}
	}
	seen := map[string]bool{}
	for _, j := range jobs {
		for _, s := range append([]string{j.Key, j.ID, j.Name, j.User, j.Account, j.Partition, j.QOS, j.State, j.Reason, j.ExitCode, j.Command, j.WorkDir, j.LogFile, j.SLUID, j.Dependency}, j.Nodes...) {
			text(s)
		}
		for _, at := range []time.Time{j.SubmitAt, j.StartAt, j.EndAt, j.LimitAt} {
			when(at)
		}
		if seen[j.Key] || j.NodesN < 0 || j.Tasks < 0 || j.GPUs < -1 || j.Restarts < 0 || len(j.Nodes) > schedulers.MaxNodes {
			t.Errorf("%+v", j)
		}
		seen[j.Key] = true
		for n, indices := range j.GPUsOn {
			text(n)
			if len(indices) > 2*maxGPUs {
				t.Errorf("%d GPUs of %s", len(indices), n)
			}
		}
	}
	for _, n := range nodes {
		for _, s := range append([]string{n.Name, n.Hostname, n.State, n.Reason, n.ReasonBy, n.GPUModel}, append(append(n.Addresses, n.Partitions...), n.Flags...)...) {
			text(s)
		}
		when(n.ReasonAt)
		when(n.BootAt)
		if n.Name == "" || n.GPUs < -1 || n.GPUsUsed < -1 {
			t.Errorf("%+v", n)
		}
	}
}
