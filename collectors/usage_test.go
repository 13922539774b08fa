package collectors

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestBusiest(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{0, 1, topProcesses, topProcesses + 1, 500} {
		var all, got []busyProc
		for _, pid := range r.Perm(n) {
			b := busyProc{p: &proc{pid: int32(pid)}, permille: uint32(r.IntN(40))}
			all, got = append(all, b), busiest(got, b)
		}
		slices.SortFunc(all, func(a, b busyProc) int {
			return cmp.Or(cmp.Compare(b.permille, a.permille), cmp.Compare(a.p.pid, b.p.pid))
		})
		if !slices.EqualFunc(got, all[:min(n, topProcesses)], func(a, b busyProc) bool { return a.p == b.p }) {
			t.Errorf("of %d: %v", n, got)
		}
	}
}
