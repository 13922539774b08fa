package ui

import (
	"strings"
	"testing"

	"foretop/fleet"
)

func TestFilterNodes(t *testing.T) {
	snap := hang()
	for _, c := range []struct {
		filter string
		want   int
	}{
		{"", 64}, {"gpu017", 1}, {"GPU017", 1}, {"gpu01", 10}, {"!gpu01", 54}, {"state=lost", 1}, {"state!=live", 2}, {"STATE=Lost", 1},
		{"job=8123", 32}, {"job=slurm/8123", 32}, {"job=812*", 33}, {"user=ann", 32}, {"user=nobody", 0}, {"xid=79", 1}, {"xid>0", 1},
		{"node=gpu00?", 9}, {"gpu.temp>60", 47}, {"gpu.temp>61", 0}, {"temp>=61 user=bob", 3}, {"gpus=8", 64}, {"mem.used>60G", 32}, {"cpu>20%", 64},
		{"util<10 job=8127", 1}, {"problem=critical", 2}, {"problem!=fine", 4}, {"note=*bus*", 1}, {"bus", 1}, {`"no route"`, 1}, {"user=", 64}, {"util<", 64},
		{"ram.used>400G ram.used<500g", 64}, {"net>300", 64}, {"gpu.ecc>0", 0}, {"gpu.tensor<1 gpu.util>99", 32},
	} {
		f, err := parseFilter(c.filter, nodeFields())
		if err != nil {
			t.Errorf("%q: %v", c.filter, err)
			continue
		}
		got := 0
		for _, n := range snap.Nodes {
			if f.holds(n) {
				got++
			}
		}
		if got != c.want {
			t.Errorf("%q chooses %d nodes, want %d", c.filter, got, c.want)
		}
	}
}

func TestFilterJobs(t *testing.T) {
	snap := hang()
	for _, c := range []struct{ filter, want string }{
		{"user=bob", "8130 8127"}, {"user=bob state=idle", "8127"}, {"power<25", "8123 8127"}, {"gpus>=32 power>50", "8131 8140"}, {"missing>0", "8140"},
		{"node=gpu017", "8123"}, {"llama", "8123"}, {"torchrun", "8123 8130 8131"}, {"framework=mpi", "8140"}, {"problem=critical", "8123"}, {"idle>0", "8127"},
		{"net>100", "8131"}, {"gpu.util=100", "8123"}, {"state=suspect", "8123 8130"}, {"name=*very*", "8140"}, {"job=8131", "8131"}, {"zzz", ""},
	} {
		f, err := parseFilter(c.filter, jobFields())
		if err != nil {
			t.Errorf("%q: %v", c.filter, err)
			continue
		}
		var got []string
		for _, j := range snap.Jobs {
			if f.holds(j) {
				got = append(got, j.ID)
			}
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%q chooses %q, want %q", c.filter, s, c.want)
		}
	}
}

func TestFilterErrors(t *testing.T) {
	for filter, want := range map[string]string{
		"utl<10": `did you mean util?`, "gpu.tmp>85": "did you mean gpu.temp?", "user<ann": "user is a word: write user=ann", "util<abc": `util is a number: "abc" is none`,
		`"open`: `a " is not closed`, "qqqqqqqq=1": "there are node host state", "util<nan": "util is a number",
	} {
		if _, err := parseFilter(filter, nodeFields()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want %q", filter, err, want)
		}
	}
}

// TestAbsentIsNeverChosen shows that a number that is not there is neither small nor large.
func TestAbsentIsNeverChosen(t *testing.T) {
	n := &fleet.Node{Name: "n", GPUs: []fleet.GPU{{UtilPct: fleet.None(), TempC: fleet.None()}}}
	for _, s := range []string{"util<10", "util>=0", "gpu.temp>0", "gpu.temp<1000", "temp=0"} {
		f, err := parseFilter(s, nodeFields())
		if err != nil || f.holds(n) {
			t.Errorf("%q chooses a node that does not tell (%v)", s, err)
		}
	}
}

// FuzzFilter shows that whatever is typed is either understood or refused in words, and that what is understood can be asked of every row.
func FuzzFilter(f *testing.F) {
	for _, s := range []string{"user=ann util<10 state=lost gpu.temp>85 job=8123", `"a b" !c`, "node=gpu[0-9]*", "mem.used>1.5T", "=", "a==b", "x!=", "[", "node=[", "!", "\x00=\xff"} {
		f.Add(s)
	}
	snap := hang()
	nodes, jobs := nodeFields(), jobFields()
	f.Fuzz(func(t *testing.T, s string) {
		nf, nodeErr := parseFilter(s, nodes)
		jf, jobErr := parseFilter(s, jobs)
		if nodeErr != nil && nodeErr.Error() == "" || jobErr != nil && jobErr.Error() == "" {
			t.Fatalf("%q is refused without a word", s)
		}
		for _, n := range snap.Nodes[14:18] {
			nf.holds(n)
		}
		for _, j := range snap.Jobs {
			jf.holds(j)
		}
	})
}
