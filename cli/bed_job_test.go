package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"foretop/scripts/testbed"

	"github.com/google/go-cmp/cmp"
)

// printed is what these tests read of the snapshot's JSON.
type printed struct {
	SchemaVersion int `json:"schema_version"`
	Totals        struct {
		Nodes  int            `json:"nodes"`
		States map[string]int `json:"nodes_by_state"`
		GPUs   int            `json:"gpus"`
		Held   int            `json:"gpus_held"`
		Jobs   int            `json:"jobs"`
	} `json:"totals"`
	Nodes []struct {
		Name     string   `json:"name"`
		State    string   `json:"state"`
		Cause    *string  `json:"cause"`
		Age      *float64 `json:"age_seconds"`
		Identity *struct {
			Hostname string `json:"hostname"`
			BootID   string `json:"boot_id"`
		} `json:"identity"`
		GPUs []struct {
			Power *float64 `json:"power_watts"`
		} `json:"gpus"`
		Sources []struct {
			Name, State string
		} `json:"sources"`
	} `json:"nodes"`
	Jobs []struct {
		ID       string        `json:"id"`
		User     string        `json:"user"`
		World    int           `json:"world_size"`
		Seen     int           `json:"ranks_seen"`
		Missing  []int         `json:"missing_ranks"`
		MissingN int           `json:"missing_ranks_count"`
		Nodes    []string      `json:"nodes"`
		Ranks    []printedRank `json:"ranks"`
	} `json:"jobs"`
}

type printedRank struct {
	Rank  int    `json:"rank"`
	Local int    `json:"local_rank"`
	Node  string `json:"node"`
	PID   int    `json:"pid"`
	GPUs  []int  `json:"gpus"`
}

// snapshot runs the program as a script would.
func snapshot(t *testing.T, args ...string) (doc printed, code int, stderr string) {
	t.Helper()
	cmd := exec.Command(foretopProgram(t), append([]string{"snapshot"}, args...)...)
	cmd.Env = append(cmd.Environ(), "HOME="+t.TempDir())
	var out, words bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &words
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if err := json.Unmarshal(out.Bytes(), &doc); err != nil {
		t.Fatalf("exit code %d, output is not JSON: %v\n%s\n%s", cmd.ProcessState.ExitCode(), err, words.String(), out.String())
	}
	return doc, cmd.ProcessState.ExitCode(), words.String()
}

// trainer is a program that holds still; under its own name, because a rank that merely sleeps would be taken for a wrapper.
const trainer = "/usr/local/bin/trainer"

// startJob starts eight ranks a node, as a launcher does, and has each node's driver say who holds which GPU. On the second node the ranks see their GPUs in
// reverse order, as a launcher may set it: what the driver says decides, not the local rank.
func startJob(t *testing.T, bed *testbed.Bed) []printedRank {
	t.Helper()
	var ranks []printedRank
	for i, n := range bed.Nodes {
		var profile strings.Builder
		for local := range 8 {
			gpu := local
			if i == 1 {
				gpu = 7 - local
			}
			rank := 8*i + local
			pid, err := n.StartRank(map[string]string{
				"RANK": strconv.Itoa(rank), "WORLD_SIZE": strconv.Itoa(8 * len(bed.Nodes)),
				"LOCAL_RANK": strconv.Itoa(local), "LOCAL_WORLD_SIZE": "8", "GROUP_RANK": strconv.Itoa(i),
				"MASTER_ADDR": bed.Nodes[0].Name, "MASTER_PORT": "29500", "TORCHELASTIC_RUN_ID": "llm-7b",
				"WANDB_API_KEY": "not-for-others",
			}, trainer, "100000")
			must(t, err)
			fmt.Fprintf(&profile, "gpu %d proc %d %d\n", gpu, pid, 60<<30)
			ranks = append(ranks, printedRank{rank, local, n.Name, pid, []int{gpu}})
		}
		must(t, n.SetProfile(profile.String()))
	}
	return ranks
}

// Four nodes, a job of 32 ranks with the environment that torchrun gives them, a driver that says who holds what: the snapshot tells the job, each rank on
// its own node and GPU. With a node down it still tells the rest, and says which node is missing and why.
func TestBedJob(t *testing.T) {
	t.Parallel()
	sleep, err := exec.LookPath("sleep")
	must(t, err)
	bed := testbed.Nodes(t, 4, append(played(t, "gpus 8"), testbed.Bind(sleep, trainer))...)
	ranks := startJob(t, bed)

	doc, code, words := snapshot(t, append([]string{"-F", bed.SSHConfig, "--format", "json", "--wait", "40s"}, bed.Names()...)...)
	if code != codeOK || words != "" {
		t.Fatalf("exit code %d: %s", code, words)
	}
	if len(doc.Jobs) != 1 {
		t.Fatalf("%d jobs: %+v", len(doc.Jobs), doc.Jobs)
	}
	job := doc.Jobs[0]
	if job.ID != "llm-7b" || job.User != "ann" || job.World != 32 || job.Seen != 32 || job.MissingN != 0 {
		t.Errorf("job %+v", job)
	}
	if diff := cmp.Diff(ranks, job.Ranks); diff != "" {
		t.Errorf("ranks (-started +told):\n%s", diff)
	}
	if diff := cmp.Diff(bed.Names(), job.Nodes); diff != "" {
		t.Errorf("nodes (-started +told):\n%s", diff)
	}
	if doc.Totals.GPUs != 32 || doc.Totals.Held != 32 || doc.Totals.States["live"] != 4 {
		t.Errorf("totals %+v", doc.Totals)
	}
	boots := map[string]bool{}
	for _, n := range doc.Nodes {
		if n.State != "live" || n.Age == nil || *n.Age > 3 || n.Identity == nil || n.Identity.Hostname != n.Name || len(n.GPUs) != 8 {
			t.Errorf("node %+v", n)
			continue
		}
		boots[n.Identity.BootID] = true
		for i, g := range n.GPUs {
			if g.Power == nil || *g.Power < 100 || *g.Power > 700 {
				t.Errorf("%s GPU %d: power %v", n.Name, i, g.Power)
			}
		}
	}
	if len(boots) != 4 {
		t.Errorf("%d boot ids", len(boots))
	}

	must(t, bed.Node("node004").Kill())
	began := time.Now()
	doc, code, words = snapshot(t, append([]string{"-F", bed.SSHConfig, "--format", "json", "--wait", "5s"}, bed.Names()...)...)
	if code != codeNotLive || !strings.Contains(words, "node004 is ") || strings.Count(words, "\n") != 1 {
		t.Errorf("exit code %d: %q", code, words)
	}
	if !strings.Contains(words, "no answer from") && !strings.Contains(words, "connecting") {
		t.Errorf("no cause: %q", words)
	}
	t.Logf("with a node down, after %v: %s", time.Since(began).Round(time.Second/10), strings.TrimSpace(words))
	if job := doc.Jobs[0]; len(doc.Jobs) != 1 || job.Seen != 24 || job.MissingN != 8 || !cmp.Equal(job.Missing, []int{24, 25, 26, 27, 28, 29, 30, 31}) {
		t.Errorf("jobs %+v", doc.Jobs)
	}
	for _, n := range doc.Nodes {
		if (n.State == "live") != (n.Name != "node004") {
			t.Errorf("%s is %s", n.Name, n.State)
		}
	}
}
