package sshpool

import "testing"

func TestLastHop(t *testing.T) {
	for jumps, want := range map[string]string{
		"": "", "login1": "login1", "ann@login1:2222": "login1", "a,ann@b:22": "b", "ssh://ann@login1:22": "login1", "ann@[fe80::1]:22": "fe80::1", "fe80::1": "fe80::1", "[": "[",
	} {
		if got := lastHop(jumps); got != want {
			t.Errorf("%q: %q, not %q", jumps, got, want)
		}
	}
}
