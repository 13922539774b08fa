package collectors

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"

	"foretop/collectors/kernfs"
	"foretop/telemetry"
	"foretop/telemetry/facts"
)

const maxLayoutFile = 256 << 10

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
		pid, files := p.pid, p.files
		r.layout.ask(p.key(), func() []*facts.LayoutFile { return readLayoutFiles(r.m.root, pid, files) })
	case p.said == nil:
		if said, ok := r.layout.take(p.key()); ok {
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
