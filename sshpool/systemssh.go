package sshpool

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// systemSSH has the system's ssh log in, and hold the connection for as long as the carrier is open. What it asks for is a question of the pool's where ask is set and somebody
// answers, else its refusal. via are the jump hosts that wait for this one.
func (p *Pool) systemSSH(ctx context.Context, r *Resolved, why string, via []string, ask bool) (*sshCarrier, error) {
	if p.resolver.program == "" {
		return nil, &problem{state: Refused, again: pauseHold, cause: "only ssh itself can do " + why, remedy: "install the OpenSSH client (ssh)"}
	}
	traceOf(ctx).note("transport", "the system's ssh, which alone can do "+why)
	ask = ask && p.asks.on && !r.NoAsk && len(via) == 0
	if _, wants := p.sshAsks.Load(wayOf(r)); !ask || !wants {
		c, err := p.loginBySSH(ctx, r, why, via, nil)
		if err == nil || !ask || !p.mayAnswer(r, err) {
			return c, err
		}
		p.sshAsks.Store(wayOf(r), true)
	}
	return p.askedBySSH(ctx, r, why, via)
}

// sshWay is how a system ssh gets to its host.
type sshWay struct {
	args []string // of ssh
	done func()   // it is not needed any more; any number of times
}

// directly is the way as the configuration says it.
func directly() sshWay { return sshWay{done: func() {}} }

// loginBySSH starts a system ssh and waits until it holds a connection. a is the question by which a person answers what it asks; nil: nobody does.
func (p *Pool) loginBySSH(ctx context.Context, r *Resolved, why string, via []string, a *ask) (*sshCarrier, error) {
	way := directly()
	if r.ProxyJump != "" {
		var err error
		if way, err = p.masters.through(ctx, r, via); err != nil {
			return nil, err
		}
	}
	return p.loginBy(ctx, r, why, way, a)
}

func (p *Pool) loginBy(ctx context.Context, r *Resolved, why string, way sshWay, a *ask) (done *sshCarrier, err error) {
	login := traceOf(ctx).step("ssh")
	defer func() { login.end(err) }()
	m, err := p.startMaster(r, way, a != nil)
	if err != nil {
		way.done()
		return nil, err
	}
	limit := p.cfg.Timing.Dial + p.cfg.Timing.Handshake
	late := time.NewTimer(limit)
	defer late.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			m.end()
			return nil, ctx.Err()
		case <-late.C:
			m.end()
			return nil, &problem{state: Lost, again: pauseFar, cause: "ssh " + r.Alias + " did not connect in " + limit.String(), remedy: "try by hand: " + p.connectWords(r)}
		case <-m.exit.done:
			m.end()
			return nil, p.masterProblem(r, m, why)
		case <-tick.C:
		}
		if a != nil {
			answered, err := m.pass(ctx, p.asks, a)
			if err != nil {
				m.end()
				return nil, err
			}
			if answered { // nobody types against a deadline
				late.Reset(limit)
			}
		}
		if _, err := os.Stat(m.socket); err != nil {
			continue
		}
		c, err := p.mux(ctx, m.socket)
		if err != nil {
			continue // it is about to listen
		}
		c.via, c.env, c.done, c.socket = "the system's ssh ("+why+")", r.Env, m.end, m.socket
		go func() { // a connection that ends by itself leaves no master behind
			_ = c.conn.Wait()
			m.end()
		}()
		return c, nil
	}
}

// master is a system ssh that holds one connection.
type master struct {
	cmd    *exec.Cmd
	folder string
	socket string
	stderr *tail
	exit   *exit
	once   sync.Once
	way    sshWay
}

// startMaster starts one, whose socket lies in a folder of its own that nobody else can enter.
func (p *Pool) startMaster(r *Resolved, way sshWay, asks bool) (*master, error) {
	folder, err := os.MkdirTemp(os.Getenv("XDG_RUNTIME_DIR"), "foretop-")
	if err != nil {
		if folder, err = os.MkdirTemp("", "foretop-"); err != nil {
			return nil, fmt.Errorf("start ssh: %w", err)
		}
	}
	m := &master{folder: folder, socket: filepath.Join(folder, "s"), stderr: newTail(), exit: newExit(), way: way}
	m.cmd = exec.Command(p.resolver.program, p.masterArgs(r, m.socket, way, asks)...)
	ownGroup(m.cmd)
	if asks {
		err = m.askPass()
	}
	errs, pipe := m.cmd.StderrPipe()
	if err = errors.Join(err, pipe); err == nil {
		err = m.cmd.Start()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start ssh: %w", err), os.RemoveAll(folder))
	}
	go func() {
		m.stderr.drain(errs, nil)
		_ = m.cmd.Wait()
		m.exit.set(m.cmd.ProcessState.ExitCode(), "")
	}()
	return m, nil
}

