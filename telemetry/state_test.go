package telemetry

import "testing"

// TestDetailTakesNoRoomUntilTold shows that a node nobody looks at holds the base level alone: most of what is known of links is above it.
func TestDetailTakesNoRoomUntilTold(t *testing.T) {
	const links = 144
	var s State
	var e Encoder
	var d Decoder
	var r Rates
	s.Resize(ScopeGPULink, links)
	s.Resize(ScopeGroup, int(NumGroups))
	tell := func(ms int64, level Level) {
		for i := range links {
			s.Set(LinkState, i, LinkUp)
			s.Set(LinkTXBytes, i, ms<<20)
		}
		s.Set(ReadMS, int(GroupGPULinks), ms)
		if _, _, err := d.Apply(e.Encode(nil, &s, 1, ms, level, false)); err != nil {
			t.Fatal(err)
		}
		r.Update(&d)
	}
	tell(1000, Base)
	if n := len(d.state.block[ScopeGPULink][Detail]) + len(r.kept[ScopeGPULink][Detail].was); n != 0 || d.state.Get(LinkState, links-1) != LinkUp {
		t.Errorf("at base level %d readings above it are held", n)
	}
	tell(2000, Detail)
	tell(3000, Detail)
	if got := r.Rate(LinkTXBytes, links-1); got != 1000<<20 || d.state.Get(LinkState, links-1) != LinkUp {
		t.Errorf("rate %g", got)
	}
	tell(4000, Base)
	if got := d.state.Get(LinkTXBytes, 3); got != Absent {
		t.Errorf("back at base level a detail is still %d", got)
	}
}
