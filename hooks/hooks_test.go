package hooks

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"foretop/config"
	"foretop/fleet"
)

func TestAFindingIsToldOnce(t *testing.T) {
	p := serve(t, nil)
	state := filepath.Join(t.TempDir(), "state", "hooks.json")
	hook := config.Hook{Name: "a", URL: p.URL}
	s := open(t, state, hook)
	for range 5 {
		s.Look(wrong("gpu017"))
		s.pass(time.Second)
	}
	eventually(t, "the finding is told", func() bool { return len(p.got()) > 0 })
	s.Look(wrong("gpu017", "gpu018"))
	eventually(t, "the second is told", func() bool { return len(p.got()) == 2 })
	e := p.events(t)
	if e[0].Kind != Began || e[0].ID != "hw.gpu.lost@gpu017/GPU3" || e[0].Severity != "critical" || e[0].Node != "gpu017" || e[0].GPU != 3 || e[0].Remedy != "drain it" || e[0].Cause != "hardware" ||
		e[0].Evidence[0] != "NVRM: Xid 79" || e[0].Fleet != "gpu[001-064]" || e[0].Host != "login1" || !e[0].Since.Equal(noon) || e[1].Node != "gpu018" {
		t.Errorf("%+v", e)
	}
	if kind := p.headers[0].Get("Content-Type"); kind != "application/json" {
		t.Errorf("content type %s", kind)
	}
	s.Close()
	if info, err := os.Stat(state); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", info, err)
	}

	// A restart later it still stands: nothing is told. Something new is.
	s.pass(30 * time.Hour)
	s.start(t, state, hook)
	s.Look(wrong("gpu017", "gpu018"))
	s.Look(wrong("gpu017", "gpu018", "gpu019"))
	eventually(t, "the third is told", func() bool { return len(p.got()) == 3 })
	if e := p.events(t); e[2].Node != "gpu019" {
		t.Errorf("%+v", e[2])
	}
}

func TestWhatComesAgainIsToldAfterAWhile(t *testing.T) {
	p := serve(t, nil)
	s := open(t, "", config.Hook{Name: "a", URL: p.URL, Again: 10 * time.Minute, Over: true})
	s.Look(wrong("gpu017"))
	eventually(t, "it is told", func() bool { return len(p.got()) == 1 })
	eventually(t, "it is known to be told", func() bool {
		s.told.mu.Lock()
		defer s.told.mu.Unlock()
		return s.told.told["a"]["hw.gpu.lost@gpu017/GPU3"].delivered
	})
	s.pass(30 * time.Second)
	s.Look(wrong())
	s.pass(20 * time.Second)
	s.Look(wrong("gpu017")) // it flaps
	s.pass(30 * time.Second)
	s.Look(wrong())
	s.pass(time.Minute)
	s.Look(wrong())
	eventually(t, "that it is over is told", func() bool { return len(p.got()) == 2 })
	s.pass(11 * time.Minute)
	s.Look(wrong("gpu017"))
	eventually(t, "it is told again", func() bool { return len(p.got()) == 3 })
	if e := p.events(t); e[1].Kind != Over || e[2].Kind != Began {
		t.Errorf("%+v", e)
	}
}

