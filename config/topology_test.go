package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTopology(t *testing.T) {
	g := Groups{"hall": "gpu[1-2]"}
	top := Topology{"rack": {"r1": "gpu[1-2]", "r2": "gpu3"}, "power feed": {"a": "@hall"}}
	if err := top.validate(g); err != nil {
		t.Fatal(err)
	}
	want := map[string][]string{"gpu1": {"power feed a", "rack r1"}, "gpu2": {"power feed a", "rack r1"}, "gpu3": {"rack r2"}}
	if diff := cmp.Diff(want, top.Places(g)); diff != "" {
		t.Error(diff)
	}
	for want, bad := range map[string]Topology{
		"topology.rack.r1": {"rack": {"r1": "gpu[1-"}}, "topology.r/ck": {"r/ck": {"r1": "gpu1"}}, "topology.rack.r 1": {"rack": {"r 1": "gpu1"}}, "@nowhere": {"rack": {"r1": "@nowhere"}},
	} {
		if err := bad.validate(g); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v", bad, err)
		}
	}
}
