package collectors

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"foretop/scripts/testbed"
	"foretop/telemetry/facts"

	"golang.org/x/sys/unix"
)

// rasServer stands for the RAS thread of a NCCL process, which takes GPUs: it listens, takes lines, and answers as NCCL does. serve answers the STATUS line; a client that
// closes its half before that is dropped.
func rasServer(t *testing.T, address string, serve func(c net.Conn)) (port string, asked *atomic.Int32) {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil && address == "[::1]:0" { // no IPv6 here
		l, err = net.Listen("tcp", "127.0.0.1:0")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	asked = new(atomic.Int32)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				asked.Add(1)
				lines := bufio.NewReader(c)
				for {
					line, err := lines.ReadString('\n')
					if err != nil {
						return
					}
					if strings.HasSuffix(line, "STATUS\n") {
						break
					}
				}
				c.SetReadDeadline(time.Now().Add(30 * time.Millisecond))
				if _, err := lines.ReadByte(); errors.Is(err, io.EOF) {
					return // half-closed
				}
				serve(c)
			}()
		}
	}()
	_, port, err = net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port, asked
}

// thisProcess is the test itself as a collector would tell it.
func thisProcess(t *testing.T, pid int, env map[string]string) *facts.Process {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	var s procStat
	if err != nil || !parseProcStat(b, &s) {
		t.Fatalf("stat %q: %v", b, err)
	}
	return &facts.Process{Pid: int32(pid), StartTicks: s.startTicks, Uid: uint32(os.Getuid()), Env: env}
}

// askOnce asks of one process.
func askOnce(t *testing.T, p *facts.Process, limit time.Duration) *facts.RAS {
	t.Helper()
	b := newBoard(0)
	b.processes = []*facts.Process{p}
	got := make(chan *facts.RAS, 1)
	r := &rasAsker{clock: SystemClock(), board: b, first: limit, limit: limit, answer: func(a *facts.RAS) { got <- a }}
	r.ask(t.Context(), &facts.AskRAS{Sequence: 7, Processes: []*facts.ProcessKey{{Pid: p.Pid, StartTicks: p.StartTicks}}})
	select {
	case a := <-got:
		if a.Sequence != 7 || a.Pid != p.Pid || a.StartTicks != p.StartTicks {
			t.Errorf("the answer is to question %d of %d/%d", a.Sequence, a.Pid, a.StartTicks)
		}
		return a
	case <-time.After(time.Minute):
		t.Fatal("no answer")
		return nil
	}
}

