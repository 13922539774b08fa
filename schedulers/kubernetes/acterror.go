package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync/atomic"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"foretop/schedulers"
)

// call is one request that changes something: what it is called in rights, and whether it may have left.
type call struct {
	verb, resource string
	sent           atomic.Bool // it had a connection
}

// begin gives the context of one request, with the time that its answer may take.
func (a *Actor) begin(ctx context.Context, verb, resource string) (context.Context, context.CancelFunc, *call) {
	c := &call{verb: verb, resource: resource}
	ctx, cancel := context.WithTimeout(ctx, a.pace.answer)
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { c.sent.Store(true) }}), cancel, c
}

// fate says what became of a request that changes something. A server that answers, but for the errors of its own (5xx), did not do it: those, and no answer at all, leave it open,
// unless there never was a connection.
func (c *call) fate(err error) error {
	switch {
	case err == nil:
		return nil
	case answered(err):
		return refusal(err, c.verb, c.resource)
	case !c.sent.Load():
		return notAsked(err)
	}
	return fmt.Errorf("%s: %w", explain(err, "").text, schedulers.ErrUnsure)
}

// read says why a question before an order has no answer: the order was not sent then.
func (c *call) read(err error) error {
	switch {
	case err == nil:
		return nil
	case answered(err):
		return refusal(err, c.verb, c.resource)
	}
	return notAsked(err)
}

// answered says whether the API server decided: anything but its own troubles; or we did.
func answered(err error) bool {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return errors.As(err, new(*schedulers.RefusedError))
	}
	code := status.Status().Code
	return code >= 300 && code < 500 && code != http.StatusRequestTimeout
}

// notAsked is an order that was not sent.
func notAsked(err error) error {
	why := explain(err, "")
	return fmt.Errorf("%w: %s (%s)", schedulers.ErrNotSent, why.text, why.remedy)
}

// refusal is what the API server said, and what helps.
func refusal(err error, verb, resource string) *schedulers.RefusedError {
	e := &schedulers.RefusedError{Words: text(plain(err))}
	switch {
	case apierrors.IsForbidden(err) && strings.Contains(e.Words, " cannot "+verb+" resource "):
		e.Remedy = missing(verb, resource)
	case apierrors.IsForbidden(err):
		e.Remedy = "a rule of the cluster denies to " + verb + " " + resource + ": ask who keeps it"
	case apierrors.IsUnauthorized(err):
		e.Remedy = "log in again"
	case apierrors.IsNotFound(err):
		e.Remedy = gone
	case apierrors.IsConflict(err):
		e.Remedy = "somebody changed it meanwhile: look again"
	case apierrors.IsTooManyRequests(err):
		e.Remedy = "the API server is overloaded: try again in a while"
	}
	return e
}

// missing says which right is.
func missing(verb, resource string) string {
	return "the right to " + verb + " " + resource + " is missing: `foretop kube-manifest` prints the role foretop-act, which has it"
}
