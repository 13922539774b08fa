package testbed

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Kube is a Kubernetes cluster of the parts that matter here: a real API server on a real etcd. There is no scheduler, no controller and no kubelet, so that a test decides what nodes and pods
// say; [Kube.Kwok] has kwok play the kubelets.
type Kube struct {
	Dir        string
	Server     string // https://127.0.0.1:PORT
	Kubeconfig string // of an administrator

	t        testing.TB
	programs string
	port     int
	ca       string
	etcd     *kept
	api      *kept

	once       sync.Once
	http       *http.Client
	namespaces map[string]bool // made by Apply
}

// kubeUsers are the tokens that the API server knows beside the administrator's: a user's name is its token. Nobody of them may do anything before a test says so.
var kubeUsers = []string{"ada", "bob"}

// kubeStart bounds the start of each program. A machine under load takes its time.
const kubeStart = 4 * time.Minute

// StartKube starts a cluster that ends with the test. What it lacks ends the test: see require.
func StartKube(t testing.TB) *Kube {
	t.Helper()
	Need(t, "flock", "go")
	k := &Kube{Dir: t.TempDir(), t: t, programs: kubePrograms(t), namespaces: map[string]bool{"default": true}}
	k.Kubeconfig = filepath.Join(k.Dir, "admin.kubeconfig")
	k.port = freePort(t)
	k.Server = fmt.Sprintf("https://127.0.0.1:%d", k.port)
	k.writeFiles()
	client, peer := freePort(t), freePort(t)
	// Not Debian's etcd, which is too old to let an API server stream its lists (RequestWatchProgress).
	k.etcd = k.start("etcd", nil, filepath.Join(k.programs, "etcd"), "--name", "etcd", "--data-dir", filepath.Join(k.Dir, "etcd"), "--unsafe-no-fsync", "--log-level", "warn",
		"--listen-client-urls", local(client), "--advertise-client-urls", local(client),
		"--listen-peer-urls", local(peer), "--initial-advertise-peer-urls", local(peer), "--initial-cluster", "etcd="+local(peer))
	k.waitFor("etcd", &http.Client{}, local(client)+"/health", k.etcd)
	k.startAPI(client)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("kube-apiserver says:\n%s", k.api.tail())
		}
		k.api.kill()
		k.etcd.kill()
	})
	return k
}

func (k *Kube) startAPI(etcd int) {
	args := []string{
		"--etcd-servers=" + local(etcd), "--bind-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", k.port),
		"--tls-cert-file=" + k.file("server.crt"), "--tls-private-key-file=" + k.file("server.key"), "--cert-dir=" + k.file("certs"),
		"--service-account-issuer=https://foretop.test", "--service-account-key-file=" + k.file("server.key"), "--service-account-signing-key-file=" + k.file("server.key"),
		"--service-cluster-ip-range=10.99.0.0/24", "--endpoint-reconciler-type=none", "--allow-privileged=true",
		"--authorization-mode=RBAC", "--token-auth-file=" + k.file("tokens.csv"),
		"--disable-admission-plugins=ServiceAccount,TaintNodesByCondition,Priority", "--enable-priority-and-fairness=false",
		"--kubelet-preferred-address-types=InternalIP", "--kubelet-client-certificate=" + k.file("server.crt"), "--kubelet-client-key=" + k.file("server.key"),
		"--profiling=false", "--shutdown-delay-duration=0s",
	}
	k.api = k.start("kube-apiserver", nil, append([]string{filepath.Join(k.programs, "kube-apiserver")}, args...)...)
	k.api.again = func() { k.startAPI(etcd) }
	k.waitFor("kube-apiserver", &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}, k.Server+"/readyz", k.api)
}

// StopAPI kills the API server as a crash would.
func (k *Kube) StopAPI() { k.api.kill() }

// RestartAPI starts it again after StopAPI, at its old address.
func (k *Kube) RestartAPI() { k.api.again() }

// User gives the kubeconfig of one of kubeUsers, with a context of its name in a namespace.
func (k *Kube) User(name, namespace string) string {
	path := k.file(name + ".kubeconfig")
	k.writeKubeconfig(path, name, name, namespace)
	return path
}

// Kwok has kwok play the kubelets of all nodes that there are and come: nodes become ready, pods bound to them run.
func (k *Kube) Kwok() {
	port := freePort(k.t)
	p := k.start("kwok", []string{"HOME=" + k.Dir}, filepath.Join(k.programs, "kwok"), "--kubeconfig="+k.Kubeconfig, "--config="+filepath.Join(k.programs, "stages.yaml"),
		"--manage-all-nodes=true", fmt.Sprintf("--server-address=127.0.0.1:%d", port), "--node-lease-duration-seconds=0")
	k.t.Cleanup(p.kill)
	k.waitFor("kwok", &http.Client{}, local(port)+"/healthz", p)
}

// APIMemory is the resident memory of the API server in bytes: what its clients cost it.
func (k *Kube) APIMemory() int { return k.api.memory() }

func (k *Kube) file(name string) string { return filepath.Join(k.Dir, name) }

func local(port int) string { return fmt.Sprintf("http://127.0.0.1:%d", port) }

// waitFor asks until the answer is 200.
func (k *Kube) waitFor(name string, client *http.Client, url string, p *kept) {
	k.t.Helper()
	waitReady(k.t, name, client, url, p)
}

func waitReady(t testing.TB, name string, client *http.Client, url string, p *kept) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), kubeStart)
	defer cancel()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer admin")
		if answer, err := client.Do(request); err == nil {
			_, _ = io.Copy(io.Discard, answer.Body)
			answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return
			}
		}
		select {
		case <-p.ended:
			t.Fatalf("%s ended: %s", name, p.tail())
		case <-ctx.Done():
			t.Fatalf("%s does not become ready: %s", name, p.tail())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// freePort is a port of this machine that nobody listens on now.
func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// kept is a program that runs until it is killed, or this process ends: its kubeKeeper reads a pipe from here.
type kept struct {
	cmd   *exec.Cmd
	stdin io.Closer
	log   string
	ended chan struct{}
	again func()
}

// kubeKeeper runs a program until that ends or its own standard input does.
const kubeKeeper = `exec 3<&0; "$@" </dev/null 3<&- & p=$!; { cat <&3; kill -9 $p; } >/dev/null 2>&1 & exec 3<&-; wait $p`

func (k *Kube) start(name string, env []string, argv ...string) *kept {
	k.t.Helper()
	p, err := keep(k.file(name+".log"), env, argv...)
	k.must(err)
	return p
}

// keep starts a program that writes what it says to a file.
func keep(logFile string, env []string, argv ...string) (*kept, error) {
	p := &kept{log: logFile, ended: make(chan struct{})}
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	p.cmd = exec.Command("sh", append([]string{"-c", kubeKeeper, "sh"}, argv...)...)
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.ended)
	}()
	return p, nil
}

// kill ends the program and waits for its end.
func (p *kept) kill() {
	_ = p.stdin.Close()
	<-p.ended
}

// memory is its resident memory in bytes, 0 when it does not run.
func (p *kept) memory() int {
	children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", p.cmd.Process.Pid))
	first, _, _ := strings.Cut(strings.TrimSpace(string(children)), " ")
	status, _ := os.ReadFile("/proc/" + first + "/status")
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			var kb int
			_, _ = fmt.Sscan(rest, &kb)
			return kb << 10
		}
	}
	return 0
}

// tail is the end of what it said.
func (p *kept) tail() string {
	b, err := os.ReadFile(p.log)
	if err != nil {
		return errors.Unwrap(err).Error()
	}
	return string(b[max(0, len(b)-4000):])
}
