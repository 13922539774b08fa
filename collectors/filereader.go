package collectors

import "sync"

// maxFileQueue bounds how many processes wait for their files.
const maxFileQueue = 256

// fileReader reads files that processes name or have, one process after another in a goroutine of its own. A file system that does not answer holds that goroutine,
// and nothing and nobody else: what they say is told when they were read.
type fileReader[A any] struct {
	mu    sync.Mutex
	queue []fileQuestion[A]
	read  map[processKey]A
	awake bool // the goroutine runs
	over  bool
}

type fileQuestion[A any] struct {
	processKey
	read func() A
}

// ask has the files of a process read; it does not wait. A process too many is not read.
func (r *fileReader[A]) ask(of processKey, read func() A) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over || len(r.queue) >= maxFileQueue {
		return
	}
	r.queue = append(r.queue, fileQuestion[A]{of, read})
	if !r.awake {
		r.awake = true
		go r.serve()
	}
}

// take hands over, once, what the files of a process say; ok is false while they were not read.
func (r *fileReader[A]) take(of processKey) (answer A, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if answer, ok = r.read[of]; ok {
		delete(r.read, of)
	}
	return answer, ok
}

// forget drops what was read for processes that are gone.
func (r *fileReader[A]) forget(alive func(processKey) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for p := range r.read {
		if !alive(p) {
			delete(r.read, p)
		}
	}
}

func (r *fileReader[A]) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.over, r.queue = true, nil
}

// serve reads until nothing is asked for any more.
func (r *fileReader[A]) serve() {
	for {
		r.mu.Lock()
		if len(r.queue) == 0 {
			r.awake = false
			r.mu.Unlock()
			return
		}
		q := r.queue[0]
		r.queue = r.queue[1:]
		r.mu.Unlock()
		answer := q.read()
		r.mu.Lock()
		if r.read == nil {
			r.read = map[processKey]A{}
		}
		r.read[q.processKey] = answer
		r.mu.Unlock()
	}
}
