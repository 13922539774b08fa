package sshpool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/charmbracelet/x/term"
)

// ShellAt is where a shell on a node begins.
type ShellAt struct {
	PID   int    // in this process's working directory, where that may be read; 0: at home
	Start uint64 // when that process started, in ticks after boot (/proc/PID/stat): it must be that process
	Enter bool   // in its namespaces too, where they are not the shell's own
}

// Shell is an interactive shell on a node, over the connection that its stream uses: nobody logs in again, but where its sshd allows one session a connection. It has the shape of Bubble Tea's ExecCommand: a program that
// gives its terminal away sets what it reads and writes, and calls Run. Enter, then "~.", leaves a shell that does not answer any more.
type Shell struct {
	pool *Pool
	ctx  context.Context
	node string
	at   ShellAt
	in   io.Reader
	out  io.Writer
	errs io.Writer

	// Size is that of the terminal, and Resized tells of each change; nil: they are asked of the file that is written to.
	Size    func() (columns, lines int, err error)
	Resized <-chan struct{}
	Getenv  func(string) string // TERM, LANG, LC_*; nil: os.Getenv
}

// Shell prepares a shell. It ends with ctx.
func (p *Pool) Shell(ctx context.Context, node string, at ShellAt) *Shell {
	return &Shell{pool: p, ctx: ctx, node: node, at: at, in: os.Stdin, out: os.Stdout, errs: os.Stderr}
}

// SetStdin says what is typed.
func (s *Shell) SetStdin(r io.Reader) { s.in = r }

// SetStdout says where the shell is shown.
func (s *Shell) SetStdout(w io.Writer) { s.out = w }

// SetStderr is for the shape: a terminal has one stream.
func (s *Shell) SetStderr(w io.Writer) { s.errs = w }

// ErrShellLeft is a shell that the user left by "~." while it ran.
var ErrShellLeft = errors.New("left; what ran in it may go on")

// Run shows the shell until it ends. Whatever its last command's exit status was, a shell that ended by itself is no error; one that could not be started, or whose
// connection was lost, is, with the cause. The terminal is left as it was.
func (s *Shell) Run() error {
	n, l := s.pool.liveOf(s.node)
	if l == nil {
		return fmt.Errorf("shell on %s: %w", s.node, ErrNotConnected)
	}
	var err error
	if _, local := l.carrier.(*localCarrier); local {
		err = s.here()
	} else {
		err = n.act(s.ctx, l, s.over)
	}
	if err != nil {
		return fmt.Errorf("shell on %s: %w", s.node, advised(err))
	}
	return nil
}

