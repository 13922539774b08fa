package testbed

import (
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestNodesAreMachinesOfTheirOwn(t *testing.T) {
	bed := Nodes(t, 2)
	hostBoot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	must(t, err)
	seen := map[string]string{strings.TrimSpace(string(hostBoot)): "this machine"}
	for _, n := range bed.Nodes {
		if got := login(t, bed, n.Name, "hostname; id -un; echo $HOME; cat /etc/hostname"); got != n.Name+"\nann\n/home/ann\n"+n.Name {
			t.Errorf("%s says of itself:\n%s", n.Name, got)
		}
		for _, path := range []string{"/etc/machine-id", "/proc/sys/kernel/random/boot_id", "/etc/ssh/ssh_host_ed25519_key.pub"} {
			value := login(t, bed, n.Name, "cat "+path)
			if other, ok := seen[value]; ok || value == "" {
				t.Errorf("%s has the %s of %s: %q", n.Name, path, other, value)
			}
			seen[value] = n.Name
		}
		if got := login(t, bed, n.Name, "cat /proc/1/comm; ls /sys/class/net"); got != "sh\neth0\nlo" {
			t.Errorf("%s sees first process and interfaces: %q", n.Name, got)
		}
	}
	// Files written on a node stay there.
	for _, path := range []string{"/etc/foretop-own", "/tmp/foretop-own", "/var/tmp/foretop-own", "/dev/shm/foretop-own", "/root/foretop-own", "/usr/foretop-own"} {
		execOn(t, bed.Nodes[0], "touch", path)
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%s reached this machine", path)
		}
		if _, err := bed.Nodes[1].Exec("test", "!", "-e", path); err != nil {
			t.Errorf("%s reached the other node", path)
		}
	}
	// They reach each other by name.
	execOn(t, bed.Node("node001"), "sh", "-c", "exec 3<>/dev/null; ssh-keyscan -T 5 -t ed25519 node002 2>/dev/null | grep -q ed25519")
}

func TestKillEndsConnectionsAndStartBringsTheNodeBack(t *testing.T) {
	bed := Nodes(t, 2)
	n, other := bed.Nodes[0], bed.Nodes[1]
	boot := login(t, bed, n.Name, "touch here /var/tmp/there; cat /proc/sys/kernel/random/boot_id")
	id := login(t, bed, n.Name, "cat /etc/machine-id")
	s, bystander := openSession(t, bed, n.Name), openSession(t, bed, other.Name)
	must(t, n.Kill())
	within(t, 5*time.Second, "the end of the connection", s.ended.Load)
	bystander.goesOn(t)
	if n.Running() {
		t.Error("a killed node says that it runs")
	}
	if _, err := n.Exec("true"); err == nil {
		t.Error("a killed node ran a command")
	}
	must(t, n.Kill())
	must(t, n.Start())
	// The same host key: known_hosts was not written again.
	if again := login(t, bed, n.Name, "ls here /var/tmp/there >/dev/null && cat /proc/sys/kernel/random/boot_id"); again == boot {
		t.Error("the boot id is the one from before")
	}
	if again := login(t, bed, n.Name, "cat /etc/machine-id"); again != id {
		t.Errorf("the machine id changed from %s to %s", id, again)
	}
	bystander.goesOn(t)
}

func TestPowerOffTellsNobody(t *testing.T) {
	bed := Nodes(t, 1)
	s := openSession(t, bed, "node001")
	must(t, bed.Nodes[0].PowerOff())
	s.silent(t)
	// Longer than the 3 s after which a kernel gives up on a neighbour that it has to ask for.
	_, err := net.DialTimeout("tcp", net.JoinHostPort(bed.Nodes[0].Addr, "22"), 4*time.Second)
	if e, ok := err.(net.Error); !ok || !e.Timeout() {
		t.Errorf("dial a node that is off: %v, want a timeout", err)
	}
	must(t, bed.Nodes[0].Start())
	login(t, bed, "node001", "true")
}

