package collectors

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"sync"

	"foretop/collectors/kernfs"
	"foretop/telemetry"
	"foretop/telemetry/facts"
)

const (
	maxLayoutFile  = 256 << 10
	maxLayoutQueue = 256 // processes that wait for their files
)

// layoutReader reads the configuration files that command lines name, one after another in a goroutine of its own, and only keeps of them what
// telemetry.LayoutText picks. A file system that does not answer holds that goroutine, and nothing and nobody else: files are told when they were read.
type layoutReader struct {
	root  kernfs.Root
	mu    sync.Mutex
	queue []layoutQuestion
	read  map[layoutProcess][]*facts.LayoutFile
	awake bool // the goroutine runs
	over  bool
}

// layoutProcess is a process.
type layoutProcess struct {
	pid   int32
	start uint64
}

type layoutQuestion struct {
	layoutProcess
	files []string // as its command line has them
}

// ask has the files of a process read; it does not wait. A process too many is not read.
func (r *layoutReader) ask(pid int32, start uint64, files []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over || len(r.queue) >= maxLayoutQueue {
		return
	}
	r.queue = append(r.queue, layoutQuestion{layoutProcess{pid, start}, files})
	if !r.awake {
		r.awake = true
		go r.serve()
	}
}

// take hands over, once, what the files of a process say; ok is false while they were not read.
func (r *layoutReader) take(pid int32, start uint64) (files []*facts.LayoutFile, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := layoutProcess{pid, start}
	if files, ok = r.read[key]; ok {
		delete(r.read, key)
	}
	return files, ok
}

// forget drops what was read for processes that are gone.
func (r *layoutReader) forget(alive func(pid int32, start uint64) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for p := range r.read {
		if !alive(p.pid, p.start) {
			delete(r.read, p)
		}
	}
}

func (r *layoutReader) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.over, r.queue = true, nil
}

// serve reads until nothing is asked for any more.
func (r *layoutReader) serve() {
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
		files := readLayoutFiles(r.root, q.pid, q.files)
		r.mu.Lock()
		if r.read == nil {
			r.read = map[layoutProcess][]*facts.LayoutFile{}
		}
		r.read[q.layoutProcess] = files
		r.mu.Unlock()
	}
}

// readLayoutFiles reads what files say of the layout. One that says nothing is left out; one that cannot be read says why.
func readLayoutFiles(root kernfs.Root, pid int32, names []string) []*facts.LayoutFile {
	files := []*facts.LayoutFile{} // not nil: they were read
	for _, name := range names {
		f := &facts.LayoutFile{Name: layoutName(name)}
		text, err := readNamedFile(root, pid, name)
		if err != nil {
			f.Trouble = layoutTrouble(err)
		} else if f.Keys = telemetry.LayoutText(text); len(f.Keys) == 0 {
			continue
		}
		files = append(files, f)
	}
	return files
}

// layoutTrouble words why a file could not be read, without its path.
func layoutTrouble(err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "it is not there"
	case errors.Is(err, fs.ErrPermission):
		return "it may not be read: needs root, or its owner"
	case errors.Is(err, errNoFile), errors.Is(err, errLargeFile):
		return err.Error()
	}
	return "it cannot be read"
}

var (
	errNoFile    = errors.New("it is no regular file")
	errLargeFile = fmt.Errorf("it is larger than %d KiB", maxLayoutFile>>10)
)

// readNamedFile reads a file as a process would find it by that name: from its root and its working directory. Nothing but a regular file is opened.
func readNamedFile(root kernfs.Root, pid int32, name string) ([]byte, error) {
	f, err := openNamedFile(root, pid, name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxLayoutFile+1))
	if err == nil && len(text) > maxLayoutFile {
		err = errLargeFile
	}
	return text, err
}

// regular says what is wrong with a file that is to be opened, nil for nothing.
func regular(info os.FileInfo) error {
	switch {
	case !info.Mode().IsRegular():
		return errNoFile
	case info.Size() > maxLayoutFile:
		return errLargeFile
	}
	return nil
}

// setLayout keeps what a command line says of the layout. A title written over it says nothing: then what was there before still holds.
func (p *proc) setLayout(args []string) {
	flags, files := telemetry.LayoutFlags(args), telemetry.LayoutFiles(args)
	if len(flags) == 0 && len(files) == 0 && len(args) <= 1 {
		return
	}
	p.flags = flags
	if !slices.Equal(files, p.files) {
		p.files, p.asked, p.said = files, false, nil
	}
}

// layoutOf has the files of a process that is told read, once, and takes up what they say. Ranks are asked, not who started them.
func (r *processReader) layoutOf(p *proc) {
	switch {
	case len(p.files) == 0 || p.launcher || p.silent:
	case !p.asked:
		p.asked = true
		r.layout.ask(p.pid, p.start, p.files)
	case p.said == nil:
		if said, ok := r.layout.take(p.pid, p.start); ok {
			p.said, p.fact = said, nil
		}
	}
}

// layoutFiles are what is told of a process's files: that they were not read yet, so that nobody takes its options for all there is, or what they say.
func (p *proc) layoutFiles() []*facts.LayoutFile {
	if p.said != nil || p.launcher {
		return p.said
	}
	var files []*facts.LayoutFile
	for _, name := range p.files {
		files = append(files, &facts.LayoutFile{Name: layoutName(name), Trouble: "it was not read yet"})
	}
	return files
}

// layoutName is a file's name without its folder.
func layoutName(name string) string { return telemetry.Clean(path.Base(name), maxComm) }
