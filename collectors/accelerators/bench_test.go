package accelerators

import (
	"fmt"
	"testing"
	"time"

	"foretop/collectors/kernfs"
)

// A second of each kind's reader: where there is no such thing, and on a machine that has it, with what its program or service says.
func BenchmarkTick(b *testing.B) {
	nowhere := extractHost(b, "laptop")
	for _, k := range Kinds() {
		b.Run(k.Name+"/absent", func(b *testing.B) {
			var c clock
			benchTicks(b, &c, k.New(c.machine(nowhere)))
		})
	}
	b.Run("tpu/v5e-8", func(b *testing.B) {
		s := startTPU(b, 0)
		v5e(s)
		var c clock
		benchTicks(b, &c, tpuAt(&c, extractHost(b, "tpu-v5e"), s.port))
	})
	b.Run("neuron/trn1.32xlarge", func(b *testing.B) {
		var c clock
		m := c.machine(extractHost(b, "trainium"))
		m.Start = nil
		r := newNeuron(m).(*neuronReader)
		report := recorded(b, "neuron-monitor.trn1.json")
		benchTicks(b, &c, ticked{r, func(i int) {
			if i%5 == 0 {
				r.monitor.line(report)
			}
		}})
	})
	b.Run("gaudi/8", func(b *testing.B) {
		var c clock
		m := c.machine(gaudiHost(b))
		m.Start = nil
		r := newGaudi(m).(*gaudiReader)
		rows := splitLines(recorded(b, "hl-smi.gaudi3.csv"))
		benchTicks(b, &c, ticked{r, func(i int) {
			for _, row := range rows {
				r.smi.line(row)
			}
		}})
	})
}

// A walk over 400 processes with 40 descriptors each, while they are young, and once they are old.
func BenchmarkHolders(b *testing.B) {
	root := kernfs.Root(b.TempDir())
	for pid := range 400 {
		for fd := range 40 {
			link(b, root, fmt.Sprintf("proc/%d/fd/%d", 1000+pid, fd), "/dev/null")
		}
	}
	for _, walks := range []int{0, 1000} {
		b.Run(fmt.Sprintf("after-%d-walks", walks), func(b *testing.B) {
			h := nodeHolders{root: root}
			find := func() { h.find(func(target string) (uint32, bool) { return numbered(target, "/dev/neuron") }) }
			for range min(walks, youngWalks) {
				find()
			}
			for b.Loop() {
				if walks == 0 {
					h = nodeHolders{root: root}
				}
				find()
			}
		})
	}
}

// ticked is a reader before whose readings something happens.
type ticked struct {
	Reader
	before func(int)
}

func benchTicks(b *testing.B, c *clock, r Reader) {
	b.Helper()
	b.Cleanup(r.Close)
	r.Read(background, false)
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		if t, ok := r.(ticked); ok {
			t.before(i)
		}
		c.pass(time.Second)
		r.Read(background, false)
	}
}
