package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	apiruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"foretop/schedulers"
)

// slow is how long a server may take to tell everything before that is said.
const slow = 30 * time.Second

// errNoWatch stands for a request that was closed or not answered in time: client-go makes an empty watch of it, as if all were well.
var errNoWatch = fmt.Errorf("the watch was not answered: %w", io.ErrUnexpectedEOF)

// errHurry ends a session so that the next one begins now.
var errHurry = errors.New("tried anew")

// link is one list and watch: what it met last. Reflectors try again by themselves, with growing waits and jitter, and keep their failures to themselves: so they are noted
// where the requests are made.
type link struct {
	name    string
	changed func()
	end     context.CancelCauseFunc

	mu    sync.Mutex
	err   error
	since time.Time // of the first failure since it worked
	began time.Time
	whole time.Time // when it last had everything
}

// note takes the result of a request; one that brings everything anew is well only when that is there: see synced. What no wait mends ends the session: it begins anew with a look at what is allowed.
func (l *link) note(ctx context.Context, err error) {
	if ctx.Err() != nil || apierrors.IsResourceExpired(err) || apierrors.IsGone(err) || apierrors.IsInvalid(err) {
		return // a watch from too far back is begun anew, a server without watch-list is asked for a list: no failure
	}
	l.mu.Lock()
	changed := (err == nil) != (l.err == nil)
	if err != nil && l.err == nil {
		l.since = time.Now()
	}
	l.err = err
	l.mu.Unlock()
	if changed {
		l.changed()
	}
	if apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err) {
		l.end(err)
	}
}

// synced notes that the store has everything.
func (l *link) synced() {
	l.mu.Lock()
	l.whole, l.err = time.Now(), nil
	l.mu.Unlock()
}

// complete says whether the store ever had everything.
func (l *link) complete() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.whole.IsZero()
}

// trouble says what is wrong, nil when nothing is.
func (l *link) trouble(cluster string) *schedulers.Problem {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil && l.whole.IsZero() && time.Since(l.began) > slow {
		return &schedulers.Problem{Text: "the API server of " + cluster + " has not told all its " + l.name + " in " + slow.String(), Remedy: "it may be overloaded: what it knows is shown once it is whole", Since: l.began}
	}
	if l.err == nil {
		return nil
	}
	why := explain(l.err, cluster)
	return &schedulers.Problem{Text: why.text, Remedy: why.remedy, Since: l.since}
}

// query is what a link asks for.
type query struct {
	resource, namespace, selector string
}

// page is how many objects a list brings at a time, where the server does not stream them.
const page = 500

// reflector prepares a reflector, which fills a scope of a store.
func reflector[T any](c *client, into *scope[T], example apiruntime.Object, l *link, q query) func(context.Context) {
	source := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (apiruntime.Object, error) {
			list, err := c.list(ctx, q, o)
			if err != nil {
				l.note(ctx, err)
				return nil, err
			}
			return trimmed(list, into.trim), nil
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			o.LabelSelector = q.selector
			o.Watch = true
			w, err := c.request(q).VersionedParams(&o, c.codec).Watch(ctx)
			if err == nil && reflect.TypeOf(w) == reflect.TypeOf(watch.NewEmptyWatch()) {
				w, err = nil, errNoWatch
			}
			if err != nil || o.SendInitialEvents == nil {
				l.note(ctx, err)
			}
			return w, err
		},
	}
	r := cache.NewReflectorWithOptions(source, example, into, cache.ReflectorOptions{Name: "foretop"})
	r.WatchListPageSize = page
	return r.RunWithContext
}

// retries is how often client-go repeats a request by itself, a second apart: reflectors try again as well, and what fails is to be told soon.
const retries = 1

// request begins a request for the objects of a query.
func (c *client) request(q query) *rest.Request {
	return c.core.Get().MaxRetries(retries).NamespaceIfScoped(q.namespace, q.namespace != "").Resource(q.resource)
}

// list asks for one page of the newest state. The states that a reflector asks for by itself do not go with pages: any that the server has at hand ("0") comes all at once, and a version that was seen
// before comes exactly as it was then, from where no server that has just begun can go on.
func (c *client) list(ctx context.Context, q query, o metav1.ListOptions) (apiruntime.Object, error) {
	o.LabelSelector = q.selector
	if o.Limit > 0 && o.Continue == "" {
		o.ResourceVersion = ""
	}
	return c.request(q).VersionedParams(&o, c.codec).Do(ctx).Get()
}

// trimmed makes a page small: a list of keyed objects. What is no list of a kind that we know stays as it is.
func trimmed[T any](list apiruntime.Object, trim func(any) *T) apiruntime.Object {
	out := &internalversion.List{}
	take := func(object metav1.Object) {
		if v := trim(object); v != nil {
			out.Items = append(out.Items, &keyed[T]{keyOf(object), v})
		}
	}
	switch l := list.(type) {
	case *corev1.PodList:
		out.ListMeta = l.ListMeta
		for i := range l.Items {
			take(&l.Items[i])
		}
	case *corev1.NodeList:
		out.ListMeta = l.ListMeta
		for i := range l.Items {
			take(&l.Items[i])
		}
	default:
		return list
	}
	return out
}

// GetObjectKind and DeepCopyObject let a keyed object pass through client-go's lists.
func (k *keyed[T]) GetObjectKind() schema.ObjectKind { return schema.EmptyObjectKind }

// DeepCopyObject gives the same: nobody changes one.
func (k *keyed[T]) DeepCopyObject() apiruntime.Object { return k }
