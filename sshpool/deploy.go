package sshpool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"foretop/sshpool/payload"
)

// started is a collector that runs and has said its start line.
type started struct {
	process *process
	rest    []byte // first bytes of the stream
	notes   string
}

// launch brings a collector to life over what h holds: one round trip when it is there; else it is put there first.
func (n *node) launch(ctx context.Context, h *hold) (*started, error) {
	scripts, err := n.pool.scripts()
	if err != nil {
		return nil, err
	}
	d := &deployment{node: n, hold: h, scripts: scripts, trace: traceOf(ctx)}
	scripts.told = d.trace != nil
	for round := 0; ; round++ {
		s, line, err := d.start(ctx)
		if err != nil {
			return nil, err
		}
		switch line.kind {
		case "stream":
			return s, nil
		case "need":
			if round == 8 {
				return nil, &problem{state: Refused, again: pauseLong, cause: "the collector does not stay on the node",
					remedy: "look at who cleans " + strings.Join(n.pool.cfg.Folders, ", ")}
			}
			if err := d.provide(ctx, line.text); err != nil {
				return nil, err
			}
		default:
			return nil, d.refused(line.text)
		}
	}
}

// deployment is one node's way to a running collector.
type deployment struct {
	node     *node
	hold     *hold
	scripts  *bootstrap
	trace    *tracing // nil: nobody looks
	starts   int      // that were looked at
	sessions int      // opened so far

	proven   bool   // copies are tried before they are trusted
	skip     []int  // folders that failed
	noShared bool   // the shared folder failed, or did not show what another node put there
	waits    int    // times that the shared folder was waited for
	lastWord string // what the last failed upload said
}

// start runs the start script and reads the start line.
func (d *deployment) start(whole context.Context) (s *started, line startLine, err error) {
	limit := d.node.pool.cfg.Timing.Start
	ctx, cancel := context.WithTimeout(whole, limit)
	defer cancel()
	nonce := newNonce()
	look := d.lookout(nonce)
	defer func() { look.end(line, err) }()
	p, err := d.run(ctx, order{command: d.scripts.start(nonce, d.proven, d.skip)})
	if err != nil {
		return nil, startLine{}, d.timedOut(ctx, err, fmt.Sprintf("no collector started in %v", limit))
	}
	c := d.hold.carrier()
	cut := context.AfterFunc(ctx, func() { c.Close() }) // the only way out of a read that hangs
	line, rest, notes, err := scanStart(look.over(p.stdout), nonce)
	if !cut() && err == nil {
		err = ctx.Err()
	}
	if err == nil {
		if line.kind != "stream" {
			p.closeStdin()
			p.kill()
		}
		return &started{p, rest, clean(notes)}, line, nil
	}
	if ctx.Err() != nil {
		return nil, line, d.timedOut(ctx, err, fmt.Sprintf("no collector started in %v", limit))
	}
	if errors.Is(err, errTooNoisy) {
		return nil, line, &problem{state: Misbehaving, again: pauseLong, err: err, cause: "more than 1 MiB of output and no collector's start line; it begins: " + firstLine(notes),
			remedy: "make the account's shell start-up files silent when they are not interactive"}
	}
	code := p.exit.wait(300 * time.Millisecond)
	if (code == 126 || code == 127) && !d.proven { // what lay there cannot be executed after all: find out where one can
		d.proven = true
		look.gives("what lies there cannot be executed after all: each is tried before it is trusted")
		return d.start(whole)
	}
	return nil, line, d.ended(p, notes, code)
}

func (d *deployment) timedOut(ctx context.Context, err error, what string) error {
	if d.node.ctx.Err() != nil {
		return d.node.ctx.Err()
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return &problem{state: Lost, again: pauseFar, err: err, cause: "logged in, but " + what,
			remedy: "the login shell or the home folder may hang: try `ssh` and a command there"}
	}
	var p *problem
	if !errors.As(err, &p) && ended(err) {
		return &problem{state: Lost, again: pauseFar, err: err, cause: "connection lost before the collector started: " + clean(err.Error()), remedy: "foretop dials again by itself; if it stays so, look at the node's sshd log"}
	}
	return err
}

