package collectors

import (
	"bytes"
	"os"
	"strings"
)

// procEntry is one process as /proc lists it.
type procEntry struct {
	pid   int32
	inode uint64 // of the folder, 0 unknown
}

// namespaceOf is N of a link "pid:[N]", 0 when it may not be read.
func namespaceOf(root Root, name string) uint64 {
	_, rest, ok := strings.Cut(readLink(root, name), "[")
	if !ok {
		return 0
	}
	n, _ := parseUint(bytes.TrimSuffix([]byte(rest), []byte{']'}))
	return n
}

func readLink(root Root, name string) string {
	t, err := os.Readlink(root.path(name))
	if err != nil {
		return ""
	}
	return t
}
