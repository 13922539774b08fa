package collectors

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"syscall"

	"foretop/collectors/kernfs"
)

// Layout of struct linux_dirent64 (getdents(2)).
const (
	direntReclen = 16
	direntName   = 19
)

// listProcesses lists /proc. The kernel gives each process's folder a new inode number, and gives the number with the name: whoever is still there needs no
// further call.
func listProcesses(root kernfs.Root, list []procEntry) ([]procEntry, error) {
	path := root.Path("proc")
	fd, err := kernfs.Open(path)
	if err != nil {
		return list, fmt.Errorf("open %s: %w", path, err)
	}
	defer syscall.Close(fd)
	buf := make([]byte, 16<<10)
	for {
		n, err := kernfs.Retry(func() (int, error) { return syscall.ReadDirent(fd, buf) })
		if err != nil {
			return list, fmt.Errorf("list %s: %w", path, err)
		}
		if n <= 0 {
			return list, nil
		}
		for b := buf[:n]; len(b) > direntName; {
			size := int(binary.NativeEndian.Uint16(b[direntReclen:]))
			if size <= direntName || size > len(b) {
				break
			}
			name := b[direntName:size]
			if i := bytes.IndexByte(name, 0); i >= 0 {
				name = name[:i]
			}
			if pid, ok := kernfs.ParseUint(name); ok && pid > 0 && pid < 1<<31 {
				list = append(list, procEntry{pid: int32(pid), inode: binary.NativeEndian.Uint64(b)})
			}
			b = b[size:]
		}
	}
}
