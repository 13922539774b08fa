package nvml

import (
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"foretop/collectors/nvml/pipe"
	"foretop/telemetry"
)

// round takes over the rows that came in.
func (r *smiRun) round() {
	if len(r.rows) == 0 {
		return
	}
	s := r.source
	s.mu.Lock()
	defer s.mu.Unlock()
	slots := s.slots(r.rows)
	for k, row := range r.rows {
		i := slots[k]
		if i < 0 {
			continue
		}
		for _, f := range r.fields {
			if f.times > 0 || f.words != nil {
				s.state.Clear(f.metric, i)
			}
		}
		s.state.Set(telemetry.GPUStatus, i, row.status)
		for _, v := range row.readings {
			s.state.Set(v.metric, i, v.value)
		}
	}
	r.rows = r.rows[:0]
	now := s.opt.Mono()
	s.rep.FastMS, s.rep.SlowMS = now, now
	s.rep.Rounds++
	s.heard = time.Now()
	s.rep.Health, s.rep.Text, s.rep.Remedy, s.rep.StuckFor = OK, s.note, "", 0
}

// slots gives each row its place in the inventory, by UUID, and renews the inventory when a row says something new. Called with the lock held.
func (s *Source) slots(rows []smiRow) []int {
	inv := Inventory{}
	if s.rep.Inventory != nil {
		inv = *s.rep.Inventory
		inv.GPUs = slices.Clone(inv.GPUs)
	}
	changed := s.rep.Inventory == nil
	out := make([]int, len(rows))
	for k, row := range rows {
		i := slices.IndexFunc(inv.GPUs, func(g GPU) bool {
			return g.UUID == row.gpu.UUID && g.UUID != "" || row.gpu.UUID == "" && g.PCI == row.gpu.PCI
		})
		if i < 0 && row.gpu.PCI == "" && row.index < len(inv.GPUs) { // nothing but its number is left of it
			i = row.index
		}
		if i < 0 && len(inv.GPUs) < pipe.MaxGPUs {
			i = len(inv.GPUs)
			row.gpu.NUMANode, row.gpu.CPUs = pipe.NUMANode(s.opt.Root, row.gpu.PCI), pipe.CPUs(s.opt.Root, row.gpu.PCI)
			inv.GPUs = append(inv.GPUs, row.gpu)
			changed = true
		}
		if out[k] = i; i < 0 {
			continue
		}
		g := &inv.GPUs[i]
		if row.driver != "" && inv.Driver != row.driver {
			inv.Driver, changed = row.driver, true
		}
		if g.Note != row.note {
			g.Note, changed = row.note, true
		}
		if now := row.gpu; row.note == "" && (g.MIG != now.MIG || g.FabricCluster != now.FabricCluster || g.FabricClique != now.FabricClique) {
			g.MIG, g.FabricCluster, g.FabricClique, changed = now.MIG, now.FabricCluster, now.FabricClique, true
		}
	}
	if changed {
		s.rep.Inventory = &inv
		s.rep.Generation++
		for _, sc := range pipe.Scopes {
			s.state.Resize(sc, inv.Count(sc))
		}
	}
	return out
}

// askApps asks once which processes compute, unless the last question is still out.
func (r *smiRun) askApps(ctx context.Context) {
	if r.apps != nil && !r.apps.dead(0) {
		return
	}
	c, err := spawn(r.path, []string{"--query-compute-apps=gpu_uuid,pid,used_memory", "--format=csv,noheader,nounits"}, r.source.opt.Env, false)
	if err != nil {
		return
	}
	r.apps = c
	stop := context.AfterFunc(ctx, c.closePipes)
	go func() {
		defer stop()
		out, err := io.ReadAll(io.LimitReader(c.stdout, smiMaxApps))
		if !c.dead(silentAfter) || c.err != nil || err != nil && !errors.Is(err, io.EOF) {
			return
		}
		s := r.source
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.rep.Inventory != nil {
			s.rep.Processes, s.rep.ProcessesKnown = parseSMIApps(string(out), s.rep.Inventory.GPUs), true
			s.countProcesses()
		}
	}()
}

// countProcesses fills telemetry.GPUProcesses. Called with the lock held.
func (s *Source) countProcesses() {
	n := make([]int64, s.state.Count(telemetry.ScopeGPU))
	for _, p := range s.rep.Processes {
		n[p.GPU]++
	}
	for i, v := range n {
		s.state.Set(telemetry.GPUProcesses, i, v)
	}
}
