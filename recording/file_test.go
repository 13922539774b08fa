package recording

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"foretop/fleet"
	"foretop/simfleet"

	"github.com/google/go-cmp/cmp"
)

// recordFile records some seconds of a fleet into a file, and gives what was shown at each.
func recordFile(t testing.TB, nodes, seconds int, seed uint64) (path string, shown map[time.Duration]*fleet.Snapshot) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "a.foretop")
	w, err := Create(path, About{Title: "test", Version: "v0"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := newSim(t, nodes, seed, simfleet.Demo(), Options{Keep: time.Minute, Write: w.Write, Found: w.Found})
	shown = map[time.Duration]*fleet.Snapshot{}
	for range seconds {
		snap := s.step()
		shown[s.at] = snap
	}
	s.rec.Flush()
	s.fleet.Close()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return path, shown
}

func TestFileShowsWhatWasShown(t *testing.T) {
	t.Parallel()
	path, shown := recordFile(t, 12, 150, 3)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode: %v, %v", info, err)
	}
	if _, err := Create(path, About{}, nil); err == nil || !strings.Contains(err.Error(), "nothing is written over") {
		t.Fatalf("it was written over: %v", err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if f.About().Title != "test" || f.About().Version != "v0" {
		t.Errorf("about: %+v", f.About())
	}
	p := f.Past(replay())
	defer p.Close()
	from, to, kept, ok := p.Span()
	if !ok || to.Sub(from) < 149*time.Second || !strings.HasPrefix(kept, "recorded, 2 min") {
		t.Errorf("span %v to %v, %q, %t", from, to, kept, ok)
	}
	for _, at := range []int{150, 3, 62, 100, 61, 149} {
		d := time.Duration(at) * time.Second
		got, err := p.At(context.Background(), noon.Add(d))
		if err != nil {
			t.Fatalf("after %d s: %v", at, err)
		}
		if d := unlike(shown[d], got); d != "" {
			t.Fatalf("after %d s: %s", at, d)
		}
	}
	var nothing *NothingError
	if _, err := p.At(context.Background(), noon.Add(-time.Minute)); !errors.As(err, &nothing) {
		t.Errorf("before its beginning: %v", err)
	}
	marks := p.Marks()
	if len(marks) == 0 {
		t.Fatal("no finding is marked")
	}
	for i, m := range marks {
		if m.Severity < fleet.Warning || m.Text == "" || i > 0 && m.At.Before(marks[i-1].At) {
			t.Errorf("mark %d: %+v", i, m)
		}
	}
}

// A file's history is what the fleet itself remembered, but for the steps in which rates are recorded.
func TestHistoryOfAFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.foretop")
	w, err := Create(path, About{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := newSim(t, 4, 5, simfleet.Healthy(), Options{Write: w.Write})
	for range 130 {
		s.step()
	}
	name := s.nodes[0].Name()
	type ask struct {
		gpu    int
		series fleet.SeriesID
	}
	asks := []ask{{0, fleet.SeriesPower}, {3, fleet.SeriesUtil}, {1, fleet.SeriesNet}, {-1, fleet.SeriesCPU}, {-1, fleet.SeriesHostNet}}
	want := map[ask][]float64{}
	for _, a := range asks {
		want[a] = s.fleet.History(fleet.Query{Node: name, GPU: a.gpu, Series: a.series, Span: 100 * time.Second, Points: 50})
	}
	s.rec.Flush()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p := f.Past(replay())
	defer p.Close()
	live := s.rec.Past(s.fleet, replay())
	for _, a := range asks {
		q := fleet.Query{Node: name, GPU: a.gpu, Series: a.series, Span: 100 * time.Second, Points: 50}
		for which, got := range map[string][]float64{"file": p.History(noon.Add(s.at), q), "memory": live.History(noon.Add(s.at), q)} {
			if len(got) != 50 {
				t.Fatalf("%s: %d points", which, len(got))
			}
			for i, v := range got {
				w := want[a][i]
				if v != v != (w != w) || v == v && (v-w > 0.1*w+1 || w-v > 0.1*w+1) {
					t.Errorf("%s: GPU %d series %d point %d: %v, want %v", which, a.gpu, a.series, i, v, w)
				}
			}
		}
	}
	if got := p.History(noon.Add(60*time.Second), fleet.Query{Node: name, GPU: 0, Series: fleet.SeriesPower, Span: 30 * time.Second, Points: 30}); len(got) != 30 || got[29] != got[29] {
		t.Errorf("an earlier moment's: %v", got)
	}
}

func TestTornTail(t *testing.T) {
	t.Parallel()
	path, shown := recordFile(t, 1, 75, 2)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	last := f.spans[len(f.spans)-1]
	begin := last.blocks[0].at // of the last segment
	f.Close()
	ends := map[int]bool{} // of blocks, those that name findings too: a cut there is none
	for at := int(begin); at < len(whole); {
		h, err := parseHead(whole[at:])
		if err != nil {
			t.Fatal(err)
		}
		at += blockHeader + h.length
		ends[at] = true
	}
	cut := filepath.Join(t.TempDir(), "cut.foretop")
	step := 1
	if os.Getenv("FORETOP_SOAK") == "" {
		step = max(1, (len(whole)-int(begin))/120)
	}
	for n := int(begin); n < len(whole); n += step {
		if err := os.WriteFile(cut, whole[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := Open(cut)
		if err != nil {
			t.Fatalf("cut at %d: %v", n, err)
		}
		p := f.Past(replay())
		from, to, _, ok := p.Span()
		if !ok || to.Sub(from) < 55*time.Second {
			t.Fatalf("cut at %d: from %v to %v", n, from, to)
		}
		if torn, _ := f.Torn(); torn == 0 && n != int(begin) && !ends[n] {
			t.Fatalf("cut at %d: it does not say so", n)
		}
		if n%7 == 0 { // the end, to the second
			if _, err := p.At(context.Background(), to); err != nil {
				t.Fatalf("cut at %d: %v", n, err)
			}
		}
		f.Close()
	}
	// What is overwritten in the middle costs its own segment.
	broken := bytes.Clone(whole)
	for i := 200; i < 400; i++ {
		broken[int(f.spans[0].blocks[0].at)+i] ^= 0x5a
	}
	if err := os.WriteFile(cut, broken, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err = Open(cut)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p := f.Past(replay())
	if _, err := p.At(context.Background(), noon.Add(5*time.Second)); err == nil {
		t.Error("damage is passed over in silence")
	}
	got, err := p.At(context.Background(), noon.Add(75*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	if d := unlike(shown[75*time.Second], got); d != "" {
		t.Errorf("after damage: %s", d)
	}
}

func TestWhatIsNoRecording(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for text, want := range map[string]string{
		"":                        "is no recording",
		"hello":                   "is no recording",
		"foretop recording 1\n":   "holds nothing",
		"foretop recording 2\n":   "format 2, this one reads 1): replay it with that version",
		"foretop recording x\n":   "format unknown",
		"foretop recording 1\nFT": "holds nothing",
	} {
		path := filepath.Join(dir, "x")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	if _, err := Open(dir); err == nil {
		t.Error("a folder is taken")
	}
}

func TestSavedAroundCriticalFindings(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "incidents")
	var saver *Saver
	s := newSim(t, 8, 1, simfleet.Demo(), Options{Found: func(m Mark) { saver.Found(m) }})
	var saved []string
	saver = NewSaver(SaverOptions{Recorder: s.rec, Folder: folder, Files: 2, Bytes: 1 << 30, Saved: func(path string, err error) {
		if err != nil {
			t.Error(err)
		}
		saved = append(saved, path)
	}})
	for range 400 {
		saver.Check(s.step().At)
	}
	saver.writing.Wait()
	if len(saved) != 1 {
		t.Fatalf("%d files after 400 s", len(saved))
	}
	info, err := os.Stat(saved[0])
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", info, err)
	}
	f, err := Open(saved[0])
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p := f.Past(replay())
	from, to, _, _ := p.Span()
	marks := p.Marks()
	if to.Sub(from) < 300*time.Second || to.Sub(from) > 11*time.Minute || len(marks) == 0 {
		t.Errorf("from %v to %v, %d marks", from, to, len(marks))
	}
	if _, err := p.At(context.Background(), to); err != nil {
		t.Error(err)
	}
	saver.Close() // what began since is saved as far as it goes
	entries, err := os.ReadDir(folder)
	if err != nil || len(entries) == 0 || len(entries) > 2 {
		t.Errorf("%d files, %v", len(entries), err)
	}
}

func TestPruneKeepsTheNewest(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"incident-20260101-000000-a.foretop", "incident-20260102-000000-b.foretop", "incident-20260103-000000-c.foretop", "notes.txt"} {
		if err := os.WriteFile(filepath.Join(dir, name), make([]byte, 100), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := prune(dir, filepath.Join(dir, "incident-20260103-000000-c.foretop"), 10, 150); err != nil {
		t.Fatal(err)
	}
	entries, _ := os.ReadDir(dir)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if want := []string{"incident-20260103-000000-c.foretop", "notes.txt"}; !cmp.Equal(names, want) {
		t.Errorf("left: %q, want %q", names, want)
	}
}
