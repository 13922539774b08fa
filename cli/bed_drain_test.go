package cli

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"foretop/scripts/testbed"
)

// foretopActs runs a command of the whole program that acts.
func foretopActs(t *testing.T, env []string, args ...string) (out string, code int) {
	t.Helper()
	home := t.TempDir()
	cmd := exec.Command(foretopProgram(t), args...)
	cmd.Env = append(append(os.Environ(), "HOME="+home, "XDG_CONFIG_HOME=", "XDG_STATE_HOME="+home, "KUBECONFIG="+home+"/none"), env...)
	var b bytes.Buffer
	cmd.Stdout, cmd.Stderr = &b, &b
	if err := cmd.Run(); cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return b.String(), cmd.ProcessState.ExitCode()
}

// `foretop drain` takes nodes by the names that Slurm has for them: no sshd is there at all, and one node's slurmd is dead. What it costs stands beside scontrol.
func TestBedDrainByName(t *testing.T) {
	t.Parallel()
	ctl := testbed.Slurm(t, testbed.SlurmOptions{Nodes: 8, GPUs: -1})
	must(t, ctl.KillNode("node003"))
	reasons := func() string {
		t.Helper()
		out, err := ctl.Run("root", "sinfo", "-h", "-N", "-R", "-o", "%N|%E")
		must(t, err)
		lines := strings.Split(strings.TrimSpace(out), "\n")
		slices.Sort(lines)
		return strings.Join(slices.Compact(lines), " ")
	}
	want := func(reason string) string {
		var all []string
		for i := range 8 {
			all = append(all, fmt.Sprintf("node%03d|%s", i+1, reason))
		}
		return strings.Join(all, " ")
	}
	nodes := "node[001-008]"
	if out, code := foretopActs(t, ctl.Env, "drain", nodes, "--reason", "fan", "--dry-run"); code != 0 || strings.Contains(out, " not: ") || strings.Count(out, "  slurm bed\n    scontrol update NodeName=node") != 8 || reasons() != "" {
		t.Errorf("%d:\n%s", code, out)
	}
	if out, code := foretopActs(t, ctl.Env, "drain", nodes, "--reason", "fan"); code != 1 || !strings.Contains(out, "nobody answered") || reasons() != "" {
		t.Errorf("%d:\n%s", code, out)
	}
	begun := time.Now()
	out, code := foretopActs(t, ctl.Env, "drain", nodes, "--reason", `it's "hot"`, "--yes")
	took := time.Since(begun)
	if got := reasons(); code != 0 || got != want(`it's "hot"`) || strings.Count(out, ": done: drained\n") != 8 {
		t.Errorf("%d, %s:\n%s", code, got, out)
	}
	if out, code := foretopActs(t, ctl.Env, "resume", nodes, "--yes"); code != 0 || reasons() != "" {
		t.Errorf("%d, %s:\n%s", code, reasons(), out)
	}
	begun = time.Now()
	for i := range 8 {
		_, err := ctl.Run("root", "scontrol", "update", fmt.Sprintf("NodeName=node%03d", i+1), "State=DRAIN", "Reason=x")
		must(t, err)
	}
	each := time.Since(begun)
	if got := reasons(); got != want("x") {
		t.Error(got)
	}
	t.Logf("8 nodes: foretop drain %v, 8 × scontrol update %v", took.Round(time.Millisecond), each.Round(time.Millisecond))

	// What is no name of Slurm's, nor of a host, is said to be so; the rest is done.
	out, code = foretopActs(t, ctl.Env, "resume", "node001", "no-such-host.invalid", "--yes", "--wait", "20s")
	if code != codeNotLive || !strings.Contains(out, "node001: done") || !strings.Contains(out, "no-such-host.invalid not: ") || !strings.Contains(out, "no-such-host.invalid: refused: ") {
		t.Errorf("%d:\n%s", code, out)
	}
	must(t, ctl.StopController())
	out, code = foretopActs(t, ctl.Env, "drain", "node001", "--reason", "fan", "--yes", "--wait", "5s")
	if code == 0 || !strings.Contains(out, "cannot be known: slurm has not answered") {
		t.Errorf("no controller: %d:\n%s", code, out)
	}
}

