package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"testing"
	"time"

	"foretop/export"
	"foretop/fleet"
	"foretop/simfleet"
)

// TestDemoIsScheduled reads the demo's snapshot as JSON over real connections: every Slurm job is joined with its scheduler's word, the pods are one job under its own name,
// nodes are proven, jobs wait and have ended, users are counted, and a job's log is read on its node.
func TestDemoIsScheduled(t *testing.T) {
	ctx := context.Background()
	s, stop, err := openDemo(ctx, simfleet.Options{Nodes: 32, Seed: 1, Scenario: simfleet.Healthy()})
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	s.publish(ctx, 200*time.Millisecond, func(*fleet.Snapshot) {}, func(err error) { t.Error(err) })
	var follow string
	deadline := time.Now().Add(2 * time.Minute)
	for {
		time.Sleep(300 * time.Millisecond)
		snap := s.Snapshot()
		if follow == "" && len(snap.Jobs) > 0 && snap.Jobs[0].Told != nil {
			follow = snap.Jobs[0].Key
			s.Follow(follow)
		}
		var out bytes.Buffer
		if err := export.JSON(&out, snap); err != nil {
			t.Fatal(err)
		}
		var doc struct {
			Jobs []struct {
				Key    string   `json:"key"`
				Asked  string   `json:"scheduler_asked"`
				State  string   `json:"state"`
				User   *string  `json:"user"`
				Nodes  []string `json:"nodes"`
				Launch *string  `json:"scheduler"`
				Says   *struct {
					Phase string `json:"phase"`
				} `json:"scheduler_says"`
				Log *struct {
					Written *string                       `json:"written"`
					Error   *string                       `json:"error"`
					Numbers []struct{ Name, Text string } `json:"numbers"`
				} `json:"log"`
			} `json:"jobs"`
			Pending []struct{ Key string } `json:"pending_jobs"`
			Users   []struct {
				Name *string `json:"name"`
				GPUs int     `json:"gpus"`
			} `json:"users"`
			Schedulers []struct {
				Kind   string `json:"kind"`
				Nodes  int    `json:"nodes"`
				Proven int    `json:"nodes_proven"`
			} `json:"schedulers"`
		}
		if err := json.Unmarshal(out.Bytes(), &doc); err != nil {
			t.Fatal(err)
		}
		var missing []string
		say := func(ok bool, what string) {
			if !ok {
				missing = append(missing, what)
			}
		}
		kube, ended, logged, slurm := false, 0, false, 0
		for _, j := range doc.Jobs {
			if j.State == "ended" {
				ended++
				continue
			}
			if j.Launch != nil && *j.Launch == "slurm" {
				slurm++
				say(j.Asked == "knows it" && j.Says != nil && j.Says.Phase == "running", j.Key+" is not known to Slurm")
			}
			if j.Key == "kubernetes/rlhf/PyTorchJob/qwen-rlhf" {
				kube = j.User != nil && *j.User == "gita" && j.Asked == "knows it"
			}
			if j.Key == follow && j.Log != nil && j.Log.Written != nil && len(j.Log.Numbers) >= 3 {
				logged = true
			}
		}
		say(slurm >= 5, "Slurm's jobs")
		say(kube, "the pods' job")
		say(ended >= 3, "jobs that ended")
		say(logged, "the log of "+follow)
		say(len(doc.Pending) >= 6, "jobs that wait")
		say(len(doc.Users) >= 5 && doc.Users[0].GPUs > 0, "users")
		say(len(doc.Schedulers) == 2, "two schedulers")
		for _, sc := range doc.Schedulers {
			say(sc.Nodes > 0 && sc.Proven == sc.Nodes, "proof of "+sc.Kind+"'s nodes")
		}
		if len(missing) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not there: %v\n%.4000s", missing, out.String())
		}
	}
}
