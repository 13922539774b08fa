package collectors

import (
	"context"
	"slices"

	"foretop/collectors/accelerators"
	"foretop/telemetry"
)

// acceleratorReader runs one kind of package accelerators as a source.
type acceleratorReader struct {
	m       *machine
	source  int
	reader  accelerators.Reader
	holders []accelerators.Holder // as last told
}

// acceleratorSources are the entries of the table for all accelerators but NVIDIA's.
func acceleratorSources() []Source {
	var list []Source
	for _, k := range accelerators.Kinds() {
		list = append(list, Source{k.Name, k.Every, func(m *machine) reader {
			return &acceleratorReader{m: m, source: m.sourceIndex(k.Name), reader: k.New(m.forAccelerators())}
		}})
	}
	return list
}

// sourceIndex is the place of a source among those that run.
func (m *machine) sourceIndex(name string) int {
	return slices.IndexFunc(m.options.Sources, func(s Source) bool { return s.Name == name })
}

func (m *machine) forAccelerators() accelerators.Machine {
	a := accelerators.Machine{Root: m.root, Mono: m.clock.MonoMS}
	if m.root.Real() {
		a.Start = func(ctx context.Context, name string, args ...string) (accelerators.Program, error) {
			c, err := startChild(ctx, m.children, name, args...)
			if err != nil {
				return accelerators.Program{}, err
			}
			return accelerators.Program{Out: c.out, Kill: c.kill, End: c.end}, nil
		}
	}
	return a
}

func (r *acceleratorReader) close() { r.reader.Close() }

func (r *acceleratorReader) read(ctx context.Context) error {
	err := r.reader.Read(ctx, r.m.board.detail.Load())
	got := r.reader.Reading()
	b := r.m.board
	b.mu.Lock()
	defer b.mu.Unlock()
	if got.Generation == 0 {
		return err // never any
	}
	s := b.segmentOf(r.source)
	s.gpus, s.parts, s.links, s.unseen = got.GPUs, got.Parts, got.Links, got.Unseen
	b.putSegment(s, &got.State, got.Generation)
	b.latest(telemetry.GroupGPU, got.FastMS)
	b.latest(telemetry.GroupGPUSlow, got.SlowMS)
	b.latest(telemetry.GroupGPULinks, got.LinksMS)
	if !slices.Equal(got.Holders, r.holders) {
		r.holders, s.holders = got.Holders, got.Holders
		b.moved.Store(true)
	}
	return err
}
