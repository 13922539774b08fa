package kubernetes

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"foretop/scripts/testbed"
)

// doorPods are what the DaemonSet's controller would make: one that runs on n1, one that does not on n2.
func doorPods() []*corev1.Pod {
	pod := func(name, node string, status corev1.PodStatus) *corev1.Pod {
		return &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: DoorNamespace, Name: name, Labels: map[string]string{doorLabel: doorName}},
			Spec:       corev1.PodSpec{NodeName: node, Containers: []corev1.Container{{Name: doorContainer, Image: DoorImage}}}, Status: status,
		}
	}
	return []*corev1.Pod{
		pod("foretop-aaaaa", "n1", corev1.PodStatus{Phase: corev1.PodRunning}),
		pod("foretop-bbbbb", "n2", corev1.PodStatus{Phase: corev1.PodPending, ContainerStatuses: []corev1.ContainerStatus{{
			Name: doorContainer, State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff", Message: "no such image"}}}}}),
	}
}

// doorTo is a door through a played API server to a kubelet that runs commands on this machine.
func doorTo(t *testing.T, refuse func(w http.ResponseWriter, r *http.Request) bool) (*Door, *testbed.Kubelet) {
	testbed.Need(t, "nsenter", "dd")
	k := testbed.StartKubelet(t)
	p := play(t)
	p.pods = doorPods()
	p.instead(func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, "/exec") {
			return false
		}
		if refuse == nil || !refuse(w, r) {
			k.ServeHTTP(w, r)
		}
		return true
	})
	return NewDoor(Options{Kubeconfig: p.kubeconfig()}, ""), k
}

// withoutSockets is a server, or a proxy before it, that knows SPDY only.
func withoutSockets(w http.ResponseWriter, r *http.Request) bool {
	if r.Method == http.MethodGet {
		http.Error(w, "no websockets here", http.StatusForbidden)
		return true
	}
	return false
}

// By SPDY, to which a door falls back. What a real server does with WebSockets: see TestRealServer.
func TestDoor(t *testing.T) {
	d, k := doorTo(t, withoutSockets)
	runsCommands(t, d, "n1")
	showsTerminal(t, d, "n1")
	if ran := k.Ran(); len(ran) != 3 || ran[0] != "foretop/foretop-aaaaa" {
		t.Errorf("ran in %q", ran)
	}
}

// runsCommands runs two through a door: one that says all there is to say, and one that is long itself and has much on both sides.
func runsCommands(t *testing.T, d *Door, node string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	exit, err := d.Run(t.Context(), node, "cat; echo \"it's $0\" >&2; exit 3", strings.NewReader("over stdin\n"), &stdout, &stderr)
	if err != nil || exit != 3 || stdout.String() != "over stdin\n" || stderr.String() != "it's /bin/sh\n" {
		t.Errorf("exit %d, error %v, stdout %q, stderr %q", exit, err, stdout.String(), stderr.String())
	}
	stdout.Reset()
	much := strings.Repeat("0123456789abcdef\n", 1<<15)
	exit, err = d.Run(t.Context(), node, "# "+strings.Repeat("long ", 4000)+"\ncat", strings.NewReader(much), &stdout, &stderr)
	if err != nil || exit != 0 || stdout.String() != much {
		t.Errorf("exit %d, error %v, %d of %d bytes", exit, err, stdout.Len(), len(much))
	}
}

// showsTerminal runs a command on a terminal: it has the size that is told, and the next ones; what is typed reaches it as it is, and its exit status comes back.
func showsTerminal(t *testing.T, d *Door, node string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	sizes := make(chan [2]int, 1)
	sizes <- [2]int{100, 30}
	keys, typing := io.Pipe()
	var shown bytes.Buffer
	typed := map[string]func(){ // once each is shown
		"ready 30 100\r\n": func() { sizes <- [2]int{131, 47} },
		"then 47 131\r\n":  func() { go func() { _, _ = typing.Write([]byte("it's \x1b[A\x03!\r")) }() },
	}
	exit, err := d.Shell(ctx, node, `test -t 0 && test -t 1 && test -t 2 || exit 9
for i in 1 2 3 4 5 6 7 8 9; do [ "$(stty size)" = "30 100" ] || sleep 1; done; echo ready $(stty size)
while [ "$(stty size)" = "30 100" ]; do sleep .05; done; stty raw -echo; printf 'then %s\r\n' "$(stty size)"
dd bs=1 count=11 2>/dev/null | od -An -c | tr -s ' '; exit 5`, func() (int, int, bool) {
		select {
		case s := <-sizes:
			return s[0], s[1], true
		case <-ctx.Done():
			return 0, 0, false
		}
	}, keys, writerFunc(func(b []byte) (int, error) {
		shown.Write(b)
		for what, then := range typed {
			if strings.Contains(shown.String(), what) {
				delete(typed, what)
				then()
			}
		}
		return len(b), nil
	}))
	if err != nil || exit != 5 || !strings.Contains(shown.String(), ` i t ' s 033 [ A 003 ! \r`) {
		t.Errorf("exit %d, error %v, shown %q", exit, err, shown.String())
	}
	if _, err := d.Shell(ctx, node, strings.Repeat("x", maxOnTerminal+1), nil, keys, io.Discard); err == nil || !strings.Contains(err.Error(), "at most 4096") {
		t.Error(err)
	}
}

// Who leaves ends the command's input; the command sees that and ends by itself.
func TestDoorLeft(t *testing.T) {
	d, _ := doorTo(t, withoutSockets)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	mark := filepath.Join(t.TempDir(), "ended")
	reader, writer := io.Pipe()
	defer writer.Close()
	began := make(chan struct{})
	left := make(chan error, 1)
	go func() {
		_, err := d.Run(ctx, "n1", "echo here; cat >/dev/null; echo done >"+mark, reader, writerFunc(func(b []byte) (int, error) {
			close(began)
			return len(b), nil
		}), io.Discard)
		left <- err
	}()
	<-began
	cancel()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("left with %v", err)
	}
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(mark); err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatal("the command goes on")
		}
	}
}

type writerFunc func(b []byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

func TestDoorTroubles(t *testing.T) {
	forbid := func(w http.ResponseWriter, r *http.Request) bool {
		status(w, http.StatusForbidden, "Forbidden", `pods "foretop-aaaaa" is forbidden: User "ada" cannot create resource "pods/exec"`)
		return true
	}
	for what, c := range map[string]struct {
		node          string
		refuse        func(http.ResponseWriter, *http.Request) bool
		cause, remedy string
		refused       bool
	}{
		"no pod":    {"n3", withoutSockets, "no pod of foretop's DaemonSet on n3 (namespace foretop)", "foretop kube-manifest | kubectl apply -f -", true},
		"waits":     {"n2", withoutSockets, "the pod foretop/foretop-bbbbb does not run: ImagePullBackOff: no such image", "kubectl -n foretop describe pod foretop-bbbbb", false},
		"forbidden": {"n1", forbid, `cannot create resource "pods/exec"`, "role foretop", true},
	} {
		t.Run(what, func(t *testing.T) {
			d, _ := doorTo(t, c.refuse)
			exit, err := d.Run(t.Context(), c.node, "true", strings.NewReader(""), io.Discard, io.Discard)
			var e *ExecError
			if !errors.As(err, &e) || exit != -1 || !strings.Contains(e.Cause, c.cause) || !strings.Contains(e.Remedy, c.remedy) || e.Refused != c.refused {
				t.Errorf("exit %d, error %#v", exit, err)
			}
		})
	}
}