// ended words a start that ended without a start line: restricted shells, nologin, a collector that fails at once.
func (d *deployment) ended(p *process, notes string, code int) error {
	if cut := p.cutOff(); cut != nil {
		return cut
	}
	said := lastLine(p.stderr.text(300 * time.Millisecond))
	if said == "" {
		said = lastLine(notes)
	}
	if code < 0 && said == "" {
		return &problem{state: Lost, again: pauseFar, cause: "connection closed before the collector started",
			remedy: "look at the node's sshd log"}
	}
	cause := "the login shell ran no collector"
	if code >= 0 {
		cause += " (exit " + strconv.Itoa(code) + ")"
	}
	if said != "" {
		cause += ": " + said
	}
	return &problem{state: Refused, again: pauseLong, cause: cause,
		remedy: "the account needs an ordinary shell and /bin/sh: try `ssh` and a command there"}
}

// need is what a node says it lacks.
type need struct {
	platform payload.Platform
	folder   int    // where a program can be executed, -1: only in the shared folder
	home     string // mark of the shared folder, empty: not usable
	gz, nv   bool
	none     bool // no program for such a platform in the script
}

func parseNeed(text string) need {
	n := need{folder: -1}
	words := strings.Fields(text)
	if len(words) >= 2 {
		n.platform = payload.FromUname(words[0], words[1])
		words = words[2:]
	}
	for _, w := range words {
		key, value, _ := strings.Cut(w, "=")
		switch key {
		case "none":
			n.none = true
		case "at":
			if i, err := strconv.Atoi(value); err == nil {
				n.folder = i
			}
		case "home":
			if value != "-" && len(value) <= 64 {
				n.home = value
			}
		case "gz":
			n.gz = value == "1"
		case "nv":
			n.nv = value == "1"
		}
	}
	return n
}

// provide puts what is needed on the node: into the shared folder when that is usable (one node uploads, the others wait, but not long), else
// straight into a folder of its own.
func (d *deployment) provide(ctx context.Context, text string) error {
	n := parseNeed(text)
	bundle, err := d.node.pool.bundles.For(n.platform)
	if err != nil {
		return fmt.Errorf("read collectors: %w", err)
	}
	if bundle == nil || n.none || n.folder >= len(d.scripts.folders) {
		return &problem{state: Refused, again: pauseHold, cause: "no collector for " + clean(n.platform.String()) + " in this build",
			remedy: "build foretop with `make`: that puts collectors for linux/amd64 and linux/arm64 inside"}
	}
	if n.folder < 0 && d.noShared {
		return d.refused("denied")
	}
	if n.home == "" || d.noShared {
		return d.sendOwn(ctx, bundle, n, nil)
	}
	group, first := d.node.pool.uploads.join(n.home + " " + bundle.Collector.SHA256 + " " + digit(n.nv))
	if first {
		free, err := d.node.pool.uploads.slot(ctx, nil)
		if err == nil {
			defer free() // after finish: who waits for a place may not need it any more
			err = d.send(ctx, bundle, n, -1, free)
		}
		d.node.pool.uploads.finish(group, err == nil && !d.noShared)
		return err
	}
	d.node.report(Status{State: Deploying, Cause: "waiting for another node's upload into the shared home"})
	wait := d.trace.step("upload")
	wait.say("another node's, into the shared home, is waited for")
	ok, err := group.wait(ctx, d.node.pool.cfg.Timing.Share)
	wait.end(nil)
	if errors.Is(err, errLate) { // one slow node does not hold the others up
		return d.sendOwn(ctx, bundle, n, group.done)
	}
	if err != nil {
		return err
	}
	if !ok {
		d.noShared = true
		return nil
	}
	// It is there, but this node may still hold an old view of the folder. Later looks find it; in the end it gets its own.
	if d.waits++; d.waits > 4 {
		d.noShared = true
	} else if d.waits > 1 {
		return sleep(ctx, time.Duration(d.waits-1)*500*time.Millisecond)
	}
	return nil
}

// sendOwn uploads a bundle for this node alone, unless that is closed before there is a place to.
func (d *deployment) sendOwn(ctx context.Context, b *payload.Bundle, n need, unless <-chan struct{}) error {
	free, err := d.node.pool.uploads.slot(ctx, unless)
	if err != nil || free == nil {
		return err
	}
	defer free()
	return d.send(ctx, b, n, n.folder, free)
}

