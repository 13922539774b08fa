package accelerators

import "testing"

// A second of work at a whole node: all at its own pace, and the fast readings by themselves.
func BenchmarkNode(b *testing.B) {
	for name, open := range map[string]func(Machine) Reader{"mi300x": newAMD, "intel-max": newIntel} {
		tr := newTree(b)
		tr.lay(name)
		r := open(tr.machine()) // on the files themselves
		b.Cleanup(r.Close)
		for pace, ms := range map[string]int64{"/all": 1000, "/fast": 1} {
			b.Run(name+pace, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					tr.ms += ms
					r.Read(b.Context(), true)
				}
			})
		}
	}
}