func report(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile("ras/testdata/" + name + ".txt")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestRASIsAsked(t *testing.T) {
	for _, c := range []struct{ address, name, nccl string }{
		{"127.0.0.1:0", "text-2.24.3-lagging", "2.24.3"}, {"[::1]:0", "text-2.27.5-dead", "2.27.5"},
		{"0.0.0.0:0", "json-2.28.9-missing", "2.28.9"}, {"127.0.0.1:0", "json-2.29.7-running", "2.29.7"},
	} {
		t.Run(c.name, func(t *testing.T) {
			answer := report(t, c.name)
			port, _ := rasServer(t, c.address, func(conn net.Conn) {
				for len(answer) > 0 { // in pieces, as a network has them
					n := min(len(answer), 700)
					io.WriteString(conn, answer[:n])
					answer = answer[n:]
				}
			})
			a := askOnce(t, thisProcess(t, os.Getpid(), map[string]string{"NCCL_RAS_ADDR": "localhost:" + port}), rasLimit)
			if a.Trouble != "" || a.Nccl != c.nccl || len(a.Comms) == 0 {
				t.Errorf("got %v", a)
			}
		})
	}
}

func TestRASThatDoesNotAnswer(t *testing.T) {
	stalls := make(chan struct{})
	t.Cleanup(func() { close(stalls) })
	for name, c := range map[string]struct {
		serve func(net.Conn)
		want  string
	}{
		"stalls":        {func(c net.Conn) { <-stalls }, "no word on any of 5 connections"},
		"stalls midway": {func(c net.Conn) { io.WriteString(c, report(t, "json-2.29.7-running")[:500]); <-stalls }, "no whole answer within"},
		"drips": {func(c net.Conn) {
			for {
				if _, err := io.WriteString(c, "NCCL version 2.27.5\n"); err != nil {
					return
				}
				time.Sleep(20 * time.Millisecond)
			}
		}, "no whole answer within"},
		"closes early":    {func(c net.Conn) {}, "closed the connection without an answer"},
		"closes midway":   {func(c net.Conn) { io.WriteString(c, report(t, "json-2.29.7-running")[:500]) }, "cut short"},
		"garbage":         {func(c net.Conn) { io.WriteString(c, strings.Repeat("\x00\xff\n", 1000)) }, "no NCCL RAS"},
		"another program": {func(c net.Conn) { io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n") }, "HTTP/1.1 400"},
	} {
		t.Run(name, func(t *testing.T) {
			port, asked := rasServer(t, "127.0.0.1:0", c.serve)
			a := askOnce(t, thisProcess(t, os.Getpid(), map[string]string{"NCCL_RAS_ADDR": "localhost:" + port}), 400*time.Millisecond)
			if !strings.Contains(a.Trouble, c.want) && !(name == "closes early" && strings.Contains(a.Trouble, "reset")) {
				t.Errorf("got %q, want %q", a.Trouble, c.want)
			}
			want := int32(1)
			if name == "stalls" {
				want = rasAgain
			}
			if n := asked.Load(); n != want {
				t.Errorf("it was asked %d times, want %d", n, want)
			}
		})
	}
}

// TestRASOfAHungRank is of two ranks that listen on one port, as NCCL's do (SO_REUSEPORT): one of them hangs, and the kernel chooses who gets a connection.
func TestRASOfAHungRank(t *testing.T) {
	shared := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		if e := c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) }); e != nil {
			return e
		}
		return err
	}}
	answers, err := shared.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer answers.Close()
	hangs, err := shared.Listen(t.Context(), "tcp", answers.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer hangs.Close()
	var left atomic.Int32 // connections that nobody serves
	go func() {
		for {
			c, err := hangs.Accept()
			if err != nil {
				return
			}
			left.Add(1)
			defer c.Close()
		}
	}()
	go func() {
		for {
			c, err := answers.Accept()
			if err != nil {
				return
			}
			for lines := bufio.NewScanner(c); lines.Scan() && !strings.HasSuffix(lines.Text(), "STATUS"); {
			}
			io.WriteString(c, report(t, "json-2.29.7-running"))
			c.Close()
		}
	}()
	_, port, _ := net.SplitHostPort(answers.Addr().String())
	p := thisProcess(t, os.Getpid(), map[string]string{"NCCL_RAS_ADDR": "localhost:" + port})
	for range 60 { // each goes to the one that hangs first as likely as not
		before := left.Load()
		a := askOnce(t, p, 300*time.Millisecond)
		if met := left.Load() > before; met && a.Trouble == "" && a.Nccl == "2.29.7" {
			return
		}
	}
	t.Fatalf("%d connections went to the one that hangs, and never was there an answer after one", left.Load())
}

// TestRASIsNotAsked is of processes that offer none.
func TestRASIsNotAsked(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	at := map[string]string{"NCCL_RAS_ADDR": "localhost:" + port}
	self := func(env map[string]string) *facts.Process { return thisProcess(t, os.Getpid(), env) }
	other, late := self(at), self(at)
	other.Uid++
	late.StartTicks++
	l2, _ := net.Listen("tcp", "127.0.0.1:0")
	_, free, _ := net.SplitHostPort(l2.Addr().String())
	l2.Close()
	for name, c := range map[string]struct {
		p      *facts.Process
		want   string
		absent bool
	}{
		"switched off":       {self(map[string]string{"NCCL_RAS_ENABLE": "0"}), "switched off", true},
		"nobody listens":     {self(map[string]string{"NCCL_RAS_ADDR": "localhost:" + free}), "nothing listens on port " + free, true},
		"another user's":     {other, "another user's", true},
		"another process":    {late, "is gone", false},
		"a strange address":  {self(map[string]string{"NCCL_RAS_ADDR": "nowhere"}), "not HOST:PORT", true},
		"of no such process": {&facts.Process{Pid: 1 << 30, StartTicks: 1}, "is gone", false},
	} {
		t.Run(name, func(t *testing.T) {
			if a := askOnce(t, c.p, time.Second); !strings.Contains(a.Trouble, c.want) || a.Absent != c.absent {
				t.Errorf("got %q, absent %v; want %q", a.Trouble, a.Absent, c.want)
			}
		})
	}
}