// here is a shell on this machine: a child that has the terminal.
func (s *Shell) here() error {
	cmd := exec.CommandContext(s.ctx, "/bin/sh", "-c", s.at.script())
	if s.at.PID == 0 {
		cmd.Dir, _ = os.UserHomeDir()
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = s.in, s.out, s.errs
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Exited() && exit.ExitCode() != notThere {
		return nil
	}
	return err
}

// over is a shell over a connection.
func (s *Shell) over(c carrier) error {
	getenv := s.Getenv
	if getenv == nil {
		getenv = os.Getenv
	}
	t := &Term{Type: or(getenv("TERM"), "xterm"), Env: map[string]string{}}
	for _, name := range []string{"LANG", "LC_ALL", "LC_CTYPE", "COLORTERM"} {
		if v := getenv(name); v != "" {
			t.Env[name] = v
		}
	}
	size := s.size()
	t.Columns, t.Lines = size()
	o := order{term: t, users: true}
	if s.at.PID != 0 {
		if o.command = wrap(s.at.script()); behindDoor(c) {
			o.command = s.at.script()
		}
	}
	if f, ok := s.in.(interface{ Fd() uintptr }); ok && term.IsTerminal(f.Fd()) {
		before, err := term.MakeRaw(f.Fd())
		if err != nil {
			return fmt.Errorf("make the terminal raw: %w", err)
		}
		defer func() { _ = term.Restore(f.Fd(), before) }()
	}
	ctx, cancel := context.WithCancelCause(s.ctx)
	defer cancel(nil)
	p, err := begin(ctx, c, o)
	if err != nil {
		return err
	}
	out := &outlet{mu: new(sync.Mutex), to: s.out, failed: make(chan struct{})}
	defer out.close()
	keys := newTyped(s.in)
	typing := make(chan struct{})
	go func() {
		defer close(typing)
		if keys.copyTo(p.stdin) {
			cancel(ErrShellLeft)
		}
		_ = p.closeStdin()
	}()
	following := make(chan struct{})
	go func() {
		defer close(following)
		s.follow(ctx, p, t.Columns, t.Lines, size)
	}()
	defer func() { // nobody looks at the terminal any more
		keys.stop()
		cancel(nil)
		late, done := context.WithTimeout(context.Background(), letGo)
		defer done()
		for _, ended := range []chan struct{}{typing, following} {
			select {
			case <-ended:
			case <-late.Done(): // it writes to a connection that takes nothing, or cannot be stopped: then it reads one key more
			}
		}
	}()
	shown := make(chan struct{})
	go func() {
		defer close(shown)
		_, _ = io.Copy(out, p.stdout)
		<-p.exit.done
	}()
	select {
	case <-shown:
		e, err := p.ended()
		switch {
		case errors.Is(err, ErrNotStarted): // a door that does not open: nothing was shown
			return err
		case err != nil:
			err = fmt.Errorf("the connection was lost: %w", err)
		case e.Code == notThere && s.at.PID != 0:
			return fmt.Errorf("%w: its words are above", ErrNotStarted)
		default:
			return nil
		}
		_, _ = io.WriteString(out, plainTerminal)
		return err
	case <-out.failed:
		err = out.err
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	go p.kill() // may take its time
	_, _ = io.WriteString(out, plainTerminal)
	return err
}

// letGo is how long whoever reads the terminal may take to let go of it.
const letGo = 200 * time.Millisecond

// plainTerminal takes back what programs ask of a terminal and could not take back themselves: keypad and cursor keys, mouse, pasting, the other screen, colours, a
// hidden cursor.
const plainTerminal = "\x1b[?1l\x1b>\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?2004l\x1b[?1049l\x1b[0m\x1b[?25h\r\n"

// size gives the terminal's size, some usual one where it has none.
func (s *Shell) size() func() (columns, lines int) {
	ask := s.Size
	if f, ok := s.out.(interface{ Fd() uintptr }); ok && ask == nil {
		ask = func() (int, int, error) { return term.GetSize(f.Fd()) }
	}
	return func() (int, int) {
		if ask != nil {
			if columns, lines, err := ask(); err == nil && columns > 0 && lines > 0 {
				return columns, lines
			}
		}
		return 80, 24
	}
}

// follow tells the node each new size of the terminal, until ctx ends; the node knows the size that is given.
func (s *Shell) follow(ctx context.Context, p *process, columns, lines int, size func() (int, int)) {
	resized := s.Resized
	if resized == nil {
		changes, stop := windowChanges()
		defer stop()
		resized = changes
	}
	for {
		if c, l := size(); c != columns || l != lines {
			columns, lines = c, l
			p.resize(columns, lines)
		}
		select {
		case <-resized:
		case <-ctx.Done():
			return
		}
	}
}

// notThere is the exit status of a shell that was not begun, for its process is not as it was.
const notThere = 125

// script begins a shell where a process is; it stands in single quotes (see bootstrap.go).
func (a ShellAt) script() string {
	if a.PID == 0 {
		return `exec "${SHELL:-/bin/sh}" -l`
	}
	var b strings.Builder
	b.WriteString(`p=/proc/` + strconv.Itoa(a.PID) + `;bad(){ echo "foretop: $*" >&2;exit ` + strconv.Itoa(notThere) + `;};`)
	b.WriteString(`x=$(cat $p/stat 2>/dev/null)||bad "the process is gone";set -f;set -- ${x##*)};[ "${20}" = ` + strconv.FormatUint(a.Start, 10) + ` ]||bad "the process is another one now";`)
	if a.Enter {
		// e are the namespaces to enter; those that are ours already are left alone. A user namespace is entered as who one is.
		b.WriteString(`e=;readlink $p/ns/mnt >/dev/null 2>&1||bad "its namespaces may not be looked at: needs root or its owner";` +
			`for n in user:U mnt:m uts:u ipc:i net:n pid:p cgroup:C;do [ "$(readlink $p/ns/${n%:*} 2>/dev/null)" = "$(readlink /proc/self/ns/${n%:*} 2>/dev/null)" ]||e="$e -${n#*:}";done;` +
			`case $e in *-U*)[ "$(id -u)" = 0 ]||e="$e --preserve-credentials";;esac;` +
			`if [ -n "$e" ];then command -v nsenter >/dev/null 2>&1||bad "no nsenter here (util-linux has it)";` +
			`nsenter -t ` + strconv.Itoa(a.PID) + ` $e true 2>/dev/null||e=$(echo "$e"|sed "s/ -C//");` + // busybox knows no cgroup namespaces
			`nsenter -t ` + strconv.Itoa(a.PID) + ` $e true||bad "its namespaces may not be entered: needs root or its owner";` +
			`exec nsenter -t ` + strconv.Itoa(a.PID) + ` -w $e -- /bin/sh -c "command -v bash >/dev/null 2>&1&&exec bash -l;exec sh -l";fi;`)
	}
	b.WriteString(`cd $p/cwd 2>/dev/null&&cd "$(pwd -P)" 2>/dev/null||echo "foretop: its working directory may not be entered: this is your home" >&2;exec "${SHELL:-/bin/sh}" -l`)
	return b.String()
}

func or(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