func TestIncidentsAreToldInPlaceOfFindings(t *testing.T) {
	p := serve(t, nil)
	s := open(t, "", config.Hook{Name: "a", URL: p.URL, MinSeverity: "warning", Rules: []string{"job.*"}, Over: true})
	s.opt.Incidents = true
	snap := wrong("gpu017")
	snap.Jobs = []*fleet.Job{{Key: "slurm/8123", ID: "8123", Name: "llama3", User: "ann"}}
	in := fleet.Incident{
		ID: "hw.xid 79@GPU-5c1f", Title: "GPU3 on gpu017 fell off the bus → job 8123 hung 41 s later", Severity: fleet.Warning, Since: noon, Nodes: []string{"gpu017"}, Jobs: []string{"slurm/8123"},
		Members: []fleet.Finding{
			{Rule: "hw.xid", Subject: fleet.Subject{Node: "gpu017", GPU: 3, UUID: "GPU-5c1f", Port: -1}, Severity: fleet.Critical, Text: "fell off the bus", Since: noon, Remedy: "drain it"},
			{Rule: "job.hang", Subject: fleet.Subject{Job: "slurm/8123", ID: "8123", GPU: -1, Port: -1}, Severity: fleet.Warning, Text: "no progress", Since: noon.Add(41 * time.Second)},
		},
	}
	show := func(change func(*fleet.Incident)) {
		s.pass(time.Second)
		now := in
		change(&now)
		next := *snap
		next.At, next.Incidents = s.now(), []fleet.Incident{now}
		s.Look(&next)
	}
	show(func(i *fleet.Incident) { i.Mark = fleet.Mark{Kind: fleet.Snoozed, Until: s.now().Add(time.Second)} })
	show(func(i *fleet.Incident) { i.Members = i.Members[:1] }) // none of its rules is wanted
	show(func(*fleet.Incident) {})
	eventually(t, "it is told", func() bool { return len(p.got()) == 1 })
	show(func(i *fleet.Incident) { i.Severity = fleet.Critical })
	eventually(t, "that it is worse is told", func() bool { return len(p.got()) == 2 })
	for range 90 { // it is not over because somebody said that he knows
		show(func(i *fleet.Incident) { i.Severity, i.Mark = fleet.Critical, fleet.Mark{Kind: fleet.Acknowledged} })
	}
	show(func(i *fleet.Incident) { i.Until = s.now() })
	s.pass(2 * time.Minute)
	show(func(i *fleet.Incident) { i.Until = s.now() })
	eventually(t, "that it is over is told", func() bool { return len(p.got()) == 3 })
	e := p.events(t)
	if e[0].Kind != Began || e[0].ID != in.ID || e[0].Title != in.Title || !e[0].Incident || len(e[0].Findings) != 2 || e[0].JobName != "llama3" || e[0].User != "ann" || e[0].GPUUUID != "GPU-5c1f" ||
		e[1].Kind != Worse || e[1].Severity != "critical" || e[2].Kind != Over {
		t.Errorf("%+v", e)
	}
}

func TestWhatIsTooMuchComesAsOneSummary(t *testing.T) {
	p := serve(t, nil)
	s := open(t, "", config.Hook{Name: "a", URL: p.URL, Burst: 3, PerHour: 60, MinSeverity: "warning"})
	s.Look(wrong(named(300)...)) // 600 findings
	eventually(t, "the summary is told", func() bool { return len(p.got()) == 3 })
	e := p.events(t)
	if e[0].Kind != Began || e[1].Kind != Began || e[2].Kind != Summary || e[2].Count != 598 || e[2].Critical != 298 || e[2].Warning != 300 || len(e[2].First) != maxFirst || e[2].Severity != "critical" ||
		!strings.HasPrefix(e[2].Title, "598 more: 298 critical") {
		t.Errorf("%+v", e[2])
	}
	s.pass(30 * time.Second) // half of one
	s.Look(wrong(append(named(300), "another", "third")...))
	s.pass(31 * time.Second)
	eventually(t, "there is room again", func() bool { return len(p.got()) == 4 })
	if e := p.events(t)[3]; e.Kind != Summary || e.Count != 4 {
		t.Errorf("%+v", e)
	}
}