func TestBlackholeDropsAndLetsGo(t *testing.T) {
	bed := Nodes(t, 2)
	s, bystander := openSession(t, bed, "node001"), openSession(t, bed, "node002")
	for range 2 {
		must(t, bed.Nodes[0].Blackhole(true))
		s.silent(t)
		bystander.goesOn(t)
		must(t, bed.Nodes[0].Blackhole(false))
		s.goesOn(t)
	}
	must(t, bed.Nodes[0].Blackhole(true))
	must(t, bed.Nodes[0].Kill())
	must(t, bed.Nodes[0].Start())
	login(t, bed, "node001", "true")
}

func TestFrozenNodeAcceptsAndSaysNothing(t *testing.T) {
	bed := Nodes(t, 1)
	n := bed.Nodes[0]
	s := openSession(t, bed, n.Name)
	must(t, n.Freeze(true))
	s.silent(t)
	c, err := net.DialTimeout("tcp", net.JoinHostPort(n.Addr, "22"), 5*time.Second)
	must(t, err)
	defer c.Close()
	must(t, c.SetReadDeadline(time.Now().Add(time.Second)))
	if got, err := c.Read(make([]byte, 1)); err == nil {
		t.Errorf("a frozen server said %d bytes", got)
	}
	must(t, n.Freeze(false))
	s.goesOn(t)
	must(t, n.Freeze(true))
	must(t, n.Kill())
}

func TestRanksAreOrdinaryProcesses(t *testing.T) {
	bed := Nodes(t, 1, Env(map[string]string{"SITE": "two words"}))
	n := bed.Nodes[0]
	var pids []int
	for rank := range 2 {
		env := map[string]string{"RANK": fmt.Sprint(rank), "WORLD_SIZE": "2", "LOCAL_RANK": fmt.Sprint(rank), "MASTER_ADDR": "node001"}
		pid, err := n.StartRank(env, "sleep", "1000")
		must(t, err)
		pids = append(pids, pid)
		// The login user reads it, as the collector will.
		got := login(t, bed, n.Name, fmt.Sprintf("tr '\\0' '\\n' </proc/%d/environ | sort", pid))
		for _, want := range []string{"LOCAL_RANK=" + fmt.Sprint(rank), "MASTER_ADDR=node001", "RANK=" + fmt.Sprint(rank), "USER=ann", "WORLD_SIZE=2"} {
			if !strings.Contains("\n"+got+"\n", "\n"+want+"\n") {
				t.Errorf("rank %d lacks %s in\n%s", rank, want, got)
			}
		}
	}
	ps, err := n.Processes(`^sleep 1000$`)
	must(t, err)
	if len(ps) != 2 || ps[0].PID == ps[0].HostPID {
		t.Fatalf("processes %+v, want two, numbered by the node", ps)
	}
	for _, p := range ps {
		if p.PID != pids[0] && p.PID != pids[1] {
			t.Errorf("process %+v is none of %v", p, pids)
		}
	}
	if hit, err := n.Signal(`^sleep 1000$`, syscall.SIGSTOP); err != nil || hit != 2 {
		t.Errorf("stopped %d: %v", hit, err)
	}
	within(t, 5*time.Second, "two stopped processes", func() bool {
		ps, err := n.Processes(`^sleep 1000$`)
		return err == nil && len(ps) == 2 && ps[0].State == "T" && ps[1].State == "T"
	})
	if _, err := n.Signal(`^sleep 1000$`, syscall.SIGKILL); err != nil {
		t.Error(err)
	}
	// Process 1 reaps them: no zombies.
	within(t, 5*time.Second, "no process left", func() bool {
		ps, err := n.Processes("sleep")
		return err == nil && len(ps) == 0
	})
	if got := login(t, bed, n.Name, "echo $SITE"); got != "two words" {
		t.Errorf("SITE=%q", got)
	}
}
