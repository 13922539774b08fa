package collectors

import (
	"fmt"
	"testing"

	"foretop/collectors/kernfs"
)

// At base level ranks alone are looked at, and told when one of them stops, or begins or ceases to do something: not each time.
func TestUsageOfRanksIsToldAtBaseLevel(t *testing.T) {
	root := kernfs.Root(t.TempDir())
	write(t, root, "proc/uptime", "1000.0 1\n")
	fakeProc(t, root, 10, 1, "python3", "python3 t.py", "RANK=1 LOCAL_RANK=1 WORLD_SIZE=2", "/", 10)
	fakeProc(t, root, 11, 1, "firefox", "firefox", "", "/", 10)
	p := play(t, root, sourcesOf("process"))
	p.walk()
	r := newUsage(p.m)
	ticks := 100
	step := func(state string, busy bool) (told string) {
		for range stateEvery {
			p.ms.Add(2000)
		}
		if busy {
			ticks += 500
		}
		write(t, root, "proc/10/stat", fmt.Sprintf("10 (python3) %s 1 1 1 0 -1 4194304 0 0 0 0 %d 5 0 0 20 0 1 0 10 0 100 0\n", state, ticks))
		p.m.board.usage = nil
		for range stateEvery {
			if err := r.read(p.ctx); err != nil {
				t.Fatal(err)
			}
		}
		if u := p.m.board.usage; u != nil {
			for _, one := range u.Told {
				told += fmt.Sprintf("%d %s %t;", one.Pid, one.State, one.CpuPermille >= busyPermille)
			}
			if len(u.Top) > 0 {
				t.Errorf("others are told: %v", u.Top)
			}
		}
		return told
	}
	for i, c := range []struct {
		state string
		busy  bool
		want  string
	}{
		{"R", true, ""}, // how busy it is takes two looks
		{"R", true, "10 R true;"}, {"S", true, ""}, {"R", true, ""},
		{"T", false, "10 T false;"}, {"T", false, ""},
		{"S", true, "10 S true;"}, {"S", false, "10 S false;"}, {"S", false, ""},
	} {
		if got := step(c.state, c.busy); got != c.want {
			t.Errorf("look %d: %q, want %q", i, got, c.want)
		}
	}
	var again string
	for range 11 {
		again += step("S", false)
	}
	if again == "" {
		t.Error("not told again within a minute")
	}
}
