package slurm

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"foretop/schedulers"
	"foretop/scripts/testbed"
)

// BenchmarkDrains drains 200 of a real cluster's 2,000 nodes, 32 at a time as a desk does, and resumes them: time, what the programs that are run use, and what the controller is asked.
func BenchmarkDrains(b *testing.B) {
	const nodes, drained, width = 2000, 200, 32
	bed := testbed.Slurm(b, testbed.SlurmOptions{Conf: []string{fmt.Sprintf("NodeName=cold[0001-%04d] NodeAddr=127.0.0.1 CPUs=16 RealMemory=1000 State=DOWN", nodes)}})
	s, err := Find(b.Context(), beside{bed, "root"}, Options{})
	if err != nil {
		b.Fatal(err)
	}
	a := s.Actor(false)
	run := func(argv ...string) string {
		out, err := bed.Run("root", argv...)
		if err != nil {
			b.Fatal(err)
		}
		return out
	}
	children := func() float64 {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_CHILDREN, &u); err != nil {
			b.Fatal(err)
		}
		return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
	}
	all := func(o schedulers.Order) {
		room := make(chan struct{}, width)
		var group sync.WaitGroup
		for i := range drained {
			room <- struct{}{}
			group.Go(func() {
				defer func() { <-room }()
				o := o
				o.Node = fmt.Sprintf("cold%04d", 7*i+1)
				if err := a.Do(b.Context(), o, func(string) {}); err != nil {
					b.Error(err)
				}
			})
		}
		group.Wait()
	}
	rpc := regexp.MustCompile(`(?m)^\s*(REQUEST_\S+)\s.*count:(\d+)\s+ave_time:\d+\s+total_time:(\d+)`)
	for b.Loop() {
		run("sdiag", "--reset")
		before, start := children(), time.Now()
		all(schedulers.Order{Verb: schedulers.Drain, Reason: "fan"})
		took, used := time.Since(start), children()-before
		said := run("sdiag")
		controller := 0.0
		for _, m := range rpc.FindAllStringSubmatch(said, -1) {
			count, _ := strconv.Atoi(m[2])
			total, _ := strconv.Atoi(m[3])
			switch m[1] {
			case "REQUEST_NODE_INFO", "REQUEST_PARTITION_INFO", "REQUEST_UPDATE_NODE":
				controller += float64(total) / 1e6
				b.ReportMetric(float64(count), strings.ToLower(strings.TrimPrefix(m[1], "REQUEST_")))
			}
		}
		b.ReportMetric(took.Seconds(), "s/200drains")
		b.ReportMetric(used, "children-cpu-s")
		b.ReportMetric(controller, "controller-s")
		if n := strings.Count(run("sinfo", "-h", "-N", "-p", "train", "-R", "-o", "%N|%E"), "|fan\n"); n < drained-1 {
			b.Fatalf("%d are drained", n)
		}
		run("scontrol", "update", fmt.Sprintf("NodeName=cold[0001-%04d]", nodes), "State=UNDRAIN")
		run("scontrol", "update", fmt.Sprintf("NodeName=cold[0001-%04d]", nodes), "Reason=")
	}
}
