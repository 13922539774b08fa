package kubernetes

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	apiruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/klog/v2"
)

// quiet keeps client-go from logging what happens under this context: there is a screen where it would write, and what matters is told in the picture.
func quiet(ctx context.Context) context.Context { return klog.NewContext(ctx, logr.Discard()) }

// Silence keeps the rest of client-go from logging to standard error. It is for the program that shows a screen, once, at its beginning.
func Silence() { klog.SetLogger(logr.Discard()) }

// config is how to reach an API server.
type config struct {
	rest      *rest.Config
	context   string // its name; "" inside a pod
	namespace string // the context's; "default" where it has none
	files     []string
}

// loadConfig finds the configuration as kubectl does: the file named, those in KUBECONFIG, ~/.kube/config, else the service account of the pod that it runs in.
// The second value is the files that it depends on.
func loadConfig(o Options) (*config, []string, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = o.Kubeconfig
	rules.WarnIfAllMissing = false
	files := rules.GetLoadingPrecedence()
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: o.Context})
	raw, err := loader.RawConfig()
	if err != nil {
		return nil, files, err
	}
	c := &config{context: firstOf(o.Context, raw.CurrentContext), files: files}
	if c.context == "" && o.Kubeconfig == "" {
		if in, err := rest.InClusterConfig(); err == nil {
			c.rest, c.namespace = in, ownNamespace()
			return c.tuned(), files, nil
		}
	}
	if c.rest, err = loader.ClientConfig(); err != nil {
		return nil, files, err
	}
	if c.context == "" {
		return nil, files, clientcmd.ErrEmptyConfig
	}
	if c.namespace, _, err = loader.Namespace(); err != nil {
		return nil, files, err
	}
	if err := calm(c.rest.ExecProvider); err != nil {
		return nil, files, err
	}
	return c.tuned(), files, nil
}

func (c *config) tuned() *config {
	c.rest.UserAgent = "foretop"
	c.rest.WarningHandler = rest.NoWarnings{}
	c.rest.QPS, c.rest.Burst = 20, 40
	return c
}

// ownNamespace is the namespace of the pod that this runs in.
func ownNamespace() string {
	b, err := os.ReadFile("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
	if err != nil || len(b) == 0 {
		return "default"
	}
	return string(b)
}

// calm keeps a credential program off the terminal, which the screen has: it gets no input, and what it writes to standard error goes nowhere. client-go has no other way to say the latter.
func calm(e *clientcmdapi.ExecConfig) error {
	if e == nil {
		return nil
	}
	e.StdinUnavailable = true
	e.StdinUnavailableMessage = "foretop has the terminal"
	if _, err := exec.LookPath(e.Command); err != nil {
		hint := ""
		if e.InstallHint != "" {
			hint = ": " + e.InstallHint
		}
		return fmt.Errorf("getting credentials: the program %s that the kubeconfig names is not installed%s", e.Command, hint)
	}
	if runtime.GOOS != "windows" {
		e.Args = append([]string{"-c", `exec "$0" "$@" 2>/dev/null`, e.Command}, e.Args...)
		e.Command = "/bin/sh"
	}
	return nil
}

// client asks one API server. It knows nodes and pods, no other kinds: what is watched all day needs no more.
type client struct {
	core  *rest.RESTClient
	codec apiruntime.ParameterCodec
}

func newClient(c *rest.Config) (*client, error) {
	scheme := apiruntime.NewScheme()
	if err := corev1.AddToScheme(scheme); err != nil {
		return nil, err
	}
	metav1.AddToGroupVersion(scheme, schemeVersion)
	cfg := rest.CopyConfig(c)
	cfg.APIPath, cfg.GroupVersion = "/api", &schemeVersion
	cfg.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	cfg.ContentType = apiruntime.ContentTypeProtobuf
	cfg.AcceptContentTypes = apiruntime.ContentTypeProtobuf + "," + apiruntime.ContentTypeJSON
	core, err := rest.RESTClientFor(cfg)
	if err != nil {
		return nil, err
	}
	return &client{core, apiruntime.NewParameterCodec(scheme)}, nil
}

var schemeVersion = corev1.SchemeGroupVersion

// version asks which version the server has.
func (c *client) version(ctx context.Context) (string, error) {
	b, err := c.core.Get().MaxRetries(retries).AbsPath("/version").SetHeader("Accept", "application/json").Do(ctx).Raw()
	if err != nil {
		return "", err
	}
	var v struct {
		GitVersion string `json:"gitVersion"`
	}
	if err := json.Unmarshal(b, &v); err != nil {
		return "", fmt.Errorf("parse /version: %w", err)
	}
	return word(v.GitVersion), nil
}

// may asks for one object of a kind, to see whether it is allowed.
func (c *client) may(ctx context.Context, resource, namespace string) error {
	return c.request(query{resource: resource, namespace: namespace}).
		VersionedParams(&metav1.ListOptions{Limit: 1}, c.codec).Do(ctx).Error()
}

// namespaces lists the names of namespaces, as far as that is allowed, at most this many.
func (c *client) namespaces(ctx context.Context, most int) []string {
	var list corev1.NamespaceList
	err := c.core.Get().Resource("namespaces").VersionedParams(&metav1.ListOptions{Limit: int64(most)}, c.codec).Do(ctx).Into(&list)
	if err != nil {
		return nil
	}
	var names []string
	for i := range list.Items[:min(len(list.Items), most)] {
		names = append(names, list.Items[i].Name)
	}
	return names
}

// fileStates are the sizes and times of files, to see a change.
func fileStates(files []string) string {
	var out []byte
	for _, f := range files {
		if s, err := os.Stat(f); err == nil {
			out = fmt.Appendf(out, "%s %d %s\n", f, s.Size(), s.ModTime().Format(time.RFC3339Nano))
		}
	}
	return string(out)
}