// send uploads a bundle into one folder (-1: the shared one). When that folder cannot take it, it is struck off and nil is returned:
// the next start finds another. free gives its place among the uploads up.
func (d *deployment) send(ctx context.Context, b *payload.Bundle, n need, folder int, free func()) error {
	pause := d.node.pool.cfg.Timing.Still
	still := time.AfterFunc(pause, free) // a node that takes nothing does not burden the line: others may
	defer still.Stop()
	moved := func() { still.Reset(pause) }
	d.node.report(Status{State: Deploying, Cause: fmt.Sprintf("sending the collector (%.1f MB)", float64(b.Collector.Size)/1e6)})
	run := folder >= 0 || n.folder < 0
	sends := d.sends(b, n.nv && b.Reader != nil, folder)
	if n.nv && b.Reader != nil {
		if err := d.put(ctx, folder, "n", b.Reader, "", n.gz, false, moved); err != nil {
			return err
		}
	}
	if !d.struck(folder) {
		if err := d.put(ctx, folder, "c", b.Collector, b.Args, n.gz, run, moved); err != nil {
			return err
		}
	}
	if d.struck(folder) {
		sends.end(fmt.Errorf("it does not take it: %s; another folder is tried", d.lastWord))
	}
	sends.end(nil)
	return nil
}

func (d *deployment) struck(folder int) bool {
	return folder < 0 && d.noShared || slices.Contains(d.skip, folder)
}

// put sends one file and waits for the node's word; moved is called whenever the node has taken some of it.
func (d *deployment) put(ctx context.Context, folder int, prefix string, f *payload.File, args string, gz, run bool, moved func()) error {
	limit := d.node.pool.cfg.Timing.Upload
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	nonce := newNonce()
	p, err := d.run(ctx, order{command: d.scripts.upload(nonce, folder, prefix, f, args, gz, run)})
	if err != nil {
		return d.timedOut(ctx, err, "the upload did not begin")
	}
	defer p.kill()
	c := d.hold.carrier()
	cut := context.AfterFunc(ctx, func() { c.Close() })
	defer cut()
	go func() { // an error here shows in what the node says, or in its silence
		_ = write(moving{p.stdin, moved}, f, gz)
		_ = p.closeStdin()
	}()
	line, _, notes, err := scanStart(p.stdout, nonce)
	if err != nil {
		if ctx.Err() != nil {
			return d.timedOut(ctx, err, fmt.Sprintf("the collector was not sent in %v", limit))
		}
		return d.ended(p, notes, p.exit.wait(300*time.Millisecond))
	}
	if line.kind == "done" {
		return nil
	}
	d.lastWord = line.text
	if folder < 0 {
		d.noShared = true
	} else {
		d.skip = append(d.skip, folder)
	}
	return nil
}

func write(w io.Writer, f *payload.File, gz bool) error {
	if gz {
		return f.WriteGzip(w)
	}
	r, err := f.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	_, err = io.Copy(w, r)
	return err
}

// spoken turns the shell words of folders into what people call them.
var spoken = strings.NewReplacer("${XDG_RUNTIME_DIR:-/nonexistent}", "$XDG_RUNTIME_DIR", "${XDG_CACHE_HOME:-$HOME/.cache}", "~/.cache", "foretop-$u", "foretop-UID")

// refused words a node on which no folder can take the collector. The last failure of an upload says more than the last look.
func (d *deployment) refused(text string) error {
	word, _, _ := strings.Cut(strings.TrimSpace(text), " ")
	where := spoken.Replace(strings.Join(append(slices.Clone(d.scripts.folders), d.scripts.shared), ", "))
	last, place, _ := strings.Cut(d.lastWord, " ")
	if last != "" && word != "noexec" || last == "full" {
		word = last
	}
	p := &problem{state: Refused, again: pauseLong}
	switch word {
	case "full":
		p.cause, p.remedy = "disk full: no room for the collector", "free some space in one of: "+where
		if place != "" {
			p.cause += " (last tried " + clean(place) + ")"
		}
	case "noexec":
		p.cause, p.remedy = "no folder may execute programs (mounted noexec, or forbidden by policy)", "allow execution in one of: "+where
	case "checksum":
		p.cause, p.remedy = "the collector arrived damaged", "the disk of "+clean(place)+" may be failing: look at the node's kernel log"
	default:
		p.cause, p.remedy = "no folder takes the collector: "+clean(text+" "+d.lastWord), "make one of these writable: "+where
	}
	return p
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return clean(line)
}
