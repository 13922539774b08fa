package collectors

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"time"

	"foretop/collectors/kernfs"
	"foretop/telemetry"
	"foretop/telemetry/facts"

	"golang.org/x/sys/unix"
)

// statfsPatience is how long a reading waits for its file systems. A server that went away answers minutes later, or never.
const statfsPatience = 1500 * time.Millisecond

const maxMount = 256 // bytes of a path that is told

// space is what statfs(2) says, in bytes and inodes.
type space struct{ size, available, files, filesFree uint64 }

func statfs(path string) (space, error) {
	var s unix.Statfs_t
	for {
		err := unix.Statfs(path, &s)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return space{}, err
		}
		block := uint64(s.Bsize)
		return space{size: s.Blocks * block, available: uint64(s.Bavail) * block, files: s.Files, filesFree: s.Ffree}, nil
	}
}

// mount is one file system that is told. Its statfs runs in a goroutine of its own and is not called again before it returned.
type mount struct {
	fact    *facts.Filesystem
	asked   int64 // when the call that is out was made, monotonic ms; 0 = none is out
	result  chan spaceResult
	space   space
	known   bool
	failure error
}

type spaceResult struct {
	space space
	err   error
}

// filesystemReader asks each real file system for its size and what is free.
type filesystemReader struct {
	m      *machine
	mounts []*mount
	buf    []byte
}

func newFilesystem(m *machine) reader { return &filesystemReader{m: m} }

func (r *filesystemReader) close() {}

func (r *filesystemReader) read(ctx context.Context) error {
	var err error
	if r.buf, err = r.m.root.Read("proc/self/mountinfo", r.buf); err != nil {
		return err
	}
	r.choose(parseMounts(r.buf))
	if len(r.mounts) == 0 {
		return unsupported("no file systems of its own")
	}
	r.ask(ctx)
	return r.tell()
}

// choose takes over the list of file systems; those that stay keep what is known of them.
func (r *filesystemReader) choose(list []*facts.Filesystem) {
	same := func(m *mount, f *facts.Filesystem) bool {
		return m.fact.Mount == f.Mount && m.fact.Device == f.Device && m.fact.Type == f.Type
	}
	if slices.EqualFunc(r.mounts, list, same) {
		return
	}
	mounts := make([]*mount, len(list))
	for i, f := range list {
		if j := slices.IndexFunc(r.mounts, func(m *mount) bool { return same(m, f) }); j >= 0 {
			mounts[i] = r.mounts[j]
			continue
		}
		mounts[i] = &mount{fact: f, result: make(chan spaceResult, 1)}
	}
	r.mounts = mounts
	r.m.board.mu.Lock()
	defer r.m.board.mu.Unlock()
	r.m.board.inventory.Filesystems = list
	r.m.board.resize(telemetry.ScopeFS, len(list))
}

// ask calls statfs on all at once and waits for those that answer.
func (r *filesystemReader) ask(ctx context.Context) {
	now := r.m.clock.MonoMS()
	late := time.NewTimer(statfsPatience)
	defer late.Stop()
	for _, m := range r.mounts {
		if m.asked != 0 {
			continue
		}
		m.asked = max(now, 1)
		path, call := r.m.root.Path(strings.TrimPrefix(m.fact.Mount, "/")), r.m.options.statfs
		go func() {
			s, err := call(path)
			m.result <- spaceResult{s, err}
		}()
	}
	expired := false
	for _, m := range r.mounts {
		if expired {
			select {
			case a := <-m.result:
				m.take(a)
			default:
			}
			continue
		}
		select {
		case a := <-m.result:
			m.take(a)
		case <-late.C:
			expired = true
		case <-ctx.Done():
			return
		}
	}
}

func (m *mount) take(a spaceResult) {
	m.asked = 0
	m.space, m.failure, m.known = a.space, a.err, a.err == nil
}

func (r *filesystemReader) tell() error {
	r.m.board.mu.Lock()
	defer r.m.board.mu.Unlock()
	s := &r.m.board.state
	now := r.m.clock.MonoMS()
	r.m.board.read(telemetry.GroupFS, now)
	var silent, closed []string
	var failures []error
	longest := int64(0)
	for i, m := range r.mounts {
		s.ClearEntity(telemetry.ScopeFS, i)
		switch {
		case m.asked != 0:
			silent = append(silent, m.fact.Mount)
			longest = max(longest, now-m.asked)
		case errors.Is(m.failure, fs.ErrPermission):
			closed = append(closed, m.fact.Mount)
		case m.failure != nil:
			failures = append(failures, errors.New("statfs "+m.fact.Mount+": "+m.failure.Error()))
		case m.known:
			s.SetUint(telemetry.FSSizeBytes, i, m.space.size)
			s.SetUint(telemetry.FSAvailableBytes, i, m.space.available)
			if m.space.files > 0 && m.space.filesFree <= m.space.files { // some have no fixed number of them
				s.SetUint(telemetry.FSFiles, i, m.space.files)
				s.SetUint(telemetry.FSFilesFree, i, m.space.filesFree)
			}
		}
	}
	if len(silent) > 0 {
		return &condition{state: facts.SourceState_SOURCE_STUCK, text: "statfs does not return: " + strings.Join(silent, ", "),
			remedy: "the file server may be gone: see the kernel log for its name", stuckMS: longest}
	}
	if len(closed) > 0 && len(failures) == 0 {
		return remark("not checked, for they lie where only others may go: " + strings.Join(closed, ", "))
	}
	return errors.Join(failures...)
}

