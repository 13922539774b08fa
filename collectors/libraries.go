package collectors

import (
	"bufio"
	"io"
	"os"
	"path"
	"strings"

	"foretop/collectors/kernfs"
	"foretop/telemetry"
)

// Which framework a process runs, and in which version, it says nowhere. What it has loaded does: /proc/PID/maps names the libraries, and beside Python's packages pip
// and Debian leave a folder or file whose name ends in the version ("torch-2.7.1+cu126.dist-info").

// library is something that is loaded from a file whose path holds the mark, and how its package is called where it is installed.
type library struct {
	name, mark string
	packages   []string // as in the names of their folders, in small letters with underscores
}

var libraries = []library{
	{"torch", "-packages/torch/", []string{"torch"}},
	{"jax", "-packages/jaxlib/", []string{"jax", "jaxlib"}},
	{"tensorflow", "-packages/tensorflow/", []string{"tensorflow", "tensorflow_cpu", "tensorflow_rocm", "tensorflow_intel"}},
	{"ray", "-packages/ray/", []string{"ray"}},
	{"transformer-engine", "-packages/transformer_engine", []string{"transformer_engine", "transformer_engine_cu12", "transformer_engine_cu13"}},
	{"nccl", "/libnccl.so", []string{"nvidia_nccl_cu13", "nvidia_nccl_cu12", "nvidia_nccl_cu11"}},
	{"rccl", "/librccl.so", nil},
	{"cuda", "/libcudart.so", []string{"nvidia_cuda_runtime", "nvidia_cuda_runtime_cu12", "nvidia_cuda_runtime_cu11"}},
	{"mpi", "/libmpi.so", nil},
	{"python", "/lib/python3.", nil},
}

const (
	maxMaps      = 16 << 20 // bytes
	maxPackages  = 1 << 14  // names in a folder of packages
	maxVersion   = 64
	maxPackDirs  = 4
	packagesWord = "-packages/"
)

// libraryAges are how old a process is, in ms, when it is asked for its libraries: importing them takes a while, and some come late.
var libraryAges = [...]int64{5_000, 20_000, 60_000, 300_000}

// librariesOf has a process that is a rank, or holds an accelerator, asked for its libraries now and then, and takes up what it says.
func (r *processReader) librariesOf(p *proc, holds bool) {
	if p.launcher || p.silent || p.rank == "" && !holds {
		return
	}
	if versions, ok := r.libs.take(p.key()); ok && versions != "" && versions != p.versions {
		p.versions, p.fact = versions, nil
	}
	age, due := r.upMS-int64(p.start)*tickMS, false
	for p.libsAsked < len(libraryAges) && age >= libraryAges[p.libsAsked] {
		p.libsAsked, due = p.libsAsked+1, true
	}
	if due {
		pid := p.pid
		r.libs.ask(p.key(), func() string { return readLibraries(r.m.root, pid) })
	}
}

func (p *proc) key() processKey { return processKey{p.pid, p.start} }

// readLibraries is the versions of what a process has loaded, frameworks first: "torch 2.7.1, nccl 2.26.2"; "" where that cannot be read.
func readLibraries(root kernfs.Root, pid int32) string {
	f, err := os.Open(root.Path(procPath(pid, "maps")))
	if err != nil {
		return ""
	}
	defer f.Close()
	versions, dirs := loadedFrom(f)
	for _, dir := range dirs {
		installed(root, pid, dir.path, dir.holds, versions)
	}
	var words []string
	for i := range libraries {
		if v := versions[libraries[i].name]; v != "" {
			words = append(words, libraries[i].name+" "+v)
		}
	}
	return strings.Join(words, ", ")
}

// packDir is a folder of packages, and which libraries were loaded from it or from beside it.
type packDir struct {
	path  string
	holds []*library
}

// loadedFrom finds, in a process's maps, libraries whose file names tell the version, and the folders of packages where the others are installed.
func loadedFrom(text io.Reader) (versions map[string]string, dirs []packDir) {
	versions = map[string]string{}
	lines := bufio.NewScanner(io.LimitReader(text, maxMaps))
	last := ""
	for lines.Scan() {
		line := lines.Text()
		i := strings.IndexByte(line, '/')
		if i < 0 || line[i:] == last {
			continue
		}
		last = line[i:]
		file := strings.TrimSuffix(last, " (deleted)")
		for k := range libraries {
			l := &libraries[k]
			if !strings.Contains(file, l.mark) {
				continue
			}
			if v := versionIn(file, l); v != "" {
				put(versions, l.name, v)
			} else if at := strings.LastIndex(file, packagesWord); at >= 0 {
				dirs = addDir(dirs, file[:at+len(packagesWord)-1], l)
			}
		}
	}
	return versions, dirs
}

// versionIn is a library's version where its own file's path tells: "libnccl.so.2.21.5", "/usr/lib/python3.11/".
func versionIn(file string, l *library) string {
	switch {
	case l.name == "python":
		_, rest, _ := strings.Cut(file, l.mark)
		if minor, _, ok := strings.Cut(rest, "/"); ok && isVersion(minor) {
			return "3." + minor
		}
	case !strings.HasPrefix(l.mark, "-"):
		if _, v, ok := strings.Cut(path.Base(file), ".so."); ok && strings.Contains(v, ".") && isVersion(v) {
			return v
		}
	}
	return ""
}

func addDir(dirs []packDir, dir string, l *library) []packDir {
	for i := range dirs {
		if d := &dirs[i]; d.path == dir {
			for _, have := range d.holds {
				if have == l {
					return dirs
				}
			}
			d.holds = append(d.holds, l)
			return dirs
		}
	}
	if len(dirs) == maxPackDirs {
		return dirs
	}
	return append(dirs, packDir{dir, []*library{l}})
}

// installed reads versions off the names in a folder of packages, as the process sees it.
func installed(root kernfs.Root, pid int32, dir string, wanted []*library, versions map[string]string) {
	f, err := openNamedDir(root, pid, dir)
	if err != nil {
		return
	}
	defer f.Close()
	found := map[string]string{} // by package
	for n := 0; n < maxPackages; {
		names, err := f.Readdirnames(512)
		for _, name := range names {
			if pack, v, ok := packageOf(name); ok {
				found[pack] = v
			}
		}
		if n += len(names); err != nil || len(names) == 0 {
			break
		}
	}
	for _, l := range wanted {
		for _, pack := range l.packages {
			if v := found[pack]; v != "" {
				put(versions, l.name, v)
				break
			}
		}
	}
}

// packageOf takes the name of a package's description apart: "torch-2.7.1+cu126.dist-info", "numpy-1.24.2-py3.11.egg-info".
func packageOf(entry string) (pack, version string, ok bool) {
	entry, ok = strings.CutSuffix(entry, ".dist-info")
	if !ok {
		if entry, ok = strings.CutSuffix(entry, ".egg-info"); !ok {
			return "", "", false
		}
	}
	pack, version, ok = strings.Cut(entry, "-")
	version, _, _ = strings.Cut(version, "-py3")
	return strings.ReplaceAll(strings.ToLower(pack), ".", "_"), version, ok && isVersion(version)
}

// isVersion says whether a text looks like a version: it begins with a digit and holds nothing unusual.
func isVersion(s string) bool {
	if s == "" || len(s) > maxVersion || s[0] < '0' || s[0] > '9' {
		return false
	}
	return strings.Trim(s, "0123456789abcdefghijklmnopqrstuvwxyz.+_") == ""
}

func put(versions map[string]string, name, version string) {
	if _, ok := versions[name]; !ok {
		versions[name] = telemetry.Clean(version, maxVersion)
	}
}
