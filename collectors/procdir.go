package collectors

import (
	"bytes"
	"os"
	"strings"

	"foretop/collectors/kernfs"
)

// procEntry is one process as /proc lists it.
type procEntry struct {
	pid   int32
	inode uint64 // of the folder, 0 unknown
}

// namespaceOf is N of a link "pid:[N]", 0 when it may not be read.
func namespaceOf(root kernfs.Root, name string) uint64 {
	_, rest, ok := strings.Cut(readLink(root, name), "[")
	if !ok {
		return 0
	}
	n, _ := kernfs.ParseUint(bytes.TrimSuffix([]byte(rest), []byte{']'}))
	return n
}

func readLink(root kernfs.Root, name string) string {
	t, err := os.Readlink(root.Path(name))
	if err != nil {
		return ""
	}
	return t
}

// hidesProcesses says whether /proc is mounted so that ordinary users see their own processes only (hidepid, proc(5)).
func hidesProcesses(root kernfs.Root) bool {
	b, err := root.Read("proc/self/mountinfo", nil)
	if err != nil {
		return false
	}
	return parseHidepid(b)
}

func parseHidepid(b []byte) bool {
	for len(b) > 0 {
		var l []byte
		l, b = kernfs.Line(b)
		_, f, ok := parseMount(l)
		if !ok || f.Type != "proc" || f.Mount != "/proc" {
			continue
		}
		_, value, found := bytes.Cut(l, []byte("hidepid="))
		if i := bytes.IndexByte(value, ','); i >= 0 {
			value = value[:i]
		}
		switch v, _ := kernfs.Field(value); string(v) {
		case "2", "4", "invisible", "ptraceable":
			return found
		}
	}
	return false
}