// TestRASOfAContainer asks in the network namespace of another process: with the right to enter it, and without.
func TestRASOfAContainer(t *testing.T) {
	testbed.NeedRoot(t) // to make a network namespace
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(program, "-test.run=^TestInsideNamespace$")
	c.Env = append(os.Environ(), "RAS_INSIDE=1")
	c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	in, err := c.StdinPipe()
	out, err2 := c.StdoutPipe()
	if err := errors.Join(err, err2, c.Start()); err != nil {
		t.Fatal(err)
	}
	defer func() { in.Close(); c.Wait() }()
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "listens\n" {
		t.Fatalf("it says %q, %v", line, err)
	}
	p := thisProcess(t, c.Process.Pid, nil)
	ours, _ := os.Readlink("/proc/self/ns/net")
	for range 6 { // from whichever thread it is
		if a := askOnce(t, p, rasLimit); a.Trouble != "" || a.Nccl != "2.27.5" {
			t.Fatalf("got %v", a)
		}
		if now, _ := os.Readlink("/proc/self/ns/net"); now != ours {
			t.Fatalf("it stays in the container: %s, not %s", now, ours)
		}
	}
	if _, err := net.DialTimeout("tcp", "127.0.0.1:28028", time.Second); err == nil {
		t.Error("port 28028 is open here too: the test shows nothing")
	}
}

// TestInsideNamespace is the process in the container of [TestRASOfAContainer].
func TestInsideNamespace(t *testing.T) {
	if os.Getenv("RAS_INSIDE") == "" {
		return
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	request, err2 := unix.NewIfreq("lo")
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	request.SetUint16(unix.IFF_UP)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request); err != nil {
		t.Fatal(err)
	}
	rasServer(t, "127.0.0.1:28028", func(c net.Conn) { io.WriteString(c, report(t, "text-2.27.5-lagging")) })
	fmt.Println("listens")
	io.Copy(io.Discard, os.Stdin)
}

// TestRASIsNeverHammered asks ten times at once, through the stream.
func TestRASIsNeverHammered(t *testing.T) {
	port, asked := rasServer(t, "127.0.0.1:0", func(c net.Conn) { io.WriteString(c, report(t, "json-2.29.7-lagging")) })
	p := thisProcess(t, os.Getpid(), map[string]string{"NCCL_RAS_ADDR": "localhost:" + port})
	told := Source{"told", time.Second, func(m *machine) reader { return tellsProcess{m, p} }}
	f := startFront(t, Options{Sources: []Source{told}, Every: 50 * time.Millisecond})
	f.await("the process", func() bool { return f.procs[p.Pid] != nil })
	for i := range 10 {
		f.say(&facts.Control{What: &facts.Control_Ras{Ras: &facts.AskRAS{Sequence: uint64(i + 1), Processes: []*facts.ProcessKey{{Pid: p.Pid, StartTicks: p.StartTicks}}}}})
	}
	f.await("the answer", func() bool { return len(f.ras) > 0 })
	if a := f.ras[0]; a.Trouble != "" || a.Nccl != "2.29.7" || a.Sequence != 1 {
		t.Errorf("got %v", a)
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("it was asked %d times", n)
	}
}

// tellsProcess is a source that tells of one process.
type tellsProcess struct {
	m *machine
	p *facts.Process
}

func (s tellsProcess) read(context.Context) error {
	s.m.board.mu.Lock()
	defer s.m.board.mu.Unlock()
	if s.m.board.told == 0 {
		s.m.board.processes, s.m.board.told = []*facts.Process{s.p}, 1
	}
	return nil
}

func (tellsProcess) close() {}
