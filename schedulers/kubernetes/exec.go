package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/remotecommand"
	utilexec "k8s.io/client-go/util/exec"
	"k8s.io/streaming/pkg/httpstream"
)

// Door runs commands on nodes that have no SSH: through exec into the pod of foretop's DaemonSet there, whose manifest is Manifest. Any number of commands may run at a time.
type Door struct {
	opts      Options
	namespace string

	mu     sync.Mutex // held while pods are listed: who else needs them waits for the same answer
	config *rest.Config
	client *client
	pods   map[string]doorPod // by node
	listed time.Time
}

// doorPod is the pod that is the way into its node.
type doorPod struct {
	name  string
	state string // "Running", or why it does not
	ready bool
}

// NewDoor prepares a door; it connects with the first command. namespace is the DaemonSet's, "" DoorNamespace.
func NewDoor(o Options, namespace string) *Door {
	return &Door{opts: o, namespace: firstOf(namespace, DoorNamespace)}
}

// ExecError says why no command runs on a node, and what helps.
type ExecError struct {
	Cause, Remedy string
	Refused       bool // not by accident: trying soon again is of no use
	Err           error
}

func (e *ExecError) Error() string { return e.Cause }

func (e *ExecError) Unwrap() error { return e.Err }

// inNode is run in the pod. The command comes first on standard input, for what is in an address may be neither long nor secret; dd takes no byte more than that. It runs in the namespaces of the node's first
// process; on a node without a shell in the pod itself, which sees the node's processes, devices and network.
const inNode = `c=$(dd bs=1 count="$0" 2>/dev/null)
if nsenter -t 1 -m -u -i -n -- /bin/sh -c : </dev/null >/dev/null 2>&1; then exec nsenter -t 1 -m -u -i -n -- /bin/sh -c "$c"; fi
exec /bin/sh -c "$c"`

// Run runs a command line by /bin/sh on a node, as root, and gives its exit status. It returns when the command ended and its output is written, or ctx ends: the command then finds the end of its input. What
// keeps it from running is an *ExecError.
func (d *Door) Run(ctx context.Context, node, command string, stdin io.Reader, stdout, stderr io.Writer) (int, error) {
	return d.stream(ctx, node, []string{inNode, strconv.Itoa(len(command))}, remotecommand.StreamOptions{
		Stdin: io.MultiReader(strings.NewReader(command), stdin), Stdout: stdout, Stderr: stderr,
	})
}

// onTerminal is run in the pod for a shell. The command stands beside it: a terminal would show what comes on standard input, and it is neither long nor secret.
const onTerminal = `if nsenter -t 1 -m -u -i -n -- /bin/sh -c : </dev/null >/dev/null 2>&1; then exec nsenter -t 1 -m -u -i -n -- /bin/sh -c "$0"; fi
exec /bin/sh -c "$0"`

// maxOnTerminal bounds a command that stands in an address, in bytes: proxies take some 8 KiB, and what is not a letter grows to three.
const maxOnTerminal = 4 << 10

// Shell is [Door.Run] on a terminal of the pod's: what is typed goes to it as it is, and all that it shows comes on stdout. sizes gives the size that the terminal has, and then, when it
// changes, the next; false: there is no more. When ctx ends or the connection is lost the command is not told, and goes on.
func (d *Door) Shell(ctx context.Context, node, command string, sizes func() (columns, lines int, ok bool), stdin io.Reader, stdout io.Writer) (int, error) {
	if len(command) > maxOnTerminal {
		return -1, &ExecError{Cause: fmt.Sprintf("a shell's command of %d bytes: the API server takes at most %d", len(command), maxOnTerminal), Refused: true}
	}
	return d.stream(ctx, node, []string{onTerminal, command}, remotecommand.StreamOptions{Stdin: stdin, Stdout: stdout, Tty: true, TerminalSizeQueue: sizeQueue(sizes)})
}

// sizeQueue gives a terminal's sizes as client-go asks for them.
type sizeQueue func() (columns, lines int, ok bool)

// Next waits for the next size.
func (q sizeQueue) Next() *remotecommand.TerminalSize {
	columns, lines, ok := q()
	if !ok {
		return nil
	}
	cells := func(n int) uint16 { return uint16(min(max(n, 1), 1<<15)) }
	return &remotecommand.TerminalSize{Width: cells(columns), Height: cells(lines)}
}

