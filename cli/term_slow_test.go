package cli

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"foretop/scripts/testbed"
)

// thin is a line of 4 KB a second: some 10 s for each whole picture in full colour.
const thin = 4 << 10

// rare are characters that are nowhere on the screens, so that each stands for the key that typed it and nothing else.
var rare = []rune("ßøæþðđħŋłœŧŀĸµ¶¿")

// Over a thin line a key is seen within half a second: pictures leave the line free nine tenths of the time. A key that falls into a picture on its way
// waits for it, up to a second or two of this line; of 15 keys that may befall three.
func TestTermSlow(t *testing.T) {
	t.Parallel()
	s := testbed.SlowPTY(t, fast, "env", "HOME="+t.TempDir(), foretopProgram(t), "demo")
	s.WaitFor("64 live", 20*time.Second)
	time.Sleep(time.Second)
	s.SetRate(thin)
	// The program learns by the terminal's answers how long the line is.
	time.Sleep(12 * time.Second)
	echoes := echo(t, s)
	slices.Sort(echoes)
	median, p80, p90 := echoes[len(echoes)/2], echoes[len(echoes)*8/10], echoes[len(echoes)*9/10]
	t.Logf("key to echo at 4 KB/s: median %v, 80th percentile %v, 90th %v, all %v", median, p80, p90, echoes)
	if limit := 500*time.Millisecond + slack/5; p80 > limit || p90 > limit+time.Second {
		t.Errorf("too slow")
	}
	s.SetRate(fast)
	s.Type("\x03")
	if code := s.WaitExit(10 * time.Second); code != codeOK {
		t.Errorf("exit code %d", code)
	}
	if err := s.Restored(); err != nil {
		t.Error(err)
	}
}

// echo types into the filter, a key each second and a bit, and gives how long each took to be seen. The first key empties the list, which is a whole new picture; the
// others change nothing but the line that is typed.
func echo(t *testing.T, s *testbed.SlowTerm) (echoes []time.Duration) {
	t.Helper()
	s.Type("/" + string(rare[0]))
	time.Sleep(6 * time.Second)
	for _, r := range rare[1:] {
		echoes = append(echoes, s.Echo(string(r), string(r), 20*time.Second))
		time.Sleep(1300 * time.Millisecond)
	}
	return echoes
}

// A terminal that takes 4 KB a second, and then nothing at all, does not hold the fleet up: every node's newest sample stays young, and snapshots go on.
func TestTermSlowFleetGoesOn(t *testing.T) {
	t.Parallel()
	notes := filepath.Join(t.TempDir(), "ages")
	s := onTerminal(t, fast, "ages "+notes)
	s.WaitFor("32 live", 40*time.Second)
	s.SetRate(thin)
	time.Sleep(10 * time.Second)
	s.SetRate(1) // a closed lid, a stopped terminal: one byte a second
	time.Sleep(8 * time.Second)
	s.SetRate(fast)
	s.Type("\x03")
	s.WaitExit(20 * time.Second)

	f, err := os.Open(notes)
	must(t, err)
	defer f.Close()
	var ages, snapshots []int
	for in := bufio.NewScanner(f); in.Scan(); {
		var live, age, snapshot int
		if _, err := fmt.Sscan(in.Text(), &live, &age, &snapshot); err != nil {
			t.Fatal(err)
		}
		if live == 32 {
			ages, snapshots = append(ages, age), append(snapshots, snapshot)
		}
	}
	if len(ages) < 120 {
		t.Fatalf("%d notes in 18 s with all nodes live", len(ages))
	}
	slices.Sort(ages)
	slices.Sort(snapshots)
	t.Logf("oldest sample of 32 nodes: median %d ms, worst %d ms; snapshot: median %d ms, worst %d ms", ages[len(ages)/2], ages[len(ages)-1], snapshots[len(snapshots)/2], snapshots[len(snapshots)-1])
	if worst := ages[len(ages)*99/100]; worst > 2000+int(slack.Milliseconds()) {
		t.Errorf("a node's newest sample was %d ms old", worst)
	}
}
