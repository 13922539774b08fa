package recording

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"foretop/fleet"
	"foretop/telemetry"
)

// Whatever stands in a file, reading it ends, takes no more memory than is allowed, and shows clean text or an error.
func FuzzFile(f *testing.F) {
	path, _ := recordFile(f, 2, 12, 1)
	whole, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add(whole[:len(whole)/2])
	f.Add([]byte(fileLine()))
	f.Fuzz(func(t *testing.T, b []byte) {
		path := filepath.Join(t.TempDir(), "x")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := Open(path)
		if err != nil {
			return
		}
		defer r.Close()
		look(t, r)
	})
}

// FuzzRecords puts bytes where a block's streams are: what a sum would catch in a file is let through.
func FuzzRecords(f *testing.F) {
	path, _ := recordFile(f, 1, 34, 1)
	r, err := Open(path)
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range r.spans { // the second begins with a keyframe
		data, err := s.blocks[0].load()
		if err != nil {
			f.Fatal(err)
		}
		src, err := open(s.blocks[0].head, data, new([]byte))
		if err != nil {
			f.Fatal(err)
		}
		columns := []byte{}
		for _, c := range src.columns {
			columns = append(columns, c.b...)
		}
		f.Add(src.spine.b, src.times.b, src.heads.b, src.words.b, columns)
	}
	r.Close()
	f.Add([]byte{recSample, 0, recNode | keyBit, 0}, []byte{0, 0}, []byte{3, 1, 1, 1, 1}, []byte{2, '{', '}'}, []byte{1, 2, 3})
	f.Fuzz(func(t *testing.T, spine, times, heads, words, columns []byte) {
		s := newStreams(0)
		s.spine, s.times, s.heads, s.words = spine, times, heads, words
		for i := range s.columns { // each gets some
			n := min(len(columns), len(columns)/8+16)
			s.columns[i], columns = columns[:n], columns[n:]
		}
		b := s.seal(blockKey, 0, time.Hour.Microseconds())
		r := &File{spans: []span{{from: 0, blocks: []stored{{head: b.head, data: b.data}}}}}
		look(t, r)
	})
}

// look shows the end of a recording, and one moment before it.
func look(t *testing.T, r *File) {
	p := r.Past(replay())
	defer p.Close()
	from, to, _, _ := p.Span()
	for _, at := range []time.Time{from, to} {
		s, err := p.At(context.Background(), at)
		if err != nil {
			continue
		}
		for _, n := range s.Nodes {
			for _, text := range []string{n.Name, n.Cause, n.Remedy, n.Banner} {
				if text != telemetry.Clean(text, len(text)+8) {
					t.Errorf("raw text %q", text)
				}
			}
			for _, f := range n.Problems {
				if f.Text != telemetry.Clean(f.Text, len(f.Text)+8) || f.GPU >= len(n.GPUs) || f.Port >= len(n.Ports) {
					t.Errorf("problem %+v", f)
				}
			}
		}
		p.History(at, fleet.Query{Node: "gpu001", GPU: 0, Span: time.Minute, Points: 10})
	}
}
