package testbed

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"
	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
	utilexec "k8s.io/utils/exec"
)

// Kubelet is the part of a kubelet by which commands run in its pods: the streams are those of a real one's library, the commands are real processes, on this machine or on a node of a bed. A command whose
// caller goes away finds the end of its input and is not killed, as with a real runtime.
type Kubelet struct {
	Port int
	// Command makes the process of an exec; nil: as it is, on this machine.
	Command func(argv []string) (*exec.Cmd, error)

	t      testing.TB
	server *httptest.Server
	mu     sync.Mutex
	ran    []string // pods that commands were run in

	terminals []*os.Process
}

// StartKubelet starts one that ends with the test.
func StartKubelet(t testing.TB) *Kubelet {
	t.Helper()
	k := &Kubelet{t: t}
	k.server = httptest.NewUnstartedServer(k)
	k.server.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	k.server.StartTLS()
	t.Cleanup(func() {
		k.mu.Lock()
		for _, p := range k.terminals {
			_ = p.Kill()
		}
		k.mu.Unlock()
		k.server.CloseClientConnections()
		k.server.Close()
	})
	_, err := fmt.Sscanf(k.server.URL, "https://127.0.0.1:%d", &k.Port)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// Ran are the pods in which commands were run, in order.
func (k *Kubelet) Ran() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return append([]string(nil), k.ran...)
}

// ServeHTTP serves /exec/NAMESPACE/POD/CONTAINER, as an API server asks for it, and …/pods/POD/exec, as a client asks an API server.
func (k *Kubelet) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	var pod string
	switch {
	case len(parts) == 4 && parts[0] == "exec":
		pod = parts[1] + "/" + parts[2]
	case len(parts) == 7 && parts[6] == "exec":
		pod = parts[3] + "/" + parts[5]
	default:
		http.NotFound(w, r)
		return
	}
	k.mu.Lock()
	k.ran = append(k.ran, pod)
	k.mu.Unlock()
	query := r.URL.Query()
	on := func(names ...string) bool {
		for _, n := range names {
			if v := query.Get(n); v == "1" || v == "true" {
				return true
			}
		}
		return false
	}
	options := &remotecommand.Options{Stdin: on("input", "stdin"), Stdout: on("output", "stdout"), Stderr: on("error", "stderr"), TTY: on("tty")}
	options.Stderr = options.Stderr && !options.TTY
	remotecommand.ServeExec(w, r, k, pod, "", "", query["command"], options, time.Hour, time.Minute, remotecommand.SupportedStreamingProtocols)
}

// ExecInContainer runs one command.
func (k *Kubelet) ExecInContainer(_ context.Context, _, _, _ string, argv []string, in io.Reader, out, stderr io.WriteCloser, tty bool, sizes <-chan remotecommand.TerminalSize, _ time.Duration) error {
	if len(argv) == 0 {
		return errors.New("no command")
	}
	if tty {
		// The session is the process's own, where it runs: in its PID namespace.
		argv = append([]string{"setsid", "--ctty", "--wait"}, argv...)
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	if k.Command != nil {
		var err error
		if cmd, err = k.Command(argv); err != nil {
			return err
		}
	}
	if tty {
		return k.onTerminal(cmd, in, out, sizes)
	}
	cmd.Stdout, cmd.Stderr = out, stderr
	if in != nil {
		// A pipe of our own: Run would wait for the end of in, which comes when the caller has the result.
		stdin, err := cmd.StdinPipe()
		if err != nil {
			return err
		}
		go func() {
			_, _ = io.Copy(stdin, in)
			_ = stdin.Close()
		}()
	} else {
		cmd.Stdin = bytes.NewReader(nil)
	}
	return ended(cmd.Run())
}

// ended is the end of a process as the library tells it.
func ended(err error) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return &utilexec.ExitErrorWrapper{ExitError: exit}
	}
	return err
}

// onTerminal runs a command on a terminal of its own. It goes on when its caller is gone, as with a real runtime, and is killed when the test ends.
func (k *Kubelet) onTerminal(cmd *exec.Cmd, in io.Reader, out io.Writer, sizes <-chan remotecommand.TerminalSize) error {
	ptmx, tty, err := pty.Open()
	if err != nil {
		return err
	}
	var using sync.Mutex // its number may be another file's once it is closed
	closed := false
	defer func() {
		using.Lock()
		defer using.Unlock()
		closed = true
		ptmx.Close()
	}()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
	err = cmd.Start()
	tty.Close()
	if err != nil {
		return err
	}
	k.mu.Lock()
	k.terminals = append(k.terminals, cmd.Process)
	k.mu.Unlock()
	go func() {
		for size := range sizes {
			using.Lock()
			if !closed {
				_ = pty.Setsize(ptmx, &pty.Winsize{Cols: size.Width, Rows: size.Height})
			}
			using.Unlock()
		}
	}()
	if in != nil {
		go func() { _, _ = io.Copy(ptmx, in) }()
	}
	shown := make(chan struct{})
	go func() {
		defer close(shown)
		_, _ = io.Copy(out, ptmx)
		_, _ = io.Copy(io.Discard, ptmx)
	}()
	err = cmd.Wait()
	<-shown // nobody has the terminal open any more
	return ended(err)
}
