package kubernetes

import (
	"fmt"
	"reflect"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"
)

// store keeps what is told of the objects of one kind, by namespace and name, and says when that changes. Reflectors fill it: it is client-go's cache.TransformingStore, but for
// one thing: what is of no use is not kept at all. Each reflector has a scope (a namespace, or everything), and replaces what is in it.
type store[T any] struct {
	trim    func(object any) *T
	changed func()

	mu   sync.Mutex
	kept map[string]map[string]*T // by scope and key
}

func newStore[T any, O any](trim func(*O) *T, changed func()) *store[T] {
	return &store[T]{
		trim: func(object any) *T {
			if o, ok := object.(*O); ok {
				return trim(o)
			}
			return nil
		},
		changed: changed,
		kept:    make(map[string]map[string]*T),
	}
}

// each calls do with everything in the store, in no order, and gives how many scopes there are.
func (s *store[T]) each(do func(*T)) (scopes int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, scope := range s.kept {
		for _, v := range scope {
			do(v)
		}
	}
	return len(s.kept)
}

// keepScopes forgets all scopes but these.
func (s *store[T]) keepScopes(keep map[string]bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for scope := range s.kept {
		if !keep[scope] {
			delete(s.kept, scope)
			s.changed()
		}
	}
}

// scope is one reflector's view of the store.
type scope[T any] struct {
	*store[T]
	name string
	// synced is called after each whole list.
	synced func()
}

// Transformer trims the objects of a list as they come, so that the whole of them is never in memory.
func (s *scope[T]) Transformer() cache.TransformFunc {
	return func(object any) (any, error) {
		if _, done := object.(*keyed[T]); done {
			return object, nil
		}
		v := s.trim(object)
		if v == nil {
			return nil, nil
		}
		return &keyed[T]{keyOf(object), v}, nil
	}
}

// keyed is a trimmed object on its way into a scope.
type keyed[T any] struct {
	key   string
	value *T
}

// keyOf is namespace/name.
func keyOf(object any) string {
	if o, ok := object.(metav1.Object); ok {
		return o.GetNamespace() + "/" + o.GetName()
	}
	return ""
}

// Add takes a new or changed object.
func (s *scope[T]) Add(object any) error {
	v := s.trim(object)
	if v == nil {
		return s.Delete(object)
	}
	key := keyOf(object)
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.kept[s.name][key]
	if before != nil && reflect.DeepEqual(before, v) {
		return nil // a heartbeat, or what is not told
	}
	if s.kept[s.name] == nil {
		s.kept[s.name] = make(map[string]*T)
	}
	s.kept[s.name][key] = v
	s.changed()
	return nil
}

// Update is Add.
func (s *scope[T]) Update(object any) error { return s.Add(object) }

// Delete forgets an object.
func (s *scope[T]) Delete(object any) error {
	key := keyOf(object)
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.kept[s.name][key]; ok {
		delete(s.kept[s.name], key)
		s.changed()
	}
	return nil
}

// Replace takes a whole list: of objects, or of what Transformer made of them.
func (s *scope[T]) Replace(list []any, _ string) error {
	kept := make(map[string]*T)
	for _, object := range list {
		switch o := object.(type) {
		case nil:
		case *keyed[T]:
			kept[o.key] = o.value
		case metav1.Object:
			if v := s.trim(object); v != nil {
				kept[keyOf(object)] = v
			}
		default:
			return fmt.Errorf("list holds a %T", object)
		}
	}
	s.mu.Lock()
	s.kept[s.name] = kept
	s.mu.Unlock()
	s.synced()
	s.changed()
	return nil
}

// Resync does nothing: what is kept is all there is.
func (s *scope[T]) Resync() error { return nil }