// An alias of one's own is no name of Slurm's: it is connected to, and what the node says of itself tells which it is.
func TestBedDrainByAlias(t *testing.T) {
	t.Parallel()
	bed := testbed.Nodes(t, 3, testbed.On("node003", testbed.User("root")))
	ctl := testbed.Slurm(t, testbed.SlurmOptions{On: bed, GPUs: -1})
	text, err := os.ReadFile(bed.SSHConfig)
	must(t, err)
	folder := t.TempDir()
	ssh, cfg := filepath.Join(folder, "ssh_config"), filepath.Join(folder, "config.yaml")
	must(t, os.WriteFile(ssh, bytes.ReplaceAll(text, []byte("Host node001\n"), []byte("Host node001 front\n")), 0o600))
	must(t, os.WriteFile(cfg, []byte("slurm: {login: node003}\n"), 0o600))
	if _, err := bed.Node("node002").Processes("sshd"); err != nil {
		t.Fatal(err)
	}
	must(t, bed.Node("node002").Kill()) // with its sshd and its slurmd
	out, code := foretopActs(t, nil, "--config", cfg, "drain", "-F", ssh, "front", "node002", "--reason", "fan", "--yes", "--wait", "60s")
	said, err := ctl.Run("root", "sinfo", "-h", "-N", "-p", "train", "-o", "%N %T")
	must(t, err)
	if code != 0 || !strings.Contains(said, "node001 drained") || !strings.Contains(said, "node002 drained") {
		t.Errorf("%d, %s:\n%s", code, said, out)
	}
}

// A Kubernetes node is drained by its own name, NotReady as it is; where Slurm has a node of that name too, nothing is done before it is said which is meant.
func TestBedDrainAmong(t *testing.T) {
	t.Parallel()
	ctl := testbed.Slurm(t, testbed.SlurmOptions{Nodes: 1, GPUs: -1})
	k := testbed.StartKube(t)
	k.Apply(`{apiVersion: v1, kind: Node, metadata: {name: node001}}
---
{apiVersion: v1, kind: Node, metadata: {name: k1}}
`)
	env := append(slices.Clone(ctl.Env), "KUBECONFIG="+k.Kubeconfig)
	if out, code := foretopActs(t, env, "drain", "k1", "node001", "--reason", "fan", "--yes"); code != codeError || !strings.Contains(out, "node001 is a node of Kubernetes ") || !strings.Contains(out, " and of Slurm bed: say which is meant with --scheduler") {
		t.Errorf("%d:\n%s", code, out)
	}
	if out, code := foretopActs(t, env, "drain", "k1", "--reason", "fan", "--yes", "--timeout", "20s"); code != 0 || !strings.Contains(out, "k1  kubernetes ") || !strings.Contains(out, "k1: done: ") {
		t.Errorf("%d:\n%s", code, out)
	}
	if out, code := foretopActs(t, env, "drain", "node001", "--reason", "fan", "--yes", "--scheduler", "slurm"); code != 0 || !strings.Contains(out, "node001  slurm bed\n") || strings.Contains(out, "kubernetes") {
		t.Errorf("%d:\n%s", code, out)
	}
	out, code := foretopActs(t, env, "drain", "node001", "--reason", "fan", "--scheduler", "kubernetes", "--dry-run")
	if code != 0 || !strings.Contains(out, "node001  kubernetes ") || strings.Contains(out, "slurm") {
		t.Errorf("%d:\n%s", code, out)
	}
	if out, code := foretopActs(t, ctl.Env, "drain", "node001", "--reason", "fan", "--scheduler", "kubernetes", "--dry-run"); code != codeError || !strings.Contains(out, "no Kubernetes here") {
		t.Errorf("%d:\n%s", code, out)
	}
}
