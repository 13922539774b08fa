package nvml

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"time"

	"foretop/collectors/nvml/pipe"
	"foretop/telemetry"
)

const (
	smiSilentAfter = 10 * time.Second // where its output is block-buffered, seconds of it come at once
	smiRoundEnds   = 150 * time.Millisecond
	smiApps        = 10 * time.Second
	smiMaxLine     = 8 << 10
	smiMaxApps     = 256 << 10
)

// Where nvidia-smi lies when the PATH of a non-interactive login does not have it.
var smiFolders = []string{"/usr/bin", "/usr/local/bin", "/usr/local/nvidia/bin", "/usr/lib/wsl/lib", "/opt/bin", "/run/current-system/sw/bin"}

// runSMI streams nvidia-smi until ctx ends, because of why. It is started once and left running (-l 1), never once a reading.
func (s *Source) runSMI(ctx context.Context, why string) {
	s.mu.Lock()
	s.note, s.slack = "nvidia-smi is used: "+clean(why, maxText-32), smiSilentAfter
	s.mu.Unlock()
	path, err := s.findSMI()
	if err != nil {
		w := words{health: Unsupported, text: "no NVIDIA driver"}
		if pipe.PCIGPUs(s.opt.Sys) > 0 {
			w = words{health: Failing, text: clean(why, maxText-40) + "; nor is there an nvidia-smi"}
		}
		s.say(w)
		return
	}
	run := &smiRun{source: s, path: path, fields: slices.Clone(smiFields)}
	pause := s.pauses[0]
	for ctx.Err() == nil {
		begin := time.Now()
		again := run.stream(ctx)
		if time.Since(begin) > livedLong {
			pause = s.pauses[0]
		}
		if again { // the question was wrong, not the driver
			continue
		}
		if !sleep(ctx, pause) {
			return
		}
		pause = min(2*pause, s.pauses[1])
	}
}

func (s *Source) findSMI() (string, error) {
	if s.opt.SMI != "" {
		return exec.LookPath(s.opt.SMI)
	}
	path, err := exec.LookPath("nvidia-smi")
	for _, folder := range smiFolders {
		if err == nil {
			break
		}
		path, err = exec.LookPath(folder + "/nvidia-smi")
	}
	return path, err
}

// smiRun is what is known of nvidia-smi over its lives.
type smiRun struct {
	source *Source
	path   string
	fields []smiField
	lost   []string // UUIDs of GPUs that make nvidia-smi give up on all: left out
	only   []string // UUIDs to ask about; empty: all
	rows   []smiRow // of the round that is coming in
	apps   *child   // the running question for processes
	told   bool     // a complaint that is no single GPU's was told
}

// stream has one nvidia-smi from its start until it is dead. It is true when it should start again at once.
func (r *smiRun) stream(ctx context.Context) (again bool) {
	names := make([]string, len(r.fields))
	for i, f := range r.fields {
		names[i] = f.name
	}
	args := []string{"--query-gpu=" + strings.Join(names, ","), "--format=csv,noheader,nounits", "-l", "1"}
	if len(r.only) > 0 {
		args = append(args, "-i", strings.Join(r.only, ","))
	}
	s := r.source
	c, err := spawn(r.path, args, s.opt.Env, false)
	if err != nil {
		s.say(words{health: Failing, text: err.Error()})
		return false
	}
	s.speaks(c, "nvidia-smi")
	defer s.speaks(nil, "")
	stop := context.AfterFunc(ctx, c.closePipes)
	defer stop()
	r.told, r.rows = false, nil
	again = r.lines(ctx, c)
	c.closePipes()
	for !c.dead(silentAfter) {
		if ctx.Err() != nil {
			return false
		}
		s.say(words{health: Stuck, text: "nvidia-smi is to end, but a call into the driver does not return", remedy: stuckRemedy})
	}
	if !r.told && !again && ctx.Err() == nil {
		s.say(words{health: Failing, text: "nvidia-smi died: " + c.lastWords()})
	}
	return again
}