// stream runs a script in a node's pod, with arguments, and gives its exit status.
func (d *Door) stream(ctx context.Context, node string, script []string, o remotecommand.StreamOptions) (int, error) {
	ctx = quiet(ctx)
	pod, err := d.find(ctx, node)
	if err != nil {
		return -1, err
	}
	err = d.exec(ctx, pod, script, o)
	var exit utilexec.CodeExitError
	switch {
	case err == nil:
		return 0, nil
	case ctx.Err() != nil:
		return -1, ctx.Err()
	case errors.As(err, &exit):
		return exit.Code, nil
	}
	d.forget()
	why := explain(err, d.opts.Context)
	e := &ExecError{Cause: "exec into pod " + d.namespace + "/" + pod + ": " + why.text, Remedy: why.remedy, Refused: why.kind == refused || why.kind == forbidden, Err: err}
	if strings.Contains(err.Error(), "forbidden") {
		e.Refused, e.Remedy = true, "ask the cluster's administrator for the role foretop of `foretop kube-manifest` in namespace "+d.namespace
	}
	return -1, e
}

// exec runs the script in a pod. WebSockets are tried first; servers and proxies that do not know them get SPDY.
func (d *Door) exec(ctx context.Context, pod string, script []string, o remotecommand.StreamOptions) error {
	d.mu.Lock()
	config, client := d.config, d.client
	d.mu.Unlock()
	url := client.core.Post().Resource("pods").Namespace(d.namespace).Name(pod).SubResource("exec").
		VersionedParams(&corev1.PodExecOptions{
			Container: doorContainer, Stdin: true, Stdout: true, Stderr: o.Stderr != nil, TTY: o.Tty,
			Command: append([]string{"/bin/sh", "-c"}, script...),
		}, client.codec).URL()
	sockets, err := remotecommand.NewWebSocketExecutor(config, "GET", url.String())
	if err != nil {
		return err
	}
	spdy, err := remotecommand.NewSPDYExecutor(config, "POST", url)
	if err != nil {
		return err
	}
	either, err := remotecommand.NewFallbackExecutor(sockets, spdy, func(err error) bool {
		return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err)
	})
	if err != nil {
		return err
	}
	return either.StreamWithContext(ctx, o)
}

// Waits of looking for pods: a list serves for a while, a node that is not in it is looked for again a little later.
const (
	podsFresh = time.Minute
	podsAgain = 5 * time.Second
)

// find gives the name of the pod on a node.
func (d *Door) find(ctx context.Context, node string) (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	p, found := d.pods[node]
	if age := time.Since(d.listed); age > podsFresh || (!found || !p.ready) && age > podsAgain {
		if err := d.list(ctx); err != nil {
			if ctx.Err() != nil {
				return "", ctx.Err()
			}
			d.client = nil
			why := explain(err, d.opts.Context)
			return "", &ExecError{Cause: why.text, Remedy: why.remedy, Refused: why.kind == refused || why.kind == forbidden, Err: err}
		}
		p, found = d.pods[node]
	}
	switch {
	case !found:
		return "", &ExecError{Cause: "no pod of foretop's DaemonSet on " + word(node) + " (namespace " + d.namespace + ")",
			Remedy: "foretop kube-manifest | kubectl apply -f -", Refused: true}
	case !p.ready:
		return "", &ExecError{Cause: "the pod " + d.namespace + "/" + p.name + " does not run: " + p.state,
			Remedy: "kubectl -n " + d.namespace + " describe pod " + p.name}
	}
	return p.name, nil
}

// list asks for the DaemonSet's pods. d.mu is held.
func (d *Door) list(ctx context.Context) error {
	if d.client == nil {
		cfg, _, err := loadConfig(d.opts)
		if err != nil {
			return err
		}
		client, err := newClient(cfg.rest)
		if err != nil {
			return err
		}
		streams := rest.CopyConfig(cfg.rest)
		streams.APIPath, streams.GroupVersion = "/api", &schemeVersion
		d.client, d.config = client, streams
	}
	pods := make(map[string]doorPod)
	for o := (metav1.ListOptions{LabelSelector: doorLabel + "=" + doorName, Limit: page}); ; {
		var list corev1.PodList
		err := d.client.core.Get().Namespace(d.namespace).Resource("pods").VersionedParams(&o, d.client.codec).Do(ctx).Into(&list)
		if err != nil {
			return err
		}
		for i := range list.Items {
			o := &list.Items[i]
			var p pod
			p.judge(o)
			if at := o.Spec.NodeName; at != "" && (pods[at].name == "" || p.phase == podRunning) && len(pods) < 1<<16 {
				pods[at] = doorPod{word(o.Name), text(strings.TrimSuffix(p.state+": "+p.reason, ": ")), p.phase == podRunning && p.state == "Running"}
			}
		}
		if o.Continue = list.Continue; o.Continue == "" {
			break
		}
	}
	d.pods, d.listed = pods, time.Now()
	return nil
}

// forget has the pods listed anew: one may have been replaced.
func (d *Door) forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if time.Since(d.listed) > podsAgain {
		d.listed = time.Time{}
	}
}

// Names the DaemonSet's pods and their container are known by.
const (
	DoorNamespace = "foretop"
	DoorImage     = "busybox:1.37"
	doorLabel     = "app.kubernetes.io/name"
	doorName      = "foretop"
	doorContainer = "door"
)
