package ui

import (
	"slices"
	"testing"
	"time"

	"foretop/fleet"
	"foretop/jobs/layout"

	tea "charm.land/bubbletea/v2"
)

// big is a job of 10,000 GPUs on 1,250 nodes, beside two small ones.
func big() *fleet.Snapshot {
	f := &fixture{seed: 5}
	f.addNodes("gpu%04d", 1, 1250, 8)
	f.addJob("9001", "llama4-behemoth", "ann", "torchrun", 1, 1250, 8, load{95, 99, 40, 70, 9e9})
	f.addJob("9002", "eval", "bob", "torchrun", 1, 1, 8, load{90, 90, 30, 60, 1e9})
	w, err := layout.Parse("tp=8 dp=125 pp=10")
	if err == nil {
		f.jobs[0].Layout, err = w.Layout(f.jobs[0].Size())
	}
	if err != nil {
		panic(err)
	}
	return f.snapshot()
}

// next is the snapshot a second later: every node and every number is new.
func next(s *fleet.Snapshot, second int) *fleet.Snapshot {
	n := *s
	n.Sequence, n.At = uint64(10+second), noon.Add(time.Duration(second)*time.Second)
	n.Nodes = make([]*fleet.Node, len(s.Nodes))
	for i, old := range s.Nodes {
		node := *old
		node.LastData, node.LastFrame = n.At, n.At
		node.GPUs = slices.Clone(old.GPUs)
		for g := range node.GPUs {
			node.GPUs[g].PowerW = fleet.Reading(60 + (i*7919+g*104729+second*31)%640)
		}
		n.Nodes[i] = &node
	}
	n.Jobs = make([]*fleet.Job, len(s.Jobs))
	for i, old := range s.Jobs {
		job := *old
		job.GPUs, job.Nodes = slices.Clone(old.GPUs), slices.Clone(old.Nodes)
		for k := range job.GPUs {
			job.GPUs[k].GPU = &n.Nodes[k/8].GPUs[k%8]
		}
		n.Jobs[i] = &job
	}
	return &n
}

// benchView measures Update and View of one snapshot after another, with keys between them, and prints the 99th percentile.
func benchView(b *testing.B, w, h int, keys ...string) {
	first := big()
	snaps := make([]*fleet.Snapshot, 6)
	for i := range snaps {
		snaps[i] = next(first, i)
	}
	d := drive(first, w, h, Options{})
	d.keys(keys...)
	times := make([]time.Duration, 0, b.N)
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		s := *snaps[i%len(snaps)]
		s.Sequence, s.At = uint64(100+i), noon.Add(time.Duration(i)*time.Second)
		msg := tea.Msg(SnapshotMsg{&s})
		if i%2 == 1 {
			msg = keyMsg([]string{"down", "right", "up", "left"}[i/2%4])
		}
		start := time.Now()
		d.Update(msg)
		d.View()
		times = append(times, time.Since(start))
	}
	b.StopTimer()
	slices.Sort(times)
	b.ReportMetric(float64(times[len(times)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(times[len(times)*99/100].Microseconds())/1000, "p99-ms")
	b.ReportMetric(float64(len(d.View().Content)), "frame-bytes")
}

// BenchmarkView10k is the budget of DESIGN.md, section 9: 10,000 GPUs on screen, p99 ≤ 4 ms.
func BenchmarkView10k(b *testing.B) {
	b.Run("grid-200x60", func(b *testing.B) { benchView(b, 200, 60, "enter") })
	b.Run("layout-200x60", func(b *testing.B) { benchView(b, 200, 60, "enter", "v") })
	b.Run("layout-80x24", func(b *testing.B) { benchView(b, 80, 24, "enter", "v") })
	b.Run("jobs-200x60", func(b *testing.B) { benchView(b, 200, 60) })
	b.Run("jobs-80x24", func(b *testing.B) { benchView(b, 80, 24) })
	b.Run("nodes-200x60", func(b *testing.B) { benchView(b, 200, 60, "2") })
	b.Run("nodes-filtered", func(b *testing.B) {
		benchView(b, 200, 60, "2", "/", "g", "p", "u", ".", "t", "e", "m", "p", ">", "6", "0", "enter")
	})
	b.Run("node-200x60", func(b *testing.B) { benchView(b, 200, 60, "2", "enter") })
	b.Run("gpu-200x60", func(b *testing.B) { benchView(b, 200, 60, "2", "enter", "enter") })
}

// BenchmarkPlan10k is what a new layout of 10,000 ranks costs: once, not in each frame.
func BenchmarkPlan10k(b *testing.B) {
	l := big().Jobs[0].Layout
	for b.Loop() {
		makePlan(l)
	}
}
