package testbed

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

func needSlurm(t *testing.T) {
	t.Helper()
	require(t, append(Missing(), missingPrograms("slurmctld", "slurmd", "squeue", "munged")...))
}

// inSpace counts the processes of this machine in the PID namespace of a process.
func inSpace(space string) int {
	links, _ := filepath.Glob("/proc/[0-9]*/ns/pid")
	n := 0
	for _, l := range links {
		if s, err := os.Readlink(l); err == nil && s == space {
			n++
		}
	}
	return n
}

// Two beds side by side: neither sees the other, and nothing is left of them.
func TestSlurmsSideBySide(t *testing.T) {
	needSlurm(t)
	beds := make([]*SlurmBed, 2)
	var wait sync.WaitGroup
	for i := range beds {
		wait.Go(func() {
			bed, err := StartSlurm(t.Context(), SlurmOptions{Nodes: 2, GPUs: 4 * (i + 1)})
			if err != nil {
				t.Error(err)
				return
			}
			beds[i] = bed
			t.Cleanup(func() { must(t, bed.Close()) })
		})
	}
	wait.Wait()
	for i, bed := range beds {
		if bed == nil {
			continue
		}
		gres := must1(bed.Run("bob", "sinfo", "-h", "-N", "-p", "train", "-o", "%N %G"))(t)
		if want := []string{"node001 gpu:h100:4\nnode002 gpu:h100:4", "node001 gpu:h100:8\nnode002 gpu:h100:8"}[i]; gres != want {
			t.Errorf("bed %d has %q", i, gres)
		}
		id := must1(bed.Submit("ann", "-N2", "--gpus-per-node=4", "-o", "out", "--wrap", "srun sh -c 'echo $SLURMD_NODENAME $(id -un) $SLURM_STEP_GPUS'; exec sleep 600"))(t)
		eventually(t, "the step has run", func() bool {
			out, _ := bed.Run("ann", "sort", "out")
			return out == "node001 ann 0,1,2,3\nnode002 ann 0,1,2,3"
		})
		if jobs := must1(bed.Run("root", "squeue", "-h", "-o", "%i %u"))(t); jobs != id+" ann" {
			t.Errorf("bed %d has the jobs %q", i, jobs)
		}
		own := must1(os.Readlink(filepath.Join("/proc", strconv.Itoa(bed.first.pid), "ns/pid")))(t)
		if n := inSpace(own); n < 6 {
			t.Errorf("bed %d has %d processes", i, n)
		}
		dir := bed.Dir
		if err := bed.Close(); err != nil {
			t.Error(err)
		}
		eventually(t, "its processes are gone", func() bool { return inSpace(own) == 0 })
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%s is left", dir)
		}
		if err := bed.Close(); err != nil {
			t.Errorf("the second time: %v", err)
		}
	}
}

// On a bed's nodes each is Slurm's node of its name, and every one of them can ask.
func TestSlurmOnNodes(t *testing.T) {
	needSlurm(t)
	nodes := Nodes(t, 3)
	bed := Slurm(t, SlurmOptions{On: nodes})
	if got := strings.Join(bed.Nodes, " "); got != "node001 node002" {
		t.Errorf("Slurm's nodes are %s", got)
	}
	must1(bed.Submit("ann", "-N2", "-n2", "--gpus-per-node=8", "-D", "/tmp", "--wrap", "srun sleep 600"))(t)
	eventually(t, "a task runs on each node", func() bool {
		for _, n := range nodes.Nodes[:2] {
			p, err := n.Processes(`^\S*sleep 600`)
			if err != nil || len(p) != 1 {
				return false
			}
		}
		return true
	})
	if out := must1(nodes.Nodes[0].Exec("squeue", "-h", "-o", "%u %N"))(t); out != "ann node[001-002]" {
		t.Errorf("squeue on a node: %q", out)
	}
	if err := nodes.Nodes[1].Kill(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the controller misses the node", func() bool {
		out, _ := bed.Run("root", "sinfo", "-h", "-n", "node002", "-p", "train", "-o", "%T")
		return out == "down*"
	})
}

func must1[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(slurmTimeout); !holds(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("never: " + what)
		}
	}
}
