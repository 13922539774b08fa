package collectors

import (
	"errors"
	"os"
	"path"
	"strconv"
	"strings"

	"foretop/collectors/kernfs"

	"golang.org/x/sys/unix"
)

// openNamedFile opens a regular file that a process names, to read.
func openNamedFile(root kernfs.Root, pid int32, name string) (*os.File, error) {
	return openNamed(root, pid, name, regular, unix.O_NONBLOCK|unix.O_NOCTTY)
}

// openNamedDir opens a folder that a process names, to list.
func openNamedDir(root kernfs.Root, pid int32, name string) (*os.File, error) {
	return openNamed(root, pid, name, func(info os.FileInfo) error {
		if !info.IsDir() {
			return unix.ENOTDIR
		}
		return nil
	}, unix.O_DIRECTORY)
}

// openNamed opens what a process names, to read, if it may be. It is found with O_PATH, which opens nothing: no device is woken and no pipe waited for, whatever
// the name leads to; then that very file is opened. Links lead within the process's root, as they do for itself (openat2(2)).
func openNamed(root kernfs.Root, pid int32, name string, may func(os.FileInfo) error, flags int) (*os.File, error) {
	found, err := findNamedFile(root, pid, name)
	if err != nil {
		return nil, err
	}
	handle := os.NewFile(uintptr(found), name)
	defer handle.Close()
	info, err := handle.Stat()
	if err == nil {
		err = may(info)
	}
	if err != nil {
		return nil, err
	}
	fd, err := kernfs.Retry(func() (int, error) {
		return unix.Open("/proc/self/fd/"+strconv.Itoa(found), unix.O_RDONLY|unix.O_CLOEXEC|flags, 0)
	})
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}

func findNamedFile(root kernfs.Root, pid int32, name string) (int, error) {
	top, err := unix.Open(root.Path(procPath(pid, "root")), unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	defer unix.Close(top)
	inside := name
	if !path.IsAbs(name) {
		inside = path.Join(readLink(root, procPath(pid, "cwd")), name)
	}
	how := unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS}
	fd, err := unix.Openat2(top, strings.TrimPrefix(inside, "/"), &how)
	switch {
	case err == nil:
		return fd, nil
	case errors.Is(err, unix.ENOENT) && !path.IsAbs(name): // the name of its working directory means something else here
	case !errors.Is(err, unix.ENOSYS) && !errors.Is(err, unix.EPERM): // before Linux 5.6, or forbidden by seccomp
		return -1, err
	}
	cwd, err := unix.Open(root.Path(procPath(pid, "cwd")), unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	defer unix.Close(cwd)
	if path.IsAbs(name) {
		return unix.Openat(top, strings.TrimLeft(name, "/"), unix.O_PATH|unix.O_CLOEXEC, 0)
	}
	return unix.Openat(cwd, name, unix.O_PATH|unix.O_CLOEXEC, 0)
}