// masterArgs are ssh's: to log in as the configuration says, run nothing, forward nothing, ask nobody but us, and listen at our socket.
func (p *Pool) masterArgs(r *Resolved, socket string, way sshWay, asks bool) []string {
	var args []string
	if p.cfg.ConfigFile != "" {
		args = append(args, "-F", p.cfg.ConfigFile)
	}
	for _, o := range []string{"ControlMaster=yes", "ControlPath=" + strings.ReplaceAll(socket, "%", "%%"), "ControlPersist=no", "ClearAllForwardings=yes", "RemoteCommand=none",
		"PermitLocalCommand=no", "ForwardAgent=no", "ForwardX11=no", "Tunnel=no", "LogLevel=ERROR"} {
		args = append(args, "-o", o)
	}
	switch {
	case !asks:
		args = append(args, "-o", "BatchMode=yes")
	case r.Trust == TrustAsk: // a host key is no question of ssh's words: it is refused, and the remedy says what to do
		args = append(args, "-o", "BatchMode=no", "-o", "StrictHostKeyChecking=yes")
	default:
		args = append(args, "-o", "BatchMode=no")
	}
	if p.cfg.LookOnly { // what ssh would write down goes with its folder
		args = append(args, "-o", "UpdateHostKeys=no")
		if r.Trust == TrustNew {
			files := `"` + filepath.Join(filepath.Dir(socket), "known") + `"`
			for _, f := range r.UserKnownHosts {
				files += ` "` + f + `"`
			}
			args = append(args, "-o", "UserKnownHostsFile="+strings.ReplaceAll(files, "%", "%%"))
		}
	}
	args = append(args, way.args...)
	if r.Port != 0 {
		args = append(args, "-p", strconv.Itoa(r.Port))
	}
	return append(args, "-l", r.User, "-N", "-T", "--", r.Alias)
}

// end ends the master and removes its folder. Any number of times.
func (m *master) end() {
	m.once.Do(func() {
		termGroup(m.cmd)
		m.way.done()
		go func() {
			if m.exit.wait(localGrace); !m.exit.over() {
				killGroup(m.cmd)
			}
			_ = os.RemoveAll(m.folder) // the socket's: nothing else of worth lies there
		}()
	})
}

// masterProblem words how an ssh that brought no connection ended.
func (p *Pool) masterProblem(r *Resolved, m *master, why string) *problem {
	pr := process{stderr: m.stderr, exit: m.exit}
	words := pr.endWords()
	out := &problem{state: Lost, again: pauseFar, cause: "ssh " + r.Alias + " (" + why + "): " + words, remedy: "try by hand: " + p.connectWords(r), err: errors.New(words)}
	switch {
	case strings.Contains(words, "Host key verification failed"), strings.Contains(words, "REMOTE HOST IDENTIFICATION HAS CHANGED"), strings.Contains(words, "host key is known for"):
		out.state, out.again = NeedsTrust, pauseHold
	case strings.Contains(words, "Permission denied"), strings.Contains(words, "Too many authentication failures"):
		out.state, out.again = NeedsAuth, pauseHold
	}
	return out
}

// mayAnswer says that a person's answers could let a system ssh in that was refused: the server takes a password or asks by itself, or a key is locked.
func (p *Pool) mayAnswer(r *Resolved, err error) bool {
	bad := asProblem(err)
	if bad.state != NeedsAuth || !strings.Contains(bad.cause, "Permission denied (") {
		return false
	}
	for _, way := range r.ways() {
		if way != "publickey" && strings.Contains(bad.cause, way) {
			return true
		}
	}
	return !r.NoPublicKey && slices.ContainsFunc(r.IdentityFiles, func(path string) bool {
		f := p.keys.file(path)
		return f.locked && f.able() == nil
	})
}
