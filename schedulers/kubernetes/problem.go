package kubernetes

import (
	"context"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/tools/clientcmd"
)

// cause is what a failure is made of, for the reader of a screen and for what is tried next.
type cause struct {
	kind         causeKind
	text, remedy string
}

type causeKind uint8

const (
	away      causeKind = iota // no answer, or none that is one
	refused                    // the credentials are not taken
	forbidden                  // they are, but not for this
	noConfig                   // there is nothing to connect to
)

// explain says in words why the API server of a cluster does not tell, and what helps.
func explain(err error, cluster string) cause {
	the := "the API server"
	if cluster != "" {
		the += " of " + cluster
	}
	words := text(plain(err))
	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	var host x509.HostnameError
	var dns *net.DNSError
	switch {
	case clientcmd.IsEmptyConfig(err):
		return cause{noConfig, "no kubeconfig with a current context", "set KUBECONFIG, or choose a context: --kube CONTEXT"}
	case clientcmd.IsContextNotFound(err):
		return cause{noConfig, words, "`kubectl config get-contexts` lists those there are"}
	case clientcmd.IsConfigurationInvalid(err):
		return cause{noConfig, "the kubeconfig is not valid: " + words, "`kubectl config view` shows it as it is read"}
	case apierrors.IsUnauthorized(err):
		return cause{refused, the + " does not take these credentials: " + words, "log in again; foretop tries when the kubeconfig changes, and by itself now and then"}
	case apierrors.IsForbidden(err):
		return cause{forbidden, words, "ask the cluster's administrator for the right to list and watch it"}
	case strings.Contains(words, "getting credentials"):
		return cause{refused, words, "run `kubectl get nodes` and see what the credential program asks for"}
	case errors.As(err, &unknown):
		return cause{away, the + " shows a certificate of an unknown authority", "check certificate-authority in the kubeconfig"}
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return cause{away, the + " shows a certificate that has expired, or the clock here is wrong: " + words, "renew it (kubeadm certs renew), or set the clock"}
	case errors.As(err, &host):
		return cause{away, the + " shows a certificate for other names: " + words, "check server or tls-server-name in the kubeconfig"}
	case errors.As(err, &dns):
		return cause{away, "the name of " + the + " is not known: " + dns.Name, "check server in the kubeconfig, or the VPN"}
	case utilnet.IsConnectionRefused(err):
		return cause{away, the + " refuses connections: " + words, "it may be restarting; foretop tries again by itself"}
	case errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) || utilnet.IsTimeout(err):
		return cause{away, the + " does not answer in time: " + words, "check the network or the VPN; foretop tries again by itself"}
	case utilnet.IsProbableEOF(err) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || utilnet.IsConnectionReset(err):
		return cause{away, the + " closed the connection: " + words, "it may be restarting; foretop tries again by itself"}
	case strings.Contains(words, "abnormal closure"): // a WebSocket's words for the same
		return cause{away, the + " closed the connection", "it may be restarting; foretop tries again by itself"}
	case apierrors.IsTooManyRequests(err):
		return cause{away, the + " is overloaded: " + words, "foretop slows down by itself"}
	}
	return cause{away, the + " does not tell: " + words, "see what `kubectl get nodes` says; foretop tries again by itself"}
}

// plain is an error's text without the request's address and its query, which say nothing to a person.
func plain(err error) string {
	var status apierrors.APIStatus
	if errors.As(err, &status) && status.Status().Message != "" {
		return status.Status().Message
	}
	s := err.Error()
	for _, verb := range []string{"Get \"", "Post \"", "get \"", "post \""} {
		if rest, ok := strings.CutPrefix(s, verb); ok {
			if _, after, ok := strings.Cut(rest, "\": "); ok {
				return after
			}
		}
	}
	return s
}