func TestAServerThatFailsIsTriedAgain(t *testing.T) {
	p := serve(t, func(w http.ResponseWriter, _ *http.Request, n int) {
		if n < 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	s := open(t, "", config.Hook{Name: "a", URL: p.URL, Tries: 2})
	s.Look(wrong("gpu017"))
	eventually(t, "it is said", func() bool { return strings.Contains(s.said.text(), "503") })
	if n := len(p.got()); n != 2 {
		t.Fatalf("%d tries", n)
	}
	s.pass(time.Minute) // it is left alone for a while, then it comes after all
	eventually(t, "it is told", func() bool { return strings.Contains(s.said.text(), "works again") })
	e := p.events(t)
	if last := e[len(e)-1]; len(e) != 4 || last.Kind != Began || last.Node != "gpu017" {
		t.Errorf("%+v", e)
	}
}

func TestARefusalIsNotTriedAgain(t *testing.T) {
	p := serve(t, func(w http.ResponseWriter, _ *http.Request, _ int) { w.WriteHeader(http.StatusForbidden) })
	s := open(t, "", config.Hook{Name: "a", URL: p.URL, Tries: 5})
	s.Look(wrong("gpu017"))
	eventually(t, "it is said", func() bool { return strings.Contains(s.said.text(), "403 Forbidden") })
	if n := len(p.got()); n != 1 {
		t.Errorf("%d tries", n)
	}
}

// TestAHookThatHangsCostsNobody shows snapshots while a server never answers: each comes back, the other hook is served, and all ends.
func TestAHookThatHangsCostsNobody(t *testing.T) {
	free := make(chan struct{})
	hung := serve(t, func(http.ResponseWriter, *http.Request, int) { <-free })
	t.Cleanup(func() { close(free) }) // before the server is closed
	well := serve(t, nil)
	s := open(t, "", config.Hook{Name: "hung", URL: hung.URL, Timeout: time.Minute}, config.Hook{Name: "well", URL: well.URL})
	snap := wrong(named(200)...)
	for range 200 {
		s.Look(snap)
	}
	eventually(t, "the other one is told", func() bool { return len(well.got()) == defaultBurst })
	if n := len(hung.got()); n > 1 {
		t.Errorf("%d requests at once", n)
	}
	s.Close()
	s.Look(wrong("late"))
}

// TestAStateFileThatIsNone is read, and replaced.
func TestAStateFileThatIsNone(t *testing.T) {
	p := serve(t, nil)
	state := filepath.Join(t.TempDir(), "hooks.json")
	for _, text := range []string{"", "{", `{"version": 9}`, `{"version":1,"told":{"a":{"x":{"severity":"dire"}}}}`} {
		if err := os.WriteFile(state, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		before := len(p.got())
		s := open(t, state, config.Hook{Name: "a", URL: p.URL})
		s.Look(wrong("gpu017"))
		eventually(t, "it is told", func() bool { return len(p.got()) == before+1 })
		s.Close()
		if b, err := os.ReadFile(state); err != nil || !strings.Contains(string(b), "hw.gpu.lost@gpu017/GPU3") {
			t.Errorf("%s: %s, %v", text, b, err)
		}
	}
	// One that cannot be written is said once, and nothing else suffers.
	s := open(t, filepath.Join(state, "below"), config.Hook{Name: "a", URL: p.URL})
	s.Look(wrong("gpu017"))
	eventually(t, "it is told", func() bool { return len(p.got()) == 5 })
	s.Close()
	if !strings.Contains(s.said.text(), "may be told again") {
		t.Errorf("%q", s.said.text())
	}
}

func FuzzBook(f *testing.F) {
	f.Add(`{"version":1,"saved":"2026-03-01T12:00:00Z","told":{"a":{"x@y":{"severity":"critical","seen":"2026-03-01T11:59:00Z","stands":true}}}}`)
	f.Add(`{"version":1,"told":{"a":null}}`)
	f.Fuzz(func(t *testing.T, text string) {
		b := &book{told: map[string]map[string]*entry{}}
		if b.parse([]byte(text), noon) != nil {
			return
		}
		for hook, told := range b.told {
			if len(told) > maxBookEntries {
				t.Fatalf("%d entries", len(told))
			}
			for id := range told {
				b.stands(hook, &candidate{id: id, severity: fleet.Critical, event: func() Event { return Event{ID: id} }}, noon, time.Hour)
			}
		}
		b.dirty = true
		again, err := b.text()
		if err != nil {
			t.Fatal(err)
		}
		if err := (&book{told: map[string]map[string]*entry{}}).parse(again, noon); err != nil {
			t.Fatalf("%s: %v", again, err)
		}
	})
}