// lines takes in the stream. A round of rows ends when the index starts over, or nothing follows for a moment.
func (r *smiRun) lines(ctx context.Context, c *child) (again bool) {
	lines := make(chan string, 64)
	go func() {
		defer close(lines)
		in := bufio.NewScanner(c.stdout)
		in.Buffer(nil, smiMaxLine)
		for in.Scan() {
			lines <- in.Text()
		}
		io.Copy(io.Discard, c.stdout) // after an endless line
	}()
	defer func() {
		for range lines { // until the pipe is closed
		}
	}()
	defer c.closePipes()
	idle := time.NewTimer(time.Hour)
	defer idle.Stop()
	askApps := time.NewTicker(max(r.source.opt.Processes, smiApps))
	defer askApps.Stop()
	first := true
	for {
		select {
		case line, ok := <-lines:
			if !ok {
				r.round()
				return again
			}
			if strings.TrimSpace(line) == "" {
				continue
			}
			row, err := parseSMIRow(r.fields, line)
			if err != nil {
				again = r.message(parseSMIMessage(line)) || again
				continue
			}
			if n := len(r.rows); n > 0 && row.index <= r.rows[n-1].index || n >= pipe.MaxGPUs {
				r.round()
			}
			r.rows = append(r.rows, row)
			idle.Reset(smiRoundEnds)
		case <-idle.C:
			r.round()
			if first {
				first = false
				r.askApps(ctx)
			}
		case <-askApps.C:
			r.askApps(ctx)
		}
	}
}

// message acts on a complaint. It is true when nvidia-smi should be asked differently, at once.
func (r *smiRun) message(m smiMessage) (again bool) {
	s := r.source
	if m.badField != "" {
		before := len(r.fields)
		r.fields = slices.DeleteFunc(r.fields, func(f smiField) bool { return f.name == m.badField && f.name != "index" && f.name != "uuid" })
		return len(r.fields) < before
	}
	if m.pci != "" {
		return r.without(m)
	}
	if m.words.health == Unsupported && pipe.PCIGPUs(s.opt.Sys) > 0 {
		m.words.health = Failing
	}
	r.told = true
	s.say(m.words)
	return false
}

// without leaves a GPU out that the driver cannot reach: older nvidia-smi gives up on all GPUs because of one.
func (r *smiRun) without(m smiMessage) (again bool) {
	s := r.source
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rep.Inventory == nil {
		r.told = true
		s.rep.Health, s.rep.Text = Failing, m.words.text
		return false
	}
	inv := *s.rep.Inventory
	inv.GPUs = slices.Clone(inv.GPUs)
	r.only = r.only[:0]
	for i := range inv.GPUs {
		g := &inv.GPUs[i]
		if g.PCI == m.pci && !slices.Contains(r.lost, g.UUID) {
			r.lost = append(r.lost, g.UUID)
			g.Note, again = m.words.text, true
			s.state.ClearEntity(telemetry.ScopeGPU, i)
			s.state.Set(telemetry.GPUStatus, i, telemetry.GPULost)
		}
		if !slices.Contains(r.lost, g.UUID) {
			r.only = append(r.only, g.UUID)
		}
	}
	if !again {
		return false
	}
	s.rep.Inventory = &inv
	s.rep.Generation++
	return len(r.only) > 0
}

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
			if f.times > 0 {
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
	s.rep.Health, s.rep.Text, s.rep.Remedy = OK, s.note, ""
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
			row.gpu.NUMANode = pipe.NUMANode(s.opt.Sys, row.gpu.PCI)
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
		if g.Note != row.note || g.MIG != row.gpu.MIG && row.note == "" {
			g.Note, g.MIG, changed = row.note, row.gpu.MIG, true
		}
	}
	if changed {
		s.rep.Inventory = &inv
		s.rep.Generation++
		s.state.Resize(telemetry.ScopeGPU, len(inv.GPUs))
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