// parseMounts parses /proc/self/mountinfo (proc(5)) and keeps one mount of each real file system, the one with the shortest path.
func parseMounts(b []byte) []*facts.Filesystem {
	var list []*facts.Filesystem
	var devices []string
	for len(b) > 0 {
		var l []byte
		l, b = kernfs.Line(b)
		device, f, ok := parseMount(l)
		if !ok || !worthTelling(f.Type, f.Mount) {
			continue
		}
		if i := slices.IndexFunc(list, func(g *facts.Filesystem) bool { return g.Mount == f.Mount }); i >= 0 {
			devices[i], list[i] = device, f // mounted over it
			continue
		}
		if i := slices.Index(devices, device); i >= 0 {
			if len(f.Mount) < len(list[i].Mount) {
				list[i] = f
			}
			continue
		}
		if len(list) < telemetry.MaxEntities(telemetry.ScopeFS) {
			devices, list = append(devices, device), append(list, f)
		}
	}
	slices.SortStableFunc(list, func(a, b *facts.Filesystem) int { return strings.Compare(a.Mount, b.Mount) })
	return list
}

// parseMount parses "id parent major:minor root mount options [optional…] - type source options".
func parseMount(b []byte) (device string, f *facts.Filesystem, ok bool) {
	head, tail, ok := bytes.Cut(b, []byte(" - "))
	if !ok {
		return "", nil, false
	}
	var w [5][]byte
	for i := range w {
		w[i], head = kernfs.Field(head)
	}
	kind, rest := kernfs.Field(tail)
	source, _ := kernfs.Field(rest)
	if len(w[4]) == 0 || w[4][0] != '/' || len(kind) == 0 {
		return "", nil, false
	}
	return string(w[2]), &facts.Filesystem{
		Mount:  telemetry.Clean(string(octal(w[4])), maxMount),
		Device: telemetry.Clean(string(octal(source)), maxMount),
		Type:   telemetry.Clean(string(kind), 64),
	}, true
}

// octal decodes the \040 by which the kernel writes blanks in paths.
func octal(b []byte) []byte {
	if bytes.IndexByte(b, '\\') < 0 {
		return b
	}
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); i++ {
		if b[i] == '\\' && i+3 < len(b) && isOctal(b[i+1]) && isOctal(b[i+2]) && isOctal(b[i+3]) {
			out = append(out, (b[i+1]-'0')<<6|(b[i+2]-'0')<<3|(b[i+3]-'0'))
			i += 3
			continue
		}
		out = append(out, b[i])
	}
	return out
}

func isOctal(c byte) bool { return c >= '0' && c <= '7' }

// fileSystems hold data; the kernel's own windows (proc, cgroup …) do not.
var fileSystems = map[string]bool{
	"ext2": true, "ext3": true, "ext4": true, "xfs": true, "btrfs": true, "zfs": true, "f2fs": true, "bcachefs": true, "nfs": true, "nfs4": true, "lustre": true, "ceph": true,
	"gpfs": true, "beegfs": true, "beegfs_nodev": true, "wekafs": true, "glusterfs": true, "cifs": true, "smb3": true, "9p": true, "virtiofs": true, "orangefs": true, "pvfs2": true,
	"panfs": true, "afs": true, "daos": true, "bfs": true, "vastnfs": true, "quobyte": true,
}

// worthTelling leaves out what belongs to one container or program.
func worthTelling(kind, path string) bool {
	for _, p := range []string{"/var/lib/kubelet/", "/var/lib/docker/", "/var/lib/containerd/", "/var/lib/containers/", "/run/", "/snap/", "/boot", "/var/snap/"} {
		if strings.HasPrefix(path, p) {
			return false
		}
	}
	switch kind {
	case "overlay":
		return path == "/"
	case "tmpfs":
		return path == "/dev/shm" || path == "/tmp" || path == "/"
	}
	if name, ok := strings.CutPrefix(kind, "fuse."); ok {
		return name != "lxcfs" && name != "portal" && name != "gvfsd-fuse" && name != "snapfuse"
	}
	return fileSystems[kind]
}
