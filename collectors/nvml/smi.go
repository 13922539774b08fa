package nvml

import (
	"bufio"
	"context"
	"io"
	"os/exec"
	"slices"
	"strings"
	"time"

	"foretop/collectors/nvml/pipe"
	"foretop/telemetry"
)

const (
	smiName        = "nvidia-smi"
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
		if len(pipe.PCIGPUs(s.opt.Root)) > 0 {
			w = words{health: Failing, text: clean(why, maxText-40) + "; nor is there an nvidia-smi"}
		}
		s.say(w)
		return
	}
	run := &smiRun{source: s, path: path, fields: slices.Clone(smiFields)}
	pause := s.pauses[0]
	for s.alone(ctx, smiName, inUninterruptibleSleep) {
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
	path, err := exec.LookPath(smiName)
	for _, folder := range smiFolders {
		if err == nil {
			break
		}
		path, err = exec.LookPath(folder + "/" + smiName)
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
	for since := time.Now(); !c.dead(silentAfter); {
		if ctx.Err() != nil {
			return false
		}
		s.sayStuck("nvidia-smi is to end, but a call into the driver does not return", time.Since(since))
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
		return r.leaveOut(m.badField)
	}
	if m.pci != "" {
		return r.without(m)
	}
	if m.words.health == Unsupported && len(pipe.PCIGPUs(s.opt.Root)) > 0 {
		m.words.health = Failing
	}
	r.told = true
	s.say(m.words)
	return false
}

// leaveOut takes a field that this version does not know, and those of its group, from the question. False: it is none that could be.
func (r *smiRun) leaveOut(field string) bool {
	before, group := len(r.fields), 0
	for _, f := range r.fields {
		if f.name == field {
			group = f.group
		}
	}
	r.fields = slices.DeleteFunc(r.fields, func(f smiField) bool {
		return f.name == field && f.name != "index" && f.name != "uuid" || group > 0 && f.group == group
	})
	return len(r.fields) < before
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
