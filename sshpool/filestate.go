package sshpool

import "os"

// fileState tells whether a file is still the one that was read.
type fileState struct {
	path  string
	id    fileID // device and inode; zero where the system has none
	size  int64
	mtime int64 // Unix nanoseconds; zero: not there, or not readable
}

func stateOf(path string) fileState {
	s := fileState{path: path}
	info, err := os.Stat(path)
	if err != nil {
		return s
	}
	s.size, s.mtime, s.id = info.Size(), info.ModTime().UnixNano(), idOf(info)
	return s
}

func unchanged(files []fileState) bool {
	for _, f := range files {
		if stateOf(f.path) != f {
			return false
		}
	}
	return true
}
