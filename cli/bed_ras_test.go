package cli

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"foretop/fleet"
	"foretop/scripts/testbed"
	"foretop/sshpool"
)

// rasRank is a rank that does what NCCL's RAS thread does, which takes GPUs to run: it listens where NCCL does, takes lines, answers as 2.27.5 answers, and drops a client that
// half-closes. It tells that the rank whose number is its first argument has launched one AllReduce less. Without an argument it only waits.
const rasRank = `
import os, socket, sys, threading, time
if len(sys.argv) < 2:
    time.sleep(100000)
other, asked = sys.argv[1], 0
def serve(c):
    global asked
    f = c.makefile("rb")
    for line in f:
        word = line.decode().strip().lower()
        if word.startswith("client protocol"):
            c.sendall(b"SERVER PROTOCOL 2\n")
        elif word.startswith("timeout"):
            c.sendall(b"OK\n")
        elif word == "verbose status":
            break
        else:
            c.sendall(b"ERROR: Unknown command " + line)
    else:
        return c.close()
    asked += 1
    time.sleep(0.2)
    c.sendall(("""NCCL version 2.27.5 compiled with CUDA 12.9
CUDA runtime version 12090, driver version 12090

Job summary
===========

  Nodes  Processes         GPUs  Processes     GPUs
(total)   per node  per process    (total)  (total)
      2          1            1          2        2

Communicators... (0.11s)
=============

Group     Comms     Nodes     Ranks     Ranks     Ranks    Status  Errors
    #  in group  per comm  per node  per comm  in group
    0         1         2         1         2         2   RUNNING  MISMATCH

Errors
======

Warnings
========

#0-0 (7a1f03bb2c9954d%d) MISMATCH
  Communicator ranks have different AllReduce operation counts
  Rank 0 has launched up to operation 8812 -- GPU 0 managed by process %d on node 10.9.9.1
  Rank 1 has launched up to operation 8811 -- GPU 0 managed by process %s on node 10.9.9.2

""" % (asked, os.getpid(), other)).encode())
    c.close()
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
s.bind(("127.0.0.1", int((os.environ.get("NCCL_RAS_ADDR") or ":28028").rpartition(":")[2])))
s.listen()
while True:
    threading.Thread(target=serve, args=(s.accept()[0],), daemon=True).start()
`

// TestBedRAS asks a job's RAS through the real collector of a node, once its page is open: the rank that lags is named with its node. Where nothing listens, and where
// a container has a network of its own that this user may not enter, that is said.
func TestBedRAS(t *testing.T) {
	t.Parallel()
	bed := testbed.Nodes(t, 2)
	address := map[string]string{"silent": "localhost:28111"}
	start := func(node, job string, rank, world int, argv ...string) int {
		t.Helper()
		pid, err := bed.Node(node).StartRank(map[string]string{
			"RANK": strconv.Itoa(rank), "WORLD_SIZE": strconv.Itoa(world), "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1", "MASTER_ADDR": job, "MASTER_PORT": "29500",
			"TORCHELASTIC_RUN_ID": job, "NCCL_RAS_ADDR": address[job],
		}, argv...)
		must(t, err)
		return pid
	}
	python := func(args ...string) []string { return append([]string{debianPy, "-u", "-c", rasRank}, args...) }
	second := start("node002", "lags", 1, 2, python()...)
	first := start("node001", "lags", 0, 2, python(strconv.Itoa(second))...)
	start("node001", "silent", 0, 1, python()...)
	start("node002", "contained", 0, 1, append([]string{"/usr/bin/unshare", "--user", "--net"}, python("1")...)...)

	o := observe(t, sshpool.Config{ConfigFile: bed.SSHConfig}, named(bed.Names()...)...)
	o.allLive(2*time.Minute, bed.Names()...)
	find := func(s *fleet.Snapshot, run string) *fleet.Job {
		for _, j := range s.Jobs {
			if strings.Contains(j.Key, run) || j.ID == run || j.Name == run {
				return j
			}
		}
		return nil
	}
	defer func() {
		if t.Failed() {
			for _, j := range o.Snapshot().Jobs {
				t.Logf("job %q %q %q: %d of %d ranks, %+v", j.Key, j.ID, j.Name, len(j.Ranks), j.World, j.RAS)
			}
		}
	}()
	keys := map[string]string{}
	until(t, o.station, "the three jobs", func(s *fleet.Snapshot) bool {
		for _, run := range []string{"lags", "silent", "contained"} {
			j := find(s, run)
			if j == nil || len(j.Ranks) != max(1, j.World) {
				return false
			}
			if j.RAS != nil {
				t.Fatalf("%s was asked, though nobody looks: %+v", run, j.RAS)
			}
			keys[run] = j.Key
		}
		return true
	})
	ask := func(run string) *fleet.RAS {
		t.Helper()
		o.Follow(keys[run])
		return until(t, o.station, "what the RAS of "+run+" says", func(s *fleet.Snapshot) bool { return s.Job(keys[run]) != nil && s.Job(keys[run]).RAS != nil }).Job(keys[run]).RAS
	}
	r := ask("lags")
	if !r.Told() || r.NCCL != "2.27.5" || r.Node != "node001" || r.CommsTotal != 1 || len(r.Lagging) != 1 {
		t.Fatalf("it says %+v", r)
	}
	if l := r.Lagging[0]; l.Rank != 1 || l.Node != "node002" || int(l.PID) != second || l.Who()+" "+l.Says() != "rank 1 lags in AllReduce #8812" {
		t.Errorf("who lags is %+v; the ranks are %d and %d", l, first, second)
	}
	for run, want := range map[string]string{"silent": "nothing listens on port 28111", "contained": "may not be entered"} {
		if r := ask(run); r.Told() || !strings.Contains(r.Error, want) {
			t.Errorf("%s: %+v, want %q", run, r, want)
		}
	}
	o.Follow(keys["lags"]) // again, at once: it is not asked again
	time.Sleep(time.Second)
	if again := o.station.Publish().Job(keys["lags"]).RAS; again != r {
		t.Errorf("asked again within %v: %+v", again.At.Sub(r.At), again)
	}
}
