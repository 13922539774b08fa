//go:build !unix

package sshpool

import "os"

type fileID struct{}

func idOf(os.FileInfo) fileID { return fileID{} }
