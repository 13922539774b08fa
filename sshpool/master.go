package sshpool

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// wayOf names a way to a host: what decides how it is logged in to.
func wayOf(r *Resolved) string {
	return r.User + "@" + r.HostName + ":" + strconv.Itoa(r.Port) + " as " + r.Alias + " by " + r.ProxyJump
}

// needsSSH says why only ssh itself can reach a host; "" where our own client can.
func (p *Pool) needsSSH(r *Resolved) string {
	if len(r.NeedsSSH) > 0 {
		return strings.Join(r.NeedsSSH, ", ")
	}
	if why, ok := p.bySSH.Load(wayOf(r)); ok {
		return why.(string)
	}
	return ""
}

// maySSH says which way to log in is left that only ssh itself has, when ours all failed; "" none.
func (p *Pool) maySSH(r *Resolved, err error) string {
	var refused *AuthError
	if !errors.As(err, &refused) {
		return ""
	}
	var ways []string
	for _, o := range r.MaySSH {
		switch {
		case o == "GSSAPIAuthentication" && slices.Contains(refused.Methods, "gssapi-with-mic") && p.tickets.has(time.Now()),
			o == "HostbasedAuthentication" && slices.Contains(refused.Methods, "hostbased"),
			o == "PKCS11Provider" && slices.Contains(refused.Methods, "publickey"):
			ways = append(ways, o)
		}
	}
	return strings.Join(ways, ", ")
}

// tickets remembers for a while whether there is a Kerberos ticket: of a thousand nodes that let no key in, one asks.
type tickets struct {
	mu    sync.Mutex
	there bool
	until time.Time
}

// ticketsFor is how long an answer stands.
const ticketsFor = 10 * time.Second

// has says that there may be one: without it GSSAPI would only cost a refused login.
func (t *tickets) has(now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now.After(t.until) {
		t.there = hasTicket()
		t.until = now.Add(ticketsFor)
	}
	return t.there
}

func hasTicket() bool {
	if os.Getenv("KRB5CCNAME") != "" {
		return true
	}
	if _, err := os.Stat("/tmp/krb5cc_" + strconv.Itoa(os.Getuid())); err == nil {
		return true
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	return exec.CommandContext(ctx, "klist", "-s").Run() == nil
}

// openMaster uses a master connection that the user has open (ControlPath), as ssh itself would: no second login. nil: none answers.
func (p *Pool) openMaster(ctx context.Context, r *Resolved) *sshCarrier {
	if r.ControlPath == "" {
		return nil
	}
	if info, err := os.Stat(r.ControlPath); err != nil || info.Mode()&os.ModeSocket == 0 {
		return nil
	}
	c, err := p.mux(ctx, r.ControlPath)
	if err != nil {
		traceOf(ctx).note("transport", "no master answers at "+r.ControlPath+": passed over, as ssh does")
		return nil
	}
	c.via, c.env = "the open master at "+clean(r.ControlPath), r.Env
	return c
}

// mux speaks through a master's socket. It waits for the master's hello at most as for a handshake.
func (p *Pool) mux(ctx context.Context, socket string) (*sshCarrier, error) {
	var d net.Dialer
	raw, err := d.DialContext(ctx, "unix", socket)
	if err != nil {
		return nil, err
	}
	cut := context.AfterFunc(ctx, func() { raw.Close() })
	defer cut()
	_ = raw.SetDeadline(time.Now().Add(p.cfg.Timing.Handshake))
	conn, channels, requests, err := ssh.NewControlClientConn(raw)
	if err != nil {
		raw.Close()
		return nil, fmt.Errorf("speak with the master at %s: %w", socket, err)
	}
	_ = raw.SetDeadline(time.Time{})
	return newSSHCarrier(&secured{conn, channels, requests}), nil
}

// systemSSH has the system's ssh log in, and hold the connection for as long as the carrier is open. It is never asked a question: what it would ask for is its refusal.
func (p *Pool) systemSSH(ctx context.Context, r *Resolved, why string) (done *sshCarrier, err error) {
	if p.resolver.program == "" {
		return nil, &problem{state: Refused, again: pauseHold, cause: "only ssh itself can do " + why, remedy: "install the OpenSSH client (ssh)"}
	}
	t := traceOf(ctx)
	t.note("transport", "the system's ssh, which alone can do "+why)
	login := t.step("ssh")
	defer func() { login.end(err) }()
	limit := p.cfg.Timing.Dial + p.cfg.Timing.Handshake
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	m, err := p.startMaster(r)
	if err != nil {
		return nil, err
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			m.end()
			if errors.Is(context.Cause(ctx), context.Canceled) {
				return nil, ctx.Err()
			}
			return nil, &problem{state: Lost, again: pauseFar, cause: "ssh " + r.Alias + " did not connect in " + limit.String(), remedy: "try by hand: " + p.connectWords(r)}
		case <-m.exit.done:
			m.end()
			return nil, p.masterProblem(r, m, why)
		case <-tick.C:
		}
		if _, err := os.Stat(m.socket); err != nil {
			continue
		}
		c, err := p.mux(ctx, m.socket)
		if err != nil {
			continue // it is about to listen
		}
		c.via, c.env, c.done = "the system's ssh ("+why+")", r.Env, m.end
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
}

// startMaster starts one, whose socket lies in a folder of its own that nobody else can enter.
func (p *Pool) startMaster(r *Resolved) (*master, error) {
	folder, err := os.MkdirTemp(os.Getenv("XDG_RUNTIME_DIR"), "foretop-")
	if err != nil {
		if folder, err = os.MkdirTemp("", "foretop-"); err != nil {
			return nil, fmt.Errorf("start ssh: %w", err)
		}
	}
	m := &master{folder: folder, socket: filepath.Join(folder, "s"), stderr: newTail(), exit: newExit()}
	m.cmd = exec.Command(p.resolver.program, p.masterArgs(r, m.socket)...)
	ownGroup(m.cmd)
	errs, err := m.cmd.StderrPipe()
	if err == nil {
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

// masterArgs are ssh's: to log in as the configuration says, run nothing, forward nothing, ask nothing, and listen at our socket.
func (p *Pool) masterArgs(r *Resolved, socket string) []string {
	var args []string
	if p.cfg.ConfigFile != "" {
		args = append(args, "-F", p.cfg.ConfigFile)
	}
	for _, o := range []string{"ControlMaster=yes", "ControlPath=" + strings.ReplaceAll(socket, "%", "%%"), "ControlPersist=no", "BatchMode=yes", "ClearAllForwardings=yes", "RemoteCommand=none",
		"PermitLocalCommand=no", "ForwardAgent=no", "ForwardX11=no", "Tunnel=no", "LogLevel=ERROR"} {
		args = append(args, "-o", o)
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
	if r.ProxyJump != "" {
		args = append(args, "-J", r.ProxyJump)
	}
	if r.Port != 0 {
		args = append(args, "-p", strconv.Itoa(r.Port))
	}
	return append(args, "-l", r.User, "-N", "-T", "--", r.Alias)
}

// end ends the master and removes its folder. Any number of times.
func (m *master) end() {
	m.once.Do(func() {
		termGroup(m.cmd)
		go func() {
			if m.exit.wait(localGrace); !m.exit.over() {
				killGroup(m.cmd)
			}
			_ = os.RemoveAll(m.folder) // the socket's: nothing else lies there
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
